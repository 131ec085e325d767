"""Rows of tokens as a ``datasets.Dataset`` (clause API-009)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlmref.data.tokenizer.vocabulary import special_mask
from mlmref.data.words.numbers import number_words
from mlmref.plugin.batches import ChunkRows, Vocabulary

if TYPE_CHECKING:
    import datasets

_LIST = pa.list_(pa.field("item", pa.int32()))


def as_dataset(
    blocks: Iterable[ChunkRows], vocabulary: Vocabulary, *, words: bool
) -> datasets.Dataset:
    """Return rows with the columns ``input_ids``, ``word_ids`` and ``id``, in memory.

    Args:
        blocks: the rows, some at a time.
        vocabulary: the tokenizer's vocabulary.
        words: whether the rows have word boundaries; without them there are no ``word_ids``.
    """
    from datasets import Dataset

    kinds = {"input_ids": _LIST, "word_ids": _LIST, "id": pa.int64()}
    schema = pa.schema({name: kind for name, kind in kinds.items() if words or name != "word_ids"})
    is_special = special_mask(vocabulary)
    batches = [_batch(rows, is_special[rows.input_ids], schema) for rows in blocks]
    return Dataset(pa.Table.from_batches(batches, schema))


def _batch(
    rows: ChunkRows, special: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], schema: pa.Schema
) -> pa.RecordBatch:
    there = np.arange(rows.input_ids.shape[1]) < rows.lengths[:, None]
    offsets = pa.array(np.append(0, np.cumsum(rows.lengths)), pa.int32())
    columns = [pa.ListArray.from_arrays(offsets, pa.array(rows.input_ids[there], pa.int32()))]
    if "word_ids" in schema.names:
        words = number_words(rows.word_start, special | ~there)[there]
        columns.append(pa.ListArray.from_arrays(offsets, pa.array(words, mask=words < 0)))
    return pa.record_batch([*columns, pa.array(rows.chunk_ids)], schema=schema)
