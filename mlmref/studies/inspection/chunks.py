"""Findings about chunks: remainder, words cut in two, chunks of several documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.model.max_length import NOT_STATED
from mlmref.studies.inspection.findings import Finding, graded, of, share

if TYPE_CHECKING:
    from mlmref.data.chunks import Chunks
    from mlmref.studies.inspection.inspected import Inspected

REMAINDER = 0.01
"""Share of tokens that are in no chunk. Of a corpus of a hundred chunks or more the one remainder
is less than that; what is more, is dropped for each 1,000 documents or of a small corpus."""

CUT = 0.01
"""Share of words that a chunk's end cuts in two, whose halves are masked as two words."""


def findings(it: Inspected) -> Iterator[Finding]:
    """Look at the chunks."""
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
        what="tokens in one, of those that the model reads",
        figure=f"{size:,} of {most:,}" if most < NOT_STATED else f"{size:,}, no limit is stated",
        values={"size": size, "max_length": most},
        **graded(size, warning=most, problem=most, hint=f"use --chunk-size {most} or less"),
    )
    left = total - int(chunks.lengths.sum())
    yield Finding(
        section="chunks",
        key="remainder",
        what="tokens in no chunk, the remainder",
        figure=of(left, total),
        values={"tokens": left, "share": share(left, total)},
        **graded(
            share(left, total),
            warning=REMAINDER,
            hint="keep them with --remainder pad, or take the remainder once with --chunk-scope "
            "corpus",
        ),
    )
    if it.tokens.has_words:
        yield _cut_words(it)
    several = int((np.bincount(chunks.parts()[0], minlength=number) > 1).sum())
    yield Finding(
        section="chunks",
        key="several_documents",
        what="of several documents",
        figure=of(several, number),
        values={"chunks": several, "share": share(several, number)},
    )


def cut_words(chunks: Chunks) -> tuple[int, int]:
    """Count the words that a chunk's end cuts in two, and the ends that more text follows.

    Args:
        chunks: of all documents, in the order of the corpus.
    """
    ends = chunks.starts + chunks.lengths
    ends = ends[ends < chunks.offsets[-1]]
    return int((~chunks.tokens.take(ends)[1]).sum()), len(ends)


def _cut_words(it: Inspected) -> Finding:
    """Tell how many words are cut in two by the end of a chunk."""
    cut, ends = cut_words(it.chunks)
    words = it.counted.words
    return Finding(
        section="chunks",
        key="cut_words",
        what="words that a chunk's end cuts in two",
        figure=f"{cut:,} at {ends:,} ends ({share(cut, ends):.1%}), "
        f"{share(cut, words):.2%} of the words".replace("%", " %"),
        values={
            "words": cut,
            "ends": ends,
            "share_of_ends": share(cut, ends),
            "share_of_words": share(cut, words),
        },
        **graded(
            share(cut, words),
            warning=CUT,
            hint="use a larger --chunk-size"
            + (f", up to {it.max_length}" if it.max_length < NOT_STATED else ""),
        ),
    )
