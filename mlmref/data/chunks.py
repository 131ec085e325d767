"""Join tokens and cut them into chunks of one size (clauses CHUNK-001 to CHUNK-014).

A chunk is an interval of the stream: three numbers and no tokens, which :meth:`Chunks.gather` looks
up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.data.as_dataset import as_dataset
from mlmref.data.intervals import each, padded, parts_of
from mlmref.data.tokens.tokens import Tokens
from mlmref.plugin.arrays import Int32Array, Int64Array
from mlmref.plugin.batches import ChunkRows
from mlmref.settings.config import ChunkConfig

TUTORIAL_GROUP = 1_000
"""Documents that the tutorial joins at a time: the default batch of ``datasets.map`` (T09)."""

if TYPE_CHECKING:
    import datasets

_BLOCK = 4_096  # rows that are gathered at once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chunks:
    """Some chunks of a stream of documents.

    Attributes:
        tokens: the tokens of all documents.
        rule: how the chunks were cut.
        documents: int64 ``[D]``, numbers of the joined documents, in order.
        offsets: int64 ``[D + 1]``, where in the stream each document begins; last, the end.
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

    def __repr__(self) -> str:
        documents = len(self.tokens.offsets) - 1
        return f"Chunks({len(self):,} of {self.rule.size:,} tokens, from {documents:,} documents)"

    def __getitem__(self, rows: slice | Int64Array | list[int]) -> Chunks:
        return self.select(np.arange(len(self))[rows])

    def select(self, rows: Int64Array) -> Chunks:
        """Return the chunks of these rows, in this order; they keep their ids (CHUNK-011)."""
        return replace(
            self, starts=self.starts[rows], lengths=self.lengths[rows], ids=self.ids[rows]
        )

    def parts(self) -> tuple[Int64Array, Int64Array]:
        """Return which documents have tokens in each of these chunks (CHUNK-014).

        Returns:
            Rows and document numbers, both int64 ``[P]``: one pair for each document of each row,
            in the order of the stream.
        """
        parts = parts_of(self.offsets, self.starts, self.starts + self.lengths)
        some = parts.sizes > 0
        return parts.rows[some], self.documents[parts.nth[some]]

    def counts(self) -> Int64Array:
        """Return how often each token id occurs in these chunks (CHUNK-013).

        Returns:
            int64 ``[size of the vocabulary]``; padding is not counted.
        """
        size = self.tokens.vocabulary.size
        counts = np.zeros(size, dtype=np.int64)
        for rows in self._blocks():
            present = np.arange(self.rule.size) < rows.lengths[:, None]
            counts += np.bincount(rows.input_ids[present], minlength=size)
        return counts

    def to_dataset(self) -> datasets.Dataset:
        """Return these chunks as a dataset in memory, for any training script (API-009).

        Each row has ``input_ids`` without padding, ``word_ids`` (the number of each token's word
        in the row, ``None`` for special tokens) and ``id``, the number of the chunk. ``word_ids``
        is missing if the tokenizer has no word boundaries. :func:`mlmref.from_dataset` is the
        inverse.
        """
        return as_dataset(self._blocks(), self.tokens.vocabulary, words=self.tokens.has_words)

    def _blocks(self) -> Iterator[ChunkRows]:
        """Yield all rows, some at a time."""
        for first in range(0, len(self), _BLOCK):
            yield self.gather(np.arange(first, min(first + _BLOCK, len(self))))

    def gather(self, rows: Int64Array) -> ChunkRows:
        """Return the tokens of some chunks, ``T = rule.size`` in each row (CHUNK-009).

        Args:
            rows: int64 ``[B]``, which of these chunks; any order and repetition is allowed.

        Raises:
            IndexError: a row does not exist.
        """
        size, starts, lengths = self.rule.size, self.starts[rows], self.lengths[rows]
        parts = parts_of(self.offsets, starts, starts + lengths)
        documents = self.documents[parts.nth]
        # The distance from the joined stream to the token stream is the same within a document.
        away = self.tokens.offsets[documents] - self.offsets[parts.nth]
        # A full chunk of documents that are adjacent in the token stream is one run of tokens.
        first = away[parts.firsts]
        run = lengths == size
        run[parts.rows[(away != first[parts.rows]) & (parts.sizes > 0)]] = False
        if run.all():
            input_ids, word_start = self.tokens.runs(starts + first, size)
        else:
            input_ids = np.empty((len(run), size), dtype=np.int32)
            word_start = np.empty((len(run), size), dtype=np.bool_)
            input_ids[run], word_start[run] = self.tokens.runs((starts + first)[run], size)
            other = ~run[parts.rows]
            ids, begin = self.tokens.take(each((parts.begins + away)[other], parts.sizes[other]))
            short = lengths[~run]
            input_ids[~run] = padded(ids, short, size, self.tokens.vocabulary.pad_id)
            word_start[~run] = padded(begin, short, size, fill=False)
        return ChunkRows(
            input_ids=input_ids,
            word_start=word_start,
            documents=padded(np.repeat(documents, parts.sizes), lengths, size, -1),
            lengths=lengths,
            chunk_ids=self.ids[rows],
        )


def check_size(rule: ChunkConfig, max_length: int) -> None:
    """Raise a ConfigError if chunks are longer than the model reads (CHUNK-008)."""
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
    """Return the chunks of joined documents.

    Args:
        tokens: the tokens of all documents.
        rule: size, scope and handling of the remainder.
        max_length: the most tokens that the model reads.
        documents: int64 ``[D]``, which documents to join, in this order; all by default.

    Raises:
        ConfigError: chunks are longer than the model reads (CHUNK-008).
        CorpusError: the tokens do not fill one chunk (CHUNK-007).
    """
    if max_length is not None:
        check_size(rule, max_length)
    if documents is None:
        documents = np.arange(len(tokens.offsets) - 1)
    chunks = cut(tokens, rule, documents)
    if not len(chunks):
        total = chunks.offsets[-1]
        if not total:
            raise CorpusError(
                f"no document has a token that the tokenizer knows (documents: {len(documents):,})",
                hint="give a --model whose tokenizer knows this text; mlmref inspect with the same "
                "flags shows what is unknown",
            )
        group = f" within {TUTORIAL_GROUP:,} documents" if rule.scope == "tutorial" else ""
        raise CorpusError(
            f"{total:,} tokens do not fill one chunk of {rule.size:,}{group}",
            hint="use --remainder pad or a smaller --chunk-size",
        )
    return chunks


def documents_joined(rule: ChunkConfig, documents: int) -> int:
    """Return how many of ``documents`` documents are joined before cutting."""
    return TUTORIAL_GROUP if rule.scope == "tutorial" else max(1, documents)


def cut(tokens: Tokens, rule: ChunkConfig, documents: Int64Array) -> Chunks:
    """Return the chunks of joined documents like :func:`chunk`, also if there are none."""
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
