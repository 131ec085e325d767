"""What holds on one GPU, without a hub: small models, the embedded checkpoint, the real reviews.

What the other tests show on a CPU is shown again where a GPU could make it otherwise: it has a
generator of its own, fp16 a loss scale, and the order of its additions is a kernel's to choose.
"""

import json
import os

import numpy as np
import pytest
import torch
from support.jobs import some_chunks, train
from support.launch import launch, torchrun
from support.models import tiny_model
from support.runs import mlmref

from mlmref import run
from mlmref.settings.resolve import resolve
from mlmref.training.job import Job
from mlmref.training.optimizer import choose_precision

pytestmark = [pytest.mark.gpu]

BACKENDS = ("trainer", "accelerate")
PRECISIONS = ("fp32", "bf16", "fp16")


def job(**settings):
    """Return the settings of a job with dropout, whose last window is partial."""
    settings = {"batch_size": 4, "accumulation": 2, "epochs": 2, "learning_rate": 1e-2} | settings
    return {"chunks": some_chunks(21), "model": tiny_model("bert").cuda()} | settings


def far(ones, others):
    """Return the largest difference of losses, as a share of them."""
    return max(abs(a / b - 1) for a, b in zip(ones.losses(), others.losses(), strict=True))


@pytest.mark.clause("BACK-002")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_backends_agree(precision):
    """Losses, norms, rates and weights are the same with both, to the last bit."""
    one, other = (train(backend, **job(precision=precision)) for backend in BACKENDS)
    assert one.reports == other.reports, far(one, other)
    assert np.array_equal(one.weights(), other.weights())


@pytest.mark.clause("RUN-010")
@pytest.mark.clause("BACK-005")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_job_twice(backend, precision):
    """With dropout from the GPU's own generator, the same numbers to the last bit."""
    one, other = (train(backend, **job(precision=precision)) for _ in range(2))
    assert one.reports == other.reports, far(one, other)
    assert np.array_equal(one.weights(), other.weights())
    calm = train(backend, **job(precision=precision, seed=7))
    assert calm.reports != one.reports


@pytest.mark.clause("RES-004")
@pytest.mark.clause("BACK-030")
@pytest.mark.parametrize("stop", [1, 4])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_job_goes_on_exactly(backend, precision, stop):
    """Stopped and taken up again, fp16's loss scale with it: as without a stop."""
    whole = train(backend, **job(precision=precision))
    stopped = train(backend, **job(precision=precision, stop=stop))
    torch.cuda.manual_seed(stop)  # nobody's business
    after = train(backend, **job(precision=precision, goes_on=stopped))
    assert [*stopped.reports, *after.reports] == whole.reports
    assert np.array_equal(after.weights(), whole.weights())


@pytest.mark.clause("BACK-006")
@pytest.mark.clause("BACK-030")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_fp16_passes_over(backend):
    """With a scale at which gradients overflow: halved, no weight moves, nor does the schedule."""
    first = train(backend, **job(precision="fp16", stop=1))
    scale = first.job.kept["scaler"].state_dict()
    assert scale["scale"] > 1
    first.job.kept["scaler"].load_state_dict({**scale, "scale": 2.0**40})
    second = train(backend, **job(precision="fp16", goes_on=first, stop=2))
    assert second.job.kept["scaler"].state_dict()["scale"] == 2.0**39
    assert np.array_equal(second.weights(), first.weights())
    assert second.reports[0].learning_rate == first.reports[0].learning_rate
    assert np.isfinite(second.reports[0].loss)


@pytest.mark.clause("BACK-009")
def test_auto_precision_uses_what_the_gpu_has():
    """bf16 where the GPU has it, else fp16."""
    expected = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    assert choose_precision("auto", torch.device("cuda")) == expected


def settings(folder, *sets):
    """Return the main job's settings, with its result in ``folder``."""
    return resolve(sets=[f"output.folder={folder}", *sets])


