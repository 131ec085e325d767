"""The types of training: the job, the backend that trains it, and the backend's entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mlmref.plugin.contracts import Options

if TYPE_CHECKING:
    from pathlib import Path

    import torch


Precision = Literal["fp32", "fp16", "bf16"]

MicroBatch = Mapping[str, Any]
"""Keyword arguments of one call of ``TrainingJob.model``: tensors, or plain numbers."""

Step = Sequence[MicroBatch]
"""The micro-batches of one optimizer step on one rank, in order; never empty."""


class Steps(Protocol):
    """The remaining steps of one rank. A new iterator starts again from the first of them."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Step]: ...


class Stateful(Protocol):
    """An object with a state that can be saved, like an optimizer."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state: tensors, numbers, strings, ``None``, lists and dicts of these."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Restore a state that :meth:`state_dict` returned; the return value is ignored."""
        ...


class TrainingJob(Protocol):
    """The job of a backend, with everything that could make two backends differ.

    The loss of the model is already divided by the number of targets of the whole step, over all
    micro-batches and ranks. A backend therefore adds gradients and divides by nothing.
    """

    @property
    def model(self) -> torch.nn.Module:
        """The model, whose call with a micro-batch returns ``{"loss": scalar}``."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer, with its parameter groups."""
        ...

    @property
    def scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        """The learning-rate schedule; step it once after each step of the optimizer."""
        ...

    @property
    def precision(self) -> Precision:
        """The precision of the forward pass, which is fp32, or mixed with fp16 or bf16."""
        ...

    @property
    def max_grad_norm(self) -> float:
        """The maximum norm of the gradient, clipped before each step; ``inf`` disables clipping."""
        ...

    @property
    def seed(self) -> int:
        """A seed for libraries that require one; mlmref seeds its own draws."""
        ...

    @property
    def scratch(self) -> Path:
        """A folder for files that a library must write; removed after the run."""
        ...

    def steps(self, rank: int = 0, world_size: int = 1) -> Steps:
        """Return the steps of one rank."""
        ...

    def keep(self, name: str, stateful: Stateful) -> None:
        """Register state that the backend keeps between steps; call it before the first step.

        Checkpoints save the state. In a resumed job, this call restores it (BACK-030).

        Args:
            name: the name of the state in a checkpoint, unique within the job.
            stateful: the object that has the state until training ends.
        """
        ...

    def after_step(self, grad_norm: float) -> None:
        """Report a finished step, after the steps of optimizer and schedule.

        Args:
            grad_norm: the norm of the gradient before clipping.
        """
        ...


class TrainingBackend(Protocol):
    """Trains a job in its own loop: ``for step in job.steps(): backward, clip, step``."""

    def train(self, job: TrainingJob) -> None:
        """Train ``job.model`` in place through every step of the job."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendEntry:
    """A training backend as its plugin registers it.

    The fields are those of :class:`~mlmref.plugin.contracts.StrategyEntry`.
    """

    name: str
    summary: str
    build: Callable[[Any], TrainingBackend]
    options: type[Options] = Options
