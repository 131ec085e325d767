"""The run: corpus, tokens, chunks, split, masks, model, backend, evaluation, record."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.clock import Clock
from mlmref.config import Config
from mlmref.disk import replace
from mlmref.distributed import check_launcher, is_main
from mlmref.errors import MlmrefError
from mlmref.generators import generators_left
from mlmref.identity import begin, ingredients, surroundings
from mlmref.prepare import Ready, check_first, choose_plugins, load, prepare
from mlmref.progress import Reporter, of_a_library
from mlmref.record import Story, plugin_used
from mlmref.resolve import resolve, shared, to_toml
from mlmref.results import Result, finish, finished, publish_all, publish_epoch
from mlmref.resume import look_for, settings_file
from mlmref.saves import Saved, Saves
from mlmref.signals import Stopping
from mlmref.together import LostError, RankError, agree, by_main, connected, together, watched
from mlmref.trackers import Trackers, check_trackers
from mlmref.workspace import RunFolder

if TYPE_CHECKING:
    from mlmref.contracts import BackendEntry, TrainingBackend
    from mlmref.evaluation import Measured
    from mlmref.fill import Filled
    from mlmref.job import StepReport
    from mlmref.model import LoadedModel
    from mlmref.registry import Chosen, Registry
    from mlmref.report.keep import Keeper


@watched()
def run(
    config: Config | None = None,
    *,
    resume: str | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> Result:
    """Adapt a masked language model to a corpus, and measure what that gained.

    Args:
        config: what to do; left out, what ``mlmref run`` does without flags.
        resume: the folder of an unfinished run to go on with, or ``auto`` to go on with one of
            these settings if there is one.
        reporter: whom to tell of progress; left out, a bar in a notebook, and nobody elsewhere.
        registry: the plugins to use; left out, those installed.

    Raises:
        MlmrefError: whatever a user can mend; nothing is left behind then but checkpoints.
    """
    from mlmref.report.keep import Keeper

    clock, reporter = Clock(), of_a_library(reporter)
    config = config or shared(lambda: resolve(file=settings_file(resume)))
    with together(), clock("start"), reporter.stage("start"):  # importing torch takes seconds
        check_trackers(config)
        config, plugins = choose_plugins(config, registry)
        check_first(config, reporter)
        backend = plugins.backend.make()
    agree(surroundings(config))
    found = look_for(resume, config, reporter.warn)
    if found.done:
        return finished(found, config, reporter)
    label = f"{plugins.strategy.entry.name}-{plugins.backend.entry.name}"
    begun = found.begun or begin(config)
    flags = ["--trust-remote-code"] * config.model.trust_remote_code
    with RunFolder(found.place, label, None if found.begun else begun.marker, flags) as folder:
        saves = Saves(folder.building, begun, config.checkpoints, reporter)
        saved = saves.newest() if found.begun else None
        if is_main() and not found.begun:  # a kill while loading leaves what to go on with
            replace(folder.building / "config.toml", to_toml(config).encode())
        with together():
            loaded = load(config, clock, reporter)
            answers = [] if saved else ask(config, loaded, clock, reporter)
            ready = prepare(config, loaded, plugins, clock, reporter)
        agree(ingredients(ready, plugins))
        saves.made_of(ingredients(ready, plugins), saved)
        if is_main():
            replace(folder.building / "config.toml", to_toml(config).encode())
        with together():
            trackers = track(config, folder, saved, reporter)
        with trackers:
            story = tell(folder.building, clock, saved)
            with clock("report"):
                keeper = Keeper(
                    ready, plugins, folder.building, reporter, goes_on=saved is not None
                )
            if not saved:
                story.fills(answers)
                story.measured(0, measure(ready, clock, reporter, keeper))
                trackers.measured(0, 0, story.last)
            reporter.note(story.so_far())
            train(
                ready,
                plugins.backend,
                backend,
                saved,
                saves,
                story,
                trackers,
                keeper,
                clock,
                reporter,
            )
            story.fills(ask(config, loaded, clock, reporter))
            with clock("write"), reporter.stage("write"):
                written = by_main(
                    lambda: finish(ready, plugins, folder, story, saves, trackers, reporter)
                )
    if config.output.push:
        by_main(lambda: publish_all(config, folder.place, reporter))
    return Result(folder=folder.place, record=written)


@watched()
def evaluate(
    config: Config,
    *,
    metric: str = "perplexity",
    sample: int | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Measure a model on the held-out chunks of a corpus, without training.

    Args:
        config: what to measure, and on what.
        metric: ``perplexity``, or ``pseudo-perplexity`` on a sample of the chunks.
        sample: how many of them.
        reporter: as in :func:`run`.
        registry: the plugins to use; left out, those installed.

    Returns:
        ``model``, ``corpus``, ``words``, ``masking``, ``chunks``, ``metric`` and, as in the
        record, ``perplexity``.
    """
    from mlmref.pseudo import check_metric, pseudo_perplexity

    clock, chosen, reporter = Clock(), check_metric(metric), of_a_library(reporter)
    with together():
        check_launcher(reporter.note)
        config, plugins = choose_plugins(config, registry)
        loaded = load(config, clock, reporter)
        ready = prepare(config, loaded, plugins, clock, reporter)
    agree(surroundings(config) | ingredients(ready, plugins))
    if chosen == "perplexity":
        summary = measure(ready, clock, reporter).summary
    else:
        summary = pseudo_perplexity(
            ready.objective,
            ready.split.test,
            chosen,
            config.evaluation,
            config.seed,
            sample=sample,
            reporter=reporter,
        )
    return {
        "model": str(ready.loaded),
        "corpus": ready.corpus.source,
        "words": plugin_used(plugins.segmenter),
        "masking": plugin_used(plugins.strategy),
        "chunks": len(ready.split.test),
        "metric": chosen,
        "perplexity": summary,
    }


