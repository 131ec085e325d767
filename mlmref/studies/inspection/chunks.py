"""Findings about chunks: remainder, words cut in two, chunks with several documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.base.number_format import fixed_percent
from mlmref.model.max_length import NOT_STATED
from mlmref.studies.inspection.findings import Finding, counted, graded, share

if TYPE_CHECKING:
    from mlmref.data.chunks import Chunks
    from mlmref.studies.inspection.findings import Inspected

REMAINDER = 0.01
"""Share of tokens in no chunk. A corpus of a hundred chunks loses less with its one remainder; a
higher share means one remainder per 1,000 documents, or a small corpus."""

CUT = 0.01
"""Share of words that the end of a chunk cuts in two. Each half is masked as a word of its own."""


def findings(it: Inspected) -> Iterator[Finding]:
    """Yield the findings about chunks."""
    chunks, total = it.chunks, int(it.tokens.offsets[-1])
    size, most, number = it.config.chunks.size, it.max_length, len(it.chunks)
    refused = next((error for error in it.refused if not number), None)
    yield Finding(
        section="chunks",
        key="number",
        what=f"chunks of {size:,} tokens",
        figure=f"{number:,}" if refused is None else refused.what,
        values={"chunks": number, "size": size},
        mark="figure" if refused is None else "problem",
        hint=None if refused is None else refused.hint,
    )
    yield Finding(
        section="chunks",
        key="model_length",
        what="chunk size, of the model's maximum",
        figure=f"{size:,} of {most:,}" if most < NOT_STATED else f"{size:,}, no maximum is stated",
        values={"size": size, "max_length": most},
        **graded(size, warning=most, problem=most, hint=f"use --chunk-size {most} or less"),
    )
    yield counted(
        "chunks",
        "remainder",
        "tokens in no chunk (remainder)",
        total - int(chunks.lengths.sum()),
        total,
        unit="tokens",
        warning=REMAINDER,
        hint="keep them with --remainder pad, or have one remainder with --chunk-scope corpus",
    )
    if it.tokens.has_words:
        yield _cut_words(it)
    several = int((np.bincount(chunks.parts()[0], minlength=number) > 1).sum())
    yield counted(
        "chunks", "several_documents", "chunks with several documents", several, number,
        unit="chunks",
    )  # fmt: skip


def cut_words(chunks: Chunks) -> tuple[int, int]:
    """Count the words that the end of a chunk cuts in two, and the ends that more text follows.

    Args:
        chunks: the chunks of all documents, in the order of the corpus.
    """
    ends = chunks.starts + chunks.lengths
    ends = ends[ends < chunks.offsets[-1]]
    return int((~chunks.tokens.take(ends)[1]).sum()), len(ends)


def _cut_words(it: Inspected) -> Finding:
    cut, ends = cut_words(it.chunks)
    of_ends, of_words = share(cut, ends), share(cut, it.counted.words)
    most = f", up to {it.max_length}" if it.max_length < NOT_STATED else ""
    larger = f"use a larger --chunk-size{most}" if it.chunks.rule.size < it.max_length else ""
    return Finding(
        section="chunks",
        key="cut_words",
        what="words cut in two by the end of a chunk",
        figure=f"{cut:,} at {ends:,} ends ({fixed_percent(of_ends, 1)}), "
        f"{fixed_percent(of_words, 2)} of the words",
        values={"words": cut, "ends": ends, "share_of_ends": of_ends, "share_of_words": of_words},
        **graded(of_words, warning=CUT, hint=larger),
    )
