"""``mlmref downstream``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mlmref.cli import completion, flags
from mlmref.cli.base import reporter_of, show
from mlmref.cli.command import Given, command

if TYPE_CHECKING:
    from mlmref.settings.setting import Section


def _settings() -> type[Section]:
    from mlmref.studies.downstream.config import DownstreamConfig

    return DownstreamConfig


@command(
    "base",
    "tokenizer",
    "corpus",
    "seeds",
    "train_size",
    "test_size",
    "max_tokens",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    omit=("corpus.documents", "corpus.limit"),
    root=_settings,
)
def downstream(
    given: Given,
    adapted: Annotated[
        str,
        typer.Argument(help="a run folder, or a name on the hub", autocompletion=completion.models),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="how to read the corpus: corpus.KEY=VALUE; repeatable"),
    ] = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Train classifiers from a model before and after adaptation, and compare them in pairs.

    Example: mlmref downstream runs/001-token-trainer
    """
    from mlmref.studies.downstream.downstream import configured
    from mlmref.studies.downstream.downstream import downstream as downstream_
    from mlmref.studies.downstream.terminal import show_downstream

    config = configured({"adapted": adapted, **given.tree()}, set_ or ())
    show(downstream_(config, reporter=reporter_of(quiet)), as_json, show_downstream)
