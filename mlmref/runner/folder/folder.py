"""The run folder: built under another name and renamed when complete (RUN-003).

Until then its name is ``NAME.unfinished``. A run that fails or is stopped leaves this folder only
if it has a checkpoint to resume from (RUN-002).
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from contextlib import suppress
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
from mlmref.runner.folder.lock import lock, unlock


class RunFolder:
    """A context with a folder ``building`` to write to, which :meth:`finish` renames.

    All ranks enter it and know the names; only the main process uses the folder.

    Args:
        place: the path of the run folder, or ``None`` for a new one under ``runs/``.
        label: the end of the name of a new one.
        marker: the contents of the file that identifies the run; ``None`` resumes the unfinished
            run of the folder.
        flags: the flags that resuming the run needs beside its folder.

    Attributes:
        place: the path of the run folder when complete.
        building: its path until then; it is removed at the end, unless it has a checkpoint.

    Raises:
        OutputError: the place is not empty, another run is writing to it, it has an unfinished
            run but a new one is requested, or it cannot be written.
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
            else f"saved at step {step:,}: {how_to_resume(self.place, self._flags)}"
        )
        # Resuming would repeat an error of the run itself, so the note does not suggest it.
        if (
            saved
            and isinstance(error, MlmrefError)
            and not isinstance(error, RankError | LostError)
        ):
            saved = f"the training until step {step:,} is saved in {self.building}"
        if isinstance(error, OSError) and error.errno in FULL:
            full = OutputError(
                f"writing to the disk failed ({error.strerror})"
                + ("" if saved else ", so nothing was saved"),
                where=str(self.place),
                hint="free space" if saved else "free space, or choose another disk with --output",
            )
            if saved:
                full.add_note(saved)
            raise full from error
        # An error before training has its own hint.
        news = step != self._step_before or not isinstance(error, MlmrefError)
        if error is not None and saved and news and not self._kept:
            error.add_note(saved)

    def finish(self) -> Path:
        """Flush all files to the disk and rename the folder; return its place.

        Raises:
            OutputError: the place is not free any more; the finished run stays in ``building``.
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
                f"the finished run cannot be moved there ({error.strerror})",
                where=str(self.place),
                hint=f"the complete run is in {self.building}: move it from there",
            ) from error
        flush(self.place.parent)
        return self.place

    def _take_the_next(self, parent: Path) -> None:
        """Take the place with the first free number."""
        number = 1
        while True:
            with suppress(Timeout):  # another run is taking this number
                number_lock = FileLock(parent / f".{number:03}.lock")
                number_lock.acquire(timeout=0)
                try:
                    if not [*parent.glob(f"{number:03}-*")]:
                        self._take(parent / f"{number:03}-{self._label}")
                        return
                finally:
                    unlock(number_lock)
            number += 1

    def _take(self, place: Path) -> None:
        """Take a place if it is free, and create the unfinished folder."""
        self.place, self.building = place, unfinished(place)
        self._lock = lock(place)
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
                hint=f"{how_to_resume(place, self._flags)}; or choose another folder with --output",
            )
        else:
            self._make(self._marker)

    def _make(self, marker: bytes) -> None:
        """Create the unfinished folder with its marker, by one rename in case of a kill."""
        new = self.place.with_name(f".{self.place.name}.new")
        ours = {new / layout.CHECKPOINTS, new / layout.CHECKPOINTS / layout.RUN}
        if {*new.rglob("*")} - ours:
            raise OutputError(
                "already exists; nothing was changed",
                where=str(new),
                hint="choose a new folder with --output, or move that one away",
            )
        new.mkdir(exist_ok=True)  # a kill may have left one; the lock excludes other runs
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
        """Unlock the place, and remove the empty parent folders that were created for it."""
        if self._lock is not None:
            unlock(self._lock)
        for folder in self._made:
            if not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()


def how_to_resume(place: Path, flags: Sequence[str] = ()) -> str:
    """Return how to resume an unfinished run."""
    name = f"./{place}" if str(place) == "auto" else str(place)  # --resume auto has another meaning
    if world_size() > 1:
        return f"resume with the same command and --resume {shlex.quote(name)}"
    return "resume with " + shlex.join(["mlmref", "run", "--resume", name, *flags])


def _is_free(place: Path) -> bool:
    """Return whether a folder can be renamed to this place: it is absent or an empty folder."""
    if place.is_symlink() or place.is_mount():
        return False
    return not place.exists() or (place.is_dir() and not any(place.iterdir()))
