"""Resolve a corpus name to files, and detect their format (CORP-005, CORP-006, CORP-008)."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from mlmref.base.closest import closest, did_you_mean
from mlmref.base.errors import CorpusError
from mlmref.data.corpus.readers import KINDS, kind, unreadable

_NAMES = "name a file, a folder or a glob, imdb, or hub:NAME for a data set on the hub"

_DEAD = "a link that leads to no file or folder"


def find_files(name: str) -> list[Path]:
    """Return the files of a path or glob, ordered by path (CORP-006).

    Raises:
        CorpusError: there is no file, or a file has another format.
    """
    kinds = ", ".join(KINDS)
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            found = list(_walk(path, ("**",)))
            missing = f"a folder without any {kinds} file"
        elif path.exists():
            if kind(path) not in KINDS or not path.is_file():
                raise CorpusError(
                    "no kind of file that can be read", where=name, hint=f"use {kinds}"
                )
            return [path]
        elif path.is_symlink():
            raise CorpusError(_DEAD, where=name)
        elif glob.has_magic(name):
            at = next(number for number, part in enumerate(path.parts) if glob.has_magic(part))
            found = list(_walk(Path(*path.parts[:at]), path.parts[at:]))
            missing = f"a glob that matches no {kinds} file"
        else:
            raise CorpusError("no such file or folder", where=name, hint=_meant(path))
        files = sorted(one for one in found if kind(one) in KINDS)
        for one in files:
            if one.is_symlink() and not one.exists():
                raise CorpusError(_DEAD, where=str(one))
        files = [one for one in files if one.is_file()]
    except OSError as error:
        raise unreadable(error.filename or name, error) from error
    except RuntimeError as error:  # pathlib's for ~nobody
        raise CorpusError("no such user", where=name, hint=_NAMES) from error
    if not files:
        raise CorpusError(missing, where=name)
    return files


def _meant(path: Path) -> str:
    """Return the hint for a path that does not exist: files with a similar name, if any."""
    try:
        beside = [one.name for one in path.parent.iterdir() if kind(one) in KINDS or one.is_dir()]
    except (OSError, ValueError):
        beside = []
    return did_you_mean([str(path.parent / one) for one in closest(path.name, beside, 0.8)], _NAMES)


def _walk(folder: Path, pattern: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files below a folder that match a pattern, part by part, without hidden ones.

    Links to folders are followed. Each folder is entered only once, so a link to a folder above it
    does not cause an endless loop.
    """
    entered = {_identity(folder)}

    def stop(error: OSError) -> None:
        raise error

    for top, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        above = Path(top).relative_to(folder).parts
        kept = []
        for one in sorted(folders):
            if not one.startswith(".") and _may_lead((*above, one), pattern):
                this = _identity(Path(top, one))
                if this not in entered:
                    entered.add(this)
                    kept.append(one)
        folders[:] = kept
        for one in files:
            if not one.startswith(".") and _matches((*above, one), pattern):
                yield Path(top, one)


def _identity(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_dev, state.st_ino


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Return whether a path matches; ``**`` matches any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (bool(parts) and _matches(parts[1:], pattern))
    if not parts or not fnmatchcase(parts[0], pattern[0]):
        return False
    return _matches(parts[1:], pattern[1:])


def _may_lead(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Return whether a path below this folder may match."""
    if not parts or pattern[0] == "**":
        return True
    return (
        len(pattern) > 1 and fnmatchcase(parts[0], pattern[0]) and _may_lead(parts[1:], pattern[1:])
    )
