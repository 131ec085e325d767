"""Findings about documents and their lengths (INSP-004)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.studies.inspection.findings import Finding, graded, of, share, spread

if TYPE_CHECKING:
    from mlmref.studies.inspection.inspected import Inspected

EMPTY = 0.01
"""Share of rows without text. An export leaves one here and there; more come of a wrong column."""

ONE_WORD = 0.05
"""Share of documents of a single word, which has no context to be predicted from. Headings and
ratings are some; where they are many, lines were taken for documents or the column is another."""


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
    lengths = np.diff(it.tokens.offsets)
    around = it.tokenizer.num_special_tokens_to_add()
    for key, what, amounts in (
        ("characters", "characters in one", it.seen.characters),
        ("tokens", f"tokens in one, {around} special ones included", lengths),
    ):
        values, figure = spread(amounts)
        yield Finding(section="documents", key=key, what=what, figure=figure, values=values)
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
