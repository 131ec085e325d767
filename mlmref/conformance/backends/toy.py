"""A small training job, its model, and the trace of what a backend did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlmref.base.generators import seed_generators
from mlmref.plugin.training import MicroBatch, Precision, Step

_TOKENS = 5
_KNOWN = _TOKENS
"""A token that the model predicts perfectly: its loss and gradient are exactly zero."""

Rows = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """The settings of a toy job; equal toys give equal jobs.

    Attributes:
        steps: the number of targets of each row of each micro-batch of each step; -1 is one target
            whose loss is exactly zero.
        optimizer: SGD with momentum, or AdamW; both with weight decay on one of two groups.
        learning_rate: of the second group; the first has half of it.
        max_grad_norm: as of the job.
        dropout: the probability of dropout; each micro-batch has a seed for it.
        precision: as of the job.
        scale: a factor of the loss.
        evaluates: whether ``after_step`` evaluates, and leaves the model in evaluation mode.
        leftovers: whether the parameters already have gradients when training begins.
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
        """Return the steps, and the fields that do not have their defaults."""
        shown = {one.name: getattr(self, one.name) for one in fields(self)}
        usual = {one.name: one.default for one in fields(self) if one.name != "steps"}
        return {name: value for name, value in shown.items() if value != usual.get(name)}

    def run(self, done: int, last: int) -> Iterator[Step]:
        """Yield the steps from number ``done`` to ``last`` (exclusive), from 0."""
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
    """Return rows from number ``first`` on; their tokens do not depend on the cut."""
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
        "seed": (first + 1) * 0x9E3779B97F4A7C15 % 2**63,  # as large as in a run
    }


@dataclass(frozen=True, slots=True)
class Event:
    """An event in the training of a job.

    Attributes:
        kind: ``keep`` (state), ``take`` (a step), ``call`` (the model), ``update`` (before the
            optimizer steps), ``schedule``, ``told`` (``after_step``), ``evaluation``, ``end``.
        step: the step, from 1.
        facts: values at that time, as plain numbers and lists.
    """

    kind: str
    step: int
    facts: Mapping[str, Any]


@dataclass(slots=True)
class Trace:
    """The events of a job, in order.

    Attributes:
        events: the events so far.
        step: the current step, from 1.
        on_event: called with each event; the backend gets its exceptions.
    """

    events: list[Event] = field(default_factory=list)
    step: int = 1
    on_event: Callable[[Event], None] = lambda event: None

    def note(self, kind: str, **facts: Any) -> None:
        """Record an event."""
        event = Event(kind, self.step, facts)
        self.events.append(event)
        self.on_event(event)

    def __deepcopy__(self, memo: Any) -> Trace:
        return self  # events of a copied model are recorded too


class ToyModel(nn.Module):
    """A model with a hidden size of two, a frozen parameter and an unused parameter.

    It has two dropout layers on tensors of one shape. Their masks are equal if a backend seeds
    torch before each of them (BACK-033).
    """

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
        self.dropouts = nn.ModuleList(nn.Dropout(dropout) for _ in range(2))
        self._modes = tuple(self.modules())  # listing them takes longer than a forward pass
        self.trace = Trace()
        self.idle = True

    def forward(
        self, input_ids: Tensor, labels: Tensor, weight: float, seed: int
    ) -> dict[str, Tensor]:
        """Return ``{"loss": scalar}``: the summed cross-entropy times ``weight``."""
        if self.training:  # as the model of a run does (BACK-005)
            seed_generators(seed)
        nll, masks = self._nll(input_ids, labels)
        loss = weight * nll
        self.idle = self.idle and weight == 0.0
        inputs = {"input_ids": input_ids, "labels": labels, "weight": weight, "seed": seed}
        self._note("call", loss, inputs=plain(inputs), dropout=plain(masks))
        return {"loss": loss}

    @torch.no_grad()
    def evaluate(self, input_ids: Tensor, labels: Tensor) -> None:
        """Compute the loss without ``forward``, as evaluation does."""
        self._note("evaluation", self._nll(input_ids, labels)[0])

    def _nll(self, input_ids: Tensor, labels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the summed cross-entropy, and the mask of each dropout layer."""
        hidden = torch.tanh(self.embedding(input_ids))
        ones = torch.ones_like(hidden)
        masks = [layer(ones) for layer in self.dropouts] if self.dropout else []
        for mask in masks:
            hidden = hidden * mask
        logits = self.output(hidden) + self.known[input_ids]
        nll = F.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
        )
        return nll, masks

    def _note(self, kind: str, loss: Tensor, **facts: Any) -> None:
        device = loss.device.type
        computed = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else "fp32"
        training = self.training and all(module.training for module in self._modes)
        facts |= {"training": training, "precision": str(computed), "loss": loss.item()}
        self.trace.note(kind, **facts)

    def weights(self) -> dict[str, Any]:
        """Return the types and values of the parameters as lists."""
        found: dict[str, Any] = plain(self.state_dict())
        return found


def plain(value: Any) -> Any:
    """Return tensors and NumPy numbers as their type and a list; keep Python's numbers."""
    if hasattr(value, "tolist") and not isinstance(value, float):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def on_device(micro_batch: MicroBatch, model: nn.Module) -> MicroBatch:
    """Return a micro-batch with its tensors on the model's device."""
    device = next(model.parameters()).device
    return {
        key: value.to(device) if isinstance(value, Tensor) else value
        for key, value in micro_batch.items()
    }
