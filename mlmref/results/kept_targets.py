"""Read ``report.json`` and ``held_out.parquet``, which a run writes for its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.layout import FORMAT, HELD_OUT, KEPT

if TYPE_CHECKING:
    import pyarrow as pa


class VersionError(ValueError):
    """Another version of mlmref wrote the file in another format."""

    def __init__(self) -> None:
        super().__init__("another version of mlmref wrote it in another format")


def read_about(folder: Path) -> dict[str, Any]:
    """Return the contents of a run folder's ``report.json``.

    Raises:
        OSError: the file is missing or cannot be read.
        VersionError: the file has another format.
        ValueError, LookupError, TypeError: the file is damaged.
    """
    about: dict[str, Any] = json.loads((folder / KEPT).read_text("utf-8"))
    if about["format"] != FORMAT:
        raise VersionError
    return about


def read_targets(folder: Path) -> pa.Table:
    """Return a run folder's ``held_out.parquet``: a row for each target that was kept.

    Raises:
        OSError: the file is missing or cannot be read.
        VersionError: the file has another format.
        ValueError, LookupError: the file is damaged; pyarrow's errors are subclasses.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(folder / HELD_OUT)
    if json.loads((table.schema.metadata or {})[b"mlmref"])["format"] != FORMAT:
        raise VersionError
    text = pa.dictionary(pa.int32(), pa.string())
    schema = {
        "chunk": pa.int64(),
        "position": pa.int32(),
        "token": pa.int32(),
        "text": text,
        "word": text,
        "part": text,
        "count": pa.int64(),
        "before": pa.float32(),
        "after": pa.float32(),
    }
    return table.cast(pa.schema(schema), safe=False)
