"""The ranks of a distributed run: identity, collective operations, and agreement on errors."""
