"""Train classifiers from a model before and after adaptation (``mlmref downstream``, T20)."""
