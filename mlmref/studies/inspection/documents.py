"""Findings about documents and their lengths (INSP-004)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.data.corpus.cells import ODD
from mlmref.plugin.arrays import Int64Array
from mlmref.studies.inspection.findings import Finding, graded, of, share, spread

if TYPE_CHECKING:
    from mlmref.studies.inspection.inspected import Inspected

EMPTY = 0.01
"""Share of rows without text. An export leaves one here and there; more come of a wrong column."""

ONE_WORD = 0.05
"""Share of documents of a single word, which has no context to be predicted from. Headings and
ratings are some; where they are many, lines were taken for documents or the column is another."""

OUTLIER, OUTLIER_LEAST = 6.0, 20.0
"""How far above the median a document's length is an outlier: in standard deviations of the
logarithms, estimated from the median of their distances, and as a multiple of the median itself.
IMDb's longest review has 14 times the median's characters."""

_EXAMPLES = 3  # documents that are named
_ALIKE = 0.1  # the least standard deviation, of lengths that are all but equal


def findings(it: Inspected) -> Iterator[Finding]:
    """Look at the documents one by one."""
    size, empty = len(it.corpus), it.corpus.empty
    yield Finding(
        section="documents",
        key="number",
        what="documents",
        figure=f"{size:,}",
        values={"documents": size},
    )
    yield Finding(
        section="documents",
        key="empty",
        what="empty ones, which are left out",
        figure=of(empty, size + empty),
        values={"documents": empty, "share": share(empty, size + empty)},
        **graded(
            share(empty, size + empty),
            warning=EMPTY,
            hint="see whether --text-column names the column that holds the text",
        ),
    )
    skipped = len(it.tokens.skipped)
    yield Finding(
        section="documents",
        key="without_tokens",
        what="without an ordinary token, which are skipped",
        figure=of(skipped, size),
        values={"documents": skipped, "share": share(skipped, size)},
        **graded(
            share(skipped, size),
            warning=EMPTY,
            hint="look at them: their characters are invisible, unknown to the tokenizer, or "
            "removed by it",
        ),
    )
    lengths = np.diff(it.tokens.offsets)
    around = it.tokenizer.num_special_tokens_to_add()
    for key, what, amounts in (
        ("characters", "characters in one", it.seen.characters),
        ("tokens", f"tokens in one, {around} special ones included", lengths),
    ):
        values, figure = spread(amounts)
        yield Finding(section="documents", key=key, what=what, figure=figure, values=values)
    yield from _misread(it)
    short = int((it.seen.words <= 1).sum())
    yield Finding(
        section="documents",
        key="one_word",
        what="of a single word",
        figure=of(short, size),
        values={"documents": short, "share": share(short, size)},
        **graded(
            share(short, size),
            warning=ONE_WORD,
            hint="see whether --text-column names the right column; of a .txt file whose lines "
            "are no documents, take the whole with --documents file",
        ),
    )
    longer = int((lengths > it.config.chunks.size).sum())
    yield Finding(
        section="documents",
        key="longer_than_chunk",
        what="longer than a chunk",
        figure=of(longer, size),
        values={"documents": longer, "share": share(longer, size)},
    )


def _misread(it: Inspected) -> Iterator[Finding]:
    """Look for signs that a file does not hold the documents that were read of it (INSP-023)."""
    odd = it.corpus.odd
    yield Finding(
        section="documents",
        key="misread",
        what="rows that look misread",
        figure="; ".join(
            f"{rows:,}: {ODD[sign][0]}, {where}" for sign, (rows, where) in odd.items()
        )
        or "0",
        values={sign: {"rows": number, "first": where} for sign, (number, where) in odd.items()},
        mark="warning" if odd else "good",
        hint="; ".join(ODD[sign][1] for sign in odd) or None,
    )
    far = outliers(it.seen.characters)
    longest = int(it.seen.characters.argmax())
    where = it.corpus.place(longest)
    yield Finding(
        section="documents",
        key="length_outliers",
        what="far longer than the others",
        figure=of(len(far), len(it.corpus))
        + (f", such as {where}, with {it.seen.characters[longest]:,} characters" * bool(len(far))),
        values={
            "documents": len(far),
            "places": [it.corpus.place(one) for one in far[:_EXAMPLES]],
        },
        **graded(
            len(far),
            warning=0,  # one may be most of the corpus
            hint="look at it: a quotation mark that is not closed takes in the rows after it "
            "(--set corpus.quotes=no reads it as text)",
        ),
    )


def outliers(lengths: Int64Array) -> Int64Array:
    """Return the documents that are far longer than the others, the longest first (INSP-024)."""
    logs = np.log(lengths)
    above = logs - np.median(logs)
    deviation = max(1.4826 * float(np.median(np.abs(above))), _ALIKE)
    far = np.flatnonzero((above > OUTLIER * deviation) & (above >= np.log(OUTLIER_LEAST)))
    longest: Int64Array = far[np.argsort(-lengths[far], kind="stable")]
    return longest
