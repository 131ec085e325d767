"""The built-in masking strategies, ``token`` and ``whole-word``, registered like any plugin's.

Token masking: Devlin et al. 2019, section 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlmref.plugin.arrays import Probability
from mlmref.plugin.batches import Batch, Plan
from mlmref.plugin.contracts import Corruption, Options, StrategyEntry
from mlmref.plugin.hookspecs import hookimpl

if TYPE_CHECKING:
    from mlmref.plugin.draws import Draws


class TokenOptions(Options):
    """Options of ``token``.

    Attributes:
        mlm_probability: the probability of each ordinary token to be a target (MASK-021).
    """

    mlm_probability: Probability = 0.15


class TokenMasking:
    """Selects each ordinary token with the same probability, independently (MASK-006)."""

    def __init__(self, options: TokenOptions) -> None:
        self._probability = options.mlm_probability

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Return a plan that is drawn at each position."""
        chosen = draws.bernoulli("token", self._probability)
        return Plan(targets=chosen & ~batch.special)


class WholeWordOptions(Options):
    """Options of ``whole-word``.

    Attributes:
        mlm_probability: the probability of each word to be a target (MASK-022).
    """

    mlm_probability: Probability = 0.2


class WholeWordMasking:
    """Selects each word with the same probability, independently (MASK-006, MASK-011)."""

    def __init__(self, options: WholeWordOptions) -> None:
        self._probability = options.mlm_probability

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Return a plan in which position k of a row decides about the row's k-th word."""
        chosen = draws.bernoulli("whole-word", self._probability)
        height, width = chosen.shape
        # One flat look-up is several times as fast as a pair of index arrays. Outside words (-1) it
        # reads the cell before the row's first one, and the last line removes it.
        cells = batch.words + np.arange(height)[:, None] * width
        return Plan(targets=chosen.take(cells) & ~batch.special)


@hookimpl
def mlmref_masking_strategies() -> list[StrategyEntry]:
    """Return ``token`` and ``whole-word`` with the tutorial's defaults (MASK-021, MASK-022)."""
    return [
        StrategyEntry(
            name="token",
            summary="each token on its own with probability 0.15, of them 80/10/10",
            build=TokenMasking,
            options=TokenOptions,
            rate="token",
        ),
        StrategyEntry(
            name="whole-word",
            summary="each word with probability 0.2, all of its tokens become the mask token",
            build=WholeWordMasking,
            options=WholeWordOptions,
            corruption=Corruption(mask=1.0, random=0.0, keep=0.0),
            needs_words=True,
            whole_words=True,
            rate="word",
        ),
    ]
