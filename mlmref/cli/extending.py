"""Plugins: list them, check them, begin one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mlmref import completion, flags
from mlmref.cli.base import command, out, show, tell
from mlmref.errors import Status
from mlmref.exits import told


@command()
def plugins(
    no_plugin: flags.NoPlugin = None, as_json: flags.AsJson = False, debug: flags.Debug = False
) -> None:
    """List strategies, backends and segmenters, and the plugins that are broken.

    Example: mlmref plugins --json
    """
    with told(debug):
        from mlmref.plugins import discover
        from mlmref.show import show_plugins

        show(discover(disable=no_plugin or (), tell=tell), as_json, show_plugins)


@command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="strategies, backends or segmenters; see mlmref plugins",
            autocompletion=completion.entries("strategies", "backends", "segmenters"),
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="whatever is installed")] = False,
    option: flags.PluginOption = None,
    collator: flags.Collator = None,
    collator_arg: flags.CollatorArgument = None,
    column: flags.Column = None,
    rate: flags.Rate = None,
    whole_words: flags.WholeWords = False,
    corruption: flags.Corruption = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    debug: flags.Debug = False,
) -> None:
    """Tell clause by clause whether a plugin, or a data collator, keeps the specification.

    Example: mlmref check whole-word
    """
    with told(debug):
        from mlmref import checking
        from mlmref.plugins import discover

        if collator:
            reports = [
                checking.check_collator(
                    collator,
                    arguments=collator_arg or (),
                    columns=column or (),
                    rate=rate,
                    whole_words=whole_words,
                    corruption=corruption,
                )
            ]
        else:
            registry = discover(disable=no_plugin or (), tell=tell)
            reports = checking.check_named(registry, names or (), every=every, options=option or ())
        from mlmref.show import show_reports

        show(reports, as_json, show_reports)
    if not all(report.ok for report in reports):
        raise typer.Exit(Status.FAULT)


@command("new-plugin")
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
    debug: flags.Debug = False,
) -> None:
    """Write a package with a plugin of your own, which installs and passes its own tests at once.

    Example: mlmref new-plugin mine --kind masking
    """
    with told(debug):
        from mlmref.scaffold import new_plugin as new_plugin_

        place = new_plugin_(name, kind, folder)
        install = shlex.join(["pip", "install", "-e", f"{place}[test]"])
        out.print(f"{place}; next: {install} && mlmref check {name}", markup=False, soft_wrap=True)
