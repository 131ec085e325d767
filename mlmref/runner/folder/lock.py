"""Lock the place of a run folder against other runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mlmref.base.errors import OutputError


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Keep other runs out of a place.

    Raises:
        OutputError: another run is writing to it.
    """
    own = lock(place)
    try:
        yield
    finally:
        unlock(own)


def lock(place: Path) -> FileLock:
    """Lock a place.

    Raises:
        OutputError: another run is writing to it.
    """
    made = FileLock(place.with_name(f".{place.name}.lock"))
    try:
        made.acquire(timeout=0)
    except Timeout:
        raise OutputError("another run is writing to it", where=str(place)) from None
    return made


def unlock(held_lock: FileLock) -> None:
    """Release a lock and remove its file."""
    # Remove it first: filelock does not lock a file that has lost its name.
    Path(held_lock.lock_file).unlink(missing_ok=True)
    held_lock.release()
