"""The tokens of all documents as one stream (clauses TOK-012 to TOK-014, TOK-025 and TOK-026)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from mlmref.data.tokens.columns import Segments
from mlmref.plugin.arrays import BoolArray, Int32Array, Int64Array
from mlmref.plugin.batches import Vocabulary

if TYPE_CHECKING:
    import datasets


class Tokens:
    """The tokens of all documents in order: the token stream.

    Attributes:
        dataset: ``input_ids: list<int32>``, ``word_start: list<uint8>``, ``visible: int32`` and
            ``lost: int32``, one row for each document.
        vocabulary: the tokenizer's vocabulary.
        has_words: whether ``word_start`` marks words (TOK-007).
        fingerprint: changes with everything that shaped the tokens.
        offsets: int64 ``[D + 1]``, the position of each document's first token in the stream;
            last, the number of all tokens.
    """

    def __init__(
        self,
        dataset: datasets.Dataset,
        vocabulary: Vocabulary,
        *,
        has_words: bool,
        fingerprint: str,
    ) -> None:
        self.dataset = dataset
        self.vocabulary = vocabulary
        self.has_words = has_words
        self.fingerprint = fingerprint
        # Views of the file's own buffers, without a copy (TOK-012).
        self._ids = Segments(dataset.data.column("input_ids"), np.int32)
        self._starts = Segments(dataset.data.column("word_start"), np.bool_)
        self.offsets: Int64Array = np.append(0, np.cumsum(self._ids.lengths))

    def __repr__(self) -> str:
        return f"Tokens({self.offsets[-1]:,} tokens in {len(self.offsets) - 1:,} documents)"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the file's name, not its content (TOK-014)."""
        return _tokens, (self.dataset, self.vocabulary, self.has_words, self.fingerprint)

    @property
    def skipped(self) -> Int64Array:
        """The numbers of the documents that were skipped: they have no ordinary token (TOK-025)."""
        return np.flatnonzero(np.diff(self.offsets) == 0)

    def characters(self, column: Literal["visible", "lost"]) -> Int64Array:
        """Return how many characters of each document are visible, or in no token (TOK-026)."""
        counted: Int64Array = self.dataset.data.column(column).to_numpy().astype(np.int64)
        return counted

    def take(self, positions: Int64Array) -> tuple[Int32Array, BoolArray]:
        """Return tokens by their position in the stream (TOK-013).

        Args:
            positions: int64, any shape.

        Returns:
            Token ids (int32) and word starts (bool), both in the shape of ``positions``.

        Raises:
            IndexError: a position is negative or past the end.
        """
        if not positions.size:
            return np.empty(positions.shape, np.int32), np.empty(positions.shape, np.bool_)
        segments = self._segments(positions)
        return self._ids.take(positions, segments), self._starts.take(positions, segments)

    def runs(self, begins: Int64Array, width: int) -> tuple[Int32Array, BoolArray]:
        """Return runs of adjacent tokens, faster than one by one (TOK-013).

        Args:
            begins: int64 ``[N]``, the position of each run's first token.
            width: tokens in each run, at least one.

        Returns:
            Token ids (int32) and word starts (bool), both ``[N, width]``.

        Raises:
            IndexError: a position is negative or past the end.
        """
        if not len(begins):
            return np.empty((0, width), np.int32), np.empty((0, width), np.bool_)
        segments = self._segments(begins)
        across = begins + width > self._ids.ends[segments]
        if not across.any():
            columns = (self._ids, self._starts)
            ids, starts = (column.runs(begins, width, segments) for column in columns)
            return ids, starts
        ids = np.empty((len(begins), width), dtype=np.int32)
        starts = np.empty((len(begins), width), dtype=np.bool_)
        ids[~across], starts[~across] = self.runs(begins[~across], width)
        # Runs that continue in another record batch.
        positions = begins[across][:, None] + np.arange(width)
        ids[across], starts[across] = self.take(positions)
        return ids, starts

    def _segments(self, positions: Int64Array) -> Int64Array:
        """Return the segment of each position, or one number if all share it, as is usual."""
        first, last = positions.min(), positions.max()
        if first < 0 or last >= self.offsets[-1]:
            raise IndexError(f"a position is not in range({self.offsets[-1]})")
        begins = self._ids.begins
        low, high = np.searchsorted(begins, [first, last], side="right") - 1
        return low if low == high else np.searchsorted(begins, positions, side="right") - 1


def _tokens(
    dataset: datasets.Dataset, vocabulary: Vocabulary, has_words: bool, fingerprint: str
) -> Tokens:
    return Tokens(dataset, vocabulary, has_words=has_words, fingerprint=fingerprint)
