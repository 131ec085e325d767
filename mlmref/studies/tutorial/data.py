"""Steps T01 to T10: model, reviews, tokens, chunks."""

from __future__ import annotations

import numpy as np

from mlmref.base.quiet_libraries import quiet
from mlmref.data.chunks import TUTORIAL_GROUP, Chunks, chunk
from mlmref.evaluation.fill_mask import fill
from mlmref.plugin.arrays import Int64Array
from mlmref.settings.config import ChunkConfig
from mlmref.studies.tutorial.ground import Figure, Ground
from mlmref.studies.tutorial.verdicts import Outcome, explained, near, same, shown

_PARAMETERS = 66_985_530
_ANSWERS = "deal, success, adventure, idea, feat"
_BEGINNING, _END = ".... at.......... high. a classic line", "most people think of the homeless"


def _parameters(config: str, head: str) -> int:
    """Count the parameters of a default configuration, without memory for the weights."""
    import torch
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, head)(getattr(transformers, config)())
    return sum(one.numel() for one in model.parameters())


def _answers(on: Ground) -> Outcome:
    loaded = on.distilbert
    [filled] = fill(loaded.model, loaded.tokenizer, ["This is a great [MASK]."])
    return same(shown([one.token for one in filled.answers]), _ANSWERS)


def _labels(on: Ground, split: str = "train") -> Int64Array:
    return np.asarray(on.corpus(split).dataset.with_format("numpy")["label"][:])


def _train_labels(on: Ground) -> Outcome:
    found, counts = np.unique(_labels(on), return_counts=True)
    return same(found.tolist(), [0, 1], f"{shown(counts.tolist())} reviews")


def unsupervised_labels(on: Ground) -> Outcome:
    """Compare the labels of the unsupervised split with -1."""
    return same(np.unique(_labels(on, "unsupervised")).tolist(), [-1])


def _equal_tokenizers(on: Ground) -> Outcome:
    """Compare the vocabularies, and the tokens of the first three reviews."""
    own, theirs = on.embedded.tokenizer, on.distilbert.tokenizer
    texts = [on.corpus().dataset[int(number)]["text"] for number in on.first_three]
    with quiet():  # a warning: a review is longer than the model's maximum
        equal = own(texts)["input_ids"] == theirs(texts)["input_ids"]
    return same(equal and own.get_vocab() == theirs.get_vocab(), expected=True)


def _token_counts(on: Ground) -> list[int]:
    """Return the token counts of the first three reviews."""
    counts: list[int] = np.diff(on.tokens().offsets)[on.first_three].tolist()
    return counts


def _of_three(on: Ground, remainder: str) -> Chunks:
    rule = ChunkConfig.model_validate({"remainder": remainder})
    return chunk(on.tokens(), rule, documents=on.first_three)


def _second(on: Ground) -> str:
    """Return the second chunk of the first three reviews as text."""
    rows = _of_three(on, "drop").gather(np.array([1]))
    return str(on.embedded.tokenizer.decode(rows.input_ids[0]))


def _tutorial_chunks(on: Ground, split: str) -> int:
    return len(chunk(on.tokens(split), ChunkConfig(scope="tutorial")))


def _train_chunks(on: Ground) -> Outcome:
    positive_first = np.argsort(_labels(on) != 1, kind="stable")
    rule = ChunkConfig(scope="tutorial")
    return explained(
        [_tutorial_chunks(on, "train"), len(chunk(on.tokens(), rule, documents=positive_first))],
        [61_291, 61_290],
        f"E06, CHUNK-006: every {TUTORIAL_GROUP:,} reviews lose a remainder, so the count depends "
        "on the order of the reviews: here today's order, and positive reviews first; the tutorial "
        "used an older order",
    )


def _joined_once(on: Ground) -> Outcome:
    tokens = on.tokens()
    total = int(tokens.offsets[-1])
    found = [len(chunk(tokens, ChunkConfig())), total]
    return same(found, [61_302, 7_846_783], f"{total:,} // 128, CHUNK-005")


