"""Preview training chunks under masking strategies, without training (spec/preview.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mlmref.base.closest import suggest
from mlmref.base.errors import ConfigError, ModelError
from mlmref.base.progress import SILENT, Reporter
from mlmref.base.progress.clock import Clock
from mlmref.data.tokens.spelling import Spelling
from mlmref.masking.rates import MASKED, NAMES, Looked, count, look, rates
from mlmref.plugin.arrays import Int64Array
from mlmref.runner.context import RunContext
from mlmref.runner.log.provenance import plugin_used
from mlmref.runner.text import masker_for, prepare_text
from mlmref.settings.config import Config
from mlmref.studies.preview.parts import Masking, Preview, ShownChunk, Unit, Used

if TYPE_CHECKING:
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.plugin.registry import Registry

SAMPLE = 1_000
"""Chunks over which rates are counted, or all if there are fewer."""

UNITS = ("words", "tokens")
"""What text is shown as."""


def preview(
    configs: Sequence[Config],
    *,
    chunks: int = 3,
    first: int = 1,
    epoch: int = 1,
    unit: str | None = None,
    reporter: Reporter = SILENT,
    registry: Registry | None = None,
) -> Preview:
    """Show training chunks as each of some strategies masks them; trains nothing.

    Args:
        configs: a run's settings for each strategy, which differ in ``masking`` alone.
        chunks: how many chunks to show; fewer if there are not as many.
        first: which training chunk to begin with, from 1.
        epoch: whose masks, from 1.
        unit: ``words`` or ``tokens``; left out, words where they are told.
        reporter: told of progress.
        registry: the plugins to use; left out, those installed.

    Raises:
        ConfigError: there is no such chunk or unit (PREV-011).
        ModelError: the tokenizer cannot be used, or tells no words where they are asked for.
        CorpusError: the text cannot be found, read or cut.
        PluginError: a strategy is missing, broken, or breaks a clause.
    """
    from mlmref.model.load import load_tokenizer

    if unit not in (None, *UNITS):
        raise ConfigError(f"no unit {unit!r}", where="--as", hint=suggest(str(unit), UNITS))
    clock = Clock()
    contexts = [RunContext.of(config, registry, reporter, clock) for config in configs]
    config = contexts[0].config
    with contexts[0].stage("load"):
        tokenizer, limit = load_tokenizer(config.model)
    text = prepare_text(contexts[0], tokenizer, limit)
    train, tokens = text.split.train, text.chunks.tokens
    if first > len(train):
        raise ConfigError(
            f"there is no training chunk {first:,}, only {len(train):,}",
            where="--first",
            hint=f"begin with 1 to {len(train)}",
        )
    if unit == "words" and not tokens.has_words:
        raise ModelError(
            "its tokenizer finds no words",
            where=config.model.name,
            hint="use --as tokens, or a --segmenter that finds words",
        )
    unit = unit or ("words" if tokens.has_words else "tokens")
    maskers = [replace(masker_for(one, text), seed=one.config.training_seed) for one in contexts]
    sample = np.arange(min(SAMPLE, len(train)))
    with reporter.stage("mask", len(maskers) * len(sample), "chunks") as stage:
        # One by one, since a chunk's mask does not depend on its batch (MASK-001).
        looked = [
            [look(masker, train.gather(np.array([nth])), epoch - 1) for masker in maskers]
            for nth in range(first - 1, min(first - 1 + chunks, len(train)))
        ]
        found = [
            rates(masker, train, sample, epoch - 1, has_words=tokens.has_words, stage=stage)
            for masker in maskers
        ]
    strategies = [
        Used(
            masking=plugin_used(one.plugins.strategy),
            corruption=None if masker.entry.replaces else masker.corruption.model_dump(),
            shown=count(under, has_words=tokens.has_words),
            sample=its_rates,
        )
        for one, masker, its_rates, under in zip(
            contexts, maskers, found, zip(*looked, strict=True), strict=True
        )
    ]
    spelling, names = Spelling(tokenizer), [masker.entry.name for masker in maskers]
    cut = _tokens if unit == "tokens" else _words
    shown = [
        _chunk(
            number, names, under, partial(cut, spelling), text.corpus, has_words=tokens.has_words
        )
        for number, under in enumerate(looked, first)
    ]
    return Preview(
        model=config.model.name,
        corpus=text.corpus.source,
        training_chunks=len(train),
        seed=config.training_seed,
        epoch=epoch,
        unit=unit,
        mask_token=spelling.subwords([tokens.vocabulary.mask_id])[0],
        strategies=strategies,
        chunks=shown,
    )


def _chunk(
    number: int,
    names: Sequence[str],
    looked: Sequence[Looked],
    cut: Callable[[Looked], list[Unit]],
    corpus: Corpus,
    *,
    has_words: bool,
) -> ShownChunk:
    """Put together what is shown of a chunk, which is the only one of each of ``looked``."""
    rows = looked[0].rows
    length = int(rows.lengths[0])
    documents = rows.documents[0, :length]
    return ShownChunk(
        number=number,
        chunk=int(rows.chunk_ids[0]),
        documents=len(np.unique(documents)),
        places=(corpus.place(documents[0]), corpus.place(documents[-1])),
        tokens=length,
        padding=rows.input_ids.shape[1] - length,
        maskings=[
            Masking(
                strategy=name,
                rates=count([under], has_words=has_words),
                units=_with_boundaries(cut(under), rows.documents[0]),
                input_ids=under.masked.input_ids[0].tolist(),
                labels=under.masked.labels[0].tolist(),
            )
            for name, under in zip(names, looked, strict=True)
        ],
    )


def _tokens(spelling: Spelling, looked: Looked) -> list[Unit]:
    """Return each token by itself."""
    length = int(looked.rows.lengths[0])
    columns = (
        looked.kinds[0, :length].tolist(),
        spelling.subwords(looked.rows.input_ids[0, :length].tolist()),
        spelling.subwords(looked.masked.input_ids[0, :length].tolist()),
    )
    return [
        Unit(kind=NAMES[kind], true=true, read=read, tokens=1, joined=False)
        for kind, true, read in zip(*columns, strict=True)
    ]


def _words(spelling: Spelling, looked: Looked) -> list[Unit]:
    """Return each word, in parts where its tokens did not come out alike."""
    length = int(looked.rows.lengths[0])
    kinds, words = looked.kinds[0, :length], looked.words[0, :length]
    begins = np.append(True, (kinds[1:] != kinds[:-1]) | (words[1:] != words[:-1]))
    begins[1:] |= words[1:] < 0  # each special token by itself
    edges = np.append(np.flatnonzero(begins), length).tolist()
    units = []
    for begin, end in pairwise(edges):
        kind = int(kinds[begin])
        true = looked.rows.input_ids[0, begin:end].tolist()
        read = looked.masked.input_ids[0, begin:end].tolist()
        units.append(
            Unit(
                kind=NAMES[kind],
                true=spelling.text(true),
                # Masks one by one, since how many there are tells the model something.
                read=" ".join(spelling.subwords(read)) if kind == MASKED else spelling.text(read),
                tokens=end - begin,
                joined=bool(begin and words[begin] >= 0 and words[begin] == words[begin - 1]),
            )
        )
    return units


def _with_boundaries(units: Sequence[Unit], documents: Int64Array) -> list[Unit]:
    """Put a boundary between units of two documents; int64 ``[T]``, each token's document."""
    found: list[Unit] = []
    at = 0
    for unit in units:
        if at and documents[at] != documents[at - 1]:
            found.append(Unit(kind="boundary", true="", read="", tokens=0, joined=False))
        found.append(unit)
        at += unit.tokens
    return found
