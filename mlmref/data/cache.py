"""The cache between runs: Arrow files, each with a sidecar that verifies it.

Clauses CACHE-001 to CACHE-012 and CACHE-015 (spec/cache.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlmref.base.disk import canonical, sealed, sha256, unsealed
from mlmref.base.errors import OutputError
from mlmref.data.cache_writer import Sink, gathered, writing

if TYPE_CHECKING:
    import datasets

Batches = Generator[pa.RecordBatch, None, dict[str, Any]]
"""Yields the rows of an entry in batches, and returns facts about them."""

_LAYOUT = 1  # version of an entry's two files; a new one replaces every entry


def cache_folder() -> Path:
    """Return the folder of the cache, which may not exist yet (CACHE-001).

    Raises:
        OutputError: no folder is set and the user has no home folder.
    """
    if chosen := os.environ.get("MLMREF_CACHE"):
        return Path(chosen)
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / "mlmref"
    try:
        return Path.home() / ".cache" / "mlmref"
    except RuntimeError as error:
        raise OutputError("there is no home folder", hint="set MLMREF_CACHE to a folder") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """An entry of the cache.

    Attributes:
        dataset: the rows, memory-mapped.
        file: the Arrow stream of the rows.
        facts: facts about the rows, as JSON values.
        key: SHA-256 in hexadecimal of everything that shaped the entry; the next station's key
            contains it.
        made: whether the entry is new; false if it was in the cache.
    """

    dataset: datasets.Dataset
    file: Path
    facts: dict[str, Any]
    key: str
    made: bool


def cached(
    station: str,
    parts: Mapping[str, object],
    schema: pa.Schema,
    make: Callable[[], Batches],
) -> Cached:
    """Return an entry of the cache, after making it if necessary.

    Args:
        station: the name of a folder in :func:`cache_folder`.
        parts: everything that shapes the entry, as JSON values: content, options, and the version
            of the step that makes it.
        schema: the columns.
        make: yields the rows in batches, and returns facts (JSON values) about them.

    Raises:
        OutputError: the cache cannot be written (CACHE-008).
        Exception: any error of ``make``; no file is left behind (CACHE-007).
    """
    identity = {
        "layout": _LAYOUT,
        "station": station,
        "parts": dict(parts),
        "schema": schema.to_string(show_schema_metadata=False),
    }
    key = hashlib.sha256(canonical(identity)).hexdigest()
    entry = _Entry(cache_folder() / station, key)
    facts = entry.facts()
    if facts is not None:
        return entry.serve(facts, made=False)
    try:
        return _made(entry, identity, schema, make)
    except OutputError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        # Users may remove the folder at any time (CACHE-012).
        return _made(entry, identity, schema, make)


def _made(
    entry: _Entry, identity: dict[str, Any], schema: pa.Schema, make: Callable[[], Batches]
) -> Cached:
    """Return an entry after making it, unless another run made it first."""
    from filelock import FileLock

    with writing(entry.folder):
        entry.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(entry.folder / f"{entry.key}.lock").acquire()
    with lock:
        facts = entry.facts()  # another run may have made it while this one waited
        made = facts is None
        if facts is None:
            with closing(make()) as batches:
                facts = entry.write(json.loads(canonical(identity)), schema, batches)
        with writing(entry.folder):
            return entry.serve(facts, made=made)


class _Entry:
    """The two files of an entry."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key
        self._data = folder / f"{key}.arrow"
        self._sidecar = folder / f"{key}.json"

    def serve(self, facts: dict[str, Any], *, made: bool) -> Cached:
        from datasets import Dataset

        rows = Dataset.from_file(str(self._data))
        return Cached(dataset=rows, file=self._data, facts=facts, key=self.key, made=made)

    def facts(self) -> dict[str, Any] | None:
        """Return the facts of an undamaged entry, or ``None`` (CACHE-004, CACHE-005)."""
        try:
            entry = unsealed(self._sidecar.read_bytes())
            if entry["key"] != self.key:
                return None
            now = stamp(self._data)
            # A later change in the same tick of the file system's clock would have the same stamp,
            # so a stamp counts only if the sidecar is newer.
            settled = self._sidecar.stat().st_mtime_ns > now[-1]
            if not (settled and entry["stamp"] == now) and sha256(self._data) != entry["sha256"]:
                return None
            facts: dict[str, Any] = entry["facts"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return facts

    def write(
        self,
        identity: dict[str, Any],
        schema: pa.Schema,
        batches: Batches,
    ) -> dict[str, Any]:
        """Write both files, the data first, and return the facts as JSON values."""
        # Unique names: without a lock (the folder was removed, or the file system has no locks) two
        # runs may write at once.
        own = f"{self.key}.{uuid.uuid4().hex}"
        data_part, sidecar_part = self.folder / f"{own}.part", self.folder / f"{own}.new"
        for left in (
            *self.folder.glob(f"{self.key}.*.part"),
            *self.folder.glob(f"{self.key}.*.new"),
        ):
            with suppress(OSError):  # left by a run that was killed
                left.unlink()
        facts: dict[str, Any] = {}

        def made() -> Iterator[pa.RecordBatch]:
            facts.update((yield from batches))

        try:
            with Sink(data_part) as sink, pa.ipc.new_stream(sink, schema) as writer:
                rows = 0
                for table in gathered(made()):
                    writer.write_table(table)
                    rows += table.num_rows
            with writing(self.folder):
                data_part.replace(self._data)
                now = stamp(self._data)
            entry = {
                **identity,
                "key": self.key,
                "rows": rows,
                "bytes": now[1],
                "sha256": sink.digest.hexdigest(),
                "stamp": now,
                "facts": json.loads(canonical(facts)),
            }
            with Sink(sidecar_part) as sink:
                sink.write(sealed(entry))
            with writing(self.folder):
                _await_tick(sidecar_part, now[-1])
                sidecar_part.replace(self._sidecar)
        except BaseException:
            for path in (data_part, sidecar_part, self._data, self._sidecar):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        returned: dict[str, Any] = entry["facts"]
        return returned


def _await_tick(path: Path, before: int) -> None:
    """Wait until a new file is later than a time stamp, unless the file system's clock is coarse.

    Otherwise each use of the entry would read all of its data (see :meth:`_Entry.facts`).
    """
    for _ in range(25):  # of 2 ms; most clocks tick every 1 to 10
        if path.stat().st_mtime_ns > before:
            return
        time.sleep(0.002)
        os.utime(path)


def stamp(path: Path) -> list[int]:
    """Return inode, size and times of a file: any change of the file changes them (CACHE-005)."""
    return stamp_of(path.stat())


def stamp_of(state: os.stat_result) -> list[int]:
    """Return the stamp of a file with this state."""
    return [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
