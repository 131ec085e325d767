"""Tokens made by hand, so that chunks and splits need no tokenizer, and what it needs."""

import hashlib
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Value
from datasets.table import InMemoryTable

from mlmref.data.corpus.corpus import Corpus
from mlmref.data.tokens.tokens import Tokens
from mlmref.plugin.batches import Vocabulary

PAD_ID = 0
SPECIAL_IDS = [0, 1, 2, 3, 4]


def vocabulary(size):
    """Return a vocabulary whose first five ids are special."""
    return Vocabulary(
        size=size,
        mask_id=4,
        pad_id=PAD_ID,
        special_ids=np.array(SPECIAL_IDS, dtype=np.int32),
        ordinary_ids=np.arange(5, size, dtype=np.int32),
    )


def tokens_of(documents, starts=None, *, cuts=(), slack=0):
    """Put lists of ids where the package keeps tokens.

    Args:
        documents: a list of ids a document.
        starts: word starts, in the same shape; by default each third id is one.
        cuts: document numbers at which a new record batch begins, ascending.
        slack: rows before and after that are sliced off, as a view of a longer table has them.
    """
    if starts is None:
        starts = [[token % 3 == 0 for token in document] for document in documents]
    extra = [[9, 9]] * slack
    batches = []
    for first, end in zip([0, *cuts], [*cuts, len(documents)], strict=True):
        columns = []
        for lists, kind in ((documents, pa.int32()), (starts, pa.uint8())):
            rows = [[int(x) for x in row] for row in lists[first:end]]
            column = pa.array([*extra, *rows, *extra], pa.list_(kind))
            columns.append(column.slice(slack, end - first))
        batches.append(pa.record_batch(columns, names=["input_ids", "word_start"]))
    size = 1 + max((token for document in documents for token in document), default=0)
    return Tokens(
        Dataset(InMemoryTable(pa.Table.from_batches(batches))),
        vocabulary(max(size, 10)),
        has_words=True,
        fingerprint="made by hand",
    )


def numbered(lengths):
    """Return documents of these lengths in which no two tokens are alike."""
    ends = np.cumsum(lengths)
    return [list(range(10 + end - n, 10 + end)) for n, end in zip(lengths, ends, strict=True)]


def corpus_of(texts):
    """Return a corpus of just these texts; ``corpus_from_texts`` leaves out the empty ones."""
    dataset = Dataset.from_dict({"text": texts}, features=Features({"text": Value("string")}))
    fingerprint = hashlib.sha256(repr(texts).encode()).hexdigest()
    return corpus_with(dataset, fingerprint)


def corpus_with(dataset, fingerprint):
    """Return a corpus whose documents are the rows of a dataset."""
    places = {"file": [0] * len(dataset), "number": range(1, len(dataset) + 1)}
    return Corpus(
        name="made",
        dataset=dataset,
        fingerprint=fingerprint,
        empty=0,
        source="here",
        places=Dataset.from_dict(places),
        sources=(("made", "text"),),
        odd={},
    )


@contextmanager
def fresh_cache():
    """Keep what is prepared meanwhile in a cache of its own, so that nothing is served."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLMREF_CACHE", folder)
        yield


def rows_of(tokens):
    """Return each document's ids and word starts, as plain lists."""
    lists = tokens.dataset[:]
    return [
        (ids, [bool(start) for start in starts])
        for ids, starts in zip(lists["input_ids"], lists["word_start"], strict=True)
    ]
