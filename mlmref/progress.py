"""What a person sees while a run works: a bar a stage, or plain lines where there is no terminal.

Stations take a :class:`Reporter`; :data:`SILENT` is the default everywhere but on the command
line, so a library user hears nothing unasked (RUN-008).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console


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


SILENT = Silent()


class Lines:
    """A line when a stage ends, and one every ``every`` seconds of a long one: for logs."""

    def __init__(self, console: Console, every: float = 10.0) -> None:
        self._console = console
        self._every = every

    def note(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

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
    """A live bar a stage, with share, time gone and time left."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def note(self, text: str) -> None:
        """Print one line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def stage(self, name: str, total: float | None = None) -> Iterator[Stage]:
        """Open a stage."""
        from rich import progress as rich_progress

        bar = rich_progress.Progress(
            rich_progress.TextColumn("{task.description:<12}"),
            rich_progress.BarColumn(),
            rich_progress.TaskProgressColumn(),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TextColumn("left"),
            rich_progress.TimeRemainingColumn(),
            rich_progress.TextColumn("{task.fields[info]}"),
            console=self._console,
        )
        with bar:
            task = bar.add_task(name, total=total, info="")

            class _Bar:
                def advance(self, amount: float = 1, info: str = "") -> None:
                    bar.advance(task, amount)
                    if info:
                        bar.update(task, info=info)

            yield _Bar()
            if total is None:
                bar.update(task, total=1, completed=1)


def reporter(console: Console, *, quiet: bool) -> Reporter:
    """Choose how to report: nothing, bars on a terminal, or lines."""
    if quiet:
        return SILENT
    return Bars(console) if console.is_terminal else Lines(console)
