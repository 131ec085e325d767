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
"""The micro-batches of one optimiser step on one rank, in order; never empty."""


class Steps(Protocol):
    """The steps still to run on one rank. Making the iterator again starts from the first."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Step]: ...


class Stateful(Protocol):
    """Something whose state can be saved, as an optimiser's can."""

    def state_dict(self) -> Mapping[str, Any]:
        """Return the state: tensors, numbers, strings, ``None``, lists and dicts of these."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Take over a state that :meth:`state_dict` returned; what this returns is ignored."""
        ...


class TrainingJob(Protocol):
    """All that a backend needs, and everything that could make two backends differ.

    The model returns a loss that is already divided by the targets of the whole step (over
    micro-batches and ranks), so a backend adds up gradients and divides by nothing.
    """

    @property
    def model(self) -> torch.nn.Module:
        """``model(**micro_batch)`` returns ``{"loss": scalar}``; its backward adds gradients."""
        ...

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimiser, with its parameter groups."""
        ...

    @property
    def scheduler(self) -> torch.optim.lr_scheduler.LRScheduler:
        """The learning-rate schedule; stepped once after each optimiser step."""
        ...

    @property
    def precision(self) -> Precision:
        """The type of the forward pass, fp32, or mixed precision with fp16 or bf16."""
        ...

    @property
    def max_grad_norm(self) -> float:
        """The gradient's norm is clipped to this before each step; ``inf`` clips nothing."""
        ...

    @property
    def seed(self) -> int:
        """For a library that insists on seeding; the core seeds what it draws itself."""
        ...

    @property
    def scratch(self) -> Path:
        """A folder for whatever a library insists on writing; removed after the run."""
        ...

    def steps(self, rank: int = 0, world_size: int = 1) -> Steps:
        """Return the steps of one rank."""
        ...

    def keep(self, name: str, stateful: Stateful) -> None:
        """Hand in state that the backend has from step to step, before it takes a step.

        A checkpoint saves it, and a job that is resumed restores it at once (BACK-030).

        Args:
            name: what it is saved under; each name is handed in once.
            stateful: holds the state, through the whole of training.
        """
        ...

    def after_step(self, grad_norm: float) -> None:
        """Tell the core that a step is done: after the optimiser and the schedule.

        Args:
            grad_norm: the gradient's norm before clipping.
        """
        ...


class TrainingBackend(Protocol):
    """Trains a job: ``for step in job.steps(): backward, clip, step``, on its own machinery."""

    def train(self, job: TrainingJob) -> None:
        """Train ``job.model`` in place through every step of the job."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendEntry:
    """A training backend as its plugin registers it; fields as in :class:`StrategyEntry`."""

    name: str
    summary: str
    build: Callable[[Any], TrainingBackend]
    options: type[Options] = Options
