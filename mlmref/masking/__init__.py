"""Masking: keyed draws, the strategies that propose targets, and the core that applies them."""
