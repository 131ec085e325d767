"""The names that somebody may have meant by one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

MOST = 3
"""The names that a hint gives, at most."""


def closest(name: str, known: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Return the known names that are spelled most like a name, the best first."""
    return difflib.get_close_matches(name, list(known), MOST, cutoff)


def did_you_mean(close: Sequence[str], otherwise: str = "") -> str:
    """Return a hint that gives the closest names, or another hint if there are none."""
    return f"did you mean {' or '.join(close)}?" if close else otherwise


def suggest(name: str, known: Sequence[str]) -> str:
    """Return a hint: the known names closest to ``name``, or all of them.

    A dotted name is also compared by its last part.
    """
    by_last = {key.rpartition(".")[2]: key for key in known}
    close = [*closest(name, known), *(by_last[last] for last in closest(name, by_last))]
    every = f"there are {', '.join(known)}" if known else "there is none"
    return did_you_mean(list(dict.fromkeys(close))[:MOST], every)
