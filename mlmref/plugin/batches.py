"""The arrays of masking: rows of chunks, the input and the output of a strategy.

Shapes: ``B`` rows (chunks) in a batch, ``T`` positions (tokens) in a row. A strategy must not write
to its input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmref.plugin.arrays import (
    IGNORE_INDEX,
    BoolArray,
    Int32Array,
    Int64Array,
    StrArray,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRows:
    """Rows of chunks before masking.

    Attributes:
        input_ids: int32 ``[B, T]``; ``pad_id`` from the end of a row on.
        word_start: bool ``[B, T]``; true where a word begins, and at every special token.
        documents: int64 ``[B, T]``, the number of each token's document; -1 in the padding.
        lengths: int32 ``[B]``, number of tokens in each row.
        chunk_ids: int64 ``[B]``, unique among all chunks that are masked under one seed.
    """

    input_ids: Int32Array
    word_start: BoolArray
    documents: Int64Array
    lengths: Int32Array
    chunk_ids: Int64Array

    def __repr__(self) -> str:
        return f"ChunkRows({_rows(self.input_ids)})"


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

    def __repr__(self) -> str:
        targets = np.count_nonzero(self.labels != IGNORE_INDEX)
        return f"MaskedRows({_rows(self.input_ids)}, {targets:,} targets)"


def _rows(ids: Int32Array) -> str:
    return f"{ids.shape[0]:,} rows of {ids.shape[1]:,} tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The tokenizer as plain numbers, for a strategy.

    Attributes:
        size: number of token ids; every id is in ``range(size)``.
        mask_id: the id of the mask token.
        pad_id: the id of padding.
        special_ids: int32 ``[S]``, ascending: the ids of all special tokens (TOK-020).
        ordinary_ids: int32 ``[V]``, ascending: all other ids. Random replacements are drawn from
            exactly these (MASK-007).
        counts: int64 ``[size]``, the count of each id in the training chunks; ``[0]`` for
            a strategy that does not declare ``needs_counts`` (MASK-033).
        continues: bool ``[size]``, whether each id continues a word by the tokenizer's own marks,
            such as ``##``; ``[0]`` if it has none (TOK-028).
        spelled: the tokens as the vocabulary spells them; a strategy reads ``tokens``.
    """

    size: int
    mask_id: int
    pad_id: int
    special_ids: Int32Array
    ordinary_ids: Int32Array
    counts: Int64Array = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    continues: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    spelled: tuple[str, ...] = field(default=(), repr=False)
    _tokens: list[StrArray] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def tokens(self) -> StrArray:
        """The tokens as the vocabulary spells them, such as ``##ing``, str ``[size]`` (TOK-028).

        Made on first use, and read-only. An id without a token has an empty string.
        """
        if not self._tokens:
            tokens = np.array(self.spelled, dtype=np.str_)
            tokens.flags.writeable = False
            self._tokens.append(tokens)
        return self._tokens[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The input of a masking strategy.

    Attributes:
        input_ids: int32 ``[B, T]``, the true tokens; ``pad_id`` after the end of a short row.
        special: bool ``[B, T]``, true at special tokens and padding.
        words: int32 ``[B, T]``, the number of the word within its row, from 0; -1 outside
            words, and everywhere for a strategy that does not declare ``needs_words``
            (MASK-015). Special tokens end a word, so no word spans two documents (MASK-012).
        chunk_ids: int64 ``[B]``, the chunk of each row; its draws are keyed by it.
        vocabulary: the tokenizer as plain numbers.
    """

    input_ids: Int32Array
    special: BoolArray
    words: Int32Array
    chunk_ids: Int64Array
    vocabulary: Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The output of a masking strategy; mlmref writes the labels and inputs from it.

    Attributes:
        targets: bool ``[B, T]``, the positions to predict; none of them special (MASK-003).
        replacements: integer ``[B, T]``, the tokens that the model reads at the targets; ignored
            elsewhere. ``None`` applies the corruption policy.
    """

    targets: BoolArray
    replacements: NDArray[np.integer[Any]] | None = None
