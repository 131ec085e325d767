"""The stations of a run, one by one, as the benchmarks need them."""

import csv
import statistics
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
from support.maskers import built_in

from mlmref.data.chunks import chunk
from mlmref.data.corpus.load import load_corpus
from mlmref.data.split import split
from mlmref.data.tokens.tokenize import tokenize
from mlmref.model.load import load_model
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.contracts import Options
from mlmref.settings.config import ChunkConfig, Config, CorpusConfig, ModelConfig, SplitConfig
from mlmref.training.backends.trainer import TrainerBackend
from mlmref.training.job import Job

CHUNK = 128
TRAIN, TEST = 10_000, 1_000


@cache
def loaded():
    """Return the embedded checkpoint with its own dropout."""
    return load_model(ModelConfig())


@cache
def tokens():
    """Return IMDb's 25,000 training reviews as tokens."""
    return tokenize(load_corpus(CorpusConfig(name="imdb")), loaded().tokenizer)


@cache
def parts():
    """Return the tutorial's split: 10,000 chunks to train on and 1,000 held out."""
    rule = SplitConfig(train_size=TRAIN, test_size=TEST, seed=42)
    return split(chunk(tokens(), ChunkConfig(size=CHUNK)), rule)


@cache
def masker(name="token"):
    """Return a built-in strategy's masker with its own defaults."""
    return built_in(name, words=tokens().vocabulary)


def as_dataset(chunks):
    """Return chunks as the data set that a Trainer is given: columns of lists."""
    from datasets import Dataset

    ids = chunks.gather(np.arange(len(chunks))).input_ids
    return Dataset.from_dict({"input_ids": list(ids), "attention_mask": list(np.ones_like(ids))})


def step(model, *, batch_size, steps, objective=None, chunks=None, masked=None):
    """Return the median seconds of a step of the default backend, as a run takes it."""
    at = []
    config = Config.model_validate({"training": {"batch_size": batch_size, "max_steps": steps}})
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(
            objective=objective or MaskedLMObjective(model),
            chunks=chunks or parts().train,
            masker=masked or masker(),
            config=config,
            scratch=Path(scratch),
            on_step=lambda _: at.append(time.perf_counter()),
            on_epoch=lambda _: None,
        )
        TrainerBackend(Options()).train(job)
    return statistics.median(np.diff(at))


def write_reviews(file):
    """Write IMDb's reviews as a CSV file with text and label."""
    corpus = load_corpus(CorpusConfig(name="imdb")).dataset
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows(zip(corpus["text"], corpus["label"], strict=True))
