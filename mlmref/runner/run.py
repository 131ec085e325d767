"""Run the training of a model, or evaluate it without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlmref.base.progress import Reporter, of_a_library
from mlmref.base.progress.clock import Clock
from mlmref.base.ranks.consensus import agree, by_main, together, watched
from mlmref.base.ranks.process import check_launcher
from mlmref.results.result import Result
from mlmref.runner.context import RunContext
from mlmref.runner.finish import finish, finished, publish_all, write_settings
from mlmref.runner.folder.checkpoints import Saves
from mlmref.runner.folder.folder import RunFolder
from mlmref.runner.folder.resume import look_for, settings_file, settings_of
from mlmref.runner.identity import begin, environment, ingredients
from mlmref.runner.log.logbook import logbook
from mlmref.runner.log.provenance import plugin_used
from mlmref.runner.log.trackers import check_trackers
from mlmref.runner.loop import measure, train
from mlmref.runner.prepare import check_first, load, prepare, try_out
from mlmref.settings.config import Config, FillConfig
from mlmref.settings.keywords import (
    TEXT_AND_MASKS,
    TRAINING_ONLY,
    config_of,
    keywords,
    takes_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlmref.evaluation.fill_mask import Filled
    from mlmref.model.load import LoadedModel
    from mlmref.plugin.registry import Registry

_EVALUATED = keywords(TEXT_AND_MASKS, TRAINING_ONLY)


@takes_settings(keywords())
@watched()
def run(
    config: Config | Mapping[str, Any] | None = None,
    *,
    preset: str | None = None,
    resume: str | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
    **settings: Any,
) -> Result:
    """Adapt a masked language model to a corpus, and measure the gain.

    The settings are keyword arguments with the names and the defaults of the flags of ``mlmref
    run``. A configuration or a dictionary can be given instead, and can set the others too.

    >>> import mlmref
    >>> result = mlmref.run(corpus="reviews.txt", chunk_size=32, max_steps=2, output="adapted")
    >>> result.folder.name
    'adapted'

    Args:
        config: all settings, as a ``Config`` or as a dictionary of sections such as
            ``{"corpus": {"name": "notes.txt"}}``.
        preset: the name of a preset, such as ``tutorial-trainer``.
        resume: the folder of an unfinished run to resume, or ``auto`` to resume the newest one with
            these settings, if there is one.
        reporter: shows the progress; by default a bar in a notebook, and nothing elsewhere.
        registry: the plugins to use; by default those that are installed.

    Raises:
        MlmrefError: an error that the user can fix. Only checkpoints are left behind.
    """
    clock, reporter = Clock(), of_a_library(reporter)
    config = config_of(
        run,
        config,
        settings,
        known=keywords(),
        preset=preset,
        file=lambda: settings_file(resume),
    )
    with together(), clock("start"), reporter.stage("start"):  # importing torch takes seconds
        check_trackers(config)
        context = RunContext.of(config, registry, reporter, clock)
        check_first(context.config, reporter)
        backend = context.plugins.backend.make()
    agree(environment(context.config))
    found = look_for(resume, context.config, reporter.warn)
    if found.done:
        return finished(found, context)
    begun = found.begun or begin(context.config)
    marker = None if found.begun else begun.marker
    with RunFolder(found.place, context.label, marker, context.flags) as folder:
        saves = Saves(folder.building, begun, context.config.checkpoints, reporter)
        saved = saves.newest() if found.begun else None
        if not found.begun:  # a kill while the model is loaded leaves an unfinished run
            write_settings(context.config, folder.building)
        with together():
            loaded = load(context)
            objective = try_out(context, loaded, train=True)
            answers = [] if saved else ask(context, loaded, reporter.note)
            ready = prepare(context, loaded, objective)
        agree(ingredients(ready))
        saves.made_of(ingredients(ready), saved)
        write_settings(context.config, folder.building)
        with logbook(ready, folder, saved) as log:
            if not saved:
                log.fills(answers)
                log.measured(0, 0, measure(ready, log.targets))
            reporter.note(log.story.so_far())
            train(ready, backend, saved, saves, log)
            log.fills(ask(context, loaded))
            with context.stage("write"):
                written = by_main(lambda: finish(ready, folder, log, saves))
    if context.config.output.push:
        by_main(lambda: publish_all(context, folder.place))
    return Result(folder=folder.place, record=written)


@takes_settings(_EVALUATED)
@watched()
def evaluate(
    config: Config | Mapping[str, Any] | None = None,
    *,
    preset: str | None = None,
    metric: str = "perplexity",
    sample: int | None = None,
    reporter: Reporter | None = None,
    registry: Registry | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Measure a model on the held-out chunks of a corpus, without training.

    The settings are keyword arguments with the names and the defaults of the flags of ``mlmref
    evaluate``. A model that is a run folder has the settings of that run.

    >>> import mlmref
    >>> measured = mlmref.evaluate(model="embedded", corpus="reviews.txt", chunk_size=32)
    >>> measured["metric"]
    'perplexity'

    Args:
        config: all settings, as a ``Config`` or as a dictionary of sections.
        preset: the name of a preset, such as ``tutorial-trainer``.
        metric: ``perplexity``, or ``pseudo-perplexity`` on a sample of the chunks.
        sample: the number of chunks in the sample.
        reporter: as in :func:`run`.
        registry: the plugins to use; by default those that are installed.

    Returns:
        ``model``, ``corpus``, ``words``, ``masking``, ``chunks``, ``metric`` and, as in the
        record, ``perplexity``.
    """
    from mlmref.evaluation.pseudo_perplexity import check_metric, pseudo_perplexity

    chosen, reporter = check_metric(metric, sample), of_a_library(reporter)
    config = config_of(
        evaluate,
        config,
        settings,
        known=_EVALUATED,
        preset=preset,
        file=lambda: settings_of(settings.get("model")),
    )
    with together():
        check_launcher(reporter.note)
        context = RunContext.of(config, registry, reporter)
        loaded = load(context)
        objective = try_out(context, loaded)
        ready = prepare(context, loaded, objective)
    agree(environment(context.config) | ingredients(ready))
    if chosen == "perplexity":
        summary = measure(ready).summary
    else:
        summary = pseudo_perplexity(
            ready.objective,
            ready.split.test,
            chosen,
            ready.config.evaluation,
            ready.config.seed,
            sample=sample,
            reporter=reporter,
        )
    return {
        "model": str(ready.loaded),
        "corpus": ready.corpus.source,
        "words": plugin_used(context.plugins.segmenter),
        "masking": plugin_used(context.plugins.strategy),
        "chunks": len(ready.split.test),
        "metric": chosen,
        "perplexity": summary,
    }


def ask(
    context: RunContext, loaded: LoadedModel, note: Callable[[str], None] = lambda _: None
) -> list[Filled]:
    """Return the model's answers for the masks of the prompts.

    If the model cannot read the default prompts, a note says so and there are no answers
    (FILL-016).
    """
    from mlmref.base.errors import ModelError
    from mlmref.evaluation.fill_mask import fill
    from mlmref.evaluation.prompts import PLACEHOLDER, PromptError

    with context.stage("fill"):
        own, chosen, default = loaded.tokenizer.mask_token, context.config.fill, FillConfig()
        prompts = [text.replace(PLACEHOLDER, own) for text in chosen.prompts]
        top_k = None if chosen.top_k == default.top_k else chosen.top_k
        try:
            return fill(loaded.model, loaded.tokenizer, prompts, top_k=top_k)
        except (PromptError, ModelError) as error:
            if chosen.prompts != default.prompts:
                raise
            note(
                f"the default prompt cannot be used, so there are no answers: {error.where}: "
                f"{error.what}; give other prompts with --prompt"
            )
            return []
