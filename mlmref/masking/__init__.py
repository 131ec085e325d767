"""Masking: keyed draws, the strategies that propose targets, and the core that applies them."""

from mlmref.masking.masker import Masker
from mlmref.plugin.draws import EVALUATION_PASS, Draws

__all__ = ["EVALUATION_PASS", "Draws", "Masker"]
