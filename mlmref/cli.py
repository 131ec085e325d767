"""The command line: flags to configuration, and nothing else (clauses CLI-001 to 008).

Heavy libraries are imported inside the commands, so that ``mlmref --help`` answers at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Never

import typer
from rich.console import Console

from mlmref.errors import MlmrefError

app = typer.Typer(
    name="mlmref",
    help="Adapt a masked language model to a corpus, and measure what that gained.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Text = str | None
WHAT, TRAINING, RUN = "What", "Training", "Run"

FLAGS = {
    "model": "model.name",
    "revision": "model.revision",
    "trust_remote_code": "model.trust_remote_code",
    "dropout": "model.dropout",
    "corpus": "corpus.name",
    "text_column": "corpus.text_column",
    "label_column": "corpus.label_column",
    "documents": "corpus.documents",
    "corpus_split": "corpus.split",
    "limit": "corpus.limit",
    "chunk_size": "chunks.size",
    "chunk_scope": "chunks.scope",
    "remainder": "chunks.remainder",
    "split": "split.by",
    "train_size": "split.train_size",
    "test_size": "split.test_size",
    "masking": "masking.strategy",
    "mlm_probability": "masking.options.mlm_probability",
    "corruption": "masking.corruption",
    "backend": "training.backend",
    "epochs": "training.epochs",
    "max_steps": "training.max_steps",
    "batch_size": "training.batch_size",
    "accumulation": "training.accumulation",
    "learning_rate": "training.learning_rate",
    "schedule": "training.schedule",
    "warmup_steps": "training.warmup_steps",
    "weight_decay": "training.weight_decay",
    "precision": "training.precision",
    "workers": "training.workers",
    "seed": "seed",
    "prompt": "fill.prompts",
    "top_k": "fill.top_k",
    "output": "output.folder",
    "push": "output.push",
}
"""Each flag's key in the configuration; any other key is set with ``--set``."""


def _flag(text: str, panel: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False)


Model = Annotated[Text, _flag("embedded, a folder, or a name on the hub", WHAT, "--model")]
Revision = Annotated[Text, _flag("branch, tag or commit on the hub", WHAT)]
TrustRemoteCode = Annotated[
    bool | None, _flag("run code that comes with the model", WHAT, "--trust-remote-code")
]
Corpus = Annotated[Text, _flag("imdb, hub:NAME[:CONFIG], or a file, folder or glob", WHAT)]
TextColumn = Annotated[Text, _flag("the column that holds the text", WHAT)]
LabelColumn = Annotated[Text, _flag("the column of labels, kept if it is there", WHAT)]
Documents = Annotated[Text, _flag("one document in a .txt file: line or file", WHAT)]
CorpusSplit = Annotated[Text, _flag("split of a data set on the hub", WHAT)]
Limit = Annotated[int | None, _flag("use only the first N documents", WHAT)]
ChunkSize = Annotated[int | None, _flag("tokens in a chunk", WHAT)]
ChunkScope = Annotated[Text, _flag("remainder once for the corpus, or as the tutorial", WHAT)]
Remainder = Annotated[Text, _flag("drop or pad", WHAT)]
Split = Annotated[Text, _flag("by chunk, or by document", WHAT)]
TrainSize = Annotated[Text, _flag("chunks to train on: count, share or rest", WHAT)]
TestSize = Annotated[Text, _flag("chunks to hold out: count or share", WHAT)]
Masking = Annotated[Text, _flag("a masking strategy; see mlmref plugins", WHAT)]
Probability = Annotated[float | None, _flag("chance of a token or word to be a target", WHAT)]
Corruption = Annotated[Text, _flag("percentages MASK/RANDOM/KEEP, such as 80/10/10", WHAT)]
Seed = Annotated[int | None, _flag("seeds masks, order, dropout, bootstrap", WHAT)]
Preset = Annotated[Text, _flag("tiny, tutorial-trainer or tutorial-accelerate", RUN)]
ConfigFile = Annotated[Path | None, _flag("a TOML file of settings", RUN, "--config")]
Sets = Annotated[
    list[str] | None, _flag("any setting: SECTION.KEY=VALUE; repeatable", RUN, "--set")
]
NoPlugin = Annotated[list[str] | None, _flag("leave a plugin out; repeatable", RUN)]
Prompt = Annotated[
    list[str] | None, _flag("a text with {mask} to fill before and after; repeatable", RUN)
]
TopK = Annotated[int | None, _flag("answers for each mask", RUN)]
AsJson = Annotated[bool, _flag("print JSON", RUN, "--json")]
Quiet = Annotated[bool, _flag("no progress", RUN, "--quiet", "-q")]
Debug = Annotated[bool, _flag("show the traceback of an error", RUN, "--debug")]


