"""The command line: flags to configuration, and nothing else (clauses CLI-001 to CLI-005).

Heavy libraries are imported inside the commands, so that ``mlmref --help`` answers at once.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from mlmref import flags
from mlmref.exits import err, hush, told
from mlmref.terminal import Terminal
from mlmref.usage import Commands

app = typer.Typer(
    name="mlmref",
    cls=Commands,
    help="Adapt a masked language model to a corpus, and measure what that gained.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Terminal()


@app.command()
def run(
    model: flags.Model = None,
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    label_column: flags.LabelColumn = None,
    documents: flags.Documents = None,
    corpus_split: flags.CorpusSplit = None,
    limit: flags.Limit = None,
    segmenter: flags.Segmenter = None,
    chunk_size: flags.ChunkSize = None,
    chunk_scope: flags.ChunkScope = None,
    remainder: flags.Remainder = None,
    split: flags.Split = None,
    train_size: flags.TrainSize = None,
    test_size: flags.TestSize = None,
    masking: flags.Masking = None,
    mlm_probability: flags.Probability = None,
    corruption: flags.Corruption = None,
    seed: flags.Seed = None,
    backend: flags.Backend = None,
    epochs: flags.Epochs = None,
    max_steps: flags.MaxSteps = None,
    batch_size: flags.BatchSize = None,
    accumulation: flags.Accumulation = None,
    learning_rate: flags.LearningRate = None,
    schedule: flags.Schedule = None,
    warmup_steps: flags.WarmupSteps = None,
    weight_decay: flags.WeightDecay = None,
    dropout: flags.Dropout = None,
    precision: flags.Precision = None,
    workers: flags.Workers = None,
    save_every: flags.SaveEvery = None,
    prompt: flags.Prompt = None,
    top_k: flags.TopK = None,
    output: flags.Output = None,
    push: flags.Push = None,
    preset: flags.Preset = None,
    config: flags.ConfigFile = None,
    set_: flags.Sets = None,
    resume: flags.Resume = None,
    no_plugin: flags.NoPlugin = None,
    print_config: flags.PrintConfig = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Adapt a model to a corpus: perplexity before, training, perplexity after.

    Example: mlmref run --corpus reviews.csv --text-column body --masking whole-word
    """
    given = locals()
    with told(debug):
        from mlmref.plugins import discover
        from mlmref.resolve import resolve, shared, to_toml
        from mlmref.resume import settings_file

        settings = shared(
            lambda: resolve(
                preset=preset,
                file=config or settings_file(resume),
                sets=set_ or (),
                flags=flags.settings(given),
            )
        )
        registry = discover(disable=no_plugin or (), tell=_tell)
        if print_config:
            from mlmref.prepare import choose_plugins

            out.print(
                to_toml(choose_plugins(settings, registry)[0]), end="", markup=False, soft_wrap=True
            )
            return
        from mlmref.runner import run as run_

        result = run_(settings, resume=resume, reporter=_reporter(quiet), registry=registry)
        if not quiet:
            from mlmref.show import show_run

            show_run(result, out)
        else:
            out.print(str(result.folder), markup=False, soft_wrap=True)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="embedded, a run folder, or a name on the hub")],
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    documents: flags.Documents = None,
    corpus_split: flags.CorpusSplit = None,
    limit: flags.Limit = None,
    segmenter: flags.Segmenter = None,
    chunk_size: flags.ChunkSize = None,
    chunk_scope: flags.ChunkScope = None,
    remainder: flags.Remainder = None,
    split: flags.Split = None,
    train_size: flags.TrainSize = None,
    test_size: flags.TestSize = None,
    masking: flags.Masking = None,
    mlm_probability: flags.Probability = None,
    corruption: flags.Corruption = None,
    seed: flags.Seed = None,
    metric: flags.Metric = "perplexity",
    sample: flags.Sample = None,
    preset: flags.Preset = None,
    config: flags.ConfigFile = None,
    set_: flags.Sets = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Measure a model's perplexity on held-out chunks. A run folder brings its own settings.

    Example: mlmref evaluate runs/001-token-trainer --split document
    """
    given = locals()
    with told(debug):
        from mlmref.plugins import discover
        from mlmref.resolve import resolve, shared
        from mlmref.runner import evaluate as evaluate_

        own = Path(model) / "config.toml"
        settings = shared(
            lambda: resolve(
                preset=preset,
                file=config or (own if own.is_file() else None),
                sets=set_ or (),
                flags=flags.settings(given),
            )
        )
        registry = discover(disable=no_plugin or (), tell=_tell)
        answer = evaluate_(
            settings,
            metric=metric,
            sample=sample,
            reporter=_reporter(quiet),
            registry=registry,
        )
        _print(answer, as_json, "show_evaluation")


@app.command()
def fill(
    model: Annotated[str, typer.Argument(help="embedded, a folder, or a name on the hub")],
    texts: Annotated[list[str], typer.Argument(help="texts with one or several masks")],
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    top_k: flags.TopK = None,
    candidate: flags.Candidate = None,
    as_json: flags.AsJson = False,
    debug: flags.Debug = False,
) -> None:
    """Fill the masks of a text; {mask} stands for the model's own mask token.

    Example: mlmref fill embedded "This is a great [MASK]."
    """
    with told(debug):
        from mlmref.config import ModelConfig
        from mlmref.fill import fill as fill_
        from mlmref.model import load_model

        loaded = load_model(
            ModelConfig(name=model, revision=revision, trust_remote_code=bool(trust_remote_code))
        )
        answers = fill_(
            loaded.model,
            loaded.tokenizer,
            texts,
            top_k=5 if top_k is None else top_k,
            candidates=candidate,
        )
        _print({"model": str(loaded), "answers": answers}, as_json, "show_fills")


@app.command()
def plugins(
    no_plugin: flags.NoPlugin = None, as_json: flags.AsJson = False, debug: flags.Debug = False
) -> None:
    """List strategies, backends and segmenters, and the plugins that are broken.

    Example: mlmref plugins --json
    """
    with told(debug):
        from mlmref.plugins import discover

        _print(discover(disable=no_plugin or (), tell=_tell), as_json, "show_plugins")


@app.command()
def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="strategies, backends or segmenters; see mlmref plugins"),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="whatever is installed")] = False,
    option: flags.PluginOption = None,
    collator: flags.Collator = None,
    collator_arg: flags.CollatorArgument = None,
    column: flags.Column = None,
    rate: flags.Rate = None,
    whole_words: flags.WholeWords = False,
    corruption: flags.Corruption = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    debug: flags.Debug = False,
) -> None:
    """Tell clause by clause whether a plugin, or a data collator, keeps the specification.

    Example: mlmref check whole-word
    """
    with told(debug):
        from mlmref import checking
        from mlmref.plugins import discover

        if collator:
            reports = [
                checking.check_collator(
                    collator,
                    arguments=collator_arg or (),
                    columns=column or (),
                    rate=rate,
                    whole_words=whole_words,
                    corruption=corruption,
                )
            ]
        else:
            registry = discover(disable=no_plugin or (), tell=_tell)
            reports = checking.check_named(registry, names or (), every=every, options=option or ())
        _print(reports, as_json, "show_reports")
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command()
def verify(
    only: flags.Only = None,
    require: flags.Require = None,
    cpu: flags.OnCpu = False,
    set_: flags.Sets = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Check mlmref against each step and figure of the tutorial that it is the reference for.

    Example: mlmref verify --only T09
    """
    with told(debug):
        from mlmref.tutorial import verify as verify_

        rows = verify_(
            only=_parts(only),
            require=_parts(require),
            cpu=cpu,
            sets=set_ or (),
            reporter=_reporter(quiet),
        )
        _print(rows, as_json, "show_verified")
    if any(row.verdict == "failed" for row in rows):
        raise typer.Exit(1)


