"""Counter-based random numbers, keyed by seed, pass, stream, chunk and position.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a
128-bit counter and a 64-bit key into 128 random bits, without state between calls. Here the counter
is the place of a number (position, chunk) and the key is its purpose (seed, pass, stream). A chunk
therefore has the same numbers in every batch, worker and rank, and after a resume.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mlmref.plugin.arrays import BoolArray, FloatArray, Int64Array

EVALUATION_PASS: int = 2**32 - 1
"""The pass for the masks of evaluation; it is always the same and never an epoch (MASK-019)."""

UInt64Array = NDArray[np.uint64]
Counter = tuple[UInt64Array, UInt64Array, UInt64Array, UInt64Array]
Schedule = tuple[tuple[UInt64Array, UInt64Array], ...]
Cells = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]
"""Rows and positions, both ``[n]``, as ``np.nonzero`` gives them for a ``[B, width]`` array."""

LANES = 4
"""Numbers from one counter: position ``t`` has lane ``t % 4`` of block ``t // 4``."""

_LOW = 2**32 - 1


def _constant(value: int) -> UInt64Array:
    # A zero-dimensional array: NumPy would convert a Python integer at each operation, which takes
    # a third of the generator's time at 64 x 128.
    return np.array(value, dtype=np.uint64)


_MULTIPLIER_0, _MULTIPLIER_1 = _constant(0xD2511F53), _constant(0xCD9E8D57)
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_SPREAD = 4  # rounds after which each word depends on all four
_LOW_WORD, _HALF, _ZERO = _constant(_LOW), _constant(32), _constant(0)


def key_schedule(key_0: int, key_1: int) -> Schedule:
    """Return the keys of all rounds of Philox4x32-10 from its two 32-bit words."""
    return tuple(
        (
            _constant((key_0 + turn * _WEYL_0) & _LOW),
            _constant((key_1 + turn * _WEYL_1) & _LOW),
        )
        for turn in range(_ROUNDS)
    )


def philox4x32(counter: Counter, schedule: Schedule) -> Counter:
    """Encrypt counters with Philox4x32-10 (MASK-025).

    Args:
        counter: four 32-bit words, each as uint64; the shapes broadcast to at least one dimension.
            Do not broadcast them beforehand: the first rounds then cost less.
        schedule: of :func:`key_schedule`.

    Returns:
        Four words of 32 random bits, in uint64 of the common shape.
    """
    c0, c1, c2, c3 = counter
    for key_0, key_1 in schedule[:_SPREAD]:
        product_0, product_1 = c0 * _MULTIPLIER_0, c2 * _MULTIPLIER_1
        c0, c2 = (product_1 >> _HALF) ^ c1 ^ key_0, (product_0 >> _HALF) ^ c3 ^ key_1
        c1, c3 = product_1 & _LOW_WORD, product_0 & _LOW_WORD
    # All words have the common shape now. Working in place saves a tenth of the time; a positional
    # output is faster than ``out=``.
    product_0, product_1 = np.empty_like(c0), np.empty_like(c0)
    for key_0, key_1 in schedule[_SPREAD:]:
        np.multiply(c0, _MULTIPLIER_0, product_0)
        np.multiply(c2, _MULTIPLIER_1, product_1)
        np.right_shift(product_1, _HALF, c0)
        np.right_shift(product_0, _HALF, c2)
        np.bitwise_xor(c0, c1, c0)
        np.bitwise_xor(c2, c3, c2)
        np.bitwise_xor(c0, key_0, c0)
        np.bitwise_xor(c2, key_1, c2)
        np.bitwise_and(product_1, _LOW_WORD, c1)
        np.bitwise_and(product_0, _LOW_WORD, c3)
    return c0, c1, c2, c3


@lru_cache(maxsize=256)
def stream_schedule(seed: int, pass_: int, stream: str) -> Schedule:
    """Return the key of a stream, derived with the generator itself (MASK-026).

    The seed is the key; the counter is the pass and the first 96 bits of the SHA-256 of the
    stream's name, little-endian. Two names have the same key with probability 2**-64.
    """
    digest = hashlib.sha256(stream.encode()).digest()
    name = [int.from_bytes(digest[start : start + 4], "little") for start in (0, 4, 8)]
    first, second, third, fourth = (np.array([word], np.uint64) for word in (pass_, *name))
    words = philox4x32((first, second, third, fourth), key_schedule(seed & _LOW, seed >> 32))
    return key_schedule(int(words[0][0]), int(words[1][0]))


