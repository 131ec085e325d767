"""Both backends, against a bare loop and each other (spec/backends.md, BACK)."""

import math
import random

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from support.jobs import Booked, finite, masker, some_chunks, train
from support.models import tiny_model, without_dropout
from transformers import Trainer, TrainingArguments

from mlmref.base.errors import ConfigError, MlmrefError
from mlmref.settings.config import TrainingConfig
from mlmref.training.optimizer import choose_precision, make_optimizer, schedule

BACKENDS = ("trainer", "accelerate")
FAMILIES = (
    "bert",
    "distilbert",
    "roberta",
    "albert",
    "electra",
    "deberta-v2",
    "mpnet",
    "modernbert",
)


CASES = {
    "token": {},
    "whole-word": {"masker_": masker("whole-word")},
    "accumulation": {"batch_size": 2, "accumulation": 4},
    "no clipping": {"max_grad_norm": 0.0},
    "hard clipping": {"max_grad_norm": 0.01},
    "max steps": {"max_steps": 4},
    "workers": {"workers": 1},
    "all decays, cosine": {"decay": "all", "weight_decay": 0.5, "schedule": "cosine"},
    "bf16": {"precision": "bf16"},
    **{family: {"family": family, "batch_size": 4, "accumulation": 2} for family in FAMILIES},
}


@pytest.mark.clause("BACK-001")
@pytest.mark.clause("BACK-002")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_a_backend_does_what_a_bare_loop_does_to_the_last_bit(backend, case, tmp_path, monkeypatch):
    """Losses, gradient norms, rates, epochs and weights are equal on a CPU, with dropout on."""
    monkeypatch.chdir(tmp_path)
    settings = {"batch_size": 8, "epochs": 2, "learning_rate": 1e-2, "warmup_steps": 2} | CASES[
        case
    ]
    expected, got = train("plain", **settings), train(backend, **settings)
    assert got.reports == expected.reports
    assert got.epochs == expected.epochs
    assert np.array_equal(got.weights(), expected.weights())
    assert finite(got.losses())
    assert not np.array_equal(got.weights(), Booked().weights()), "nothing was trained"


@pytest.mark.clause("BACK-003")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_accumulation_changes_neither_loss_nor_gradient(family, backend, tmp_path, monkeypatch):
    """1x64, 2x32 and 4x16, and a short last step: the same losses and norms to 1e-5."""
    monkeypatch.chdir(tmp_path)
    runs = [
        train(
            backend,
            model=without_dropout(family),
            chunks=some_chunks(140),
            batch_size=size,
            accumulation=64 // size,
            learning_rate=1e-3,
            epochs=2,
        )
        for size in (64, 32, 16)
    ]
    first = runs[0].reports
    assert len(first) == 6
    for other in runs[1:]:
        for one, two in zip(first, other.reports, strict=True):
            assert two.targets == one.targets
            assert two.loss == pytest.approx(one.loss, rel=1e-5)
            assert two.grad_norm == pytest.approx(one.grad_norm, rel=1e-5)


@pytest.mark.clause("BACK-003")
def test_trainers_own_accumulation_multiplies_the_loss(tmp_path):
    """What is avoided: four micro-batches in plain Trainer report about four times the loss."""
    model = without_dropout("distilbert")
    rows = [
        {
            "input_ids": torch.arange(5, 21),
            "attention_mask": torch.ones(16, dtype=torch.long),
            "labels": torch.arange(5, 21),
        }
        for _ in range(16)
    ]

    def first_loss(size, accumulation):
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulation,
            max_steps=1,
            logging_steps=1,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=rows)
        trainer.train()
        return trainer.state.log_history[0]["loss"]

    assert first_loss(4, 4) > 3 * first_loss(16, 1)


@pytest.mark.clause("BACK-004")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_without_targets_leaves_the_weights_alone(backend, tmp_path, monkeypatch):
    """With probability 0 nothing is learnt, nothing decays, and there is no loss."""
    monkeypatch.chdir(tmp_path)
    booked = train(
        backend, masker_=masker(mlm_probability=0.0), weight_decay=0.5, learning_rate=0.1
    )
    assert booked.losses() == [None]
    assert np.array_equal(booked.weights(), Booked().weights())


