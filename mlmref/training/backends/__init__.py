"""The built-in training backends."""
