"""Hypothesis strategies for text, documents, and how they are cut and held out."""

import numpy as np
from hypothesis import strategies as st
from support.tokenizers import FAMILIES, SPECIAL, TEXT

from mlmref.settings.config import ChunkConfig, SplitConfig

families = st.sampled_from(FAMILIES)

_all_words = sorted({word for text in TEXT for word in text.split()})
_words = st.sampled_from(_all_words)
_chinese = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5), max_size=12)
_unicode = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # no lone surrogates
_special = st.sampled_from([*SPECIAL.values(), "[MASK][MASK]", "[CLS] [SEP]", "▁", "##", "Ġ"])
_blank = st.sampled_from([" ", "  ", "\n", "\t", "\u00a0", "\u200b", "\u3000", ""])
_long_word = st.builds(lambda piece, n: piece * n, _words, st.integers(20, 60))

texts = st.one_of(
    st.just(""),
    _blank,
    _words,
    _special,
    _unicode,
    _chinese,
    st.sampled_from(TEXT),
    st.builds(
        "".join,
        st.lists(st.one_of(_words, _blank, _special, _unicode, _chinese, _long_word), max_size=12),
    ),
)
"""One document: empty, one word, long, with special tokens in it, of any script."""

plain_words = st.lists(
    st.sampled_from([word for word in _all_words if word.isascii() and word.isalpha()]),
    min_size=1,
    max_size=30,
)
"""Words of plain letters that every test tokenizer has pieces for."""

corpora = st.lists(texts, min_size=1, max_size=8)
"""Some documents."""

chinese_corpora = st.lists(
    st.text(
        st.sampled_from("这部电影非常好看，演员的表演很出色。我们都喜欢这个故事!?A1 鑫"),
        max_size=40,
    ),
    min_size=1,
    max_size=4,
)
"""Chinese documents without blanks between words, with characters that no tokenizer knows."""

_lengths = st.one_of(st.just(0), st.just(1), st.integers(0, 12), st.integers(30, 90))
ragged = st.builds(
    lambda lengths, huge, at: [*lengths[:at], *huge, *lengths[at:]],
    st.lists(_lengths, min_size=1, max_size=20),
    st.just([]) | st.just([]) | st.lists(st.sampled_from([400, 1_000]), min_size=1, max_size=1),
    st.integers(0, 20),
)
"""Documents' lengths in tokens: empty, a single token, short, longer than a chunk, huge."""


def starts_of(documents):
    """Draw word starts for some documents: from a seed, since there may be thousands."""

    def drawn(seed):
        rng = np.random.default_rng(seed)
        return [rng.random(len(document)) < 0.5 for document in documents]

    return st.integers(0, 2**32 - 1).map(drawn).map(lambda rows: [row.tolist() for row in rows])


@st.composite
def segmented(draw):
    """Draw documents' lengths and how a file divides them into record batches."""
    lengths = draw(ragged)
    cuts = draw(st.lists(st.integers(0, len(lengths)), max_size=4))
    return lengths, {"cuts": sorted(cuts), "slack": draw(st.integers(0, 2))}


chunk_rules = st.builds(
    ChunkConfig,
    size=st.integers(2, 16),
    scope=st.sampled_from(["corpus", "tutorial"]),
    remainder=st.sampled_from(["drop", "pad"]),
)
"""Every rule of cutting."""

_shares = st.floats(0.01, 0.6) | st.floats(0.01, 0.99)
_train_sizes = st.just("rest") | st.integers(1, 6) | _shares


@st.composite
def split_rules(draw, by=None, train_size=None):
    """Draw a rule of holding out; some ask for more than there is, some for just a whole."""
    by = by or draw(st.sampled_from(["chunk", "document"]))
    train_size = train_size or draw(_train_sizes)
    test_size = draw(st.integers(1, 4) | _shares)
    if isinstance(train_size, float) and draw(st.booleans()):
        test_size = 1 - train_size
    seed = draw(st.integers(0, 5))
    return SplitConfig(by=by, train_size=train_size, test_size=test_size, seed=seed)
