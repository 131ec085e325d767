"""The flags of the command line: setting, help, and type of each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mlmref.cli import completion

Text = str | None
WHAT, TRAINING, RUN, COLLATOR = "What", "Training", "Run", "A data collator"

FLAGS = {
    "model": "model.name",
    "revision": "model.revision",
    "trust_remote_code": "model.trust_remote_code",
    "dropout": "model.dropout",
    "tokenizer": "model.tokenizer",
    "corpus": "corpus.name",
    "text_column": "corpus.text_column",
    "label_column": "corpus.label_column",
    "documents": "corpus.documents",
    "corpus_split": "corpus.split",
    "limit": "corpus.limit",
    "segmenter": "words.segmenter",
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
    "save_every": "checkpoints.every",
    "report_to": "tracking.to",
    "seed": "seed",
    "prompt": "fill.prompts",
    "top_k": "fill.top_k",
    "output": "output.folder",
    "push": "output.push",
}
"""Each flag's key in the configuration; any other key is set with ``--set``."""


RARE = {
    "revision",
    "trust_remote_code",
    "tokenizer",
    "segmenter",
    "label_column",
    "documents",
    "corpus_split",
    "chunk_scope",
    "remainder",
    "corruption",
    "accumulation",
    "schedule",
    "warmup_steps",
    "weight_decay",
    "dropout",
    "workers",
    "top_k",
    "no_plugin",
    "debug",
}
"""Flags that ``--help`` leaves to ``--help-all``, in the commands that have it."""


def _flag(text: str, panel: str, *names: str, to: completion.Completer | None = None) -> Any:
    return typer.Option(
        *names, help=text, rich_help_panel=panel, show_default=False, autocompletion=to
    )


def _help_all(context: typer.Context, value: bool) -> None:
    if value and not context.resilient_parsing:
        context.meta[ALL] = True
        typer.echo(context.get_help(), color=context.color)
        raise typer.Exit


ALL = "mlmref.help_all"
"""Where a command's context says that no flag is to be left out of its help."""

HelpAll = Annotated[
    bool,
    typer.Option(
        "--help-all",
        help="Show every flag and exit.",
        is_eager=True,
        callback=_help_all,
        show_default=False,
    ),
]


