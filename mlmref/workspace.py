"""The run folder: built beside its place and renamed into it, whole or not at all (RUN-003)."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from mlmref.errors import OutputError

RUNS = Path("runs")
"""Where a run without ``--output`` puts its folder."""


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""What a disk says that is full, or at its end."""


class RunFolder:
    """A context in which ``building`` is a folder to write to; :meth:`finish` puts it in place.

    Args:
        wanted: the folder as the user gave it, or ``None`` for a new one under ``runs/``.
        label: what the name of a new one ends with.

    Attributes:
        place: where the folder will be.
        building: where it is until then; gone afterwards, whatever happens.

    Raises:
        OutputError: the folder holds something, another run is writing to it, or nothing can
            be written there.
    """

    def __init__(self, wanted: str | None, label: str) -> None:
        self._wanted = None if wanted is None else Path(wanted).expanduser()
        self._label = label
        self._kept = False

    def __enter__(self) -> RunFolder:
        parent = RUNS if self._wanted is None else self._wanted.absolute().parent
        self._made = [one for one in (parent, *parent.absolute().parents) if not one.exists()]
        self._lock: FileLock | None = None
        try:
            parent.mkdir(parents=True, exist_ok=True)
            self.place, self._lock = self._claim(parent)
            self.building = Path(tempfile.mkdtemp(prefix=f".{self.place.name}.", dir=parent))
            self.building.chmod(0o755)
        except OSError as error:
            self._clear()
            raise OutputError(
                f"nothing can be written there ({error.strerror})",
                where=str(self._wanted or parent),
                hint="choose another folder with --output",
            ) from None
        except BaseException:
            self._clear()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._kept:
            shutil.rmtree(self.building, ignore_errors=True)
        self._clear()
        if isinstance(error, OSError) and error.errno in _DISK:
            raise OutputError(
                f"nothing more can be written ({error.strerror}), so nothing was kept",
                where=str(self.place),
                hint="make room, or choose another disk with --output",
            ) from error

    def finish(self) -> Path:
        """Flush everything to the disk and rename the folder into its place.

        Raises:
            OutputError: something has come to stand in its place; the result stays where it is.
        """
        for file in sorted(self.building.rglob("*")):
            _flush(file)
        _flush(self.building)
        try:
            self.building.rename(self.place)
        except OSError as error:
            self._kept = True
            raise OutputError(
                f"the finished run cannot be put there ({error.strerror})",
                where=str(self.place),
                hint=f"it is whole, in {self.building}: move it from there",
            ) from error
        _flush(self.place.parent)
        return self.place

    def _clear(self) -> None:
        """Give the place up, and remove the folders above it that were made for it."""
        if self._lock is not None:
            _unlock(self._lock)
        for folder in self._made:
            if not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()

    def _claim(self, parent: Path) -> tuple[Path, FileLock]:
        if self._wanted is not None:
            return self._wanted, _lock(self._wanted, self._wanted.name)
        number = 1
        while True:
            place = parent / f"{number:03}-{self._label}"
            try:
                lock = _lock(place, place.name[:3])
            except OutputError:
                pass  # another run has just taken the number
            else:
                if not [*parent.glob(f"{number:03}-*")]:
                    return place, lock
                _unlock(lock)
            number += 1


def _lock(place: Path, name: str) -> FileLock:
    """Take a place for this run, if it is free."""
    lock = FileLock(place.parent / f".{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError("another run is writing to it", where=str(place)) from None
    try:
        free = _is_free(place)
    except BaseException:
        _unlock(lock)
        raise
    if not free:
        _unlock(lock)
        raise OutputError(
            "there is something already, and it stays as it is",
            where=str(place),
            hint="choose a new folder with --output, or remove that one",
        )
    return lock


def _is_free(place: Path) -> bool:
    """Tell whether a folder can be renamed to this place: nothing is there, or an empty folder."""
    if place.is_symlink() or place.is_mount():
        return False
    return not place.exists() or (place.is_dir() and not any(place.iterdir()))


def _unlock(lock: FileLock) -> None:
    # In this order: filelock takes no lock on a file that has lost its name.
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
