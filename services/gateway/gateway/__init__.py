"""The thin HTTP gateway: calls become messages on the bus, answers become responses."""
