"""Join tokens and cut them into chunks of one size (clauses CHUNK-001 to CHUNK-014).

A chunk is an interval of the stream: three numbers, no tokens. What it holds is looked up when
it is gathered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.data.tokens.tokens import Tokens
from mlmref.plugin.arrays import Int32Array, Int64Array
from mlmref.plugin.contracts import ChunkRows
from mlmref.settings.config import ChunkConfig

TUTORIAL_GROUP = 1_000
"""Documents that the tutorial joins at a time: the default batch of ``datasets.map`` (T09)."""

_BLOCK = 4_096  # rows looked at at a time where all of them are


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunks:
    """Some chunks of a stream of documents.

    Attributes:
        tokens: whose tokens they are.
        rule: how they were cut.
        documents: int64 ``[D]``, document numbers, in the order in which they are joined.
        offsets: int64 ``[D + 1]``, where in the stream each of them begins; last, its end.
        starts: int64 ``[N]``, where in the stream each chunk begins.
        lengths: int32 ``[N]``, tokens in each; ``rule.size`` but for padded remainders.
        ids: int64 ``[N]``, the chunk's number in the whole stream; the key of its masks.
    """

    tokens: Tokens
    rule: ChunkConfig
    documents: Int64Array
    offsets: Int64Array
    starts: Int64Array
    lengths: Int32Array
    ids: Int64Array

    def __len__(self) -> int:
        return len(self.starts)

    def select(self, rows: Int64Array) -> Chunks:
        """Return the chunks of these rows, in this order; they keep their ids (CHUNK-011)."""
        return replace(
            self, starts=self.starts[rows], lengths=self.lengths[rows], ids=self.ids[rows]
        )

    def parts(self) -> tuple[Int64Array, Int64Array]:
        """Tell which documents each of these chunks has tokens of (CHUNK-014).

        Returns:
            Rows and document numbers, both int64 ``[P]``: a pair for each document of each row,
            row by row, in the order of the stream.
        """
        pieces = _pieces(self.offsets, self.starts, self.starts + self.lengths)
        some = pieces.sizes > 0
        return pieces.rows[some], self.documents[pieces.nth[some]]

    def counts(self) -> Int64Array:
        """Count how often each token id stands in these chunks (CHUNK-013).

        Returns:
            int64 ``[size of the vocabulary]``; padding is not counted.
        """
        size = self.tokens.vocabulary.size
        counts = np.zeros(size, dtype=np.int64)
        for first in range(0, len(self), _BLOCK):
            rows = self.gather(np.arange(first, min(first + _BLOCK, len(self))))
            present = np.arange(self.rule.size) < rows.lengths[:, None]
            counts += np.bincount(rows.input_ids[present], minlength=size)
        return counts

    def gather(self, rows: Int64Array) -> ChunkRows:
        """Look up the tokens of some chunks (CHUNK-009).

        Args:
            rows: int64 ``[B]``, which of these chunks, in any order, repeated or not.

        Returns:
            The rows side by side, ``T = rule.size`` wide.

        Raises:
            IndexError: there is no such row.
        """
        size, starts, lengths = self.rule.size, self.starts[rows], self.lengths[rows]
        pieces = _pieces(self.offsets, starts, starts + lengths)
        documents = self.documents[pieces.nth]
        # A document's tokens are as far from their place in the stream as its first one is.
        away = self.tokens.offsets[documents] - self.offsets[pieces.nth]
        # A full chunk whose documents lie side by side, as they do in order, is one run of tokens.
        first = away[pieces.firsts]
        run = lengths == size
        run[pieces.rows[(away != first[pieces.rows]) & (pieces.sizes > 0)]] = False
        if run.all():
            input_ids, word_start = self.tokens.runs(starts + first, size)
        else:
            input_ids = np.empty((len(run), size), dtype=np.int32)
            word_start = np.empty((len(run), size), dtype=np.bool_)
            input_ids[run], word_start[run] = self.tokens.runs((starts + first)[run], size)
            other = ~run[pieces.rows]
            ids, begin = self.tokens.take(_each((pieces.begins + away)[other], pieces.sizes[other]))
            short = lengths[~run]
            input_ids[~run] = _rows(ids, short, size, self.tokens.vocabulary.pad_id)
            word_start[~run] = _rows(begin, short, size, fill=False)
        return ChunkRows(
            input_ids=input_ids,
            word_start=word_start,
            documents=_rows(np.repeat(documents, pieces.sizes), lengths, size, -1),
            lengths=lengths,
            chunk_ids=self.ids[rows],
        )


class _Pieces(NamedTuple):
    """What there is of each document in some intervals of a stream: ``P`` pieces, row by row.

    Attributes:
        rows: int64 ``[P]``, in which interval each piece is.
        nth: int64 ``[P]``, which of the stream's documents it is of.
        begins: int64 ``[P]``, where in the stream it begins.
        sizes: int64 ``[P]``, its tokens; none of an empty document between others.
        firsts: int64 ``[B]``, the first piece of each interval, which is not empty.
    """

    rows: Int64Array
    nth: Int64Array
    begins: Int64Array
    sizes: Int64Array
    firsts: Int64Array


def _pieces(offsets: Int64Array, starts: Int64Array, ends: Int64Array) -> _Pieces:
    """Divide intervals of a stream, none of them empty, by its documents."""
    first = np.searchsorted(offsets, starts, side="right") - 1
    counts = np.searchsorted(offsets, ends) - first
    nth = _each(first, counts)
    rows = np.repeat(np.arange(len(starts)), counts)
    begins = np.maximum(offsets[nth], starts[rows])
    sizes = np.minimum(offsets[nth + 1], ends[rows]) - begins
    return _Pieces(rows, nth, begins, sizes, firsts=np.cumsum(counts) - counts)


def _each(begins: Int64Array, counts: Int64Array) -> Int64Array:
    """Count up from each of the numbers: so many, one after the other."""
    ends = np.cumsum(counts)
    up = np.repeat(begins - (ends - counts), counts)
    up += np.arange(len(up))
    return up


def _rows(values: np.ndarray[Any, Any], lengths: Int32Array, size: int, fill: int) -> Any:
    """Lay values out in rows of these lengths, filled up to one size."""
    if len(values) == len(lengths) * size:
        return values.reshape(len(lengths), size)
    rows = np.full((len(lengths), size), fill)
    rows[np.arange(size) < lengths[:, None]] = values
    return rows


def check_size(rule: ChunkConfig, max_length: int) -> None:
    """Refuse chunks that are longer than the model takes (CHUNK-008).

    Raises:
        ConfigError: they are.
    """
    if rule.size > max_length:
        raise ConfigError(
            f"chunks of {rule.size:,} tokens are too long for a model that takes {max_length:,}",
            where="chunks.size",
            hint=f"use --chunk-size {max_length} or less",
        )


def chunk(
    tokens: Tokens,
    rule: ChunkConfig,
    *,
    max_length: int | None = None,
    documents: Int64Array | None = None,
) -> Chunks:
    """Join documents and cut them.

    Args:
        tokens: the documents.
        rule: size, scope and what to do with the remainder.
        max_length: the tokens that the model takes.
        documents: int64 ``[D]``, which documents to join, in this order; all by default.

    Raises:
        ConfigError: chunks are longer than the model takes (CHUNK-008).
        CorpusError: there is not one chunk (CHUNK-007).
    """
    if max_length is not None:
        check_size(rule, max_length)
    if documents is None:
        documents = np.arange(len(tokens.offsets) - 1)
    chunks = cut(tokens, rule, documents)
    if not len(chunks):
        total = chunks.offsets[-1]
        group = f" within {TUTORIAL_GROUP:,} documents" if rule.scope == "tutorial" else ""
        raise CorpusError(
            f"the {total:,} tokens there are do not fill one chunk of {rule.size:,}{group}",
            hint="use --remainder pad or a smaller --chunk-size"
            if total
            else "give a model whose tokenizer knows the words of this corpus",
        )
    return chunks


def documents_joined(rule: ChunkConfig, documents: int) -> int:
    """Return how many of so many documents are joined before they are cut."""
    return TUTORIAL_GROUP if rule.scope == "tutorial" else max(1, documents)


def cut(tokens: Tokens, rule: ChunkConfig, documents: Int64Array) -> Chunks:
    """Join documents and cut them as :func:`chunk` does, were it to no chunk at all."""
    offsets = np.append(0, np.cumsum(np.diff(tokens.offsets)[documents]))
    edges = np.append(offsets[:: documents_joined(rule, len(documents))], offsets[-1])
    whole, rest = np.divmod(np.diff(edges), rule.size)
    counts = whole + ((rest > 0) & (rule.remainder == "pad"))
    ends = np.cumsum(counts)
    ids = np.arange(ends[-1])
    groups = np.repeat(np.arange(len(counts)), counts)
    starts = edges[groups] + (ids - (ends - counts)[groups]) * rule.size
    return Chunks(
        tokens=tokens,
        rule=rule,
        documents=documents,
        offsets=offsets,
        starts=starts,
        lengths=np.minimum(rule.size, edges[groups + 1] - starts).astype(np.int32),
        ids=ids,
    )
