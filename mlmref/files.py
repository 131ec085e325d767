"""Which files a name stands for, and what is in them (clauses CORP-005, CORP-006, CORP-008)."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from mlmref.errors import CorpusError
from mlmref.lines import BLOCK, Advance
from mlmref.readers import KINDS, kind, unreadable


def find_files(name: str) -> list[Path]:
    """Return the files that a path or glob stands for, in the order of their paths (CORP-006).

    Raises:
        CorpusError: it stands for none, or for one of another kind.
    """
    kinds = ", ".join(KINDS)
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            found = [Path(top, file) for top, file in _walk(path)]
            missing = f"a folder without any {kinds} file"
        elif path.exists():
            if kind(path) not in KINDS or not path.is_file():
                raise CorpusError(
                    "no kind of file that can be read", where=name, hint=f"use {kinds}"
                )
            return [path]
        elif glob.has_magic(name):
            found = [Path(one) for one in glob.glob(str(path), recursive=True)]  # noqa: PTH207 - absolute
            missing = f"a glob that matches no {kinds} file"
        else:
            raise CorpusError(
                "no such file or folder",
                where=name,
                hint="name a file, a folder or a glob, imdb, or hub:NAME for a data set on the hub",
            )
        files = sorted(one for one in found if kind(one) in KINDS and one.is_file())
    except OSError as error:
        raise unreadable(error.filename or name, error) from error
    if not files:
        raise CorpusError(missing, where=name)
    return files


def _walk(folder: Path) -> Iterator[tuple[str, str]]:
    def stop(error: OSError) -> None:
        raise error

    for top, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [one for one in folders if not one.startswith(".")]
        yield from ((top, one) for one in files if not one.startswith("."))


def sha256(path: Path, advance: Advance) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()