def _other_chunks(on: Ground, split: str, printed: int) -> Outcome:
    found = _tutorial_chunks(on, split)
    if found == printed:
        return same(found, printed)
    groups = len(on.corpus(split)) / TUTORIAL_GROUP
    return near(found, printed, groups / printed, "the count depends on the order (E06)", ",.0f")


FIGURES = (
    Figure(
        "T01", "parameters of the default configuration", "67M",
        lambda _: same(_parameters("DistilBertConfig", "DistilBertForMaskedLM"), _PARAMETERS),
    ),
    Figure(
        "T01", "parameters of BERT's default configuration, without a head", "110M",
        lambda _: near(
            _parameters("BertConfig", "BertModel"), 110e6, 0.005, "printed in millions", ",.0f"
        ),
    ),
    Figure(
        "T01", "parameters of the weights", "67M",
        lambda on: same(sum(one.numel() for one in on.distilbert.model.parameters()), _PARAMETERS),
    ),
    Figure("T02", "", _ANSWERS, _answers),
    Figure("T03", "training reviews", "25,000", lambda on: same(len(on.corpus()), 25_000)),
    Figure(
        "T03", "columns", "text, label",
        lambda on: same(shown(on.corpus().dataset.column_names), "text, label"),
    ),
    Figure("T03", "test reviews", "25,000", lambda on: same(len(on.corpus("test")), 25_000)),
    Figure(
        "T03", "unsupervised reviews", "50,000",
        lambda on: same(len(on.corpus("unsupervised")), 50_000),
    ),
    Figure("T04", "training labels", "0, 1", _train_labels),
    Figure("T04", "unsupervised labels", "-1", unsupervised_labels),
    Figure(
        "T05", "columns", "attention_mask, input_ids, word_ids",
        lambda on: explained(
            shown(on.tokens().dataset.column_names),
            "input_ids, word_start, visible, lost",
            "TOK-004: word ids repeat (E02); TOK-026: characters in no token",
        ),
    ),
    Figure(
        "T05", "model_max_length", "512",
        lambda on: same(int(on.embedded.tokenizer.model_max_length), 512),
    ),
    Figure("T05", "the embedded tokenizer equals DistilBERT's", "", _equal_tokenizers),
    Figure("T06", "", "200, 559, 192", lambda on: same(_token_counts(on), [200, 559, 192])),
    Figure("T06", "sum", "951", lambda on: same(sum(_token_counts(on)), 951)),
    Figure(
        "T07", "", "128, 128, 128, 128, 128, 128, 128, 55",
        lambda on: same(_of_three(on, "pad").lengths.tolist(), [128] * 7 + [55]),
    ),
    Figure(
        "T08", "chunks with a dropped and with a padded remainder", "7, 8",
        lambda on: same(
            [len(_of_three(on, one)) for one in ("drop", "pad")], [7, 8], "CHUNK-003, CHUNK-004"
        ),
    ),
    Figure("T09", "training chunks", "61,289", _train_chunks),
    Figure("T09", "training chunks and tokens, joined once", "", _joined_once),
    Figure("T09", "test chunks", "59,905", lambda on: _other_chunks(on, "test", 59_905)),
    Figure(
        "T09", "unsupervised chunks", "122,963",
        lambda on: _other_chunks(on, "unsupervised", 122_963),
    ),
    Figure(
        "T10", "beginning", _BEGINNING, lambda on: same(_second(on)[: len(_BEGINNING)], _BEGINNING)
    ),
    Figure(
        "T10", "it crosses from the first review into the second", "[SEP] [CLS]",
        lambda on: same("[SEP] [CLS]" in _second(on), expected=True),
    ),
    Figure("T10", "end", _END, lambda on: same(_second(on)[-len(_END) :], _END)),
)  # fmt: skip
