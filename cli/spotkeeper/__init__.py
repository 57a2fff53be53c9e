"""The command line of Spotkeeper: the embedded stack, and what operators do with a running one."""

import chassis  # noqa: F401  First of all, for it sets the garbage collector for the others.
