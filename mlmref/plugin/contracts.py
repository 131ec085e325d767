"""The types that the core and its plugins share: Protocols and frozen dataclasses.

The arrays of masking are in :mod:`mlmref.plugin.batches`, and the types of training in
:mod:`mlmref.plugin.training`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from mlmref.plugin.arrays import FloatArray, Probability

if TYPE_CHECKING:
    from mlmref.plugin.batches import Batch, Plan
    from mlmref.plugin.draws import Draws


class Options(BaseModel):
    """Base of a plugin's options: typed, immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- words ---------------------------------------------------------------------------------


class WordSegmenter(Protocol):
    """Finds the characters of a text at which words begin."""

    @property
    def fingerprint(self) -> str:
        """What shapes the answers besides the options and the plugin's version (SEG-005).

        For example, the version of a dictionary or of a library; empty if nothing else does. It is
        part of the key of cached tokens, so change it if you change the code but not its version.
        """
        ...

    def segment(self, texts: Sequence[str]) -> Iterable[Sequence[int] | NDArray[np.integer[Any]]]:
        """Return for each text the offsets of the characters at which words begin, ascending.

        A character is a code point. A word ends where the next one begins. The result depends only
        on the text: keep nothing from one text to the next (SEG-001 to SEG-003).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterEntry:
    """A word segmenter as its plugin registers it.

    Attributes:
        name: the value of ``--segmenter``; lower-case letters, digits and ``-``.
        summary: one line for ``mlmref plugins``.
        build: returns the segmenter from its options; ``None`` if the tokenizer defines the words.
        options: the type of the options, which users set with ``--set words.options.KEY=`` or in
            TOML.
    """

    name: str
    summary: str
    build: Callable[[Any], WordSegmenter] | None
    options: type[Options] = Options


# --- masking -------------------------------------------------------------------------------


class Corruption(Options):
    """The corruption policy: shares of the targets, which sum to 1 (Devlin et al. 2019, A.1).

    Attributes:
        mask: share of the targets that become the mask token.
        random: share that become a random ordinary token.
        keep: share that keep their own token.
    """

    mask: Probability = 0.8
    random: Probability = 0.1
    keep: Probability = 0.1

    @model_validator(mode="after")
    def _whole(self) -> Corruption:
        total = self.mask + self.random + self.keep
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise ValueError(f"mask, random and keep add up to {total:g}, not 1")
        return self


Rate = Literal["token", "word", "share"]
"""The meaning of ``options.mlm_probability``. For ``token`` and ``word`` it is the probability that
an ordinary token, or a word, is a target, independently of all others. For ``share`` it is the
share of the ordinary tokens that are targets, over many chunks."""


Replaces = Literal["random", "own"]
"""The replacements in a strategy's plans. For ``random`` they are the mask token, the true token or
a uniformly random ordinary token (MASK-007), in any shares. For ``own`` they are any tokens, such
as similar words or sentinels."""


class MaskingStrategy(Protocol):
    """Selects the positions of a batch to predict."""

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Return the targets of a batch.

        The result depends only on the arguments. Take all randomness from ``draws``, keep nothing
        between calls, and do not write to ``batch`` (MASK-001, MASK-009, MASK-010).
        """
        ...


class ExpectedRate(MaskingStrategy, Protocol):
    """A strategy that declares its rate as a function, which may differ between positions."""

    def expected(self, batch: Batch) -> FloatArray:
        """Return for each position ``[B, T]`` its probability to be a target; 0 if special.

        A row's result depends only on its tokens and words, the options and the vocabulary. It does
        not depend on the chunk ids or on other rows (MASK-037).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyEntry:
    """A masking strategy as its plugin registers it.

    Attributes:
        name: the value of ``--masking``; lower-case letters, digits and ``-``.
        summary: one line for ``mlmref plugins``.
        build: returns the strategy from its options.
        options: the type of the options, which users set with ``--set masking.options.KEY=`` or in
            TOML.
        corruption: the corruption policy, unless the user sets another one.
        needs_words: whether the strategy reads ``batch.words``. A run then refuses a tokenizer
            without word boundaries before it does any work.
        needs_counts: whether the strategy reads ``batch.vocabulary.counts``.
        whole_words: whether the tokens of a word are always targets together or not at all
            (MASK-011); requires ``needs_words``.
        rate: the meaning of ``options.mlm_probability`` (MASK-006); ``None`` if the option does
            not exist or means something else.
        expected: whether the strategy has the method ``expected``, which returns the probability of
            each position to be a target (MASK-037). It may also declare ``rate``.
        replaces: the kind of replacements in its plans (MASK-036); a run then refuses a corruption
            policy. ``None`` if the plans have none, so that the corruption policy applies.
    """

    name: str
    summary: str
    build: Callable[[Any], MaskingStrategy]
    options: type[Options] = Options
    corruption: Corruption = field(default_factory=Corruption)
    needs_words: bool = False
    needs_counts: bool = False
    whole_words: bool = False
    rate: Rate | None = None
    expected: bool = False
    replaces: Replaces | None = None

    def problem(self) -> str | None:
        """Return how the entry's declarations contradict each other; ``None`` if they do not."""
        if self.whole_words and not self.needs_words:
            return "whole_words is declared without needs_words"
        if self.rate not in {None, *get_args(Rate)}:
            return f"unknown rate {self.rate!r}"
        if self.expected not in {True, False}:
            return "expected is not True or False: it declares the method of the strategy"
        if self.replaces not in {None, *get_args(Replaces)}:
            return f"unknown replaces {self.replaces!r}"
        if self.rate and "mlm_probability" not in self.options.model_fields:
            return "rate is declared without the option mlm_probability"
        return None
