"""From text to masked batches, against the tutorial's way and Transformers' collators."""

import tempfile
import warnings
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import torch
from benchmarks import machine, ours, peers
from benchmarks.bench import benchmark, in_turn, seconds
from transformers import DataCollatorForLanguageModeling

from mlmref import MaskingCollator
from mlmref.data.chunks import chunk
from mlmref.data.corpus.load import load_corpus
from mlmref.data.tokens.tokenize import tokenize
from mlmref.settings.config import ChunkConfig, CorpusConfig

BLOCK = 1_024
"""Rows gathered at a time where all of them are."""
ROWS = 64


@cache
def reviews(folder):
    """Return IMDb's reviews as a data set, and the same tokenized as the tutorial does."""
    import datasets

    file = Path(folder) / "reviews.csv"
    ours.write_reviews(file)
    read = datasets.load_dataset(
        "csv", data_files=str(file), split="train", cache_dir=f"{folder}/first"
    )
    return read, peers.tokenize_reviews(read, ours.loaded().tokenizer)


@benchmark(
    "chunking",
    what="chunking, with every chunk's tokens looked up",
    work="25,000 reviews, 7.8 M tokens",
    peer="the tutorial's `group_texts` through `map`",
    floor=200.0,
)
def chunking(pairs):
    """Cut all reviews and gather all chunks, which the tutorial's map writes out."""
    tokens = ours.tokens()

    def mine():
        chunks = chunk(tokens, ChunkConfig())
        for first in range(0, len(chunks), BLOCK):
            chunks.gather(np.arange(first, min(first + BLOCK, len(chunks))))
        return chunks

    with tempfile.TemporaryDirectory() as folder:
        tokenized = reviews(folder)[1]
        found = in_turn(
            pairs,
            lambda: seconds(mine, 3),
            lambda: seconds(lambda: peers.group_reviews(tokenized)),
        )
    least = int(tokens.offsets[-1]) * (4 + 1 + 4 + 1 + 8)  # read, written, and the documents
    return _with_share(found, least)


def _with_share(found, least_bytes):
    """Add how much of the memory's bandwidth the bytes that have to move take."""
    bandwidth = machine.memory_bandwidth()
    share = least_bytes / float(np.median(found.ours)) / bandwidth
    found.facts.update({"least_megabyte": least_bytes / 1e6, "share_of_bandwidth": share})
    return found


@benchmark(
    "text-to-chunks",
    what="text to chunks, whole, cold cache",
    work="a CSV file of 25,000 reviews",
    peer="`load_dataset` and the tutorial's two maps",
    floor=3.0,
)
def text_to_chunks(pairs):
    """Read, tokenize and cut; each time into an empty cache."""
    import datasets

    tokenizer = ours.loaded().tokenizer
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reviews.csv"
        ours.write_reviews(file)

        def theirs():
            with tempfile.TemporaryDirectory(dir=folder) as cache_dir:
                read = datasets.load_dataset(
                    "csv", data_files=str(file), split="train", cache_dir=cache_dir
                )
                peers.group_reviews(peers.tokenize_reviews(read, tokenizer))

        return in_turn(pairs, lambda: seconds(lambda: _prepare(file)), lambda: seconds(theirs))


def _prepare(file, cache_folder=None):
    """Go from a file to chunks, with a new cache unless one is given."""
    import pytest

    with tempfile.TemporaryDirectory() as new, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLMREF_CACHE", str(cache_folder or new))
        corpus = load_corpus(CorpusConfig(name=str(file)))
        return chunk(tokenize(corpus, ours.loaded().tokenizer), ChunkConfig())


@cache
def _rows():
    """Return 64 training chunks, in the order of a step."""
    return ours.parts().train.gather(np.arange(ROWS))


@cache
def _features():
    """Return the same as what a data set hands to a collator, offsets and words included."""
    rows, tokens = _rows(), ours.tokens()
    backend = ours.loaded().tokenizer.backend_tokenizer
    texts = load_corpus(CorpusConfig(name="imdb")).dataset
    features = []
    for nth in range(ROWS):
        offsets, words = [], []
        for number in np.unique(rows.documents[nth]):
            whole = backend.encode(texts[int(number)]["text"])
            taken = np.flatnonzero(rows.documents[nth] == number)
            start = _place(tokens, int(number), rows.input_ids[nth, taken])
            offsets += whole.offsets[start : start + len(taken)]
            words += whole.word_ids[start : start + len(taken)]
        features.append(
            {
                "input_ids": rows.input_ids[nth].tolist(),
                "attention_mask": [1] * len(words),
                "labels": rows.input_ids[nth].tolist(),
                "word_ids": words,
                "special_tokens_mask": [int(word is None) for word in words],
                "offset_mapping": offsets,
            }
        )
    return features


def _place(tokens, number, wanted):
    """Return where in a document some of its tokens stand."""
    begin, end = tokens.offsets[number : number + 2]
    ids, _ = tokens.take(np.arange(begin, end))
    windows = np.lib.stride_tricks.sliding_window_view(ids, len(wanted))
    return int(np.flatnonzero((windows == wanted).all(1))[0])


