"""The types that the core and its plugins share: Protocols and frozen dataclasses.

Shapes: ``B`` rows (chunks) in a batch, ``T`` positions (tokens) in a row. Arrays are NumPy
arrays and are read-only for a strategy: what they hold belongs to the core.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from mlmref.plugin.arrays import BoolArray, Int32Array, Int64Array, Probability

if TYPE_CHECKING:
    from mlmref.plugin.draws import Draws


class Options(BaseModel):
    """Base of a plugin's options: typed, immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- words ---------------------------------------------------------------------------------


class WordSegmenter(Protocol):
    """Says at which characters of a text words begin."""

    @property
    def fingerprint(self) -> str:
        """Whatever shapes the answers beside the options and the plugin's version (SEG-005).

        The version of a dictionary or of a library, say; empty if there is nothing. Tokens are
        kept under it, so an author who changes the code without its version changes this.
        """
        ...

    def segment(self, texts: Sequence[str]) -> Iterable[Sequence[int] | NDArray[np.integer[Any]]]:
        """Tell where words begin: for each text the numbers of the characters, ascending.

        A character is a code point; a word ends where the next begins. A pure function of the
        texts: nothing is kept from one to the next (SEG-001 to SEG-003).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterEntry:
    """A word segmenter as its plugin registers it.

    Attributes:
        name: what ``--segmenter`` takes; lower-case letters, digits and ``-``.
        summary: one line for ``mlmref plugins``.
        build: makes the segmenter from its options; ``None`` leaves the words to the tokenizer.
        options: the type of the options; they reach TOML and ``--set words.options.KEY=``.
    """

    name: str
    summary: str
    build: Callable[[Any], WordSegmenter] | None
    options: type[Options] = Options


# --- chunks --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRows:
    """Some chunks side by side, as gathered from the tokens.

    Attributes:
        input_ids: int32 ``[B, T]``; ``pad_id`` from a row's length on.
        word_start: bool ``[B, T]``; true where a word begins, and at every special token.
        documents: int64 ``[B, T]``, the document each token comes from; -1 in the padding.
        lengths: int32 ``[B]``, tokens in each row.
        chunk_ids: int64 ``[B]``, unique within what is masked under one seed.
    """

    input_ids: Int32Array
    word_start: BoolArray
    documents: Int64Array
    lengths: Int32Array
    chunk_ids: Int64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedRows:
    """Chunks ready for the model.

    Attributes:
        input_ids: int32 ``[B, T]``, with the targets corrupted.
        labels: int32 ``[B, T]``, the true token at a target, ``IGNORE_INDEX`` elsewhere.
        attention_mask: bool ``[B, T]``, false in the padding.
    """

    input_ids: Int32Array
    labels: Int32Array
    attention_mask: BoolArray


# --- masking -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What a strategy may know of a tokenizer: plain numbers, no library object.

    Attributes:
        size: number of token ids; every id is in ``range(size)``.
        mask_id: the id of the mask token.
        pad_id: the id that fills the end of a short row.
        special_ids: int32 ``[S]``, ascending: all ids of special tokens (TOK-020).
        ordinary_ids: int32 ``[V]``, ascending: every other id; random replacements come
            from all of these and from nothing else (MASK-007).
        counts: int64 ``[size]``, how often each id stands in the training chunks; ``[0]`` for
            a strategy that does not declare ``needs_counts`` (MASK-033).
    """

    size: int
    mask_id: int
    pad_id: int
    special_ids: Int32Array
    ordinary_ids: Int32Array
    counts: Int64Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a masking strategy sees.

    Attributes:
        input_ids: int32 ``[B, T]``, the true tokens; ``pad_id`` after a short row's end.
        special: bool ``[B, T]``, true at special tokens and padding.
        words: int32 ``[B, T]``, the word's number within its row, counted from 0; -1 outside
            words, and everywhere for a strategy that does not declare ``needs_words``
            (MASK-015). Special tokens end a word, so words of two documents never join
            (MASK-012).
        chunk_ids: int64 ``[B]``, each row's chunk; the key of its draws.
        vocabulary: the tokenizer in plain numbers.
    """

    input_ids: Int32Array
    special: BoolArray
    words: Int32Array
    chunk_ids: Int64Array
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a masking strategy proposes; the core alone applies it.

    Attributes:
        targets: bool ``[B, T]``, the positions to predict; none of them special (MASK-003).
        replacements: integer ``[B, T]``, what the model reads at the targets, ignored
            elsewhere; ``None`` leaves it to the core's corruption policy.
    """

    targets: BoolArray
    replacements: NDArray[np.integer[Any]] | None = None


class Corruption(Options):
    """What the model reads at a target: shares that add up to 1 (Devlin et al. 2019, A.1).

    Attributes:
        mask: share of targets that become the mask token.
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
"""What ``options.mlm_probability`` is: the probability of each ordinary ``token`` or of each
``word`` to be a target, independently of the others, or the ``share`` of ordinary tokens that
are targets, over many chunks."""


Replaces = Literal["random", "own"]
"""What stands for a target, be it the mask token, its own or a ``random`` one (MASK-007), in
whatever shares, or tokens of the strategy's ``own`` choice, such as similar words or sentinels."""


class MaskingStrategy(Protocol):
    """Says which positions of a batch are to be predicted."""

    def propose(self, batch: Batch, draws: Draws) -> Plan:
        """Propose the targets of a batch.

        A pure function of its arguments: all randomness comes from ``draws``, nothing is kept
        between calls and nothing in ``batch`` is written to (MASK-001, MASK-009, MASK-010).
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyEntry:
    """A masking strategy as its plugin registers it.

    Attributes:
        name: what ``--masking`` takes; lower-case letters, digits and ``-``.
        summary: one line for ``mlmref plugins``.
        build: makes the strategy from its options.
        options: the type of the options; they reach TOML and ``--set masking.options.KEY=``.
        corruption: the policy when the user names none.
        needs_words: whether the strategy reads ``batch.words``; a tokenizer that cannot tell
            words is then refused before anything runs.
        needs_counts: whether it reads ``batch.vocabulary.counts``.
        whole_words: whether it promises that the tokens of a word are targets together or not
            at all (MASK-011); needs words.
        rate: what ``options.mlm_probability`` is (MASK-006); ``None`` if there is no such option
            or if it means something else.
        replaces: what its plans say that the model reads at the targets (MASK-036), so that there
            is no corruption policy to choose; ``None`` leaves that to the core.
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
    replaces: Replaces | None = None

    def problem(self) -> str | None:
        """Return how the entry's declarations contradict each other; ``None`` if they do not."""
        if self.whole_words and not self.needs_words:
            return "whole_words is declared without needs_words"
        if self.rate not in {None, *get_args(Rate)}:
            return f"unknown rate {self.rate!r}"
        if self.replaces not in {None, *get_args(Replaces)}:
            return f"unknown replaces {self.replaces!r}"
        if self.rate and "mlm_probability" not in self.options.model_fields:
            return "rate is declared without the option mlm_probability"
        return None
