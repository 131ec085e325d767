"""Pseudo-perplexity, token by token (spec/evaluation.md)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.jobs import some_chunks
from support.models import tiny_model
from support.runs import mlmref, save_corpus, save_model
from support.tokens import fresh_cache, tokens_of

from mlmref.base.errors import ConfigError, MlmrefError
from mlmref.data.chunks import chunk
from mlmref.data.corpus.corpus import corpus_from_texts
from mlmref.data.tokens.tokenize import tokenize
from mlmref.evaluation.pseudo_perplexity import check_metric, pseudo, pseudo_perplexity
from mlmref.model.load import load_model
from mlmref.model.loss import MaskedLMObjective
from mlmref.settings.config import ChunkConfig, EvaluationConfig, ModelConfig

OBJECTIVE = MaskedLMObjective(tiny_model("bert").eval())
SENTENCES = (
    "This is a great film.",
    "I can't stand unforgettably overacted melodramas!",
    "Souvenirs from Transylvania, 1931",
    "ok",
)


def by_hand(chunks, words):
    """Return each chunk's sum, from all logits of one masked row at a time."""
    vocabulary, sums = chunks.tokens.vocabulary, []
    for number in range(len(chunks)):
        rows = chunks.gather(np.array([number]))
        ids, start, length = rows.input_ids[0], rows.word_start[0], rows.lengths[0]
        special = [
            token in vocabulary.special_ids or place >= length for place, token in enumerate(ids)
        ]
        total = 0.0
        for place, token in enumerate(ids):
            if special[place]:
                continue
            read, end = ids.copy(), place + 1
            while words and end < len(ids) and not (start[end] or special[end]):
                end += 1
            read[place:end] = vocabulary.mask_id
            there = np.arange(len(ids)) < length
            with torch.no_grad():
                logits = OBJECTIVE.model(
                    input_ids=torch.from_numpy(read)[None].long(),
                    attention_mask=torch.from_numpy(there)[None].long(),
                ).logits[0, place]
            total -= torch.log_softmax(logits, 0)[int(token)].item()
        sums.append(total)
    return sums


@pytest.mark.clause("EVAL-015")
@pytest.mark.clause("EVAL-016")
@pytest.mark.parametrize("words", [True, False], ids=["word-l2r", "original"])
@settings(max_examples=10)
@given(
    documents=st.lists(
        st.lists(st.sampled_from([1, 2, 7, 8, 9, 10]), min_size=1, max_size=9),
        min_size=1,
        max_size=3,
    ),
    starts=st.lists(st.booleans(), min_size=27, max_size=27),
)
def test_it_is_that_of_each_token_asked_by_hand(words, documents, starts):
    """Ragged documents, special tokens within, padding, words of any length: the same sums."""
    cuts = iter(starts)
    begins = [[next(cuts) for _ in document] for document in documents]
    chunks = chunk(tokens_of(documents, begins), ChunkConfig(size=8, remainder="pad"))
    expected = by_hand(chunks, words)
    if not any(expected):
        with pytest.raises(MlmrefError, match="all held-out tokens are special"):
            pseudo(OBJECTIVE, chunks, words=words)
        return
    found = pseudo(OBJECTIVE, chunks, words=words)
    assert found.chunk_nll == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert found.documents.nll.sum() == pytest.approx(sum(expected), rel=1e-4)


@pytest.mark.clause("EVAL-015")
@pytest.mark.parametrize("batch_size", [1, 5, 1_000])
def test_the_batch_size_does_not_matter(batch_size):
    """One row at a time, five, or all of a chunk give the same sums to 1e-6, and all targets."""
    chunks = some_chunks(6, pad=True)
    expected = pseudo(OBJECTIVE, chunks)
    found = pseudo(OBJECTIVE, chunks, batch_size=batch_size)
    assert found.chunk_nll == pytest.approx(expected.chunk_nll, rel=1e-6)
    ids = chunks.gather(np.arange(6))
    ordinary = ~np.isin(ids.input_ids, chunks.tokens.vocabulary.special_ids)
    there = np.arange(16) < ids.lengths[:, None]
    assert found.chunk_targets.tolist() == (ordinary & there).sum(axis=1).tolist()


@pytest.mark.clause("EVAL-015")
@pytest.mark.clause("EVAL-016")
@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize(
    ("words", "theirs"),
    [(True, "within_word_l2r"), (False, "original")],
    ids=["word-l2r", "original"],
)
def test_it_is_that_of_minicons(monkeypatch, sentence, words, theirs):
    """On the checkpoint that ships, summed over a sentence, to a relative 1e-4."""
    from minicons.scorer import MaskedLMScorer

    loaded = load_model(ModelConfig())
    kind = type(loaded.tokenizer)  # of whose two names for the same minicons uses the one gone
    monkeypatch.setattr(kind, "batch_encode_plus", kind.__call__, raising=False)
    scorer = MaskedLMScorer(loaded.model, "cpu", tokenizer=loaded.tokenizer)
    [expected] = scorer.sequence_score(
        [sentence], reduction=lambda scores: -scores.sum().item(), PLL_metric=theirs
    )
    with fresh_cache():
        tokens = tokenize(corpus_from_texts([sentence]), loaded.tokenizer)
    chunks = chunk(tokens, ChunkConfig(size=32, remainder="pad"))
    found = pseudo(MaskedLMObjective(loaded.model), chunks, words=words)
    assert found.chunk_nll.tolist() == pytest.approx([expected], rel=1e-4)


@pytest.mark.clause("EVAL-017")
def test_the_sample_is_the_seeds():
    """So many chunks, the same for the same seed, others for another; never more than there are."""
    chunks, config = some_chunks(30), EvaluationConfig(resamples=100)

    def measured(seed, sample):
        return pseudo_perplexity(
            OBJECTIVE, chunks, "pseudo-perplexity", config, seed, sample=sample
        )

    first, again, other = (measured(seed, 4) for seed in (1, 1, 2))
    assert first["chunks"] == 4
    assert first == again
    assert first["value"] != other["value"]
    assert measured(1, 100)["chunks"] == 30
    assert "tutorial_estimate" not in first


@pytest.mark.clause("EVAL-017")
def test_a_metric_that_is_not_there():
    """One line, with a close match."""
    with pytest.raises(ConfigError) as caught:
        check_metric("pseudo")
    assert str(caught.value).startswith("--metric: no metric 'pseudo'; ")


@pytest.mark.clause("EVAL-017")
@pytest.mark.clause("EVAL-018")
def test_the_command(tmp_path):
    """What it is, of how many chunks, and what it does not compare with."""
    save_model(tmp_path / "model")
    save_corpus(tmp_path / "corpus.txt")
    arguments = ["evaluate", "./model", "--corpus=corpus.txt", "--chunk-size=16", "--quiet"]
    done = mlmref(*arguments, "--metric=pseudo-perplexity", "--sample=3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pseudo-perplexity" in done.stdout
    assert "in 3 chunks" in done.stdout
    assert "never with a causal model's" in done.stdout
    usual = mlmref(*arguments, cwd=tmp_path)
    assert "never with a causal model's" in usual.stdout
    assert "tutorial's estimate" in usual.stdout
    wrong = mlmref(*arguments, "--metric=bleu", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("mlmref: --metric: no metric 'bleu'; ")
