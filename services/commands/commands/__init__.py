"""The commands service: what agents are told to do, and what came of it."""
