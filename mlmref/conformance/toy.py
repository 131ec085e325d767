"""A training job small enough to follow by hand, and the plain loop that backends are held to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmref.contracts import MicroBatch, Precision, Step, Steps, TrainingJob
from mlmref.distributed import state

_TOKENS = 5
_KNOWN = _TOKENS
"""A token that the model knows the answer to: its loss and its gradient are exactly zero."""

Rows = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """What a toy job is made from; equal toys make equal jobs.

    Attributes:
        steps: the targets of each row of each micro-batch of each step; -1 stands for one target
            whose loss is exactly zero.
        optimizer: SGD with momentum, or AdamW; both with weight decay on one of two groups.
        learning_rate: of the second group; the first has half of it.
        max_grad_norm: as the job's.
        dropout: its probability; drawn from the seed that each micro-batch brings.
        precision: as the job's.
        scale: what the loss is multiplied with.
        evaluates: whether ``after_step`` evaluates, and leaves the model in evaluation mode.
        leftovers: whether the parameters have gradients already when training begins.
    """

    steps: tuple[tuple[Rows, ...], ...] = (((1,),),)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = 0.5
    max_grad_norm: float = math.inf
    dropout: float = 0.0
    precision: Precision = "fp32"
    scale: float = 1.0
    evaluates: bool = False
    leftovers: bool = False

    def example(self) -> dict[str, Any]:
        """Return the steps, and what is not as the defaults have it."""
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        usual = {one.name: one.default for one in fields(self) if one.name != "steps"}
        return {name: value for name, value in shown.items() if value != usual.get(name)}

    def run(self, done: int, last: int) -> Iterator[Step]:
        """Make the steps from number ``done`` to ``last`` (exclusive), counted from 0."""
        first = sum(len(rows) for step in self.steps[:done] for rows in step)
        for parts in self.steps[done:last]:
            targets = sum(abs(count) for rows in parts for count in rows)
            weight = self.scale / targets if targets else 0.0
            step = []
            for rows in parts:
                step.append(_micro_batch(first, rows, weight))
                first += len(rows)
            yield step


def _micro_batch(first: int, rows: Rows, weight: float) -> MicroBatch:
    """Make the rows numbered ``first`` and on: the same tokens however the rows are cut."""
    columns = range(1 + max(abs(count) for count in rows))
    input_ids, labels = [], []
    for row, count in enumerate(rows, start=first):
        input_ids.append([(row * row + 2 * column) % _TOKENS for column in columns])
        labels.append([(row + column) % _TOKENS if column < count else -100 for column in columns])
        if count < 0:
            input_ids[-1][0], labels[-1][0] = _KNOWN, 0
    return {
        "input_ids": torch.tensor(input_ids),
        "labels": torch.tensor(labels),
        "weight": weight,
        "seed": (first + 1) * 0x9E3779B97F4A7C15 % 2**63,  # of the size that the core's have
    }


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a backend did.

    Attributes:
        kind: ``take`` a step, ``call`` the model, ``update`` (the optimiser is about to step),
            ``schedule``, ``told`` (``after_step``), ``evaluation`` in it, ``end``.
        step: in which step, counted from 1.
        facts: what was seen then, as plain numbers and lists.
    """

    kind: str
    step: int
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Trace:
    """What a backend did, in order."""

    events: list[Event] = field(default_factory=list)
    step: int = 1

    def note(self, kind: str, **facts: Any) -> None:
        """Write down an event."""
        self.events.append(Event(kind, self.step, facts))

    def __deepcopy__(self, memo: Any) -> Trace:
        return self  # what a copied model does is written down as well


