"""Draws: equal to a plain rewrite, wherever and however they are asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import masking as some
from support.naive_masking import plain_bits, plain_philox

from mlmref.plugin.draws import Draws, key_schedule, philox4x32

word = st.integers(0, 2**32 - 1)


def _draws_of(seed, pass_, chunk_ids, width):
    return Draws(seed=seed, pass_=pass_, chunk_ids=np.array(chunk_ids, np.int64), width=width)


@pytest.mark.clause("MASK-025")
@given(st.tuples(word, word, word, word), st.tuples(word, word))
def test_philox_equals_its_definition(counter, key):
    """The vectorised generator gives what ten rounds written out word by word give."""
    arrays = tuple(np.array([part], dtype=np.uint64) for part in counter)
    words = philox4x32(arrays, key_schedule(*key))
    assert tuple(int(part[0]) for part in words) == plain_philox(counter, key)


@pytest.mark.clause("MASK-025")
@given(
    st.tuples(*[st.sampled_from([(), (1,), (3,), (2, 1), (1, 3), (2, 3)])] * 4),
    st.tuples(word, word),
    st.integers(0, 2**32 - 1),
)
def test_words_may_be_of_any_shapes_that_broadcast(shapes, key, seed):
    """Words that are the same in rows, columns or everywhere give what they give laid out in full.

    They are left as they were.
    """
    draw = np.random.default_rng(seed)
    words = [draw.integers(2**32, size=shape or 1, dtype=np.uint64) for shape in shapes]
    words = [one if shape else one[0] for one, shape in zip(words, shapes, strict=True)]
    common = np.broadcast_shapes((1,), *shapes)
    full = tuple(np.broadcast_to(one, common).copy() for one in words)
    given_ = [np.array(one) for one in (*words, *full)]
    expected = philox4x32(full, key_schedule(*key))
    found = philox4x32((*words[:3], np.broadcast_to(words[3], common)), key_schedule(*key))
    for one, other in zip(found, expected, strict=True):
        assert one.tolist() == other.tolist()
    for one, before in zip((*words, *full), given_, strict=True):
        assert np.array_equal(one, before)


@pytest.mark.clause("MASK-026")
@given(
    some.seeds,
    some.passes,
    some.streams,
    st.lists(some.chunk_numbers, max_size=4),
    st.integers(0, 18),
)
def test_the_grid_equals_a_plain_rewrite(seed, pass_, stream, chunk_ids, width):
    """Every number of the grid is the one that the specification's key gives."""
    plain = [
        [plain_bits(seed, pass_, stream, chunk, position) for position in range(width)]
        for chunk in chunk_ids
    ]
    grid = _draws_of(seed, pass_, chunk_ids, width).bits(stream)
    assert grid.dtype == np.uint32
    assert grid.shape == (len(chunk_ids), width)
    assert grid.tolist() == plain


@pytest.mark.clause("MASK-002")
@given(
    st.lists(some.chunk_numbers, min_size=1, max_size=5),
    st.integers(1, 20),
    st.integers(0, 20),
    st.randoms(use_true_random=False),
)
def test_company_order_and_width_do_not_matter(chunk_ids, width, more, random):
    """Some of the rows, in another order and in a wider grid, have the same numbers."""
    order = random.sample(range(len(chunk_ids)), k=random.randint(1, len(chunk_ids)))
    whole = _draws_of(7, 1, chunk_ids, width).uniform("s")
    part = _draws_of(7, 1, [chunk_ids[row] for row in order], width + more).uniform("s")
    assert (part[:, :width] == whole[order]).all()


@pytest.mark.clause("MASK-028")
@given(st.lists(some.chunk_numbers, min_size=1, max_size=4), st.integers(1, 18), word, st.data())
def test_chosen_cells_equal_the_grid(chunk_ids, width, high, data):
    """Drawing at any cells, repeated or from the end, gives the grid's values there."""
    draws = _draws_of(3, 2, chunk_ids, width)
    height = len(chunk_ids)
    cell = st.tuples(st.integers(-height, height - 1), st.integers(-width, width - 1))
    cells = np.array(data.draw(st.lists(cell, max_size=30)), dtype=np.int64).reshape(-1, 2).T
    at = cells[0], cells[1]
    assert (draws.bits("s", at=at) == draws.bits("s")[at]).all()
    assert draws.bits("s", at=at).dtype == np.uint32
    assert (draws.uniform("s", at=at) == draws.uniform("s")[at]).all()
    assert (draws.integers("s", high + 1, at=at) == draws.integers("s", high + 1)[at]).all()


@pytest.mark.clause("MASK-027")
@given(some.seeds, st.integers(1, 2**32), some.probabilities)
def test_ranges_are_kept(seed, high, probability):
    """Every kind of number is the bits over 2**32, compared or scaled."""
    draws = _draws_of(seed, 0, [1, 2], 9)
    bits = draws.bits("s").tolist()
    assert draws.uniform("s").tolist() == [[b / 2**32 for b in row] for row in bits]
    assert draws.integers("s", high).tolist() == [[b * high // 2**32 for b in row] for row in bits]
    chosen = [[b / 2**32 < probability for b in row] for row in bits]
    assert draws.bernoulli("s", probability).tolist() == chosen
