"""Measure an adaptation on another task: train classifiers from both checkpoints (T20).

Clauses DOWN-001 to DOWN-004 (spec/downstream.md). For each seed, both checkpoints get the same
initial head and the same documents in the same order, so their accuracies are paired.
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
from mlmref.evaluation.intervals import bootstrap, students
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
        sets: texts ``corpus.KEY=VALUE``, which the tree overrides.

    Raises:
        ConfigError: a value is invalid; names it.
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
        ``base`` and ``adapted`` with the accuracy of each seed; ``difference`` with the values by
        seed, their mean, its t-interval over seeds and its bootstrap interval over test documents;
        and the corpus, the classes and the settings.

    Raises:
        CorpusError: the corpus has no labels, only one class, or too few documents.
        ConfigError: the base model is unknown.
        ModelError: a model cannot be loaded.
    """
    from mlmref.base.quiet_libraries import quiet
    from mlmref.data.corpus.load import load_corpus
    from mlmref.training.process import repeatable

    note = cache(reporter.note)  # each note once, not once per training
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
    """Return the result from the correct predictions: bool ``[seeds, 2, documents]``."""
    accuracies = correct.mean(axis=2)
    gains = accuracies[:, 1] - accuracies[:, 0]
    by_document = (correct[:, 1].astype(float) - correct[:, 0]).mean(axis=0)
    settings = EvaluationConfig()
    over = bootstrap(by_document, np.ones(len(by_document)), settings, config.seed)
    return {
        **{
            name: {"model": names[name], "accuracies": accuracies[:, side].tolist()}
            for side, name in enumerate(names)
        },
        "difference": {
            "values": gains.tolist(),
            "mean": float(gains.mean()),
            "over_seeds": list(students(gains, settings.confidence)),
            "over_documents": list(over),
        },
        "corpus": corpus.source,
        "classes": classes,
        "config": config.model_dump(mode="json"),
    }


def _base_of(adapted: str) -> str:
    """Return the base model of a run, from its record."""
    try:
        return str(read_record(Path(adapted))["model"]["name"])
    except (OSError, OutputError, LookupError, TypeError) as error:
        from mlmref.model.source import find_model

        find_model(ModelConfig(name=adapted))  # raises an error if the name is misspelled
        raise ConfigError(
            "its base model is unknown, because it has no record.json of a run",
            where=adapted,
            hint="name the base model with --base",
        ) from error


def _choose(corpus: Corpus, config: DownstreamConfig) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return the indices of the training and the test documents, and the classes.

    Raises:
        CorpusError: the corpus has no labels, only one class, or too few documents.
    """
    name = config.corpus.label_column
    if "label" not in corpus.dataset.column_names:
        raise CorpusError(
            f"no labels in column {name!r}", where=corpus.name, hint="see --label-column"
        )
    labels = np.asarray(corpus.dataset.with_format("numpy")["label"][:])
    labelled = np.flatnonzero(labels >= 0)  # -1 means no label, as in IMDb's unsupervised split
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
            f"the training documents have only the labels {', '.join(map(str, classes.tolist()))}",
            where=corpus.name,
            hint="choose another corpus, or raise --train-size",
        )
    return train, test, classes
