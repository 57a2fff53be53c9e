"""The routes of the contract, each file one subject: HTTP in, question out, answer back."""
