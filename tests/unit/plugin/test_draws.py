"""Draws: a published generator, keys that stay, and no pattern between neighbours."""

import numpy as np
import pytest

from mlmref.plugin.draws import EVALUATION_PASS, Draws, key_schedule, philox4x32

ONES = 0xFFFFFFFF
# Random123 1.14.0, tests/kat_vectors, "philox4x32 10": counter, key, words.
KNOWN_ANSWERS = {
    "zero": ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    "pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}
SIGNIFICANT = 1e-4
"""A p-value below this fails; the seeds are fixed, so a test fails always or never."""


def _grid(stream="s", *, seed=1, pass_=0, chunks=range(512), width=128):
    ids = np.array(chunks, dtype=np.int64)
    return Draws(seed=seed, pass_=pass_, chunk_ids=ids, width=width).bits(stream)


@pytest.mark.clause("MASK-025")
@pytest.mark.parametrize("name", KNOWN_ANSWERS)
def test_known_answers(name):
    """The generator gives the known answers of its authors."""
    counter, key, words = KNOWN_ANSWERS[name]
    arrays = tuple(np.full(3, part, dtype=np.uint64) for part in counter)
    assert [part.tolist() for part in philox4x32(arrays, key_schedule(*key))] == [
        [word] * 3 for word in words
    ]


@pytest.mark.clause("MASK-026")
def test_numbers_stay_as_they_were_published():
    """Some numbers, taken down once, are still the same."""
    ids = np.array([0, 1, 2**40 + 3, -1], dtype=np.int64)
    draws = Draws(seed=2**63 + 42, pass_=EVALUATION_PASS, chunk_ids=ids, width=6)
    assert draws.bits("token").tolist() == [
        [4025138539, 3075820745, 242092849, 2328602770, 4237324754, 388187626],
        [1359525988, 1134576107, 676518254, 1037958979, 3201041056, 2304301412],
        [2750485882, 1177000215, 691284216, 3811890767, 3167422767, 3874627404],
        [2680283346, 3441938114, 2253410912, 3285176137, 512328576, 3683602132],
    ]


@pytest.mark.clause("MASK-026")
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_ids_are_numbers_of_any_width(dtype):
    """A chunk's numbers depend on its id, and not on how many bytes hold the id."""
    ids = np.array([3, -1, 100, 7], dtype=dtype)
    draws = Draws(seed=1, pass_=0, chunk_ids=ids, width=4)
    assert np.array_equal(draws.bits("s"), _grid(chunks=ids.tolist(), width=4))


@pytest.mark.clause("MASK-019")
def test_evaluation_has_a_pass_of_its_own():
    """The pass of evaluation is the last that there is, and draws differ from the first's."""
    assert EVALUATION_PASS == 2**32 - 1
    assert (_grid(pass_=EVALUATION_PASS) != _grid(pass_=0)).any()


@pytest.mark.clause("MASK-027")
def test_the_ends_of_the_range():
    """The largest number is under 1 and scales to high - 1; the smallest is 0 and scales to 0."""
    draws = Draws(seed=0, pass_=0, chunk_ids=np.arange(2), width=1)
    ends = np.array([[0], [2**32 - 1]], dtype=np.uint32)

    class Ends(Draws):
        def bits(self, stream, *, at=None):
            return ends

    ended = Ends(seed=0, pass_=0, chunk_ids=np.arange(2), width=1)
    assert ended.uniform("s").tolist() == [[0.0], [1 - 2.0**-32]]
    assert ended.integers("s", 7).tolist() == [[0], [6]]
    assert ended.integers("s", 2**32).tolist() == [[0], [2**32 - 1]]
    # Just above and below a draw: the comparison is strict, to the last bit.
    for probability in (0.0, 2.0**-40, 2.0**-32, 1 - 2.0**-32, 1 - 2.0**-40, 1.0):
        chosen = ended.bernoulli("s", probability)
        assert np.array_equal(chosen, ended.uniform("s") < probability)
        assert chosen.dtype == np.bool_
    assert draws.uniform("s").dtype == np.float64
    assert draws.integers("s", 7).dtype == np.int64


@pytest.mark.clause("MASK-027")
@pytest.mark.parametrize("high", [0, -1, 2**32 + 1])
def test_an_impossible_range_is_refused(high):
    """There are no integers in range(0), and not enough bits beyond 2**32."""
    draws = Draws(seed=0, pass_=0, chunk_ids=np.arange(2), width=1)
    with pytest.raises(ValueError, match=f"high is {high}, not between"):
        draws.integers("s", high)


@pytest.mark.clause("MASK-027")
@pytest.mark.parametrize("probability", [-1e-9, 1 + 1e-9, float("nan")])
def test_an_impossible_probability_is_refused(probability):
    """What is no probability is an error and not the nearest one."""
    draws = Draws(seed=0, pass_=0, chunk_ids=np.arange(2), width=1)
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        draws.bernoulli("s", probability)


@pytest.mark.clause("MASK-026")
@pytest.mark.parametrize(
    ("seed", "pass_", "message"),
    [(-1, 0, "seed -1"), (2**64, 0, "seed 18"), (0, -1, "pass -1"), (0, 2**32, "pass 4294967296")],
)
def test_keys_out_of_range_are_refused(seed, pass_, message):
    """A seed or pass that would be cut to another one's bits is an error."""
    with pytest.raises(ValueError, match=message):
        _grid(seed=seed, pass_=pass_)


@pytest.mark.clause("MASK-028")
@pytest.mark.parametrize("cell", [(2, 0), (-3, 0), (0, 5), (0, -6)])
def test_cells_outside_the_grid_are_refused(cell):
    """A row or position that the grid does not have is an IndexError."""
    draws = Draws(seed=0, pass_=0, chunk_ids=np.arange(2), width=5)
    with pytest.raises(IndexError):
        draws.bits("s", at=(np.array([cell[0]]), np.array([cell[1]])))


def _p_of_counts(values, kinds):
    from scipy import stats

    return stats.chisquare(np.bincount(values.ravel(), minlength=kinds)).pvalue


WINDOWS = {"high": 28, "middle": 12, "low": 0}


@pytest.mark.clause("MASK-029")
@pytest.mark.parametrize("shift", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize(
    "take",
    [
        lambda: _grid(),
        lambda: _grid(chunks=[3], width=65_536),
        lambda: _grid(chunks=range(65_536), width=1),
        lambda: _grid(chunks=[k << 32 for k in range(65_536)], width=1),
        lambda: np.stack([_grid(pass_=k, chunks=[3], width=128) for k in range(512)]),
        lambda: np.stack([_grid(seed=k, chunks=[3], width=128) for k in range(512)]),
        lambda: np.stack([_grid(seed=k << 32, chunks=[3], width=128) for k in range(512)]),
        lambda: np.stack([_grid(f"s{k}", chunks=[3], width=128) for k in range(512)]),
    ],
    ids=["grid", "positions", "chunks", "far-chunks", "passes", "seeds", "far-seeds", "streams"],
)
def test_draws_are_uniform(take, shift):
    """Sixteen equal cells of the bits are equally full, whatever part of the key varies."""
    assert _p_of_counts(take() >> np.uint32(shift) & np.uint32(15), 16) > SIGNIFICANT


@pytest.mark.clause("MASK-029")
def test_every_position_is_uniform():
    """At each position, over many chunks, the draws fill sixteen cells equally."""
    from scipy import stats

    cells = _grid(chunks=range(4096)) >> np.uint32(28)
    worst = min(_p_of_counts(cells[:, position], 16) for position in range(128))
    assert stats.binom.sf(0, 128, worst) > SIGNIFICANT  # the least of 128 p-values


@pytest.mark.clause("MASK-029")
@pytest.mark.parametrize("shift", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize(
    "other",
    [
        lambda: _grid(seed=2),
        lambda: _grid(seed=1 + 2**32),
        lambda: _grid(pass_=1),
        lambda: _grid(pass_=2**31),
        lambda: _grid("t"),
        lambda: _grid("S"),
        lambda: _grid(chunks=range(1, 513)),
        lambda: _grid(chunks=range(2**32, 2**32 + 512)),
        lambda: np.roll(_grid(), 1, axis=1),
        lambda: np.roll(_grid(), 4, axis=1),
    ],
    ids=[
        "seed", "far-seed", "pass", "far-pass", "stream", "case", "chunk", "far-chunk", "position",
        "block",
    ],
)  # fmt: skip
def test_neighbours_are_independent(other, shift):
    """Pairs of draws under neighbouring keys fill a table of 16 by 16 cells equally."""
    one, two = (bits >> np.uint32(shift) & np.uint32(15) for bits in (_grid(), other()))
    assert _p_of_counts(one * np.uint32(16) + two, 256) > SIGNIFICANT


@pytest.mark.clause("MASK-029")
@pytest.mark.parametrize("axis", [0, 1], ids=["chunks", "positions"])
def test_there_is_no_serial_correlation(axis):
    """The correlation at lags 1 to 8 is that of independent numbers."""
    from scipy import stats

    uniform = (_grid(chunks=range(2048)) / 2**32 - 0.5) * np.sqrt(12)
    for lag in range(1, 9):
        here = uniform[lag:] if axis == 0 else uniform[:, lag:]
        there = uniform[:-lag] if axis == 0 else uniform[:, :-lag]
        # The mean of n products of independent numbers of mean 0 and variance 1.
        z = (here * there).sum() / np.sqrt(here.size)
        assert 2 * stats.norm.sf(abs(z)) > SIGNIFICANT
