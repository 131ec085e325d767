"""Perplexity, its interval and the tutorial's estimator (spec/evaluation.md)."""

import random
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.jobs import masker, some_chunks
from support.models import VOCABULARY, tiny_model, variant
from support.tokens import tokens_of
from torch.nn import functional as F

from mlmref.base.errors import MlmrefError
from mlmref.base.progress import Silent
from mlmref.data.chunks import chunk
from mlmref.evaluation import intervals
from mlmref.evaluation import perplexity as station
from mlmref.evaluation.intervals import Documents
from mlmref.evaluation.kept_targets import choose
from mlmref.evaluation.perplexity import Evaluation, evaluate
from mlmref.evaluation.perplexity import measured as summed_up
from mlmref.model.loss import MaskedLMObjective
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.settings.config import ChunkConfig, EvaluationConfig

CHUNKS = some_chunks(150, pad=True)
OBJECTIVE = MaskedLMObjective(tiny_model("bert").eval())


def by_hand(chunks=CHUNKS):
    """Return each target's loss, chunk and document, from all logits of one chunk at a time."""
    losses, owners, documents = [], [], []
    for number in range(len(chunks)):
        rows = chunks.gather(np.array([number]))
        masked = masker()(rows, EVALUATION_PASS)
        with torch.no_grad():
            logits = OBJECTIVE.model(
                input_ids=torch.from_numpy(masked.input_ids).long(),
                attention_mask=torch.from_numpy(masked.attention_mask).long(),
            ).logits[0]
        for position in np.nonzero(masked.labels[0] != IGNORE_INDEX)[0]:
            label = torch.tensor(int(masked.labels[0, position]))
            losses.append(F.cross_entropy(logits[position], label).item())
            owners.append(number)
            documents.append(int(rows.documents[0, position]))
    return np.array(losses), np.array(owners), np.array(documents)


@pytest.mark.clause("EVAL-001")
@pytest.mark.clause("EVAL-004")
def test_perplexity_is_that_of_each_target_counted_by_hand():
    """One chunk and one target at a time gives the same sums, by chunk and by document."""
    losses, owners, documents = by_hand()
    measured = evaluate(OBJECTIVE, CHUNKS, masker())
    assert measured.targets == len(losses)
    assert measured.perplexity == pytest.approx(np.exp(losses.mean()), rel=1e-6)
    assert measured.chunk_nll == pytest.approx(np.bincount(owners, losses, len(CHUNKS)), rel=1e-5)
    sums = np.bincount(documents, losses)
    assert measured.documents.nll == pytest.approx(sums[np.bincount(documents) > 0], rel=1e-5)
    assert measured.documents.numbers.tolist() == np.unique(documents).tolist()
    assert measured.documents.targets.sum() == len(losses)


@pytest.mark.clause("EVAL-002")
@pytest.mark.parametrize("batch_size", [1, 7, 149, 1000])
def test_the_batch_size_does_not_matter(batch_size):
    """1, 7, one short of all, and more than all give the perplexity of 64 to 1e-6."""
    expected = evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=64)
    measured = evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=batch_size)
    assert measured.perplexity == pytest.approx(expected.perplexity, rel=1e-6)
    assert measured.targets == expected.targets
    assert measured.correct == expected.correct
    assert measured.tutorial_estimate == pytest.approx(expected.tutorial_estimate, rel=1e-6)


@pytest.mark.clause("EVAL-004")
@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_share_the_chunks(monkeypatch, ranks):
    """What each rank measures adds up to what one process measures, no chunk twice."""
    gathered = []
    monkeypatch.setattr(station, "sum_over_ranks", lambda array: gathered.append(array) or array)
    expected = evaluate(OBJECTIVE, CHUNKS, masker())
    of_one, totals = [*gathered], [0, 0, 0, 0, 0]
    for rank in range(ranks):
        gathered.clear()
        here = SimpleNamespace(process_index=rank, num_processes=ranks)
        monkeypatch.setattr(station, "state", lambda here=here: here)
        part = evaluate(OBJECTIVE, CHUNKS, masker())
        assert 0 < part.targets < expected.targets / ranks * 2
        totals = [total + array for total, array in zip(totals, gathered, strict=True)]
    for total, array in zip(totals, of_one, strict=True):
        assert total == pytest.approx(array, rel=1e-5)


