"""Masking: equal to a plain rewrite, and each promise stated by itself."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from strategies import masking as some
from support.maskers import built_in, proposing
from support.naive_masking import plain_masks, plain_words

from mlmref.base.errors import PluginError
from mlmref.masking.masker import number_words
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.batches import ChunkRows, MaskedRows, Plan

names = st.sampled_from(["token", "whole-word"])


@st.composite
def cases(draw):
    """Draw a vocabulary, rows, a built-in masker and a pass."""
    words = draw(some.vocabularies())
    rows = draw(some.chunk_rows(words))
    masker = built_in(
        draw(names),
        draw(some.corruptions()),
        draw(some.seeds),
        words,
        mlm_probability=draw(some.probabilities),
    )
    return words, rows, masker, draw(some.passes)


def _same(one, other):
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in fields(one)
    )


def rows_at(rows, order, width, pad_id):
    """Return some rows, in some order, cut or padded to a width."""

    def fit(array, fill):
        out = np.full((len(order), width), fill, dtype=array.dtype)
        least = min(width, array.shape[1])
        out[:, :least] = array[order, :least]
        return out

    return ChunkRows(
        input_ids=fit(rows.input_ids, pad_id),
        word_start=fit(rows.word_start, False),
        documents=fit(rows.documents, -1),
        lengths=rows.lengths[order],
        chunk_ids=rows.chunk_ids[order],
    )


@pytest.mark.clause("MASK-001")
@pytest.mark.clause("MASK-006")
@pytest.mark.clause("MASK-008")
@pytest.mark.clause("MASK-023")
@pytest.mark.clause("MASK-030")
@given(cases())
def test_masks_equal_a_plain_rewrite(case):
    """Inputs, labels and attention are those of the specification, written token by token."""
    words, rows, masker, pass_ = case
    masked = masker(rows, pass_)
    plain = plain_masks(
        rows,
        masker.entry.name,
        masker.strategy._probability,
        masker.corruption,
        words,
        masker.seed,
        pass_,
    )
    assert (masked.input_ids.tolist(), masked.labels.tolist()) == plain[:2]
    assert masked.attention_mask.tolist() == plain[2]
    assert (masked.input_ids.dtype, masked.labels.dtype) == (np.int32, np.int32)
    assert masked.attention_mask.dtype == np.bool_


@pytest.mark.clause("MASK-001")
@pytest.mark.clause("MASK-010")
@given(cases(), some.passes)
def test_a_second_look_is_the_same(case, other_pass):
    """A call in between, with another pass, changes nothing of a mask."""
    _, rows, masker, pass_ = case
    first = masker(rows, pass_)
    masker(rows, other_pass)
    assert _same(first, masker(rows, pass_))


@pytest.mark.clause("MASK-002")
@given(cases(), st.randoms(use_true_random=False), st.integers(0, 8))
def test_company_order_and_padding_do_not_matter(case, random, more):
    """Some of the rows, in another order and under more or less padding, keep their masks."""
    words, rows, masker, pass_ = case
    height, width = rows.input_ids.shape
    order = random.sample(range(height), k=random.randint(0, height))
    least = int(rows.lengths[order].max(initial=0))
    here = rows_at(rows, order, random.choice([least, width, width + more]), words.pad_id)
    whole, part = masker(rows, pass_), masker(here, pass_)
    for field in fields(MaskedRows):
        one, other = getattr(whole, field.name)[order], getattr(part, field.name)
        assert np.array_equal(one[:, :least], other[:, :least])
    assert (part.labels[:, least:] == IGNORE_INDEX).all()


@pytest.mark.clause("MASK-003")
@pytest.mark.clause("MASK-020")
@given(cases())
def test_specials_and_padding_are_left_alone(case):
    """At special tokens and in the padding there is no label, and the input is the same."""
    words, rows, masker, pass_ = case
    masked = masker(rows, pass_)
    present = np.arange(rows.input_ids.shape[1]) < rows.lengths[:, None]
    special = np.isin(rows.input_ids, words.special_ids) | ~present
    assert (masked.labels[special] == IGNORE_INDEX).all()
    assert (masked.input_ids[special] == rows.input_ids[special]).all()
    assert np.array_equal(masked.attention_mask, present)


@pytest.mark.clause("MASK-011")
@given(cases())
def test_words_are_targets_as_a_whole(case):
    """Under whole-word masking all tokens of a word have labels, or none."""
    words, rows, masker, pass_ = case
    masker = built_in(
        "whole-word", seed=masker.seed, words=words, mlm_probability=masker.strategy._probability
    )
    labelled = masker(rows, pass_).labels != IGNORE_INDEX
    present = np.arange(rows.input_ids.shape[1]) < rows.lengths[:, None]
    special = np.isin(rows.input_ids, words.special_ids) | ~present
    for start, is_special, label in zip(rows.word_start, special, labelled, strict=True):
        numbers = np.array(plain_words(start, is_special), dtype=np.int64)
        for number in set(numbers.tolist()):
            assert len(set(label[numbers == number].tolist())) == 1


@pytest.mark.clause("MASK-012")
@pytest.mark.clause("MASK-013")
@given(st.data())
def test_words_are_numbered_as_written_out(data):
    """Words begin at their flag, at the row's edge and after a special token."""
    shape = data.draw(arrays.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=12))
    starts, special = (
        data.draw(arrays.arrays(np.bool_, shape, fill=st.nothing())) for _ in range(2)
    )
    before = starts.copy(), special.copy()
    numbers = number_words(starts, special)
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [plain_words(*pair) for pair in zip(starts, special, strict=True)]
    assert np.array_equal(starts, before[0])
    assert np.array_equal(special, before[1])