@pytest.mark.clause("BACK-004")
def test_momentum_does_not_move_the_weights_in_a_step_without_targets():
    """A step that learns is followed by one that does not: the weights stay."""
    booked = Booked(batch_size=10, learning_rate=0.1)
    step = next(iter(booked.job.steps()))
    train_one(booked.job, step)
    before = booked.weights()
    idle = [
        {**micro, "labels": torch.full_like(micro["labels"], -100), "weight": 0.0} for micro in step
    ]
    train_one(booked.job, idle)
    assert np.array_equal(booked.weights(), before)
    assert booked.losses()[1] is None


def train_one(job, step):
    """Take one optimizer step."""
    for micro_batch in step:
        job.model.train()(**micro_batch)["loss"].backward()
    job.optimizer.step()
    job.scheduler.step()
    job.optimizer.zero_grad()
    job.after_step(0.0)


@pytest.mark.clause("BACK-005")
def test_dropout_repeats_whatever_else_draws_random_numbers():
    """The same run with torch's generator disturbed gives the same weights."""
    torch.manual_seed(1)
    first = train("plain", batch_size=8).weights()
    torch.manual_seed(2)
    torch.rand(5)
    assert np.array_equal(train("plain", batch_size=8).weights(), first)
    assert not np.array_equal(train("plain", batch_size=8, seed=43).weights(), first)


DRAWS = {
    "random": random.random,
    "numpy": np.random.rand,
    "torch": lambda: torch.rand(()).item(),
}


def restless(source):
    """Return a model whose embeddings are scaled by chance, from a generator of one's choice."""
    model = tiny_model("bert")
    model.bert.embeddings.register_forward_hook(
        lambda module, _, output: output * (1 + DRAWS[source]()) if module.training else output
    )
    return model


def disturb():
    """Leave all generators somewhere else."""
    for draw in DRAWS.values():
        draw()


@pytest.mark.clause("BACK-005")
@pytest.mark.parametrize("source", DRAWS)
@pytest.mark.parametrize("backend", ["plain", *BACKENDS])
def test_whatever_a_model_draws_from_a_stop_changes_nothing(backend, source, tmp_path, monkeypatch):
    """Stopped after step 3 and gone on with, other things being drawn between: the same losses."""
    monkeypatch.chdir(tmp_path)
    settings = {"batch_size": 4, "accumulation": 2, "epochs": 2}
    whole = train(backend, model=restless(source), **settings)
    disturb()
    stopped = train(backend, model=restless(source), stop=3, **settings)
    disturb()
    again = train(backend, model=restless(source), goes_on=stopped, **settings)
    assert stopped.reports + again.reports == whole.reports
    assert np.array_equal(again.weights(), whole.weights())
    assert len(set(again.losses())) == 3


@pytest.mark.clause("BACK-006")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("linear", [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]),
        ("constant", [0.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        (
            "cosine",
            [
                0.0,
                0.5,
                1.0,
                0.5 + 0.5 * math.cos(math.pi / 4),
                0.5,
                0.5 - 0.5 * math.cos(math.pi / 4),
            ],
        ),
    ],
)
def test_the_schedule_by_hand(name, expected):
    """Two steps of warm-up and four of decay, as worked out by hand."""
    factor = schedule(TrainingConfig(schedule=name, warmup_steps=2), 6)
    assert [factor(step) for step in range(6)] == pytest.approx(expected)


@pytest.mark.clause("BACK-006")
def test_the_reported_rate_is_the_one_the_step_was_taken_with():
    """Linear without warm-up over five steps: from the peak down by fifths."""
    rates = [
        report.learning_rate for report in train("plain", batch_size=4, learning_rate=1.0).reports
    ]
    assert rates == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.clause("BACK-007")
@pytest.mark.parametrize(
    "family", ["bert", "distilbert", "roberta", "electra", "modernbert", "mpnet"]
)
def test_what_decays_is_what_trainer_decays(family, tmp_path):
    """The same parameters are in the group with weight decay as Trainer puts there."""
    model = tiny_model(family)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(output_dir=str(tmp_path), weight_decay=0.01, report_to="none"),
    )
    theirs = trainer.create_optimizer().param_groups[0]["params"]
    ours = make_optimizer(model, TrainingConfig(weight_decay=0.01)).param_groups[0]
    assert ours["weight_decay"] == 0.01
    assert {id(one) for one in ours["params"]} == {id(one) for one in theirs}
    everything = make_optimizer(model, TrainingConfig(decay="all")).param_groups
    assert len(everything[0]["params"]) == len(list(model.parameters()))


