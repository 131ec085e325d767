"""Steps T01 to T10: model, reviews, tokens, chunks."""

from __future__ import annotations

import numpy as np

from mlmref.base.quiet_libraries import quiet
from mlmref.data.chunks import TUTORIAL_GROUP, Chunks, chunk
from mlmref.evaluation.fill_mask import fill
from mlmref.settings.config import ChunkConfig
from mlmref.studies.tutorial.ground import Ground
from mlmref.studies.tutorial.steps import figure
from mlmref.studies.tutorial.verdicts import Outcome, explained, near, same, shown

SENTENCE = "This is a great [MASK]."


def _parameters(config: object, head: str) -> int:
    """Count a model's parameters by its configuration alone: nothing is laid out in memory."""
    import torch
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, head)(config)
    return sum(one.numel() for one in model.parameters())


@figure("T01", "parameters, by the configuration", "67M")
def parameters(ground: Ground) -> Outcome:
    """DistilBERT's own defaults are those of ``distilbert-base-uncased``."""
    from transformers import DistilBertConfig

    found = _parameters(DistilBertConfig(), "DistilBertForMaskedLM")
    return same(found, 66_985_530)


@figure("T01", "BERT's, by its configuration", "110M")
def parameters_of_bert(ground: Ground) -> Outcome:
    """Of the model without a head, as the figure is always told."""
    from transformers import BertConfig

    found = _parameters(BertConfig(), "BertModel")
    return near(found, 110e6, 0.005, "it is printed in round millions", ",.0f")


@figure("T01", "parameters of the weights", "67M")
def parameters_of_the_weights(ground: Ground) -> Outcome:
    """Of what is on the hub."""
    model = ground.distilbert.model
    return same(sum(one.numel() for one in model.parameters()), 66_985_530)


@figure("T02", "", "deal, success, adventure, idea, feat")
def fills_before(ground: Ground) -> Outcome:
    """Nothing is drawn here, so the five are the five."""
    loaded = ground.distilbert
    [filled] = fill(loaded.model, loaded.tokenizer, [SENTENCE])
    return same(
        shown([one.token for one in filled.answers]), "deal, success, adventure, idea, feat"
    )


@figure("T03", "train reviews", "25,000")
def train_reviews(ground: Ground) -> Outcome:
    """None is empty, so none is left out."""
    return same(len(ground.corpus()), 25_000)


@figure("T03", "columns", "text, label")
def columns(ground: Ground) -> Outcome:
    """Of the corpus, whatever else its file has."""
    return same(shown(ground.corpus().dataset.column_names), "text, label")


@figure("T03", "test reviews", "25,000")
def test_reviews(ground: Ground) -> Outcome:
    """Of a split that no package holds."""
    return same(len(ground.corpus("test")), 25_000)


@figure("T03", "unsupervised reviews", "50,000")
def unsupervised_reviews(ground: Ground) -> Outcome:
    """Of a split that no package holds."""
    return same(len(ground.corpus("unsupervised")), 50_000)


@figure("T04", "train labels", "0, 1")
def labels(ground: Ground) -> Outcome:
    """Half of the reviews have each."""
    found, counts = np.unique(
        ground.corpus().dataset.with_format("numpy")["label"][:], return_counts=True
    )
    return same(found.tolist(), [0, 1], f"{shown(counts.tolist())} reviews")


@figure("T04", "unsupervised labels", "-1")
def no_labels(ground: Ground) -> Outcome:
    """Neither negative nor positive."""
    found = np.unique(ground.corpus("unsupervised").dataset.with_format("numpy")["label"][:])
    return same(found.tolist(), [-1])


@figure("T05", "columns", "attention_mask, input_ids, word_ids")
def token_columns(ground: Ground) -> Outcome:
    """Attention is made with a batch, and words are told by where they begin."""
    found = shown(ground.tokens().dataset.column_names)
    why = "TOK-004: ids of words repeat (E02); TOK-026: characters that no token covers"
    return explained(found, "input_ids, word_start, visible, lost", why)


@figure("T05", "model_max_length", "512")
def most_tokens(ground: Ground) -> Outcome:
    """Of the tokenizer that ships."""
    return same(int(ground.embedded.tokenizer.model_max_length), 512)


@figure("T05", "its tokenizer is the one that ships")
def the_tokenizer(ground: Ground) -> Outcome:
    """Compare the vocabularies, and the tokens of the first three reviews."""
    mine, theirs = ground.embedded.tokenizer, ground.distilbert.tokenizer
    texts = [ground.corpus().dataset[int(number)]["text"] for number in ground.first_three]
    alike = mine.get_vocab() == theirs.get_vocab()
    with quiet():  # which warns of one that is longer than the model takes
        alike = alike and mine(texts)["input_ids"] == theirs(texts)["input_ids"]
    return same(alike, expected=True)


