"""``mlmref check``."""

from __future__ import annotations

from typing import Annotated

import typer

from mlmref.base.errors import Status
from mlmref.cli import completion, flags
from mlmref.cli.base import command, show, tell
from mlmref.cli.errors import told


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
        from mlmref.conformance import by_name as checking
        from mlmref.plugin.discovery import discover

        if collator is not None:
            checking.refuse_ignored(
                {"names": names, "--all": every, "--option": option},
                "check a plugin without --collator",
            )
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
            checking.refuse_ignored(
                {
                    "--collator-arg": collator_arg,
                    "--column": column,
                    "--rate": rate,
                    "--whole-words": whole_words,
                    "--corruption": corruption,
                },
                "it is for a data collator, which --collator MODULE:NAME names",
            )
            registry = discover(disable=no_plugin or (), tell=tell)
            reports = checking.check_named(registry, names or (), every=every, options=option or ())
        from mlmref.cli.show import show_reports

        show(reports, as_json, show_reports)
    if not all(report.ok for report in reports):
        raise typer.Exit(Status.FAULT)
