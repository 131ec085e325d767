"""The loss at masked positions only (clauses LOSS-001 to LOSS-004, LOSS-007 and LOSS-009).

About 85 % of the positions have no label, and projecting them onto the vocabulary is the largest
single cost of a step. A hook on the base model keeps only the labelled positions of its last hidden
state, so the head reads ``[1, n, hidden]`` instead of ``[B, T, hidden]``. If the head ends in a
linear layer, :mod:`mlmref.model.projection` computes that layer block by block. Both are correct if
the head computes each position by itself; :mod:`mlmref.model.choose_path` checks this on the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmref.base.generators import seed_generators, torch_state
from mlmref.model.choose_path import choose_path
from mlmref.model.gathering import LossPath, at_targets, target_losses
from mlmref.model.projection import linear_cross_entropy
from mlmref.model.unchanged import evaluating
from mlmref.plugin.arrays import IGNORE_INDEX


class MaskedLMObjective(nn.Module):
    """A masked language model that returns its loss over a step's targets.

    Args:
        model: a Transformers ``*ForMaskedLM``; shared, not copied.
        path: how to compute the loss; by default the fastest path that is correct for the model.
        length: tokens in a row when the paths are tried.

    Attributes:
        draws: whether the losses depend on random numbers in evaluation mode; ``None`` until the
            model drew some.
        repeatable: whether two trainings with the same seed give the same weights (MODEL-014).
    """

    def __init__(self, model: Any, path: LossPath | None = None, length: int = 8) -> None:
        super().__init__()
        self.model = model
        self.path: LossPath = path or choose_path(model, length)
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
            labels: int64 ``[B, T]``, ``IGNORE_INDEX`` at positions without a target.
            weight: one over the targets of the whole step, so that micro-batches add up to the
                mean over the step (BACK-003); 0 if the step has no target.
            seed: seeds all random generators, so that dropout and layer dropout depend only on
                the step (BACK-005).
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
        """Return :func:`~mlmref.model.gathering.target_losses` of a batch."""
        return target_losses(self.model, self.path, input_ids, attention_mask, labels)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        device: torch.device = next(iter(self.model.parameters())).device
        return device

    @torch.enable_grad()
    def trial(self) -> list[Tensor | None]:
        """Return the gradient of each trained parameter after a step on two rows.

        A parameter that does not affect the loss has ``None``. The trial changes nothing.
        """
        trained = [one for one in self.parameters() if one.requires_grad]
        held = [one.grad for one in trained]
        with evaluating(self):  # also restores the sums
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
        """Return whether the model's forward pass seeds torch during training.

        If it does, torch's state is the same after two seeds, or differs after one seed used twice.
        """
        after = []
        for seed in (1, 1, 2):
            with evaluating(self):
                self._step(seed)
                after.append(torch_state(self.device))
        return not torch.equal(after[0], after[1]) or torch.equal(after[1], after[2])

    def trial_losses(self) -> None:
        """Compute the losses of two rows in evaluation mode; this changes nothing."""
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
        """Return the summed negative log-likelihood and the targets since the last call."""
        nll, targets = self._nll, self._targets
        self._nll, self._targets, self._weight = None, 0, 0.0
        return (0.0 if nll is None else float(nll)), targets
