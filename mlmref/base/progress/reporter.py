"""The reporter to which the stages of a run report their progress, and the default one.

Stations take a :class:`Reporter`; :data:`SILENT` is the default everywhere but on the command
line and in a notebook, so a library user hears nothing unasked (RUN-008).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from mlmref.base.ranks.process import is_main

if TYPE_CHECKING:
    from rich.console import Console


class Stage(Protocol):
    """A stage at work."""

    def advance(self, amount: float = 1, **facts: float | str) -> None:
        """Say that ``amount`` more of the total is done, and what is known by now.

        Args:
            amount: in the stage's unit.
            facts: figures and texts by name, such as ``loss`` and ``learning_rate``
                (``mlmref.base.progress.meter.FACTS``); each stays until it is told anew.
        """
        ...


class Reporter(Protocol):
    """Whom the stations tell of their progress."""

    def stage(
        self, name: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> AbstractContextManager[Stage]:
        """Open a stage; stages may be nested.

        Args:
            name: what is being done, in a word.
            total: how many units of work there are, if that is known.
            unit: what they are, in the plural: documents, chunks, steps, bytes.
            done: how many of them were done before this stage began.
        """
        ...

    def note(self, text: str) -> None:
        """Say one line."""
        ...

    def warn(self, text: str) -> None:
        """Say one line that ``--quiet`` does not keep back: the run is not what was expected."""
        ...


class Silent:
    """Says nothing. Both a reporter and its stages."""

    @contextmanager
    def stage(
        self, name: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> Iterator[Stage]:
        """Open a stage that nobody sees."""
        yield self

    def advance(self, amount: float = 1, **facts: float | str) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""


SILENT = Silent()


class Quiet(Silent):
    """Says what ``--quiet`` does not keep back, and nothing else (RES-003)."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def warn(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def reporter(console: Console, *, quiet: bool) -> Reporter:
    """Choose how to report: warnings, bars on a terminal, or lines; the main process alone does."""
    if not is_main():
        return SILENT
    if quiet:
        return Quiet(console)
    # Rich takes a file for a terminal where FORCE_COLOR is set, which asks for colours alone.
    if console.is_terminal and not console.is_dumb_terminal and console.file.isatty():
        from mlmref.base.progress.bars import Bars

        return Bars(console)
    from mlmref.base.progress.log_lines import Lines

    return Lines(console)


def of_a_library(given: Reporter | None) -> Reporter:
    """Choose for a call from Python: who is given, a bar in a Jupyter kernel, or nobody."""
    if given is not None:
        return given
    if is_main() and _in_a_kernel():
        from mlmref.base.progress.notebook import Notebook

        return Notebook()
    return SILENT


def _in_a_kernel() -> bool:
    """Tell whether this code runs in a cell of a notebook; imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None  # which a shell in a terminal has not
