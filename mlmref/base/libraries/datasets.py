"""The Arrow table of a batch in ``map`` of Datasets, and the processes of ``num_proc``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def table_of(batch: object) -> pa.Table | None:
    """Return the Arrow table of a batch; ``None`` if it is a dictionary, or was written to."""
    import pyarrow as pa

    if isinstance(batch, pa.Table):
        return batch
    table = getattr(batch, "pa_table", None)
    untouched = getattr(batch, "keys_to_format", None)
    if isinstance(table, pa.Table) and untouched == set(table.column_names):
        return table
    return None


def in_a_worker() -> bool:
    """Return whether this process was started by a ``map`` with ``num_proc``."""
    from multiprocess import parent_process

    return parent_process() is not None
