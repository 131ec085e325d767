"""The loss, at masked positions only (clauses LOSS-001 to LOSS-006).

About 85 % of positions have no label, and projecting them onto the vocabulary is the largest
single cost of a step. A hook on the base model keeps only the labelled positions of its last
hidden state, so that the head sees ``[1, n, hidden]`` in place of ``[B, T, hidden]``. Heads act
on each position alone, so the logits are the same; :func:`keeps_logits` checks that on the
model at hand, and where it does not hold the plain forward is taken.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmref.contracts import IGNORE_INDEX


class MaskedLMObjective(nn.Module):
    """A masked language model that returns its loss over a step's targets.

    Args:
        model: a Transformers ``*ForMaskedLM``; shared, not copied.

    Attributes:
        gathers: whether only the labelled positions reach the head.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.gathers = keeps_logits(model)
        self._nll: Tensor | None = None
        self._targets = 0
        self._weight = 0.0

    @property
    def idle(self) -> bool:
        """Whether no rank has had a target since the last :meth:`take_sums`."""
        return self._weight == 0.0

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        weight: float,
        seed: int | None = None,
    ) -> dict[str, Tensor]:
        """Return ``{"loss": scalar}``: the summed negative log-likelihood times ``weight``.

        Args:
            input_ids: int64 ``[B, T]``.
            attention_mask: int64 ``[B, T]``.
            labels: int64 ``[B, T]``, ``IGNORE_INDEX`` where nothing is to be predicted.
            weight: one over the targets of the whole step, so that micro-batches add up to the
                mean over the step (BACK-003); 0 where the step has none.
            seed: seeds dropout, so that it depends on the step and on nothing else (BACK-005).
        """
        if seed is not None and self.training:
            torch.manual_seed(seed)
        logits, targets = target_logits(
            self.model, input_ids, attention_mask, labels, gather=self.gathers
        )
        nll = F.cross_entropy(logits, targets, reduction="sum")
        self._nll = nll.detach() if self._nll is None else self._nll + nll.detach()
        self._targets += len(targets)
        self._weight = max(self._weight, weight)
        return {"loss": nll * weight}

    def take_sums(self) -> tuple[float, int]:
        """Return summed negative log-likelihood and targets since the last call."""
        nll, targets = self._nll, self._targets
        self._nll, self._targets, self._weight = None, 0, 0.0
        return (0.0 if nll is None else float(nll)), targets


def target_logits(
    model: Any, input_ids: Tensor, attention_mask: Tensor, labels: Tensor, *, gather: bool
) -> tuple[Tensor, Tensor]:
    """Return the logits, float32 ``[n, V]``, and the true tokens ``[n]`` of the ``n`` targets.

    Args:
        model: a Transformers ``*ForMaskedLM``.
        input_ids: int64 ``[B, T]``.
        attention_mask: int64 ``[B, T]``.
        labels: int64 ``[B, T]``, ``IGNORE_INDEX`` where nothing is to be predicted.
        gather: let only the targets' hidden states reach the head.
    """
    flat = labels.reshape(-1)
    positions = (flat != IGNORE_INDEX).nonzero().squeeze(1)
    if not gather:
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits.flatten(0, 1)[positions].float(), flat[positions]
    hook = model.base_model.register_forward_hook(partial(_keep, positions))
    try:
        logits = model(input_ids=input_ids, attention_mask=attention_mask).logits
    finally:
        hook.remove()
    return logits[0].float(), flat[positions]


def _keep(positions: Tensor, _module: nn.Module, _inputs: Any, output: Any) -> Any:
    """Keep ``positions`` of the last hidden state, ``[B, T, hidden]`` to ``[1, n, hidden]``."""
    hidden = output[0]
    kept = hidden.reshape(-1, hidden.shape[-1])[positions].unsqueeze(0)
    if isinstance(output, tuple):
        return (kept, *output[1:])
    output[next(iter(output))] = kept
    return output


@torch.no_grad()
def keeps_logits(model: Any) -> bool:
    """Tell whether the model gives the same logits when only some positions reach its head.

    Tries it on two rows of eight tokens, since an architecture's head may look beyond a single
    position, or take its hidden state from elsewhere than its base model's output.
    """
    if model.base_model is model:
        return False
    device = next(model.parameters()).device
    tokens = torch.arange(16, device=device).reshape(2, 8) * 7919 % model.config.vocab_size
    labels = torch.full_like(tokens, IGNORE_INDEX)
    labels[0, 1] = labels[0, 6] = labels[1, 3] = 0
    probe = partial(target_logits, model, tokens, torch.ones_like(tokens), labels)
    was_training = model.training
    model.eval()
    try:
        plain, gathered = probe(gather=False)[0], probe(gather=True)[0]
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, KeyError):
        # Whatever the architecture insists on, the plain forward serves it.
        return False
    finally:
        model.train(was_training)
    return plain.shape == gathered.shape and torch.allclose(plain, gathered, rtol=1e-4, atol=1e-4)
