"""Measure a model: perplexity and its interval, pseudo-perplexity, fill-mask."""
