"""Vocabularies, batches and the slow reference that salient masking is held against."""

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from mlmref_salient import SalientMasking, SalientOptions, mlmref_masking_strategies, weigh

from mlmref.masking.masker import Masker
from mlmref.plugin import ChunkRows, Vocabulary

(ENTRY,) = mlmref_masking_strategies()
PAD, CLS, SEP, MASK = range(4)
SIZE = 60


def vocabulary(counts=None):
    """Return a vocabulary of 60 ids; by default the smaller an id, the more often it stands."""
    counts = 6_000 // np.arange(1, SIZE + 1) if counts is None else np.asarray(counts)
    return Vocabulary(
        size=SIZE,
        mask_id=MASK,
        pad_id=PAD,
        special_ids=np.arange(4, dtype=np.int32),
        ordinary_ids=np.arange(4, SIZE, dtype=np.int32),
        counts=counts.astype(np.int64),
    )


def shown(ids, starts, lengths=None, chunk_ids=None, *, seed=42, words=None):
    """Return what a strategy is asked with: a batch and its draws."""
    ids = np.array(ids, dtype=np.int32)
    height, width = ids.shape
    lengths = np.full(height, width) if lengths is None else np.array(lengths)
    present = np.arange(width) < lengths[:, None]
    rows = ChunkRows(
        input_ids=np.where(present, ids, np.int32(PAD)),
        word_start=np.array(starts, dtype=bool) & present,
        documents=np.where(present, 0, -1),
        lengths=lengths.astype(np.int32),
        chunk_ids=np.arange(height) if chunk_ids is None else np.array(chunk_ids, dtype=np.int64),
    )
    masker = Masker(
        entry=ENTRY,
        strategy=SalientMasking(SalientOptions()),
        corruption=ENTRY.corruption,
        vocabulary=words or vocabulary(),
        seed=seed,
        owner="tests",
    )
    return masker.shown(rows, 0)


def text(height, width, seed=0):
    """Return rows of random words of several tokens, in documents, some rows short."""
    rng = np.random.default_rng(seed)
    ids = np.minimum(rng.zipf(1.3, (height, width)) + 3, SIZE - 1)
    ids[rng.random(ids.shape) < 0.03] = SEP
    lengths = np.where(rng.random(height) < 0.8, width, rng.integers(0, width + 1, height))
    return shown(ids, rng.random(ids.shape) < 0.6, lengths)


def words_of(row):
    """Return the words of a row, as lists of positions."""
    found = {}
    for position, word in enumerate(row.tolist()):
        if word >= 0:
            found.setdefault(word, []).append(position)
    return list(found.values())


def shares(sizes, masses, probability):
    """Return each word's probability to be a target, in exact fractions, by trying.

    Words are made certain one after the other, the heaviest first, for as long as the factor
    that fits the rest would give the next a probability of 1 or more.
    """
    budget = Fraction(probability * sum(sizes))
    certain, rest = (
        [],
        sorted(range(len(sizes)), key=lambda one: -Fraction(masses[one], sizes[one])),
    )
    while rest:
        factor = budget / sum(masses[one] for one in rest)
        if factor * Fraction(masses[rest[0]], sizes[rest[0]]) < 1:
            break
        budget -= sizes[rest[0]]
        certain.append(rest.pop(0))
    return [
        Fraction(1) if one in certain else factor * Fraction(masses[one], sizes[one])
        for one in range(len(sizes))
    ]


def propose(batch, draws, options, background=None):
    """Return targets bool ``[B, T]``, one row and one word at a time."""
    weights = weigh(batch.vocabulary, background, options.smoothing, options.most)
    chance = draws.uniform("salient")
    targets = np.zeros(batch.words.shape, dtype=bool)
    for row, numbers in enumerate(batch.words):
        words = words_of(numbers)
        masses = [sum(int(weights[batch.input_ids[row, at]]) for at in word) for word in words]
        sizes = [len(word) for word in words]
        for word, share in zip(words, shares(sizes, masses, options.mlm_probability), strict=True):
            targets[row, word] = chance[row, numbers[word[0]]] < share
    return targets


@st.composite
def batches(draw):
    """Draw small rows of any shape, with special tokens anywhere and words of any size."""
    height, width = draw(st.integers(0, 4)), draw(st.integers(0, 24))
    cells = height * width
    ids = draw(st.lists(st.sampled_from([SEP, *range(4, SIZE)]), min_size=cells, max_size=cells))
    starts = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    lengths = draw(st.lists(st.integers(0, width), min_size=height, max_size=height))
    numbers = draw(st.lists(st.integers(0, 10**12), min_size=height, max_size=height, unique=True))
    counts = draw(st.lists(st.integers(0, 10**9), min_size=SIZE, max_size=SIZE))
    return shown(
        np.reshape(ids, (height, width)),
        np.reshape(starts, (height, width)),
        lengths,
        numbers,
        seed=draw(st.integers(0, 2**64 - 1)),
        words=vocabulary(counts),
    )


options = st.builds(
    SalientOptions,
    mlm_probability=st.sampled_from([0.0, 0.15, 0.5, 1.0]) | st.floats(0.0, 1.0),
    smoothing=st.sampled_from([1.0, 100.0]) | st.floats(1e-3, 1e6),
    most=st.sampled_from([1.0, 10.0, 64.0]) | st.floats(1.0, 64.0),
)
