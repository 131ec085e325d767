"""Compute a model's logits and losses at the targets only (LOSS-001, LOSS-004 and LOSS-009)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmref.base.errors import ModelError
from mlmref.model.projection import GPU_BLOCK, blocks, linear_losses
from mlmref.model.unchanged import unchanged
from mlmref.plugin.arrays import IGNORE_INDEX

LossPath = Literal["plain", "gathered", "projected"]
"""``plain`` computes all logits, ``gathered`` those of the targets, and ``projected`` those of
the targets a block at a time."""


def at_targets(
    model: Any, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, path: LossPath
) -> tuple[Tensor, Tensor]:
    """Return the model's output at the targets, and the true tokens.

    Args:
        model: a Transformers ``*ForMaskedLM``.
        input_ids: int64 ``[B, T]``.
        attention_mask: int64 ``[B, T]``.
        labels: int64 ``[B, T]``, ``IGNORE_INDEX`` at positions without a target.
        path: how far to compute.

    Returns:
        The logits of the ``n`` targets, ``[n, V]``, or with ``projected`` the input of the head's
        last projection, ``[n, d]``; and the true tokens, int64 ``[n]``.

    Raises:
        ModelError: the output does not have one position for each token.
    """
    flat = labels.reshape(-1)
    positions = (flat != IGNORE_INDEX).nonzero().squeeze(1)
    with ExitStack() as stack:
        if path != "plain":
            hook = model.base_model.register_forward_hook(partial(_keep, positions, labels.shape))
            stack.callback(hook.remove)
        if path == "projected":
            stack.enter_context(_instead(model.get_output_embeddings(), nn.Identity()))
        output = model(input_ids=input_ids, attention_mask=attention_mask).logits
    if path != "plain":
        return output[0], flat[positions]
    _check_places(output, labels.shape)
    return output.flatten(0, 1)[positions], flat[positions]


def in_blocks(
    model: Any, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, path: LossPath
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits ``[h, V]`` and true tokens ``[h]`` of each block of targets.

    With ``gathered`` the head runs once for each block and the base model only once: later calls
    return other positions of the same hidden state. With ``plain`` a block is one or several rows
    of the batch.
    """
    vocabulary = model.config.get_text_config().vocab_size
    if path == "plain":
        for rows in blocks(len(labels), labels.shape[1] * vocabulary, most=GPU_BLOCK):
            yield at_targets(model, input_ids[rows], attention_mask[rows], labels[rows], path)
        return
    base, flat = model.base_model, labels.reshape(-1)
    positions = (flat != IGNORE_INDEX).nonzero().squeeze(1)
    forward = base.forward
    kept: list[Any] = []

    def once(*arguments: Any, **options: Any) -> Any:
        if not kept:
            kept.append(forward(*arguments, **options))
        return copy.copy(kept[0])

    for block in blocks(len(positions), vocabulary, most=GPU_BLOCK):
        keep = partial(_keep, positions[block], labels.shape)
        with base.register_forward_hook(keep), _instead(base, once):
            logits = model(input_ids=input_ids, attention_mask=attention_mask).logits[0]
        yield logits, flat[positions[block]]


def target_losses(
    model: Any, path: LossPath, input_ids: Tensor, attention_mask: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each target's negative log-likelihood, and whether it has the highest logit.

    Restores the model afterwards, and holds the logits of one block at most, or those of one row
    if the head needs every position (LOSS-009). Arguments as of :func:`at_targets`.

    Returns:
        float32 ``[n]`` in nats and bool ``[n]``, in row-major order of the targets.
    """
    with unchanged(model):
        if path == "projected":
            output, targets = at_targets(model, input_ids, attention_mask, labels, path)
            last = model.get_output_embeddings()
            return linear_losses(output, last.weight, last.bias, targets)
        found = [
            (F.cross_entropy(logits.float(), truth, reduction="none"), logits.argmax(1) == truth)
            for logits, truth in in_blocks(model, input_ids, attention_mask, labels, path)
        ]
    if not found:
        empty = input_ids.new_empty(0)
        return empty.float(), empty.bool()
    nll, hits = zip(*found, strict=True)
    return torch.cat(nll), torch.cat(hits)


def _check_places(output: Tensor, expected: torch.Size) -> None:
    """Raise a ModelError unless the output has one position for each token."""
    if output.shape[:2] != expected:
        raise ModelError(
            f"the model answers {list(expected)} tokens with {list(output.shape[:2])} places",
            hint="choose a model with an answer for each token",
        )


def _keep(
    positions: Tensor, expected: torch.Size, _module: nn.Module, _inputs: Any, output: Any
) -> Any:
    """Keep ``positions`` of the last hidden state, ``[B, T, hidden]`` to ``[1, n, hidden]``."""
    hidden = output[0]
    _check_places(hidden, expected)
    kept = hidden.reshape(-1, hidden.shape[-1])[positions].unsqueeze(0)
    if isinstance(output, tuple):
        return (kept, *output[1:])
    output[next(iter(output))] = kept
    return output


@contextmanager
def _instead(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Replace the forward function of a module for a while."""
    before = vars(module).get("forward")
    vars(module)["forward"] = forward
    try:
        yield
    finally:
        del vars(module)["forward"]
        if before is not None:
            vars(module)["forward"] = before
