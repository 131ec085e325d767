"""Choose the fastest correct way to a model's loss (clause LOSS-002)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from mlmref.base.errors import ModelError
from mlmref.base.generators import seed_generators
from mlmref.model.gathering import LossPath, target_losses
from mlmref.model.unchanged import evaluating
from mlmref.plugin.arrays import IGNORE_INDEX


@torch.no_grad()
def choose_path(model: Any, length: int = 8) -> LossPath:
    """Return the fastest path whose losses equal those of the plain forward on this model.

    Each path is tried on two rows of tokens, because the head of an architecture may read other
    positions, take its hidden state from elsewhere than the base model's output, or compute
    something after its last projection. The model and the random generators do not change.

    Args:
        model: a Transformers ``*ForMaskedLM``.
        length: tokens in a row, if the model cannot read a row of eight.

    Raises:
        ModelError: the model's output does not have one position for each token.
    """
    with evaluating(model):
        try:
            return _choose_path(model, 8)
        except Exception:
            if length == 8:
                raise
            return _choose_path(model, length)


def _choose_path(model: Any, length: int) -> LossPath:
    """Try each path on rows of one length."""
    tokens = torch.arange(2 * length, device=model.device).reshape(2, length) * 7919
    tokens %= model.config.get_text_config().vocab_size
    labels = torch.full_like(tokens, IGNORE_INDEX)
    labels[0, 1] = labels[0, -2] = labels[1, length // 2 - 1] = 0

    def losses(path: LossPath) -> Tensor:
        seed_generators(0)  # some models draw random numbers in evaluation mode
        return target_losses(model, path, tokens, torch.ones_like(tokens), labels)[0]

    last = _last_projection(model)
    with _exaggerated(last) if last else nullcontext():
        expected = losses("plain")
        for path in _shortcuts(model, last):
            try:
                got = losses(path)
            except _ANY_FAILURE:
                continue  # the next path may suit the architecture
            if torch.allclose(got, expected, rtol=1e-4, atol=1e-4):
                return path
    return "plain"


_ANY_FAILURE = (RuntimeError, LookupError, ValueError, TypeError, AttributeError, ModelError)


def _last_projection(model: Any) -> nn.Linear | None:
    """Return the linear layer that ends the head; ``None`` if the head ends otherwise."""
    try:
        last = model.get_output_embeddings()
    except AttributeError:  # a head from another library
        return None
    return last if type(last) is nn.Linear else None


def _shortcuts(model: Any, last: nn.Linear | None) -> list[LossPath]:
    """Return the shortcuts that the model has the parts for, the fastest first."""
    if model.base_model is model:
        return []
    return ["projected", "gathered"] if last else ["gathered"]


@contextmanager
def _exaggerated(last: nn.Linear) -> Iterator[None]:
    """Make the logits large for a while, and restore the weights bit for bit.

    The small logits and the zero bias of an untrained head would hide a scale, a cap or a second
    bias after the projection. A factor that is a power of two is exact.
    """
    bias = None if last.bias is None else last.bias.detach().clone()
    last.weight.mul_(32.0)
    if last.bias is not None:
        last.bias.add_(torch.linspace(-20.0, 20.0, len(last.bias), device=last.bias.device))
    try:
        yield
    finally:
        last.weight.mul_(1 / 32.0)
        if bias is not None:
            last.bias.copy_(bias)
