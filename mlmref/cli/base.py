"""The application, and how commands print their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from mlmref import __version__
from mlmref.base.errors import Status
from mlmref.base.terminal import Terminal
from mlmref.cli.errors import Commands, err

T = TypeVar("T")

_EPILOG = "Example: mlmref run --corpus reviews.csv --text-column body\n\n" + "\n".join(
    ["Exit status:", *(f"{status.value:>5}  {status.meaning}" for status in Status)]
)

app = typer.Typer(
    name="mlmref",
    cls=Commands,
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Terminal()


def _version(asked: bool) -> None:
    if asked:
        out.print(f"mlmref {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="show the version and exit"
        ),
    ] = False,
) -> None:
    """Adapt a masked language model to a corpus, and measure the gain."""


def show(answer: T, as_json: bool, shown: Callable[[T, Console], None]) -> None:
    """Print an answer as JSON, or with a function that prints it for people."""
    if as_json:
        from mlmref.cli.show import as_json as written

        out.print(written(answer), markup=False, soft_wrap=True)
    else:
        shown(answer, out)


def tell(text: str) -> None:
    """Print a line to standard error."""
    err.print(text, markup=False, soft_wrap=True)


def reporter_of(quiet: bool) -> Any:
    """Return the reporter of progress."""
    from mlmref.base.progress import reporter

    return reporter(err, quiet=quiet)


def parts(given: list[str] | None) -> list[str]:
    """Return the values of a repeatable flag, each of which may be several with commas."""
    return [part.strip() for one in given or () for part in one.split(",")]