@pytest.mark.clause("RUN-009")
@pytest.mark.parametrize("strategy", ["token", "whole-word"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_main_job_lowers_perplexity(backend, strategy, tmp_path):
    """On the real reviews, with both backends and strategies; the intervals are apart."""
    sets = (f"training.backend={backend}", f"masking.strategy={strategy}")
    record = run(settings(tmp_path / "out", *sets)).record
    before, after = (record["perplexity"][key] for key in ("before", "after"))
    print(backend, strategy, before["value"], after["value"], record["timings"])  # noqa: T201 - -rP
    assert after["high"] < before["low"]
    assert after["value"] < 0.7 * before["value"]


@pytest.mark.clause("RUN-009")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_precisions_learn_the_same(precision, tmp_path):
    """Measured in float32 whatever it trained in, and within 1 % of what a CPU comes to."""
    sets = ("split.train_size=2000", "split.test_size=200", f"training.precision={precision}")
    place = tmp_path / "out"
    record = run(settings(place, *sets)).record["perplexity"]
    command = ["run", "--output", tmp_path / "cpu", "--train-size", 2000, "--test-size", 200]
    done = mlmref(*command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 0, done.stderr
    expected = json.loads((tmp_path / "cpu" / "record.json").read_text("utf-8"))["perplexity"]
    assert record["before"]["value"] == pytest.approx(expected["before"]["value"], rel=1e-5)
    assert record["after"]["value"] == pytest.approx(expected["after"]["value"], rel=1e-2)


@pytest.mark.clause("RES-004")
@pytest.mark.clause("RUN-015")
@pytest.mark.parametrize("dropout", ["none", "0.1"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_that_is_interrupted_ends_the_same(precision, dropout, tmp_path):
    """In the middle of training, and taken up again: weights and figures to the last bit."""
    sets = ["split.train_size=1500", "split.test_size=100", f"training.precision={precision}"]
    sets += [f"model.dropout={dropout}"] * (dropout != "none")
    sets += ["checkpoints.every=5"]
    whole = run(settings(tmp_path / "whole", *sets))

    class Enough(BaseException):
        """What ends the run."""

    after_step = Job.after_step

    def ends(self, grad_norm):
        after_step(self, grad_norm)
        if self.done == 12:
            raise Enough

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "after_step", ends)
        with pytest.raises(Enough):
            run(settings(tmp_path / "cut", *sets))
    resumed = run(settings(tmp_path / "cut", *sets), resume=str(tmp_path / "cut"))
    assert resumed.record["resumed"] == [12]
    assert resumed.record["perplexity"] == whole.record["perplexity"]
    weights = [(one.folder / "model.safetensors").read_bytes() for one in (whole, resumed)]
    assert weights[0] == weights[1]


@pytest.mark.clause("EVAL-002")
@pytest.mark.clause("EVAL-003")
def test_evaluation_batches_and_devices_change_nothing():
    """Batches of 64, 7 and 1 on the GPU, and of 64 on a CPU: perplexity to 1e-6 and 1e-5."""

    def measured(size, **env):
        options = ["--json", "--test-size", 100, "--set", f"evaluation.batch_size={size}"]
        done = mlmref("evaluate", "embedded", *options, env={**os.environ, **env})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["perplexity"]

    here = [measured(size) for size in (64, 7, 1)]
    there = measured(64, CUDA_VISIBLE_DEVICES="")
    for one in here:
        assert one["targets"] == there["targets"]
        assert one["value"] == pytest.approx(here[0]["value"], rel=1e-6)
        assert one["value"] == pytest.approx(there["value"], rel=1e-5)


@pytest.mark.clause("RANK-001")
def test_a_launched_run_of_one_process(tmp_path):
    """Torchrun with one process, whose collectives are NCCL's, comes to the plain run's figures."""
    options = ["--output", "out", "--max-steps", 20, "--train-size", 2000, "--test-size", 200]
    done = launch(
        [*torchrun(1), "-m", "mlmref", "run", *options], cwd=tmp_path, log=tmp_path / "log"
    )
    assert done.status == 0, done.err
    plain = settings(
        tmp_path / "plain", "training.max_steps=20", "split.train_size=2000", "split.test_size=200"
    )
    record = json.loads((tmp_path / "out" / "record.json").read_text("utf-8"))
    assert record["perplexity"] == run(plain).record["perplexity"]


@pytest.mark.clause("RANK-011")
def test_more_processes_than_gpus_are_refused(tmp_path):
    """One line says so, where CUDA would say "invalid device ordinal"."""
    count = torch.cuda.device_count() + 1
    command = [*torchrun(count), "-m", "mlmref", "run", "--output", "out"]
    done = launch(command, cwd=tmp_path, log=tmp_path / "log")
    (line,) = done.told
    assert line.startswith(f"mlmref: the launcher: {count} processes on a host with "), done.err
