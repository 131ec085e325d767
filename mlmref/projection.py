"""Project hidden states onto the vocabulary and take the cross-entropy, a block at a time.

The logits of a step's targets, and the softmax and gradient of the same size, are the largest
arrays of a training step: 1,200 targets by 30,522 tokens are 150 MB each. Here a block of rows
goes all the way, projection, softmax, gradient, before the next begins, so that only
small arrays are needed, and nothing is computed twice (as in Hsu et al. 2024, "Liger Kernel",
arXiv 2410.10989, section 3.2, in plain torch). Clauses LOSS-005, LOSS-006.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 6_000_000
"""Logits in a block: 24 MB in float32. A larger array glibc would map anew from the system each
time, page by page, which takes longer than the softmax."""


def blocks(rows: int, vocabulary: int) -> list[slice]:
    """Cut ``rows`` into blocks of at most :data:`BLOCK` logits, but of at least one row."""
    height = min(max(1, BLOCK // vocabulary), 4096)  # few enough to add up in half precision
    return [slice(begin, min(begin + height, rows)) for begin in range(0, rows, height)]


class LinearCrossEntropy(torch.autograd.Function):
    """Summed cross-entropy of a linear projection; see :func:`linear_cross_entropy`."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
    ) -> Tensor:
        """Compute the loss, and its gradients while each block's softmax is at hand."""
        exact = torch.promote_types(hidden.dtype, torch.float32)
        total = hidden.new_zeros((), dtype=exact)
        wanted = ctx.needs_input_grad
        d_hidden = torch.empty_like(hidden) if wanted[0] else None
        d_weight = torch.zeros_like(weight) if wanted[1] else None
        d_bias = torch.zeros_like(bias) if bias is not None and wanted[2] else None
        ctx.share = 1.0
        for block in blocks(len(hidden), len(weight)):
            rows, truth = hidden[block], targets[block, None]
            logits = F.linear(rows, weight, bias)
            scores = logits.to(exact)
            score = scores.gather(1, truth)
            # In place from here on, with one exponential an element.
            highest = scores.amax(1, keepdim=True)
            shares = scores.sub_(highest).exp_()
            whole = shares.sum(1, keepdim=True)
            total += (highest + whole.log() - score).sum()
            # The gradient of a row's loss: its softmax, less one at the truth.
            slope = shares.mul_(1 / whole)
            slope.scatter_add_(1, truth, slope.new_full((), -1.0).expand(len(truth), 1))
            if logits.dtype != exact:
                # In half precision sums over many targets would overflow.
                ctx.share = 1.0 / len(hidden)
                slope = slope.mul_(ctx.share).to(logits.dtype)
            if d_hidden is not None:
                d_hidden[block] = slope @ weight
            if d_weight is not None:
                d_weight += slope.T @ rows
            if d_bias is not None:
                d_bias += slope.sum(0)
        ctx.save_for_backward(d_hidden, d_weight, d_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that the forward computed."""
        factor = grads[0] / ctx.share
        scaled = (
            None if one is None else (one * factor).to(one.dtype) for one in ctx.saved_tensors
        )
        return (*scaled, None)


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
) -> Tensor:
    """Return the summed cross-entropy of ``hidden @ weight.T + bias``, in nats, as float32.

    Args:
        hidden: float ``[n, d]``.
        weight: float ``[V, d]``.
        bias: float ``[V]``, or none.
        targets: int64 ``[n]``.
    """
    loss: Tensor = LinearCrossEntropy.apply(hidden, weight, bias, targets)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def linear_losses(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each row's cross-entropy, float32 ``[n]``, and whether its argmax is the target."""
    losses = hidden.new_empty(len(hidden), dtype=torch.float32)
    hits = hidden.new_empty(len(hidden), dtype=torch.bool)
    for block in blocks(len(hidden), len(weight)):
        logits = F.linear(hidden[block], weight, bias).float()
        losses[block] = F.cross_entropy(logits, targets[block], reduction="none")
        hits[block] = logits.argmax(1) == targets[block]
    return losses, hits
