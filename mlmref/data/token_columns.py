"""Columns with one item per token, as Python's lists or as Arrow arrays: join them and cut rows."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmref.base.errors import CorpusError

_KINDS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


class TokenColumns(Protocol):
    """The columns of a batch.

    Attributes:
        names: their names.
        rows: the number of rows of the batch.
    """

    names: list[str]
    rows: int

    def sizes(self, name: str) -> Sequence[int]:
        """Return the items in each row of a column."""
        ...

    def cut(
        self, rest: Mapping[str, Any], size: int, end: int, *, labels: bool
    ) -> tuple[Any, dict[str, Any]]:
        """Return the items in rows of a size, and those that are left over, by column.

        Args:
            rest: the items left over by the batch before, by column; empty for the first batch.
            size: the items in a row.
            end: how many items to return, those of ``rest`` included.
            labels: whether to add ``labels``, a copy of ``input_ids``.
        """
        ...


class Lists:
    """Columns that are lists, or rows of a format such as ``numpy``."""

    def __init__(self, batch: Mapping[str, Sequence[Any]], where: str) -> None:
        self.names = list(batch)
        self._columns = {name: _lists(name, batch[name], where) for name in batch}
        self.rows = max((len(one) for one in self._columns.values()), default=0)

    def sizes(self, name: str) -> Sequence[int]:
        """Return the items in each row of a column."""
        return list(map(len, self._columns[name]))

    def cut(
        self, rest: Mapping[str, Any], size: int, end: int, *, labels: bool
    ) -> tuple[Any, dict[str, Any]]:
        """Return the items in rows of a size, and those that are left over, by column."""
        made: dict[str, list[list[Any]]] = {}
        left: dict[str, Any] = {}
        with _collector_paused():
            for name, lists in self._columns.items():
                made[name], left[name] = _cut(lists, rest.get(name, []), size, end)
            if labels:
                made["labels"] = [one.copy() for one in made["input_ids"]]
        return made, left


class Arrays:
    """Columns of an Arrow table, which are cut without making a Python object for each token."""

    def __init__(self, table: pa.Table, where: str) -> None:
        self.names = table.column_names
        self.rows = table.num_rows
        self._columns = {name: table.column(name).combine_chunks() for name in self.names}
        for name, column in self._columns.items():
            if not any(kind(column.type) for kind in _KINDS):
                raise not_tokens(name, where)

    def sizes(self, name: str) -> Sequence[int]:
        """Return the items in each row of a column."""
        return pc.fill_null(pc.list_value_length(self._columns[name]), 0).to_pylist()  # type: ignore[no-any-return]

    def cut(
        self, rest: Mapping[str, Any], size: int, end: int, *, labels: bool
    ) -> tuple[Any, dict[str, Any]]:
        """Return the items in rows of a size, and those that are left over, by column."""
        edges = pa.array(np.append(np.arange(0, end, size), end), pa.int32())
        made, left = {}, {}
        for name, column in self._columns.items():
            items = column.flatten()
            if name in rest:
                items = pa.concat_arrays([rest[name], items])
            made[name] = pa.ListArray.from_arrays(edges, items[:end])
            left[name] = items[end:]
        if labels:
            made["labels"] = made["input_ids"]
        return pa.table(made), left


def _cut(
    lists: list[list[Any]], rest: list[Any], size: int, end: int
) -> tuple[list[list[Any]], list[Any]]:
    """Return the first ``end`` of some items in rows of a size, and the others.

    Each item is copied once: joining all lists first would double the time.
    """
    rows: list[list[Any]] = []
    part = list(rest)
    for one in lists:
        begin = size - len(part)
        if len(one) < begin:
            part += one
            continue
        part += one[:begin]
        rows.append(part)
        last = begin + (len(one) - begin) // size * size
        rows += [one[at : at + size] for at in range(begin, last, size)]
        part = one[last:]
    if part and end % size:
        rows.append(part)
        part = []
    return rows, part


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Make many lists without a look at all objects of the process for every 700 of them."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def not_tokens(name: str, where: str) -> CorpusError:
    """Return the error about a column that does not have one item per token."""
    return CorpusError(
        "it does not have one item per token",
        where=f"{where}, column {name!r}",
        hint=f"remove it before: dataset.remove_columns([{name!r}])",
    )


def _lists(name: str, column: Sequence[Any], where: str) -> list[list[Any]]:
    if not all(isinstance(one, list) for one in column):
        column = [one.tolist() if hasattr(one, "tolist") else one for one in column]
        if not all(isinstance(one, list) for one in column):
            raise not_tokens(name, where)
    return list(column)
