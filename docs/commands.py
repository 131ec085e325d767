"""The reference of the command line, from the application itself: ``python docs/commands.py``."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

PLACE = "<!-- commands -->"
"""Where the reference goes in a page."""


def reference() -> str:
    """Return the commands with their help, arguments and flags, in Markdown."""
    from typer.main import get_command

    from mlmref.cli import app

    return "\n".join(_all("mlmref", get_command(app)))


def fill_in(app: Any, page: str, source: list[str]) -> None:
    """Put the reference in its place, if a page has one; Sphinx's ``source-read``."""
    if PLACE in source[0]:
        source[0] = source[0].replace(PLACE, reference())


def _all(name: str, command: Any) -> Iterator[str]:
    """Give each line of a command, or of those within it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield from _one(name, command)
    for each, one in (inner or {}).items():
        if not one.hidden:
            yield from _all(f"{name} {each}", one)


def _one(name: str, command: Any) -> Iterator[str]:
    context = command.context_class(command, info_name=name)
    told, _, example = inspect.cleandoc(command.help or "").partition("Example: ")
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    yield f"## {name}\n\n{told.strip()}\n\n```text\n{usage}\n```\n"
    if example:
        yield f"For example:\n\n```\n{' '.join(example.split())}\n```\n"
    panels: dict[str, list[tuple[str, str]]] = {}
    for one in command.get_params(context):
        record = one.get_help_record(context)  # none of one that is hidden
        if record:
            panels.setdefault(getattr(one, "rich_help_panel", None) or "", []).append(record)
    for panel, records in panels.items():
        yield f"| {panel} | |\n|---|---|"
        yield from (f"| `{flag}` | {_text(told)} |" for flag, told in records)
        yield ""


def _text(text: str) -> str:
    """Return help as text in a cell of a table."""
    return re.sub(r"([|\\`*_\[<])", r"\\\1", " ".join(text.split()))


if __name__ == "__main__":
    print(reference())
