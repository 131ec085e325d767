"""Replace the clocks of Python code by later ones."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LATER = 400 * 86_400 + 5 * 3_600 + 7 * 60 + 11.5  # seconds: another year, hour, minute and second


@contextmanager
def another_day(package: str) -> Iterator[None]:
    """Replace the clocks in ``time``, ``datetime`` and a package by later ones, until exit.

    This affects calls in Python code, such as ``time.time()`` and ``date.today()``, but not the
    clock of the machine or of a library in C.

    Args:
        package: the top-level package, whose modules may have imported clocks; empty for none.
    """
    changed = _later()
    places = [
        (module, name, value)
        for module in list(sys.modules.values())
        if _first(module) in {"time", "datetime", package} - {""}
        for name, value in list(vars(module).items())
        if callable(value) and _hashable(value) and value in changed
    ]
    for module, name, value in places:
        setattr(module, name, changed[value])
    try:
        yield
    finally:
        for module, name, value in places:
            setattr(module, name, value)


def _first(module: Any) -> str:
    return str(getattr(module, "__name__", "")).partition(".")[0]


def _hashable(value: Any) -> bool:
    return getattr(type(value), "__hash__", None) is not None


def _later() -> dict[Any, Any]:
    """Return the replacement of each clock."""
    tell, tell_ns, local, utc = time.time, time.time_ns, time.localtime, time.gmtime
    ctime, strftime = time.ctime, time.strftime

    class Later(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime.fromtimestamp(tell() + _LATER, tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(dt.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

    class LaterDate(dt.date):
        @classmethod
        def today(cls) -> Any:
            return Later.now().date()

    def at(seconds: float | None) -> float:
        return tell() + _LATER if seconds is None else seconds

    return {
        tell: lambda: tell() + _LATER,
        tell_ns: lambda: tell_ns() + int(_LATER * 1e9),
        local: lambda seconds=None: local(at(seconds)),
        utc: lambda seconds=None: utc(at(seconds)),
        ctime: lambda seconds=None: ctime(at(seconds)),
        strftime: lambda form, moment=None: strftime(form, moment or local(at(None))),
        dt.datetime: Later,
        dt.date: LaterDate,
    }
