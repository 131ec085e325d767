"""This process's rank, and collective operations between ranks. One process is rank 0 of 1.

A launcher (torchrun, accelerate launch) sets each process's rank in environment variables, which
can be read without torch. A collective operation first joins the process group (spec/ranks.md).
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

# accelerate launch sets these from its configuration.
_SHARDING = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism_config",
}
_MPI = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def world_size() -> int:
    """Return the number of processes of the run; imports nothing."""
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def rank() -> int:
    """Return the number of this process, from 0; imports nothing."""
    return int(os.environ["RANK"]) if _launched() else 0


def is_main() -> bool:
    """Return whether this is rank 0, which prints and writes; imports nothing."""
    return rank() == 0


def _launched() -> bool:
    # Every launcher for torch sets all three; another program may set RANK alone.
    return {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys()


def check_launcher(note: Callable[[str], None]) -> None:
    """Check that a launcher's processes are connected and have whole models (RANK-009).

    Args:
        note: gets one line if the launcher started one process and perhaps should start several.

    Raises:
        ConfigError: the launcher shards the model, or its processes are not connected.
    """
    for variable, name in _SHARDING.items():
        if os.environ.get(variable, "").lower() in {"1", "true", "yes"}:
            raise ConfigError(
                f"{name} shards the model over the processes, and mlmref needs the whole model in "
                "each one",
                where="accelerate's configuration",
                hint="choose MULTI_GPU there, or start with torchrun",
            )
    if _launched():
        return
    for variable in _MPI:
        if os.environ.get(variable, "1") != "1":
            raise ConfigError(
                f"{os.environ[variable]} processes that are not connected",
                where=variable,
                hint="start with torchrun, or accelerate launch --multi_gpu",
            )
    if {"ACCELERATE_MIXED_PRECISION", "MASTER_PORT"} <= os.environ.keys():
        note(
            "accelerate launch started one process; --multi_gpu starts several, on CPUs if there "
            "is no GPU"
        )


@cache
def state() -> PartialState:
    """Return Accelerate's state of this process, and join the launcher's process group."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    if _launched() and hasattr(os, "register_at_fork"):
        # A forked process inherits the rank's garbage, but not the threads that its destructors
        # wait for (RANK-012).
        os.register_at_fork(before=gc.freeze, after_in_parent=gc.unfreeze)
    gpu = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if gpu is not None:
        # cuBLAS is deterministic only with this workspace, and reads it at its first product.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Without cpu=True, Accelerate would not connect the processes of a machine without GPUs.
    alone = _launched() and (gpu is None or gpu.type == "mps")
    cpu = alone or parse_flag_from_env("ACCELERATE_USE_CPU")
    if not cpu and _launched():
        _check_gpus(torch.accelerator.device_count())
    return PartialState(cpu=cpu)


def _check_gpus(gpus: int) -> None:
    """Raise a ConfigError if this host has more processes than GPUs (RANK-011)."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes > gpus:
        error = ConfigError(
            f"{processes} processes on a host with {gpus} GPU{'s' * (gpus != 1)}",
            where="the launcher",
            hint=f"start {gpus} on it, or set ACCELERATE_USE_CPU=1 to run on its CPUs",
        )
        vars(error)["of_host"] = True  # every process of the host raises this error
        raise error


def sum_over_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of an array over all ranks, in float64, on every rank."""
    if world_size() == 1:
        return values
    import torch

    tensor = torch.from_numpy(values).to(state().device)
    torch.distributed.all_reduce(tensor)
    return tensor.cpu().numpy()


def broadcast(value: Any) -> Any:
    """Return the main process's value on every rank; the values of other ranks are ignored.

    It is sent as JSON, because torch's own exchange of objects uses pickle.

    Args:
        value: a JSON value; it is returned with JSON's types, a tuple as a list.
    """
    text = json.dumps(value).encode() if is_main() else b""
    if world_size() == 1:
        return json.loads(text)
    import torch

    size = broadcast_tensor(torch.tensor(len(text)))
    data = torch.frombuffer(bytearray(text.ljust(int(size))), dtype=torch.uint8)
    return json.loads(broadcast_tensor(data).numpy().tobytes())


def gather(value: Any) -> list[Any]:
    """Return the values of all ranks, in order of rank, on every rank.

    Args:
        value: a JSON value; it is returned with JSON's types, a tuple as a list.
    """
    text = json.dumps(value).encode()
    if world_size() == 1:
        return [json.loads(text)]
    import torch

    mine = torch.tensor([len(text)], device=state().device)
    sizes = [torch.empty_like(mine) for _ in range(world_size())]
    torch.distributed.all_gather(sizes, mine)
    # Padded, because collectives need the same length on all ranks.
    padded = bytearray(text.ljust(max(int(size) for size in sizes)))
    data = torch.frombuffer(padded, dtype=torch.uint8).to(state().device)
    texts = [torch.empty_like(data) for _ in sizes]
    torch.distributed.all_gather(texts, data)
    return [json.loads(one.cpu().numpy().tobytes()) for one in texts]


def broadcast_tensor(tensor: Tensor) -> Tensor:
    """Fill a tensor with that of the main process, and return it.

    Its dtype and shape must be the same on all ranks.
    """
    if world_size() == 1 or not tensor.numel():
        return tensor
    import torch

    # As bytes, because gloo does not have all dtypes.
    data = tensor.detach().reshape(-1).contiguous().view(torch.uint8).to(state().device)
    torch.distributed.broadcast(data, src=0)
    with torch.no_grad():
        tensor.copy_(data.to(tensor.device).view(tensor.dtype).reshape(tensor.shape))
    return tensor
