"""Small training jobs: tokens made by hand, a tiny model, any backend."""

import json
import math
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from support.maskers import built_in
from support.models import VOCABULARY, tiny_model
from support.tokens import tokens_of, vocabulary

from mlmref.conformance.backends.toy_job import PlainLoop
from mlmref.data.chunks import chunk
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.contracts import Options
from mlmref.plugin.discovery import discover
from mlmref.plugin.registry import choose
from mlmref.settings.config import ChunkConfig, Config, TrainingConfig
from mlmref.training.job import Job
from mlmref.training.state import from_plain, to_plain

WORDS = vocabulary(VOCABULARY)


def some_chunks(count, size=16, seed=0, pad=False):
    """Return ``count`` chunks of random tokens in documents of 3 to 40 tokens."""
    rng = np.random.default_rng(seed)
    total = count * size - (size // 2 if pad else 0)
    lengths = []
    while sum(lengths) < total:
        lengths.append(min(int(rng.integers(3, 41)), total - sum(lengths)))
    documents = [[1, *rng.integers(5, VOCABULARY, n - 2).tolist(), 2][:n] for n in lengths]
    tokens = tokens_of([*documents, [VOCABULARY - 1] * 0])
    chunks = chunk(tokens, ChunkConfig(size=size, remainder="pad" if pad else "drop"))
    assert len(chunks) == count
    return chunks


def masker(name="token", **options):
    """Return a built-in masker over the tiny models' vocabulary."""
    return built_in(name, words=WORDS, **options)


class Stopped(Exception):  # noqa: N818 - what a job is stopped with, as by a signal
    """A job is stopped after a step."""


class Booked:
    """A job together with what it reported.

    Args:
        family: of the tiny model, if there is no ``model``.
        chunks: to train on; 20 of them by default.
        masker_: masks them; ``token`` by default.
        seed: the run's.
        model: what to train.
        goes_on: a job that was stopped, whose state to take up.
        stop: after which step to raise :class:`Stopped`.
        scratch: what a backend may write to.
        training: settings of the section ``training``.
    """

    def __init__(
        self,
        *,
        family="bert",
        chunks=None,
        masker_=None,
        seed=42,
        model=None,
        goes_on=None,
        stop=None,
        scratch=Path("no-backend-was-asked-to-write"),
        **training,
    ):
        self.model = model or tiny_model(family)
        self.reports, self.epochs = [], []
        self.job = Job(
            objective=MaskedLMObjective(self.model),
            chunks=chunks if chunks is not None else some_chunks(20),
            masker=masker_ or masker(),
            config=Config(seed=seed, training=TrainingConfig(**training)),
            scratch=scratch,
            on_step=self._book,
            on_epoch=self.epochs.append,
        )
        self._stop = stop
        if goes_on:
            self._take_up(goes_on)

    def _book(self, report):
        self.reports.append(report)
        if report.step == self._stop:
            raise Stopped

    def _take_up(self, stopped):
        """Restore what a checkpoint holds of the other job, as it comes back from one."""
        tensors = {}
        plain = json.loads(json.dumps(to_plain(stopped.job.state(), tensors)))
        state = deepcopy(from_plain(plain, tensors))
        self.job.restore(state, deepcopy(stopped.job.weights()))

    def losses(self):
        """Return the loss of each step."""
        return [report.loss for report in self.reports]

    def weights(self):
        """Return all parameters as one flat array."""
        return np.concatenate(
            [value.detach().cpu().numpy().ravel() for value in self.model.state_dict().values()]
        )


def train(backend, **settings):
    """Train a job on a backend, or the kit's ``plain`` loop, until it ends or is stopped."""
    with TemporaryDirectory() as scratch, suppress(Stopped):
        booked = Booked(scratch=Path(scratch), **settings)
        if backend == "plain":
            PlainLoop(Options()).train(booked.job)
        else:
            choose(discover().backend(backend), {}, "training.options").make().train(booked.job)
    return booked


def finite(values):
    """Tell whether all values are numbers."""
    return all(math.isfinite(value) for value in values)