@figure("T06", "", "200, 559, 192")
def token_counts(ground: Ground) -> Outcome:
    """Of the three reviews, whatever their place."""
    return same(np.diff(ground.tokens().offsets)[ground.first_three].tolist(), [200, 559, 192])


@figure("T06", "together", "951")
def tokens_together(ground: Ground) -> Outcome:
    """Nothing is cut off and nothing is added."""
    return same(int(np.diff(ground.tokens().offsets)[ground.first_three].sum()), 951)


def _of_three(ground: Ground, remainder: str) -> Chunks:
    rule = ChunkConfig.model_validate({"remainder": remainder})
    return chunk(ground.tokens(), rule, documents=ground.first_three)


@figure("T07", "", "128, 128, 128, 128, 128, 128, 128, 55")
def chunk_lengths(ground: Ground) -> Outcome:
    """Seven whole ones and the rest."""
    return same(_of_three(ground, "pad").lengths.tolist(), [128] * 7 + [55])


@figure("T08", "chunks when it is dropped, when it is padded", "7, 8")
def remainders(ground: Ground) -> Outcome:
    """Do what the tutorial names, which drops it."""
    return same(
        [len(_of_three(ground, one)) for one in ("drop", "pad")], [7, 8], "CHUNK-003, CHUNK-004"
    )


def _tutorial_chunks(ground: Ground, split: str) -> int:
    return len(chunk(ground.tokens(split), ChunkConfig(scope="tutorial")))


@figure("T09", "train chunks", "61,289")
def train_chunks(ground: Ground) -> Outcome:
    """Whatever the order, at most a chunk a thousand reviews is lost."""
    tokens = ground.tokens()
    positive = np.array(ground.corpus().dataset.with_format("numpy")["label"][:]) == 1
    order = np.argsort(~positive, kind="stable")
    sorted_ = len(chunk(tokens, ChunkConfig(scope="tutorial"), documents=order))
    return explained(
        [_tutorial_chunks(ground, "train"), sorted_],
        [61_291, 61_290],
        f"E06, CHUNK-006: a remainder is lost for each {TUTORIAL_GROUP:,} reviews, so the count "
        "goes by their order, here today's and with the positive ones first; the printed one is "
        "of an older one",
    )


@figure("T09", "train chunks, joined once")
def train_chunks_joined_once(ground: Ground) -> Outcome:
    """As many as all tokens fill."""
    tokens = ground.tokens()
    found = len(chunk(tokens, ChunkConfig()))
    total = int(tokens.offsets[-1])
    return same([found, total], [61_302, 7_846_783], f"{total:,} // 128, CHUNK-005")


def _other_chunks(ground: Ground, split: str, printed: int) -> Outcome:
    found = _tutorial_chunks(ground, split)
    if found == printed:
        return same(found, printed)
    groups = len(ground.corpus(split)) / TUTORIAL_GROUP
    return near(found, printed, groups / printed, "the count goes by the order (E06)", ",.0f")


@figure("T09", "test chunks", "59,905")
def test_chunks(ground: Ground) -> Outcome:
    """By the tutorial's rule."""
    return _other_chunks(ground, "test", 59_905)


@figure("T09", "unsupervised chunks", "122,963")
def unsupervised_chunks(ground: Ground) -> Outcome:
    """By the tutorial's rule."""
    return _other_chunks(ground, "unsupervised", 122_963)


@figure("T10", "it begins", ".... at.......... high. a classic line")
def second_chunk_begins(ground: Ground) -> Outcome:
    """Where the first one ends, within a review."""
    begin = ".... at.......... high. a classic line"
    return same(_second(ground)[: len(begin)], begin)


@figure("T10", "it crosses from the first review into the second", "[SEP] [CLS]")
def second_chunk_crosses(ground: Ground) -> Outcome:
    """With the special tokens of both."""
    return same("[SEP] [CLS]" in _second(ground), expected=True)


@figure("T10", "it ends", "most people think of the homeless")
def second_chunk_ends(ground: Ground) -> Outcome:
    """In the second review."""
    end = "most people think of the homeless"
    return same(_second(ground)[-len(end) :], end)


def _second(ground: Ground) -> str:
    rows = _of_three(ground, "drop").gather(np.array([1]))
    return str(ground.embedded.tokenizer.decode(rows.input_ids[0]))
