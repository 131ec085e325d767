"""Token masking: every token is drawn on its own (Devlin et al. 2019, section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlmref.plugin.arrays import Probability
from mlmref.plugin.contracts import Batch, Options, Plan

if TYPE_CHECKING:
    from mlmref.plugin.draws import Draws


class TokenOptions(Options):
    """Options of ``token``.

    Attributes:
        mlm_probability: the probability of each ordinary token to be a target (MASK-021).
    """

    mlm_probability: Probability = 0.15


class TokenMasking:
    """Chooses each ordinary token with the same probability, independently (MASK-006)."""

    def __init__(self, options: TokenOptions) -> None:
        self._probability = options.mlm_probability

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Draw at each position."""
        chosen = draws.bernoulli("token", self._probability)
        return Plan(targets=chosen & ~batch.special)
