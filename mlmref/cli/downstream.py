"""``mlmref downstream``."""

from __future__ import annotations

from typing import Annotated

import typer

from mlmref.cli import completion, flags
from mlmref.cli.base import command, reporter_of, show
from mlmref.cli.errors import told


@command()
def downstream(
    adapted: Annotated[
        str,
        typer.Argument(help="a run folder, or a name on the hub", autocompletion=completion.models),
    ],
    base: flags.Base = None,
    tokenizer: flags.Tokenizer = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    label_column: flags.LabelColumn = None,
    corpus_split: flags.CorpusSplit = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="how to read the corpus: corpus.KEY=VALUE; repeatable"),
    ] = None,
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
        from mlmref.studies.downstream.downstream import configured
        from mlmref.studies.downstream.downstream import downstream as downstream_

        settings = configured(given)
        answer = downstream_(settings, reporter=reporter_of(quiet))
        from mlmref.cli.show import show_downstream

        show(answer, as_json, show_downstream)
