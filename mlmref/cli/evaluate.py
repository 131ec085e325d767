"""``mlmref evaluate``."""

from __future__ import annotations

from typing import Annotated

import typer

from mlmref.cli import completion, flags
from mlmref.cli.base import reporter_of, show, tell
from mlmref.cli.command import CHUNKS, TRAINING_ONLY, Given, command


@command(*CHUNKS, "masking", "seed", omit=(*TRAINING_ONLY, "model.name"), sources=True)
def evaluate(
    given: Given,
    model: Annotated[
        str,
        typer.Argument(
            help="embedded, a run folder or a checkpoint in one, or a name on the hub",
            autocompletion=completion.models,
        ),
    ],
    metric: flags.Metric = "perplexity",
    sample: flags.Sample = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Measure a model's perplexity on held-out chunks. A run folder has its own settings.

    Example: mlmref evaluate runs/001-token-trainer --split document
    """
    from mlmref.cli.show import show_evaluation
    from mlmref.plugin.discovery import discover
    from mlmref.runner.folder.resume import settings_of
    from mlmref.runner.run import evaluate as evaluate_

    config = given.shared(more={"--model": ("model.name", model)}, file=lambda: settings_of(model))
    registry = discover(disable=no_plugin or (), tell=tell)
    answer = evaluate_(
        config, metric=metric, sample=sample, reporter=reporter_of(quiet), registry=registry
    )
    show(answer, as_json, show_evaluation)
