"""Chunks from the rows of a ``datasets.Dataset`` (clause API-010)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmref.base.closest import suggest
from mlmref.base.errors import CorpusError
from mlmref.data.chunks import Chunks
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.data.tokens.tokens import Tokens
from mlmref.plugin.arrays import Int64Array
from mlmref.settings.config import ChunkConfig

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedTokenizerBase

_WHERE = "the dataset"


def from_dataset(dataset: datasets.Dataset, tokenizer: PreTrainedTokenizerBase) -> Chunks:
    """Return the rows of a dataset as chunks; the inverse of :meth:`Chunks.to_dataset`.

    Each row becomes one chunk, and counts as one document. Rows can have different lengths. The
    tutorial's datasets work too: without ``id`` the chunks are numbered from 0, and without
    ``word_ids`` the tokenizer's own marks, such as ``##``, say where words begin.

    >>> import mlmref
    >>> tokenizer = mlmref.load_tokenizer("embedded")
    >>> chunks = mlmref.chunk(mlmref.tokenize(["A great film.", "A bad film."], tokenizer), 4)
    >>> dataset = chunks.to_dataset()
    >>> dataset.column_names
    ['input_ids', 'word_ids', 'id']
    >>> mlmref.from_dataset(dataset, tokenizer)
    Chunks(3 of 4 tokens, from 3 documents)

    Args:
        dataset: has the column ``input_ids``, and may have ``word_ids`` and ``id``.
        tokenizer: the tokenizer that made the ``input_ids``.

    Raises:
        CorpusError: a column is missing or unusable, or a row has no token.
        ModelError: the tokenizer is not a fast one, or has no mask or no padding token.
    """
    if "input_ids" not in dataset.column_names:
        hint = suggest("input_ids", dataset.column_names)
        raise CorpusError("no column 'input_ids'", where=_WHERE, hint=hint)
    if not len(dataset):
        raise CorpusError("no row", where=_WHERE, hint="give a dataset that has rows")
    vocabulary = vocabulary_of(tokenizer)
    table = dataset.with_format("arrow")[:]
    ids, offsets = _lists(table, "input_ids")
    lengths = np.diff(offsets)
    if not lengths.all():
        empty = f"row {int(np.argmin(lengths)) + 1} has no token"
        raise CorpusError(empty, where=_WHERE, hint="remove empty rows")
    if wrong := np.flatnonzero((ids < 0) | (ids >= vocabulary.size)).tolist():
        row = int(np.searchsorted(offsets, wrong[0], side="right"))
        raise CorpusError(
            f"row {row} has the token {ids[wrong[0]]:,}, and the tokenizer has {vocabulary.size:,}",
            where=f"{_WHERE}, column 'input_ids'",
            hint="pass the tokenizer that made it",
        )
    begins = np.zeros(len(ids), dtype=np.bool_)
    if has_words := "word_ids" in dataset.column_names:
        words, edges = _lists(table, "word_ids")
        if not np.array_equal(edges, offsets):
            row = int(np.argmax(edges != offsets))
            raise CorpusError(
                f"row {row} has another length than in 'input_ids'",
                where=f"{_WHERE}, column 'word_ids'",
                hint="give each token one word id, or remove the column",
            )
        begins = words < 0
        begins[1:] |= words[1:] != words[:-1]
    elif has_words := len(vocabulary.continues) > 0:
        begins = ~vocabulary.continues[ids]
    begins[offsets[:-1]] = True
    columns = [
        pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
        for values in (pa.array(ids, pa.int32()), pa.array(begins.view(np.uint8)))
    ]
    from datasets import Dataset

    tokens = Tokens(
        Dataset(pa.table(columns, names=["input_ids", "word_start"])),
        vocabulary,
        has_words=has_words,
        fingerprint=dataset._fingerprint,
    )
    return Chunks(
        tokens=tokens,
        rule=ChunkConfig(size=max(2, int(lengths.max())), remainder="pad"),
        documents=np.arange(len(lengths)),
        offsets=offsets,
        starts=offsets[:-1],
        lengths=lengths.astype(np.int32),
        ids=_numbers(table, len(lengths)),
    )


def _lists(table: pa.Table, name: str) -> tuple[Int64Array, Int64Array]:
    """Return the values of a column of lists, -1 for ``None``, and the offsets of its rows."""
    column: Any = table.column(name).combine_chunks()
    try:
        sizes = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        values = pc.fill_null(pc.list_flatten(column).cast(pa.int64()), -1)
    except (pa.ArrowException, TypeError) as error:
        raise CorpusError(
            f"values of type {column.type}, not lists of integers",
            where=f"{_WHERE}, column {name!r}",
            hint="tokenize the texts first",
        ) from error
    return values.to_numpy(zero_copy_only=False), np.append(0, np.cumsum(sizes, dtype=np.int64))


def _numbers(table: pa.Table, rows: int) -> Int64Array:
    """Return the numbers of the chunks, which key their masks."""
    if "id" not in table.column_names:
        return np.arange(rows)
    column = table.column("id")
    numbers: Int64Array = np.arange(rows)
    if pa.types.is_integer(column.type) and not column.null_count:
        numbers = column.to_numpy().astype(np.int64)
        if len(np.unique(numbers)) == rows:
            return numbers
    raise CorpusError(
        "the ids are not integers that all differ",
        where=f"{_WHERE}, column 'id'",
        hint="remove the column, or number the rows",
    )
