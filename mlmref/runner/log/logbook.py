"""The logbook: sends each event of a run to its metrics, trackers and report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlmref.base.progress.clock import Clock
from mlmref.base.ranks.consensus import together
from mlmref.runner.folder.checkpoints import Saved
from mlmref.runner.folder.folder import RunFolder
from mlmref.runner.log.metrics import Story
from mlmref.runner.log.trackers import Trackers

if TYPE_CHECKING:
    from mlmref.evaluation.fill_mask import Filled
    from mlmref.evaluation.kept_targets import Targets
    from mlmref.evaluation.metrics import Measured
    from mlmref.runner.log.kept_targets import Keeper
    from mlmref.runner.prepare import Ready
    from mlmref.training.step_report import StepReport


class Logbook:
    """Sends each event of a run to its metrics, trackers and report.

    Args:
        story: writes ``metrics.jsonl``, which checkpoints contain, and ``record.json``.
        trackers: TensorBoard and other trackers.
        keeper: writes the data of the report.
        clock: times the writing of this data.
    """

    def __init__(self, story: Story, trackers: Trackers, keeper: Keeper, clock: Clock) -> None:
        self.story = story
        self._trackers, self._keeper, self._clock = trackers, keeper, clock

    @property
    def targets(self) -> Targets:
        """The held-out targets whose losses are kept."""
        return self._keeper.targets

    @property
    def last(self) -> Mapping[str, Any]:
        """The last evaluation."""
        return self.story.last

    def fills(self, answers: Sequence[Filled]) -> None:
        """Add the answers to the prompts."""
        self.story.fills(answers)

    def measured(self, epoch: int, step: int, found: Measured) -> None:
        """Add an evaluation: before training (epoch 0) or after an epoch."""
        with self._clock("report"):
            self._keeper.measured(epoch, found)
        self.story.measured(epoch, found)
        self._trackers.measured(epoch, step, self.last)

    def step(self, report: StepReport) -> None:
        """Add an optimizer step."""
        self.story.step(report.figures())
        self._trackers.step(report)

    def write(self, ready: Ready, folder: RunFolder) -> dict[str, Any]:
        """Write the record and the model card; return the record."""
        record = self.story.write(ready, folder.building)
        self._trackers.finish(record)
        return record


@contextmanager
def logbook(ready: Ready, folder: RunFolder, saved: Saved | None) -> Iterator[Logbook]:
    """Start the logbook of a run, or resume it from a checkpoint.

    Raises:
        MlmrefError: a tracker cannot start.
    """
    from mlmref.runner.log.kept_targets import Keeper

    clock, reporter = ready.context.clock, ready.context.reporter
    done = int(saved.job["done"]) if saved else None
    with together():
        trackers = Trackers(ready.config, folder.building, folder.place, done, reporter.warn)
    with trackers:
        if saved:
            clock.go_on(saved.timings)
            story = Story(folder.building, clock, saved.metrics, saved.resumed)
        else:
            story = Story(folder.building, clock)
        with clock("report"):
            keeper = Keeper(ready, folder.building, goes_on=saved is not None)
        yield Logbook(story, trackers, keeper, clock)
