"""What an adaptation gains elsewhere: a classifier trained from both checkpoints (T20).

Clauses DOWN-001 to DOWN-004 (spec/downstream.md). For each seed both checkpoints get a new head
with the same first weights, and the same documents in the same order, so that they are a pair.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, ValidationError

from mlmref.config import (
    CorpusConfig,
    Count,
    EvaluationConfig,
    ModelConfig,
    Section,
    TrainingConfig,
)
from mlmref.contracts import BoolArray, Int64Array
from mlmref.errors import ConfigError, CorpusError, MlmrefError
from mlmref.explain import explain
from mlmref.generators import generators_left
from mlmref.intervals import bootstrap
from mlmref.progress import SILENT, Reporter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel

    from mlmref.corpus import Corpus

_EVALUATED = 128  # documents in a forward pass of the evaluation


class DownstreamConfig(Section):
    """How to train and measure the classifiers.

    Attributes:
        adapted: the model after adaptation: a run folder, or a name on the hub.
        base: the model before; left out, the one that the run folder says it is of.
        corpus: documents with labels.
        seeds: how many times both are trained.
        train_size: documents to train on.
        test_size: documents to measure on.
        max_tokens: tokens of a document that are read, from its beginning.
        epochs: passes over the documents.
        batch_size: documents in a step.
        learning_rate: the peak of a linear schedule.
        seed: chooses the documents, and the first of the seeds.
    """

    adapted: str
    base: str | None = None
    corpus: CorpusConfig = CorpusConfig()
    seeds: Count = 5
    train_size: Count = 2_000
    test_size: Count = 2_000
    max_tokens: Annotated[int, Field(ge=8)] = 256
    epochs: Count = 2
    batch_size: Count = 32
    learning_rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 5e-4
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42


def configured(given: Mapping[str, Any]) -> DownstreamConfig:
    """Make the configuration of what a command line gave; ``None`` was not given.

    Raises:
        ConfigError: a value is wrong; names it.
    """
    of_corpus = {
        "name": "corpus",
        "split": "corpus_split",
        "text_column": "text_column",
        "label_column": "label_column",
    }
    own = {key: given.get(key) for key in DownstreamConfig.model_fields if key != "corpus"}
    corpus = {key: given.get(flag) for key, flag in of_corpus.items()}
    tree: dict[str, Any] = {key: value for key, value in own.items() if value is not None}
    tree["corpus"] = {key: value for key, value in corpus.items() if value is not None}
    try:
        return DownstreamConfig.model_validate(tree)
    except ValidationError as error:
        raise explain(error, DownstreamConfig) from None


class Documents(NamedTuple):
    """Documents as a model reads them.

    Attributes:
        ids: the tokens of each.
        labels: int64 ``[D]``, each one's class, from 0.
    """

    ids: list[list[int]]
    labels: Int64Array


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
    from mlmref.corpus import load_corpus
    from mlmref.quiet import quiet

    names = {"base": config.base or _base_of(config.adapted), "adapted": config.adapted}
    with quiet():
        corpus = load_corpus(config.corpus, reporter)
    train, test, classes = _choose(corpus, config)
    seeds = range(config.seed, config.seed + config.seeds)
    correct = np.zeros((len(seeds), 2, len(test)), dtype=np.bool_)
    steps = config.epochs * math.ceil(len(train) / config.batch_size)
    with reporter.stage("downstream", 2 * len(seeds) * steps) as stage, generators_left():
        for side, name in enumerate(names.values()):
            read = _read(name, corpus, [train, test], classes, config.max_tokens)
            for nth, seed in enumerate(seeds):
                model = _load(name, len(classes), seed)
                for _ in _train(model, read[0], config, seed, steps):
                    stage.advance(1, f"{name}, seed {seed}")
                correct[nth, side] = _predict(model, read[1]) == read[1].labels
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
        record = json.loads((Path(adapted) / "record.json").read_bytes())
        return str(record["model"]["name"])
    except (OSError, ValueError, LookupError, TypeError) as error:
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


def _read(
    name: str, corpus: Corpus, parts: Sequence[Int64Array], classes: Int64Array, most: int
) -> list[Documents]:
    """Tokenise the chosen documents, each cut behind ``most`` tokens."""
    from mlmref.model import load_model
    from mlmref.quiet import quiet

    loaded = load_model(ModelConfig(name=name))
    tokenizer, limit = loaded.tokenizer, loaded.max_length
    read = []
    for numbers in parts:
        rows = corpus.dataset.select(numbers.tolist())
        with quiet():
            ids = tokenizer(rows["text"][:], truncation=True, max_length=min(most, limit))
        labels = np.searchsorted(classes, np.asarray(rows.with_format("numpy")["label"][:]))
        read.append(Documents(ids["input_ids"], labels))
    return read


def _load(name: str, classes: int, seed: int) -> Any:
    """Load a checkpoint under a new head, whose first weights go by the seed."""
    import torch

    from mlmref.distributed import state
    from mlmref.model import pretrained

    torch.manual_seed(seed)
    model = pretrained(
        ModelConfig(name=name), "AutoModelForSequenceClassification", num_labels=classes
    )[0]
    return model.to(state().device)


def _train(
    model: PreTrainedModel, documents: Documents, config: DownstreamConfig, seed: int, steps: int
) -> Iterator[None]:
    """Train a classifier step by step, in an order and with a dropout that go by the seed."""
    import torch

    from mlmref.optimisation import make_optimizer, schedule

    training = TrainingConfig(learning_rate=config.learning_rate)
    optimizer = make_optimizer(model, training)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(training, steps))
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model.train()
    for _ in range(config.epochs):
        order = rng.permutation(len(documents.labels))
        for first in range(0, len(order), config.batch_size):
            batch = _batch(model, documents, order[first : first + config.batch_size])
            loss = model(**batch).loss
            if not torch.isfinite(loss):
                raise MlmrefError(
                    f"the loss is {loss.item()}", where="downstream", hint="lower --learning-rate"
                )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), training.max_grad_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            yield


def _predict(model: Any, documents: Documents) -> Int64Array:
    """Return the class that the model finds most likely for each document."""
    import torch

    model.eval()
    found = np.zeros(len(documents.labels), dtype=np.int64)
    by_length = np.argsort([len(ids) for ids in documents.ids], kind="stable")
    with torch.inference_mode():
        for first in range(0, len(by_length), _EVALUATED):
            some = by_length[first : first + _EVALUATED]
            found[some] = model(**_batch(model, documents, some)).logits.argmax(1).cpu().numpy()
    return found


def _batch(model: PreTrainedModel, documents: Documents, some: Int64Array) -> dict[str, Tensor]:
    """Lay documents side by side, filled up to the longest."""
    import torch

    rows = [documents.ids[number] for number in some]
    width = max(map(len, rows))
    ids = np.full((len(rows), width), model.config.pad_token_id or 0)
    there = np.arange(width) < np.array([len(row) for row in rows])[:, None]
    ids[there] = np.concatenate(rows)
    arrays = {"input_ids": ids, "attention_mask": there, "labels": documents.labels[some]}
    return {name: torch.from_numpy(array).long().to(model.device) for name, array in arrays.items()}