@app.command()
def downstream(
    adapted: Annotated[str, typer.Argument(help="a run folder, or a name on the hub")],
    base: flags.Base = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    label_column: flags.LabelColumn = None,
    corpus_split: flags.CorpusSplit = None,
    seeds: flags.Seeds = None,
    train_size: flags.TrainDocuments = None,
    test_size: flags.TestDocuments = None,
    max_tokens: flags.MaxTokens = None,
    epochs: flags.Epochs = None,
    batch_size: flags.BatchSize = None,
    learning_rate: flags.LearningRate = None,
    seed: flags.Seed = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Train classifiers from a model before and after adaptation, and compare them in pairs.

    Example: mlmref downstream runs/001-token-trainer
    """
    given = locals()
    with told(debug):
        from mlmref.downstream import configured
        from mlmref.downstream import downstream as downstream_

        settings = configured(given)
        answer = downstream_(settings, reporter=_reporter(quiet))
        _print(answer, as_json, "show_downstream")


def _parts(given: list[str] | None) -> list[str]:
    """Return what was given with a flag each, or in one with commas."""
    return [part.strip() for one in given or () for part in one.split(",")]


@app.command("new-plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(help="of the strategy, backend or segmenter")],
    kind: Annotated[str, typer.Option(help="masking, backend or segmenter")],
    folder: Annotated[
        Path | None, typer.Option(help="where to; mlmref-NAME by default", show_default=False)
    ] = None,
    debug: flags.Debug = False,
) -> None:
    """Write a package with a plugin of your own, which installs and passes its own tests at once.

    Example: mlmref new-plugin mine --kind masking
    """
    with told(debug):
        from mlmref.scaffold import new_plugin as new_plugin_

        place = new_plugin_(name, kind, folder)
        install = shlex.join(["pip", "install", "-e", f"{place}[test]"])
        out.print(f"{place}; next: {install} && mlmref check {name}", markup=False, soft_wrap=True)


def _print(answer: Any, as_json: bool, shown: str) -> None:
    from mlmref import show

    if as_json:
        out.print(show.as_json(answer), markup=False, soft_wrap=True)
    else:
        getattr(show, shown)(answer, out)


def _tell(text: str) -> None:
    err.print(text, markup=False, soft_wrap=True)


def _reporter(quiet: bool) -> Any:
    from mlmref.progress import reporter

    return reporter(err, quiet=quiet)


def main() -> None:
    """Run the command line."""
    hush()
    app(prog_name="mlmref")


if __name__ == "__main__":
    main()