@app.command()
def run(
    model: Model = None,
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = None,
    corpus: Corpus = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    documents: Documents = None,
    corpus_split: CorpusSplit = None,
    limit: Limit = None,
    chunk_size: ChunkSize = None,
    chunk_scope: ChunkScope = None,
    remainder: Remainder = None,
    split: Split = None,
    train_size: TrainSize = None,
    test_size: TestSize = None,
    masking: Masking = None,
    mlm_probability: Probability = None,
    corruption: Corruption = None,
    seed: Seed = None,
    backend: Annotated[Text, _flag("a training backend; see mlmref plugins", TRAINING)] = None,
    epochs: Annotated[int | None, _flag("passes over the training chunks", TRAINING)] = None,
    max_steps: Annotated[int | None, _flag("stop after N optimiser steps", TRAINING)] = None,
    batch_size: Annotated[int | None, _flag("chunks in a micro-batch", TRAINING)] = None,
    accumulation: Annotated[int | None, _flag("micro-batches in a step", TRAINING)] = None,
    learning_rate: Annotated[float | None, _flag("peak learning rate", TRAINING)] = None,
    schedule: Annotated[Text, _flag("linear, cosine or constant", TRAINING)] = None,
    warmup_steps: Annotated[int | None, _flag("steps of linear warm-up", TRAINING)] = None,
    weight_decay: Annotated[float | None, _flag("AdamW's weight decay", TRAINING)] = None,
    dropout: Annotated[float | None, _flag("sets every dropout rate", TRAINING)] = None,
    precision: Annotated[Text, _flag("auto, fp32, fp16 or bf16", TRAINING)] = None,
    workers: Annotated[int | None, _flag("processes that prepare batches", TRAINING)] = None,
    prompt: Prompt = None,
    top_k: TopK = None,
    output: Annotated[Text, _flag("the run folder; new under runs/ if not given", RUN)] = None,
    push: Annotated[Text, _flag("publish to this repository on the hub", RUN)] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set_: Sets = None,
    no_plugin: NoPlugin = None,
    print_config: Annotated[
        bool, _flag("print what would be used, and stop", RUN, "--print-config")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Adapt a model to a corpus: perplexity before, training, perplexity after.

    Example: mlmref run --corpus reviews.csv --text-column body --masking whole-word
    """
    flags = locals()
    with _told(debug):
        from mlmref.plugins import discover
        from mlmref.resolve import resolve, to_toml

        settings = resolve(preset=preset, file=config, sets=set_ or (), flags=_given(flags))
        registry = discover(disable=no_plugin or ())
        if print_config:
            from mlmref.prepare import choose_plugins

            out.print(
                to_toml(choose_plugins(settings, registry)[0]), end="", markup=False, soft_wrap=True
            )
            return
        from mlmref.runner import run as run_

        result = run_(settings, reporter=_reporter(quiet), registry=registry)
        if not quiet:
            from mlmref.show import show_run

            show_run(result, out)
        else:
            out.print(str(result.folder), markup=False, soft_wrap=True)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="embedded, a run folder, or a name on the hub")],
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = None,
    corpus: Corpus = None,
    text_column: TextColumn = None,
    documents: Documents = None,
    corpus_split: CorpusSplit = None,
    limit: Limit = None,
    chunk_size: ChunkSize = None,
    chunk_scope: ChunkScope = None,
    remainder: Remainder = None,
    split: Split = None,
    train_size: TrainSize = None,
    test_size: TestSize = None,
    masking: Masking = None,
    mlm_probability: Probability = None,
    corruption: Corruption = None,
    seed: Seed = None,
    preset: Preset = None,
    config: ConfigFile = None,
    set_: Sets = None,
    no_plugin: NoPlugin = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Measure a model's perplexity on held-out chunks. A run folder brings its own settings.

    Example: mlmref evaluate runs/001-token-trainer --split document
    """
    flags = locals()
    with _told(debug):
        from mlmref.plugins import discover
        from mlmref.resolve import resolve
        from mlmref.runner import evaluate as evaluate_

        own = Path(model) / "config.toml"
        settings = resolve(
            preset=preset,
            file=config or (own if own.is_file() else None),
            sets=set_ or (),
            flags=_given(flags),
        )
        registry = discover(disable=no_plugin or ())
        answer = evaluate_(settings, reporter=_reporter(quiet), registry=registry)
        _print(answer, as_json, "show_evaluation")


@app.command()
def fill(
    model: Annotated[str, typer.Argument(help="embedded, a folder, or a name on the hub")],
    texts: Annotated[list[str], typer.Argument(help="texts with one or several masks")],
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = None,
    top_k: Annotated[int, _flag("answers for each mask", RUN)] = 5,
    candidate: Annotated[
        list[str] | None, _flag("rank this word or phrase; repeatable", WHAT)
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fill the masks of a text; {mask} stands for the model's own mask token.

    Example: mlmref fill embedded "This is a great [MASK]."
    """
    with _told(debug):
        from mlmref.config import ModelConfig
        from mlmref.fill import fill as fill_
        from mlmref.model import load_model

        loaded = load_model(
            ModelConfig(name=model, revision=revision, trust_remote_code=bool(trust_remote_code))
        )
        answers = fill_(loaded.model, loaded.tokenizer, texts, top_k=top_k, candidates=candidate)
        _print({"model": str(loaded), "answers": answers}, as_json, "show_fills")


@app.command()
def plugins(no_plugin: NoPlugin = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """List masking strategies and training backends, and the plugins that are broken.

    Example: mlmref plugins --json
    """
    with _told(debug):
        from mlmref.plugins import discover

        _print(discover(disable=no_plugin or ()), as_json, "show_plugins")


def _print(answer: Any, as_json: bool, shown: str) -> None:
    from mlmref import show

    if as_json:
        out.print(show.as_json(answer), markup=False, soft_wrap=True)
    else:
        getattr(show, shown)(answer, out)


def _given(flags: dict[str, Any]) -> dict[str, tuple[str, object]]:
    """Take the flags that stand for settings; an unset list is no setting."""
    return {
        f"--{name.replace('_', '-')}": (key, _number(name, flags[name]))
        for name, key in FLAGS.items()
        if name in flags and flags[name] not in (None, [])
    }


def _number(name: str, value: Any) -> Any:
    """Read a size as the count or share it is; anything else is left for the validation."""
    if name not in {"train_size", "test_size"}:
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _reporter(quiet: bool) -> Any:
    from mlmref.progress import reporter

    return reporter(err, quiet=quiet)


@contextmanager
def _told(debug: bool) -> Iterator[None]:
    """Turn what goes wrong into one line and an exit status (RUN-001, CLI-003)."""

    def terminate(*_: object) -> Never:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt:
        if debug:
            raise
        again = " ".join(["mlmref", *sys.argv[1:]])
        _say("interrupted: nothing was left half written; what was read and tokenised is kept, so")
        _say(f"the same command goes on from there: {again}")
        raise SystemExit(130) from None
    except MlmrefError as error:
        if debug:
            raise
        _say(f"mlmref: {error}")
        raise SystemExit(2) from None
    except OSError as error:
        if debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _say(f"mlmref: {place}{error.strerror or error}")
        raise SystemExit(2) from None
    except Exception as error:
        if debug:
            raise
        text = " ".join(str(error).split())
        _say(
            f"mlmref: a fault of mlmref or a plugin ({type(error).__name__}: {text[:300]}); "
            "add --debug for the traceback"
        )
        raise SystemExit(1) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    err.print(text, markup=False, soft_wrap=True)


def main() -> None:
    """Run the command line."""
    app(prog_name="mlmref")


if __name__ == "__main__":
    main()