@pytest.mark.clause("EVAL-004")
def test_the_last_document_counts():
    """A target in the last document of the corpus is that document's."""
    tokens = tokens_of([[1, 10, 11, 2], [1, 12, 13, 14, 15, 2]])
    measured = evaluate(OBJECTIVE, chunk(tokens, ChunkConfig(size=5)), masker(mlm_probability=1.0))
    assert measured.documents.targets.tolist() == [2, 4]
    assert measured.chunk_targets.tolist() == [2, 4]


@pytest.mark.clause("RUN-008")
def test_progress_is_told_in_chunks():
    """The stage has its name, its chunks, and each batch's number of them as it is done."""
    told = []

    class Reporter:
        @contextmanager
        def stage(self, *named):
            told.append(named)
            yield self

        def advance(self, *done):
            told.append(done)

    evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=64, reporter=Reporter())
    assert told == [("evaluate", 150, "chunks"), (64,), (64,), (22,)]


@pytest.mark.clause("EVAL-003")
def test_masks_are_frozen():
    """Twice the same figures to the last bit; another seed gives other masks."""
    first, again = (evaluate(OBJECTIVE, CHUNKS, masker()) for _ in range(2))
    assert np.array_equal(first.chunk_nll, again.chunk_nll)
    other = evaluate(OBJECTIVE, CHUNKS, masker(seed=43))
    assert not np.array_equal(first.chunk_targets, other.chunk_targets)


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
    """A cross-entropy of 800 nats is an infinite perplexity, estimate and bound."""
    measured = made([1600.0, 800.0], [2, 1])
    assert measured.perplexity == float("inf")
    assert measured.tutorial_estimate == float("inf")
    assert measured.interval(EvaluationConfig(), 0)[1] == float("inf")


@pytest.mark.clause("EVAL-006")
def test_the_interval_is_that_of_a_plain_bootstrap():
    """Resampling documents in a loop gives the same bounds to the noise of two bootstraps."""
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
    """Ten chunks of one document say less than ten documents: the interval is wider."""
    rng = np.random.default_rng(0)
    level = rng.normal(4, 1, 40)
    chunks = np.repeat(level, 10) * 20
    narrow = made(chunks, np.full(400, 20)).interval(EvaluationConfig(), 1)
    wide = made(chunks, np.full(400, 20), level * 200, np.full(40, 200)).interval(
        EvaluationConfig(), 1
    )
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


@pytest.mark.clause("EVAL-006")
def test_the_interval_is_drawn_as_it_is_asked_for():
    """Seed, number of resamples and level are those given; the same seed gives the same bounds."""
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
    """No more documents are drawn at a time than there is room for, and one resample at least."""
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
    """Two documents are enough: the bounds are those of either."""
    low, high = made([1.0, 4.0], [1, 1]).interval(EvaluationConfig(), 0)
    assert (low, high) == pytest.approx((np.exp(1), np.exp(4)))


@pytest.mark.clause("EVAL-006")
def test_a_single_document_has_no_interval():
    """One document cannot be resampled."""
    assert np.isnan(made([4.0], [1]).interval(EvaluationConfig(), 0)).all()


@pytest.mark.clause("EVAL-007")
@given(st.lists(st.tuples(st.floats(0, 50), st.integers(1, 40)), min_size=1, max_size=200))
def test_the_tutorials_estimator_as_the_tutorial_computes_it(chunks):
    """Each chunk has its batch's mean loss; batches of 64; the mean of all, cut to their number."""
    nll, targets = np.array(chunks, dtype=float).T
    repeated = []
    for begin in range(0, len(chunks), 64):
        batch = slice(begin, begin + 64)
        repeated += [nll[batch].sum() / targets[batch].sum()] * 64  # loss.repeat(batch_size)
    expected = np.exp(np.mean(repeated[: len(chunks)]))
    assert made(nll, targets).tutorial_estimate == pytest.approx(expected, rel=1e-9)


@pytest.mark.clause("EVAL-007")
def test_the_tutorials_estimator_weights_batches_by_their_chunks():
    """64 chunks of a loss of 1 and 16 of a loss of 3 are 1.4; chunks without a target are left."""
    nll, targets = [2.0] * 64 + [6.0] * 16, [2] * 80
    assert made(nll, targets).tutorial_estimate == pytest.approx(np.exp(1.4), rel=1e-9)
    nothing = [0.0] * 64
    measured = made(nothing + nll, [0] * 64 + targets)
    assert measured.tutorial_estimate == pytest.approx(np.exp(1.4), rel=1e-9)


@pytest.mark.clause("EVAL-001")
@pytest.mark.clause("EVAL-006")
@pytest.mark.clause("EVAL-007")
def test_the_record_has_every_figure():
    """The summary has the perplexity, its interval, and what they are made of."""
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


