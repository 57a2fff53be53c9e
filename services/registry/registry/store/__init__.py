"""The registry's questions to its database: one function per question, named for its answer."""
