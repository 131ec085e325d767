"""Make, select, cut and pad rows of chunks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlmref.plugin.arrays import Int64Array
from mlmref.plugin.batches import ChunkRows, Vocabulary


def make_rows(
    vocabulary: Vocabulary,
    input_ids: Any,
    word_start: Any = None,
    lengths: Any = None,
    chunk_ids: Any = None,
) -> ChunkRows:
    """Return rows as mlmref makes them; corrects padding and the words of special tokens.

    Args:
        vocabulary: has the special ids and the padding.
        input_ids: ``[B, T]``.
        word_start: ``[B, T]``; by default every token is a word.
        lengths: ``[B]``; by default no row is padded.
        chunk_ids: ``[B]``; by default 0, 1, 2, ...
    """
    ids = np.asarray(input_ids, dtype=np.int32)
    height, width = ids.shape
    filled = np.full(height, width) if lengths is None else np.asarray(lengths)
    starts = np.ones(ids.shape, dtype=np.bool_) if word_start is None else np.asarray(word_start)
    numbers = np.arange(height) if chunk_ids is None else np.asarray(chunk_ids)
    present = np.arange(width) < filled[:, None]
    special = np.isin(ids, vocabulary.special_ids)
    return ChunkRows(
        input_ids=np.where(present, ids, np.int32(vocabulary.pad_id)),
        word_start=(starts.astype(np.bool_) | special) & present,
        documents=np.where(present, 0, -1),
        lengths=filled.astype(np.int32),
        chunk_ids=numbers.astype(np.int64),
    )


def take_rows(rows: ChunkRows, which: Any) -> ChunkRows:
    """Return some of the rows, in this order."""
    index: Int64Array = np.atleast_1d(np.asarray(which, dtype=np.int64))
    return ChunkRows(
        input_ids=rows.input_ids[index],
        word_start=rows.word_start[index],
        documents=rows.documents[index],
        lengths=rows.lengths[index],
        chunk_ids=rows.chunk_ids[index],
    )


def cut_rows(rows: ChunkRows, first: int, end: int) -> ChunkRows:
    """Return the positions ``first`` to ``end`` of each row."""
    return ChunkRows(
        input_ids=rows.input_ids[:, first:end],
        word_start=rows.word_start[:, first:end],
        documents=rows.documents[:, first:end],
        lengths=np.clip(rows.lengths - first, 0, end - first).astype(np.int32),
        chunk_ids=rows.chunk_ids,
    )


def widen(rows: ChunkRows, by: int, pad_id: int) -> ChunkRows:
    """Return the rows with ``by`` more positions of padding."""
    fill = ((0, 0), (0, by))
    return ChunkRows(
        input_ids=np.pad(rows.input_ids, fill, constant_values=pad_id),
        word_start=np.pad(rows.word_start, fill),
        documents=np.pad(rows.documents, fill, constant_values=-1),
        lengths=rows.lengths,
        chunk_ids=rows.chunk_ids,
    )
