"""Report a run to TensorBoard, trackio, W&B or MLflow (spec/tracking.md).

The core logs, through Accelerate's trackers, so that nothing depends on the backend. What is
logged is what ``metrics.jsonl`` holds, and how quickly it went.
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
"""In :data:`LOGS`, which runs of other trackers this run is, and how far they have been told."""

_BOUNDS = ("value", "low", "high")


def check_trackers(config: Config) -> None:
    """Make sure that what is to be reported to is installed (TRACK-003); imports nothing.

    Raises:
        ConfigError: it is not; names the package.
    """
    for name in config.tracking.to if is_main() else ():
        found = find_spec(name)
        if found is None or found.origin is None:  # a mere folder, such as W&B leaves behind
            raise ConfigError(
                f"{name} is not installed",
                where="tracking.to",
                hint=f"pip install {name}, or omit it from --report-to",
            )


@dataclass(kw_only=True)
class _Open:
    """A tracker at work.

    Attributes:
        name: its name.
        tracker: Accelerate's.
        step: the last step that it has been told of, in this process or in one before.
        epochs: the epochs whose evaluation it has been told of, and at which step.
    """

    name: str
    tracker: Any
    step: int = 0
    epochs: dict[int, int] = field(default_factory=dict)


class Trackers:
    """A context in which a run reports; on ranks beside the main one it reports to nobody.

    Args:
        config: the run's settings.
        building: the run's folder, before its ``metrics.jsonl`` is cut back to the checkpoint.
        place: where that folder will be.
        resumed: the step that the run goes on from; ``None`` when it begins.
        warn: told in a line of a tracker that fails, which then is left alone (TRACK-004).

    Raises:
        OutputError: a tracker cannot begin, and neither has the run.
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
                        f"cannot begin to report ({_said(error)})",
                        where=name,
                        hint="fix it, or omit it from --report-to",
                    ) from error
                self._fail(name, error)

    def _begin(self, name: str, done: int, step: int, epochs: dict[int, int]) -> None:
        """Open a tracker, in the run that it had of this one before if there is one."""
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        before = self._runs.get(name, {})
        known, begins = before.get("run"), not before
        # What was told may be more than the metrics hold, of a run that was cut short twice.
        step = max(step, before.get("step", 0))
        epochs = {int(key): at for key, at in before.get("epochs", {}).items()} | epochs
        settings: dict[str, Any] = {}
        run_name = self._config.tracking.name or self._place.name
        if name == "tensorboard":
            begins = not any(self._folder.rglob("*tfevents*"))
            settings = {"logging_dir": str(self._folder.parent)}
            if not begins:  # it forgets what is about to happen again
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
        """Report a step: loss, learning rate, gradient norm, tokens a second."""
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
        """Report what was measured after an epoch (0 before training), at its last step."""
        values = {f"evaluation/{_named(bound)}": summary[bound] for bound in _BOUNDS}
        values |= {"evaluation/accuracy": summary["accuracy"], "evaluation/epoch": epoch}
        for one in [*self._open]:
            if epoch not in one.epochs:
                self._log(one, values, step)
                one.epochs[epoch] = step

    def finish(self, record: Mapping[str, Any]) -> None:
        """Report the final figures of a run's record, and end."""
        perplexity = record["perplexity"]
        values = {
            f"final/{_named(bound)}_{when}": perplexity[when][bound]
            for when in ("before", "after")
            for bound in _BOUNDS
        }
        ratios = ("ratio", "ratio_low", "ratio_high")
        values |= {f"final/{name}": perplexity["difference"][name] for name in ratios}
        values["final/seconds"] = record["timings"]["total_s"]
        values["final/peak_memory_mb"] = record["peak_memory_mb"]
        for one in [*self._open]:
            self._log(one, values, one.step)
        self.close()

    def close(self) -> None:
        """End what is open."""
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
        self._warn(f"{name}: {_said(error)}; the run goes on, and reports no more to it")


def _named(bound: str) -> str:
    return "perplexity" if bound == "value" else f"perplexity_{bound}"


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _hyperparameters(config: Config) -> dict[str, bool | int | float | str | None]:
    """Return the settings by dotted key, as trackers take them."""
    return {
        key: value
        if value is None or isinstance(value, bool | int | float | str)
        else json.dumps(value, ensure_ascii=False)
        for key, value in dotted(config.model_dump(mode="json"))
    }


def _happened(file: Path) -> tuple[int, dict[int, int]]:
    """Read what a run had come to when it was cut short.

    Returns:
        Its last step, and the epochs after which it was evaluated with the step of each.
    """
    step, epochs = 0, dict[int, int]()
    with suppress(OSError, ValueError, LookupError):  # nothing behind a damaged line is known
        for event in events(file.read_text("utf-8", "replace")):
            if event["event"] == "step":
                step = event["step"]
            elif event["event"] == "evaluation":
                epochs[event["epoch"]] = step
    return step, epochs
