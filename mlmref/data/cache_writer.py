"""Write files of the cache (CACHE-003, CACHE-004, CACHE-008 and CACHE-011)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from mlmref.base.errors import OutputError

_BATCH = 1 << 22  # bytes in a batch of a data file, at least


class Sink:
    """A new file that hashes its content, and is on disk once it is closed.

    Its failures are OutputErrors, which differ from an ``OSError`` of the code that makes the rows.
    """

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self.digest = hashlib.sha256()
        with writing(self._folder):
            self._file = path.open("wb")

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def write(self, data: Any) -> None:
        """Write bytes, or an object with a buffer."""
        self.digest.update(data)
        with writing(self._folder):
            self._file.write(data)

    def flush(self) -> None:
        """Pass the written bytes to the operating system."""
        with writing(self._folder):
            self._file.flush()

    def close(self) -> None:
        """Write everything to disk, and close the file."""
        with writing(self._folder):
            try:
                if not self._file.closed:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *rest: object) -> None:
        if not failed:
            self.close()
            return
        with suppress(OutputError):  # the first failure is reported
            self.close()


def gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield small batches joined: opening an entry takes time for each batch (CACHE-011)."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= _BATCH:
            yield pa.Table.from_batches(held).combine_chunks()
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the operating system into an OutputError (CACHE-008)."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write the cache ({error.strerror or error})",
            where=str(folder),
            hint="set MLMREF_CACHE to a folder that has room and can be written to",
        ) from error
