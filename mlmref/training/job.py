"""The training job that a backend trains (spec/backends.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlmref.base.errors import MlmrefError
from mlmref.base.ranks.process import state, sum_over_ranks
from mlmref.data.chunks import Chunks
from mlmref.masking.masker import Masker
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.training import Precision, Stateful, Steps
from mlmref.settings.config import Config
from mlmref.training.optimizer import choose_precision, make_optimizer, schedule
from mlmref.training.process import EVERY, give_back
from mlmref.training.signals import Stopping
from mlmref.training.step_report import StepReport
from mlmref.training.steps import StepPlan, TrainingSteps, loader


@dataclass(kw_only=True)
class Job:
    """A :class:`mlmref.plugin.training.TrainingJob`.

    Args:
        objective: the model with its loss, on the device that it trains on.
        chunks: the training chunks.
        masker: masks the chunks.
        config: the settings of the run.
        scratch: a folder for files that libraries must write.
        on_step: called on each rank after each step.
        on_epoch: called on each rank after the last step of each epoch, with its number from 1.
        on_save: called on each rank when a checkpoint is due: at the configured interval, at the
            end of each epoch before ``on_epoch``, and before a signal ends training.
        stopping: receives the signals that end training after a step.
    """

    objective: MaskedLMObjective
    chunks: Chunks
    masker: Masker
    config: Config
    scratch: Path
    on_step: Callable[[StepReport], None]
    on_epoch: Callable[[int], None]
    on_save: Callable[[], None] = lambda: None
    stopping: Stopping = field(default_factory=Stopping)
    done: int = 0
    """Optimizer steps taken so far."""
    between: bool = field(default=True, init=False)
    """Whether weights and optimizer are as after the last reported step; a checkpoint needs it."""
    restored: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The backend's own state in the checkpoint, by name (BACK-030)."""
    kept: dict[str, Stateful] = field(default_factory=dict, init=False)
    """The state that the backend registered, by name."""
    optimizer: torch.optim.Optimizer = field(init=False)
    scheduler: torch.optim.lr_scheduler.LambdaLR = field(init=False)
    precision: Precision = field(init=False)
    max_grad_norm: float = field(init=False)

    def __post_init__(self) -> None:
        training = self.config.training
        self.precision = choose_precision(training.precision, state().device)
        self.max_grad_norm = training.max_grad_norm or math.inf
        self.plan = StepPlan(
            examples=len(self.chunks),
            batch_size=training.batch_size,
            accumulation=training.accumulation,
            world_size=state().num_processes,
        )
        self.total = training.epochs * self.plan.steps_per_epoch
        if training.max_steps is not None:
            self.total = min(self.total, training.max_steps)
        self.optimizer = make_optimizer(self.objective, training, self.precision)
        self.optimizer.register_step_pre_hook(self._before_step)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, schedule(training, self.total)
        )
        self._rate = float(self.optimizer.param_groups[0]["lr"])
        self._steps, self._since = self._steps_of(rank=0), time.perf_counter()

    @property
    def model(self) -> MaskedLMObjective:
        """The model with its loss, as a backend sees it."""
        return self.objective

    @property
    def seed(self) -> int:
        """The seed of training."""
        return self.config.training_seed

    def steps(self, rank: int = 0, world_size: int = 1) -> Steps:
        """Return the remaining steps of one rank.

        Raises:
            MlmrefError: the backend runs on another number of processes.
        """
        if world_size != self.plan.world_size:
            raise MlmrefError(
                f"the backend runs on {world_size} processes, but the job is planned for "
                f"{self.plan.world_size}"
            )
        # Kept to count tokens: it caches the order of the epoch.
        self._steps, self._since = self._steps_of(rank), time.perf_counter()
        return loader(self._steps, self.done, self.total, self.config.training.workers)

    def _steps_of(self, rank: int) -> TrainingSteps:
        masker = self.masker
        if self.config.training.seed is not None:  # evaluation's masks stay the run's (CONF-010)
            masker = replace(masker, seed=self.seed)
        return TrainingSteps(self.chunks, masker, self.plan, seed=self.seed, rank=rank)

    def keep(self, name: str, stateful: Stateful) -> None:
        """Register state of the backend, and restore it if the job is resumed.

        Raises:
            MlmrefError: the name is already registered.
        """
        if name in self.kept:
            raise MlmrefError(
                f"the backend registers two states named {name!r}",
                where="training",
                hint="choose another name for one of them",
            )
        self.kept[name] = stateful
        if name in self.restored:
            stateful.load_state_dict(self.restored[name])

    def after_step(self, grad_norm: float) -> None:
        """Report a finished step; save a checkpoint and end the epoch if either is due.

        Raises:
            MlmrefError: the loss is NaN or infinite, or the backend did not register a state that
                the checkpoint contains.
        """
        sums = (*self.objective.take_sums(), float(bool(self.stopping.asked)))
        # Ranks wait for each other in a step, so a signal to one rank stops all of them.
        nll, targets, stop = sum_over_ranks(np.array(sums, dtype=np.float64))
        if missing := sorted(self.restored.keys() - self.kept.keys()):
            raise MlmrefError(
                f"the backend did not register its state {missing[0]!r}, which was saved"
            )
        now = time.perf_counter()
        self.done += 1
        loss = float(nll / targets) if targets else None
        if loss is not None and not math.isfinite(loss):
            raise MlmrefError(
                f"the loss is {loss} at step {self.done} of {self.total}",
                where="training",
                hint="lower --learning-rate, or set training.max_grad_norm",
            )
        self.on_step(
            StepReport(
                step=self.done,
                epoch=self.done / self.plan.steps_per_epoch,
                loss=loss,
                learning_rate=self._rate,
                grad_norm=grad_norm,
                targets=int(targets),
                tokens=self._steps.tokens(self.done - 1),
                seconds=now - self._since,
            )
        )
        self.between = True
        if self.done % EVERY == 0:
            give_back()
        every = self.config.checkpoints.every
        if stop or self.at_epochs_end or (every and self.done % every == 0):
            self.on_save()
        if stop:
            self.stopping.obey()
        self.end_epoch()
        self._since = time.perf_counter()

    @property
    def at_epochs_end(self) -> bool:
        """Whether the last step taken was the last of an epoch or of training."""
        return self.done > 0 and (
            self.done % self.plan.steps_per_epoch == 0 or self.done == self.total
        )

    def end_epoch(self) -> None:
        """Call ``on_epoch`` if an epoch has ended; a job resumed there begins with this."""
        if self.at_epochs_end:
            with self.stopping.at_once():  # the checkpoint is saved
                self.on_epoch(-(-self.done // self.plan.steps_per_epoch))

    def weights(self) -> dict[str, torch.Tensor]:
        """Return parameters and buffers by name; tied weights appear once."""
        model = self.objective.model
        return {**dict(model.named_parameters()), **dict(model.named_buffers())}

    def state(self) -> dict[str, Any]:
        """Return the state of training without the weights (CKPT-001)."""
        return {
            "done": self.done,
            "rate": self._rate,
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "kept": {name: one.state_dict() for name, one in self.kept.items()},
        }

    def restore(self, saved: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
        """Restore what :meth:`state` and :meth:`weights` returned.

        Raises:
            MlmrefError: they are of another model.
        """
        mine = self.weights()
        if {name: one.shape for name, one in mine.items()} != {
            name: one.shape for name, one in weights.items()
        }:
            raise MlmrefError("the checkpoint is of another model", where="training")
        with torch.no_grad():
            for name, one in mine.items():
                one.copy_(weights[name])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scheduler.load_state_dict(saved["scheduler"])
        self.done, self.restored = saved["done"], saved["kept"]
        self._rate = saved["rate"]  # reported for a step that fp16 skips

    def _before_step(self, *_: object) -> None:
        """Save the learning rate, and leave the weights unchanged without targets (E04).

        The gradient of a step without targets is zero, but AdamW would still decay the weights
        and apply its momentum. It skips parameters without a gradient.
        """
        self.between = False
        self._rate = float(self.optimizer.param_groups[0]["lr"])
        if self.objective.idle:
            self.optimizer.zero_grad(set_to_none=True)
