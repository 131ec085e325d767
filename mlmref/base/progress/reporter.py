"""The interface for progress reporters, and the choice of one.

The default is :data:`SILENT` except on the command line and in a notebook, so a library prints
nothing unless it is asked to (RUN-008).
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
    """An open stage."""

    def advance(self, amount: float = 1, **facts: float | str) -> None:
        """Report that ``amount`` more of the total is done.

        Args:
            amount: in the stage's unit.
            facts: figures and texts to show, by name, such as ``loss`` and ``learning_rate``
                (``mlmref.base.progress.meter.FACTS``); each is shown until it is replaced.
        """
        ...


class Reporter(Protocol):
    """Receives the progress and the messages of a run."""

    def stage(
        self, name: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> AbstractContextManager[Stage]:
        """Open a stage; stages may be nested.

        Args:
            name: one word for the work.
            total: units of work, if known.
            unit: name of the unit, in the plural: documents, chunks, steps, bytes.
            done: units done before this stage began.
        """
        ...

    def note(self, text: str) -> None:
        """Report one line."""
        ...

    def warn(self, text: str) -> None:
        """Report one line that ``--quiet`` does not hide: the run is not as expected."""
        ...


class Silent:
    """A reporter, and its stages, that print nothing."""

    @contextmanager
    def stage(
        self, name: str, total: float | None = None, unit: str = "", done: float = 0
    ) -> Iterator[Stage]:
        """Open a stage."""
        yield self

    def advance(self, amount: float = 1, **facts: float | str) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def warn(self, text: str) -> None:
        """Do nothing."""


SILENT = Silent()


class Quiet(Silent):
    """A reporter that prints only warnings (RES-003)."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def warn(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def reporter(console: Console, *, quiet: bool) -> Reporter:
    """Return the reporter of the command line; only that of the main process prints."""
    if not is_main():
        return SILENT
    if quiet:
        return Quiet(console)
    # With FORCE_COLOR, Rich treats a file as a terminal, but the variable only requests colors.
    if console.is_terminal and not console.is_dumb_terminal and console.file.isatty():
        from mlmref.base.progress.bars import Bars

        return Bars(console)
    from mlmref.base.progress.log_lines import Lines

    return Lines(console)


def of_a_library(given: Reporter | None) -> Reporter:
    """Return the reporter of a call from Python: the given one, or a bar in Jupyter, or none."""
    if given is not None:
        return given
    if is_main() and _in_a_kernel():
        from mlmref.base.progress.notebook import Notebook

        return Notebook()
    return SILENT


def _in_a_kernel() -> bool:
    """Return whether this code runs in a notebook cell; imports nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None  # IPython in a terminal has no kernel
