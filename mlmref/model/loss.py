"""The loss at masked positions only (clauses LOSS-001 to LOSS-004, LOSS-007 and LOSS-009).

About 85 % of positions have no label, and projecting them onto the vocabulary is the largest
single cost of a step. A hook on the base model keeps only the labelled positions of its last
hidden state, so that the head sees ``[1, n, hidden]`` in place of ``[B, T, hidden]``; and where
the head ends in a plain projection, :mod:`mlmref.model.projection` computes it, a block at a
time. Both hold for every architecture that acts on each position alone; :func:`choose_path`
checks them on the model at hand, and where one does not hold it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmref.base.errors import ModelError
from mlmref.base.generators import seed_generators, torch_state
from mlmref.model.gathering import Path, at_targets, in_blocks
from mlmref.model.projection import linear_cross_entropy, linear_losses
from mlmref.model.unchanged import evaluating, unchanged
from mlmref.plugin.arrays import IGNORE_INDEX


class MaskedLMObjective(nn.Module):
    """A masked language model that returns its loss over a step's targets.

    Args:
        model: a Transformers ``*ForMaskedLM``; shared, not copied.
        path: how the loss is computed; left out, the quickest way that is right for the model.
        length: tokens of the rows that the model is tried on.

    Attributes:
        draws: whether the losses depend on random numbers in evaluation mode; ``None`` until the
            model was seen to draw some.
        repeatable: whether two trainings with the same seed give the same weights (MODEL-014).
    """

    def __init__(self, model: Any, path: Path | None = None, length: int = 8) -> None:
        super().__init__()
        self.model = model
        self.path: Path = path or choose_path(model, length)
        self.length = length
        self.draws: bool | None = None
        self.repeatable = True
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

        Restores the model afterwards, and holds the logits of a block at most, except those of one
        row where the head needs every position (LOSS-009).

        Returns:
            float32 ``[n]`` and bool ``[n]``, in row-major order of the targets.
        """
        with unchanged(self.model):
            if self.path == "projected":
                output, targets = at_targets(
                    self.model, input_ids, attention_mask, labels, self.path
                )
                last = self.model.get_output_embeddings()
                return linear_losses(output, last.weight, last.bias, targets)
            found = [
                (
                    F.cross_entropy(logits.float(), truth, reduction="none"),
                    logits.argmax(1) == truth,
                )
                for logits, truth in in_blocks(
                    self.model, input_ids, attention_mask, labels, self.path
                )
            ]
        if not found:
            empty = input_ids.new_empty(0)
            return empty.float(), empty.bool()
        nll, hits = zip(*found, strict=True)
        return torch.cat(nll), torch.cat(hits)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(iter(self.model.parameters())).device
        return device

    @torch.enable_grad()
    def trial(self) -> list[Tensor | None]:
        """Return the gradients of a training step on two rows, none where the loss needs none.

        One for each parameter that is trained. It leaves no trace.
        """
        trained = [one for one in self.parameters() if one.requires_grad]
        held = [one.grad for one in trained]
        with evaluating(self):  # which restores the sums as well
            try:
                for one in trained:
                    one.grad = None
                # Reformer's layers add to their parameters' gradients themselves.
                self._step(seed=0)["loss"].backward()  # type: ignore[no-untyped-call]
                return [one.grad for one in trained]
            finally:
                for one, gradient in zip(trained, held, strict=True):
                    one.grad = gradient

    @torch.no_grad()
    def reseeds(self) -> bool:
        """Tell whether the model's forward pass seeds torch itself during training.

        Torch's state is then the same after two seeds, or differs after one seed used twice.
        """
        after = []
        for seed in (1, 1, 2):
            with evaluating(self):
                self._step(seed)
                after.append(torch_state(self.device))
        return not torch.equal(after[0], after[1]) or torch.equal(after[1], after[2])

    def trial_losses(self) -> None:
        """Compute the losses of two rows in evaluation mode; leaves no trace."""
        with evaluating(self):
            self.losses(*self._rows())

    def _step(self, seed: int) -> dict[str, Tensor]:
        """Compute the loss of two rows in training mode."""
        self.train()
        loss: dict[str, Tensor] = self(*self._rows(), weight=1.0, seed=seed)
        return loss

    def _rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return two rows of tokens, their attention mask, and labels with a target in each."""
        vocabulary = self.model.config.get_text_config().vocab_size
        tokens = torch.arange(2 * self.length, device=self.device).reshape(2, -1) % vocabulary
        labels = torch.full_like(tokens, IGNORE_INDEX)
        labels[:, 1] = 0
        return tokens, torch.ones_like(tokens), labels

    def take_sums(self) -> tuple[float, int]:
        """Return summed negative log-likelihood and targets since the last call."""
        nll, targets = self._nll, self._targets
        self._nll, self._targets, self._weight = None, 0, 0.0
        return (0.0 if nll is None else float(nll)), targets


@torch.no_grad()
def choose_path(model: Any, length: int = 8) -> Path:
    """Choose the quickest way to the loss that gives the plain forward's on this model.

    Tries each on two rows of tokens, since an architecture's head may look beyond a single
    position, take its hidden state from elsewhere than its base model's output, or do something
    after its last projection. Model and generators stay as they were.

    Args:
        model: a Transformers ``*ForMaskedLM``.
        length: tokens of a row, if the model cannot read a row of eight.

    Raises:
        ModelError: the model does not answer each token.
    """
    with evaluating(model):
        try:
            return _choose_path(model, 8)
        except Exception:
            if length == 8:
                raise
            return _choose_path(model, length)


def _choose_path(model: Any, length: int) -> Path:
    """Try each way to the loss on rows of one length."""
    tokens = torch.arange(2 * length, device=model.device).reshape(2, length) * 7919
    tokens %= model.config.get_text_config().vocab_size
    labels = torch.full_like(tokens, IGNORE_INDEX)
    labels[0, 1] = labels[0, -2] = labels[1, length // 2 - 1] = 0

    def losses(path: Path) -> Tensor:
        seed_generators(0)  # for a model that draws in evaluation mode as well
        return MaskedLMObjective(model, path).losses(tokens, torch.ones_like(tokens), labels)[0]

    last = _last_projection(model)
    with _exaggerated(last) if last else nullcontext():
        expected = losses("plain")
        for path in _shortcuts(model, last):
            try:
                got = losses(path)
            except _ANY_FAILURE:
                continue  # whatever the architecture insists on, the next way may serve it
            if torch.allclose(got, expected, rtol=1e-4, atol=1e-4):
                return path
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
