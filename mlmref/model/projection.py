"""Project hidden states onto the vocabulary and compute the cross-entropy, block by block.

The logits of a step's targets, and the softmax and gradient of the same size, are the largest
arrays of a training step: 1,200 targets by 30,522 tokens are 150 MB each. Here a block of rows
goes all the way, projection, softmax, gradient, before the next begins, so that only
small arrays are needed, and nothing is computed twice (as in Hsu et al. 2024, "Liger Kernel",
arXiv 2410.10989, section 3.2, in plain torch). Clauses LOSS-005 to LOSS-007.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 6_000_000
"""Logits in a block: 24 MB in float32. A larger array glibc would map anew from the system each
time, page by page, which takes longer than the softmax."""

GPU_BLOCK = 64_000_000
"""The same on a GPU, 256 MB: each block is some twenty kernels to start, and a small one is done
before the next is started."""


def blocks(
    rows: int, vocabulary: int, device: str = "cpu", *, most: int | None = None
) -> list[slice]:
    """Cut ``rows`` into blocks of ``most`` logits, by default what suits the device.

    A block has at least one row.
    """
    most = most or (BLOCK if device == "cpu" else GPU_BLOCK)
    height = min(max(1, most // vocabulary), 4096)  # few enough to add up in half precision
    return [slice(begin, min(begin + height, rows)) for begin in range(0, rows, height)]


Gradients = tuple[tuple[Tensor | None, ...], float]
"""Of hidden states, weight and bias, none where it is not wanted; and a factor still to apply."""


class LinearCrossEntropy(torch.autograd.Function):
    """Cross-entropy of a linear projection; see :func:`linear_cross_entropy`."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss, and its gradients while each block's softmax is at hand."""
        ctx.save_for_backward(hidden, weight, bias, targets)
        # A backward has none of its own, and a second one makes the gradients anew.
        ctx.autocast = torch.autocast(
            hidden.device.type,
            dtype=torch.get_autocast_dtype(hidden.device.type),
            enabled=torch.is_autocast_enabled(hidden.device.type),
        )
        ctx.scale, ctx.wanted = scale, ctx.needs_input_grad[:3]
        nll, ctx.found = _loss_and_gradients(hidden, weight, bias, targets, scale, ctx.wanted)
        ctx.mark_non_differentiable(nll)
        return nll * scale, nll

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Hand on the gradients that the forward computed.

        They are handed over, not lent: the gradient of an embedding that shares the weight is
        then added in place, and no copy is made.
        """
        if torch.is_grad_enabled():  # with create_graph, which would miss what is not recorded
            raise RuntimeError("this loss has no second derivative")
        found, ctx.found = ctx.found, None
        if found is None:  # a second time, through a graph that was retained
            hidden, weight, bias, targets = ctx.saved_tensors
            with ctx.autocast:
                _, found = _loss_and_gradients(hidden, weight, bias, targets, ctx.scale, ctx.wanted)
        gradients, left = found
        factor = grads[0] * left
        if factor.device.type != "cpu" or factor != 1.0:  # to find out would make a GPU wait
            gradients = tuple(None if one is None else one * factor for one in gradients)
        return (*gradients, None, None)


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of ``hidden @ weight.T + bias``, in nats.

    It is float32, or float64 where ``hidden`` is; it has no second derivative.

    Args:
        hidden: float ``[n, d]``.
        weight: float ``[V, d]``.
        bias: float ``[V]``, or none.
        targets: int64 ``[n]``.
        scale: a factor on the loss and so on its gradients.

    Returns:
        The sum times ``scale``, which has a gradient, and the sum, which has none.
    """
    losses: tuple[Tensor, Tensor] = LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets, scale
    )
    return losses


