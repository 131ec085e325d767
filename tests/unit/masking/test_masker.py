"""The masker: what it shows a strategy, what it writes, and where the tutorial's way fails."""

import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
from support.maskers import (
    CLS,
    MASK,
    PAD,
    SEP,
    UNK,
    built_in,
    chunk_rows,
    proposing,
    text_rows,
    vocabulary,
)
from support.naive_masking import tutorial_token_collator
from support.processes import run

from mlmref.masking.masker import corrupt, masker_of
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import Corruption
from mlmref.plugin.discovery import discover
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.plugin.registry import choose

NOTHING = Corruption(mask=0, random=0, keep=1)


@pytest.mark.clause("MASK-012")
def test_a_special_token_parts_words():
    """Two documents of a word each are two words, whether or not the second one has its flag."""
    for flag in (0, 1):
        rows = chunk_rows([[CLS, 30, SEP, CLS, 40, SEP]] * 64, [[1, 1, 1, 1, flag, 1]] * 64)
        labels = built_in("whole-word", mlm_probability=0.5)(rows, 0).labels
        assert ((labels[:, 1] == IGNORE_INDEX) != (labels[:, 4] == IGNORE_INDEX)).any()


@pytest.mark.clause("MASK-009")
def test_rows_can_be_masked_again():
    """Rows that cannot be written to are masked, and again."""
    rows = chunk_rows([[CLS, 30, SEP, CLS, 40, SEP]])
    for array in (rows.input_ids, rows.word_start, rows.documents, rows.lengths, rows.chunk_ids):
        array.setflags(write=False)
    masker = built_in("whole-word", mlm_probability=1.0)
    assert np.array_equal(masker(rows, 0).labels, masker(rows, 0).labels)


@pytest.mark.clause("MASK-014")
@pytest.mark.parametrize("name", ["token", "whole-word"])
@pytest.mark.parametrize(
    "rows",
    [
        chunk_rows([[CLS, SEP, PAD]], lengths=[2]),
        chunk_rows([[PAD, PAD]], lengths=[0]),
        chunk_rows(np.zeros((0, 8))),
        chunk_rows(np.zeros((3, 0))),
    ],
    ids=["specials only", "padding only", "no rows", "no positions"],
)
def test_nothing_to_choose(name, rows):
    """E04: rows without an ordinary token are masked without an error and have no label."""
    masked = built_in(name, Corruption(), mlm_probability=1.0)(rows, 0)
    assert masked.labels.shape == rows.input_ids.shape
    assert (masked.labels == IGNORE_INDEX).all()
    assert np.array_equal(masked.input_ids, rows.input_ids)


@pytest.mark.clause("MASK-014")
@pytest.mark.parametrize("name", ["token", "whole-word"])
def test_nothing_chosen(name):
    """E04: with probability 0 no label is set, and the text is read as it is."""
    rows = text_rows(16, 32)
    masked = built_in(name, mlm_probability=0.0)(rows, 0)
    assert (masked.labels == IGNORE_INDEX).all()
    assert np.array_equal(masked.input_ids, rows.input_ids)


@pytest.mark.clause("MASK-013")
def test_a_cut_word_is_a_word():
    """The end of a word that began in the chunk before is drawn as a word, and as a whole."""
    rows = chunk_rows([[10, 11, 12, 20]] * 64, [[0, 0, 0, 1]] * 64)
    chosen = built_in("whole-word", mlm_probability=0.5)(rows, 0).labels != IGNORE_INDEX
    assert {tuple(row) for row in chosen[:, :3].tolist()} == {(False,) * 3, (True,) * 3}
    assert (chosen[:, 0] != chosen[:, 3]).any()


@pytest.mark.clause("MASK-012")
def test_an_unknown_piece_parts_a_word():
    """A special token within a word leaves two parts, each a word."""
    seen = []

    def look(batch, draws):
        seen.append(batch)
        return Plan(targets=np.zeros_like(batch.special))

    proposing(look, needs_words=True)(chunk_rows([[10, UNK, 11, 12]], [[1, 1, 0, 0]]), 0)
    assert seen[0].words.tolist() == [[0, -1, 1, 1]]
    assert seen[0].special.tolist() == [[False, True, False, False]]


