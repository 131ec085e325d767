"""``mlmref check``."""

from __future__ import annotations

from typing import Annotated

import typer

from mlmref.base.errors import Status
from mlmref.cli import completion, flags
from mlmref.cli.base import show, tell
from mlmref.cli.command import Given, command
from mlmref.plugin.kinds import KINDS, listed


@command("masking.corruption")
def check(
    given: Given,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"{listed([kind.plural for kind in KINDS])}; see mlmref plugins",
            autocompletion=completion.entries(),
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="check all installed plugins")] = False,
    option: flags.PluginOption = None,
    collator: flags.Collator = None,
    collator_arg: flags.CollatorArgument = None,
    column: flags.Column = None,
    rate: flags.Rate = None,
    whole_words: flags.WholeWords = False,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
) -> int | None:
    """Check a plugin, or a data collator, against each clause of the specification.

    Example: mlmref check whole-word
    """
    from mlmref.conformance import by_name as checking
    from mlmref.plugin.discovery import discover

    corruption = given.tree().get("masking", {}).get("corruption")
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
            "name a data collator with --collator MODULE:NAME",
        )
        registry = discover(disable=no_plugin or (), tell=tell)
        reports = checking.check_named(registry, names or (), every=every, options=option or ())
    from mlmref.cli.show import show_reports

    show(reports, as_json, show_reports)
    return None if all(report.ok for report in reports) else Status.FAILED
