"""How the model comes about: from recorded interruptions to `risk.onnx` and its card.

No service imports this package, and no wheel brings it along.
"""
