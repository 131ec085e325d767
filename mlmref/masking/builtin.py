"""The masking strategies that come with mlmref, registered as any plugin registers its own."""

from __future__ import annotations

from mlmref.masking.token import TokenMasking, TokenOptions
from mlmref.masking.whole_word import WholeWordMasking, WholeWordOptions
from mlmref.plugin.contracts import Corruption, StrategyEntry
from mlmref.plugin.hookspecs import hookimpl


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
