"""Read the features of a data loader as rows to mask (spec/collator.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from mlmref.base.errors import CorpusError
from mlmref.data.words.of_segmenter import SegmentedWords
from mlmref.plugin.arrays import BoolArray, Int64Array
from mlmref.plugin.batches import Vocabulary

Feature = Mapping[str, Any]

READ = ("input_ids", "attention_mask", "special_tokens_mask", "word_ids", "offset_mapping", "id")
"""The columns that the collator reads; it replaces ``labels``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How features fill a batch.

    Attributes:
        lengths: int64 ``[B]``, tokens of each feature, its own padding included.
        width: positions of a row, ``T``.
        left: whether padding is on the left.
    """

    lengths: Int64Array
    width: int
    left: bool

    def rows(self, values: np.ndarray[Any, Any], fill: Any) -> np.ndarray[Any, Any]:
        """Return values of all tokens ``[sum of lengths]`` as rows ``[B, T]``, padded."""
        if len(values) == len(self.lengths) * self.width:
            return values.reshape(len(self.lengths), self.width)
        rows = np.full((len(self.lengths), self.width), fill, dtype=values.dtype)
        rows[self.filled] = values
        return rows

    @property
    def filled(self) -> BoolArray:
        """Which positions have a token of the feature, bool ``[B, T]``."""
        if self.lengths.min() == self.width:  # the usual case, and faster
            return np.ones((len(self.lengths), self.width), dtype=np.bool_)
        places = np.arange(self.width)
        if self.left:
            filled: BoolArray = places >= self.width - self.lengths[:, None]
        else:
            filled = places < self.lengths[:, None]
        return filled


def layout_of(features: Sequence[Feature], *, multiple_of: int | None, left: bool) -> Layout:
    """Return the layout of a batch of features.

    Raises:
        CorpusError: there is no feature, or one has no ``input_ids``.
    """
    try:
        lengths = np.fromiter((len(one["input_ids"]) for one in features), np.int64, len(features))
    except (KeyError, TypeError) as error:
        raise CorpusError(
            "a feature has no list of input_ids",
            hint='pass the output of tokenizer(...), such as {"input_ids": [101, 102]}',
        ) from error
    if not len(lengths):
        raise CorpusError("there are no features to collate")
    width, multiple = int(lengths.max()), multiple_of or 1
    return Layout(lengths=lengths, width=-(-width // multiple) * multiple, left=left)


def flat(features: Sequence[Feature], name: str, layout: Layout, dtype: Any) -> Any:
    """Return a column of all features as one array ``[sum of lengths]``.

    Raises:
        CorpusError: a value has another length than its ``input_ids``, or is not numeric.
    """
    values = _values(features, name, layout)
    try:
        if _are_lists(values):  # twice as fast as np.array
            return np.fromiter(chain.from_iterable(values), dtype, int(layout.lengths.sum()))
        return np.concatenate([np.asarray(value, dtype) for value in values])
    except (TypeError, ValueError, OverflowError) as error:
        raise CorpusError(f"column {name!r} is not a list of numbers per feature") from error


def _values(features: Sequence[Feature], name: str, layout: Layout) -> list[Any]:
    """Return a column's values, a sequence as long as ``input_ids`` for each feature."""
    try:
        values = [one[name] for one in features]
        sizes = list(map(len, values))
    except KeyError:
        raise CorpusError(f"a feature has no column {name!r}, which the first one has") from None
    except TypeError as error:
        raise CorpusError(f"column {name!r} is not a list of numbers per feature") from error
    if sizes != layout.lengths.tolist():
        raise CorpusError(f"column {name!r} and input_ids differ in length in a feature")
    return values


def flags(features: Sequence[Feature], name: str, layout: Layout) -> BoolArray | None:
    """Return a column of 0 and 1 as rows, bool ``[B, T]``; ``None`` if there is no such column."""
    if name not in features[0]:
        return None
    values = _values(features, name, layout)
    if _are_lists(values) and all(value.count(1) == len(value) for value in values):
        return layout.filled  # the usual case, and faster
    rows: BoolArray = layout.rows(flat(features, name, layout, np.int64) != 0, fill=False)
    return rows


