"""Measure the perplexity of a model on fixed masks: batches, ranks, random draws, errors (EVAL)."""

import random
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.jobs import masker, some_chunks
from support.models import VOCABULARY, tiny_model, variant
from support.tokens import tokens_of
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from mlmref.base.errors import MlmrefError
from mlmref.data.chunks import chunk
from mlmref.evaluation import perplexity as station
from mlmref.evaluation.kept_targets import choose
from mlmref.evaluation.perplexity import evaluate
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
def test_perplexity_agrees_with_a_sum_target_by_target():
    """One target at a time gives the same sums, by chunk and by document."""
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
    """1, 7, all chunks but one, and more than all give the perplexity of 64 to 1e-6."""
    expected = evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=64)
    measured = evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=batch_size)
    assert measured.perplexity == pytest.approx(expected.perplexity, rel=1e-6)
    assert measured.targets == expected.targets
    assert measured.correct == expected.correct
    assert measured.tutorial_estimate == pytest.approx(expected.tutorial_estimate, rel=1e-6)


@pytest.mark.clause("EVAL-004")
@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_share_the_chunks(monkeypatch, ranks):
    """The sums of all ranks add up to those of one process; no chunk is evaluated twice."""
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
    """A target in the last document of the corpus is counted for this document."""
    tokens = tokens_of([[1, 10, 11, 2], [1, 12, 13, 14, 15, 2]])
    measured = evaluate(OBJECTIVE, chunk(tokens, ChunkConfig(size=5)), masker(mlm_probability=1.0))
    assert measured.documents.targets.tolist() == [2, 4]
    assert measured.chunk_targets.tolist() == [2, 4]


@pytest.mark.clause("RUN-008")
def test_progress_is_reported_in_chunks():
    """The stage has a name and a number of chunks; each batch of 64 reports its chunks."""
    told = []

    class Reporter:
        @contextmanager
        def stage(self, *named):
            told.append(named)
            yield self

        def advance(self, *done):
            told.append(done)

    evaluate(OBJECTIVE, CHUNKS, masker(), reporter=Reporter())
    assert EvaluationConfig().batch_size == 64  # the default of evaluate, too
    assert told == [("evaluate", 150, "chunks"), (64,), (64,), (22,)]


@pytest.mark.clause("EVAL-003")
def test_masks_are_fixed():
    """Two evaluations are bitwise identical; another seed gives other masks."""
    first, again = (evaluate(OBJECTIVE, CHUNKS, masker()) for _ in range(2))
    assert np.array_equal(first.chunk_nll, again.chunk_nll)
    other = evaluate(OBJECTIVE, CHUNKS, masker(seed=43))
    assert not np.array_equal(first.chunk_targets, other.chunk_targets)


@pytest.mark.clause("EVAL-008")
def test_no_targets_are_an_error():
    """With probability 0 there is no perplexity; the error names the masking strategy."""
    with pytest.raises(MlmrefError) as raised:
        evaluate(OBJECTIVE, CHUNKS, masker(mlm_probability=0.0))
    assert str(raised.value) == (
        "masking strategy 'token': no target in any held-out chunk, so there is no perplexity; "
        "raise --mlm-probability or --test-size"
    )


@pytest.mark.clause("EVAL-009")
@pytest.mark.parametrize("training", [True, False])
def test_evaluation_changes_nothing(training):
    """Weights, mode, and the generators of torch, NumPy and Python do not change."""
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
    """A model that always predicts token 7 is correct where the true token is 7."""
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
def test_the_draws_of_a_model_are_seeded_by_chunk(batch_size):
    """Reformer hashes at random: the loss of a chunk is that of the chunk alone, with its seed."""
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
def test_draws_without_effect_do_not_split_the_batches():
    """BigBird draws for each short batch without effect on the losses: one pass is repeated."""
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
    """The hint names the batch size of evaluation, not of training, unless it is one chunk."""
    model = tiny_model("bert").eval()
    objective = MaskedLMObjective(model)

    def fails(*_):
        raise MemoryError

    model.register_forward_hook(fails)
    with pytest.raises(MlmrefError) as raised:
        evaluate(objective, CHUNKS, masker(), batch_size=batch_size)
    assert str(raised.value) == f"evaluation: out of memory; {hint}"


@pytest.mark.clause("EVAL-001")
def test_batches_are_moved_to_the_device_of_the_model():
    """Input tokens, attention mask and labels are moved; tests/gpu uses a GPU."""
    devices = []

    class Watched(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            if function is torch.Tensor.to:
                devices.extend(args[1:])
            return function(*args, **kwargs or {})

    with Watched():
        evaluate(OBJECTIVE, CHUNKS, masker(), batch_size=len(CHUNKS))
    assert devices[:3] == [OBJECTIVE.device] * 3


@pytest.mark.clause("EVAL-010")
def test_evaluation_is_in_float32_whatever_the_training_uses():
    """Inside an autocast region the losses are bitwise those of float32."""
    expected = evaluate(OBJECTIVE, CHUNKS, masker())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        measured = evaluate(OBJECTIVE, CHUNKS, masker())
    assert np.array_equal(measured.chunk_nll, expected.chunk_nll)


@pytest.mark.clause("EVAL-011")
def test_nan_weights_are_an_error():
    """A model full of NaN has no perplexity; the error gives the number of chunks."""
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
    """It is the loss computed by hand, at any batch size; NaN if the masker chose no target."""
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


@pytest.mark.clause("EVAL-013")
def test_each_draw_has_its_own_masks():
    """Three draws have three fixed sets of targets; the first is the default."""
    usual, *draws = (
        evaluate(OBJECTIVE, CHUNKS, masker(), **chosen)
        for chosen in ({}, *({"draw": number} for number in (0, 1, 2, 1)))
    )
    nll = [one.chunk_nll.tolist() for one in draws]
    assert nll[0] == usual.chunk_nll.tolist()
    assert nll[1] == nll[3]
    assert len({tuple(one) for one in nll}) == 3
