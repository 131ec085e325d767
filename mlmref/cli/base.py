"""What the commands share: the application, where it prints, and how answers are shown."""

from __future__ import annotations

from typing import Any

import typer

from mlmref.exits import err
from mlmref.terminal import Terminal
from mlmref.usage import Commands

app = typer.Typer(
    name="mlmref",
    cls=Commands,
    help="Adapt a masked language model to a corpus, and measure what that gained.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Terminal()


def show(answer: Any, as_json: bool, shown: str) -> None:
    """Print an answer, for people by a function of :mod:`mlmref.show`, or as JSON."""
    from mlmref import show as shows

    if as_json:
        out.print(shows.as_json(answer), markup=False, soft_wrap=True)
    else:
        getattr(shows, shown)(answer, out)


def tell(text: str) -> None:
    """Say a line beside the answer."""
    err.print(text, markup=False, soft_wrap=True)


def reporter_of(quiet: bool) -> Any:
    """Return whom the stations are to tell of their progress."""
    from mlmref.progress import reporter

    return reporter(err, quiet=quiet)


def parts(given: list[str] | None) -> list[str]:
    """Return what was given with a flag each, or in one with commas."""
    return [part.strip() for one in given or () for part in one.split(",")]
