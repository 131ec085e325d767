"""A model's answers at the targets alone (clauses LOSS-001, LOSS-004 and LOSS-009)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mlmref.base.errors import ModelError
from mlmref.model.projection import GPU_BLOCK, blocks
from mlmref.plugin.arrays import IGNORE_INDEX

Path = Literal["plain", "gathered", "projected"]
"""``plain`` computes all logits, ``gathered`` those of the targets, and ``projected`` those of
the targets a block at a time."""


def at_targets(
    model: Any, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, path: Path
) -> tuple[Tensor, Tensor]:
    """Run the model as far as ``path`` says.

    Returns:
        The ``n`` targets' logits ``[n, V]``, or with ``projected`` what the head's last
        projection would be given ``[n, d]``; and the true tokens, int64 ``[n]``.
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
    model: Any, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, path: Path
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits ``[h, V]`` and true tokens ``[h]`` of one block of targets after the other.

    With ``gathered`` the head runs once for each block, and the base model once in all: when it is
    called again, it returns other positions of the same hidden state. With ``plain`` a block is one
    or several rows of the batch.
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


def _check_places(output: Tensor, expected: torch.Size) -> None:
    """Make sure that each token has a place in what the model gives."""
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
    """Let a module compute something else."""
    before = vars(module).get("forward")
    vars(module)["forward"] = forward
    try:
        yield
    finally:
        del vars(module)["forward"]
        if before is not None:
            vars(module)["forward"] = before
