"""Batches as the core shows them to a strategy, made by hand, by Hypothesis or at a fixed seed."""

import numpy as np
from hypothesis import strategies as st
from mlmref_span import SpanMasking, SpanOptions, mlmref_masking_strategies

from mlmref.masking.masker import Masker
from mlmref.plugin import ChunkRows, Corruption, Vocabulary

(ENTRY,) = mlmref_masking_strategies()
PAD, CLS, SEP, MASK = range(4)
VOCABULARY = Vocabulary(
    size=200,
    mask_id=MASK,
    pad_id=PAD,
    special_ids=np.arange(4, dtype=np.int32),
    ordinary_ids=np.arange(4, 200, dtype=np.int32),
)


def rows_of(ids, starts=None, lengths=None, chunk_ids=None):
    """Return rows; by default every token is a word and no row is padded."""
    ids = np.array(ids, dtype=np.int32)
    height, width = ids.shape
    starts = np.ones(ids.shape, dtype=bool) if starts is None else np.array(starts, dtype=bool)
    lengths = np.full(height, width) if lengths is None else np.array(lengths)
    present = np.arange(width) < lengths[:, None]
    return ChunkRows(
        input_ids=np.where(present, ids, np.int32(PAD)),
        word_start=starts & present,
        documents=np.where(present, 0, -1),
        lengths=lengths.astype(np.int32),
        chunk_ids=np.arange(height) if chunk_ids is None else np.array(chunk_ids, dtype=np.int64),
    )


def text(height, width, seed=0, words=0.6, ends=0.03):
    """Return rows of random words of several tokens, in documents, some rows short."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(4, 200, (height, width))
    ids[rng.random(ids.shape) < ends] = SEP
    lengths = np.where(rng.random(height) < 0.8, width, rng.integers(0, width + 1, height))
    return rows_of(ids, rng.random(ids.shape) < words, lengths)


def shown(rows, *, seed=42, pass_=0):
    """Return what a strategy is asked with: a batch and its draws."""
    masker = Masker(
        entry=ENTRY,
        strategy=SpanMasking(SpanOptions()),
        corruption=ENTRY.corruption,
        vocabulary=VOCABULARY,
        seed=seed,
        owner="tests",
    )
    return masker.shown(rows, pass_)


@st.composite
def batches(draw):
    """Draw small rows of any shape, with special tokens anywhere and words of any size."""
    height, width = draw(st.integers(0, 4)), draw(st.integers(0, 24))
    cells = height * width
    ids = draw(st.lists(st.sampled_from([SEP, *range(4, 12)]), min_size=cells, max_size=cells))
    starts = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    lengths = draw(st.lists(st.integers(0, width), min_size=height, max_size=height))
    numbers = draw(st.lists(st.integers(0, 10**12), min_size=height, max_size=height, unique=True))
    shape = (height, width)
    rows = rows_of(np.reshape(ids, shape), np.reshape(starts, shape), lengths, numbers)
    return shown(rows, seed=draw(st.integers(0, 2**64 - 1)), pass_=draw(st.integers(0, 5)))


@st.composite
def options(draw):
    """Draw options, the corners among them."""
    probability = st.sampled_from([0.0, 0.15, 0.5, 1.0]) | st.floats(0.0, 1.0)
    mask = draw(st.sampled_from([0, 50, 80, 100]))
    random = draw(st.integers(0, 100 - mask))
    return SpanOptions(
        mlm_probability=draw(probability),
        length_p=draw(st.sampled_from([0.0, 0.2, 1.0]) | st.floats(0.0, 1.0)),
        max_length=draw(st.integers(1, 12)),
        shares=Corruption(mask=mask / 100, random=random / 100, keep=(100 - mask - random) / 100),
    )
