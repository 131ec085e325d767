"""``mlmref compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlmref.cli import flags
from mlmref.cli.base import reporter_of, show, tell
from mlmref.cli.command import Given, command


@command("masking", "model.trust_remote_code", "model.tokenizer")
def compare(
    given: Given,
    file: Annotated[Path, typer.Argument(help="a TOML file, or whole-word-or-token, which ships")],
    output: Annotated[
        Path | None, typer.Option(help="the comparison folder; default: comparisons/NAME")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="any setting of the base: SECTION.KEY=VALUE; repeatable"),
    ] = None,
    no_plugin: flags.NoPlugin = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="list the runs and their state, and stop")
    ] = False,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    r"""Run variants under several seeds, and compare them on one task.

    Repeat the command to resume an unfinished comparison.

    In the file, seeds = \[0, 1, 2]. \[base] has the settings of all runs,
    \[variants.NAME] those of one variant, and \[grid] lists of values by key.
    \[evaluation] is the common task; --masking, --mlm-probability and
    --corruption override it. Example: mlmref compare whole-word-or-token
    """
    from mlmref.base.ranks.consensus import alone
    from mlmref.plugin.discovery import discover
    from mlmref.studies.comparison.compare import compare as compare_
    from mlmref.studies.comparison.compare import listed
    from mlmref.studies.comparison.folder import place_of
    from mlmref.studies.comparison.plan import read_plan
    from mlmref.studies.comparison.terminal import show_comparison, show_plan

    alone("a comparison", "mlmref compare")
    registry = discover(disable=no_plugin or (), tell=tell)
    typed = given.tree()
    model = typed.get("model", {})
    chosen = [f"model.tokenizer={model['tokenizer']}"] if "tokenizer" in model else []
    plan = read_plan(
        file,
        sets=[*(set_ or ()), *chosen],
        trusts=model.get("trust_remote_code"),
        task=typed.get("masking"),
        registry=registry,
    )
    place = place_of(plan, output)
    if dry_run:
        show(listed(plan, place), as_json, show_plan)
        return
    answer = compare_(plan, place, reporter=reporter_of(quiet), registry=registry)
    show(answer, as_json, show_comparison)
