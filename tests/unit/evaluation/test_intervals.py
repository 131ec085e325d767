"""What a model gained, paired over documents (spec/evaluation.md)."""

import math

import numpy as np
import pytest
from scipy import stats

from mlmref.base.errors import MlmrefError
from mlmref.evaluation.intervals import Documents, better, difference, mean_interval
from mlmref.settings.config import EvaluationConfig

CONFIG = EvaluationConfig(resamples=500)


def documents(nll, targets, numbers=None):
    """Return sums by document."""
    return Documents(
        numbers=np.arange(len(nll)) if numbers is None else np.array(numbers),
        nll=np.array(nll, dtype=float),
        targets=np.array(targets, dtype=float),
    )


def drawn(rng, size=120):
    """Return documents that differ much among each other, before and after a gain of about 0.5."""
    targets = rng.integers(1, 40, size)
    level = rng.normal(4, 1, size)
    before = documents(targets * level, targets)
    after = documents(targets * (level - rng.normal(0.5, 0.2, size)), targets)
    return before, after


@pytest.mark.clause("EVAL-012")
def test_a_gain_that_is_everywhere_the_same_is_certain():
    """A nat a target less in each document is a nat, without any width, and a ratio of 1/e."""
    before = documents([40.0, 9.0, 70.0], [10, 3, 20])
    after = documents(before.nll - before.targets, before.targets)
    gained = difference(before, after, CONFIG, 1).summary()
    assert gained == pytest.approx(
        {
            "nll": -1.0,
            "low": -1.0,
            "high": -1.0,
            "ratio": math.exp(-1),
            "ratio_low": math.exp(-1),
            "ratio_high": math.exp(-1),
        }
    )


@pytest.mark.clause("EVAL-012")
def test_the_difference_is_that_of_the_two_cross_entropies():
    """Summed over targets, whatever the documents, and the ratio is that of the perplexities."""
    before, after = drawn(np.random.default_rng(0))
    gained = difference(before, after, CONFIG, 1)
    means = [one.nll.sum() / one.targets.sum() for one in (before, after)]
    assert gained.nll == pytest.approx(means[1] - means[0])
    assert gained.summary()["ratio"] == pytest.approx(math.exp(means[1]) / math.exp(means[0]))
    assert gained.low < gained.nll < gained.high < 0


@pytest.mark.clause("EVAL-012")
def test_pairs_tell_more_than_two_intervals():
    """Where documents differ among each other the paired interval is a fraction of either's."""
    before, after = drawn(np.random.default_rng(1))
    gained = difference(before, after, CONFIG, 1)
    low, high = mean_interval(before, CONFIG, 1)
    assert gained.high - gained.low < (high - low) / 3


@pytest.mark.clause("EVAL-012")
def test_the_interval_covers_as_often_as_it_says():
    """Of 300 samples the interval of 90 % holds the true gain in a number that 90 % explains."""
    config = EvaluationConfig(resamples=200, confidence=0.9)
    rng, covered = np.random.default_rng(2), 0
    for sample in range(300):
        gained = difference(*drawn(rng), config, sample)
        covered += gained.low <= -0.5 <= gained.high
    assert stats.binomtest(covered, 300, 0.9).pvalue > 1e-4


@pytest.mark.clause("EVAL-012")
@pytest.mark.parametrize(
    "other",
    [
        documents([1.0, 2.0], [1, 3]),
        documents([1.0, 2.0], [1, 2], numbers=[0, 2]),
        documents([1.0], [1]),
    ],
    ids=["other-targets", "other-documents", "fewer"],
)
def test_other_targets_are_refused(other):
    """Sums over other targets or documents are no pair."""
    with pytest.raises(MlmrefError, match="evaluations have different targets"):
        difference(documents([1.0, 2.0], [1, 2]), other, CONFIG, 1)


@pytest.mark.clause("EVAL-012")
def test_one_document_has_a_difference_and_no_interval():
    """The difference is known, its interval is not."""
    gained = difference(documents([4.0], [2]), documents([3.0], [2]), CONFIG, 1)
    assert gained.nll == -0.5
    assert math.isnan(gained.low)
    assert math.isnan(gained.high)


@pytest.mark.clause("EVAL-012")
@pytest.mark.filterwarnings("error")
def test_what_was_infinite_before_is_no_number():
    """From a loss of infinity to a finite one the difference is minus infinity."""
    gained = difference(
        documents([math.inf, 1.0], [1, 1]), documents([1.0, 1.0], [1, 1]), CONFIG, 1
    )
    assert gained.nll == -math.inf
    assert gained.summary()["ratio"] == 0.0


@pytest.mark.clause("RUN-016")
def test_the_best_earlier_evaluation_is_found():
    """Of those that are better by more than chance the one with the least loss, and by how much."""
    first, last = drawn(np.random.default_rng(3))
    best = documents(last.nll - 0.3 * last.targets, last.targets)
    number, lost = better([first, best, last, first], CONFIG, 1)
    assert number == 1
    assert lost == difference(best, first, CONFIG, 1)
    assert better([first, best, last], CONFIG, 1)[0] == 1
    assert better([first, last, best], CONFIG, 1) is None


@pytest.mark.clause("RUN-016")
def test_what_may_be_chance_is_not_better():
    """Neither a difference whose interval has zero in it, nor one of a single document."""
    rng = np.random.default_rng(4)
    first, _ = drawn(rng)
    chance = documents(first.nll + rng.normal(0.2, 30, len(first)), first.targets)
    pair = [chance, first] if chance.nll.sum() < first.nll.sum() else [first, chance]
    assert better(pair, CONFIG, 1) is None
    assert better([documents([1.0], [10]), documents([9.0], [10])], CONFIG, 1) is None
