"""The matter itself: the life of commands, what threatens an agent, what a switch has saved."""
