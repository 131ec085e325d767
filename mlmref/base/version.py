"""The version of mlmref."""

__version__ = "0.1.0"
