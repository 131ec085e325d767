"""Masking: the built-in strategies, and the masker that applies a strategy's plan."""
