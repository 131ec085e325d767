"""Select the held-out targets whose losses a run keeps for its report.

The masks of an evaluation are frozen (EVAL-003), so the targets are known before any model is
asked; there are at most :data:`MOST` of them, of chunks chosen evenly (REP-009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlmref.data.chunks import Chunks
from mlmref.masking.masker import Masker
from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray, Int64Array
from mlmref.plugin.draws import EVALUATION_PASS

MOST = 200_000
"""Targets that are kept; a model's whole vocabulary several times over, in some megabytes."""

_TOKENS = 2**21  # looked at for them, which bounds the time
_BLOCK = 256  # chunks masked at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Held-out targets, in row-major order.

    Attributes:
        rows: int64 ``[n]``, which of the held-out chunks each is in; ascending.
        positions: int64 ``[n]``, where in it; ascending within a chunk.
        chunks: int64 ``[C]``, the held-out chunks whose targets these are; some may have none.
        width: tokens in a chunk.
    """

    rows: Int64Array
    positions: Int64Array
    chunks: Int64Array
    width: int

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, rows: Int64Array, positions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """Look up which of these some positions are.

        Args:
            rows: int64 ``[k]``, which of the held-out chunks.
            positions: int64 ``[k]``, where in them.

        Returns:
            Numbers of targets, int64 ``[m]``, and bool ``[k]``, which ``m`` positions are any.
        """
        own, asked = (
            at[0] * self.width + at[1] for at in ((self.rows, self.positions), (rows, positions))
        )
        places = np.searchsorted(own, asked)
        there: BoolArray = places < len(own)
        there[there] = own[places[there]] == asked[there]
        return places[there], there


def choose(chunks: Chunks, masker: Masker, most: int = MOST) -> Targets:
    """Choose the targets that are kept: all of them, or those of evenly chosen chunks.

    Args:
        chunks: the held-out chunks.
        masker: masks them as in evaluation.
        most: how many targets to keep, unless a single chunk has more.

    Raises:
        PluginError: as of the masker.
    """
    width = chunks.rule.size
    chosen = evenly(len(chunks), max(1, _TOKENS // width))
    found = []
    for first in range(0, len(chosen), _BLOCK):
        some = chosen[first : first + _BLOCK]
        labels = masker(chunks.gather(some), EVALUATION_PASS).labels
        rows, positions = np.nonzero(labels != IGNORE_INDEX)
        found.append((some[rows], positions.astype(np.int64)))
    rows, positions = (np.concatenate(part) for part in zip(*found, strict=True))
    if len(rows) > most:
        chosen = chosen[evenly(len(chosen), max(1, len(chosen) * most // len(rows)))]
        kept = np.isin(rows, chosen)
        rows, positions = rows[kept], positions[kept]
        while len(rows) > most and len(chosen) > 1:  # chunks differ in their targets
            chosen = chosen[:-1]
            kept = rows <= chosen[-1]
            rows, positions = rows[kept], positions[kept]
    return Targets(rows=rows, positions=positions, chunks=chosen, width=width)


def evenly(count: int, most: int) -> Int64Array:
    """Return at most so many of the numbers from 0 to below ``count``, evenly far apart."""
    number = min(count, most)
    return np.arange(number, dtype=np.int64) * count // max(1, number)