@pytest.mark.clause("EVAL-008")
def test_nothing_to_measure_is_an_error():
    """With probability 0 there is no perplexity, and the strategy is named."""
    with pytest.raises(MlmrefError) as raised:
        evaluate(OBJECTIVE, CHUNKS, masker(mlm_probability=0.0))
    assert str(raised.value) == (
        "masking strategy 'token': no target in any held-out chunk, so there is no perplexity; "
        "raise --mlm-probability or --test-size"
    )


@pytest.mark.clause("EVAL-009")
@pytest.mark.parametrize("training", [True, False])
def test_evaluation_changes_nothing(training):
    """Weights, mode, and the generators of torch, NumPy and Python are as before."""
    model = tiny_model("bert").train(training)
    objective = MaskedLMObjective(model)
    before = [p.clone() for p in model.parameters()]
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002 - the global one
    evaluate(objective, CHUNKS, masker())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002 - the global one
    assert random.getstate() == states[2]
    assert all(map(torch.equal, model.parameters(), before))
    assert model.training is training
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.clause("EVAL-001")
def test_accuracy_is_the_share_of_first_choices():
    """A model that always says 7 is right where the true token is 7."""
    model = tiny_model("bert").eval()
    with torch.no_grad():
        model.cls.predictions.bias.zero_()[7] = 1e6
    measured = evaluate(MaskedLMObjective(model), CHUNKS, masker())
    labels = masker()(CHUNKS.gather(np.arange(len(CHUNKS))), EVALUATION_PASS).labels
    assert measured.correct == np.count_nonzero(labels == 7)
    assert measured.accuracy == measured.correct / measured.targets
    assert VOCABULARY > 7


@pytest.mark.clause("EVAL-019")
@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_what_a_model_draws_is_its_chunks(batch_size):
    """Reformer hashes by chance: each chunk's loss is that of the chunk alone, with its seed."""
    chunks, model = some_chunks(40, pad=True), variant("reformer-lsh").eval()
    rows = chunks.gather(np.arange(len(chunks)))
    masked = masker()(rows, EVALUATION_PASS)
    tensors = (masked.input_ids, masked.attention_mask, masked.labels)
    ids, mask, labels = (torch.from_numpy(one).long() for one in tensors)
    expected = []
    for row in range(len(chunks)):
        torch.manual_seed(row)
        with torch.no_grad():
            logits = model(input_ids=ids[row, None], attention_mask=mask[row, None]).logits[0]
        expected.append(F.cross_entropy(logits, labels[row], reduction="sum").item())
    objective = MaskedLMObjective(model)
    torch.manual_seed(batch_size)
    state = torch.get_rng_state()
    for _ in range(2):
        found = evaluate(objective, chunks, masker(), batch_size=batch_size)
        np.testing.assert_allclose(found.chunk_nll, expected, rtol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    with torch.no_grad():
        again = model(input_ids=ids[:1], attention_mask=mask[:1]).logits[0]
    assert F.cross_entropy(again, labels[0], reduction="sum").item() != expected[0]


@pytest.mark.clause("EVAL-019")
@pytest.mark.clause("LOSS-008")
def test_draws_that_do_not_matter_leave_the_batches_whole():
    """BigBird draws for each short batch, and the losses are the same: one pass is repeated."""
    model, passes = variant("big_bird-sparse").eval(), []
    model.register_forward_hook(lambda *_: passes.append(1))
    objective = MaskedLMObjective(model, "gathered")
    evaluate(objective, some_chunks(40, pad=True), masker(), batch_size=10)
    assert len(passes) == 4 + 1
    assert objective.draws is False
    assert model.bert.attention_type == "block_sparse"


@pytest.mark.clause("MODEL-015")
@pytest.mark.parametrize(
    ("batch_size", "hint"),
    [
        (64, "use --set evaluation.batch_size=32, which does not change the figures"),
        (2, "use --set evaluation.batch_size=1, which does not change the figures"),
        (1, "use a smaller --chunk-size, or a smaller model"),
    ],
)
def test_too_little_memory_in_an_evaluation_names_its_batch_size(batch_size, hint):
    """It names the batch size of evaluation, not of training, until that is one chunk."""
    model = tiny_model("bert").eval()
    objective = MaskedLMObjective(model)

    def fails(*_):
        raise MemoryError

    model.register_forward_hook(fails)
    with pytest.raises(MlmrefError) as raised:
        evaluate(objective, CHUNKS, masker(), batch_size=batch_size)
    assert str(raised.value) == f"evaluation: out of memory; {hint}"


@pytest.mark.clause("EVAL-010")
def test_evaluation_is_in_float32_whatever_the_training_uses():
    """Inside an autocast region the figures are those of float32, to the last bit."""
    expected = evaluate(OBJECTIVE, CHUNKS, masker())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        measured = evaluate(OBJECTIVE, CHUNKS, masker())
    assert np.array_equal(measured.chunk_nll, expected.chunk_nll)


@pytest.mark.clause("EVAL-011")
def test_weights_that_are_no_numbers_are_an_error():
    """A model full of NaN has no perplexity, and the chunks are counted."""
    model = tiny_model("bert").eval()
    with torch.no_grad():
        model.cls.predictions.bias.fill_(float("nan"))
    labels = masker()(CHUNKS.gather(np.arange(len(CHUNKS))), EVALUATION_PASS).labels
    measured = np.count_nonzero((labels != IGNORE_INDEX).any(axis=1))
    with pytest.raises(MlmrefError) as raised:
        evaluate(MaskedLMObjective(model), CHUNKS, masker())
    assert str(raised.value) == (
        f"evaluation: the loss is NaN in {measured} held-out chunks; "
        "the model is damaged, or its training diverged: lower --learning-rate"
    )


@pytest.mark.clause("REP-009")
@pytest.mark.parametrize("step", [1, 3])
def test_the_loss_of_each_kept_target(step):
    """It is the loss by hand, at any batch size; NaN where the masker chose no target."""
    losses, owners, _ = by_hand()
    every = choose(CHUNKS, masker())
    assert every.rows.tolist() == owners.tolist()
    labels = masker()(CHUNKS.gather(np.arange(len(CHUNKS))), EVALUATION_PASS).labels
    chunk = int(np.flatnonzero(labels[:, 0] == IGNORE_INDEX)[0])
    place = int(np.searchsorted(every.rows[::step], chunk))
    kept = replace(
        every,
        rows=np.insert(every.rows[::step], place, chunk),
        positions=np.insert(every.positions[::step], place, 0),
    )
    expected = np.insert(losses[::step], place, np.nan)
    for batch_size in (1, 64):
        found = evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=batch_size, targets=kept)
        np.testing.assert_allclose(found.target_nll, expected, rtol=1e-5)
    assert evaluate(OBJECTIVE, CHUNKS, masker()).target_nll is None


