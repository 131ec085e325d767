"""Intervals over seeds and documents, and the test beside them (spec/compare.md)."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlmref.studies.comparison import statistics
from mlmref.studies.comparison.answer import verdict
from mlmref.studies.comparison.statistics import Estimate, estimates, holm, randomized

FEW = {"seed": 7, "resamples": 400, "confidence": 0.95}


def sums(
    rng, *, figures=1, seeds=5, documents=60, effect=0.1, by_seed=0.0, by_document=0.0, rest=0.02
):
    """Return sums that differ from zero by a known effect a target, and targets, 20 each."""
    targets = np.full(documents, 20.0)
    chance = (
        rng.normal(0, by_seed, (figures, seeds, 1)),
        rng.normal(0, by_document, (figures, 1, documents)),
        rng.normal(0, rest, (figures, seeds, documents)),
    )
    return targets * (effect + sum(chance)), targets


def drawn(seed, size=(2, 4, 30)):
    """Return sums of two variants, which differ much among documents and little in pairs."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(1, 40, size[2]).astype(float)
    level = rng.normal(4, 1, size[2])
    return targets * (level + rng.normal(0, 0.1, size)), targets


@pytest.mark.clause("COMP-011")
@pytest.mark.clause("COMP-013")
@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(2, 40))
def test_what_is_the_same_does_not_differ(seed, seeds, documents):
    """A difference of zero has no width, and every swap is as large."""
    (one, _), targets = drawn(seed, (2, seeds, documents))
    (same,) = estimates((one - one)[None], targets, **FEW)
    assert same.value == 0
    assert same.both == same.over_seeds == same.over_documents == (0, 0)
    assert randomized((one - one).sum(axis=0)[None], seed=seed, resamples=200) == [1.0]


@pytest.mark.clause("COMP-011")
@pytest.mark.clause("COMP-012")
@pytest.mark.clause("COMP-013")
@given(st.integers(0, 2**32), st.integers(2, 6), st.integers(2, 40))
def test_swapping_the_two_flips_the_sign(seed, seeds, documents):
    """Value and intervals change their sign, and the probability stays."""
    (one, other), targets = drawn(seed, (2, seeds, documents))
    there, back = estimates(np.array([other - one, one - other]), targets, **FEW)
    assert there.value == -back.value
    for name in ("both", "over_seeds", "over_documents"):
        low, high = getattr(back, name)
        assert getattr(there, name) == pytest.approx((-high, -low), rel=1e-9, abs=1e-12)
    swaps = np.array([other - one, one - other]).sum(axis=1)
    first, second = randomized(swaps, seed=seed, resamples=200)
    assert first == second


def covered(seeds, what):
    """Return how often intervals of 95 % hold a known difference: both, over seeds, documents."""
    share = {"documents alone": (0, 1), "both alike": (1, 1), "seeds alone": (1, 0)}[what]
    # What a mean of so many seeds, and one of 60 documents, has of either is alike then.
    by_seed, by_document = 0.05 * share[0] * math.sqrt(seeds / 60), 0.05 * share[1]
    rng, held = np.random.default_rng(1), np.zeros(3)
    for sample in range(400):
        made, targets = sums(rng, seeds=seeds, by_seed=by_seed, by_document=by_document, rest=0.005)
        (one,) = estimates(made, targets, seed=sample, resamples=300, confidence=0.95)
        ranges = (one.both, one.over_seeds, one.over_documents)
        held += [low <= 0.1 <= high for low, high in ranges]
    return held / 400


SPEC = (Path(__file__).parents[4] / "spec" / "compare.md").read_text("utf-8")
ROWS = re.findall(r"^\| (\d+) \| (\w+ alone|both alike) \| (.*) % \|$", SPEC, re.MULTILINE)


@pytest.mark.clause("COMP-011")
@pytest.mark.clause("COMP-012")
@pytest.mark.clause("COMP-016")
@pytest.mark.parametrize(("seeds", "what", "printed"), ROWS)
def test_the_intervals_cover_as_often_as_the_specification_says(seeds, what, printed):
    """Each as its row says, and as 95 % where its kind of chance is all; nowhere do all miss."""
    assert len(ROWS) == 5
    both, over_seeds, over_documents = held = covered(int(seeds), what)
    print(f"| {seeds} | {what} | {' | '.join(f'{100 * one:.0f} %' for one in held)} |")  # noqa: T201 - for -rP
    assert [100 * one for one in held] == pytest.approx(
        [float(one) for one in printed.split(" % | ")], abs=3
    )
    right = {"documents alone": [both, over_documents], "seeds alone": [over_seeds]}.get(what, [])
    for one in right:
        assert stats.binomtest(round(400 * one), 400, 0.95).pvalue > 1e-3
    assert max(both, over_seeds) > 0.9


