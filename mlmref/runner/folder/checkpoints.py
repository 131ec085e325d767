"""The checkpoints of a run: save during training, and load to resume (spec/checkpoints.md).

Only the main process reads and writes. It sends what it read to the other ranks, so they need no
shared folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base import layout
from mlmref.base.ranks.consensus import together
from mlmref.base.ranks.process import is_main
from mlmref.runner.folder import checkpoint
from mlmref.runner.folder.checkpoint import Checkpoint
from mlmref.runner.identity import Begun
from mlmref.settings.config import CheckpointConfig

if TYPE_CHECKING:
    from torch import Tensor

    from mlmref.base.progress import Reporter
    from mlmref.base.progress.clock import Clock
    from mlmref.training.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The contents of a checkpoint, on every rank.

    Attributes:
        job: the state of the training job.
        weights: parameters and buffers by name.
        ingredients: the data, model and plugins of the run.
        timings: seconds by stage so far.
        resumed: the steps at which the run was resumed, including this time.
        metrics: ``metrics.jsonl`` so far.
    """

    job: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    ingredients: Mapping[str, Any]
    timings: Mapping[str, float]
    resumed: list[int]
    metrics: str


class Saves:
    """The checkpoints of a run.

    Args:
        building: the unfinished run folder; only the main process uses it.
        begun: the run.
        config: the interval, and the number to keep.
        reporter: receives a warning for each skipped checkpoint.
    """

    def __init__(
        self, building: Path, begun: Begun, config: CheckpointConfig, reporter: Reporter
    ) -> None:
        self._folder = building / layout.CHECKPOINTS
        self._begun, self._config, self._reporter = begun, config, reporter
        self._at = -1  # the step of the last checkpoint
        self._ingredients: Mapping[str, Any] = {}
        self._resumed: list[int] = []

    def newest(self) -> Saved | None:
        """Return the newest complete checkpoint; ``None`` if there is none."""
        from mlmref.training.state import share_state

        read = None
        with together():
            if is_main() and (found := self._find()):
                read = {**found.load(), "metrics": found.metrics}
        state = share_state(read)
        if state is None:
            self._reporter.warn("no complete checkpoint: the run starts at its first step")
            return None
        self._at = state["job"]["done"]
        self._resumed = [*state["resumed"], self._at]
        self._reporter.note(f"resumes after step {self._at:,}")
        return Saved(
            job=state["job"],
            weights=state["model"],
            ingredients=state["ingredients"],
            timings=state["timings"],
            resumed=self._resumed,
            metrics=state["metrics"],
        )

    def made_of(self, ingredients: Mapping[str, Any], saved: Saved | None) -> None:
        """Set the ingredients of the run, and refuse to resume with other ones (RES-002)."""
        self._ingredients = ingredients
        if saved is not None:
            begun = Begun(run=self._begun.run, settings=saved.ingredients)
            begun.refuse_other(ingredients, self._folder.parent)

    def save(self, job: Job, metrics: Callable[[], str], clock: Clock) -> None:
        """Write a checkpoint; every rank waits until it is written.

        Args:
            job: the training job at the end of a step.
            metrics: returns the contents of ``metrics.jsonl``; the main process calls it.
            clock: times the stages.
        """
        with together():
            self._write(job, metrics, clock)

    def _write(self, job: Job, metrics: Callable[[], str], clock: Clock) -> None:
        if is_main():
            checkpoint.save(
                self._folder,
                run=self._begun.run,
                step=job.done,
                model=job.weights(),
                state={
                    "job": job.state(),
                    "ingredients": self._ingredients,
                    "timings": clock.timings(),
                    "resumed": self._resumed,
                },
                metrics=metrics(),
                last=self._config.last,
            )
        self._at = job.done

    def save_if_whole(self, job: Job, metrics: Callable[[], str], clock: Clock) -> None:
        """Write a checkpoint after a failure, if the state of the last step is unchanged."""
        model = job.model.model
        buffers = (
            model.state_dict().keys() - dict(model.named_parameters(remove_duplicate=False)).keys()
        )
        # Running averages and ranges change with every micro-batch, before the step.
        moved = any(model.get_buffer(name).is_floating_point() for name in buffers)
        if job.between and job.done > max(self._at, 0) and not moved:
            with suppress(Exception):  # report the failure that led here instead
                self._write(job, metrics, clock)  # without waiting: other ranks may have ended

    def clear(self, place: Path) -> None:
        """Remove the checkpoints of the finished run, unless the settings keep them."""
        if not self._config.keep:
            checkpoint.clear(place / layout.CHECKPOINTS, self._begun.run)

    def _find(self) -> Checkpoint | None:
        return checkpoint.newest(self._folder, self._begun.run, self._reporter.warn)