@pytest.mark.clause("REP-009")
def test_a_measured_model_has_its_documents_and_kept_losses():
    """The sums by document, the losses and the seeded interval are the first evaluation's."""
    first = replace(made([4.0, 5.0], [2, 4]), target_nll=np.array([1.0, 2.0]))
    config = EvaluationConfig(resamples=100)
    found = summed_up([first, made([1.0, 1.0], [1, 1])], config, 3, Silent())
    assert found.documents is first.documents
    assert found.target_nll is first.target_nll
    assert (found.summary["low"], found.summary["high"]) == first.interval(config, 3)
    assert len(found.summary["draws"]["values"]) == 2


@pytest.mark.clause("EVAL-013")
def test_each_draw_has_masks_of_its_own():
    """Three draws have three sets of targets, the same each time; the first is the usual one."""
    usual, *draws = (
        evaluate(OBJECTIVE, CHUNKS, masker(), **chosen)
        for chosen in ({}, *({"draw": number} for number in (0, 1, 2, 1)))
    )
    nll = [one.chunk_nll.tolist() for one in draws]
    assert nll[0] == usual.chunk_nll.tolist()
    assert nll[1] == nll[3]
    assert len({tuple(one) for one in nll}) == 3


@pytest.mark.clause("EVAL-013")
def test_draws_are_summed_up_apart():
    """The figures are the first draw's; beside them stand all perplexities and their spread."""
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
    """Keeps what it is warned of."""

    def __init__(self):
        self.lines = []

    def warn(self, text):
        """Keep a line."""
        self.lines.append(text)


@pytest.mark.clause("EVAL-014")
@pytest.mark.parametrize(("perplexity", "warned"), [(1.0, True), (1.049, True), (1.051, False)])
def test_what_is_too_good_is_said(perplexity, warned):
    """Below 1.05 one line that says what it means, above none."""
    reporter = Warned()
    nll = np.log(perplexity)
    summed_up([made([nll, nll], [1, 1])], EvaluationConfig(resamples=100), 1, reporter)
    assert reporter.lines == warned * [
        f"a perplexity of {perplexity:.3f} means that the model reads what it is to predict; "
        "see --corruption, and what the masking strategy replaces"
    ]