def _collators(pairs, strategy, columns, theirs, *, own=None):
    """Time a masker on rows against a collator on features, both to tensors.

    With ``own``, MaskingCollator is timed on features with these columns instead.
    """
    masker, rows = ours.masker(strategy), _rows()
    features = [{key: one[key] for key in columns} for one in _features()]
    collator = MaskingCollator(ours.loaded().tokenizer, strategy)
    of_mine = [{key: one[key] for key in own or ()} for one in _features()]

    def mine():
        if own:
            collator(of_mine)
            return
        masked = masker(rows, 0)
        for array in (masked.input_ids, masked.attention_mask, masked.labels):
            torch.from_numpy(array).long()

    def theirs_seconds():
        taken = []
        for _ in range(7):
            fresh = deepcopy(features)  # some collators write to their features
            taken.append(seconds(lambda given=fresh: theirs(given)))
        return float(np.median(taken))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that whole words are always masks
        found = in_turn(max(pairs, 9), lambda: seconds(mine, 101), theirs_seconds)
    # Ids and word starts in; ids, labels and attention out, as int64.
    return _with_share(found, ROWS * ours.CHUNK * (4 + 1 + 3 * 8))


@benchmark(
    "token-collator",
    what="token collator",
    work="64 x 128, features to tensors",
    peer="Transformers'",
    floor=15.0,
)
def token_collator(pairs):
    """Mask tokens against DataCollatorForLanguageModeling."""
    collator = DataCollatorForLanguageModeling(ours.loaded().tokenizer, mlm_probability=0.15)
    return _collators(pairs, "token", ("input_ids", "attention_mask"), collator)


@benchmark(
    "token-collator-best",
    what="token collator",
    work="64 x 128, features with `special_tokens_mask`",
    peer="Transformers'",
)
def token_collator_best(pairs):
    """Mask tokens against the same collator, which then does not look for special tokens."""
    collator = DataCollatorForLanguageModeling(ours.loaded().tokenizer, mlm_probability=0.15)
    columns = ("input_ids", "attention_mask", "special_tokens_mask")
    return _collators(pairs, "token", columns, collator)


@benchmark(
    "masking-collator",
    what="token masking of a list of features",
    work="64 x 128, `MaskingCollator`, lists of integers to tensors",
    peer="Transformers'",
    floor=7.0,
)
def masking_collator(pairs):
    """Mask lists of integers with MaskingCollator against DataCollatorForLanguageModeling."""
    theirs = DataCollatorForLanguageModeling(ours.loaded().tokenizer, mlm_probability=0.15)
    columns = ("input_ids", "attention_mask")
    return _collators(pairs, "token", columns, theirs, own=columns)


@benchmark(
    "masking-collator-words",
    what="whole-word masking of a list of features",
    work="64 x 128, `MaskingCollator`, lists of integers to tensors",
    peer="Transformers', which needs `offset_mapping`",
    floor=15.0,
)
def masking_collator_words(pairs):
    """Mask words with MaskingCollator against Transformers' whole-word masking."""
    theirs = DataCollatorForLanguageModeling(
        ours.loaded().tokenizer, mlm_probability=0.2, whole_word_mask=True
    )
    columns = ("input_ids", "attention_mask", "offset_mapping")
    return _collators(pairs, "whole-word", columns, theirs, own=columns[:2])


@benchmark(
    "token-collator-seqmask",
    what="token collator",
    work="64 x 128, array to arrays",
    peer="seqmask's",
)
def token_collator_seqmask(pairs):
    """Mask tokens against seqmask's own object, which takes an array, made once."""
    from conformance.published import seqmasking

    masking = seqmasking(ours.loaded().tokenizer, 0.15)
    ids = _rows().input_ids.astype(np.int64)
    return _collators(pairs, "token", ("input_ids",), lambda _: masking(ids, seed=1))


@benchmark(
    "whole-word-collator",
    what="whole-word collator",
    work="64 x 128, features to tensors",
    peer="the tutorial's",
    floor=30.0,
)
def whole_word_collator(pairs):
    """Mask words against a Python loop over them."""
    mask_id = ours.loaded().tokenizer.mask_token_id
    return _collators(
        pairs,
        "whole-word",
        ("input_ids", "attention_mask", "labels", "word_ids"),
        lambda features: peers.tutorial_collator(features, mask_id),
    )


@benchmark(
    "whole-word-collator-transformers",
    what="whole-word collator",
    work="64 x 128, features to tensors",
    peer="Transformers'",
    floor=40.0,
)
def whole_word_collator_transformers(pairs):
    """Mask words against ``whole_word_mask=True``, which finds them by their offsets."""
    collator = DataCollatorForLanguageModeling(
        ours.loaded().tokenizer, mlm_probability=0.2, whole_word_mask=True
    )
    columns = ("input_ids", "attention_mask", "offset_mapping")
    return _collators(pairs, "whole-word", columns, collator)
