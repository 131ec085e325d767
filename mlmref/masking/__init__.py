"""Masking: the built-in strategies, and the masker that applies a strategy's plan."""

from mlmref.masking.masker import Masker
from mlmref.plugin.draws import EVALUATION_PASS, Draws

__all__ = ["EVALUATION_PASS", "Draws", "Masker"]
