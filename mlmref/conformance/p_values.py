"""p-values of counts: the exact binomial test and Pearson's chi-square test.

``scipy.stats`` gives the same numbers, but takes a second to import and, for a single count, thirty
times as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def at_most(count: Any, of: Any, probability: Any) -> Any:
    """Return the binomial probability of ``count`` successes or fewer; ``count < of``."""
    from scipy.special import betaincc

    return betaincc(count + 1, of - count, probability)


def surprising(count: Any, of: Any, probability: Any) -> Any:
    """Return the two-sided exact binomial p-value of each count, at most 1."""
    from scipy.special import betainc

    others = of - count
    below = np.where(others > 0, at_most(count, np.maximum(of, count + 1), probability), 1.0)
    above = np.where(count > 0, betainc(np.maximum(count, 1), others + 1, probability), 1.0)
    return np.minimum(1.0, 2 * np.minimum(below, above))


def surprising_sum(count: Any, of: Any, expected: Any) -> Any:
    """Return an upper bound of the two-sided p-value of each sum of independent draws.

    The draws of a sum may have different probabilities. At a distance of 1 or more from the mean,
    the tails of the binomial distribution with the same mean are at least as heavy (Hoeffding, "On
    the distribution of the number of successes in independent trials", 1956, theorem 4).

    Args:
        count: number of successes.
        of: number of draws.
        expected: sum of the probabilities of the draws.
    """
    binomial = surprising(count, of, expected / np.maximum(of, 1))
    return np.where(np.abs(count - expected) >= 1.0, binomial, 1.0)


def chi_square(seen: Any, expected: Any) -> float:
    """Return the p-value of Pearson's chi-square test of counts with the same sum."""
    from scipy.special import chdtrc

    return float(chdtrc(len(seen) - 1, ((seen - expected) ** 2 / expected).sum()))
