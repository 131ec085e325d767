"""What Hypothesis draws for masking: vocabularies, rows, corruption policies and keys."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.maskers import vocabulary

from mlmref.plugin.batches import ChunkRows
from mlmref.plugin.contracts import Corruption
from mlmref.plugin.draws import EVALUATION_PASS

seeds = st.integers(0, 2**64 - 1)
passes = st.one_of(st.integers(0, 3), st.just(EVALUATION_PASS), st.integers(0, 2**32 - 1))
chunk_numbers = st.one_of(st.integers(0, 50), st.integers(-(2**63), 2**63 - 1))
probabilities = st.one_of(st.sampled_from([0.0, 0.15, 0.2, 0.5, 1.0]), st.floats(0.0, 1.0))
streams = st.text(max_size=12)


@st.composite
def vocabularies(draw):
    """Draw special ids anywhere, the mask among them, and some ordinary ids."""
    size = draw(st.integers(4, 40))
    special = draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=size - 2))
    mask_id, pad_id = (draw(st.sampled_from(sorted(special))) for _ in range(2))
    # Some tokenizers have no padding token of their own and pad with an ordinary one.
    pad_id = draw(st.one_of(st.just(pad_id), st.integers(0, size - 1)))
    return vocabulary(size, special, mask_id, pad_id)


@st.composite
def chunk_rows(draw, words):
    """Draw rows of any tokens, specials anywhere, words of any shape, padded or empty rows."""
    height, width = draw(st.integers(0, 5)), draw(st.integers(0, 20))
    shape = (height, width)
    lengths = draw(arrays.arrays(np.int32, height, elements=st.integers(0, width)))
    present = np.arange(width) < lengths[:, None]
    any_id = st.integers(0, words.size - 1)
    input_ids = draw(arrays.arrays(np.int32, shape, elements=any_id, fill=st.nothing()))
    word_start = draw(arrays.arrays(np.bool_, shape, fill=st.nothing()))
    special = np.isin(input_ids, words.special_ids)
    chunk_ids = draw(st.lists(chunk_numbers, min_size=height, max_size=height, unique=True))
    return ChunkRows(
        input_ids=np.where(present, input_ids, np.int32(words.pad_id)),
        word_start=(word_start | special) & present,
        documents=np.where(present, 0, -1),
        lengths=lengths,
        chunk_ids=np.array(chunk_ids, dtype=np.int64),
    )


@st.composite
def corruptions(draw):
    """Draw shares in hundredths, the corners among them."""
    mask = draw(st.sampled_from([0, 80, 100]) | st.integers(0, 100))
    random = draw(st.sampled_from([0, 100 - mask]) | st.integers(0, 100 - mask))
    keep = 100 - mask - random
    return Corruption(mask=mask / 100, random=random / 100, keep=keep / 100)