@pytest.mark.clause("COMP-012")
def test_over_documents_it_is_scipys_bootstrap():
    """The ends are those of scipy.stats.bootstrap on the means over seeds, but for the draws."""
    (one, _), targets = drawn(3, (2, 4, 80))
    (made,) = estimates(one[None], targets, seed=1, resamples=10_000, confidence=0.9)
    expected = stats.bootstrap(
        (one.mean(axis=0), targets),
        lambda nll, n, axis: nll.sum(axis) / n.sum(axis),
        paired=True,
        method="percentile",
        n_resamples=10_000,
        confidence_level=0.9,
        rng=np.random.default_rng(5),
    ).confidence_interval
    width = expected.high - expected.low
    assert made.over_documents == pytest.approx((expected.low, expected.high), abs=0.04 * width)


@pytest.mark.clause("COMP-012")
def test_over_seeds_it_is_scipys_t_test():
    """The ends are the interval of scipy.stats.ttest_1samp of each seed's value."""
    (one, _), targets = drawn(4)
    (made,) = estimates(one[None], targets, **FEW)
    expected = stats.ttest_1samp(one.sum(axis=1) / targets.sum(), 0).confidence_interval(0.95)
    assert made.over_seeds == pytest.approx((expected.low, expected.high))


@pytest.mark.clause("COMP-011")
def test_it_is_the_bootstrap_that_was_published():
    """On one document size, its spread is that of means under both resamplings, done one by one."""
    rng = np.random.default_rng(6)
    made, targets = sums(rng, by_seed=0.02, by_document=0.1)
    (one,) = estimates(made, targets, seed=1, resamples=10_000, confidence=0.95)
    table = made[0] / 20
    means = [
        table[np.ix_(rng.integers(0, 5, 5), rng.integers(0, 60, 60))].mean() for _ in range(10_000)
    ]
    expected = np.quantile(means, [0.025, 0.975])
    assert one.both == pytest.approx(expected, abs=0.04 * np.ptp(expected))


