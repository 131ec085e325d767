"""Select the held-out targets whose losses a run keeps for its report.

The masks of an evaluation are fixed (EVAL-003), so the targets are known before it. A run keeps
at most :data:`MOST` of them, from evenly spaced chunks (REP-009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlmref.data.chunks import Chunks
from mlmref.masking.masker import Masker
from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray, Int64Array
from mlmref.plugin.draws import EVALUATION_PASS

MOST = 200_000
"""Most targets to keep: several times the size of a vocabulary, in a few megabytes."""

_TOKENS = 2**21  # most tokens to mask for the choice, which bounds the time
_BLOCK = 256  # chunks masked at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Held-out targets, in row-major order.

    Attributes:
        rows: int64 ``[n]``, the held-out chunk of each target, ascending.
        positions: int64 ``[n]``, its position in the chunk, ascending within a chunk.
        chunks: int64 ``[C]``, all chosen chunks, also those without a target.
        width: tokens in a chunk.
    """

    rows: Int64Array
    positions: Int64Array
    chunks: Int64Array
    width: int

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, rows: Int64Array, positions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """Find the targets at some positions.

        Args:
            rows: int64 ``[k]``, held-out chunks.
            positions: int64 ``[k]``, positions in them.

        Returns:
            Indices of the ``m`` targets found, int64 ``[m]``, and bool ``[k]``, which of the
            positions have one.
        """
        own, asked = (
            at[0] * self.width + at[1] for at in ((self.rows, self.positions), (rows, positions))
        )
        places = np.searchsorted(own, asked)
        there: BoolArray = places < len(own)
        there[there] = own[places[there]] == asked[there]
        return places[there], there


def choose(chunks: Chunks, masker: Masker, most: int = MOST) -> Targets:
    """Return the targets to keep: all of them, or those of evenly spaced chunks.

    Args:
        chunks: the held-out chunks.
        masker: masks them as in evaluation.
        most: the most targets to keep, unless a single chunk has more.

    Raises:
        PluginError: the masking strategy fails.
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
        while len(rows) > most and len(chosen) > 1:  # chunks have different numbers of targets
            chosen = chosen[:-1]
            kept = rows <= chosen[-1]
            rows, positions = rows[kept], positions[kept]
    return Targets(rows=rows, positions=positions, chunks=chosen, width=width)


def evenly(count: int, most: int) -> Int64Array:
    """Return at most ``most`` of the integers below ``count``, evenly spaced."""
    number = min(count, most)
    return np.arange(number, dtype=np.int64) * count // max(1, number)
