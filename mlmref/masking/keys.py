"""The key of an example's mask: its id, or a hash of its tokens (COLL-005)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmref.base.errors import ConfigError
from mlmref.plugin.arrays import BoolArray, Int32Array, Int64Array
from mlmref.plugin.draws import key_schedule, philox4x32


def keys_of(
    features: Sequence[Mapping[str, Any]], tokens: Int32Array, there: BoolArray
) -> Int64Array:
    """Return the key of each row's random numbers, int64 ``[B]`` (COLL-005).

    The column ``id`` if the features have one (an integer itself, any other value hashed), or a
    hash of the row's tokens, int32 ``[B, T]``, without padding.

    Raises:
        ConfigError: an id has more than 63 bits.
    """
    if "id" in features[0]:
        given = [one["id"] for one in features]
        try:
            return np.array([_as_key(value) for value in given], dtype=np.int64)
        except OverflowError:
            raise ConfigError("an id is not between -2**63 and 2**63", where="id") from None
    return _content_keys(tokens, there)


def _content_keys(tokens: Int32Array, there: BoolArray) -> Int64Array:
    """Return a hash of each row's tokens, int64 ``[B]``, not negative.

    Multilinear: the sum of ``(token + 1) * c[position]`` modulo 2**64 with random ``c`` (Lemire and
    Kaser, "Strongly universal string hashing is fast", 2014), without its lowest bit.
    """
    terms = tokens.astype(np.uint64)
    terms += np.uint64(1)
    if not there.all():
        np.copyto(terms, 0, where=~there)
    keys: Int64Array = (terms @ _coefficients(tokens.shape[1]) >> np.uint64(1)).view(np.int64)
    return keys


@lru_cache(maxsize=64)
def _coefficients(width: int) -> NDArray[np.uint64]:
    """Return the random factors of positions, uint64 ``[width]``; those of fewer are its prefix."""
    schedule = key_schedule(0x6D6C6D72, 0x65660000)  # any fixed key
    position, zero = np.arange(width, dtype=np.uint64), np.zeros(width, dtype=np.uint64)
    high, low, *_ = philox4x32((position, zero, zero, zero), schedule)
    return (high << np.uint64(32)) | low


def _as_key(value: Any) -> int:
    if isinstance(value, str | bytes):
        return _hash(value.encode() if isinstance(value, str) else value)
    return int(value)


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) >> 1
