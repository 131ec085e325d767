"""The report of one training step: its loss, gradient norm, learning rate and speed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

_SPEED = ("tokens", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """The figures of one optimizer step.

    Attributes:
        step: its number, from 1.
        epoch: passes over the training chunks so far.
        loss: cross-entropy over the step's targets, in nats; ``None`` without targets.
        learning_rate: the learning rate of the step.
        grad_norm: the norm of the gradient before clipping.
        targets: the number of targets.
        tokens: the tokens of its chunks over all ranks, without padding.
        seconds: its duration, without evaluation and saving between steps.
    """

    step: int
    epoch: float
    loss: float | None
    learning_rate: float
    grad_norm: float
    targets: int
    tokens: int
    seconds: float = field(compare=False)

    @property
    def tokens_per_second(self) -> float:
        """Tokens trained on per second."""
        return self.tokens / self.seconds

    def figures(self) -> dict[str, Any]:
        """Return the figures by name, without the speed, which varies from run to run."""
        return {key: value for key, value in asdict(self).items() if key not in _SPEED}
