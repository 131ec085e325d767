"""A run as a page shows it: evaluations, steps, settings and kept targets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.results.verdict import verdict

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """An evaluation on the held-out chunks.

    Attributes:
        epoch: the epoch before it; 0 before training.
        value, low, high: the perplexity and its interval; NaN if it has none.
        nll: the cross-entropy in nats per target.
        targets: the number of targets.
        accuracy: share of the targets whose token was the first choice.
    """

    epoch: int
    value: float
    low: float
    high: float
    nll: float
    targets: int
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An optimizer step: its number, its loss in nats per target, and its learning rate."""

    step: int
    loss: float
    learning_rate: float


@dataclass(slots=True, kw_only=True)
class SavedRun:
    """A run as its folder records it.

    Attributes:
        folder: the run folder.
        name: the name of the run on the page.
        finished: whether the run is finished.
        evaluations: in order; the first is from before training.
        ratio: perplexity after / before training, with its paired interval.
        worse: a warning if an earlier model was better.
        steps: the optimizer steps.
        fills: the answers to the prompts before and after, as in the record.
        corpus, model, plugins, versions, timings: as in the record; empty if unknown.
        config: the settings.
        toml: the text of ``config.toml``.
        peak: peak memory in MB; NaN if unknown.
        resumed: the steps at which the run was resumed.
        kept: the contents of ``report.json``.
        held_out: the rows of ``held_out.parquet``.
        lacking: why one of these two files is missing.
    """

    folder: Path
    name: str
    finished: bool
    evaluations: list[Measured] = field(default_factory=list)
    ratio: tuple[float, float, float] | None = None
    worse: str | None = None
    steps: list[Step] = field(default_factory=list)
    fills: list[list[dict[str, Any]]] = field(default_factory=list)
    corpus: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    plugins: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    toml: str = ""
    peak: float = math.nan
    resumed: list[int] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    held_out: pa.Table | None = None
    lacking: str = ""

    @property
    def before(self) -> Measured | None:
        """The evaluation before training."""
        return self.evaluations[0] if self.evaluations else None

    @property
    def after(self) -> Measured | None:
        """The last evaluation after an epoch."""
        return self.evaluations[-1] if len(self.evaluations) > 1 else None

    @property
    def verdict(self) -> str:
        """One sentence on how training changed the perplexity."""
        if self.ratio is not None and self.after is not None:
            return verdict(*self.ratio)
        when = "after training" if self.before else "yet"
        return f"Perplexity was not measured {when}."
