"""Prepare a run: load the model, tokenize, chunk and split the corpus."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlmref.base.errors import ConfigError
from mlmref.base.progress import Reporter
from mlmref.runner.context import RunContext
from mlmref.runner.text import masker_for, prepare_text
from mlmref.settings.config import Config
from mlmref.settings.resolve import to_toml

if TYPE_CHECKING:
    from mlmref.data.chunks import Chunks
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.split import Split
    from mlmref.masking.masker import Masker
    from mlmref.model.load import LoadedModel
    from mlmref.model.loss import MaskedLMObjective

_WORKERS = 4  # processes per CPU; most of them wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The model, chunks and masks that evaluation and training need."""

    context: RunContext
    loaded: LoadedModel
    corpus: Corpus
    chunks: Chunks
    split: Split
    masker: Masker
    objective: MaskedLMObjective

    @property
    def config(self) -> Config:
        """The settings of the run."""
        return self.context.config


def check_first(config: Config, reporter: Reporter) -> None:
    """Check the settings that would otherwise fail late in the run.

    Raises:
        ConfigError: the repository's name, the precision or the number of workers is impossible.
    """
    from mlmref.base.ranks.process import check_launcher, state
    from mlmref.training.optimizer import choose_precision

    check_launcher(reporter.note)
    if config.output.push:
        from mlmref.results.publish import check_repo_id

        check_repo_id(config.output.push)
    choose_precision(config.training.precision, state().device)
    most = _WORKERS * (os.cpu_count() or 1)
    if config.training.workers > most:
        raise ConfigError(
            f"{config.training.workers:,} processes are too many for {os.cpu_count()} CPUs",
            where="training.workers",
            hint=f"use --workers {most} or fewer",
        )
    to_toml(config)


def load(context: RunContext) -> LoadedModel:
    """Load the model and move it to the device of this rank.

    Raises:
        ModelError: the model cannot be found, loaded or used.
    """
    from mlmref.base.ranks.process import state
    from mlmref.model.load import load_model

    with context.stage("load"):
        loaded = load_model(context.config.model)
        loaded.model.to(state().device)
    parameters = sum(one.numel() for one in loaded.model.parameters())
    context.reporter.note(f"{loaded}: {parameters:,} parameters")
    return loaded


def try_out(context: RunContext, loaded: LoadedModel, *, train: bool = False) -> MaskedLMObjective:
    """Try the model at the run's chunk size; return it with its loss (MODEL-013).

    Raises:
        ConfigError: the chunks are longer than the model allows.
        ModelError: the model fails.
    """
    from mlmref.model.trial import try_model

    with context.clock("load"):
        return try_model(context.config, loaded, context.reporter.warn, train=train)


def prepare(
    context: RunContext, loaded: LoadedModel, objective: MaskedLMObjective | None = None
) -> Ready:
    """Read, tokenize, chunk and split the corpus, and make the masker.

    Args:
        context: the run.
        loaded: the model.
        objective: the model with its loss, if :func:`try_out` has already returned it.

    Raises:
        MlmrefError: as in :func:`~mlmref.runner.text.prepare_text`,
            :func:`~mlmref.runner.text.masker_for` and :func:`try_out`.
    """
    text = prepare_text(context, loaded.tokenizer, loaded.max_length)
    masker = masker_for(context, text, context.reporter.warn)
    objective = objective or try_out(context, loaded)
    if objective.path == "plain":
        context.reporter.note(
            f"{context.config.model.name}: its head needs every position, so each step computes "
            "all logits"
        )
    return Ready(
        context=context,
        loaded=loaded,
        corpus=text.corpus,
        chunks=text.chunks,
        split=text.split,
        masker=masker,
        objective=objective,
    )
