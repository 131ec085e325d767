"""Report a run to TensorBoard, trackio, W&B or MLflow (spec/tracking.md).

mlmref logs through Accelerate's trackers, with any backend: the figures of ``metrics.jsonl``, and
the speed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mlmref.base.disk import replace
from mlmref.base.errors import ConfigError, OutputError
from mlmref.base.layout import METRICS
from mlmref.base.ranks.process import is_main
from mlmref.results.record import events
from mlmref.settings.config import Config
from mlmref.settings.tree import dotted

if TYPE_CHECKING:
    from mlmref.training.step_report import StepReport

LOGS = "logs"
"""The folder in the run folder that TensorBoard reads."""

_RUNS = "trackers.json"
"""In :data:`LOGS`: the run of each other tracker, and the last step logged to it."""

_PERPLEXITY = {"value": "perplexity", "low": "perplexity_low", "high": "perplexity_high"}


def check_trackers(config: Config) -> None:
    """Check that the requested trackers are installed, without importing them (TRACK-003).

    Raises:
        ConfigError: one is not; names the package.
    """
    for name in config.tracking.to if is_main() else ():
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder that is no package, as W&B creates
            raise ConfigError(
                f"{name} is not installed",
                where="tracking.to",
                hint=f"pip install {name}, or omit it from --report-to",
            )


@dataclass(kw_only=True)
class _Open:
    """An open tracker.

    Attributes:
        name: its name.
        tracker: Accelerate's tracker.
        step: the last step logged, in this process or an earlier one.
        epochs: the epochs whose evaluation was logged, with the step of each.
    """

    name: str
    tracker: Any
    step: int = 0
    epochs: dict[int, int] = field(default_factory=dict)


class Trackers:
    """A context in which the main process logs a run to its trackers.

    Args:
        config: the run's settings.
        building: the run's folder, before its ``metrics.jsonl`` is cut back to the checkpoint.
        place: the path of the finished run folder.
        resumed: the step that the run resumes after; ``None`` for a new run.
        warn: called with one line when a tracker fails; nothing more is logged to it (TRACK-004).

    Raises:
        OutputError: a tracker cannot start at the start of a run.
    """

    def __init__(
        self,
        config: Config,
        building: Path,
        place: Path,
        resumed: int | None,
        warn: Callable[[str], None],
    ) -> None:
        self._config, self._folder, self._place = config, building / LOGS, place
        self._warn, self._open = warn, list[_Open]()
        if not (is_main() and config.tracking.to):
            return
        self._runs: dict[str, dict[str, Any]] = {}
        with suppress(OSError, ValueError):
            self._runs = json.loads((self._folder / _RUNS).read_bytes())
        step, epochs = _happened(building / METRICS)
        for name in config.tracking.to:
            try:
                self._begin(name, resumed or 0, step, epochs)
            except Exception as error:
                if resumed is None:
                    self.close()
                    raise OutputError(
                        f"the tracker cannot start ({_said(error)})",
                        where=name,
                        hint="fix it, or omit it from --report-to",
                    ) from error
                self._fail(name, error)

    def _begin(self, name: str, done: int, step: int, epochs: dict[int, int]) -> None:
        """Open a tracker; if the run is resumed, with the tracker's earlier run."""
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        before = self._runs.get(name, {})
        known, begins = before.get("run"), not before
        # After two interruptions, a tracker may have later steps than the metrics.
        step = max(step, before.get("step", 0))
        epochs = {int(key): at for key, at in before.get("epochs", {}).items()} | epochs
        settings: dict[str, Any] = {}
        run_name = self._config.tracking.name or self._place.name
        if name == "tensorboard":
            begins = not any(self._folder.rglob("*tfevents*"))
            settings = {"logging_dir": str(self._folder.parent)}
            if not begins:  # drop the steps that will be repeated
                settings["purge_step"] = done + 1 if done else 0
                step, epochs = done, {epoch: at for epoch, at in epochs.items() if at <= done}
        elif name == "mlflow":
            settings = {"run_name": run_name, "run_id": known}
        elif name == "wandb":
            known = known or uuid.uuid4().hex
            settings = {"name": run_name, "id": known, "resume": "allow"}
        else:
            settings = {"name": known or run_name, "resume": "never" if begins else "allow"}
            known = known or run_name
        project = LOGS if name == "tensorboard" else self._config.tracking.project
        tracker = LOGGER_TYPE_TO_CLASS[name](project, **settings)
        tracker.start()
        one = _Open(name=name, tracker=tracker)
        if begins:
            tracker.store_init_configuration(_hyperparameters(self._config))
        else:
            one.step, one.epochs = step, epochs
        if name == "mlflow":
            known = tracker.tracker.info.run_id
        if name != "tensorboard":
            self._folder.mkdir(exist_ok=True)
            self._runs[name] = {"run": known, "step": one.step, "epochs": one.epochs}
            replace(self._folder / _RUNS, (json.dumps(self._runs, indent=1) + "\n").encode())
        self._open.append(one)

    def step(self, report: StepReport) -> None:
        """Log a step: loss, learning rate, gradient norm, tokens per second."""
        values = {
            **({} if report.loss is None else {"train/loss": report.loss}),
            "train/learning_rate": report.learning_rate,
            "train/grad_norm": report.grad_norm,
            "train/tokens_per_second": report.tokens_per_second,
            "train/epoch": report.epoch,
        }
        for one in [*self._open]:
            if report.step > one.step:
                self._log(one, values, report.step)
                one.step = report.step

    def measured(self, epoch: int, step: int, summary: Mapping[str, Any]) -> None:
        """Log the evaluation after an epoch (0: before training), at the last step."""
        values = {f"evaluation/{name}": summary[key] for key, name in _PERPLEXITY.items()}
        values |= {"evaluation/accuracy": summary["accuracy"], "evaluation/epoch": epoch}
        for one in [*self._open]:
            if epoch not in one.epochs:
                self._log(one, values, step)
                one.epochs[epoch] = step

    def finish(self, record: Mapping[str, Any]) -> None:
        """Log the final figures of a run's record, and close the trackers."""
        perplexity = record["perplexity"]
        values = {
            f"final/{name}_{when}": perplexity[when][key]
            for when in ("before", "after")
            for key, name in _PERPLEXITY.items()
        }
        ratios = ("ratio", "ratio_low", "ratio_high")
        values |= {f"final/{name}": perplexity["difference"][name] for name in ratios}
        values["final/seconds"] = record["timings"]["total_s"]
        values["final/peak_memory_mb"] = record["peak_memory_mb"]
        for one in [*self._open]:
            self._log(one, values, one.step)
        self.close()

    def close(self) -> None:
        """Close the open trackers."""
        while self._open:
            one = self._open.pop()
            try:
                one.tracker.finish()
            except Exception as error:  # noqa: BLE001 - of any library
                self._fail(one.name, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _log(self, one: _Open, values: Mapping[str, float], step: int) -> None:
        try:
            one.tracker.log(dict(values), step=step)
        except Exception as error:  # noqa: BLE001 - of any library, and of the network
            self._open.remove(one)
            self._fail(one.name, error)

    def _fail(self, name: str, error: Exception) -> None:
        self._warn(f"{name}: {_said(error)}; the run continues without this tracker")


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _hyperparameters(config: Config) -> dict[str, bool | int | float | str | None]:
    """Return the settings by dotted key, with values that trackers accept."""
    return {
        key: value
        if value is None or isinstance(value, bool | int | float | str)
        else json.dumps(value, ensure_ascii=False)
        for key, value in dotted(config.model_dump(mode="json"))
    }


def _happened(file: Path) -> tuple[int, dict[int, int]]:
    """Return the last step of an interrupted run, and the step of each evaluated epoch."""
    step, epochs = 0, dict[int, int]()
    with suppress(OSError, ValueError, LookupError):  # events after a damaged line are unknown
        for event in events(file.read_text("utf-8", "replace")):
            if event["event"] == "step":
                step = event["step"]
            elif event["event"] == "evaluation":
                epochs[event["epoch"]] = step
    return step, epochs
