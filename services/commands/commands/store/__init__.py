"""The service's questions to its database: one function per question, named for its answer."""
