"""Masking: keyed draws, the strategies that propose targets, and the core that applies them."""

from mlmref.masking.apply import Masker
from mlmref.masking.draws import EVALUATION_PASS, Draws

__all__ = ["EVALUATION_PASS", "Draws", "Masker"]
