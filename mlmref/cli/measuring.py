"""What is measured: evaluate, fill, downstream, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlmref import completion, flags
from mlmref.cli.base import command, parts, reporter_of, show, tell
from mlmref.errors import Status
from mlmref.exits import told


@command()
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="embedded, a run folder, or a name on the hub", autocompletion=completion.models
        ),
    ],
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
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
        from mlmref.plugins import discover
        from mlmref.resolve import resolve, shared
        from mlmref.runner import evaluate as evaluate_

        own = Path(model) / "config.toml"
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
        from mlmref.show import show_evaluation

        show(answer, as_json, show_evaluation)


@command()
def fill(
    model: Annotated[
        str,
        typer.Argument(
            help="embedded, a folder, or a name on the hub", autocompletion=completion.models
        ),
    ],
    texts: Annotated[list[str], typer.Argument(help="texts with one or several masks")],
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    top_k: flags.TopK = None,
    candidate: flags.Candidate = None,
    as_json: flags.AsJson = False,
    debug: flags.Debug = False,
) -> None:
    """Fill the masks of a text; {mask} stands for the model's own mask token.

    Example: mlmref fill embedded "This is a great [MASK]."
    """
    with told(debug):
        from mlmref.config import ModelConfig
        from mlmref.fill import fill as fill_
        from mlmref.model import load_model

        loaded = load_model(
            ModelConfig(name=model, revision=revision, trust_remote_code=bool(trust_remote_code))
        )
        answers = fill_(
            loaded.model,
            loaded.tokenizer,
            texts,
            top_k=5 if top_k is None else top_k,
            candidates=candidate,
        )
        from mlmref.show import show_fills

        show({"model": str(loaded), "answers": answers}, as_json, show_fills)


@command()
def downstream(
    adapted: Annotated[
        str,
        typer.Argument(help="a run folder, or a name on the hub", autocompletion=completion.models),
    ],
    base: flags.Base = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    label_column: flags.LabelColumn = None,
    corpus_split: flags.CorpusSplit = None,
    seeds: flags.Seeds = None,
    train_size: flags.TrainDocuments = None,
    test_size: flags.TestDocuments = None,
    max_tokens: flags.MaxTokens = None,
    epochs: flags.Epochs = None,
    batch_size: flags.BatchSize = None,
    learning_rate: flags.LearningRate = None,
    seed: flags.Seed = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Train classifiers from a model before and after adaptation, and compare them in pairs.

    Example: mlmref downstream runs/001-token-trainer
    """
    given = locals()
    with told(debug):
        from mlmref.downstream import configured
        from mlmref.downstream import downstream as downstream_

        settings = configured(given)
        answer = downstream_(settings, reporter=reporter_of(quiet))
        from mlmref.show import show_downstream

        show(answer, as_json, show_downstream)


@command()
def verify(
    only: flags.Only = None,
    require: flags.Require = None,
    cpu: flags.OnCpu = False,
    set_: flags.Sets = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Check mlmref against each step and figure of the tutorial that it is the reference for.

    Example: mlmref verify --only T09
    """
    with told(debug):
        from mlmref.tutorial import verify as verify_

        rows = verify_(
            only=parts(only),
            require=parts(require),
            cpu=cpu,
            sets=set_ or (),
            reporter=reporter_of(quiet),
        )
        from mlmref.tutorial.terminal import show_verified

        show(rows, as_json, show_verified)
    if any(row.verdict == "failed" for row in rows):
        raise typer.Exit(Status.FAULT)
