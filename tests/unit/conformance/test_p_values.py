"""The kit's p-values are SciPy's (spec/conformance.md)."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from mlmref.conformance.p_values import at_most, chi_square, surprising, surprising_sum


@pytest.mark.clause("KIT-013")
def test_counts_have_scipys_p_values():
    """From one trial to ten million, at rates near 0 and 1, and as integers or floats."""
    rng = np.random.default_rng(0)
    of = np.floor(10 ** rng.uniform(0, 7, 20_000)).astype(np.int64)
    near_0 = 10 ** rng.uniform(-5, 0, len(of))
    rate = np.where(rng.random(len(of)) < 0.5, near_0, 1 - near_0 * 0.999)
    away = np.sqrt(of * rate * (1 - rate)) * rng.normal(0, 4, len(of))
    count = np.clip(np.round(of * rate + away), 0, of).astype(np.int64)
    tails = stats.binom.cdf(count, of, rate), stats.binom.sf(count - 1, of, rate)
    expected = np.minimum(1, 2 * np.minimum(*tails))
    np.testing.assert_allclose(surprising(count, of, rate), expected, rtol=1e-6, atol=1e-40)
    np.testing.assert_array_equal(
        surprising(count.astype(np.float64), of, rate), surprising(count, of, rate)
    )
    few = np.arange(20)
    np.testing.assert_allclose(at_most(few, 20, 0.5), stats.binom.cdf(few, 20, 0.5))


@pytest.mark.clause("KIT-013")
@pytest.mark.parametrize(
    ("count", "of", "rate", "p_value"), [(0, 0, 0.5, 1), (0, 3, 0, 1), (3, 3, 1, 1), (1, 3, 0, 0)]
)
def test_what_cannot_surprise_and_what_cannot_happen(count, of, rate, p_value):
    """No trials, the only possible count, and an impossible one."""
    assert surprising(count, of, rate) == p_value


@pytest.mark.clause("KIT-013")
def test_a_sum_of_different_draws_is_not_less_surprising_than_it_says():
    """The exact tails of ten draws, over all 1,024 results, are never above the bound."""
    rng = np.random.default_rng(0)
    results = np.array([*product([0, 1], repeat=10)])
    for spread in (0.3, 1, 3, 10):
        rates = rng.random(10) ** spread
        chances = np.where(results == 1, rates, 1 - rates).prod(axis=1)
        sums = np.arange(11)
        exact = np.bincount(results.sum(axis=1), weights=chances)
        tails = np.minimum(np.cumsum(exact), np.cumsum(exact[::-1])[::-1])
        bound = surprising_sum(sums, 10, rates.sum())
        assert (np.minimum(1, 2 * tails) <= bound + 1e-12).all()
        assert bound.min() < 0.05
    assert surprising_sum(0, 0, 0.0) == 1


@pytest.mark.clause("KIT-013")
def test_chi_square_is_scipys():
    """Of a few counts, and of counts as expected."""
    seen, expected = np.array([5, 9, 16]), np.array([10.0, 10.0, 10.0])
    assert chi_square(seen, expected) == pytest.approx(stats.chisquare(seen, expected).pvalue)
    assert chi_square(expected, expected) == 1
