"""Back-tests: what the engine would have decided on a recorded market, and what that had cost."""
