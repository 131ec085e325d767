"""The ranks of a distributed run: which one this process is, and how they agree."""
