"""The sections of the settings up to the masks: model, corpus, words, chunks, split, masking."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from mlmref.plugin.contracts import Corruption
from mlmref.settings.setting import Count, Section, Seed, Size, setting


class ModelConfig(Section):
    """Which model to adapt."""

    name: str = setting(
        "embedded",
        "embedded, a folder, or a name on the hub. ``embedded`` is the checkpoint that ships",
        flag="--model",
        suggest="models",
        min_length=1,
    )
    revision: str | None = setting(
        None, "branch, tag or commit on the hub", flag="--revision", rare=True
    )
    trust_remote_code: bool = setting(
        False,
        "run code that comes with the model. Do this only if you trust its author",
        flag="--trust-remote-code",
        rare=True,
    )
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] | Literal["checkpoint"] = setting(
        "checkpoint",
        "every dropout rate of the model. ``checkpoint`` keeps the model's own rates",
        flag="--dropout",
        rare=True,
    )
    tokenizer: Literal["checked", "file", "loaded"] = setting(
        "checked",
        "if tokenizer.json and Transformers differ: file or loaded. ``file`` uses tokenizer.json, "
        "``loaded`` the tokenizer that Transformers builds, and ``checked`` refuses the model",
        flag="--tokenizer",
        rare=True,
    )


class CorpusConfig(Section):
    """Which text to adapt it to."""

    name: str = setting(
        "imdb",
        "imdb, hub:NAME[:CONFIG], or a file, folder or glob. Files are .txt, .csv, .tsv, .jsonl "
        "or .parquet, each also with .gz",
        flag="--corpus",
        suggest=("imdb",),
        min_length=1,
    )
    text_column: str = setting(
        "text", "the column that contains the text", flag="--text-column", min_length=1
    )
    label_column: str = setting(
        "label",
        "the column that contains the labels, if the corpus has it. An empty name stands for none",
        flag="--label-column",
        rare=True,
    )
    documents: Literal["line", "file"] = setting(
        "line", "one document in a .txt file: line or file", flag="--documents", rare=True
    )
    delimiter: str | None = setting(
        None,
        "the character between the cells of .csv and .tsv files. If it is not set, it is a comma "
        "in .csv and a tab in .tsv",
    )
    quotes: Literal["auto", "yes", "no"] = setting(
        "auto", "whether quotation marks enclose cells. ``auto`` is yes in .csv and no in .tsv"
    )
    split: str = setting(
        "train", "split of a data set on the hub", flag="--corpus-split", rare=True
    )
    limit: Count | None = setting(None, "use only the first N documents", flag="--limit")

    @field_validator("delimiter")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 1 or value in '"\r\n\0'):
            raise ValueError("give one character, such as ;")
        return value


HUB = "hub:"
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", HUB)
USED_BY = {
    "text_column": _TABLES,
    "label_column": _TABLES,
    "documents": (".txt",),
    "delimiter": (".csv", ".tsv"),
    "quotes": (".csv", ".tsv"),
    "split": (HUB,),
}
"""The kinds of corpora that use each setting, by the beginning of a name or a file's extension."""


def unused_by(name: str) -> list[str]:
    """Return the settings that a corpus does not use; none if its name does not show its kind."""
    file = PurePath(name.lower().removesuffix(".gz"))
    kind = HUB if name.startswith(HUB) else file.suffix
    known = any(kind in used for used in USED_BY.values())
    return [key for key, used in USED_BY.items() if known and kind not in used]


class WordsConfig(Section):
    """Where words begin."""

    segmenter: str = setting(
        "tokenizer",
        "a word segmenter; see mlmref plugins. ``tokenizer`` uses the tokenizer's word boundaries",
        flag="--segmenter",
        rare=True,
        suggest="segmenters",
    )
    options: dict[str, Any] = setting({}, "the segmenter's own options")


class ChunkConfig(Section):
    """How the joined text is cut."""

    size: Annotated[int, Field(ge=2, le=2**20)] = setting(
        128, "tokens in a chunk", flag="--chunk-size"
    )
    scope: Literal["corpus", "tutorial"] = setting(
        "corpus",
        "one remainder for the corpus, or as in the tutorial. The ``tutorial`` has one remainder "
        "for every 1,000 documents, which loses text (E06)",
        flag="--chunk-scope",
        rare=True,
    )
    remainder: Literal["drop", "pad"] = setting(
        "drop", "drop or pad the last, shorter chunk (T08)", flag="--remainder", rare=True
    )


class SplitConfig(Section):
    """How chunks are held out."""

    by: Literal["chunk", "document"] = setting(
        "chunk",
        "by chunk, or by document. The tutorial splits by ``chunk``; by ``document``, no document "
        "is on both sides (E08)",
        flag="--split",
    )
    train_size: Size | Literal["rest"] = setting(
        "rest", "chunks to train on: count, share or rest", flag="--train-size"
    )
    test_size: Size = setting(0.1, "chunks to hold out: count or share", flag="--test-size")
    seed: Seed = setting(42, "seed of the shuffle")

    @field_validator("train_size", "test_size", mode="before")
    @classmethod
    def _not_all(cls, value: object) -> object:
        if isinstance(value, float) and value == 1.0:
            raise ValueError("1.0 is a share, and a share is less than 1; for one chunk, give 1")
        return value


class MaskingConfig(Section):
    """Which positions the model predicts, and what it reads there."""

    strategy: str = setting(
        "token",
        "a masking strategy; see mlmref plugins",
        flag="--masking",
        suggest="strategies",
    )
    options: dict[str, Any] = setting(
        {},
        "the strategy's own options. ``--mlm-probability`` sets the option ``mlm_probability``",
        properties={
            "mlm_probability": {
                "type": "number",
                "description": "probability that a token or word is a target",
                "flag": "--mlm-probability",
            }
        },
    )
    corruption: Corruption | None = setting(
        None,
        "percentages MASK/RANDOM/KEEP, such as 80/10/10. They are the shares of mask, random and "
        "kept tokens among the targets; a table is possible too. If they are not set, the "
        "strategy's own apply",
        flag="--corruption",
        rare=True,
    )

    @field_validator("corruption", mode="before")
    @classmethod
    def _shares(cls, value: object) -> object:
        """Read ``80/10/10`` as three percentages."""
        if not isinstance(value, str):
            return value
        try:
            mask, random, keep = (float(part) / 100 for part in value.split("/"))
        except ValueError:
            raise ValueError("give percentages as MASK/RANDOM/KEEP, such as 80/10/10") from None
        return {"mask": mask, "random": random, "keep": keep}
