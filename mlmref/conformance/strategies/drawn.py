"""Draw vocabularies and rows with Hypothesis, so that a failing case can shrink."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlmref.conformance.strategies.rows import make_rows
from mlmref.conformance.strategies.worlds import Case, World, make_vocabulary
from mlmref.plugin.batches import ChunkRows

_chunk_numbers = st.one_of(st.integers(0, 50), st.integers(-(2**63), 2**63 - 1))


@st.composite
def small_worlds(draw: Any) -> World:
    """Draw a vocabulary with special ids at any place and at least one ordinary id."""
    size = draw(st.integers(4, 40))
    special = draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=size - 2))
    mask_id, pad_id = (draw(st.sampled_from(sorted(special))) for _ in range(2))
    # Some tokenizers pad with an ordinary token.
    pad_id = draw(st.one_of(st.just(pad_id), st.integers(0, size - 1)))
    vocabulary = make_vocabulary(size, np.array(sorted(special)), mask_id, pad_id)
    ordinary = vocabulary.ordinary_ids
    return World(
        vocabulary=vocabulary, begins=ordinary, continues=ordinary, cls_id=mask_id, sep_id=mask_id
    )


@st.composite
def small_rows(draw: Any, world: World) -> ChunkRows:
    """Draw rows of any tokens and words, with special tokens anywhere; some padded or empty."""
    height, width = draw(st.integers(0, 5)), draw(st.integers(0, 20))
    shape = (height, width)
    lengths = draw(arrays.arrays(np.int32, height, elements=st.integers(0, width)))
    word_start = draw(arrays.arrays(np.bool_, shape, fill=st.nothing()))
    numbers = draw(arrays.arrays(np.int32, shape, elements=st.integers(0, 10**6)))
    special = world.vocabulary.special_ids
    # The ids agree with the word starts.
    ids = np.select(
        [numbers % 8 == 7, word_start],
        [special[numbers % len(special)], world.begins[numbers % len(world.begins)]],
        world.continues[numbers % len(world.continues)],
    )
    chunk_ids = draw(st.lists(_chunk_numbers, min_size=height, max_size=height, unique=True))
    return make_rows(world.vocabulary, ids, word_start, lengths, np.array(chunk_ids, np.int64))


@lru_cache(maxsize=64)
def small_cases(world: World | None = None) -> Any:
    """Return the Hypothesis strategy for small cases; by default of any vocabulary."""
    return _small_cases(world)


@st.composite
def _small_cases(draw: Any, world: World | None) -> Case:
    chosen = world or draw(small_worlds())
    return Case(
        vocabulary=chosen.vocabulary,
        rows=draw(small_rows(chosen)),
        seed=draw(st.sampled_from([42, 0, 2**64 - 1]) | st.integers(0, 2**64 - 1)),
        pass_=draw(st.sampled_from([0, 1, 2**32 - 1]) | st.integers(0, 2**32 - 1)),
    )
