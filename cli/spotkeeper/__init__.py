"""The command line of Spotkeeper: the embedded stack, and what operators do with a running one."""
