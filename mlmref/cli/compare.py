"""``mlmref compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlmref.cli import flags
from mlmref.cli.base import app, reporter_of, show, tell
from mlmref.cli.errors import told


@app.command()
def compare(
    file: Annotated[Path, typer.Argument(help="a TOML file, or whole-word-or-token, which ships")],
    output: Annotated[
        Path | None,
        typer.Option(help="the comparison folder; comparisons/NAME if not given"),
    ] = None,
    masking: flags.Masking = None,
    mlm_probability: flags.Probability = None,
    corruption: flags.Corruption = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="any setting of the base: SECTION.KEY=VALUE; repeatable"),
    ] = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    tokenizer: flags.Tokenizer = None,
    no_plugin: flags.NoPlugin = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="list the runs and their state, and stop")
    ] = False,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    r"""Run variants under several seeds, and compare them on one task.

    Typed again, the same command goes on with what is not finished.

    In the file, seeds = \[0, 1, 2]; \[base] has the keys of a run's file, and
    \[variants.NAME] what goes over them; \[grid] has lists of values by key;
    \[evaluation] is the common task, which --masking, --mlm-probability and
    --corruption go over. Example: mlmref compare whole-word-or-token
    """
    with told(debug):
        from mlmref.base.ranks.consensus import alone
        from mlmref.plugin.discovery import discover
        from mlmref.studies.comparison.compare import compare as compare_
        from mlmref.studies.comparison.compare import listed
        from mlmref.studies.comparison.folder import place_of
        from mlmref.studies.comparison.plan import read_plan
        from mlmref.studies.comparison.terminal import show_comparison, show_plan

        alone("a comparison", "mlmref compare")
        registry = discover(disable=no_plugin or (), tell=tell)
        plan = read_plan(
            file,
            sets=[*(set_ or ()), *([f"model.tokenizer={tokenizer}"] if tokenizer else [])],
            trusts=trust_remote_code,
            task={
                **({"strategy": masking} if masking else {}),
                **({"corruption": corruption} if corruption else {}),
                **(
                    {"options": {"mlm_probability": mlm_probability}}
                    if mlm_probability is not None
                    else {}
                ),
            },
            registry=registry,
        )
        place = place_of(plan, output)
        if dry_run:
            show(listed(plan, place), as_json, show_plan)
            return
        answer = compare_(plan, place, reporter=reporter_of(quiet), registry=registry)
        show(answer, as_json, show_comparison)