def measure(
    ready: Ready,
    clock: Clock,
    reporter: Reporter,
    keeper: Keeper | None = None,
    epoch: int = 0,
) -> Measured:
    """Measure the model on the held-out chunks, under as many draws of masks as configured.

    Args:
        ready: model, chunks and masks.
        clock: times it.
        reporter: told of it.
        keeper: keeps what the first draw gave, for the report.
        epoch: after which epoch; 0 before training.
    """
    from mlmref.evaluation import evaluate, measured

    config = ready.config.evaluation
    with clock("evaluate"):
        evaluations = [
            evaluate(
                ready.objective,
                ready.split.test,
                ready.masker,
                batch_size=config.batch_size,
                draw=draw,
                targets=None if draw or keeper is None else keeper.targets,
                reporter=reporter,
            )
            for draw in range(config.draws)
        ]
        found = measured(evaluations, config, ready.config.seed, reporter)
        if keeper:
            keeper.measured(epoch, found)
        return found


def ask(config: Config, loaded: LoadedModel, clock: Clock, reporter: Reporter) -> list[Filled]:
    """Let the model fill the masks of the prompts."""
    from mlmref.fill import PLACEHOLDER, fill

    with clock("fill"), reporter.stage("fill"):
        own = loaded.tokenizer.mask_token
        prompts = [text.replace(PLACEHOLDER, own) for text in config.fill.prompts]
        return fill(loaded.model, loaded.tokenizer, prompts, top_k=config.fill.top_k)


def train(
    ready: Ready,
    chosen: Chosen[BackendEntry],
    backend: TrainingBackend,
    saved: Saved | None,
    saves: Saves,
    story: Story,
    trackers: Trackers,
    keeper: Keeper,
    clock: Clock,
    reporter: Reporter,
) -> None:
    """Train the model from where it is, and measure it after each epoch."""
    from mlmref.job import Job
    from mlmref.repeatable import repeatable

    output = ready.config.output

    def on_step(report: StepReport) -> None:
        story.step(report.figures())
        trackers.step(report)
        stage.advance(
            1,
            loss=report.loss,
            learning_rate=report.learning_rate,
            tokens_per_second=report.tokens_per_second,
            perplexity=story.last["value"],
        )

    def on_save() -> None:
        with clock("save"), reporter.stage("save"):
            saves.save(job, story, clock)

    def on_epoch(epoch: int) -> None:
        story.measured(epoch, measure(ready, clock, reporter, keeper, epoch))
        trackers.measured(epoch, job.done, story.last)
        stage.advance(0, perplexity=story.last["value"])
        reporter.note(story.so_far())
        if output.push and output.push_every_epoch:
            by_main(lambda: publish_epoch(ready, epoch, reporter))

    with (
        clock("train"),
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
        with reporter.stage("train", job.total, "steps", job.done) as stage:
            try:
                job.end_epoch()
                if job.done < job.total:
                    # Called back, the core raises what is the user's, and not the backend's.
                    through = (MlmrefError, OSError, MemoryError, SystemExit)
                    with chosen.blamed("train", *through), connected():
                        backend.train(job)
            except BaseException as error:
                try:
                    saves.save_if_whole(job, story, clock)
                finally:
                    # A launcher sends SIGTERM because of that other rank, whose end is the news.
                    if stopping.asked and not isinstance(error, RankError | LostError):
                        stopping.obey()
                raise


def track(config: Config, folder: RunFolder, saved: Saved | None, reporter: Reporter) -> Trackers:
    """Open the trackers of a run, or take them up again."""
    done = int(saved.job["done"]) if saved else None
    return Trackers(config, folder.building, folder.place, done, reporter.warn)


def tell(folder: Path, clock: Clock, saved: Saved | None) -> Story:
    """Begin the story of a run, or take it up again."""
    if saved is None:
        return Story(folder, clock)
    clock.go_on(saved.timings)
    return Story(folder, clock, saved.metrics, saved.resumed)
