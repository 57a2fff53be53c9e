"""The heartbeat service: who is alive, found from the log of beats alone."""