@pytest.mark.clause("MASK-015")
@pytest.mark.parametrize("needs_words", [False, True])
def test_words_are_for_those_who_ask(needs_words):
    """Without ``needs_words`` a strategy sees no words; with it, their numbers."""
    seen = []

    def look(batch, draws):
        assert batch.words.dtype == np.int32
        seen.append(batch.words.tolist())
        return Plan(targets=np.zeros_like(batch.special))

    proposing(look, needs_words=needs_words)(chunk_rows([[CLS, 10, 11, SEP]], [[1, 1, 0, 1]]), 0)
    assert seen == [[[-1, 0, 0, -1] if needs_words else [-1] * 4]]


@pytest.mark.clause("MASK-001")
def test_a_strategy_sees_the_truth_and_its_key():
    """A strategy sees the true tokens, the chunk ids, the vocabulary and the pass's draws."""
    rows, words = chunk_rows([[CLS, 10, 11, PAD]], lengths=[3], chunk_ids=[77]), vocabulary()

    def look(batch, draws):
        assert np.array_equal(batch.input_ids, rows.input_ids)
        assert batch.special.tolist() == [[True, False, False, True]]
        assert batch.chunk_ids.tolist() == [77]
        assert np.array_equal(batch.vocabulary.ordinary_ids, words.ordinary_ids)
        assert np.array_equal(batch.vocabulary.special_ids, words.special_ids)
        targets = draws.uniform("mine") < 0.5
        targets[:, [0, 3]] = False
        return Plan(targets=targets)

    labels = [
        proposing(look, words=words, seed=seed)(rows, pass_).labels.tolist()
        for seed in range(8)
        for pass_ in (0, 1, EVALUATION_PASS)
    ]
    assert len({str(label) for label in labels}) == 4


@pytest.mark.clause("MASK-001")
@pytest.mark.parametrize("pass_", [0, 1, EVALUATION_PASS])
def test_a_strategy_sees_what_can_be_asked_for(pass_):
    """``shown`` returns the batch and the draws that the strategy gets for the same rows."""
    rows = chunk_rows([[CLS, 10, 11, PAD], [12, 13, 14, 15]], lengths=[3, 4], chunk_ids=[77, 5])
    seen = []

    def look(batch, draws):
        seen.append((batch.input_ids, batch.words, batch.special, draws.uniform("mine")))
        return Plan(targets=np.zeros_like(batch.special))

    made = proposing(look)
    made(rows, pass_)
    batch, draws = made.shown(rows, pass_)
    for mine, its in zip(
        (batch.input_ids, batch.words, batch.special, draws.uniform("mine")), seen[0], strict=True
    ):
        assert np.array_equal(mine, its)


@pytest.mark.clause("MASK-019")
@pytest.mark.parametrize("name", ["token", "whole-word"])
def test_passes_and_seeds_have_masks_of_their_own(name):
    """Epochs, evaluation and seeds mask differently; evaluation repeats itself (E10, T12)."""
    rows = text_rows(16, 64)

    def labels(seed, pass_):
        return built_in(name, seed=seed)(rows, pass_).labels.tobytes()

    keys = [(42, 0), (42, 1), (42, 2), (42, EVALUATION_PASS), (43, 0), (43, EVALUATION_PASS)]
    assert len({labels(*key) for key in keys}) == len(keys)
    assert labels(42, EVALUATION_PASS) == labels(42, EVALUATION_PASS)


@pytest.mark.clause("MASK-010")
@pytest.mark.parametrize("name", ["token", "whole-word"])
def test_no_other_randomness_is_used(name):
    """Global generators are neither read nor moved."""
    import random

    rows, masker, seen = text_rows(8, 32), built_in(name, Corruption()), []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global generator is the one not to be used
        before = random.getstate(), str(np.random.get_state())  # noqa: NPY002
        seen.append(masker(rows, 0).input_ids.tobytes())
        assert (random.getstate(), str(np.random.get_state())) == before  # noqa: NPY002
    assert seen[0] == seen[1]


