"""Findings about copies and near copies, also across the split (INSP-006 to INSP-011)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.plugin.arrays import BoolArray, Int64Array
from mlmref.studies.inspection.findings import Finding, counted
from mlmref.studies.inspection.reading import texts_of
from mlmref.studies.inspection.similar import ALIKE

if TYPE_CHECKING:
    from mlmref.data.split import Split
    from mlmref.studies.inspection.findings import Inspected
    from mlmref.studies.inspection.reading import Seen

REPEATED = 0.01
"""Share of documents that are copies, which count twice in training. IMDb's reviews, which nobody
cleans, have fewer."""

LEAKED, LEAKED_MOST = 0.01, 0.10
"""Bounds of the share of held-out chunks with text of a document that has a copy in training. The
model predicts text that it was trained on better. A hundredth of the targets hardly changes the
mean; with more than a tenth, perplexity measures memorization, not adaptation."""

_EXAMPLES, _BEGINNING = 3, 60  # pairs that are shown, and characters of each
_KEEP_ONE = "keep one of each; mlmref does not remove copies"


def findings(it: Inspected) -> Iterator[Finding]:
    """Yield the findings about documents that repeat one another."""
    seen, size, section = it.seen, len(it.corpus), "duplicates"
    own = seen.copies == np.arange(size)
    repeated = int(size - own.sum())
    pairs = np.stack([seen.copies, np.arange(size)], axis=1)[~own]
    yield counted(
        section,
        "exact",
        "copies of an earlier document",
        repeated,
        size,
        warning=REPEATED,
        hint=_KEEP_ONE,
        **_such_as(it, pairs),
    )
    nearly = int(own.sum() - len(np.unique(seen.groups())))
    best = np.argsort(-seen.similarity, kind="stable")
    shown = _such_as(it, seen.pairs[best])
    for one, similarity in zip(shown["examples"], seen.similarity[best], strict=False):
        one["similarity"] = float(similarity)
    yield counted(
        section,
        "near",
        f"near copies of an earlier document (similarity {ALIKE} or more)",
        nearly,
        size,
        warning=REPEATED,
        hint=_KEEP_ONE,
        pairs=len(seen.pairs),
        **shown,
    )
    if it.split is None:
        return
    exact, near = leaks(it.split, seen)
    for kind, what, chunks in (("exact", "copy", exact), ("near", "near copy", near)):
        yield counted(
            section,
            f"{kind}_across",
            f"held-out chunks of a document with a {what} in training",
            chunks,
            len(it.split.test),
            unit="chunks",
            warning=LEAKED,
            problem=LEAKED_MOST,
            hint="keep one of each document; --split document does not detect copies",
        )


def leaks(split: Split, seen: Seen) -> tuple[int, int]:
    """Count the held-out chunks with text of a document that has a copy in training (INSP-011).

    Returns:
        The chunks with a document that has a copy in training, and among the other chunks, those
        with a document that has a near copy in training.
    """
    size = len(seen.copies)
    rows, documents = split.test.parts()
    trained = np.unique(split.train.parts()[1])
    inside = np.zeros(size, np.bool_)
    inside[trained] = True
    # The documents of each group of copies in training, indexed by the group's first document. A
    # document that is on both sides itself is no copy (E08 has its own finding).
    groups = np.bincount(seen.copies[trained], minlength=size)
    copied = (groups[seen.copies] - inside) > 0
    left, right = seen.pairs.T
    similar = np.zeros(size, np.bool_)
    similar[left[groups[right] > 0]] = True
    similar[right[groups[left] > 0]] = True
    exact = _any(rows, copied[documents], len(split.test))
    near = _any(rows, similar[seen.copies][documents], len(split.test))
    return int(exact.sum()), int((near & ~exact).sum())


def _any(rows: Int64Array, true: BoolArray, size: int) -> BoolArray:
    """Return for each of ``size`` rows whether any of its entries is true."""
    found = np.zeros(size, np.bool_)
    found[rows[true]] = True
    return found


def _such_as(it: Inspected, pairs: Int64Array) -> dict[str, Any]:
    """Show the first pairs: where both documents are, and how the second begins.

    Returns:
        ``such_as`` (text that names the first pair) and ``examples`` (values).
    """
    pairs = pairs[:_EXAMPLES]
    found = [
        {"places": [it.corpus.place(one) for one in pair], "begins": text[:_BEGINNING]}
        for pair, text in zip(pairs, texts_of(it.corpus, pairs[:, 1]), strict=True)
    ]
    if not found:
        return {"such_as": "", "examples": found}
    one, other = found[0]["places"]
    file, _, unit = other.rpartition(", ")
    short = unit if one.startswith(f"{file}, ") else other
    return {"such_as": f", such as {one} and {short}", "examples": found}
