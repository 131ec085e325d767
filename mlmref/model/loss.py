"""The loss at masked positions only (clauses LOSS-001 to LOSS-004, LOSS-007).

About 85 % of positions have no label, and projecting them onto the vocabulary is the largest
single cost of a step. A hook on the base model keeps only the labelled positions of its last
hidden state, so that the head sees ``[1, n, hidden]`` in place of ``[B, T, hidden]``; and where
the head ends in a plain projection, :mod:`mlmref.model.projection` computes it, a block at a
time. Both hold for every architecture that acts on each position alone; :func:`choose_path`
checks them on the model at hand, and where one does not hold it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmref.base.errors import ModelError
from mlmref.base.generators import seed_generators
from mlmref.model.projection import linear_cross_entropy, linear_losses
from mlmref.plugin.arrays import IGNORE_INDEX

Path = Literal["plain", "gathered", "projected"]
"""``plain`` computes all logits, ``gathered`` those of the targets, and ``projected`` those of
the targets a block at a time."""


class MaskedLMObjective(nn.Module):
    """A masked language model that returns its loss over a step's targets.

    Args:
        model: a Transformers ``*ForMaskedLM``; shared, not copied.
        path: how the loss is computed; left out, the quickest way that is right for the model.
    """

    def __init__(self, model: Any, path: Path | None = None) -> None:
        super().__init__()
        self.model = model
        self.path: Path = path or choose_path(model)
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
            seed: seeds whatever the model draws from, so that dropout, and layers left out by
                chance, depend on the step and on nothing else (BACK-005).
        """
        if seed is not None and self.training:
            seed_generators(seed)
        output, targets = at_targets(self.model, input_ids, attention_mask, labels, self.path)
        if self.path == "projected":
            last = self.model.get_output_embeddings()
            loss, nll = linear_cross_entropy(output, last.weight, last.bias, targets, weight)
        else:
            nll = F.cross_entropy(output.float(), targets, reduction="sum")
            loss = nll * weight
        self._nll = nll.detach() if self._nll is None else self._nll + nll.detach()
        self._targets += len(targets)
        self._weight = max(self._weight, weight)
        return {"loss": loss}

    @torch.no_grad()
    def losses(
        self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return each target's negative log-likelihood, and whether it was the first choice.

        Returns:
            float32 ``[n]`` and bool ``[n]``, in row-major order of the targets.
        """
        output, targets = at_targets(self.model, input_ids, attention_mask, labels, self.path)
        if self.path == "projected":
            last = self.model.get_output_embeddings()
            return linear_losses(output, last.weight, last.bias, targets)
        nll = F.cross_entropy(output.float(), targets, reduction="none")
        return nll, output.argmax(1) == targets

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(iter(self.model.parameters())).device
        return device

    @torch.enable_grad()
    def trial(self) -> list[Tensor | None]:
        """Return the gradients of a step on two short rows, none where the loss needs none.

        One for each parameter that is trained. It draws nothing and leaves no trace.
        """
        tokens = torch.arange(16, device=self.device).reshape(2, 8) % self.model.config.vocab_size
        labels = torch.full_like(tokens, IGNORE_INDEX)
        labels[:, 1] = 0
        sums, was_training = (self._nll, self._targets, self._weight), self.training
        self.eval()
        try:
            loss = self(tokens, torch.ones_like(tokens), labels, 1.0)["loss"]
            trained = [one for one in self.parameters() if one.requires_grad]
            return list(torch.autograd.grad(loss, trained, allow_unused=True))
        finally:
            self.train(was_training)
            self._nll, self._targets, self._weight = sums

    def take_sums(self) -> tuple[float, int]:
        """Return summed negative log-likelihood and targets since the last call."""
        nll, targets = self._nll, self._targets
        self._nll, self._targets, self._weight = None, 0, 0.0
        return (0.0 if nll is None else float(nll)), targets


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
            stack.enter_context(_without_projection(model.get_output_embeddings()))
        output = model(input_ids=input_ids, attention_mask=attention_mask).logits
    if path != "plain":
        return output[0], flat[positions]
    _check_places(output, labels.shape)
    return output.flatten(0, 1)[positions], flat[positions]


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
def _without_projection(last: nn.Module) -> Iterator[None]:
    """Let a layer hand on what it is given."""
    vars(last)["forward"] = nn.Identity()
    try:
        yield
    finally:
        del vars(last)["forward"]


@torch.no_grad()
def choose_path(model: Any) -> Path:
    """Choose the quickest way to the loss that gives the plain forward's on this model.

    Tries each on two rows of eight tokens, since an architecture's head may look beyond a single
    position, take its hidden state from elsewhere than its base model's output, or do something
    after its last projection.

    Raises:
        ModelError: the model does not answer each token.
    """
    device = next(model.parameters()).device
    tokens = torch.arange(16, device=device).reshape(2, 8) * 7919 % model.config.vocab_size
    labels = torch.full_like(tokens, IGNORE_INDEX)
    labels[0, 1] = labels[0, 6] = labels[1, 3] = 0
    was_training = model.training
    model.eval()

    def losses(path: Path) -> Tensor:
        return MaskedLMObjective(model, path).losses(tokens, torch.ones_like(tokens), labels)[0]

    last = _last_projection(model)
    try:
        with _exaggerated(last) if last else nullcontext():
            expected = losses("plain")
            for path in _shortcuts(model, last):
                try:
                    got = losses(path)
                except _ANY_FAILURE:
                    continue  # whatever the architecture insists on, the next way may serve it
                if torch.allclose(got, expected, rtol=1e-4, atol=1e-4):
                    return path
    finally:
        model.train(was_training)
    return "plain"


_ANY_FAILURE = (RuntimeError, LookupError, ValueError, TypeError, AttributeError, ModelError)


def _last_projection(model: Any) -> nn.Linear | None:
    """Return the plain layer that ends the head, if one does."""
    try:
        last = model.get_output_embeddings()
    except AttributeError:  # a head that was exchanged for one of another make
        return None
    return last if type(last) is nn.Linear else None


def _shortcuts(model: Any, last: nn.Linear | None) -> list[Path]:
    """List the shortcuts that the model has the parts for, the quickest first."""
    if model.base_model is model:
        return []
    return ["projected", "gathered"] if last else ["gathered"]


@contextmanager
def _exaggerated(last: nn.Linear) -> Iterator[None]:
    """Make logits large for a while, and put the weights back to the last bit.

    With the small logits and the zero bias of an untrained head a scale, a cap or a second bias
    behind the projection could not be told from none. A factor of a power of two is exact.
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