@pytest.mark.clause("MASK-007")
def test_random_tokens_are_never_special():
    """The usual rule puts special tokens into the text now and then; here none is ever put."""
    tokens = np.full((64, 64), 50)
    generator = np.random.default_rng(0)
    inputs, _ = tutorial_token_collator(tokens.tolist(), range(5), 100, 0.5, MASK, generator)
    assert np.isin(inputs, [PAD, UNK, CLS, SEP]).any()
    corruption = Corruption(mask=0.0, random=1.0, keep=0.0)
    masked = built_in("token", corruption, mlm_probability=1.0)(chunk_rows(tokens), 0)
    assert (masked.labels == 50).all()
    assert set(masked.input_ids.ravel().tolist()) == set(range(5, 100))


@pytest.mark.clause("MASK-008")
@pytest.mark.parametrize(
    ("shares", "never"),
    [
        ((0.7, 0.3, 0.0), "keep"),
        ((0.7, 0.0, 0.3), "random"),
        ((0.0, 0.9, 0.1), "mask"),
        # Sums that miss 1 by as much as a policy may.
        ((1 - 9e-10, 0.0, 0.0), "random keep"),
        ((0.5, 0.5 - 9e-10, 0.0), "keep"),
        ((0.0, 1 - 9e-10, 0.0), "mask keep"),
    ],
)
def test_a_share_of_nothing_is_never(shares, never):
    """Even for the smallest and the largest draw, a fate of share 0 is not met."""
    corruption = Corruption(mask=shares[0], random=shares[1], keep=shares[2])
    vocabulary_of_one = vocabulary(6)  # the one ordinary token is 5
    fates = {"mask": [MASK], "random": [5], "keep": [CLS]}

    class Extremes:
        def uniform(self, stream, *, at):
            smallest, largest = 0.0, 1 - 2.0**-32
            edges = [shares[0], shares[0] + shares[1]]
            near = [np.nextafter(edge, end) for edge in edges for end in (0, 1)]
            drawn = [smallest, largest, *np.clip([*edges, *near], 0, largest)]
            return np.array(drawn)

        def integers(self, stream, high, *, at):
            return np.zeros(len(at[0]), dtype=np.int64)

    truth = np.full((1, 8), CLS, dtype=np.int32)  # any token that is neither mask nor ordinary
    read = corrupt(truth, truth == CLS, corruption, vocabulary_of_one, Extremes())
    for fate in never.split():
        assert not np.isin(read, fates[fate]).any()


@pytest.mark.clause("MASK-008")
@pytest.mark.clause("MASK-030")
def test_fates_fall_into_the_shares_in_order():
    """The first share masks, the second replaces, the third keeps; an edge begins the next."""
    last = 2.0**-32

    class Edges:
        def uniform(self, stream, *, at):
            return np.array([0.0, 0.5 - last, 0.5, 0.75 - last, 0.75, 1.0 - last])

        def integers(self, stream, high, *, at):
            return np.arange(len(at[0]))

    truth = np.full((1, 6), CLS, dtype=np.int32)
    shares = Corruption(mask=0.5, random=0.25, keep=0.25)
    read = corrupt(truth, truth == CLS, shares, vocabulary(), Edges())
    assert read.tolist() == [[MASK, MASK, 5, 6, CLS, CLS]]


@pytest.mark.clause("MASK-008")
@pytest.mark.clause("MASK-030")
@pytest.mark.parametrize("mask", [0.5, 0.25])
def test_the_shares_are_of_their_sum(mask):
    """Where shares add up to a little less than 1, each edge is a little higher for that."""
    shares = Corruption(mask=mask, random=1 - mask - 9e-10, keep=0.0)
    whole = shares.mask + shares.random
    assert whole < 1 - 2.0**-32

    class Edges:
        def uniform(self, stream, *, at):
            return np.array([mask, mask / whole, 1 - 2.0**-32])

        def integers(self, stream, high, *, at):
            return np.zeros(len(at[0]), dtype=np.int64)

    truth = np.full((1, 3), CLS, dtype=np.int32)
    read = corrupt(truth, truth == CLS, shares, vocabulary(), Edges())
    assert read.tolist() == [[MASK, 5, 5]]


@pytest.mark.clause("MASK-033")
def test_a_strategy_sees_the_counts():
    """The counts of the vocabulary are shown, as a copy that cannot be written to."""
    words = replace(vocabulary(), counts=np.arange(100))

    def look(batch, draws):
        assert batch.vocabulary.counts.tolist() == list(range(100))
        assert not batch.vocabulary.counts.flags.writeable
        assert not np.shares_memory(batch.vocabulary.counts, words.counts)
        return Plan(targets=np.zeros_like(batch.special))

    proposing(look, words=words)(chunk_rows([[CLS, 10, 11, SEP]]), 0)


