"""A column of lists as one array, although Arrow stores it in several buffers (TOK-012).

Arrow keeps a column in segments, one a record batch, and of a large file there are hundreds. To
visit each segment by itself would make a batch of random chunks the slower, the larger the corpus
is. All of them lie in one address space, though: an array that reaches from the lowest to the
highest is indexed once, and what lies between them is never looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import as_strided

from mlmref.plugin.arrays import Int64Array

Values = np.ndarray[Any, Any]


class Segments:
    """The values of a list column, where they are.

    Attributes:
        views: a view of the values of each record batch.
        lengths: int64 ``[D]``, how many values each row has.
        begins: int64 ``[S]``, where in the column each segment begins.
        ends: int64 ``[S]``, where it ends.
    """

    def __init__(self, column: pa.ChunkedArray, dtype: type[np.generic]) -> None:
        self.views: list[Values] = []
        lengths = [np.empty(0, dtype=np.int64)]
        for rows in column.chunks:
            offsets = rows.offsets.to_numpy()
            values = rows.values.to_numpy(zero_copy_only=True)[offsets[0] : offsets[-1]]
            self.views.append(values.view(dtype))
            lengths.append(np.diff(offsets).astype(np.int64))
        self.lengths: Int64Array = np.concatenate(lengths)
        sizes = np.array([len(view) for view in self.views], dtype=np.int64)
        self.ends: Int64Array = np.cumsum(sizes)
        self.begins: Int64Array = self.ends - sizes
        self._all, indices = _together(self.views)
        self._shifts: Int64Array = indices - self.begins

    def __len__(self) -> int:
        """Return the number of values."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def take(self, positions: Int64Array, segments: Int64Array) -> Values:
        """Look up values by position; the caller says in which segment each of them lies."""
        values: Values = self._all[positions + self._shifts[segments]]
        return values

    def runs(self, begins: Int64Array, width: int, segments: Int64Array) -> Values:
        """Look up runs of values, ``[N, width]``, none of which goes on past its segment."""
        step = self._all.itemsize
        # A row for each value that a run may begin at: numpy copies rows, not single values.
        windows: Values = np.ndarray(
            (len(self._all) - width + 1, width), self._all.dtype, self._all, strides=(step, step)
        )
        values: Values = windows[begins + self._shifts[segments]]
        return values


def _together(views: list[Values]) -> tuple[Values, Int64Array]:
    """Return an array that reaches over all views, and the index in it at which each begins."""
    filled = [view for view in views if len(view)]
    if not filled:
        return np.empty(0), np.zeros(len(views), dtype=np.int64)
    lowest = min(filled, key=_address)
    step = lowest.itemsize
    # An empty view's address says nothing, and nothing is looked up there.
    bytes_away = [_address(view) - _address(lowest) if len(view) else 0 for view in views]
    if any(away % step for away in bytes_away):  # no file of the cache is laid out like this
        return np.concatenate(views), np.cumsum([0, *map(len, views)], dtype=np.int64)[:-1]
    indices = [away // step for away in bytes_away]
    reach = max(index + len(view) for index, view in zip(indices, views, strict=True))
    return as_strided(lowest, (reach,), (step,), writeable=False), np.array(indices, np.int64)


def _address(view: Values) -> int:
    return int(view.ctypes.data)
