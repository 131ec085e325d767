"""Project hidden states onto the vocabulary and compute the cross-entropy, block by block.

The logits of a step's targets, their softmax and their gradient are the largest arrays of a step:
1,200 targets by 30,522 tokens are 150 MB each. Here projection, softmax and gradient of one block
of rows are computed before the next block, so the arrays are small and nothing is computed twice
(as in Hsu et al. 2024, "Liger Kernel", arXiv 2410.10989, section 3.2, in plain torch).
Clauses LOSS-005 to LOSS-007.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 6_000_000
"""Logits in a block: 24 MB in float32. glibc would map a larger array anew each time, page by page,
which takes longer than the softmax."""

GPU_BLOCK = 64_000_000
"""Logits in a block on a GPU, 256 MB: each block starts about twenty kernels, and those of a small
block would end before the next one starts."""


def blocks(
    rows: int, vocabulary: int, device: str = "cpu", *, most: int | None = None
) -> list[slice]:
    """Return ``rows`` cut into blocks of at most ``most`` logits, but at least one row.

    The default of ``most`` depends on the device.
    """
    most = most or (BLOCK if device == "cpu" else GPU_BLOCK)
    height = min(max(1, most // vocabulary), 4096)  # few enough to add up in half precision
    return [slice(begin, min(begin + height, rows)) for begin in range(0, rows, height)]


Gradients = tuple[tuple[Tensor | None, ...], float]
"""Gradients of hidden states, weight and bias (``None`` if not needed), and a factor to apply."""


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
        """Return the loss; its gradients are computed from each block's softmax and stored."""
        ctx.save_for_backward(hidden, weight, bias, targets)
        # A backward pass has no autocast, and a second one computes the gradients again.
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
        """Return the gradients that the forward pass computed.

        No reference to them remains, so the gradient of an embedding that shares the weight is
        added in place, without a copy.
        """
        if torch.is_grad_enabled():  # with create_graph; the forward pass recorded nothing
            raise RuntimeError("this loss has no second derivative")
        found, ctx.found = ctx.found, None
        if found is None:  # a second backward pass, through a retained graph
            hidden, weight, bias, targets = ctx.saved_tensors
            with ctx.autocast:
                _, found = _loss_and_gradients(hidden, weight, bias, targets, ctx.scale, ctx.wanted)
        gradients, left = found
        factor = grads[0] * left
        if factor.device.type != "cpu" or factor != 1.0:  # reading it would make a GPU wait
            gradients = tuple(None if one is None else one * factor for one in gradients)
        return (*gradients, None, None)


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy of ``hidden @ weight.T + bias``, in nats.

    The result is float32, or float64 if ``hidden`` is. It has no second derivative.

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
    """Return the summed cross-entropy, and the needed gradients of it times ``scale``."""
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
        # In place only on a CPU: on other devices this was not correct.
        into = logits if logits.is_cpu and not half else None
        shares = torch.softmax(logits, 1, dtype=exact, out=into)
        # The highest share is one over the sum of exponentials relative to the highest logit.
        nll += ((highest - score) - shares.amax(1, keepdim=True).log()).sum()
        # The gradient of a row's loss: its softmax, minus one at the truth.
        slope = shares.scatter_add_(1, truth, shares.new_full((), -1.0).expand(len(truth), 1))
        if d_bias is not None:
            d_bias += slope.sum(0)
        if half:
            slope = slope.to(logits.dtype)
        if d_hidden is not None:
            d_hidden[block] = slope @ weight
        if d_weight is not None and half:
            # Scaled down by a power of two, which is exact, the sum over the block cannot overflow;
            # scaling the shares instead would make small ones zero.
            small = 0.5 ** (len(rows) - 1).bit_length()
            d_weight.add_(slope.T @ (rows * small), alpha=1.0 / small)
        elif d_weight is not None:
            d_weight.addmm_(slope.T, rows, alpha=scale)  # the largest array: no copy
    gradients = (d_hidden, d_weight, d_bias)
    if half:  # backward applies the factor together with the scale of the loss
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
        # Finding the first of the highest logits takes longer than the softmax, so it is done only
        # in rows where the target is one of them.
        highest = (score >= log_shares.amax(1, keepdim=True))[:, 0]
        first = highest.nonzero()[:, 0]
        highest[first] = log_shares[first].argmax(1) == truth[first, 0]
        hits[block] = highest
    return losses, hits


def _room(hidden: Tensor, weight: Tensor) -> Tensor | None:
    """Return an array for a block's logits, which all blocks reuse; ``None`` in half precision.

    The operating system would map new memory for each block page by page, which takes longer than
    the softmax.
    """
    exact = hidden.dtype in (torch.float32, torch.float64) and hidden.dtype == weight.dtype
    if not exact or torch.is_autocast_enabled(hidden.device.type):
        return None
    cut = blocks(len(hidden), len(weight), hidden.device.type)
    height = max((block.stop - block.start for block in cut), default=0)
    return hidden.new_empty(height, len(weight))


def _logits(rows: Tensor, weight: Tensor, bias: Tensor | None, room: Tensor | None) -> Tensor:
    """Return the projection of some rows, ``[h, d]`` to ``[h, V]``, in ``room`` if given."""
    if room is None:
        return F.linear(rows, weight, bias)
    out = room[: len(rows)]
    if bias is None:
        return torch.mm(rows, weight.T, out=out)
    return torch.addmm(bias, rows, weight.T, out=out)