@pytest.mark.clause("BACK-008")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_is_no_number_ends_the_run(backend, tmp_path, monkeypatch):
    """A rate at which the loss diverges is answered with the step and what to do."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        MlmrefError, match=r"the loss is nan at step \d+ of 10; lower --learning-rate"
    ):
        train(backend, batch_size=2, learning_rate=1e30, max_grad_norm=0.0)


class Count:
    """State of a backend's own: a number."""

    def __init__(self, number=0):
        self.number = number

    def state_dict(self):
        """Return it."""
        return {"number": self.number}

    def load_state_dict(self, state):
        """Take it over."""
        self.number = state["number"]


@pytest.mark.clause("BACK-027")
def test_state_that_is_handed_in_is_restored_at_once():
    """A job gives the state back under its name, holds on to the object, and takes a name once."""
    job = Booked().job
    job.restored = {"count": {"number": 7}}
    count, other = Count(), Count(3)
    job.keep("count", count)
    job.keep("other", other)
    assert (count.number, other.number) == (7, 3)
    assert job.kept == {"count": count, "other": other}
    with pytest.raises(MlmrefError, match="the backend registers two states named 'count'"):
        job.keep("count", Count())


@pytest.mark.clause("BACK-027")
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_loss_scale_goes_on(backend, tmp_path, monkeypatch):
    """Given fp16's loss scaler, on a CPU, a job that goes on has the scale that it had grown to."""
    monkeypatch.chdir(tmp_path)
    plain = Accelerator.__init__

    def scaled(self, *arguments, **options):
        plain(self, *arguments, **options)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=3)

    monkeypatch.setattr(Accelerator, "__init__", scaled)
    settings = {"batch_size": 2, "max_grad_norm": 0.0, "learning_rate": 1e-3}
    whole = train(backend, **settings)
    stopped = train(backend, stop=5, **settings)
    again = train(backend, goes_on=stopped, **settings)
    assert whole.job.kept["scaler"].get_scale() == 2.0**13  # thrice in ten steps
    assert stopped.job.kept["scaler"].state_dict()["_growth_tracker"] == 2
    # The norm is told with the scale in it, in fp32 nobody having asked for it to be taken out.
    assert stopped.reports + again.reports == whole.reports
    assert np.array_equal(again.weights(), whole.weights())


@pytest.mark.clause("BACK-009")
def test_half_precision_without_a_gpu_is_refused_and_auto_is_fp32():
    """E14: fp16 needs a GPU; auto chooses what there is."""
    cpu = torch.device("cpu")
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        choose_precision("fp16", cpu)
    assert choose_precision("auto", cpu) == "fp32"
    assert choose_precision("bf16", cpu) == "bf16"


@pytest.mark.clause("BACK-001")
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_environment_does_not_change_the_job(backend, tmp_path, monkeypatch):
    """Accelerate's variables for accumulation and precision are not the job's."""
    monkeypatch.chdir(tmp_path)
    expected = train("plain")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    got = train(backend)
    assert got.reports == expected.reports
    assert np.array_equal(got.weights(), expected.weights())


@pytest.mark.clause("BACK-009")
def test_fp16_does_not_use_the_fused_optimizer():
    """It would hide from the schedule that a step was skipped."""
    model = tiny_model("bert")
    assert make_optimizer(model, TrainingConfig(), "fp32").defaults["fused"] is True
    assert make_optimizer(model, TrainingConfig(), "fp16").defaults["fused"] is False


@pytest.mark.clause("BACK-002")
@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_precision_reaches_the_forward(backend, tmp_path, monkeypatch):
    """bf16 changes the losses a little, and by the same amount on both backends."""
    monkeypatch.chdir(tmp_path)
    full, half = train(backend), train(backend, precision="bf16")
    assert half.losses() != full.losses()
    assert half.losses() == pytest.approx(full.losses(), rel=0.02)
    assert half.losses() == train("accelerate", precision="bf16").losses()
