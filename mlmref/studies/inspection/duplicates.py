"""Find repeated documents, also across the split (INSP-006 to INSP-011)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.plugin.arrays import BoolArray, Int64Array
from mlmref.studies.inspection.findings import Finding, graded, of, share
from mlmref.studies.inspection.reading import texts_of
from mlmref.studies.inspection.similar import ALIKE

if TYPE_CHECKING:
    from mlmref.data.split import Split
    from mlmref.studies.inspection.inspected import Inspected
    from mlmref.studies.inspection.reading import Seen

REPEATED = 0.01
"""Share of documents that repeat another. Each counts twice in training; IMDb's reviews, which
nobody cleans, repeat fewer, and of a corpus that does more somebody should know why."""

LEAKED, LEAKED_MOST = 0.01, 0.10
"""Share of held-out chunks with text of a document that is on the training side as well. What was
trained on is predicted better: a hundredth of the targets hardly moves the mean of all, and with
more than a tenth a perplexity tells of memory, not of adaptation."""

_EXAMPLES, _BEGINNING = 3, 60  # pairs that are shown, and characters of each


def findings(it: Inspected) -> Iterator[Finding]:
    """Look for documents that repeat one another."""
    seen, size = it.seen, len(it.corpus)
    own = seen.copies == np.arange(size)
    repeated = int(size - own.sum())
    pairs = np.stack([seen.copies, np.arange(size)], axis=1)[~own]
    yield Finding(
        section="duplicates",
        key="exact",
        what="documents that repeat an earlier one",
        figure=of(repeated, size) + _such_as(it, pairs),
        values={
            "documents": repeated,
            "share": share(repeated, size),
            "examples": _examples(it, pairs),
        },
        **graded(share(repeated, size), warning=REPEATED, hint="keep one of each; no flag does it"),
    )
    nearly = int(own.sum() - len(np.unique(seen.kin())))
    best = np.argsort(-seen.similarity, kind="stable")
    yield Finding(
        section="duplicates",
        key="near",
        what=f"that nearly do (similarity {ALIKE} or more)",
        figure=of(nearly, size) + _such_as(it, seen.pairs[best]),
        values={
            "documents": nearly,
            "share": share(nearly, size),
            "pairs": len(seen.pairs),
            "examples": [
                {**one, "similarity": float(similarity)}
                for one, similarity in zip(
                    _examples(it, seen.pairs[best]), seen.similarity[best], strict=False
                )
            ],
        },
        **graded(share(nearly, size), warning=REPEATED, hint="keep one of each; no flag does it"),
    )
    if it.split is None:
        return
    held = len(it.split.test)
    exact, near = leaks(it.split, seen)
    for key, what, chunks in (
        ("exact_across", "held-out chunks of a document repeated in training", exact),
        ("near_across", "held-out chunks of a document nearly repeated in training", near),
    ):
        yield Finding(
            section="duplicates",
            key=key,
            what=what,
            figure=of(chunks, held),
            values={"chunks": chunks, "share": share(chunks, held)},
            **graded(
                share(chunks, held),
                warning=LEAKED,
                problem=LEAKED_MOST,
                hint="keep one of each document; --split document does not part copies",
            ),
        )


def leaks(split: Split, seen: Seen) -> tuple[int, int]:
    """Count the held-out chunks with text of a document that another in training repeats.

    Returns:
        Chunks with a document that is the same as another in training; and of those without,
        chunks with one that is nearly the same.
    """
    size = len(seen.copies)
    rows, documents = split.test.parts()
    trained = np.unique(split.train.parts()[1])
    inside = np.zeros(size, np.bool_)
    inside[trained] = True
    # How many documents of each kind are in training, by the first of the kind; a document that
    # is on both sides itself is no copy (that is E08's, and another finding).
    kinds = np.bincount(seen.copies[trained], minlength=size)
    copied = (kinds[seen.copies] - inside) > 0
    left, right = seen.pairs.T
    beside = np.zeros(size, np.bool_)
    beside[left[kinds[right] > 0]] = True
    beside[right[kinds[left] > 0]] = True
    exact = _any(rows, copied[documents], len(split.test))
    near = _any(rows, beside[seen.copies][documents], len(split.test))
    return int(exact.sum()), int((near & ~exact).sum())


def _any(rows: Int64Array, true: BoolArray, size: int) -> BoolArray:
    """Tell for each row whether anything in it is true."""
    found = np.zeros(size, np.bool_)
    found[rows[true]] = True
    return found


def _such_as(it: Inspected, pairs: Int64Array) -> str:
    """Name the first of some pairs, if there is one."""
    if not len(pairs):
        return ""
    one, other = map(it.corpus.place, pairs[0])
    file, _, unit = other.rpartition(", ")
    return f", such as {one} and {unit if one.startswith(f'{file}, ') else other}"


def _examples(it: Inspected, pairs: Int64Array) -> list[dict[str, Any]]:
    """Show the first of some pairs: where both documents are, and how the second begins."""
    pairs = pairs[:_EXAMPLES]
    texts = texts_of(it.corpus, pairs[:, 1])
    return [
        {"places": [it.corpus.place(one) for one in pair], "begins": text[:_BEGINNING]}
        for pair, text in zip(pairs, texts, strict=True)
    ]
