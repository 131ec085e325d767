"""A job that is taken up again, and what is missed when something of it is left out (CKPT-001)."""

import random

import numpy as np
import pytest
import torch
from support.jobs import Booked, masker, some_chunks, train
from support.models import tiny_model
from torch import nn

from mlmref.base import generators
from mlmref.base.errors import MlmrefError
from mlmref.base.progress import SILENT
from mlmref.base.progress.clock import Clock
from mlmref.conformance.backends.toy_job import PlainLoop
from mlmref.model import loss as objective
from mlmref.plugin.contracts import Options
from mlmref.runner.folder.checkpoint import last_step
from mlmref.runner.folder.checkpoints import Saves
from mlmref.runner.identity import Begun
from mlmref.runner.log.metrics import Story
from mlmref.settings.config import CheckpointConfig
from mlmref.training.job import Job
from mlmref.training.steps import TrainingSteps

SETTINGS = {
    "batch_size": 4,
    "accumulation": 2,
    "epochs": 2,
    "learning_rate": 1e-2,
    "warmup_steps": 2,
}
BACKENDS = ("trainer", "accelerate")


class Restless(nn.Module):
    """Adds noise from three generators to what the embeddings give, as dropout in training."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    @property
    def weight(self):
        """Return the embeddings', as tied layers ask for it."""
        return self.inner.weight

    def forward(self, ids):
        """Draw from Python's, NumPy's and torch's generator."""
        found = self.inner(ids)
        if not self.training:
            return found
        noise = random.gauss(0, 1) + np.random.randn() + torch.randn(())  # noqa: NPY002
        # Along a direction, since a norm takes off again what is added to all numbers alike.
        return found + 0.1 * noise * torch.linspace(-1.0, 1.0, found.shape[-1])


def restless_model():
    """Return a tiny model that draws from every generator."""
    model = tiny_model("bert")
    model.bert.embeddings.word_embeddings = Restless(model.bert.embeddings.word_embeddings)
    return model


def job(**settings):
    """Return the settings of a job with dropout and noise, whose last window is partial."""
    return SETTINGS | {"chunks": some_chunks(21), "model": restless_model()} | settings


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request):
    """Go through the backends."""
    return request.param


@pytest.fixture(scope="module")
def whole(backend):
    """Train without a stop."""
    return train(backend, **job())


def resumed(backend, stop):
    """Stop a job after a step, and take it up in a new one."""
    stopped = train(backend, **job(stop=stop))
    # What an interruption leaves of generators and of the last gradient is nobody's business.
    for one in (random.seed, np.random.seed, torch.manual_seed):
        one(stop)
    after = train(backend, **job(goes_on=stopped))
    return after.weights(), [*stopped.reports, *after.reports], after.epochs


@pytest.mark.clause("CKPT-001")
@pytest.mark.clause("RES-004")
@pytest.mark.clause("BACK-005")
@pytest.mark.parametrize("stop", range(1, 6))
def test_a_job_goes_on_exactly_after_any_step(backend, whole, stop):
    """Weights, losses, norms and rates are those of a job without a stop, to the last bit."""
    weights, reports, _ = resumed(backend, stop)
    assert np.array_equal(weights, whole.weights())
    assert reports == whole.reports


def nothing(*_, **__):
    """Do nothing."""


def left_out(name, patch):
    """Leave out one thing of what is restored, or of what makes it unnecessary."""
    real = Job.restore

    def without_weights(self, saved, weights):
        real(self, saved, self.weights())

    def without(key):
        def restore(self, saved, weights):
            fresh = self.state()
            fresh["scheduler"] = dict(fresh["scheduler"])
            real(self, {**saved, key: fresh[key]}, weights)

        return restore

    def other_seed(self, chunks, masker_, plan, *, seed, rank):
        self._chunks, self._masker, self._plan = chunks, masker_, plan
        self._seed, self._rank = seed, rank
        self._order = lambda epoch: TrainingSteps._shuffled(self, epoch + 7)

    def other_dropout(self, step, micro_batch):
        return step * 100 + micro_batch

    masks = type(masker()).__call__

    def other_masks(self, rows, pass_):
        return masks(self, rows, pass_ + 7)

    seeds = {
        "Python's generator": (random, "seed"),
        "NumPy's generator": (np.random, "seed"),
        "torch's generator": (generators, "seed_torch"),
    }
    if name == "weights":
        patch.setattr(Job, "restore", without_weights)
    elif name in {"optimizer", "scheduler", "done"}:
        patch.setattr(Job, "restore", without(name))
    elif name == "order":
        patch.setattr(TrainingSteps, "__init__", other_seed)
    elif name == "dropout":
        patch.setattr(TrainingSteps, "_dropout_seed", other_dropout)
    elif name == "masks":
        patch.setattr(type(masker()), "__call__", other_masks)
    elif name in seeds:
        patch.setattr(*seeds[name], nothing)


