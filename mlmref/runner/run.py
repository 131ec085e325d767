"""The run: corpus, tokens, chunks, split, masks, model, backend, evaluation, record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlmref.base.disk import replace
from mlmref.base.progress import Reporter, of_a_library
from mlmref.base.progress.clock import Clock
from mlmref.base.ranks.consensus import agree, by_main, together, watched
from mlmref.base.ranks.process import check_launcher, is_main
from mlmref.results.result import Result
from mlmref.runner.finish import finish, finished, publish_all
from mlmref.runner.folder.checkpoints import Saves
from mlmref.runner.folder.folder import RunFolder
from mlmref.runner.folder.resume import look_for, settings_file
from mlmref.runner.identity import begin, ingredients, surroundings
from mlmref.runner.log.logbook import logbook
from mlmref.runner.log.provenance import plugin_used
from mlmref.runner.log.trackers import check_trackers
from mlmref.runner.loop import measure, train
from mlmref.runner.prepare import check_first, choose_plugins, load, prepare, try_out
from mlmref.settings.config import Config, FillConfig
from mlmref.settings.resolve import resolve, shared, to_toml

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlmref.evaluation.fill_mask import Filled
    from mlmref.model.load import LoadedModel
    from mlmref.plugin.registry import Registry


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
            objective = try_out(config, loaded, clock, reporter, train=True)
            answers = [] if saved else ask(config, loaded, clock, reporter, reporter.note)
            ready = prepare(config, loaded, plugins, clock, reporter, objective)
        agree(ingredients(ready, plugins))
        saves.made_of(ingredients(ready, plugins), saved)
        if is_main():
            replace(folder.building / "config.toml", to_toml(config).encode())
        with logbook(ready, plugins, folder, saved, clock, reporter) as log:
            if not saved:
                log.fills(answers)
                log.measured(0, 0, measure(ready, clock, reporter, log.targets))
            reporter.note(log.story.so_far())
            train(ready, plugins.backend, backend, saved, saves, log, clock, reporter)
            log.fills(ask(config, loaded, clock, reporter))
            with clock("write"), reporter.stage("write"):
                written = by_main(lambda: finish(ready, plugins, folder, log, saves, reporter))
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
    from mlmref.evaluation.pseudo_perplexity import check_metric, pseudo_perplexity

    clock, chosen, reporter = Clock(), check_metric(metric, sample), of_a_library(reporter)
    with together():
        check_launcher(reporter.note)
        config, plugins = choose_plugins(config, registry)
        loaded = load(config, clock, reporter)
        objective = try_out(config, loaded, clock, reporter)
        ready = prepare(config, loaded, plugins, clock, reporter, objective)
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


def ask(
    config: Config,
    loaded: LoadedModel,
    clock: Clock,
    reporter: Reporter,
    note: Callable[[str], None] = lambda _: None,
) -> list[Filled]:
    """Let the model fill the masks of the prompts.

    Default prompts that it cannot read are noted, and not asked (FILL-016).
    """
    from mlmref.base.errors import ModelError
    from mlmref.evaluation.fill_mask import PLACEHOLDER, PromptError, fill

    with clock("fill"), reporter.stage("fill"):
        own, chosen, default = loaded.tokenizer.mask_token, config.fill, FillConfig()
        prompts = [text.replace(PLACEHOLDER, own) for text in chosen.prompts]
        top_k = None if chosen.top_k == default.top_k else chosen.top_k
        try:
            return fill(loaded.model, loaded.tokenizer, prompts, top_k=top_k)
        except (PromptError, ModelError) as error:
            if chosen.prompts != default.prompts:
                raise
            note(
                f"no prompts are asked, since the default one cannot be: {error.where}: "
                f"{error.what}; give others with --prompt"
            )
            return []
