"""``mlmref new-plugin``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mlmref.cli import completion
from mlmref.cli.base import out
from mlmref.cli.command import command
from mlmref.plugin.kinds import KINDS, listed


@command(name="new-plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(help=f"name of the {listed([k.short for k in KINDS])}")],
    kind: Annotated[
        str,
        typer.Option(
            help=listed([kind.flag for kind in KINDS]),
            autocompletion=completion.words(*(kind.flag for kind in KINDS)),
        ),
    ],
    folder: Annotated[
        Path | None, typer.Option(help="the new folder; default: mlmref-NAME", show_default=False)
    ] = None,
) -> None:
    """Write a package with a new plugin, which installs and passes its tests.

    Example: mlmref new-plugin mine --kind masking
    """
    from mlmref.plugin.scaffold import new_plugin as new_plugin_

    place = new_plugin_(name, kind, folder)
    install = shlex.join(["pip", "install", "-e", f"{place}[test]"])
    out.print(f"{place}; next: {install} && mlmref check {name}", markup=False, soft_wrap=True)
