"""What is asked of the decision service's tables."""
