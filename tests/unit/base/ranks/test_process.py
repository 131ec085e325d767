"""Who a process is, from its environment alone (spec/ranks.md)."""

import os
import sys

import pytest
import torch
from rich.console import Console
from support.models import tiny_model, without_dropout
from support.processes import run
from torch import nn

from mlmref.base.errors import ConfigError
from mlmref.base.progress import SILENT, reporter
from mlmref.base.progress.log_lines import Lines
from mlmref.base.ranks.process import check_launcher, is_main, rank, state, world_size
from mlmref.model.loss import MaskedLMObjective
from mlmref.training.backends.library_state import leaves_idle

RANKED = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in (*RANKED, "MASTER_PORT", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # and what is set in its place goes


@pytest.mark.clause("RANK-001")
def test_the_environment_tells_the_rank(monkeypatch):
    """A launcher's three variables make a rank; without one of them a process is alone."""
    assert (rank(), world_size(), is_main()) == (0, 1, True)
    for name, value in RANKED.items():
        assert (rank(), world_size(), is_main()) == (0, 1, True)
        monkeypatch.setenv(name, value)
    assert (rank(), world_size(), is_main()) == (3, 4, False)


@pytest.mark.clause("CLI-001")
def test_the_rank_is_known_without_heavy_libraries():
    """Asking for it imports neither torch nor NumPy nor Accelerate."""
    code = (
        "import sys; from mlmref.base.ranks.process import is_main; assert is_main(); "
        "assert not {'torch', 'numpy', 'accelerate'} & sys.modules.keys()"
    )
    assert run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.clause("RANK-003")
def test_other_ranks_report_nothing(monkeypatch):
    """The main process has lines or bars, and the others have none."""
    assert isinstance(reporter(Console(), quiet=False), Lines)
    for name, value in RANKED.items():
        monkeypatch.setenv(name, value)
    assert reporter(Console(), quiet=False) is SILENT


@pytest.mark.clause("RANK-009")
@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("ACCELERATE_USE_FSDP", "FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed"),
        ("ACCELERATE_USE_MEGATRON_LM", "Megatron-LM"),
        ("ACCELERATE_USE_PARALLELISM_CONFIG", "a parallelism_config"),
    ],
)
def test_what_shares_out_the_model_is_refused(monkeypatch, variable, name):
    """With what Accelerate's launcher sets for it, and not with a `false`."""
    monkeypatch.setenv(variable, "false")
    check_launcher(pytest.fail)
    monkeypatch.setenv(variable, "true")
    with pytest.raises(ConfigError) as raised:
        check_launcher(pytest.fail)
    assert str(raised.value) == (
        f"accelerate's configuration: {name} shards the model over the processes, and mlmref needs "
        "the whole model in each one; choose MULTI_GPU there, or start with torchrun"
    )


@pytest.mark.clause("RANK-009")
@pytest.mark.parametrize("variable", ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"])
def test_processes_of_mpi_are_refused(monkeypatch, variable):
    """More than one of them; one alone is one, and ranks that a launcher made are ranks."""
    monkeypatch.setenv(variable, "1")
    check_launcher(pytest.fail)
    monkeypatch.setenv(variable, "2")
    with pytest.raises(ConfigError, match=f"^{variable}: 2 processes that are not connected"):
        check_launcher(pytest.fail)
    for name, value in RANKED.items():
        monkeypatch.setenv(name, value)
    check_launcher(pytest.fail)


@pytest.mark.clause("RANK-001")
def test_one_process_where_several_were_asked_for_is_noted(monkeypatch):
    """With --num_processes 2 accelerate launch starts one on CPUs, and sets a port for others."""
    notes = []
    check_launcher(notes.append)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    check_launcher(notes.append)
    assert not notes
    monkeypatch.setenv("MASTER_PORT", "29500")
    check_launcher(notes.append)
    assert notes == [
        "accelerate launch started one process; --multi_gpu starts several, on CPUs if there is "
        "no GPU"
    ]


def with_unused_layer():
    """Return a model of which a layer is never used."""
    model = without_dropout("bert")
    model.bert.forgotten = nn.Linear(3, 3)
    return model


@pytest.mark.clause("RANK-002")
def test_ranks_wait_for_no_gradient_that_may_not_come():
    """A layer that is never used, or is left out by chance, is known; so is one that is frozen."""
    assert not leaves_idle(MaskedLMObjective(tiny_model("bert")))
    assert leaves_idle(MaskedLMObjective(with_unused_layer()))
    frozen = with_unused_layer()
    frozen.bert.forgotten.requires_grad_(requires_grad=False)
    assert not leaves_idle(MaskedLMObjective(frozen))
    by_chance = tiny_model("bert")
    by_chance.config.layerdrop = 0.1
    assert leaves_idle(MaskedLMObjective(by_chance))
    assert leaves_idle(nn.Linear(3, 3)), "what is not known is not relied upon"


@pytest.mark.clause("BACK-023")
@pytest.mark.parametrize("training", [True, False])
def test_looking_for_them_leaves_the_model_as_it_was(training):
    """No gradient, no sum, no draw from a generator, and the mode that it had."""
    objective = MaskedLMObjective(tiny_model("bert")).train(training)
    generator = torch.get_rng_state()
    leaves_idle(objective)
    assert all(one.grad is None for one in objective.parameters())
    assert objective.take_sums() == (0.0, 0)
    assert objective.training is objective.model.training is training
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.clause("RANK-011")
@pytest.mark.parametrize(("there", "name"), [(1, "1 GPU"), (3, "3 GPUs")])
def test_more_processes_than_gpus_are_refused(monkeypatch, there, name):
    """By each of them, before it joins the others; with as many, it joins."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: there)
    for variable, value in (RANKED | {"LOCAL_WORLD_SIZE": "4"}).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as raised:
        state.__wrapped__()
    assert str(raised.value) == (
        f"the launcher: 4 processes on a host with {name}; start {there} on it, or set "
        "ACCELERATE_USE_CPU=1 to run on its CPUs"
    )
    joined = []
    monkeypatch.setattr("accelerate.PartialState", lambda **options: joined.append(options))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(there))
    state.__wrapped__()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    state.__wrapped__()
    assert joined == [{"cpu": False}, {"cpu": True}]


@pytest.mark.clause("RUN-015")
@pytest.mark.parametrize("was", [None, ":16:8"])
@pytest.mark.parametrize("gpu", [True, False])
def test_cublas_has_room_of_its_own_where_there_is_a_gpu(monkeypatch, gpu, was):
    """Unless the environment says how much; where there is no GPU the environment stays."""
    name = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(name, was or "")
    if was is None:
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr("accelerate.PartialState", lambda **_: None)
    state.__wrapped__()
    assert os.environ.get(name) == (was or (":4096:8" if gpu else None))
