"""Words and kinds of targets whose loss fell or rose in training (REP-011)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlmref.plugin.arrays import BoolArray, FloatArray, Int64Array

if TYPE_CHECKING:
    import pyarrow as pa

LEAST = 5
"""The fewest targets of a listed word; fewer say more about their context than the word."""

SHOWN = 12
"""The most words listed on either side."""

_EDGES = (1, 10, 100, 1_000, 10_000)
_BANDS = ("never", "1 to 9 times", "10 to 99", "100 to 999", "1,000 to 9,999", "10,000 or more")
_PARTS = {
    "whole": "a whole word in one token",
    "first": "the first subword of a word",
    "later": "a later subword of a word",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Targets with a common property.

    Attributes:
        name: the property.
        targets: the number of targets.
        before, after: their mean loss, in nats.
    """

    name: str
    targets: int
    before: float
    after: float

    @property
    def change(self) -> float:
        """The change of the mean loss, in nats; negative if it fell."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """The losses of the targets before and after training.

    Attributes:
        all: all targets.
        words: the number of words with at least :data:`LEAST` targets.
        fell: the words whose mean loss fell most, largest change first.
        rose: the words whose mean loss rose most, largest change first.
        bands: groups by the token's count in the training text.
        parts: groups by the token's part of its word; empty if the tokenizer has no words.
    """

    all: Group
    words: int
    fell: list[Group]
    rose: list[Group]
    bands: list[Group]
    parts: list[Group]


def learnt(table: pa.Table) -> Learnt | None:
    """Return the groups of ``held_out.parquet``; ``None`` if no target was measured twice."""
    before, after = (_column(table, name) for name in ("before", "after"))
    twice = ~(np.isnan(before) | np.isnan(after))
    if not twice.any():
        return None
    before, after = before[twice], after[twice]

    def group(name: str, which: BoolArray) -> Group:
        return Group(
            name=name,
            targets=int(which.sum()),
            before=float(before[which].mean()),
            after=float(after[which].mean()),
        )

    words = _words(table, twice, before, after)
    finite = [one for one in words if math.isfinite(one.change)]
    ordered = sorted(finite, key=lambda one: (one.change, one.name))
    band = np.digitize(_column(table, "count")[twice], _EDGES)
    part, names = _codes(table, "part", twice)
    by_part = [(_PARTS[name], part == names.index(name)) for name in _PARTS if name in names]
    return Learnt(
        all=group("all targets", np.ones(len(before), np.bool_)),
        words=len(words),
        fell=[one for one in ordered[:SHOWN] if one.change < 0],
        rose=[one for one in ordered[::-1][:SHOWN] if one.change > 0],
        bands=[group(name, band == nth) for nth, name in enumerate(_BANDS) if (band == nth).any()],
        parts=[group(name, which) for name, which in by_part if which.any()],
    )


def _words(table: pa.Table, twice: BoolArray, before: FloatArray, after: FloatArray) -> list[Group]:
    """Return a group for each word with enough targets."""
    code, names = _codes(table, "word", twice)
    if not names:
        return []
    counts = np.bincount(code, minlength=len(names))
    sums = [np.bincount(code, of, minlength=len(names)) for of in (before, after)]
    return [
        Group(
            name=names[nth],
            targets=int(counts[nth]),
            before=float(sums[0][nth] / counts[nth]),
            after=float(sums[1][nth] / counts[nth]),
        )
        for nth in np.flatnonzero(counts >= LEAST).tolist()
    ]


def _codes(table: pa.Table, name: str, which: BoolArray) -> tuple[Int64Array, list[str]]:
    """Return the code of each text in a column, and the texts by code."""
    texts = table[name].combine_chunks()
    if texts.null_count:
        return np.full(int(which.sum()), -1), []
    # Words of different tokens may have the same text, which the dictionary then has twice.
    names, same = np.unique(
        np.array(texts.dictionary.to_pylist(), dtype=object), return_inverse=True
    )
    codes: Int64Array = same[texts.indices.to_numpy()[which]]
    return codes, names.tolist()


def _column(table: pa.Table, name: str) -> FloatArray:
    values: FloatArray = table[name].to_numpy().astype(np.float64)
    return values
