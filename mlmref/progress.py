"""What a person sees while a run works: a bar a stage, or plain lines where there is no terminal.

Stations take a :class:`Reporter`; :data:`SILENT` is the default everywhere but on the command
line, so a library user hears nothing unasked (RUN-008).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

from mlmref.distributed import is_main

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class Stage(Protocol):
    """A stage at work."""

    def advance(self, amount: float = 1, info: str = "") -> None:
        """Say that ``amount`` more of the total is done; ``info`` stands beside the bar."""
        ...


class Reporter(Protocol):
    """Whom the stations tell of their progress."""

    def stage(self, name: str, total: float | None = None) -> AbstractContextManager[Stage]:
        """Open a stage of ``total`` units of work, if that is known."""
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
    def stage(self, name: str, total: float | None = None) -> Iterator[Stage]:
        """Open a stage that nobody sees."""
        yield self

    def advance(self, amount: float = 1, info: str = "") -> None:
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


class Lines:
    """A line when a stage ends, and one every ``every`` seconds of a long one: for logs."""

    def __init__(self, console: Console, every: float = 10.0) -> None:
        self._console = console
        self._every = every

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    warn = note

    @contextmanager
    def stage(self, name: str, total: float | None = None) -> Iterator[Stage]:
        """Open a stage."""
        line = _Line(self, name, total, self._every)
        yield line
        line.end()


class _Line:
    def __init__(self, lines: Lines, name: str, total: float | None, every: float) -> None:
        self._lines, self._name, self._total, self._every = lines, name, total, every
        self._done, self._info = 0.0, ""
        self._began = self._said = time.monotonic()

    def advance(self, amount: float = 1, info: str = "") -> None:
        self._done += amount
        self._info = info or self._info
        if time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            share = f"{self._done / self._total:.0%}" if self._total else f"{self._done:,.0f}"
            self._lines.note(f"{self._name}: {share} {self._info}".rstrip())

    def end(self) -> None:
        took = time.monotonic() - self._began
        self._lines.note(f"{self._name}: done in {took:.1f} s {self._info}".rstrip())


class Bars:
    """A live bar a stage, with share, time gone and time left; stages may be nested."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Progress | None = None

    def note(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    warn = note

    @contextmanager
    def stage(self, name: str, total: float | None = None) -> Iterator[Stage]:
        """Open a stage."""
        outermost = self._live is None
        live = self._live = self._live or self._start()
        bar = _Bar(live, live.add_task(name, total=total, info=""))
        try:
            yield bar
            bar.end()
        finally:
            if outermost:
                self._live = None
                live.stop()

    def _start(self) -> Progress:
        from rich import progress as columns

        live = columns.Progress(
            columns.TextColumn("{task.description:<9}"),
            columns.BarColumn(bar_width=24),
            columns.TaskProgressColumn(),
            columns.TimeElapsedColumn(),
            columns.TextColumn("left"),
            columns.TimeRemainingColumn(),
            columns.TextColumn("{task.fields[info]}"),
            console=self._console,
        )
        live.start()
        return live


class _Bar:
    def __init__(self, live: Progress, task: TaskID) -> None:
        self._live, self._task = live, task

    def advance(self, amount: float = 1, info: str = "") -> None:
        if info:
            self._live.update(self._task, info=info)
        self._live.advance(self._task, amount)

    def end(self) -> None:
        if self._live.tasks[self._task].total is None:
            self._live.update(self._task, total=1, completed=1)


def reporter(console: Console, *, quiet: bool) -> Reporter:
    """Choose how to report: warnings, bars on a terminal, or lines; the main process alone does."""
    if not is_main():
        return SILENT
    if quiet:
        return Quiet(console)
    return Bars(console) if console.is_terminal else Lines(console)
