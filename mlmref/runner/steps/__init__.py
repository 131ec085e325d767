"""The steps of a run as functions, for notebooks and other people's scripts."""
