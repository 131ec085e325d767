"""From text to masks: what a tokenizer, cutting and masking do together, in plain Python."""

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from strategies import masking as some
from strategies.text import chinese_corpora, chunk_rules, corpora, families
from support.maskers import built_in
from support.naive_masking import plain_masks
from support.oracles import plain_chunks, plain_word_starts
from support.tokenizers import tokenizer
from support.tokens import corpus_of, fresh_cache

from mlmref.data import chunks as station
from mlmref.data.chunks import cut
from mlmref.data.tokens.tokenize import tokenize
from mlmref.plugin.arrays import IGNORE_INDEX

GROUP = 2


@pytest.fixture(autouse=True, scope="module")
def _small_groups():
    """Take the tutorial's groups this small, so that small corpora have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(station, "TUTORIAL_GROUP", GROUP)
        yield


@pytest.mark.clause("CHUNK-001")
@pytest.mark.clause("MASK-003")
@pytest.mark.clause("MASK-004")
@pytest.mark.clause("MASK-006")
@pytest.mark.clause("MASK-011")
@pytest.mark.clause("MASK-012")
@pytest.mark.clause("TOK-004")
@given(
    texts=corpora | chinese_corpora,
    family=families,
    rule=chunk_rules,
    name=st.sampled_from(["token", "whole-word"]),
    corruption=some.corruptions(),
    probability=some.probabilities,
    key=st.tuples(some.seeds, some.passes),
    data=st.data(),
)
def test_texts_are_masked_as_written_out(
    texts, family, rule, name, corruption, probability, key, data
):
    """Any text and family of tokenizers, cut and masked by hand, token by token, is the same."""
    chosen = tokenizer(family)
    with fresh_cache():
        tokens = tokenize(corpus_of(texts), chosen)
    special = set(chosen.all_special_ids)
    encodings = [chosen(text) for text in texts]
    # Without an ordinary token a document is skipped (TOK-025).
    skipped = [special.issuperset(encoding["input_ids"]) for encoding in encodings]
    ids = [
        [] if skip else encoding["input_ids"]
        for skip, encoding in zip(skipped, encodings, strict=True)
    ]
    starts = [plain_word_starts(row["input_ids"], row.word_ids(), special) for row in encodings]

    chunks = cut(tokens, rule, np.arange(len(texts)))
    group = GROUP if rule.scope == "tutorial" else len(texts)
    places = plain_chunks(ids, rule.size, group, rule.remainder)
    assert len(chunks) == len(places)
    event(f"chunks: {min(len(places), 3)}")
    some_rows = st.lists(st.integers(0, max(len(places) - 1, 0)), max_size=4, unique=True)
    numbers = data.draw(some_rows) if places else []
    rows = chunks.gather(np.array(numbers, dtype=np.int64))
    for row, number in enumerate(numbers):
        fill = rule.size - len(places[number])
        by_hand = [ids[d][p] for d, p in places[number]] + [chosen.pad_token_id] * fill
        assert rows.input_ids[row].tolist() == by_hand
        begun = [starts[d][p] for d, p in places[number]] + [False] * fill
        assert rows.word_start[row].tolist() == begun

    seed, pass_ = key
    masker = built_in(name, corruption, seed, tokens.vocabulary, mlm_probability=probability)
    masked = masker(rows, pass_)
    by_hand = plain_masks(rows, name, probability, corruption, tokens.vocabulary, seed, pass_)
    got = masked.input_ids, masked.labels, masked.attention_mask
    assert tuple(array.tolist() for array in got) == by_hand
    labelled = masked.labels[masked.labels != IGNORE_INDEX]
    assert not special & set(labelled.tolist())
    if probability == 1:
        assert len(labelled) == sum(token not in special for token in rows.input_ids.ravel())
