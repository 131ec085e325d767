"""Whole-word masking: every word is drawn on its own, and all of its tokens are targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlmref.plugin.arrays import Probability
from mlmref.plugin.contracts import Batch, Options, Plan

if TYPE_CHECKING:
    from mlmref.plugin.draws import Draws


class WholeWordOptions(Options):
    """Options of ``whole-word``.

    Attributes:
        mlm_probability: the probability of each word to be a target (MASK-022).
    """

    mlm_probability: Probability = 0.2


class WholeWordMasking:
    """Chooses each word with the same probability, independently (MASK-006, MASK-011)."""

    def __init__(self, options: WholeWordOptions) -> None:
        self._probability = options.mlm_probability

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Draw for the k-th word of a row at the row's position k; there are never more words."""
        chosen = draws.bernoulli("whole-word", self._probability)
        height, width = chosen.shape
        # One flat look-up is several times as fast as a pair of index arrays. Outside words
        # (-1) it reads the cell before the row's first, which the last line leaves out.
        cells = batch.words + np.arange(height)[:, None] * width
        return Plan(targets=chosen.take(cells) & ~batch.special)
