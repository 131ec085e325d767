"""Intervals of a stream of documents: the part of each document in them, and rows from them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlmref.plugin.arrays import Int32Array, Int64Array


class Parts(NamedTuple):
    """The parts of documents in some intervals of a stream: ``P`` parts, row by row.

    Attributes:
        rows: int64 ``[P]``, the interval of each part.
        nth: int64 ``[P]``, the index of its document in the stream.
        begins: int64 ``[P]``, where in the stream it begins.
        sizes: int64 ``[P]``, its tokens; 0 for an empty document between others.
        firsts: int64 ``[B]``, the first part of each interval, which is not empty.
    """

    rows: Int64Array
    nth: Int64Array
    begins: Int64Array
    sizes: Int64Array
    firsts: Int64Array


def parts_of(offsets: Int64Array, starts: Int64Array, ends: Int64Array) -> Parts:
    """Return the parts of documents in non-empty intervals of a stream."""
    first = np.searchsorted(offsets, starts, side="right") - 1
    counts = np.searchsorted(offsets, ends) - first
    nth = each(first, counts)
    rows = np.repeat(np.arange(len(starts)), counts)
    begins = np.maximum(offsets[nth], starts[rows])
    sizes = np.minimum(offsets[nth + 1], ends[rows]) - begins
    return Parts(rows, nth, begins, sizes, firsts=np.cumsum(counts) - counts)


def each(begins: Int64Array, counts: Int64Array) -> Int64Array:
    """Return ``counts[i]`` consecutive numbers from each ``begins[i]``, concatenated."""
    ends = np.cumsum(counts)
    up = np.repeat(begins - (ends - counts), counts)
    up += np.arange(len(up))
    return up


def padded(values: np.ndarray[Any, Any], lengths: Int32Array, size: int, fill: int) -> Any:
    """Return values as rows of these lengths, each filled up to ``size``."""
    if len(values) == len(lengths) * size:
        return values.reshape(len(lengths), size)
    rows = np.full((len(lengths), size), fill)
    rows[np.arange(size) < lengths[:, None]] = values
    return rows