@pytest.mark.clause("COMP-013")
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.7])
def test_swapping_is_scipys_permutation_test(shift):
    """Of eleven documents all 2,048 swaps can be tried: the share of them is the probability."""
    rng = np.random.default_rng(8)
    gain = rng.normal(shift, 1, 11)
    exact = stats.permutation_test(
        (gain, np.zeros(11)),
        lambda one, other, axis: (one - other).sum(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    (made,) = randomized(gain[None], seed=1, resamples=10_000)
    assert stats.binomtest(round(made * 10_001) - 1, 10_000, exact).pvalue > 1e-3


@pytest.mark.clause("COMP-013")
def test_no_probability_is_zero():
    """As large a difference as no swap gives is one of the 200 swaps and itself."""
    assert randomized(np.ones((1, 60)), seed=1, resamples=200) == [1 / 201]


@pytest.mark.clause("COMP-013")
def test_without_a_difference_the_test_is_wrong_as_often_as_it_says():
    """Of 400 samples without a difference about 5 % are at 5 %, though seeds share documents."""
    rng = np.random.default_rng(9)
    made = np.array([sums(rng, effect=0, by_document=0.1)[0][0].sum(axis=0) for _ in range(400)])
    wrong = sum(one <= 0.05 for one in randomized(made, seed=3, resamples=400))
    assert stats.binomtest(wrong, 400, 0.05).pvalue > 1e-3


@pytest.mark.clause("COMP-011")
@pytest.mark.clause("COMP-013")
def test_parts_and_company_change_nothing(monkeypatch):
    """Resamples drawn a few at a time, or beside other figures, give the same."""
    (one, other), targets = drawn(10)
    alone = estimates(one[None], targets, **FEW)[0]
    swaps = randomized((other - one).sum(axis=0)[None], seed=1, resamples=400)
    monkeypatch.setattr(statistics, "_DRAWN", 7 * 30)
    beside = estimates(np.array([one, other]), targets, **FEW)[0]
    for name in ("both", "over_seeds", "over_documents"):
        assert getattr(beside, name) == pytest.approx(getattr(alone, name), rel=1e-12)
    assert randomized((other - one).sum(axis=0)[None], seed=1, resamples=400) == swaps
    assert estimates(one[None], targets, **{**FEW, "seed": 8})[0].both != alone.both


@pytest.mark.clause("COMP-015")
@pytest.mark.filterwarnings("error")
def test_one_seed_one_document_or_an_infinite_loss_have_no_interval():
    """Neither of what would need two, and the value stays."""

    def there(made, targets):
        (one,) = estimates(made[None], targets, **FEW)
        ranges = (one.both, one.over_seeds, one.over_documents)
        return one.value, [not math.isnan(low) for low, _ in ranges]

    (one, _), targets = drawn(11)
    value = one.sum() / targets.sum() / 4
    assert there(one, targets) == (pytest.approx(value), [True, True, True])
    assert there(one[:1], targets)[1] == [False, False, True]
    assert there(one[:, :1], targets[:1])[1] == [False, True, False]
    infinite = one.copy()
    infinite[0, 0] = math.inf
    assert there(infinite, targets) == (math.inf, [False, False, False])
    swaps = randomized(np.array([infinite.sum(axis=0)]), seed=1, resamples=100)
    assert math.isnan(swaps[0])
    assert math.isnan(randomized(np.array([[3.0]]), seed=1, resamples=100)[0])


@pytest.mark.clause("COMP-014")
def test_holms_correction():
    """The smallest of four times 4, the next times 3, never falling, never above 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    corrected = holm([0.02, math.nan, 0.03])
    assert corrected[0] == corrected[2] == pytest.approx(0.04)
    assert math.isnan(corrected[1])


@pytest.mark.clause("COMP-014")
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_none_and_bonferroni(values):
    """Nothing becomes more certain than it was, nor less than by Bonferroni's correction."""
    for corrected, value in zip(holm(values), values, strict=True):
        assert value <= corrected <= min(1.0, value * len(values)) + 1e-12


@pytest.mark.clause("COMP-016")
@pytest.mark.parametrize(
    ("both", "over_seeds", "p", "expected"),
    [
        ((-2, -1), (-3, -0.5), 0.01, "better"),
        ((1, 2), (0.5, 3), 0.05, "worse"),
        ((-2, -1), (-3, 0.5), 0.01, "not settled"),
        ((-2, 0), (-3, -1), 0.01, "not settled"),
        ((-2, -1), (-3, -0.5), 0.06, "not settled"),
        ((-2, -1), (0.5, 3), 0.01, "not settled"),
        ((math.nan, math.nan), (-3, -1), 0.01, "not settled"),
        ((-2, -1), (-3, -0.5), math.nan, "not settled"),
    ],
)
def test_a_verdict_is_what_all_agree_on(both, over_seeds, p, expected):
    """Two intervals and a probability, one of which is enough to leave it open."""
    figure = Estimate(
        value=0.0, by_seed=np.zeros(2), both=both, over_seeds=over_seeds, over_documents=(-9, 9)
    )
    assert verdict(figure, p, 0.95) == expected


@pytest.mark.clause("COMP-016")
@pytest.mark.parametrize(("p", "confidence"), [(0.08, 0.9), (0.03, 0.95), (0.003, 0.995)])
def test_a_verdict_goes_by_the_confidence(p, confidence):
    """A probability is small enough where it is not above one less the intervals' level."""
    figure = Estimate(
        value=0.0, by_seed=np.zeros(2), both=(1, 2), over_seeds=(1, 2), over_documents=(1, 2)
    )
    assert verdict(figure, p, confidence) == "worse"
    assert verdict(figure, p, 1 - p / 2) == "not settled"


@pytest.mark.clause("COMP-011")
def test_seeds_and_documents_are_drawn_apart_from_each_other():
    """Were the nth seed drawn where the nth document is, these effects would cancel out."""
    effects, targets = np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 2.5]), np.full(6, 20.0)
    (one,) = estimates(targets * (effects - effects[:, None])[None], targets, **FEW)
    both, documents = (high - low for low, high in (one.both, one.over_documents))
    assert both == pytest.approx(math.sqrt(2) * documents, rel=0.2)