@pytest.mark.clause("MASK-001")
def test_a_masker_cannot_be_changed():
    """Nothing of a masker can be set once it is made."""
    masker = built_in("token")
    with pytest.raises(FrozenInstanceError):
        masker.seed = 1


@pytest.mark.clause("MASK-018")
def test_replacements_outside_the_targets_are_ignored():
    """A plan's replacements count at its targets alone, of whatever integer type they are."""
    rows = chunk_rows([[CLS, 10, 11, SEP]])
    targets = np.array([[False, True, False, False]])
    for dtype in (np.int8, np.uint16, np.int64, np.uint64):
        wanted = np.array([[99, 98, 97, 96]], dtype=dtype)
        plan = Plan(targets=targets, replacements=wanted)
        masked = proposing(lambda batch, draws, plan=plan: plan, replaces=True)(rows, 0)
        assert masked.input_ids.tolist() == [[CLS, 98, 11, SEP]]
        assert masked.input_ids.dtype == np.int32
    wild = Plan(targets=targets, replacements=np.array([[-1, 98, 10**6, -1]]))
    masked = proposing(lambda batch, draws: wild, replaces=True)(rows, 0)
    assert masked.input_ids.tolist() == [[CLS, 98, 11, SEP]]


@pytest.mark.clause("MASK-005")
def test_kept_targets_have_labels_and_their_own_token():
    """With everything kept, the model reads the text and answers for every ordinary token."""
    rows = text_rows(4, 16, special_every=5)
    masked = built_in("token", NOTHING, mlm_probability=1.0)(rows, 0)
    assert np.array_equal(masked.input_ids, rows.input_ids)
    assert np.array_equal(masked.labels, np.where(rows.input_ids == SEP, -100, rows.input_ids))


@pytest.mark.clause("MASK-020")
def test_an_ordinary_token_may_be_the_padding():
    """Where the padding's id is an ordinary token's, the row's length tells them apart."""
    words = vocabulary(100, special=[MASK], pad_id=50)
    rows = chunk_rows([[50, 50, 50, 50]], lengths=[2])
    masked = built_in("token", words=words, mlm_probability=1.0)(rows, 0)
    assert masked.labels.tolist() == [[50, 50, -100, -100]]
    assert masked.attention_mask.tolist() == [[True, True, False, False]]


@pytest.mark.clause("MASK-024")
def test_masking_needs_numpy_alone():
    """The examples of the specification run, and load neither torch nor transformers."""
    text = (Path(__file__).parents[3] / "spec" / "masking.md").read_text(encoding="utf-8")
    examples = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(examples) > 8
    code = "\n".join([*examples, "import sys", "print({'torch', 'transformers'} & {*sys.modules})"])
    done = run([sys.executable, "-c", code])
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.clause("MASK-017")
@pytest.mark.clause("MASK-023")
@pytest.mark.parametrize("corruption", [None, Corruption(mask=0.5, random=0.25, keep=0.25)])
def test_a_masker_is_made_of_a_strategy_with_its_options(corruption):
    """With the corruption given or else the strategy's own; its plugin's name is for messages."""
    chosen = choose(discover().strategy("whole-word"), {"mlm_probability": 0.5}, "-")
    made = masker_of(chosen, vocabulary(), corruption, 7)
    expected = built_in("whole-word", corruption, 7, mlm_probability=0.5)
    rows = text_rows(4, 32)
    assert (made(rows, 3).input_ids == expected(rows, 3).input_ids).all()
    assert (made(rows, 3).labels == expected(rows, 3).labels).all()
    assert made.owner == str(chosen.source)
    assert made.entry is chosen.entry


@pytest.mark.clause("MASK-003")
def test_protected_positions_are_special():
    """No target is among them, and a word ends at them."""
    rows = chunk_rows([[50, 51, 52, 53]], [[True, False, False, False]])
    protected = np.array([[False, True, False, False]])
    seen = built_in("whole-word", mlm_probability=1.0)(rows, 0, protected)
    assert (seen.labels != IGNORE_INDEX).tolist() == [[True, False, True, True]]
