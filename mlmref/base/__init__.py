"""Errors, files on disk, the terminal, progress and ranks: used by every other package."""