@pytest.mark.clause("RES-004")
@pytest.mark.parametrize(
    "name",
    [
        "weights",
        "optimizer",
        "scheduler",
        "done",
        "order",
        "dropout",
        "masks",
        "Python's generator",
        "NumPy's generator",
        "torch's generator",
    ],
)
def test_the_comparison_misses_whatever_is_left_out(backend, whole, name):
    """Without any one of these the resumed job ends in other weights and other losses."""
    stopped = train(backend, **job(stop=3))
    with pytest.MonkeyPatch.context() as patch:
        left_out(name, patch)
        after = train(backend, **job(goes_on=stopped))
    assert not np.array_equal(after.weights(), whole.weights())
    assert [*stopped.reports, *after.reports] != whole.reports


@pytest.mark.clause("CKPT-001")
def test_a_checkpoint_of_another_model_is_refused():
    """Names and shapes must be the model's."""
    stopped = train("plain", **SETTINGS, stop=1)
    other = Booked(family="roberta", **SETTINGS)
    with pytest.raises(MlmrefError, match="of another model"):
        other.job.restore(stopped.job.state(), stopped.job.weights())


@pytest.mark.clause("BACK-030")
def test_saved_state_that_no_backend_asks_for_ends_the_run():
    """A backend that went on without its scale would make another run."""
    stopped = train("plain", **SETTINGS, stop=1)
    state = {**stopped.job.state(), "kept": {"scaler": {"scale": 2.0}}}
    booked = Booked(**SETTINGS)
    booked.job.restore(state, stopped.job.weights())
    with pytest.raises(MlmrefError, match="did not register its state 'scaler'"):
        PlainLoop(Options()).train(booked.job)


@pytest.mark.clause("CKPT-001")
def test_the_rate_of_a_step_that_fp16_skips_is_the_last_ones():
    """A resumed job reports what one without a stop does, though no optimizer's step told it."""
    stopped = train("plain", **SETTINGS, stop=3)
    resumed, kept = Booked(**SETTINGS, goes_on=stopped), stopped.reports[-1].learning_rate
    reports = []
    resumed.job.on_step = reports.append
    resumed.job.after_step(0.0)  # the loss scaler has passed the optimizer over
    assert reports[0].learning_rate == kept


@pytest.mark.clause("CKPT-010")
@pytest.mark.parametrize("kind", ["floats", "whole numbers", "not saved with the model"])
def test_what_moves_in_training_is_not_saved_between_steps(kind, tmp_path):
    """Averages and ranges in buffers are those of a step that has not been taken yet."""
    booked = train("plain", **SETTINGS, stop=3)
    values = torch.zeros(2, dtype=torch.long if kind == "whole numbers" else torch.float)
    booked.model.register_buffer("average", values, persistent=kind != "not saved with the model")
    saves = Saves(tmp_path, Begun(run="a", settings={}), CheckpointConfig(), SILENT)
    booked.job.between = True
    story = Story(tmp_path, Clock())
    saves.save_if_whole(booked.job, story.lines, Clock())
    assert (last_step(tmp_path / "checkpoints") is None) == (kind == "floats")


@pytest.mark.clause("CKPT-003")
@pytest.mark.parametrize(
    ("every", "expected"),
    [(None, [3, 6]), (1, [1, 2, 3, 4, 5, 6]), (2, [2, 3, 4, 6]), (4, [3, 4, 6])],
)
def test_a_job_is_saved_every_so_many_steps_and_at_each_epochs_end(every, expected):
    """Six steps in two epochs, the end of an epoch before it is measured."""
    booked = Booked(**job())
    events = []
    booked.job.config = booked.job.config.model_copy(
        update={"checkpoints": CheckpointConfig(every=every)}
    )
    booked.job.on_save = lambda: events.append(booked.job.done)
    booked.job.on_epoch = lambda epoch: events.append(f"epoch {epoch}")
    PlainLoop(Options()).train(booked.job)
    assert [one for one in events if isinstance(one, int)] == expected
    for epoch, step in ((1, 3), (2, 6)):
        assert events[events.index(f"epoch {epoch}") - 1] == step


@pytest.mark.clause("CKPT-010")
def test_a_job_knows_when_it_can_be_saved():
    """Not from the optimizer's step until the step is booked; at any other time."""
    booked = Booked(**SETTINGS)
    seen = []
    forward = objective.MaskedLMObjective.forward

    def watched(self, *arguments, **options):
        seen.append(booked.job.between)
        return forward(self, *arguments, **options)

    booked.job.on_step = lambda _: seen.append(booked.job.between)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objective.MaskedLMObjective, "forward", watched)
        PlainLoop(Options()).train(booked.job)
    assert seen[:6] == [True, True, False, True, True, False]
