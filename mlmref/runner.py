"""The run: corpus, tokens, chunks, split, masks, model, backend, evaluation, record."""

from __future__ import annotations

import json
import shlex
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.clock import Clock
from mlmref.config import CheckpointConfig, Config
from mlmref.disk import as_os_errors, replace
from mlmref.distributed import check_launcher, is_main
from mlmref.errors import MlmrefError, OutputError
from mlmref.generators import generators_left
from mlmref.prepare import Plugins, Ready, check_first, choose_plugins, load, prepare
from mlmref.progress import SILENT, Reporter
from mlmref.quiet import quiet
from mlmref.record import Story, plugin_used
from mlmref.resolve import resolve, shared, to_toml
from mlmref.resume import Found, begin, ingredients, look_for, settings_file, surroundings
from mlmref.saves import Saved, Saves
from mlmref.signals import Stopping
from mlmref.together import agree, by_main, connected, together, watched
from mlmref.workspace import RunFolder, held

if TYPE_CHECKING:
    from mlmref.contracts import BackendEntry, TrainingBackend
    from mlmref.fill import Filled
    from mlmref.job import StepReport
    from mlmref.model import LoadedModel
    from mlmref.registry import Chosen, Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run came to.

    Attributes:
        folder: the run folder; Transformers alone loads the adapted model from it.
        record: what its ``record.json`` holds.
    """

    folder: Path
    record: dict[str, Any]


@watched()
def run(
    config: Config | None = None,
    *,
    resume: str | None = None,
    reporter: Reporter = SILENT,
    registry: Registry | None = None,
) -> Result:
    """Adapt a masked language model to a corpus, and measure what that gained.

    Args:
        config: what to do; left out, what ``mlmref run`` does without flags.
        resume: the folder of an unfinished run to go on with, or ``auto`` to go on with one of
            these settings if there is one.
        reporter: whom to tell of progress.
        registry: the plugins to use; left out, those installed.

    Raises:
        MlmrefError: whatever a user can mend; nothing is left behind then but checkpoints.
    """
    clock = Clock()
    config = config or shared(lambda: resolve(file=settings_file(resume)))
    with together(), clock("start"), reporter.stage("start"):  # importing torch takes seconds
        config, plugins = choose_plugins(config, registry)
        check_first(config, reporter)
        backend = plugins.backend.make()
    agree(surroundings(config))
    found = look_for(resume, config, reporter.note)
    if found.done:
        return finished(found, reporter)
    label = f"{plugins.strategy.entry.name}-{plugins.backend.entry.name}"
    begun = found.begun or begin(config)
    with RunFolder(found.place, label, None if found.begun else begun.marker) as folder:
        saves = Saves(folder.building, begun, config.checkpoints, reporter)
        saved = saves.newest() if found.begun else None
        if is_main() and not found.begun:  # a kill while loading leaves what to go on with
            replace(folder.building / "config.toml", to_toml(config).encode())
        with together():
            loaded = load(config, clock, reporter)
            answers = [] if saved else ask(config, loaded, clock)
            ready = prepare(config, loaded, plugins, clock, reporter)
        agree(ingredients(ready, plugins))
        saves.made_of(ingredients(ready, plugins), saved)
        if is_main():
            replace(folder.building / "config.toml", to_toml(config).encode())
        story = tell(folder.building, clock, saved)
        if not saved:
            story.fills(answers)
            story.perplexity(0, measure(ready, clock, reporter))
        reporter.note(story.so_far())
        train(ready, plugins.backend, backend, saved, saves, story, clock, reporter)
        story.fills(ask(config, loaded, clock))
        with clock("write"), reporter.stage("write"):
            written = by_main(lambda: finish(ready, plugins, folder, story, saves))
    if config.output.push:
        by_main(lambda: publish_all(config, folder.place, reporter))
    return Result(folder=folder.place, record=written)


@watched()
def evaluate(
    config: Config, *, reporter: Reporter = SILENT, registry: Registry | None = None
) -> dict[str, Any]:
    """Measure a model on the held-out chunks of a corpus, without training.

    Returns:
        ``model``, ``corpus``, ``words``, ``masking``, ``chunks`` and, as in the record,
        ``perplexity``.
    """
    clock = Clock()
    with together():
        check_launcher(reporter.note)
        config, plugins = choose_plugins(config, registry)
        loaded = load(config, clock, reporter)
        ready = prepare(config, loaded, plugins, clock, reporter)
    agree(surroundings(config) | ingredients(ready, plugins))
    return {
        "model": str(ready.loaded),
        "corpus": ready.corpus.source,
        "words": plugin_used(plugins.segmenter),
        "masking": plugin_used(plugins.strategy),
        "chunks": len(ready.split.test),
        "perplexity": measure(ready, clock, reporter),
    }


def measure(ready: Ready, clock: Clock, reporter: Reporter) -> dict[str, Any]:
    """Measure the model on the held-out chunks."""
    from mlmref.evaluation import evaluate

    config = ready.config.evaluation
    with clock("evaluate"):
        evaluation = evaluate(
            ready.objective,
            ready.split.test,
            ready.masker,
            batch_size=config.batch_size,
            reporter=reporter,
        )
        return evaluation.summary(config, ready.config.seed)


def ask(config: Config, loaded: LoadedModel, clock: Clock) -> list[Filled]:
    """Let the model fill the masks of the prompts."""
    from mlmref.fill import PLACEHOLDER, fill

    with clock("fill"):
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
    clock: Clock,
    reporter: Reporter,
) -> None:
    """Train the model from where it is, and measure it after each epoch."""
    from mlmref.job import Job

    output = ready.config.output

    def on_step(report: StepReport) -> None:
        story.step(asdict(report))
        stage.advance(1, f"loss {report.loss:.3f}")

    def on_save() -> None:
        with clock("save"):
            saves.save(job, story, clock)

    def on_epoch(epoch: int) -> None:
        story.perplexity(epoch, measure(ready, clock, reporter))
        reporter.note(story.so_far())
        if output.push and output.push_every_epoch:
            by_main(lambda: publish_epoch(ready, epoch, reporter))

    with (
        clock("train"),
        tempfile.TemporaryDirectory() as scratch,
        Stopping() as stopping,
        generators_left(),
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
        with reporter.stage("train", job.total) as stage:
            stage.advance(job.done)
            try:
                job.end_epoch()
                if job.done < job.total:
                    # Called back, the core raises what is the user's, and not the backend's.
                    through = (MlmrefError, OSError, MemoryError, SystemExit)
                    with chosen.blamed("train", *through), connected():
                        backend.train(job)
            except BaseException:
                try:
                    saves.save_if_whole(job, story, clock)
                finally:
                    if stopping.asked:
                        stopping.obey()
                raise


def tell(folder: Path, clock: Clock, saved: Saved | None) -> Story:
    """Begin the story of a run, or take it up again."""
    if saved is None:
        return Story(folder, clock)
    clock.go_on(saved.timings)
    return Story(folder, clock, saved.metrics, saved.resumed)


def finished(found: Found, reporter: Reporter) -> Result:
    """Return the result of a run that was finished before."""
    place = found.place
    assert place is not None and found.begun is not None  # noqa: S101, PT018 - it was found there
    reporter.note(f"{place}: the run is finished already")

    def look() -> dict[str, Any]:
        assert found.begun is not None  # noqa: S101 - as above
        record: dict[str, Any] = json.loads((place / "record.json").read_text("utf-8"))
        own = CheckpointConfig(**record["config"]["checkpoints"])
        # Whoever finished it was ended before this, or is just about to do it.
        with suppress(OutputError, OSError), held(place):  # it may be nobody's to write to
            if found.begun.run:
                Saves(place, found.begun, own, reporter).clear(place)
        return record

    return Result(folder=place, record=by_main(look))


def finish(
    ready: Ready, plugins: Plugins, folder: RunFolder, story: Story, saves: Saves
) -> dict[str, Any]:
    """Put the whole run folder in its place; return the record."""
    export(ready, folder.building)
    record = story.write(ready, plugins, folder.building)
    saves.clear(folder.finish())
    return record


def export(ready: Ready, folder: Path) -> None:
    """Write model and tokenizer as Transformers alone loads them."""
    with quiet(), as_os_errors(folder):
        ready.loaded.model.save_pretrained(folder)
        ready.loaded.tokenizer.save_pretrained(folder)


def publish_all(config: Config, place: Path, reporter: Reporter) -> None:
    """Publish the finished run."""
    try:
        push(config, place, "The adapted model", reporter)
    except KeyboardInterrupt:
        private = ["--private"] * config.output.private
        again = shlex.join(["hf", "upload", str(config.output.push), str(place), *private])
        raise KeyboardInterrupt(f"not published: the run is whole, go on with {again}") from None


def publish_epoch(ready: Ready, epoch: int, reporter: Reporter) -> None:
    """Publish what there is after an epoch."""
    with tempfile.TemporaryDirectory() as folder:
        export(ready, Path(folder))
        try:
            push(ready.config, Path(folder), f"After epoch {epoch}", reporter)
        except OutputError as error:  # the next epoch may reach the hub again
            reporter.note(f"epoch {epoch}: {error.where}: {error.what}")


def push(config: Config, folder: Path, message: str, reporter: Reporter) -> None:
    """Publish a folder on the hub."""
    from mlmref.publish import publish

    assert config.output.push  # noqa: S101 - the callers ask for it
    with quiet(), reporter.stage("publish"):
        url = publish(folder, config.output.push, private=config.output.private, message=message)
    reporter.note(f"published: {url}")