Model = Annotated[
    Text, _flag("embedded, a folder, or a name on the hub", WHAT, "--model", to=completion.models)
]
Revision = Annotated[Text, _flag("branch, tag or commit on the hub", WHAT)]
TrustRemoteCode = Annotated[
    bool | None, _flag("run code that comes with the model", WHAT, "--trust-remote-code")
]
Tokenizer = Annotated[
    Text,
    _flag(
        "where tokenizer.json and Transformers differ: file or loaded",
        WHAT,
        to=completion.setting("model.tokenizer"),
    ),
]
Corpus = Annotated[
    Text,
    _flag("imdb, hub:NAME[:CONFIG], or a file, folder or glob", WHAT, to=completion.words("imdb")),
]
TextColumn = Annotated[Text, _flag("the column that holds the text", WHAT)]
LabelColumn = Annotated[Text, _flag("the column of labels, kept if it is there", WHAT)]
Documents = Annotated[
    Text,
    _flag(
        "one document in a .txt file: line or file", WHAT, to=completion.setting("corpus.documents")
    ),
]
CorpusSplit = Annotated[Text, _flag("split of a data set on the hub", WHAT)]
Limit = Annotated[int | None, _flag("use only the first N documents", WHAT)]
Segmenter = Annotated[
    Text, _flag("a word segmenter; see mlmref plugins", WHAT, to=completion.entries("segmenters"))
]
ChunkSize = Annotated[int | None, _flag("tokens in a chunk", WHAT)]
ChunkScope = Annotated[
    Text,
    _flag(
        "remainder once for the corpus, or as the tutorial",
        WHAT,
        to=completion.setting("chunks.scope"),
    ),
]
Remainder = Annotated[Text, _flag("drop or pad", WHAT, to=completion.setting("chunks.remainder"))]
Split = Annotated[Text, _flag("by chunk, or by document", WHAT, to=completion.setting("split.by"))]
TrainSize = Annotated[
    Text,
    _flag(
        "chunks to train on: count, share or rest", WHAT, to=completion.setting("split.train_size")
    ),
]
TestSize = Annotated[Text, _flag("chunks to hold out: count or share", WHAT)]
Masking = Annotated[
    Text, _flag("a masking strategy; see mlmref plugins", WHAT, to=completion.entries("strategies"))
]
Probability = Annotated[float | None, _flag("chance of a token or word to be a target", WHAT)]
Corruption = Annotated[Text, _flag("percentages MASK/RANDOM/KEEP, such as 80/10/10", WHAT)]
Seed = Annotated[int | None, _flag("seeds masks, order, dropout, bootstrap", WHAT)]
Backend = Annotated[
    Text,
    _flag("a training backend; see mlmref plugins", TRAINING, to=completion.entries("backends")),
]
Epochs = Annotated[int | None, _flag("passes over the training chunks", TRAINING)]
MaxSteps = Annotated[int | None, _flag("stop after N optimiser steps", TRAINING)]
BatchSize = Annotated[int | None, _flag("chunks in a micro-batch", TRAINING)]
Accumulation = Annotated[int | None, _flag("micro-batches in a step", TRAINING)]
LearningRate = Annotated[float | None, _flag("peak learning rate", TRAINING)]
Schedule = Annotated[
    Text, _flag("linear, cosine or constant", TRAINING, to=completion.setting("training.schedule"))
]
WarmupSteps = Annotated[int | None, _flag("steps of linear warm-up", TRAINING)]
WeightDecay = Annotated[float | None, _flag("AdamW's weight decay", TRAINING)]
Dropout = Annotated[float | None, _flag("sets every dropout rate", TRAINING)]
Precision = Annotated[
    Text, _flag("auto, fp32, fp16 or bf16", TRAINING, to=completion.setting("training.precision"))
]
Workers = Annotated[int | None, _flag("processes that prepare batches", TRAINING)]
SaveEvery = Annotated[int | None, _flag("save every N steps too; see --resume", TRAINING)]
ReportTo = Annotated[
    Text,
    _flag(
        "trackers: tensorboard, trackio, wandb, mlflow", RUN, to=completion.several("tracking.to")
    ),
]
Resume = Annotated[
    Text, _flag("go on with an unfinished run: its folder, or auto", RUN, to=completion.resumable)
]
Output = Annotated[Text, _flag("the run folder; new under runs/ if not given", RUN)]
Push = Annotated[Text, _flag("publish to this repository on the hub", RUN)]
PrintConfig = Annotated[bool, _flag("print what would be used, and stop", RUN, "--print-config")]
Candidate = Annotated[list[str] | None, _flag("rank this word or phrase; repeatable", WHAT)]
Preset = Annotated[
    Text, _flag("tiny, tutorial-trainer or tutorial-accelerate", RUN, to=completion.presets)
]
ConfigFile = Annotated[Path | None, _flag("a TOML file of settings", RUN, "--config")]
Sets = Annotated[
    list[str] | None,
    _flag("any setting: SECTION.KEY=VALUE; repeatable", RUN, "--set", to=completion.assignments),
]
NoPlugin = Annotated[
    list[str] | None, _flag("leave a plugin out; repeatable", RUN, to=completion.plugins)
]
Prompt = Annotated[
    list[str] | None, _flag("a text with {mask} to fill before and after; repeatable", RUN)
]
TopK = Annotated[int | None, _flag("answers for each mask", RUN)]
PluginOption = Annotated[
    list[str] | None, _flag("an option of the plugin: KEY=VALUE; repeatable", WHAT, "--option")
]
Collator = Annotated[Text, _flag("a data collator instead: MODULE:NAME", COLLATOR)]
CollatorArgument = Annotated[
    list[str] | None, _flag("an argument of its class: KEY=VALUE; repeatable", COLLATOR)
]
Column = Annotated[
    list[str] | None,
    _flag(
        "a column it needs: labels, word_ids or offset_mapping; repeatable",
        COLLATOR,
        to=completion.words("labels", "word_ids", "offset_mapping"),
    ),
]
Rate = Annotated[
    Text,
    _flag(
        "what its mlm_probability promises: token, word or share",
        COLLATOR,
        to=completion.words("token", "word", "share"),
    ),
]
WholeWords = Annotated[bool, _flag("it promises whole words", COLLATOR, "--whole-words")]
Metric = Annotated[
    str,
    _flag(
        "perplexity, pseudo-perplexity (word-l2r) or pseudo-perplexity-original",
        WHAT,
        to=completion.words("perplexity", "pseudo-perplexity", "pseudo-perplexity-original"),
    ),
]
Sample = Annotated[
    int | None, typer.Option(help="chunks for a pseudo-perplexity", min=1, rich_help_panel=WHAT)
]
Maskings = Annotated[
    list[str] | None,
    _flag(
        "a masking strategy; see mlmref plugins; repeatable, to compare",
        WHAT,
        "--masking",
        to=completion.entries("strategies"),
    ),
]
ShownChunks = Annotated[
    int, typer.Option("--chunks", help="chunks to show", min=1, rich_help_panel=WHAT)
]
FirstChunk = Annotated[
    int,
    typer.Option("--first", help="training chunk to begin with", min=1, rich_help_panel=WHAT),
]
# The last pass is evaluation's.
Pass = Annotated[
    int,
    typer.Option(
        "--pass", help="whose masks: of epoch N", min=1, max=2**32 - 1, rich_help_panel=WHAT
    ),
]
Unit = Annotated[
    Text,
    _flag(
        "words, or tokens as the vocabulary spells them",
        WHAT,
        "--as",
        to=completion.words("words", "tokens"),
    ),
]
Html = Annotated[
    Path | None, _flag("write a page to this new file, instead of printing", WHAT, "--html")
]
ReportHtml = Annotated[Path | None, _flag("write the page to this new file", RUN, "--html")]
Base = Annotated[
    Text, _flag("the model before; left out, what the run folder says", WHAT, to=completion.models)
]
Seeds = Annotated[int | None, _flag("train both so many times", TRAINING)]
TrainDocuments = Annotated[int | None, _flag("documents to train on", WHAT, "--train-size")]
TestDocuments = Annotated[int | None, _flag("documents to measure on", WHAT, "--test-size")]
MaxTokens = Annotated[int | None, _flag("tokens of a document that are read", WHAT)]
Only = Annotated[
    list[str] | None, _flag("a step, such as T09; repeatable", WHAT, to=completion.steps)
]
Require = Annotated[
    list[str] | None,
    _flag(
        "hub or gpu: fail where it is missing; repeatable", WHAT, to=completion.words("hub", "gpu")
    ),
]
OnCpu = Annotated[bool, _flag("train DistilBERT on the CPU too: many hours", WHAT, "--cpu")]
AsJson = Annotated[bool, _flag("print JSON", RUN, "--json")]
Quiet = Annotated[bool, _flag("no progress", RUN, "--quiet", "-q")]
Debug = Annotated[bool, _flag("show the traceback of an error", RUN, "--debug")]


def settings(given: dict[str, Any]) -> dict[str, tuple[str, object]]:
    """Take the flags that stand for settings; an unset list is no setting."""
    return {
        f"--{name.replace('_', '-')}": (key, _number(name, given[name]))
        for name, key in FLAGS.items()
        if name in given and given[name] not in (None, [])
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