def _loss_and_gradients(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    scale: float,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor, Gradients]:
    """Return the summed cross-entropy, and the wanted gradients of it times ``scale``."""
    exact = torch.promote_types(hidden.dtype, torch.float32)
    nll = hidden.new_zeros((), dtype=exact)
    d_hidden = torch.zeros_like(hidden) if wanted[0] else None
    d_weight = torch.zeros_like(weight, dtype=exact) if wanted[1] else None
    d_bias = torch.zeros_like(bias, dtype=exact) if bias is not None and wanted[2] else None
    room = _room(hidden, weight)
    half = room is None
    for block in blocks(len(hidden), len(weight), hidden.device.type):
        rows, truth = hidden[block], targets[block, None]
        logits = _logits(rows, weight, bias, room)
        score, highest = logits.gather(1, truth), logits.amax(1, keepdim=True)
        # In their place on a CPU, the one device on which that was found right.
        into = logits if logits.is_cpu and not half else None
        shares = torch.softmax(logits, 1, dtype=exact, out=into)
        # The highest share is one over the sum of the exponentials, the highest taken off.
        nll += ((highest - score) - shares.amax(1, keepdim=True).log()).sum()
        # The gradient of a row's loss: its softmax, less one at the truth.
        slope = shares.scatter_add_(1, truth, shares.new_full((), -1.0).expand(len(truth), 1))
        if d_bias is not None:
            d_bias += slope.sum(0)
        if half:
            slope = slope.to(logits.dtype)
        if d_hidden is not None:
            d_hidden[block] = slope @ weight
        if d_weight is not None and half:
            # Smaller by a power of two, which is exact, a sum over the block cannot overflow; of
            # the shares themselves the small ones would become zero.
            small = 0.5 ** (len(rows) - 1).bit_length()
            d_weight.add_(slope.T @ (rows * small), alpha=1.0 / small)
        elif d_weight is not None:
            d_weight.addmm_(slope.T, rows, alpha=scale)  # the largest, so nothing is made twice
    gradients = (d_hidden, d_weight, d_bias)
    if half:  # the factor is left to the end, where it meets what the loss is scaled with besides
        return nll, (gradients, scale)
    for one in (d_hidden, d_bias):
        if one is not None:
            one.mul_(scale)
    return nll, (gradients, 1.0)


@torch.no_grad()
def linear_losses(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each row's cross-entropy, float32 ``[n]``, and whether its argmax is the target."""
    losses = hidden.new_empty(len(hidden), dtype=torch.float32)
    hits = hidden.new_empty(len(hidden), dtype=torch.bool)
    room = _room(hidden, weight)
    for block in blocks(len(hidden), len(weight), hidden.device.type):
        truth = targets[block, None]
        logits = _logits(hidden[block], weight, bias, room).float()
        log_shares = torch.log_softmax(logits, 1, out=logits if logits.is_cpu else None)
        score = log_shares.gather(1, truth)
        losses[block] = -score[:, 0]
        # To look for the first of the highest takes longer than the softmax does, so it is looked
        # for only where the target is one of them.
        highest = (score >= log_shares.amax(1, keepdim=True))[:, 0]
        first = highest.nonzero()[:, 0]
        highest[first] = log_shares[first].argmax(1) == truth[first, 0]
        hits[block] = highest
    return losses, hits


def _room(hidden: Tensor, weight: Tensor) -> Tensor | None:
    """Return room for a block's logits, used for each in turn; none in half precision.

    New memory for each block would be mapped by the system page by page, which takes longer than
    the softmax.
    """
    exact = hidden.dtype in (torch.float32, torch.float64) and hidden.dtype == weight.dtype
    if not exact or torch.is_autocast_enabled(hidden.device.type):
        return None
    cut = blocks(len(hidden), len(weight), hidden.device.type)
    height = max((block.stop - block.start for block in cut), default=0)
    return hidden.new_empty(height, len(weight))


def _logits(rows: Tensor, weight: Tensor, bias: Tensor | None, room: Tensor | None) -> Tensor:
    """Project some rows, ``[h, d]`` to ``[h, V]``, into ``room`` if there is some."""
    if room is None:
        return F.linear(rows, weight, bias)
    out = room[: len(rows)]
    if bias is None:
        return torch.mm(rows, weight.T, out=out)
    return torch.addmm(bias, rows, weight.T, out=out)