def _are_lists(values: Sequence[Any]) -> bool:
    return all(type(value) is list for value in values)


def check_ids(ids: Int64Array, size: int) -> None:
    """Raise a CorpusError if a token id is not in ``range(size)``."""
    if len(ids) and not 0 <= ids.min() <= ids.max() < size:
        raise CorpusError(
            f"the tokenizer's vocabulary has no token {ids[(ids < 0) | (ids >= size)][0]}",
            hint="use the tokenizer that made the features",
        )


def word_starts(
    features: Sequence[Feature], ids: Int64Array, layout: Layout, vocabulary: Vocabulary
) -> BoolArray | None:
    """Return which tokens begin a word, bool ``[sum of lengths]``; ``None`` if nothing says so.

    The first of these decides: the column ``word_ids``, the column ``offset_mapping`` (a word
    begins after a gap), and the tokenizer's own marks.
    """
    starts = np.ones(len(ids), dtype=np.bool_)
    if "word_ids" in features[0]:
        words = flat(features, "word_ids", layout, np.float64)  # None becomes NaN: in no word
        np.not_equal(words[1:], words[:-1], out=starts[1:])
    elif "offset_mapping" in features[0]:
        spans = _spans(features, layout)
        np.not_equal(spans[1:, 0], spans[:-1, 1], out=starts[1:])
    elif len(vocabulary.continues):
        np.logical_not(vocabulary.continues.take(ids), out=starts)
    else:
        return None
    return starts


def _spans(features: Sequence[Feature], layout: Layout) -> Int64Array:
    """Return begin and end of each token in characters, int64 ``[sum of lengths, 2]``."""
    values = _values(features, "offset_mapping", layout)
    if _are_lists(values):  # several times as fast as asarray
        ends = chain.from_iterable(chain.from_iterable(values))
        return np.fromiter(ends, np.int64, 2 * int(layout.lengths.sum())).reshape(-1, 2)
    return np.concatenate([np.asarray(value, np.int64).reshape(-1, 2) for value in values])


def segmented_starts(
    features: Sequence[Feature], layout: Layout, words: SegmentedWords
) -> BoolArray:
    """Return which tokens begin a word of a segmenter, bool ``[sum of lengths]``.

    Raises:
        CorpusError: a feature has no ``text`` or no ``offset_mapping``.
        PluginError: the segmenter has a bug.
    """
    if not {"text", "offset_mapping"} <= features[0].keys():
        raise CorpusError(
            "a segmenter needs the columns text and offset_mapping",
            hint='add them with {"text": text, **tokenizer(text, return_offsets_mapping=True)}',
        )
    texts = [one.get("text", "") for one in features]
    seams = np.append(0, np.cumsum([len(text) for text in texts]))
    spans = _spans(features, layout) + np.repeat(seams[:-1], layout.lengths)[:, None]
    return words.starts_of(spans, texts, seams)


def others(features: Sequence[Feature], layout: Layout, pads: Mapping[str, int]) -> dict[str, Any]:
    """Return the columns that the collator does not read, as arrays.

    Args:
        features: of the batch.
        layout: of the batch.
        pads: the padding of a column; 0 for others.

    Returns:
        ``[B, T]`` for a column with a number per token, ``[B]`` for a column with a number per
        feature. Columns that are neither, such as texts, are omitted.
    """
    found: dict[str, Any] = {}
    for name in features[0].keys() - {*READ, "labels"}:
        values = [one.get(name) for one in features]
        try:
            if not any(isinstance(value, Sized) for value in values):
                found[name] = np.array(values)
            elif [len(value) for value in values if value] == layout.lengths.tolist():
                column = np.concatenate([np.asarray(value) for value in values])
                found[name] = layout.rows(column, pads.get(name, 0))
        except (TypeError, ValueError):
            continue
    return {name: value for name, value in found.items() if value.dtype.kind in "biuf"}
