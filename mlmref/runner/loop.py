"""Train, and evaluate the model after each epoch."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlmref.base.errors import MlmrefError, memory_for
from mlmref.base.generators import generators_left
from mlmref.base.ranks.consensus import LostError, RankError, by_main, connected
from mlmref.runner.finish import publish_epoch
from mlmref.runner.folder.checkpoints import Saved, Saves
from mlmref.runner.log.logbook import Logbook
from mlmref.runner.prepare import Ready
from mlmref.training.signals import Stopping

if TYPE_CHECKING:
    from mlmref.evaluation.kept_targets import Targets
    from mlmref.evaluation.metrics import Measured
    from mlmref.plugin.training import TrainingBackend
    from mlmref.settings.config import TrainingConfig
    from mlmref.training.step_report import StepReport


def measure(ready: Ready, targets: Targets | None = None) -> Measured:
    """Measure the model on the held-out chunks, under the configured number of masking draws.

    Args:
        ready: model, chunks and masks.
        targets: the targets whose losses under the first draw are kept.
    """
    from mlmref.evaluation.metrics import measured
    from mlmref.evaluation.perplexity import evaluate

    config, reporter = ready.config.evaluation, ready.context.reporter
    with ready.context.clock("evaluate"):
        evaluations = [
            evaluate(
                ready.objective,
                ready.split.test,
                ready.masker,
                batch_size=config.batch_size,
                draw=draw,
                targets=None if draw else targets,
                reporter=reporter,
            )
            for draw in range(config.draws)
        ]
        return measured(evaluations, config, ready.config.seed, reporter)


def train(
    ready: Ready, backend: TrainingBackend, saved: Saved | None, saves: Saves, log: Logbook
) -> None:
    """Train the model, from a checkpoint if there is one, and measure it after each epoch."""
    from mlmref.training.job import Job
    from mlmref.training.process import repeatable

    context, output = ready.context, ready.config.output
    clock, reporter = context.clock, context.reporter

    def on_step(report: StepReport) -> None:
        log.step(report)
        stage.advance(
            1,
            **({} if report.loss is None else {"loss": report.loss}),
            learning_rate=report.learning_rate,
            tokens_per_second=report.tokens_per_second,
            perplexity=log.last["value"],
        )

    def on_save() -> None:
        with context.stage("save"):
            saves.save(job, log.story.lines, clock)

    def on_epoch(epoch: int) -> None:
        log.measured(epoch, job.done, measure(ready, log.targets))
        stage.advance(0, perplexity=log.last["value"])
        reporter.note(log.story.so_far())
        if output.push and output.push_every_epoch:
            by_main(lambda: publish_epoch(ready, epoch))

    with (
        clock("train"),
        memory_for(_less_memory(ready.config.training), where="training"),
        tempfile.TemporaryDirectory() as scratch,
        Stopping() as stopping,
        generators_left(),
        repeatable(ready.objective.device, ready.objective.trial, reporter.note),
    ):
        job = Job(
            objective=ready.objective,
            chunks=ready.split.train,
            masker=ready.masker,
            config=ready.config,
            scratch=Path(scratch),
            on_step=on_step,
            on_epoch=on_epoch,
            on_save=on_save,
            stopping=stopping,
        )
        if saved:
            job.restore(saved.job, saved.weights)
        asked = ready.config.training.max_steps
        if asked is not None and job.total < asked:
            epochs = math.ceil(asked / job.plan.steps_per_epoch)
            reporter.warn(
                f"training ends after {job.total:,} steps, at the end of the last epoch and before "
                f"max_steps = {asked:,}; to reach max_steps, use --epochs {epochs}"
            )
        warmup = ready.config.training.warmup_steps
        if warmup >= job.total:
            reporter.warn(
                f"training ends after {job.total:,} steps, within the {warmup:,} steps of warm-up: "
                f"the learning rate reaches {job.total / warmup:.0%} of its peak; use fewer "
                "--warmup-steps"
            )
        with reporter.stage("train", job.total, "steps", job.done) as stage:
            try:
                job.end_epoch()
                if job.done < job.total:
                    # Errors from callbacks are the user's or mlmref's, not the backend's.
                    through = (MlmrefError, OSError, MemoryError, SystemExit)
                    with context.plugins.backend.blamed("train", *through), connected():
                        backend.train(job)
            except BaseException as error:
                try:
                    saves.save_if_whole(job, log.story.lines, clock)
                finally:
                    # The launcher sent SIGTERM because another rank failed: report its error.
                    if stopping.asked and not isinstance(error, RankError | LostError):
                        stopping.obey()
                raise


def _less_memory(training: TrainingConfig) -> str:
    """Return the flags that lower the memory of a step without changing the step."""
    size = training.batch_size
    if size == 1:
        return "use a smaller --chunk-size, or a smaller model"
    fewer = max(one for one in range(1, size // 2 + 1) if size % one == 0)
    steps = training.accumulation * size // fewer
    return f"use --batch-size {fewer} --accumulation {steps}"
