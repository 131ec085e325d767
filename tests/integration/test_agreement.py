"""Whole runs on either backend, and on a bare loop: the same to the last bit (BACK, EVAL)."""

import hashlib
import json
from itertools import combinations

import pytest
from support.runs import save_corpus, save_model

from mlmref import hookimpl, run
from mlmref.conformance.backends.toy_job import PlainLoop
from mlmref.plugin.discovery import discover
from mlmref.plugin.training import BackendEntry
from mlmref.settings.resolve import resolve


class Plain:
    """A plugin with the bare loop that the kit holds backends to."""

    @hookimpl
    def mlmref_training_backends(self):
        """Return it."""
        return [BackendEntry(name="plain", summary="a bare loop", build=PlainLoop)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt")
    return folder


def outcome(place, backend, **settings):
    """Run; return steps and evaluations as they were written, the answers, and the weights."""
    settings = {
        "training.backend": backend,
        "model.name": place / "model",
        "corpus.name": place / "corpus.txt",
        "output.folder": place / f"run-{len(list(place.iterdir()))}",
        "chunks.size": 16,
        "split.train_size": 43,
        "split.test_size": 21,
        "training.batch_size": 16,
        "training.epochs": 2,
        "training.learning_rate": 1e-2,
    } | settings
    sets = [f"{key}={value}" for key, value in settings.items()]
    result = run(resolve(sets=sets), registry=discover([Plain()]))
    events = [json.loads(line) for line in (result.folder / "metrics.jsonl").open()]
    found = {name: [one for one in events if one["event"] == name] for name in EVENTS}
    weights = (result.folder / "model.safetensors").read_bytes()
    return {**found, "weights": hashlib.sha256(weights).hexdigest()}


BACKENDS = ("trainer", "accelerate")
EVENTS = ("step", "evaluation", "fill_mask")

MILD = 1.3
"""A norm that some of a run's gradients exceed, and some do not."""

LEVELS = {
    "masking.strategy": ("token", "whole-word"),
    "training.batch_size": (16, 4),  # by an accumulation of 1 and 4
    "training.max_grad_norm": (0.0, MILD, 0.1),  # none, mild, and hard
    "split.train_size": (48, 43),  # whole windows of 16, and a partial one of 11
    "model.dropout": (0.1, 0.0),
    "training.precision": ("fp32", "bf16"),
}

TABLE = (
    ("token", 16, 0.0, 48, 0.1, "fp32"),
    ("token", 4, MILD, 43, 0.0, "bf16"),
    ("token", 4, 0.1, 48, 0.1, "bf16"),
    ("whole-word", 4, 0.0, 43, 0.0, "bf16"),
    ("whole-word", 16, MILD, 48, 0.1, "bf16"),
    ("whole-word", 16, 0.1, 43, 0.1, "fp32"),
    ("whole-word", 4, MILD, 48, 0.0, "fp32"),
    ("token", 16, 0.1, 43, 0.0, "fp32"),
    ("token", 4, MILD, 43, 0.1, "fp32"),
)


@pytest.mark.clause("BACK-002")
def test_each_pair_of_settings_is_tried():
    """The table holds every two levels of every two settings."""
    for (one, ones), (other, others) in combinations(enumerate(LEVELS.values()), 2):
        pairs = {(row[one], row[other]) for row in TABLE}
        assert pairs == {(a, b) for a in ones for b in others}


@pytest.mark.clause("BACK-001")
@pytest.mark.clause("BACK-002")
@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(map(str, row)))
def test_whole_runs_agree_to_the_last_bit(row, place):
    """Losses, norms and rates of each step, the evaluation of each epoch, and the weights."""
    settings = dict(zip(LEVELS, row, strict=True))
    settings["training.accumulation"] = 16 // settings["training.batch_size"]
    expected, *others = (outcome(place, backend, **settings) for backend in ("plain", *BACKENDS))
    assert others == [expected, expected]
    assert (len(expected["step"]), len(expected["evaluation"])) == (6, 3)
    perplexities = [one["value"] for one in expected["evaluation"]]
    assert sorted(perplexities, reverse=True) == perplexities, "nothing was learnt"
    clipped = [one["grad_norm"] > settings["training.max_grad_norm"] for one in expected["step"]]
    if settings["training.max_grad_norm"] == MILD:
        assert 0 < sum(clipped) < 6, "not mild"
    else:
        assert all(clipped)


@pytest.mark.clause("BACK-003")
@pytest.mark.clause("ORDER-003")
@pytest.mark.parametrize("strategy", LEVELS["masking.strategy"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_accumulation_is_the_same_optimization(backend, strategy, place):
    """16x1, 8x2 and 4x4, with a partial window: losses and norms to 1e-5, perplexity to 1e-6."""
    runs = [
        outcome(
            place,
            backend,
            **{
                "masking.strategy": strategy,
                "training.batch_size": size,
                "training.accumulation": 16 // size,
                "model.dropout": 0.0,
            },
        )
        for size in (16, 8, 4)
    ]
    for other in runs[1:]:
        for one, two in zip(runs[0]["step"], other["step"], strict=True):
            assert two["targets"] == one["targets"]
            assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
            assert two["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-5)
        for one, two in zip(runs[0]["evaluation"], other["evaluation"], strict=True):
            assert two["value"] == pytest.approx(one["value"], rel=1e-6)


@pytest.mark.clause("EVAL-002")
@pytest.mark.clause("EVAL-003")
@pytest.mark.clause("ORDER-002")
def test_workers_and_evaluation_batches_change_nothing(place):
    """0 to 2 workers: the same steps to the last bit; batches of 64, 7, 1: perplexity to 1e-6."""
    runs = [
        outcome(
            place,
            backend,
            **{"training.workers": workers, "evaluation.batch_size": size},
        )
        for backend in BACKENDS
        for workers, size in ((0, 64), (1, 7), (2, 1))
    ]
    for other in runs[1:]:
        assert (other["step"], other["weights"]) == (runs[0]["step"], runs[0]["weights"])
        for one, two in zip(runs[0]["evaluation"], other["evaluation"], strict=True):
            assert two["targets"] == one["targets"]
            assert two["value"] == pytest.approx(one["value"], rel=1e-6)
            assert two["nll"] == pytest.approx(one["nll"], rel=1e-6)
