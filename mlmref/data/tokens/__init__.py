"""Tokenize documents: token ids and word starts as Arrow columns."""
