"""Measure an adaptation on another task: train classifiers from both checkpoints (T20).

Clauses DOWN-001 to DOWN-004 (spec/downstream.md). For each seed both checkpoints get a new head
with the same first weights, and the same documents in the same order, so that they are a pair.
"""

from __future__ import annotations

import math
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from mlmref.base.errors import ConfigError, CorpusError, OutputError
from mlmref.base.explain import Tree, explain
from mlmref.base.generators import generators_left
from mlmref.base.progress import SILENT, Reporter
from mlmref.evaluation.intervals import bootstrap
from mlmref.plugin.arrays import BoolArray, Int64Array
from mlmref.results.record import read_record
from mlmref.settings.config import EvaluationConfig, ModelConfig
from mlmref.settings.tree import merge, parse_assignment
from mlmref.studies.downstream.classifier import (
    load_classifier,
    predict,
    read_documents,
    train_classifier,
    trial,
)
from mlmref.studies.downstream.config import DownstreamConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlmref.data.corpus.corpus import Corpus


def configured(tree: Tree, sets: Sequence[str] = ()) -> DownstreamConfig:
    """Return the configuration of a tree of settings.

    Args:
        tree: the settings, by section and key.
        sets: ``corpus.KEY=VALUE`` each, below the tree.

    Raises:
        ConfigError: a value is wrong; names it.
    """
    for text in reversed(sets):
        below = parse_assignment(text)
        if set(below) != {"corpus"} or not isinstance(below["corpus"], dict):
            raise ConfigError("only corpus.KEY can be set here", where=f"--set {text}")
        tree = merge(below, tree)
    try:
        return DownstreamConfig.model_validate(tree)
    except ValidationError as error:
        raise explain(error, DownstreamConfig) from None


def downstream(config: DownstreamConfig, *, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Train classifiers from both checkpoints, seed by seed, and compare them.

    Returns:
        ``base`` and ``adapted`` with the accuracy under each seed; ``difference`` with each
        pair's, their mean, its t-interval over seeds and its bootstrap over test documents; and
        what it was measured on.

    Raises:
        CorpusError: the corpus has no labels, or one of a single kind, or too few documents.
        ConfigError: nothing says what the adapted model was adapted from.
        ModelError: a model cannot be loaded.
    """
    from mlmref.base.quiet_libraries import quiet
    from mlmref.data.corpus.load import load_corpus
    from mlmref.training.process import repeatable

    note = cache(reporter.note)  # once, whatever the number of trainings
    names = {"base": config.base or _base_of(config.adapted), "adapted": config.adapted}
    with quiet():
        corpus = load_corpus(config.corpus, reporter)
    train, test, classes = _choose(corpus, config)
    seeds = range(config.seed, config.seed + config.seeds)
    correct = np.zeros((len(seeds), 2, len(test)), dtype=np.bool_)
    steps = config.epochs * math.ceil(len(train) / config.batch_size)
    total = 2 * len(seeds) * steps
    with reporter.stage("downstream", total, "steps") as stage, generators_left():
        for side, name in enumerate(names.values()):
            model_of = ModelConfig(name=name, tokenizer=config.tokenizer)
            read = read_documents(model_of, corpus, [train, test], classes, config.max_tokens)
            for nth, seed in enumerate(seeds):
                model = load_classifier(model_of, len(classes), seed)
                with repeatable(model.device, partial(trial, model, read[0]), note):
                    for loss in train_classifier(model, read[0], config, seed, steps):
                        stage.advance(1, model=name, seed=f"seed {seed}", loss=loss)
                with reporter.stage("predict"):
                    correct[nth, side] = predict(model, read[1]) == read[1].labels
    return _summary(config, names, corpus, classes.tolist(), correct)


def _summary(
    config: DownstreamConfig,
    names: dict[str, str],
    corpus: Corpus,
    classes: list[int],
    correct: BoolArray,
) -> dict[str, Any]:
    """Sum up which answers were right: bool ``[seeds, 2, documents]``."""
    from scipy import stats

    accuracies = correct.mean(axis=2)
    gains = accuracies[:, 1] - accuracies[:, 0]
    reach = math.nan  # of one seed nobody knows how much another would change
    if len(gains) > 1:
        reach = float(stats.sem(gains) * stats.t.ppf(0.975, len(gains) - 1))
    by_document = (correct[:, 1].astype(float) - correct[:, 0]).mean(axis=0)
    over = bootstrap(by_document, np.ones(len(by_document)), EvaluationConfig(), config.seed)
    return {
        **{
            name: {"model": names[name], "accuracies": accuracies[:, side].tolist()}
            for side, name in enumerate(names)
        },
        "difference": {
            "values": gains.tolist(),
            "mean": float(gains.mean()),
            "over_seeds": [float(gains.mean() - reach), float(gains.mean() + reach)],
            "over_documents": list(over),
        },
        "corpus": corpus.source,
        "classes": classes,
        "config": config.model_dump(mode="json"),
    }


def _base_of(adapted: str) -> str:
    """Return what a run's model was adapted from."""
    try:
        return str(read_record(Path(adapted))["model"]["name"])
    except (OSError, OutputError, LookupError, TypeError) as error:
        from mlmref.model.source import find_model

        find_model(ModelConfig(name=adapted))  # a misspelt folder is refused here
        raise ConfigError(
            "nothing says what it was adapted from, as a run folder's record.json does",
            where=adapted,
            hint="name that model with --base",
        ) from error


def _choose(corpus: Corpus, config: DownstreamConfig) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Choose documents to train on and to measure on, and return the classes besides."""
    name = config.corpus.label_column
    if "label" not in corpus.dataset.column_names:
        raise CorpusError(
            f"no labels in column {name!r}", where=corpus.name, hint="see --label-column"
        )
    labels = np.asarray(corpus.dataset.with_format("numpy")["label"][:])
    labelled = np.flatnonzero(labels >= 0)  # -1 is none, as in IMDb's unsupervised split
    if len(labelled) < config.train_size + config.test_size:
        raise CorpusError(
            f"{len(labelled):,} documents with labels are fewer than "
            f"{config.train_size:,} to train on and {config.test_size:,} to measure on",
            where=corpus.name,
            hint="lower --train-size or --test-size",
        )
    order = labelled[np.random.default_rng(config.seed).permutation(len(labelled))]
    train = order[: config.train_size]
    test = order[config.train_size : config.train_size + config.test_size]
    classes = np.unique(labels[train])
    if len(classes) < 2 or not np.isin(labels[test], classes).all():
        raise CorpusError(
            f"labels to train on are {', '.join(map(str, classes.tolist()))} alone",
            where=corpus.name,
            hint="choose another corpus, or raise --train-size",
        )
    return train, test, classes