class ToyModel(nn.Module):
    """Tokens to logits by way of two numbers; with a frozen and an unused parameter."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_TOKENS + 1, 2)
        self.output = nn.Linear(2, _TOKENS)
        self.known = nn.Parameter(torch.zeros(_TOKENS + 1, _TOKENS), requires_grad=False)
        self.spare = nn.Parameter(torch.ones(2))
        self.known[_KNOWN, 0] = 1e4
        for one in (self.embedding.weight, self.output.weight, self.output.bias):
            one.data = torch.linspace(-1, 1, one.numel()).reshape(one.shape)
        self.dropout = dropout
        self.trace = Trace()
        self.idle = True

    def forward(
        self, input_ids: Tensor, labels: Tensor, weight: float, seed: int
    ) -> dict[str, Tensor]:
        """Return ``{"loss": scalar}``: the summed cross-entropy times ``weight``."""
        if self.training:
            torch.manual_seed(seed)
        hidden = F.dropout(torch.tanh(self.embedding(input_ids)), self.dropout, self.training)
        logits = self.output(hidden) + self.known[input_ids]
        loss = weight * F.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
        )
        self.idle = self.idle and weight == 0.0
        inputs = {"input_ids": input_ids, "labels": labels, "weight": weight, "seed": seed}
        device = input_ids.device.type
        self.trace.note(
            "call" if torch.is_grad_enabled() else "evaluation",
            inputs=plain(inputs),
            training=self.training,
            loss=loss.item(),
            precision=torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else 0,
        )
        return {"loss": loss}


class ToyJob:
    """A :class:`mlmref.contracts.TrainingJob` that writes down what is done with it.

    Args:
        toy: what it is made from.
        saved: what :meth:`save` gave, to go on from there.
        last: how many steps the job has, if not all of the toy's.
        on_step: called at the end of ``after_step``.
        model: the model to train, if not a new one.
        scratch: the job's folder.
    """

    def __init__(
        self,
        toy: Toy,
        *,
        saved: Mapping[str, Any] | None = None,
        last: int | None = None,
        on_step: Callable[[ToyJob], None] = lambda job: None,
        model: ToyModel | None = None,
        scratch: Path | None = None,
    ) -> None:
        self.toy, self.precision, self.max_grad_norm = toy, toy.precision, toy.max_grad_norm
        self.seed, self.scratch = 2**40 + 1, scratch or Path("scratch")
        self.last = len(toy.steps) if last is None else last
        self.on_step, self.done = on_step, 0
        self.asked: list[tuple[int, int]] = []
        self.model = (model or ToyModel(toy.dropout)).to(state().device)
        self.trace = self.model.trace = Trace()
        self.optimizer = _optimizer(self.model, toy)
        self.scheduler = _Schedule(self.optimizer, len(toy.steps), self.trace)
        self.optimizer.register_step_pre_hook(self._before_step)
        if saved is not None:
            saved = deepcopy(saved)
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.scheduler.load_state_dict(saved["scheduler"])
            self.done = saved["done"]
            self.trace.step = self.done + 1
        if toy.leftovers:
            for one in self.model.parameters():
                one.grad = torch.ones_like(one) if one.requires_grad else None

    def steps(self, rank: int = 0, world_size: int = 1) -> Steps:
        """Return the steps that are still to run."""
        self.asked.append((rank, world_size))
        return _Steps(self)

    def after_step(self, grad_norm: float) -> None:
        """Write the step down, evaluate if the toy does, and call ``on_step``."""
        self.trace.note("told", grad_norm=grad_norm, weights=self.weights())
        if self.toy.evaluates:
            self.evaluate()
        self.done += 1
        self.trace.step = self.done + 1
        self.model.idle = True
        self.on_step(self)

    def evaluate(self) -> None:
        """Run the model on a step of its own, and leave it in evaluation mode."""
        self.model.eval()
        with torch.no_grad():
            for (micro_batch,) in Toy(steps=(((2, 1),),)).run(0, 1):
                self.model(**on_device(micro_batch, self.model))

    def weights(self) -> dict[str, Any]:
        """Return the model's parameters as lists."""
        return {name: value.tolist() for name, value in self.model.state_dict().items()}

    def save(self) -> dict[str, Any]:
        """Return a copy of all that is needed to go on later."""
        saved: dict[str, Any] = deepcopy(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "done": self.done,
            }
        )
        return saved

    def _before_step(self, *_: Any) -> None:
        names = self.model.named_parameters()
        gradients = {name: None if one.grad is None else one.grad.tolist() for name, one in names}
        groups = [{k: v for k, v in one.items() if k != "params"} for one in _groups(self)]
        self.trace.note("update", gradients=gradients, groups=groups)
        if self.model.idle:  # as the core does: without targets, nothing moves (BACK-004)
            self.optimizer.zero_grad(set_to_none=True)


def _groups(job: ToyJob) -> list[dict[str, Any]]:
    return job.optimizer.param_groups


class _Steps:
    """The steps of a toy job from where it is; writes down when one is taken."""

    def __init__(self, job: ToyJob) -> None:
        self._job, self._first = job, job.done

    def __len__(self) -> int:
        return self._job.last - self._first

    def __iter__(self) -> Iterator[Step]:
        for step in self._job.toy.run(self._first, self._job.last):
            self._job.trace.note("take")
            yield step


class _Schedule(torch.optim.lr_scheduler.LambdaLR):
    """From the full rate to zero in equal parts; writes down its steps."""

    def __init__(self, optimizer: torch.optim.Optimizer, total: int, trace: Trace) -> None:
        super().__init__(optimizer, lambda step: max(0.0, 1 - step / max(1, total)))
        self._trace = trace

    def step(self, epoch: int | None = None) -> None:
        super().step(epoch)
        if hasattr(self, "_trace"):  # the first call is the constructor's
            self._trace.note("schedule", rates=self.get_last_lr())

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key != "_trace"}


def _optimizer(model: ToyModel, toy: Toy) -> torch.optim.Optimizer:
    """Make two groups, in another order than the model's."""
    rate = toy.learning_rate
    groups: list[dict[str, Any]] = [
        {"params": [model.output.bias, model.spare], "lr": rate / 2, "weight_decay": 0.0},
        {"params": [model.output.weight, model.embedding.weight], "weight_decay": 0.25},
    ]
    if toy.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.5)
    return torch.optim.AdamW(groups, lr=rate, betas=(0.5, 0.75))


def plain(value: Any) -> Any:
    """Write tensors as their type and a list; numbers stay as they are."""
    if isinstance(value, Tensor):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def on_device(micro_batch: MicroBatch, model: nn.Module) -> MicroBatch:
    """Put a micro-batch's tensors where the model is."""
    device = next(model.parameters()).device
    return {
        key: value.to(device) if isinstance(value, Tensor) else value
        for key, value in micro_batch.items()
    }


def train_plainly(job: TrainingJob) -> None:
    """Train a job in fp32 or bf16, as :class:`mlmref.contracts.TrainingBackend` says."""
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
