"""Read a run folder: finished, stopped, or written by an older mlmref (REP-014).

What stands in a folder may come from anybody, so every value that a page computes with is made
a number or a text here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import OutputError
from mlmref.base.layout import HELD_OUT, KEPT, METRICS, RECORD, SETTINGS, unfinished
from mlmref.results.kept_targets import VersionError, read_about, read_targets
from mlmref.results.record import damaged, documents, events, number, numbers, read_record
from mlmref.results.verdict import verdict, warning
from mlmref.settings.tree import read_toml

if TYPE_CHECKING:
    import pyarrow as pa

    from mlmref.evaluation.intervals import Documents

_PARTS = ("corpus", "model", "plugins", "versions")
_BAD = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What an evaluation gave.

    Attributes:
        epoch: after which epoch; 0 before training.
        value, low, high: the perplexity and its interval; NaN where there is none.
        nll: the cross-entropy in nats a target.
        targets: how many there were.
        accuracy: share of them whose token was the first choice.
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
    """An optimiser step: its number, its loss in nats a target, and its learning rate."""

    step: int
    loss: float
    learning_rate: float


@dataclass(slots=True, kw_only=True)
class SavedRun:
    """What is known of a run.

    Attributes:
        folder: where it is.
        name: what it is called on the page.
        finished: whether it came to its end.
        evaluations: in their order; the first is from before training.
        ratio: the perplexity as a share of what it was before, with its paired interval.
        worse: a warning that an earlier model was better, if one was.
        steps: the optimiser steps.
        fills: the answers to the prompts before and after, as in the record.
        corpus, model, plugins, versions, timings: as in the record; empty where unknown.
        config: the settings.
        toml: what ``config.toml`` holds.
        peak: memory in MB; NaN where unknown.
        resumed: the steps at which it was taken up again.
        kept: what ``report.json`` holds.
        held_out: the rows of ``held_out.parquet``.
        lacking: why one of those two is not there.
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
        """What was measured before training."""
        return self.evaluations[0] if self.evaluations else None

    @property
    def after(self) -> Measured | None:
        """What was measured last, after an epoch."""
        return self.evaluations[-1] if len(self.evaluations) > 1 else None

    @property
    def verdict(self) -> str:
        """What training did to the perplexity, in a sentence."""
        if self.ratio is not None and self.after is not None:
            return verdict(*self.ratio)
        when = "after training" if self.before else "yet"
        return f"Perplexity was not measured {when}."


def read(folder: Path) -> SavedRun:
    """Read a run folder, under its own name or that of the unfinished one.

    Raises:
        OutputError: there is no run, or a file of it cannot be read.
    """
    if not folder.exists() and unfinished(folder).is_dir():
        folder = unfinished(folder)
    if not folder.is_dir():
        raise OutputError("no such folder", where=str(folder), hint="give a run folder")
    name = folder.absolute().name
    run = SavedRun(folder=folder, name=name, finished=(folder / RECORD).is_file())
    if not run.finished and not (folder / METRICS).is_file():
        raise OutputError(
            f"no run is there: neither {RECORD} nor {METRICS}",
            where=str(folder),
            hint="give a run folder, finished or not",
        )
    file = folder / SETTINGS
    try:
        with suppress(FileNotFoundError):
            run.toml = file.read_text("utf-8")
            run.config = read_toml(file)
        _read_kept(run)
        file = folder / (RECORD if run.finished else METRICS)
        if run.finished:
            from_record(run, read_record(folder))
        else:
            _read_metrics(run, file)
    except _BAD as error:
        raise damaged(file, error) from error
    return run


def from_record(run: SavedRun, record: Mapping[str, Any]) -> None:
    """Fill in what a record holds."""
    perplexity = record["perplexity"]
    run.evaluations = [
        _measured(one) for one in ({"epoch": 0, **perplexity["before"]}, *perplexity["epochs"])
    ]
    gained = perplexity.get("difference")  # the first records had none
    if gained:
        run.ratio = (
            number(gained["ratio"]),
            number(gained["ratio_low"]),
            number(gained["ratio_high"]),
        )
    run.worse = warning(perplexity.get("better"))
    run.steps = [_step(one) for one in record["loss"]]
    run.fills = [_answers(record["fill_mask"][when]) for when in ("before", "after")]
    for part in _PARTS:
        setattr(run, part, {**getattr(run, part), **dict(record[part])})
    run.config = dict(record["config"])
    run.timings = {str(key): number(one) for key, one in record["timings"].items()}
    run.peak = number(record["peak_memory_mb"])
    run.resumed = [int(one) for one in record.get("resumed", ())]


def _read_metrics(run: SavedRun, file: Path) -> None:
    """Read what had happened when a run was stopped, or until now."""
    sums: list[Documents] = []
    for event in events(file.read_text("utf-8")):
        match event.pop("event"):
            case "evaluation":
                run.evaluations.append(_measured(event))
            case "held_out":
                sums.append(documents(numbers(event)))
            case "step":
                run.steps.append(_step(event))
            case "fill_mask":
                run.fills.append(_answers(event["answers"]))
    if len(sums) > 1:
        _compare(run, sums)


def _compare(run: SavedRun, sums: list[Documents]) -> None:
    """Fill in what a record would have of the last evaluation against the earlier ones."""
    from mlmref.evaluation.intervals import better, difference
    from mlmref.settings.config import EvaluationConfig

    how = EvaluationConfig(**run.config.get("evaluation", {})), int(run.config.get("seed", 0))
    gained = difference(sums[0], sums[-1], *how).summary()
    run.ratio = gained["ratio"], gained["ratio_low"], gained["ratio_high"]
    earlier = better(sums, *how)
    if earlier:
        then = run.evaluations[earlier[0]]
        run.worse = warning(
            {"epoch": then.epoch, "value": then.value, "difference": earlier[1].summary()}
        )


def _read_kept(run: SavedRun) -> None:
    """Read what was kept for the report, if it was."""
    name = KEPT
    try:
        about = read_about(run.folder)
        parts = {part: dict(about.get(part, {})) for part in _PARTS}
        run.kept = about
        for part, found in parts.items():
            setattr(run, part, found)
        name = HELD_OUT
        run.held_out = read_targets(run.folder)
    except VersionError as error:
        run.lacking = str(error)
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        run.lacking = (
            f"there is no {name} in the folder: nothing was measured, or by an older mlmref"
        )
    except (OSError, *_BAD) as error:
        run.lacking = f"{name} in the folder is damaged ({error})"


def _measured(one: Mapping[str, Any]) -> Measured:
    return Measured(
        epoch=int(one["epoch"]),
        targets=int(one["targets"]),
        **{key: number(one[key]) for key in ("value", "low", "high", "nll", "accuracy")},
    )


def _step(one: Mapping[str, Any]) -> Step:
    return Step(
        step=int(one["step"]),
        loss=number(one["loss"]),
        learning_rate=number(one["learning_rate"]),
    )


def _answers(entries: Any) -> list[dict[str, Any]]:
    return [
        {
            "prompt": str(one["prompt"]),
            "mask": int(one["mask"]),
            "token": str(one["token"]),
            "score": number(one["score"]),
        }
        for one in entries
    ]
