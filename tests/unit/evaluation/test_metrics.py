"""The metrics of an evaluation: perplexity, its interval, the tutorial's estimate, draws (EVAL)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmref.base.progress import Silent
from mlmref.evaluation import intervals
from mlmref.evaluation.intervals import Documents
from mlmref.evaluation.metrics import Evaluation
from mlmref.evaluation.metrics import measured as summed_up
from mlmref.settings.config import EvaluationConfig


def made(chunk_nll, chunk_targets, document_nll=None, document_targets=None):
    """Return an evaluation of given sums."""
    nll = np.array(chunk_nll if document_nll is None else document_nll, dtype=float)
    targets = chunk_targets if document_targets is None else document_targets
    return Evaluation(
        chunk_nll=np.array(chunk_nll, dtype=float),
        chunk_targets=np.array(chunk_targets, dtype=float),
        documents=Documents(
            numbers=np.arange(len(nll)), nll=nll, targets=np.array(targets, dtype=float)
        ),
        correct=0,
    )


@pytest.mark.clause("EVAL-005")
@pytest.mark.filterwarnings("error")
def test_overflow_is_infinity():
    """A cross-entropy of 800 nats gives an infinite perplexity, estimate and upper bound."""
    measured = made([1600.0, 800.0], [2, 1])
    assert measured.perplexity == float("inf")
    assert measured.tutorial_estimate == float("inf")
    assert measured.interval(EvaluationConfig(), 0)[1] == float("inf")


@pytest.mark.clause("EVAL-006")
def test_the_interval_agrees_with_a_plain_bootstrap():
    """Resampling documents in a loop gives the same bounds, within the noise of two bootstraps."""
    rng = np.random.default_rng(5)
    targets = rng.integers(1, 30, 200).astype(float)
    nll = targets * rng.normal(4, 1, 200)
    low, high = made(nll, targets).interval(EvaluationConfig(resamples=4000), 1)
    picks = [rng.integers(0, 200, 200) for _ in range(4000)]
    plain = np.exp([nll[pick].sum() / targets[pick].sum() for pick in picks])
    # The standard error of a 2.5 % quantile of 4,000 resamples, from its order statistics.
    for bound, share in ((low, 0.025), (high, 0.975)):
        spread = 4 * np.sqrt(2 * share * (1 - share) / 4000)
        inside = np.quantile(plain, [share - min(spread, share), min(1.0, share + spread)])
        assert inside[0] <= bound <= inside[1]
    assert low < made(nll, targets).perplexity < high


@pytest.mark.clause("EVAL-006")
def test_documents_and_not_chunks_are_resampled():
    """Ten chunks of one document give a wider interval than ten documents."""
    rng = np.random.default_rng(0)
    level = rng.normal(4, 1, 40)
    chunks = np.repeat(level, 10) * 20
    narrow = made(chunks, np.full(400, 20)).interval(EvaluationConfig(), 1)
    wide = made(chunks, np.full(400, 20), level * 200, np.full(40, 200)).interval(
        EvaluationConfig(), 1
    )
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


@pytest.mark.clause("EVAL-006")
def test_the_interval_depends_on_seed_resamples_and_confidence():
    """Each of the three changes the bounds; the same seed gives the same bounds."""
    rng = np.random.default_rng(3)
    measured = made(rng.uniform(20, 60, 30), rng.integers(5, 15, 30))
    first, again, other = (measured.interval(EvaluationConfig(), seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    narrow = measured.interval(EvaluationConfig(confidence=0.5), 1)
    assert first[0] < narrow[0] < narrow[1] < first[1]
    assert first != measured.interval(EvaluationConfig(resamples=999), 1)


@pytest.mark.clause("EVAL-006")
@pytest.mark.parametrize(("room", "at_a_time"), [(99, 33), (101, 33), (3, 1), (2, 1)])
def test_the_interval_needs_bounded_memory(monkeypatch, room, at_a_time):
    """A batch of resamples draws at most the allowed documents, but at least one resample."""
    from scipy import stats

    sizes, bootstrap = [], stats.bootstrap

    def spy(data, statistic, **options):
        def watched(nll, targets, axis):
            sizes.append(np.atleast_2d(nll).shape)
            return statistic(nll, targets, axis)

        return bootstrap(data, watched, **options)

    measured = made([4.0, 5.0, 6.0], [1, 1, 2])
    expected = measured.interval(EvaluationConfig(resamples=100), 1)
    monkeypatch.setattr(intervals, "_RESAMPLED", room)
    monkeypatch.setattr(stats, "bootstrap", spy)
    assert measured.interval(EvaluationConfig(resamples=100), 1) == expected
    assert max(sizes) == (at_a_time, 3)


@pytest.mark.clause("EVAL-006")
def test_two_documents_have_an_interval():
    """Two documents are enough: the bounds are the perplexities of the two."""
    low, high = made([1.0, 4.0], [1, 1]).interval(EvaluationConfig(), 0)
    assert (low, high) == pytest.approx((np.exp(1), np.exp(4)))


@pytest.mark.clause("EVAL-006")
def test_a_single_document_has_no_interval():
    """One document cannot be resampled."""
    assert np.isnan(made([4.0], [1]).interval(EvaluationConfig(), 0)).all()


@pytest.mark.clause("EVAL-007")
@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 40)), min_size=1, max_size=200))
def test_the_tutorials_estimate_agrees_with_the_tutorials_code(chunks):
    """Each chunk gets the mean loss of its batch of 64, and the estimate is their mean."""
    nll, targets = np.array(chunks, dtype=float).T
    repeated = []
    for begin in range(0, len(chunks), 64):
        batch = slice(begin, begin + 64)
        repeated += [nll[batch].sum() / targets[batch].sum()] * 64  # loss.repeat(batch_size)
    expected = np.exp(np.mean(repeated[: len(chunks)]))
    assert made(nll, targets).tutorial_estimate == pytest.approx(expected, rel=1e-9)


@pytest.mark.clause("EVAL-007")
def test_the_tutorials_estimate_weights_batches_by_their_chunks():
    """64 chunks of loss 1 and 16 of loss 3 have a mean of 1.4; empty batches are omitted."""
    nll, targets = [2.0] * 64 + [6.0] * 16, [2] * 80
    assert made(nll, targets).tutorial_estimate == pytest.approx(np.exp(1.4), rel=1e-9)
    nothing = [0.0] * 64
    measured = made(nothing + nll, [0] * 64 + targets)
    assert measured.tutorial_estimate == pytest.approx(np.exp(1.4), rel=1e-9)


@pytest.mark.clause("EVAL-001")
@pytest.mark.clause("EVAL-006")
@pytest.mark.clause("EVAL-007")
def test_the_record_has_every_figure():
    """The summary has the perplexity, its interval and the other metrics."""
    measured = replace(made([4.0, 9.0, 6.0] * 20, [2, 2, 4] * 20), correct=40)
    config = EvaluationConfig()
    low, high = measured.interval(config, 5)
    assert measured.summary(config, 5) == {
        "value": pytest.approx(np.exp(19 / 8)),
        "low": low,
        "high": high,
        "nll": 19 / 8,
        "targets": 160,
        "accuracy": 0.25,
        "tutorial_estimate": pytest.approx(np.exp(19 / 8)),
    }


@pytest.mark.clause("REP-009")
def test_a_measured_model_has_its_documents_and_kept_losses():
    """Sums by document, kept losses and seeded interval are those of the first evaluation."""
    rng = np.random.default_rng(3)
    first = replace(made(rng.uniform(4, 9, 30), [2] * 30), target_nll=np.array([1.0, 2.0]))
    config = EvaluationConfig(resamples=100)
    found = summed_up([first, made([1.0, 1.0], [1, 1])], config, 3, Silent())
    assert found.documents is first.documents
    assert found.target_nll is first.target_nll
    low, high = first.interval(config, 3)
    assert (found.summary["low"], found.summary["high"]) == (low, high)
    assert (low, high) != first.interval(config, 4)
    assert len(found.summary["draws"]["values"]) == 2


@pytest.mark.clause("EVAL-013")
def test_several_draws_are_summarized():
    """The metrics are of the first draw; the summary adds all perplexities and their spread."""
    evaluations = [made([nll, 2 * nll], [2, 4]) for nll in (4.0, 5.0, 7.0)]
    config = EvaluationConfig(resamples=100)
    alone = summed_up(evaluations[:1], config, 1, Silent())
    assert "draws" not in alone.summary
    summary = summed_up(evaluations, config, 1, Silent()).summary
    draws = summary.pop("draws")
    assert summary == alone.summary
    assert draws["values"] == pytest.approx(np.exp([2.0, 2.5, 3.5]))
    assert draws["standard_deviation"] == pytest.approx(np.std(draws["values"], ddof=1))


class Warned(Silent):
    """A reporter that keeps its warnings."""

    def __init__(self):
        self.lines = []

    def warn(self, text):
        """Keep a warning."""
        self.lines.append(text)


@pytest.mark.clause("EVAL-014")
@pytest.mark.parametrize(("perplexity", "warned"), [(1.0, True), (1.049, True), (1.05, False)])
def test_a_perplexity_below_1_05_gives_a_warning(perplexity, warned):
    """A perplexity below 1.05 gives one warning with its meaning; 1.05 itself gives none."""
    reporter = Warned()
    nll = np.log(perplexity)
    evaluation = made([nll, nll], [1, 1])
    assert evaluation.perplexity == perplexity  # exact for these three
    summed_up([evaluation], EvaluationConfig(resamples=100), 1, reporter)
    assert reporter.lines == warned * [
        f"a perplexity of {perplexity:.3f} is too good to be true: the model sees the tokens "
        "that it predicts (see --corruption and the strategy's replacements), or the text has the "
        "same tokens everywhere"
    ]
