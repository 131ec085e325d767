"""Read a run folder: finished, stopped, or written by an older mlmref (REP-014).

A folder may come from anyone, so this module converts every value that a page computes with to a
number or a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import OutputError
from mlmref.base.layout import HELD_OUT, KEPT, METRICS, RECORD, SETTINGS, unfinished
from mlmref.results.kept_targets import VersionError, read_about, read_targets
from mlmref.results.record import damaged, documents, events, number, numbers, read_record
from mlmref.results.report.saved_run import Measured, SavedRun, Step
from mlmref.results.verdict import warning
from mlmref.settings.tree import read_toml

if TYPE_CHECKING:
    from mlmref.evaluation.intervals import Documents

_PARTS = ("corpus", "model", "plugins", "versions")
_BAD = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def read(folder: Path) -> SavedRun:
    """Return the run of a folder, or of the unfinished folder of this name.

    Raises:
        OutputError: the folder has no run, or one of its files cannot be read.
    """
    if not folder.exists() and unfinished(folder).is_dir():
        folder = unfinished(folder)
    if not folder.is_dir():
        raise OutputError("no such folder", where=str(folder), hint="give a run folder")
    name = folder.absolute().name
    run = SavedRun(folder=folder, name=name, finished=(folder / RECORD).is_file())
    if not run.finished and not (folder / METRICS).is_file():
        raise OutputError(
            f"no run in this folder: neither {RECORD} nor {METRICS}",
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
    """Set the attributes of a run from its record."""
    perplexity = record["perplexity"]
    run.evaluations = [
        _measured(one) for one in ({"epoch": 0, **perplexity["before"]}, *perplexity["epochs"])
    ]
    gained = perplexity.get("difference")  # the oldest records have none
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
    """Set the attributes of an unfinished run from its metrics."""
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
    """Compare the last evaluation with the earlier ones, as a record does."""
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
    """Read the files that a run writes for its report; note why one is missing."""
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
            f"{name} is not in the folder: nothing was measured, or an older mlmref measured it"
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
