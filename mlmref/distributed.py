"""Ranks: who this process is, and what it must say to the others. One process is rank 0 of 1.

A launcher (torchrun, accelerate launch) tells each process its rank by its environment, which
can be read without torch; whatever needs the others joins them first (spec/ranks.md).
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from accelerate import PartialState
    from torch import Tensor


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


@cache
def state() -> PartialState:
    """Return Accelerate's state of this process; joins the process group that a launcher set up."""
    import torch
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    gpu = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    # Accelerate would let each process of a machine without GPUs run alone, unless it is told.
    alone = _launched() and (gpu is None or gpu.type == "mps")
    return PartialState(cpu=alone or parse_flag_from_env("ACCELERATE_USE_CPU"))


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

    Args:
        value: what JSON can hold; it comes back as JSON gives it, a tuple as a list.
    """
    text = json.dumps(value)
    if world_size() == 1:
        return json.loads(text)
    import torch

    data = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
    size = broadcast_tensor(torch.tensor(len(data)))
    if not is_main():
        data = torch.empty(int(size), dtype=torch.uint8)
    return json.loads(broadcast_tensor(data).numpy().tobytes())


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
