"""The decision engine: evidence to features, features to risk, risk and prices to a decision."""
