"""``mlmref evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlmref.cli import completion, flags
from mlmref.cli.base import command, reporter_of, show, tell
from mlmref.cli.errors import told


@command()
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="embedded, a run folder or a checkpoint in one, or a name on the hub",
            autocompletion=completion.models,
        ),
    ],
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    tokenizer: flags.Tokenizer = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    documents: flags.Documents = None,
    corpus_split: flags.CorpusSplit = None,
    limit: flags.Limit = None,
    segmenter: flags.Segmenter = None,
    chunk_size: flags.ChunkSize = None,
    chunk_scope: flags.ChunkScope = None,
    remainder: flags.Remainder = None,
    split: flags.Split = None,
    train_size: flags.TrainSize = None,
    test_size: flags.TestSize = None,
    masking: flags.Masking = None,
    mlm_probability: flags.Probability = None,
    corruption: flags.Corruption = None,
    seed: flags.Seed = None,
    metric: flags.Metric = "perplexity",
    sample: flags.Sample = None,
    preset: flags.Preset = None,
    config: flags.ConfigFile = None,
    set_: flags.Sets = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
    help_all: flags.HelpAll = False,
) -> None:
    """Measure a model's perplexity on held-out chunks. A run folder brings its own settings.

    Example: mlmref evaluate runs/001-token-trainer --split document
    """
    given = locals()
    with told(debug):
        from mlmref.model.checkpoint import run_of
        from mlmref.plugin.discovery import discover
        from mlmref.runner.run import evaluate as evaluate_
        from mlmref.settings.resolve import resolve, shared

        own = run_of(Path(model)) / "config.toml"
        settings = shared(
            lambda: resolve(
                preset=preset,
                file=config or (own if own.is_file() else None),
                sets=set_ or (),
                flags=flags.settings(given),
            )
        )
        registry = discover(disable=no_plugin or (), tell=tell)
        answer = evaluate_(
            settings,
            metric=metric,
            sample=sample,
            reporter=reporter_of(quiet),
            registry=registry,
        )
        from mlmref.cli.show import show_evaluation

        show(answer, as_json, show_evaluation)