class Draws:
    """The random numbers of some chunks: a ``[B, width]`` grid for every stream name.

    A value depends only on seed, pass, stream, chunk id and position, and not on the other rows,
    their order or the width (MASK-002, MASK-026). The same call gives the same values again; use
    another stream name for other values. Names that begin with ``mlmref.`` are reserved.

    Args:
        seed: the run's seed, in ``range(2**64)``.
        pass_: the epoch, counted from 0, or :data:`EVALUATION_PASS`; in ``range(2**32)``.
        chunk_ids: int64 ``[B]``.
        width: positions in a row.

    Raises:
        ValueError: the seed or the pass is out of range.
    """

    __slots__ = ("_high", "_low", "_pass", "_seed", "_width")

    def __init__(self, *, seed: int, pass_: int, chunk_ids: Int64Array, width: int) -> None:
        if not 0 <= seed < 2**64:
            raise ValueError(f"the seed {seed} is not in range(2**64)")
        if not 0 <= pass_ < 2**32:
            raise ValueError(f"the pass {pass_} is not in range(2**32)")
        ids = np.asarray(chunk_ids, dtype=np.int64).view(np.uint64)
        self._low, self._high = ids & _LOW_WORD, ids >> _HALF
        self._seed, self._pass, self._width = seed, pass_, width

    def bits(self, stream: str, *, at: Cells | None = None) -> NDArray[np.uint32]:
        """Draw 32 random bits for each position.

        Args:
            stream: the name of the stream.
            at: draw only at these cells; the values are those of the whole grid (MASK-028).

        Returns:
            uint32 ``[B, width]``, or ``[n]`` with ``at``.

        Raises:
            IndexError: ``at`` points outside the grid.
        """
        schedule = stream_schedule(self._seed, self._pass, stream)
        if at is not None:
            rows, positions = at
            # Indexing treats negative and too large positions as in any other array.
            positions = np.arange(self._width)[positions]
            blocks = (positions // LANES).astype(np.uint64)
            words = philox4x32((blocks, self._low[rows], self._high[rows], _ZERO), schedule)
            return np.choose(positions % LANES, words).astype(np.uint32)
        height, count = len(self._low), -(-self._width // LANES)
        blocks = np.arange(count, dtype=np.uint64)[None, :]
        words = philox4x32((blocks, self._low[:, None], self._high[:, None], _ZERO), schedule)
        grid = np.empty((height, count, LANES), dtype=np.uint32)
        for lane, word in enumerate(words):
            grid[:, :, lane] = word
        return grid.reshape(height, count * LANES)[:, : self._width]

    def bernoulli(self, stream: str, probability: float) -> BoolArray:
        """Draw bool ``[B, width]``, true with the given probability: never for 0, always for 1.

        The same as ``uniform(stream) < probability``, but faster (MASK-027).

        Raises:
            ValueError: the probability is not between 0 and 1.
        """
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"the probability {probability} is not between 0 and 1")
        bits, last = self.bits(stream), math.ceil(probability * 2**32) - 1
        return bits <= np.uint32(last) if last >= 0 else np.zeros(bits.shape, dtype=np.bool_)

    def uniform(self, stream: str, *, at: Cells | None = None) -> FloatArray:
        """Draw multiples of 2**-32 from ``[0, 1)``; arguments and shape as of :meth:`bits`.

        ``uniform(...) < p`` holds with probability ``p`` to within 2**-32 (MASK-027).
        """
        return self.bits(stream, at=at) * np.float64(2.0**-32)

    def integers(self, stream: str, high: int, *, at: Cells | None = None) -> Int64Array:
        """Draw int64 from ``range(high)``; arguments and shape as of :meth:`bits`.

        Each value's probability is within 2**-32 of ``1 / high`` (MASK-027).

        Raises:
            ValueError: ``high`` is not between 1 and 2**32.
        """
        if not 1 <= high <= 2**32:
            raise ValueError(f"high is {high}, not between 1 and 2**32")
        scaled = self.bits(stream, at=at).astype(np.uint64) * _constant(high)
        return (scaled >> _HALF).astype(np.int64)
