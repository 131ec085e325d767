"""The SHA-256 of a user's file, cached between runs (CACHE-013, CACHE-014)."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from mlmref.base.disk import sealed, unsealed
from mlmref.data.cache import cache_folder, stamp_of
from mlmref.data.corpus.text_blocks import BLOCK, Advance

_SMALL = 1 << 16  # bytes; hashing a smaller file takes no longer than a look-up
_SECOND = 10**9  # nanoseconds
_SETTLED = 2 * _SECOND  # after a change; longer than a tick of any accepted clock


def identified(path: Path, advance: Advance) -> tuple[list[int], str]:
    """Return a file's stamp and SHA-256 in hexadecimal, from the cache or computed.

    Args:
        path: the file.
        advance: receives the number of bytes done.

    Raises:
        OSError: the file cannot be read.
    """
    # Opened even if nothing is read: this checks the permission, and makes a network file system
    # refresh the file's state. The stamp is of the opened file, even if the path changes.
    with path.open("rb") as file:
        now = time.time_ns()
        state = os.fstat(file.fileno())
        stamp = stamp_of(state)
        if state.st_size < _SMALL or not _settled(stamp, now):
            return stamp, _hashed(file, advance)
        memo = _Memo(path, [state.st_dev, *stamp])
        known = memo.read()
        if known is not None:
            advance(state.st_size)
            return stamp, known
        taken = _hashed(file, advance)
    memo.write(taken)
    return stamp, taken


def _settled(stamp: list[int], now: int) -> bool:
    """Return whether any later change must change this stamp.

    A change in the same tick of the file system's clock would not. Whole seconds are a sign of a
    coarse clock, or of a file system without change times. exFAT shows the modification time
    instead, in hundredths of a second.
    """
    modified, changed = stamp[-2:]
    shown = changed % _SECOND == 0 or (changed == modified and changed % (_SECOND // 100) == 0)
    return max(modified, changed) + _SETTLED <= now and not shown


def _hashed(file: BinaryIO, advance: Advance) -> str:
    taken = hashlib.sha256()
    while block := file.read(BLOCK):
        taken.update(block)
        advance(len(block))
    return taken.hexdigest()


class _Memo:
    """The SHA-256 of the file at a path, kept in a file of the cache."""

    def __init__(self, path: Path, stamp: list[int]) -> None:
        self._stamp = stamp
        self._key = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
        self._file = cache_folder() / "files" / f"{self._key}.json"

    def read(self) -> str | None:
        """Return the SHA-256 of the file with this stamp, or ``None``."""
        try:
            entry = unsealed(self._file.read_bytes())
        except (OSError, ValueError):
            return None
        if (entry.get("key"), entry.get("stamp")) != (self._key, self._stamp):
            return None
        known = entry.get("sha256")
        return known if isinstance(known, str) else None

    def write(self, taken: str) -> None:
        """Store the SHA-256 if possible, without a flush: a damaged file is ignored."""
        beside = self._file.with_suffix(f".{uuid.uuid4().hex}.new")
        entry = {"key": self._key, "stamp": self._stamp, "sha256": taken}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(sealed(entry))
            beside.replace(self._file)
        except OSError:
            pass
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
