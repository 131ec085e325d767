"""Count how each position was masked, and the resulting rates (clauses PREV-004 and PREV-007)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlmref.base.progress import SILENT, Stage
from mlmref.data.chunks import Chunks
from mlmref.masking.masker import Masker, number_words, present
from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray, Int32Array, Int64Array
from mlmref.plugin.contracts import ChunkRows, MaskedRows

Int8Array = NDArray[np.int8]

PLAIN, MASKED, REPLACED, KEPT, SPECIAL, PADDING = KINDS = range(6)
"""What a position is: no target, a target read as the mask token, as another token, as itself; a
special token; padding."""

NAMES = ("plain", "masked", "replaced", "kept", "special", "padding")
"""The names of :data:`KINDS`."""

_BLOCK = 256  # chunks masked at a time where many are counted


class Looked(NamedTuple):
    """Some chunks, masked, with what became of each position.

    Attributes:
        rows: the chunks as they are.
        masked: the chunks as the model reads them.
        kinds: int8 ``[B, T]``, of :data:`KINDS`.
        words: int32 ``[B, T]``, the word's number within its row; -1 outside words.
    """

    rows: ChunkRows
    masked: MaskedRows
    kinds: Int8Array
    words: Int32Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How many of what came out, in some chunks.

    Attributes:
        chunks: chunks that were counted.
        tokens: ordinary tokens, which are neither special nor padding.
        targets: those that are to be predicted.
        masked: targets read as the mask token.
        replaced: targets read as another token.
        kept: targets read as themselves.
        words: words, a part of one at a chunk's edge being one; ``None`` where none are told, as
            with the two below.
        words_with_target: those with a target among their tokens.
        words_whole: those all of whose tokens are targets.
        shares: ``targets`` of the tokens; ``masked``, ``replaced`` and ``kept`` of the targets;
            ``words_with_target`` of the words; ``words_whole`` of those. No number (NaN) of none.
    """

    chunks: int
    tokens: int
    targets: int
    masked: int
    replaced: int
    kept: int
    words: int | None
    words_with_target: int | None
    words_whole: int | None
    shares: dict[str, float]


def look(masker: Masker, rows: ChunkRows, pass_: int) -> Looked:
    """Mask some chunks and tell what became of each position.

    Args:
        masker: masks them, as in training.
        rows: the chunks.
        pass_: the pass of masks, from 0.

    Raises:
        PluginError: as of the masker.
    """
    masked = masker(rows, pass_)
    vocabulary = masker.vocabulary
    is_special = np.zeros(vocabulary.size, dtype=np.bool_)
    is_special[vocabulary.special_ids] = True
    there, special = present(rows), is_special[rows.input_ids]
    targets, read = masked.labels != IGNORE_INDEX, masked.input_ids
    kinds = np.select(
        [
            ~there,
            special,
            targets & (read == rows.input_ids),
            targets & (read == vocabulary.mask_id),
            targets,
        ],
        [PADDING, SPECIAL, KEPT, MASKED, REPLACED],
        PLAIN,
    ).astype(np.int8)
    return Looked(rows, masked, kinds, number_words(rows.word_start, special | ~there))


def rates(
    masker: Masker,
    chunks: Chunks,
    which: Int64Array,
    pass_: int,
    *,
    has_words: bool,
    stage: Stage = SILENT,
) -> Rates:
    """Count what comes out in some chunks, a block of them at a time (PREV-007).

    Args:
        masker: masks them, as in training.
        chunks: the training chunks.
        which: int64 ``[N]``, which of them.
        pass_: the pass of masks, from 0.
        has_words: whether words are told.
        stage: told of each block.
    """

    def blocks() -> Iterator[Looked]:
        for begin in range(0, len(which), _BLOCK):
            block = which[begin : begin + _BLOCK]
            yield look(masker, chunks.gather(block), pass_)
            stage.advance(len(block))

    return count(blocks(), has_words=has_words)


def count(blocks: Iterable[Looked], *, has_words: bool) -> Rates:
    """Sum up what came out in some blocks of chunks."""
    chunks, kinds, of_words = 0, np.zeros(len(KINDS), np.int64), np.zeros(3, np.int64)
    for block in blocks:
        chunks += len(block.kinds)
        kinds += np.bincount(block.kinds.ravel(), minlength=len(KINDS))
        of_words += _words(block)
    masked, replaced, kept = (int(kinds[one]) for one in (MASKED, REPLACED, KEPT))
    targets = masked + replaced + kept
    tokens = targets + int(kinds[PLAIN])
    words, with_target, whole = map(int, of_words)
    shares = {
        "targets": _share(targets, tokens),
        "masked": _share(masked, targets),
        "replaced": _share(replaced, targets),
        "kept": _share(kept, targets),
    }
    if has_words:
        shares |= {
            "words_with_target": _share(with_target, words),
            "words_whole": _share(whole, with_target),
        }
    return Rates(
        chunks=chunks,
        tokens=tokens,
        targets=targets,
        masked=masked,
        replaced=replaced,
        kept=kept,
        words=words if has_words else None,
        words_with_target=with_target if has_words else None,
        words_whole=whole if has_words else None,
        shares=shares,
    )


def chosen(kinds: Int8Array) -> BoolArray:
    """Tell which positions are targets."""
    targets: BoolArray = np.isin(kinds, (MASKED, REPLACED, KEPT))
    return targets


def _words(block: Looked) -> Int64Array:
    """Count words, those with a target, and those all of whose tokens are targets."""
    inside = block.words >= 0
    height, width = block.words.shape
    number = (np.arange(height)[:, None] * width + block.words)[inside]
    sizes = np.bincount(number)
    targets = np.bincount(number, chosen(block.kinds)[inside])
    some = targets > 0
    return np.array([(sizes > 0).sum(), some.sum(), (some & (targets == sizes)).sum()])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
