"""Findings about documents and their lengths (INSP-004, INSP-023 and INSP-024)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.data.corpus.cells import ODD
from mlmref.plugin.arrays import Int64Array
from mlmref.studies.inspection.findings import Finding, counted, spread

if TYPE_CHECKING:
    from mlmref.studies.inspection.findings import Inspected

EMPTY = 0.01
"""Share of rows without text. An export has a few; many mean that the column is the wrong one."""

ONE_WORD = 0.05
"""Share of documents of a single word, which has no context to be predicted from. Headings and
ratings are some; many mean that lines were read as documents, or that the column is wrong."""

OUTLIER, OUTLIER_LEAST = 6.0, 20.0
"""Bounds of a length outlier: how far its logarithm is above the median, in robust standard
deviations (1.4826 times the median absolute deviation), and its multiple of the median length.
IMDb's longest review has 14 times the characters of the median."""

_EXAMPLES = 3  # documents that are named
_SMALLEST = 0.1  # bound on the standard deviation, for lengths that are almost equal


def findings(it: Inspected) -> Iterator[Finding]:
    """Yield the findings about documents."""
    size, empty, section = len(it.corpus), it.corpus.empty, "documents"
    yield Finding(
        section=section,
        key="number",
        what="documents",
        figure=f"{size:,}",
        values={"documents": size},
    )
    yield counted(
        section, "empty", "empty rows (skipped)", empty, size + empty,
        warning=EMPTY, hint="check that --text-column names the column with the text",
    )  # fmt: skip
    yield counted(
        section,
        "without_tokens",
        "documents without an ordinary token (skipped)",
        len(it.tokens.skipped),
        size,
        warning=EMPTY,
        hint="look at them: their characters are invisible, unknown to the tokenizer, or removed "
        "by it",
    )
    lengths = np.diff(it.tokens.offsets)
    special = it.tokenizer.num_special_tokens_to_add()
    for key, what, amounts in (
        ("characters", "characters per document", it.seen.characters),
        ("tokens", f"tokens per document, with {special} special tokens", lengths),
    ):
        values, figure = spread(amounts)
        yield Finding(section=section, key=key, what=what, figure=figure, values=values)
    yield _misread(it)
    yield _outliers(it)
    yield counted(
        section,
        "one_word",
        "documents of a single word",
        int((it.seen.words <= 1).sum()),
        size,
        warning=ONE_WORD,
        hint="check that --text-column names the right column; if the lines of a .txt file are "
        "not documents, read it as one with --documents file",
    )
    longer = int((lengths > it.config.chunks.size).sum())
    yield counted(section, "longer_than_chunk", "documents longer than a chunk", longer, size)


def _misread(it: Inspected) -> Finding:
    """Report signs that a file was not read as intended (INSP-023)."""
    odd = it.corpus.odd
    shown = [f"{rows:,}: {ODD[sign][0]}, {where}" for sign, (rows, where) in odd.items()]
    return Finding(
        section="documents",
        key="misread",
        what="rows that look misread",
        figure="; ".join(shown) or "0",
        values={sign: {"rows": number, "first": where} for sign, (number, where) in odd.items()},
        mark="warning" if odd else "good",
        hint="; ".join(ODD[sign][1] for sign in odd) or None,
    )


def _outliers(it: Inspected) -> Finding:
    characters = it.seen.characters
    far = outliers(characters)
    places = [it.corpus.place(one) for one in far[:_EXAMPLES]]
    longest = f"; the longest, {places[0]}, has {characters.max():,} characters" if places else ""
    return counted(
        "documents",
        "length_outliers",
        "documents far longer than the others",
        len(far),
        len(it.corpus),
        warning=0,  # one document can be most of the corpus
        hint="look at it: a quotation mark that is not closed swallows the rows after it (read it "
        "as text with --set corpus.quotes=no)",
        such_as=longest,
        places=places,
    )


def outliers(lengths: Int64Array) -> Int64Array:
    """Return the documents that are far longer than the others, longest first (INSP-024).

    Args:
        lengths: int64 ``[D]``.
    """
    logs = np.log(lengths)
    above = logs - np.median(logs)
    deviation = max(1.4826 * float(np.median(np.abs(above))), _SMALLEST)
    far = np.flatnonzero((above > OUTLIER * deviation) & (above >= np.log(OUTLIER_LEAST)))
    longest: Int64Array = far[np.argsort(-lengths[far], kind="stable")]
    return longest
