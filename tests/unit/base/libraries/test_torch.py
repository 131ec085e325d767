"""torch's private names and error texts are what mlmref relies on."""

import os
import sys

import pytest
import torch
from support.processes import finish, start

from mlmref.base.libraries.torch import (
    is_broken_connection,
    is_out_of_memory,
    without_deterministic_algorithm,
)

pytestmark = pytest.mark.clause("RUN-018")

RANK = """
import os, sys
from datetime import timedelta
import torch
from mlmref.base.libraries.torch import default_store, is_broken_connection

torch.distributed.init_process_group(
    "gloo", init_method="file://" + sys.argv[1], rank=int(sys.argv[2]), world_size=2,
    timeout=timedelta(seconds=60),
)
default_store().set("rank" + sys.argv[2], "joined")
default_store().wait(["rank0", "rank1"], timedelta(seconds=60))
torch.distributed.all_reduce(torch.zeros(1))
if sys.argv[2] == "1":
    os._exit(0)
try:
    while True:
        torch.distributed.all_reduce(torch.zeros(1))
except RuntimeError as error:
    print(is_broken_connection(error), error)
sys.stdout.flush()
os._exit(0)
"""


def test_the_default_store_is_shared_and_a_lost_rank_is_recognized(tmp_path):
    """Two ranks find each other's keys in it; one ends without a word, and the other finds out."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RANK, tmp_path / "meet"]
    ranks = [start([*command, rank], env=environment) for rank in (0, 1)]
    said = [finish(one).stdout for one in ranks]
    assert said[0].startswith("True "), said


def test_another_error_is_no_lost_rank():
    """Shapes that do not fit are another error."""
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2) + torch.zeros(3)
    assert not is_broken_connection(caught.value)
    assert not is_out_of_memory(caught.value)
    assert not without_deterministic_algorithm(caught.value)


def test_a_lack_of_memory_is_recognized():
    """The CPU's, which has no class of its own; and the class that GPUs have."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert type(caught.value) is RuntimeError, "match the class: it has one by now"
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_an_operation_without_deterministic_algorithm_is_named():
    """``put_`` without ``accumulate`` has none."""
    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(RuntimeError) as caught:
            torch.zeros(2).put_(torch.tensor([0]), torch.tensor([1.0]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert without_deterministic_algorithm(caught.value) == (
        "put_ does not have a deterministic implementation"
    )
