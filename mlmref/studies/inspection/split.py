"""Findings about the split, and its overlap with training (INSP-017 to INSP-019)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.studies.inspection.findings import Finding, graded, of, share

if TYPE_CHECKING:
    from mlmref.data.split import Split
    from mlmref.studies.inspection.inspected import Inspected

LEAST = 2
"""Held-out documents. The interval of a perplexity resamples them, and there is none of one
(EVAL-006)."""


def findings(it: Inspected) -> Iterator[Finding]:
    """Look at the two sides."""
    rule = it.config.split
    if it.split is None:
        why = it.refused[-1]
        if len(it.chunks):  # else the sections before have said it
            yield Finding(
                section="split",
                key="sizes",
                what="chunks on either side",
                figure=why.what,
                mark="problem",
                hint=why.hint,
            )
        return
    train, test = len(it.split.train), len(it.split.test)
    yield Finding(
        section="split",
        key="sizes",
        what="chunks on either side",
        figure=f"{train:,} to train on, {test:,} held out, by {rule.by}",
        values={"train": train, "test": test, "by": rule.by},
        mark="good",
    )
    held = len(np.unique(it.split.test.parts()[1]))
    few = held < LEAST
    yield Finding(
        section="split",
        key="held_out_documents",
        what="documents that are held out, in whole or in part",
        figure=f"{held:,}",
        values={"documents": held},
        mark="warning" if few else "good",
        hint="use a larger --test-size or more documents, or a perplexity has no interval"
        if few
        else None,
    )
    both = shared(it.split)
    yield Finding(
        section="split",
        key="shared_document",
        what="held-out chunks that share a document with training",
        figure=of(both, test),
        values={"chunks": both, "share": share(both, test)},
        **graded(
            both,
            warning=0,  # none is what --split document gives
            hint="use --split document, which keeps documents apart (the tutorial does not: E08)",
        ),
    )


def shared(split: Split) -> int:
    """Count the held-out chunks that share a document with a training chunk (E08)."""
    rows, documents = split.test.parts()
    return len(np.unique(rows[np.isin(documents, split.train.parts()[1])]))
