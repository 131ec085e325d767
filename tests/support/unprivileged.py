"""Stand where file permissions count: root is bound by none of them."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION = 0x20080522  # of the structures of capget(2), with two words of flags
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2


@contextmanager
def unprivileged() -> Iterator[None]:
    """Let permissions bind root, if the tests run as root, for as long as the block lasts.

    The capabilities to pass them over are laid down, and the user stays: what is installed may lie
    in a folder that is root's alone, as tox makes one.
    """
    held = _effective() if os.geteuid() == 0 else None
    if held is not None:
        _set_effective(held & ~(_DAC_OVERRIDE | _DAC_READ_SEARCH))
    try:
        yield
    finally:
        if held is not None:
            _set_effective(held)


def _flags() -> tuple[ctypes.Array[ctypes.c_uint32], ctypes.Array[ctypes.c_uint32]]:
    """Return this thread's header and its effective, permitted and inheritable flags, twice."""
    header, data = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    return header, data


def _effective() -> int:
    return int(_flags()[1][0])


def _set_effective(flags: int) -> None:
    header, data = _flags()
    data[0] = flags
    if ctypes.CDLL(None, use_errno=True).capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that everyone can enter and read, unlike pytest's ``tmp_path``."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
