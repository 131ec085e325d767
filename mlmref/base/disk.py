"""Write files atomically, and detect damaged ones."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlmref.base.closest import closest
from mlmref.base.libraries.rust import is_os_error

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""What a disk says that is full, or at its end."""

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems say that have none, such as exFAT and drives in the network."""


def alike(path: Path, holds: Sequence[str]) -> list[Path]:
    """Return folders beside a path that holds nothing whose names are close to its own.

    Args:
        path: it does not exist.
        holds: names of files; only folders with one of them are returned.
    """
    try:
        beside = [one for one in path.parent.iterdir() if one.name != path.name]
        names = {one.name: one for one in beside if any((one / name).is_file() for name in holds)}
    except OSError:
        return []
    return [names[one] for one in closest(path.name, names, 0.75)]


def flush(path: Path) -> None:
    """Have a file, or what a folder lists, on the disk when this returns.

    Where a file system flushes no folders, they are its own to look after.

    Raises:
        OSError: with the path.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP} or not path.is_dir():
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Put a file in place of another, so that a crash leaves the one or the other."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(content)
    flush(beside)
    beside.replace(path)
    flush(path.parent)


def create(path: Path, content: bytes) -> None:
    """Put a file where there is none, so that it is there whole or not at all.

    Raises:
        FileExistsError: there is something; it is left as it is.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with beside.open("xb") as file:
            file.write(content)
        flush(beside)
        try:
            os.link(beside, path)  # unlike renaming, it never puts one file in another's place
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _write_new(path, content)
    finally:
        beside.unlink(missing_ok=True)
    flush(path.parent)


def _write_new(path: Path, content: bytes) -> None:
    """Write where there is nothing: whole, unless the machine dies in between."""
    with path.open("xb") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:
            path.unlink()
            raise
    flush(path)


def sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(entry: Mapping[str, Any]) -> bytes:
    """Write a JSON object together with its SHA-256."""
    return json.dumps({"entry": entry, "sha256": _seal(entry)}, indent=1).encode()


def unsealed(content: bytes) -> dict[str, Any]:
    """Read what :func:`sealed` wrote.

    Raises:
        ValueError: it is not that, or no longer.
    """
    try:
        outer = json.loads(content)
        entry, seal = outer["entry"], outer["sha256"]
    except (LookupError, TypeError):
        raise ValueError("no sealed JSON") from None
    if not isinstance(entry, dict) or _seal(entry) != seal:
        raise ValueError("not what was written")
    return entry


def canonical(value: object) -> bytes:
    """Spell a JSON value in the one way that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _seal(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(entry)).hexdigest()


@contextmanager
def as_os_errors(folder: Path) -> Iterator[None]:
    """Raise what safetensors and tokenizers say of a full disk as the ``OSError`` it is."""
    try:
        yield
    except Exception as error:
        if is_os_error(error):
            raise OSError(errno.EIO, str(error), str(folder)) from error
        raise