@st.composite
def proposals(draw):
    """Draw rows, any targets among the ordinary positions, and replacements or none."""
    words = draw(some.vocabularies())
    rows = draw(some.chunk_rows(words))
    shape = rows.input_ids.shape
    present = np.arange(shape[1]) < rows.lengths[:, None]
    special = np.isin(rows.input_ids, words.special_ids) | ~present
    targets = draw(arrays.arrays(np.bool_, shape, fill=st.nothing())) & ~special
    dtype = draw(st.sampled_from([np.int8, np.int32, np.int64, np.uint16, np.uint64]))
    any_id = st.integers(0, words.size - 1)
    wanted = draw(st.none() | arrays.arrays(dtype, shape, elements=any_id, fill=st.nothing()))
    return words, rows, Plan(targets=targets, replacements=wanted)


@pytest.mark.clause("MASK-004")
@pytest.mark.clause("MASK-005")
@pytest.mark.clause("MASK-007")
@pytest.mark.clause("MASK-018")
@given(proposals(), some.corruptions(), some.seeds)
def test_a_plan_is_applied_to_its_targets_alone(proposal, corruption, seed):
    """Labels are the truth at the targets, inputs the truth elsewhere, replacements used as is."""
    words, rows, plan = proposal
    replaces = plan.replacements is not None
    masker = proposing(
        lambda batch, draws: plan, words=words, corruption=corruption, seed=seed, replaces=replaces
    )
    masked = masker(rows, 0)
    targets, truth = plan.targets, rows.input_ids
    assert np.array_equal(masked.labels, np.where(targets, truth, IGNORE_INDEX))
    assert np.array_equal(masked.input_ids[~targets], truth[~targets])
    assert masked.input_ids.dtype == np.int32
    read = masked.input_ids[targets]
    if plan.replacements is not None:
        assert np.array_equal(read, plan.replacements[targets])
        return
    ordinary = np.isin(read, words.ordinary_ids)
    assert (ordinary | (read == words.mask_id)).all()
    if corruption.mask == 0:
        assert ordinary.all()
    if corruption.mask == 1:
        assert (read == words.mask_id).all()
    if corruption.random == 0:
        assert ((read == words.mask_id) | (read == truth[targets])).all()


@pytest.mark.clause("MASK-009")
@given(cases())
def test_the_rows_are_not_written_to(case):
    """After masking, every array of the rows holds what it held, and none is handed out again."""
    _, rows, masker, pass_ = case
    before = {field.name: getattr(rows, field.name).copy() for field in fields(rows)}
    masked = masker(rows, pass_)
    for name, array in before.items():
        assert np.array_equal(getattr(rows, name), array)
        for field in fields(masked):
            assert not np.shares_memory(getattr(masked, field.name), getattr(rows, name))


@pytest.mark.clause("MASK-003")
@pytest.mark.clause("MASK-017")
@given(cases(), st.data())
def test_a_special_target_is_refused_wherever_it_is(case, data):
    """One special or padding position among the targets is enough, and its place is named."""
    words, rows, _, pass_ = case
    present = np.arange(rows.input_ids.shape[1]) < rows.lengths[:, None]
    special = np.isin(rows.input_ids, words.special_ids) | ~present
    targets = data.draw(arrays.arrays(np.bool_, special.shape, fill=st.nothing()))
    masker = proposing(lambda batch, draws: Plan(targets=targets), words=words)
    if not (targets & special).any():
        masker(rows, pass_)
        return
    row, position = np.argwhere(targets & special)[0]
    with pytest.raises(PluginError, match=r"MASK-003") as caught:
        masker(rows, pass_)
    assert f"in chunk {rows.chunk_ids[row]} at position {position} " in str(caught.value)
