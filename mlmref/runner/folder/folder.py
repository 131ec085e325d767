"""The run folder: built beside its place and renamed when complete (RUN-003).

Until then it is ``NAME.unfinished``. A run that ends before its time leaves it behind only if it
has a checkpoint, to go on from (RUN-002).
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from mlmref.base import layout
from mlmref.base.disk import FULL, flush
from mlmref.base.errors import MlmrefError, OutputError
from mlmref.base.layout import RUNS, unfinished
from mlmref.base.ranks.consensus import LostError, RankError, by_main
from mlmref.base.ranks.process import is_main, world_size
from mlmref.runner.folder import checkpoint


class RunFolder:
    """A context in which ``building`` is a folder to write to; :meth:`finish` puts it in place.

    All ranks enter it and know the names; the folder is the main process's.

    Args:
        place: where the folder is to be, or ``None`` for a new one under ``runs/``.
        label: what the name of a new one ends with.
        marker: what marks the folder as an unfinished run's; ``None`` goes on in one that is
            there.
        flags: what going on with it has to be told besides, as arguments of the command line.

    Attributes:
        place: where the folder will be.
        building: where it is until then; afterwards it is gone, unless it has a checkpoint.

    Raises:
        OutputError: the place holds something, another run is writing to it, there is an
            unfinished run and a new one was asked for, or nothing can be written there.
    """

    def __init__(
        self,
        place: Path | None,
        label: str,
        marker: bytes | None = b"",
        flags: Sequence[str] = (),
    ) -> None:
        self._wanted, self._label, self._marker, self._flags = place, label, marker, flags
        self._kept = self._whole = False
        self._step_before: int | None = None

    def __enter__(self) -> RunFolder:
        self.place = Path(by_main(self._enter))
        self.building = unfinished(self.place)
        return self

    def _enter(self) -> str:
        parent = RUNS if self._wanted is None else self._wanted.absolute().parent
        self._made = [one for one in (parent, *parent.absolute().parents) if not one.exists()]
        self._lock: FileLock | None = None
        try:
            parent.mkdir(parents=True, exist_ok=True)
            if self._wanted is None:
                self._take_the_next(parent)
            else:
                self._take(self._wanted)
        except OSError as error:
            self._clear()
            raise OutputError(
                f"the folder cannot be written ({error.strerror})",
                where=str(self._wanted or parent),
                hint="choose another folder with --output",
            ) from None
        except BaseException:
            self._clear()
            raise
        return str(self.place)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not is_main():
            return
        step = checkpoint.last_step(self.building / layout.CHECKPOINTS)
        if step is None and not (self._kept or self._marker is None):
            shutil.rmtree(self.building, ignore_errors=True)
        self._clear()
        there = self._whole and not self.building.exists()
        if there and error is not None and not isinstance(error, Exception):
            error.add_note(f"the run is complete, in {self.place}")
        saved = (
            None
            if step is None
            else f"saved at step {step:,}: {how_to_go_on(self.place, self._flags)}"
        )
        # What the run itself is to blame for would only come again.
        if (
            saved
            and isinstance(error, MlmrefError)
            and not isinstance(error, RankError | LostError)
        ):
            saved = f"what was trained until step {step:,} is kept in {self.building}"
        if isinstance(error, OSError) and error.errno in FULL:
            full = OutputError(
                f"cannot write any more ({error.strerror})"
                + ("" if saved else ", so nothing was kept"),
                where=str(self.place),
                hint="make room" if saved else "make room, or choose another disk with --output",
            )
            if saved:
                full.add_note(saved)
            raise full from error
        # What is refused before it has trained has its own line, with what to do.
        news = step != self._step_before or not isinstance(error, MlmrefError)
        if error is not None and saved and news and not self._kept:
            error.add_note(saved)

    def finish(self) -> Path:
        """Flush everything to the disk and rename the folder into its place.

        Raises:
            OutputError: something has come to stand in its place; the result stays where it is.
        """
        for file in sorted(self.building.rglob("*")):
            flush(file)
        flush(self.building)
        self._whole = True
        try:
            self.building.rename(self.place)
        except OSError as error:
            self._kept = True
            raise OutputError(
                f"the finished run cannot be put there ({error.strerror})",
                where=str(self.place),
                hint=f"it is whole, in {self.building}: move it from there",
            ) from error
        flush(self.place.parent)
        return self.place

    def _take_the_next(self, parent: Path) -> None:
        """Take a place under the first number that is free; its unfinished folder holds it."""
        number = 1
        while True:
            with suppress(Timeout):  # another run is just taking the number
                lock = FileLock(parent / f".{number:03}.lock")
                lock.acquire(timeout=0)
                try:
                    if not [*parent.glob(f"{number:03}-*")]:
                        self._take(parent / f"{number:03}-{self._label}")
                        return
                finally:
                    _unlock(lock)
            number += 1

    def _take(self, place: Path) -> None:
        """Take a place for this run, if it is free, and make the folder to build in."""
        self.place, self.building = place, unfinished(place)
        self._lock = _lock(place)
        if not _is_free(place):
            raise OutputError(
                "already exists; nothing was changed",
                where=str(place),
                hint="choose a new folder with --output, or remove that one",
            )
        if self._marker is None:
            self._step_before = checkpoint.last_step(self.building / layout.CHECKPOINTS)
        elif self.building.exists() or self.building.is_symlink():
            raise OutputError(
                "an unfinished run exists there; nothing was changed",
                where=str(self.building),
                hint=f"{how_to_go_on(place, self._flags)}; or choose another folder with --output",
            )
        else:
            self._make(self._marker)

    def _make(self, marker: bytes) -> None:
        """Make the folder to build in with its marker, at once, so that a kill leaves no other."""
        new = self.place.with_name(f".{self.place.name}.new")
        ours = {new / layout.CHECKPOINTS, new / layout.CHECKPOINTS / layout.RUN}
        if {*new.rglob("*")} - ours:
            raise OutputError(
                "already exists; nothing was changed",
                where=str(new),
                hint="choose a new folder with --output, or move that one away",
            )
        new.mkdir(exist_ok=True)  # a kill may have left one, and nobody else is at it
        try:
            (new / layout.CHECKPOINTS).mkdir(exist_ok=True)
            (new / layout.CHECKPOINTS / layout.RUN).write_bytes(marker)
            for made in (new / layout.CHECKPOINTS / layout.RUN, new / layout.CHECKPOINTS, new):
                flush(made)
            new.rename(self.building)
            flush(self.building.parent)
        except BaseException:
            with suppress(OSError):
                (new / layout.CHECKPOINTS / layout.RUN).unlink()
                (new / layout.CHECKPOINTS).rmdir()
                new.rmdir()
            raise

    def _clear(self) -> None:
        """Give the place up, and remove the folders above it that were made for it."""
        if self._lock is not None:
            _unlock(self._lock)
        for folder in self._made:
            if not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Keep other runs out of a place for a while.

    Raises:
        OutputError: another run is writing to it.
    """
    lock = _lock(place)
    try:
        yield
    finally:
        _unlock(lock)


def how_to_go_on(place: Path, flags: Sequence[str] = ()) -> str:
    """Say which command goes on with an unfinished run."""
    name = f"./{place}" if str(place) == "auto" else str(place)  # which --resume takes otherwise
    if world_size() > 1:
        return f"resume with the same command and --resume {shlex.quote(name)}"
    return "resume with " + shlex.join(["mlmref", "run", "--resume", name, *flags])


def _lock(place: Path) -> FileLock:
    lock = FileLock(place.with_name(f".{place.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError("another run is writing to it", where=str(place)) from None
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
