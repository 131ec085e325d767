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
from mlmref.data.tokenizer.vocabulary import special_mask
from mlmref.masking.masker import Masker, number_words, present
from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray, Int32Array, Int64Array
from mlmref.plugin.batches import ChunkRows, MaskedRows

Int8Array = NDArray[np.int8]

PLAIN, MASKED, REPLACED, KEPT, SPECIAL, PADDING = KINDS = range(6)
"""Kinds of positions: no target; a target that the model reads as the mask token, as another token,
or as itself; a special token; padding."""

NAMES = ("plain", "masked", "replaced", "kept", "special", "padding")
"""The names of :data:`KINDS`."""

_BLOCK = 256  # chunks that are masked at once


class Looked(NamedTuple):
    """Some chunks, masked, with the kind of each position.

    Attributes:
        rows: the chunks before masking.
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
    """Counts of positions and words in some masked chunks.

    Attributes:
        chunks: the number of chunks.
        tokens: ordinary tokens, which are neither special nor padding.
        targets: tokens to predict.
        masked: targets read as the mask token.
        replaced: targets read as another token.
        kept: targets read as themselves.
        words: words, including parts of words at the edges of chunks; ``None`` without word
            boundaries, like the next two.
        words_with_target: words with at least one target.
        words_whole: words in which every token is a target.
        shares: ``targets`` of the tokens; ``masked``, ``replaced`` and ``kept`` of the targets;
            ``words_with_target`` of the words; ``words_whole`` of those; NaN if the whole is 0.
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
    """Return some chunks masked, with the kind of each position.

    Args:
        masker: masks them, as in training.
        rows: the chunks.
        pass_: the pass of masks, from 0.

    Raises:
        PluginError: as of the masker.
    """
    masked = masker(rows, pass_)
    there, special = present(rows), special_mask(masker.vocabulary)[rows.input_ids]
    targets, read = masked.labels != IGNORE_INDEX, masked.input_ids
    kinds = np.select(
        [
            ~there,
            special,
            targets & (read == rows.input_ids),
            targets & (read == masker.vocabulary.mask_id),
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
    """Return the rates of some chunks, counted block by block (PREV-007).

    Args:
        masker: masks them, as in training.
        chunks: the training chunks.
        which: int64 ``[N]``, which of them.
        pass_: the pass of masks, from 0.
        has_words: whether there are word boundaries.
        stage: receives the progress.
    """

    def blocks() -> Iterator[Looked]:
        for begin in range(0, len(which), _BLOCK):
            block = which[begin : begin + _BLOCK]
            yield look(masker, chunks.gather(block), pass_)
            stage.advance(len(block))

    return count(blocks(), has_words=has_words)


def count(blocks: Iterable[Looked], *, has_words: bool) -> Rates:
    """Return the rates of several blocks of chunks."""
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
    """Return which positions are targets."""
    targets: BoolArray = np.isin(kinds, (MASKED, REPLACED, KEPT))
    return targets


def _words(block: Looked) -> Int64Array:
    """Return the numbers of words, of words with a target, and of whole words, int64 ``[3]``."""
    inside = block.words >= 0
    height, width = block.words.shape
    number = (np.arange(height)[:, None] * width + block.words)[inside]
    sizes = np.bincount(number)
    targets = np.bincount(number, chosen(block.kinds)[inside])
    some = targets > 0
    return np.array([(sizes > 0).sum(), some.sum(), (some & (targets == sizes)).sum()])


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
