"""The toy job, and the plain loop that is the reference for backends."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlmref.base.ranks.process import state
from mlmref.conformance.backends.toy import Toy, ToyModel, Trace, on_device, plain
from mlmref.plugin.contracts import Options
from mlmref.plugin.training import Stateful, Step, Steps, TrainingJob


class ToyJob:
    """A :class:`mlmref.plugin.TrainingJob` that records what is done with it.

    Args:
        toy: the settings of the job.
        scratch: the job's folder, which exists.
        saved: a result of :meth:`save`, to resume from.
        last: number of steps of the job; by default all of the toy's.
        on_step: called at the end of ``after_step``.
        model: the model to train; by default a new one.
    """

    def __init__(
        self,
        toy: Toy,
        scratch: Path,
        *,
        saved: Mapping[str, Any] | None = None,
        last: int | None = None,
        on_step: Callable[[ToyJob], None] = lambda job: None,
        model: ToyModel | None = None,
    ) -> None:
        self.toy, self.precision, self.max_grad_norm = toy, toy.precision, toy.max_grad_norm
        self.seed, self.scratch = 2**40 + 1, scratch
        self.last = len(toy.steps) if last is None else last
        self.on_step, self.done = on_step, 0
        self.asked: list[tuple[int, int]] = []
        self.model = (model or ToyModel(toy.dropout)).to(state().device)
        self.model.eval()  # like a model that was just loaded
        self.trace = self.model.trace = Trace()
        self.optimizer = _optimizer(self.model, toy)
        self.scheduler = _Schedule(self.optimizer, len(toy.steps), self.trace)
        self.optimizer.register_step_pre_hook(self._before_step)
        self.kept: dict[str, Stateful] = {}
        self._restored: dict[str, dict[str, Any]] = {}
        if saved is not None:
            saved = deepcopy(saved)
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.scheduler.load_state_dict(saved["scheduler"])
            self.done, self._restored = saved["done"], saved["kept"]
            self.trace.step = self.done + 1
        if toy.leftovers:
            for one in self.model.parameters():
                one.grad = torch.ones_like(one) if one.requires_grad else None

    def steps(self, rank: int = 0, world_size: int = 1) -> Steps:
        """Return the steps that are left."""
        self.asked.append((rank, world_size))
        return _Steps(self)

    def keep(self, name: str, stateful: Stateful) -> None:
        """Record that state was registered, and restore it if it was saved."""
        self.trace.note("keep", name=name)
        self.kept[name] = stateful
        if name in self._restored:
            stateful.load_state_dict(self._restored[name])

    def after_step(self, grad_norm: float) -> None:
        """Record the step, evaluate if the toy does, and call ``on_step``."""
        self.trace.note("told", grad_norm=plain(grad_norm), weights=self.model.weights())
        if self.toy.evaluates:
            self.evaluate()
        self.done += 1
        self.trace.step = self.done + 1
        self.model.idle = True
        self.on_step(self)

    def evaluate(self) -> None:
        """Run the model on a step of its own, and leave it in evaluation mode."""
        self.model.eval()
        for (micro_batch,) in Toy(steps=(((2, 1),),)).run(0, 1):
            here = on_device(micro_batch, self.model)
            self.model.evaluate(here["input_ids"], here["labels"])

    def save(self) -> dict[str, Any]:
        """Return a copy of the state, to resume from later."""
        saved: dict[str, Any] = deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "done": self.done,
                "kept": {name: one.state_dict() for name, one in self.kept.items()},
            }
        )
        return saved

    def _before_step(self, *_: Any) -> None:
        """Record the gradients and groups of the step; a missing gradient counts as zero."""
        names = self.model.named_parameters()
        gradients = {
            name: plain(torch.zeros_like(one) if one.grad is None else one.grad)
            for name, one in names
        }
        shown = [{k: v for k, v in one.items() if k != "params"} for one in _groups(self)]
        self.trace.note("update", gradients=gradients, groups=plain(shown))
        if self.model.idle:  # as in a run: a step without targets changes nothing (BACK-004)
            self.optimizer.zero_grad(set_to_none=True)


def _groups(job: ToyJob) -> list[dict[str, Any]]:
    return job.optimizer.param_groups


class _Steps:
    """The steps of a toy job that are left; records when one is taken."""

    def __init__(self, job: ToyJob) -> None:
        self._job, self._first = job, job.done

    def __len__(self) -> int:
        return self._job.last - self._first

    def __iter__(self) -> Iterator[Step]:
        for step in self._job.toy.run(self._first, self._job.last):
            self._job.trace.note("take")
            yield step


class _Schedule(torch.optim.lr_scheduler.LambdaLR):
    """A linear schedule from the full rate to zero; records its steps."""

    def __init__(self, optimizer: torch.optim.Optimizer, total: int, trace: Trace) -> None:
        super().__init__(optimizer, lambda step: max(0.0, 1 - step / max(1, total)))
        self._trace = trace

    def step(self, epoch: int | None = None) -> None:
        with warnings.catch_warnings():
            # torch warns if the schedule steps first; the trace shows that to a check (BACK-018).
            warnings.simplefilter("ignore")
            super().step(epoch)
        if hasattr(self, "_trace"):  # the constructor makes the first call
            self._trace.note("schedule", rates=self.get_last_lr())

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key != "_trace"}


def _optimizer(model: ToyModel, toy: Toy) -> torch.optim.Optimizer:
    """Return an optimizer with two groups, in another order than the model's parameters."""
    rate = toy.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": [model.output.bias, model.spare], "lr": rate / 2, "weight_decay": 0.0},
        {"params": [model.output.weight, model.embedding.weight], "weight_decay": 0.25},
    ]
    if toy.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.5)
    return torch.optim.AdamW(groups, lr=rate, betas=(0.5, 0.75))


class PlainLoop:
    """The simplest :class:`mlmref.plugin.TrainingBackend`, in fp32 or bf16."""

    def __init__(self, options: Options) -> None:
        del options  # it has none

    def train(self, job: TrainingJob) -> None:
        """Train ``job.model`` in place through every step of the job."""
        model, optimizer = job.model, job.optimizer
        device = next(model.parameters()).device.type
        model.zero_grad()
        for step in job.steps():
            model.train()
            for micro_batch in step:
                with torch.autocast(device, torch.bfloat16, enabled=job.precision == "bf16"):
                    loss = model(**on_device(micro_batch, model))["loss"]
                loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), job.max_grad_norm)
            optimizer.step()
            job.scheduler.step()
            model.zero_grad()
            job.after_step(float(norm))
