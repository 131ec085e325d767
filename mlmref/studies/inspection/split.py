"""Findings about the split (INSP-017 and INSP-018)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlmref.studies.inspection.findings import Finding, counted

if TYPE_CHECKING:
    from mlmref.data.split import Split
    from mlmref.studies.inspection.findings import Inspected

LEAST = 2
"""Held-out documents. The interval of a perplexity resamples them, so it needs two (EVAL-006)."""


def findings(it: Inspected) -> Iterator[Finding]:
    """Yield the findings about training and held-out chunks."""
    what = "training and held-out chunks"
    if it.split is None:
        why = it.refused[-1]
        if len(it.chunks):  # without chunks, the section "chunks" has the error
            yield Finding(
                section="split", key="sizes", what=what, figure=why.what, mark="problem",
                hint=why.hint,
            )  # fmt: skip
        return
    train, test, rule = len(it.split.train), len(it.split.test), it.config.split.by
    yield Finding(
        section="split",
        key="sizes",
        what=what,
        figure=f"{train:,} and {test:,}, split by {rule}",
        values={"train": train, "test": test, "by": rule},
        mark="good",
    )
    held = len(np.unique(it.split.test.parts()[1]))
    few = held < LEAST
    yield Finding(
        section="split",
        key="held_out_documents",
        what="held-out documents, in whole or in part",
        figure=f"{held:,}",
        values={"documents": held},
        mark="warning" if few else "good",
        hint="use a larger --test-size or more documents; with one, perplexity has no interval"
        if few
        else None,
    )
    yield counted(
        "split",
        "shared_document",
        "held-out chunks that share a document with training",
        shared(it.split),
        test,
        unit="chunks",
        warning=0,  # --split document gives 0
        hint="use --split document, which keeps each document on one side (the tutorial's split "
        "does not: E08)",
    )


def shared(split: Split) -> int:
    """Count the held-out chunks that share a document with a training chunk (E08)."""
    rows, documents = split.test.parts()
    return len(np.unique(rows[np.isin(documents, split.train.parts()[1])]))
