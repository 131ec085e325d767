"""Inspect a corpus: prepare it as a run does, and collect findings.

Nothing is trained and no weights are read. If a run would refuse the corpus, the reason is a
finding (INSP-002, INSP-003).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.base.errors import MlmrefError
from mlmref.base.progress import SILENT, Reporter
from mlmref.settings.config import Config
from mlmref.studies.inspection.findings import Finding, Inspected, InspectionReport

if TYPE_CHECKING:
    from mlmref.data.chunks import Chunks
    from mlmref.data.split import Split
    from mlmref.data.tokens.tokens import Tokens
    from mlmref.plugin.registry import Registry


def inspect(
    config: Config, *, reporter: Reporter = SILENT, registry: Registry | None = None
) -> InspectionReport:
    """Return the findings about a corpus as a run would use it.

    Args:
        config: the settings of the run.
        reporter: the progress callback.
        registry: the plugins to use; by default those installed.

    Raises:
        MlmrefError: the corpus, the tokenizer or the segmenter cannot be used.
    """
    it = prepare(config, reporter, registry)
    with reporter.stage("look"):
        return InspectionReport.of(config.model.name, it.corpus.source, findings(it))


def prepare(config: Config, reporter: Reporter, registry: Registry | None) -> Inspected:
    """Load, tokenize, chunk and split a corpus, as a run does, and count its tokens."""
    with reporter.stage("start"):  # importing torch takes seconds
        from mlmref.base.quiet_libraries import quiet
        from mlmref.data.corpus.load import load_corpus
        from mlmref.data.tokenizer.vocabulary import unknown_id
        from mlmref.data.tokens.tokenize import tokenize
        from mlmref.model.load import check_documents, load_tokenizer
        from mlmref.plugin.discovery import discover
        from mlmref.plugin.registry import choose
        from mlmref.studies.inspection.counts import count
        from mlmref.studies.inspection.reading import read
        from mlmref.studies.inspection.tokens import with_skipped

        registry = registry or discover()
        words = registry.segmenter(config.words.segmenter)
        segmenter = choose(words, config.words.options, "words.options")
        tokenizer, max_length = load_tokenizer(config.model)
    with quiet():
        corpus = load_corpus(config.corpus, reporter)
    check_documents(config.model, tokenizer, corpus, reporter)
    tokens = tokenize(corpus, tokenizer, segmenter=segmenter, reporter=reporter)
    with reporter.stage("chunk"):
        chunks, parts, refused = cut_and_split(config, tokens, max_length)
    with reporter.stage("count"):
        counted = count(tokens, unknown_id(tokenizer))
        counted = with_skipped(counted, tokens, corpus, tokenizer)
    return Inspected(
        config=config,
        tokenizer=tokenizer,
        max_length=max_length,
        corpus=corpus,
        seen=read(corpus, reporter),
        tokens=tokens,
        counted=counted,
        chunks=chunks,
        split=parts,
        refused=refused,
    )


def cut_and_split(
    config: Config, tokens: Tokens, max_length: int
) -> tuple[Chunks, Split | None, tuple[MlmrefError, ...]]:
    """Chunk and split as a run does; collect its errors and continue."""
    from mlmref.data.chunks import chunk, cut
    from mlmref.data.split import split

    refused: list[MlmrefError] = []
    try:
        chunks = chunk(tokens, config.chunks, max_length=max_length)
    except MlmrefError as error:
        refused.append(error)
        chunks = cut(tokens, config.chunks, np.arange(len(tokens.offsets) - 1))
    parts = None
    if len(chunks):
        try:
            parts = split(chunks, config.split)
        except MlmrefError as error:
            refused.append(error)
    return chunks, parts, tuple(refused)


def findings(it: Inspected) -> Iterator[Finding]:
    """Yield all findings, section by section."""
    from mlmref.studies.inspection import chunks, documents, duplicates, split, tokens

    for section in (documents, duplicates, tokens, chunks, split):
        yield from section.findings(it)
