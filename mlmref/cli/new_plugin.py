"""``mlmref new-plugin``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mlmref.cli import completion
from mlmref.cli.base import out
from mlmref.cli.command import command


@command(name="new-plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(help="of the strategy, backend or segmenter")],
    kind: Annotated[
        str,
        typer.Option(
            help="masking, backend or segmenter",
            autocompletion=completion.words("masking", "backend", "segmenter"),
        ),
    ],
    folder: Annotated[
        Path | None, typer.Option(help="where to; mlmref-NAME by default", show_default=False)
    ] = None,
) -> None:
    """Write a package with a plugin of your own, which installs and passes its own tests at once.

    Example: mlmref new-plugin mine --kind masking
    """
    from mlmref.plugin.scaffold import new_plugin as new_plugin_

    place = new_plugin_(name, kind, folder)
    install = shlex.join(["pip", "install", "-e", f"{place}[test]"])
    out.print(f"{place}; next: {install} && mlmref check {name}", markup=False, soft_wrap=True)
