"""This process's rank, and collective operations between ranks. One process is rank 0 of 1.

A launcher (torchrun, accelerate launch) tells each process its rank by its environment, which
can be read without torch; whatever needs the others joins them first (spec/ranks.md).
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from accelerate import PartialState
    from numpy.typing import NDArray
    from torch import Tensor

# Set by accelerate launch as its configuration says.
_SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism_config",
}
_MPI = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def world_size() -> int:
    """Return how many processes the run has; imports nothing."""
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def rank() -> int:
    """Return this process's number among them, from 0; imports nothing."""
    return int(os.environ["RANK"]) if _launched() else 0


def is_main() -> bool:
    """Tell whether this is the process that prints and writes: the first; imports nothing."""
    return rank() == 0


def _launched() -> bool:
    # All three, as every launcher of torch's kind sets them; a lone RANK is somebody else's.
    return {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys()


def check_launcher(note: Callable[[str], None]) -> None:
    """Refuse launches that would not be what they seem.

    Args:
        note: told in a line of one that may be meant otherwise.

    Raises:
        ConfigError: the model would be shared out, or processes do not know of each other.
    """
    for variable, name in _SHARDING.items():
        if os.environ.get(variable, "").lower() in {"1", "true", "yes"}:
            raise ConfigError(
                f"{name} shares the model out over the processes, and mlmref measures, clips and "
                "saves it whole",
                where="accelerate's configuration",
                hint="choose MULTI_GPU there, or start with torchrun",
            )
    if _launched():
        return
    for variable in _MPI:
        if os.environ.get(variable, "1") != "1":
            raise ConfigError(
                f"{os.environ[variable]} processes that do not know of each other",
                where=variable,
                hint="start with torchrun, or accelerate launch --multi_gpu",
            )
    if {"ACCELERATE_MIXED_PRECISION", "MASTER_PORT"} <= os.environ.keys():
        note(
            "accelerate launch started one process; --multi_gpu starts several, on CPUs "
            "where there is no GPU"
        )


@cache
def state() -> PartialState:
    """Return Accelerate's state of this process; joins the process group that a launcher set up."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    if _launched() and hasattr(os, "register_at_fork"):
        # A forked process inherits the rank's garbage, but not the threads that its destructors
        # wait for (RANK-012).
        os.register_at_fork(before=gc.freeze, after_in_parent=gc.unfreeze)
    gpu = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if gpu is not None:
        # What cuBLAS repeats needs room of its own, which is read once, at its first product.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Accelerate would let each process of a machine without GPUs run alone, unless it is told.
    alone = _launched() and (gpu is None or gpu.type == "mps")
    cpu = alone or parse_flag_from_env("ACCELERATE_USE_CPU")
    if not cpu and _launched():
        _check_gpus(torch.accelerator.device_count())
    return PartialState(cpu=cpu)


def _check_gpus(there: int) -> None:
    """Make sure that each process of this host has a GPU, of ``there`` that are.

    Raises:
        ConfigError: there are fewer; all processes of the host say so alike.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if here > there:
        error = ConfigError(
            f"{here} processes on a host with {there} GPU{'s' * (there != 1)}",
            where="the launcher",
            hint=f"start {there} on it, or set ACCELERATE_USE_CPU=1 to run on its CPUs",
        )
        vars(error)["of_host"] = True  # each of its processes finds the same
        raise error


def sum_over_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add an array up over all ranks, in float64; every rank gets the sum."""
    if world_size() == 1:
        return values
    import torch

    tensor = torch.from_numpy(values).to(state().device)
    torch.distributed.all_reduce(tensor)
    return tensor.cpu().numpy()


def broadcast(value: Any) -> Any:
    """Return the main process's value on every rank; those of the others are ignored.

    As JSON, since torch's own exchange of objects would pickle them.

    Args:
        value: what JSON can hold; it comes back as JSON gives it, a tuple as a list.
    """
    text = json.dumps(value).encode() if is_main() else b""
    if world_size() == 1:
        return json.loads(text)
    import torch

    size = broadcast_tensor(torch.tensor(len(text)))
    data = torch.frombuffer(bytearray(text.ljust(int(size))), dtype=torch.uint8)
    return json.loads(broadcast_tensor(data).numpy().tobytes())


def gather(value: Any) -> list[Any]:
    """Return the values of all ranks, in their order, on every rank.

    Args:
        value: what JSON can hold; it comes back as JSON gives it, a tuple as a list.
    """
    text = json.dumps(value).encode()
    if world_size() == 1:
        return [json.loads(text)]
    import torch

    mine = torch.tensor([len(text)], device=state().device)
    sizes = [torch.empty_like(mine) for _ in range(world_size())]
    torch.distributed.all_gather(sizes, mine)
    # Padded, since collectives want them of one length.
    padded = bytearray(text.ljust(max(int(size) for size in sizes)))
    data = torch.frombuffer(padded, dtype=torch.uint8).to(state().device)
    texts = [torch.empty_like(data) for _ in sizes]
    torch.distributed.all_gather(texts, data)
    return [json.loads(one.cpu().numpy().tobytes()) for one in texts]


def broadcast_tensor(tensor: Tensor) -> Tensor:
    """Fill a tensor, of one type and shape on all ranks, with the main process's; return it."""
    if world_size() == 1 or not tensor.numel():
        return tensor
    import torch

    # As bytes, since gloo knows fewer types than there are.
    data = tensor.detach().reshape(-1).contiguous().view(torch.uint8).to(state().device)
    torch.distributed.broadcast(data, src=0)
    with torch.no_grad():
        tensor.copy_(data.to(tensor.device).view(tensor.dtype).reshape(tensor.shape))
    return tensor
