"""MaskingCollator on lists of features (spec/collate.md)."""

import copy
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from support.maskers import Proposes
from support.tokenizers import TEXT, tokenizer
from support.words import Told, entry_of
from torch.utils.data import DataLoader

from mlmref import MaskingCollator
from mlmref.base.errors import ConfigError, CorpusError, MlmrefError, PluginError
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import Corruption, StrategyEntry
from mlmref.plugin.discovery import discover
from mlmref.plugin.registry import Registered, Source

WORDS = tokenizer("wordpiece")
CLS, SEP, PAD = WORDS.cls_token_id, WORDS.sep_token_id, WORDS.pad_token_id
FEATURES = [dict(WORDS(text)) for text in TEXT]


def everything(batch):
    """Return a batch as lists."""
    return {name: value.tolist() for name, value in batch.items()}


def rows(batch):
    """Return inputs and labels of each row without padding."""
    there = batch["attention_mask"].bool()
    return [
        (batch["input_ids"][n][there[n]].tolist(), batch["labels"][n][there[n]].tolist())
        for n in range(len(there))
    ]


# --- batches -------------------------------------------------------------------------------------


@pytest.mark.clause("COLL-001")
@pytest.mark.parametrize("strategy", ["token", "whole-word"])
def test_a_batch_has_the_tokens_and_labels_of_its_targets(strategy):
    """Outside the targets the inputs are the tokens; at a target the label is the token."""
    collator = MaskingCollator(WORDS, strategy, mlm_probability=0.5)
    batch = collator(FEATURES)
    assert {value.dtype for value in batch.values()} == {torch.int64}
    for (inputs, labels), feature in zip(rows(batch), FEATURES, strict=True):
        truth = feature["input_ids"]
        assert len(inputs) == len(truth)
        for got, label, token in zip(inputs, labels, truth, strict=True):
            assert label in (token, IGNORE_INDEX)
            assert label == token or got == token
    assert (batch["labels"] != IGNORE_INDEX).float().mean() > 0.1
    padding = batch["attention_mask"] == 0
    assert (batch["input_ids"][padding] == PAD).all()
    assert (batch["labels"][padding] == IGNORE_INDEX).all()


def as_arrays(feature):
    """Return a feature with arrays for lists."""
    return {name: np.array(value) for name, value in feature.items()}


def as_tensors(feature):
    """Return a feature with tensors for lists."""
    return {name: torch.tensor(value) for name, value in feature.items()}


@pytest.mark.clause("COLL-001")
@pytest.mark.parametrize("form", [as_arrays, as_tensors])
def test_features_may_be_arrays_or_tensors(form):
    """The batch is that of lists."""
    collator = MaskingCollator(WORDS, "whole-word")
    assert everything(collator(list(map(form, FEATURES)))) == everything(collator(FEATURES))


@pytest.mark.clause("COLL-001")
def test_features_of_datasets_and_of_group_texts_are_accepted():
    """Rows of a Dataset in each format, with the labels that group_texts copies."""
    collator = MaskingCollator(WORDS)
    table = Dataset.from_list([{**one, "labels": one["input_ids"]} for one in FEATURES])
    expected = everything(collator(FEATURES))
    for format_ in (None, "numpy", "torch"):
        given = table.with_format(format_)
        assert everything(collator([given[n] for n in range(len(given))])) == expected


@pytest.mark.clause("COLL-001")
def test_other_columns_are_padded_and_texts_omitted():
    """A number per token is padded, a number per feature is stacked, a text is dropped."""
    features = [
        {**one, "token_type_ids": [1] * len(one["input_ids"]), "weight": 0.5, "text": "a"}
        for one in FEATURES
    ]
    batch = MaskingCollator(WORDS)(features)
    assert "text" not in batch
    assert batch["weight"].tolist() == [0.5] * len(features)
    assert (batch["token_type_ids"] == batch["attention_mask"]).all()


@pytest.mark.clause("COLL-001")
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("multiple", [None, 8])
def test_padding_is_on_the_tokenizers_side(side, multiple):
    """The width is a multiple of pad_to_multiple_of."""
    words = copy.deepcopy(WORDS)
    words.padding_side = side
    batch = MaskingCollator(words, pad_to_multiple_of=multiple)(FEATURES)
    longest = max(len(one["input_ids"]) for one in FEATURES)
    width = batch["input_ids"].shape[1]
    assert width == (longest if multiple is None else -(-longest // 8) * 8)
    expected = words.pad(
        {"input_ids": [one["input_ids"] for one in FEATURES]},
        pad_to_multiple_of=multiple,
        return_tensors="pt",
    )
    assert (batch["attention_mask"] == expected["attention_mask"]).all()


@pytest.mark.clause("COLL-001")
@pytest.mark.parametrize("kind", ["np", "pt"])
def test_tensors_are_of_the_kind_requested(kind):
    """By the constructor, or by the call."""
    expected = {"np": np.ndarray, "pt": torch.Tensor}[kind]
    assert isinstance(MaskingCollator(WORDS, return_tensors=kind)(FEATURES)["labels"], expected)
    assert isinstance(MaskingCollator(WORDS)(FEATURES, return_tensors=kind)["labels"], expected)


@pytest.mark.clause("COLL-001")
def test_the_features_do_not_change():
    """Nor do arrays in them."""
    features = [as_arrays(one) for one in FEATURES]
    before = copy.deepcopy(features)
    MaskingCollator(WORDS, mlm_probability=1.0)(features)
    for one, other in zip(features, before, strict=True):
        assert one.keys() == other.keys()
        assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.clause("COLL-002")
@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "there are no features to collate"),
        ([{"text": "a"}], "a feature has no list of input_ids"),
        ([{"input_ids": 3}], "a feature has no list of input_ids"),
        ([{"input_ids": ["a"]}], "column 'input_ids' is not a list of numbers per feature"),
        ([{"input_ids": [7, 10**6]}], "the tokenizer's vocabulary has no token 1000000"),
        ([{"input_ids": [7, -1]}], "the tokenizer's vocabulary has no token -1"),
        (
            [{"input_ids": [7, 8], "attention_mask": [1]}],
            "column 'attention_mask' and input_ids differ in length in a feature",
        ),
        (
            [{"input_ids": [7, 8], "word_ids": [0]}],
            "column 'word_ids' and input_ids differ in length in a feature",
        ),
        (
            [{"input_ids": [7], "attention_mask": [1]}, {"input_ids": [8]}],
            "a feature has no column 'attention_mask', which the first one has",
        ),
        ([{"input_ids": [7], "id": 2**63}], "an id is not between -2**63 and 2**63"),
    ],
)
def test_bad_features_are_one_line(features, message):
    """The error names the column."""
    with pytest.raises(MlmrefError, match=re.escape(message)):
        MaskingCollator(WORDS, "whole-word")(features)


# --- targets -------------------------------------------------------------------------------------


@pytest.mark.clause("COLL-003")
def test_protected_positions_are_no_targets():
    """Special tokens, padding that a feature already has, and what special_tokens_mask marks."""
    feature = FEATURES[0]
    length = len(feature["input_ids"])
    half = [int(n < length // 2) for n in range(length)]
    padded = {
        "input_ids": [PAD] * 3 + feature["input_ids"] + [PAD] * 2,
        "attention_mask": [0] * 3 + [1] * length + [0] * 2,
        "special_tokens_mask": [1] * 3 + half + [1] * 2,
    }
    labels = MaskingCollator(WORDS, mlm_probability=1.0)([padded])["labels"][0]
    expected = [
        one if not marked and one not in (CLS, SEP, PAD) else IGNORE_INDEX
        for one, marked in zip(padded["input_ids"], padded["special_tokens_mask"], strict=True)
    ]
    assert labels.tolist() == expected


@pytest.mark.clause("COLL-004")
@pytest.mark.parametrize("columns", ["word_ids", "offset_mapping", None])
def test_words_are_masked_whole(columns):
    """By either column, and by the tokenizer's marks where there is none."""
    features = []
    for text in TEXT:
        encoding = WORDS(text, return_offsets_mapping=True)
        own = {"word_ids": encoding.word_ids(), "offset_mapping": encoding["offset_mapping"]}
        features.append(
            {"input_ids": encoding["input_ids"], **({columns: own[columns]} if columns else {})}
        )
    labels = MaskingCollator(WORDS, "whole-word", mlm_probability=0.5)(features)["labels"]
    for text, row in zip(TEXT, labels.tolist(), strict=True):
        for word in words_of(text, by_gaps=columns == "offset_mapping"):
            assert len({row[place] == IGNORE_INDEX for place in word}) == 1


def words_of(text, by_gaps):
    """Return the places of each word's tokens; words divided by gaps in the text alone, if so."""
    encoding = WORDS(text, return_offsets_mapping=True)
    words, end = [], -1
    for place, (word, span) in enumerate(
        zip(encoding.word_ids(), encoding["offset_mapping"], strict=True)
    ):
        if word is None:
            continue
        same = span[0] == end if by_gaps else word == encoding.word_ids()[place - 1]
        words = [*words[:-1], [*words[-1], place]] if same else [*words, [place]]
        end = span[1]
    return words


@pytest.mark.clause("COLL-004")
def test_without_words_the_error_names_the_columns():
    """And how to add one of them."""
    words = tokenizer("wordless")
    with pytest.raises(CorpusError) as caught:
        MaskingCollator(words, "whole-word")([words("a film")])
    assert "no column word_ids or offset_mapping" in str(caught.value)
    assert "return_offsets_mapping=True" in str(caught.value)
    assert MaskingCollator(words, "token")([words("a film")])["labels"].shape[0] == 1


@pytest.mark.clause("COLL-004")
def test_a_segmenter_finds_the_words_in_the_text(monkeypatch):
    """In the columns text and offset_mapping; without them the error names them."""
    text = "unbelievably long"
    entry = entry_of(Told({text: [0, 2]}))
    plain = discover()
    more = Registered(entry, Source("acme", "words", "1.0"))
    monkeypatch.setattr(
        "mlmref.masking.collator.discover",
        lambda: replace(plain, entries=(*plain.entries, more)),
    )
    collator = MaskingCollator(WORDS, "whole-word", segmenter=entry.name, mlm_probability=0.5)
    feature = {"text": text, **WORDS(text, return_offsets_mapping=True)}
    behind = [begin >= 2 for begin, _ in feature["offset_mapping"][1:-1]]
    seen = set()
    for number in range(40):
        labels = collator([{**feature, "id": number}])["labels"][0, 1:-1].tolist()
        of_word = {flag: set() for flag in (False, True)}
        for label, second in zip(labels, behind, strict=True):
            of_word[second].add(label != IGNORE_INDEX)
        assert len(of_word[True]) == 1
        seen.add((max(of_word[False]), max(of_word[True])))
    assert len(seen) > 2
    with pytest.raises(CorpusError, match="needs the columns text and offset_mapping"):
        collator([FEATURES[0]])


# --- what a mask depends on ----------------------------------------------------------------------


@pytest.mark.clause("COLL-005")
@given(
    order=st.permutations(range(len(FEATURES))),
    size=st.integers(1, len(FEATURES)),
    multiple=st.sampled_from([None, 4, 64]),
    side=st.sampled_from(["left", "right"]),
    own=st.sampled_from([None, (0, 3), (2, 0), (1, 1)]),
    strategy=st.sampled_from(["token", "whole-word"]),
    ids=st.booleans(),
)
def test_the_mask_of_an_example_is_its_own(order, size, multiple, side, own, strategy, ids):
    """Not that of its batch, its order, the padding of the batch or padding of its own."""
    words = copy.deepcopy(WORDS)
    words.padding_side = side
    named = [{**one, "id": 7 - n} if ids else one for n, one in enumerate(FEATURES)]
    expected = rows(MaskingCollator(WORDS, strategy, mlm_probability=0.4)(named))
    collator = MaskingCollator(words, strategy, pad_to_multiple_of=multiple, mlm_probability=0.4)
    for first in range(0, len(order), size):
        some = order[first : first + size]
        features = [named[n] for n in some]
        if own:
            features = [padded(one, *own) for one in features]
        assert rows(collator(features)) == [expected[n] for n in some]


def padded(feature, before, behind):
    """Return a feature with padding of its own."""
    length = len(feature["input_ids"])
    return {
        **feature,
        "input_ids": [PAD] * before + feature["input_ids"] + [PAD] * behind,
        "attention_mask": [0] * before + [1] * length + [0] * behind,
        "token_type_ids": [0] * (before + length + behind),
    }


@pytest.mark.clause("COLL-005")
def test_the_key_is_the_id_or_the_tokens():
    """Other ids give other masks of the same tokens; the same id gives one mask of them."""
    collator = MaskingCollator(WORDS, mlm_probability=0.5)
    one, other = ({**FEATURES[0], "id": number} for number in (1, 2))
    assert rows(collator([one]))[0] != rows(collator([other]))[0]
    text = {**FEATURES[0], "id": "review-1"}
    assert rows(collator([text])) == rows(collator([dict(text)]))
    twice = rows(collator([FEATURES[0], FEATURES[0], FEATURES[1]]))
    assert twice[0] == twice[1]
    assert twice[0][1] != twice[2][1]


@pytest.mark.clause("COLL-005")
def test_seeds_and_epochs_give_other_masks():
    """And the same ones when they are set again."""
    first = rows(MaskingCollator(WORDS, seed=1)(FEATURES))
    assert rows(MaskingCollator(WORDS, seed=2)(FEATURES)) != first
    collator = MaskingCollator(WORDS, seed=1)
    collator.set_epoch(1)
    assert rows(collator(FEATURES)) != first
    collator.set_epoch(0)
    assert rows(collator(FEATURES)) == first


# --- epochs --------------------------------------------------------------------------------------


def epochs(loader, number=3):
    """Return the rows of each iteration of a data loader."""
    return [[row for batch in loader for row in rows(batch)] for _ in range(number)]


def expected_epochs(collator, number=3):
    """Return the rows of each epoch, set by hand."""
    found = []
    for epoch in range(number):
        collator.set_epoch(epoch)
        found.append(rows(collator(FEATURES)))
    return found


WORKERS = [
    {},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True},
    {"num_workers": 1, "multiprocessing_context": "spawn", "persistent_workers": True},
]


@pytest.mark.clause("COLL-007")
@pytest.mark.parametrize("workers", WORKERS, ids=["none", "forked", "persistent", "spawned"])
def test_each_iteration_is_the_next_epoch(workers):
    """In this process and in workers, the masks are those of epochs 0, 1 and 2."""
    collator = MaskingCollator(WORDS, mlm_probability=0.5)
    loader = DataLoader(FEATURES, batch_size=3, collate_fn=collator, **workers)
    assert epochs(loader) == expected_epochs(MaskingCollator(WORDS, mlm_probability=0.5))


@pytest.mark.clause("COLL-007")
@pytest.mark.parametrize("workers", WORKERS[:3], ids=["none", "forked", "persistent"])
def test_loaders_count_for_themselves_also_at_once(workers):
    """An iteration of another loader in the middle changes nothing, as of an evaluation."""
    collator = MaskingCollator(WORDS, mlm_probability=0.5)
    one, other = (
        DataLoader(FEATURES, batch_size=3, collate_fn=collator, **workers) for _ in range(2)
    )
    expected = expected_epochs(MaskingCollator(WORDS, mlm_probability=0.5))
    for epoch in range(2):
        found = []
        for batch in one:
            found += rows(batch)
            if len(found) == 3:
                assert epochs(other, 1) == [expected[epoch]]
        assert found == expected[epoch]


@pytest.mark.clause("COLL-007")
def test_a_dataset_may_be_an_array_of_features():
    """Comparing it with a sampler would give an array."""
    features = np.empty(len(FEATURES), dtype=object)
    features[:] = FEATURES
    loader = DataLoader(features, batch_size=3, collate_fn=MaskingCollator(WORDS, seed=1))
    assert epochs(loader, 2) == expected_epochs(MaskingCollator(WORDS, seed=1), 2)


@pytest.mark.clause("COLL-007")
def test_set_epoch_sets_the_next_iteration():
    """Later ones count on from it; a data loader keeps its own collate_fn."""
    collator = MaskingCollator(WORDS, mlm_probability=0.5)
    expected = expected_epochs(MaskingCollator(WORDS, mlm_probability=0.5), 7)
    loader = DataLoader(FEATURES, batch_size=3, collate_fn=collator)
    collator.set_epoch(5)
    assert epochs(loader, 2) == expected[5:]
    collator.set_epoch(1)
    assert epochs(loader, 1) == [expected[1]]
    assert loader.collate_fn is collator


@pytest.mark.clause("COLL-007")
def test_loaders_of_others_are_left_alone():
    """A loader without this collator uses its own function."""
    assert list(DataLoader([1, 2], batch_size=2, collate_fn=sum)) == [3]


@pytest.mark.clause("COLL-008")
@pytest.mark.parametrize("workers", WORKERS[:3], ids=["none", "forked", "persistent"])
def test_a_frozen_collator_repeats_its_masks(workers):
    """In each iteration; they are not those of an epoch, and the original is not frozen."""
    collator = MaskingCollator(WORDS, mlm_probability=0.5)
    loader = DataLoader(FEATURES, batch_size=3, collate_fn=collator.frozen(), **workers)
    first, second, third = epochs(loader)
    assert first == second == third == rows(collator.frozen()(FEATURES))
    assert first not in expected_epochs(collator)


@pytest.mark.clause("COLL-007")
def test_it_can_be_pickled():
    """With its epoch."""
    collator = MaskingCollator(WORDS, mlm_probability=0.5)
    collator.set_epoch(3)
    again = pickle.loads(pickle.dumps(collator))  # noqa: S301 - own
    assert rows(again(FEATURES)) == rows(collator(FEATURES))
    assert rows(copy.deepcopy(collator)(FEATURES)) == rows(collator(FEATURES))


# --- strategies ----------------------------------------------------------------------------------


@pytest.mark.clause("COLL-009")
def test_an_entry_is_a_strategy():
    """One that is not registered, and that reads the tokens' text: tokens that contain a t."""
    has = np.char.find(MaskingCollator(WORDS)._masker.vocabulary.tokens, "t") >= 0

    def propose(batch, draws):
        contains = np.char.find(batch.vocabulary.tokens, "t") >= 0
        return Plan(targets=contains[batch.input_ids] & ~batch.special)

    entry = StrategyEntry(name="t", summary="-", build=lambda _: Proposes(propose))
    labels = MaskingCollator(WORDS, entry)([FEATURES[0]])["labels"][0].tolist()
    ids = FEATURES[0]["input_ids"]
    expected = [one if has[one] and one not in (CLS, SEP) else IGNORE_INDEX for one in ids]
    assert labels == expected


@pytest.mark.clause("COLL-009")
def test_the_corruption_can_be_set():
    """Every target keeps its token."""
    for keep in (Corruption(mask=0.0, random=0.0, keep=1.0), "0/0/100"):
        batch = MaskingCollator(WORDS, corruption=keep, mlm_probability=1.0)([FEATURES[0]])
        assert batch["input_ids"][0].tolist() == FEATURES[0]["input_ids"]
        assert (batch["labels"] != IGNORE_INDEX).sum() == len(FEATURES[0]["input_ids"]) - 2


@pytest.mark.clause("COLL-007")
@pytest.mark.parametrize("epoch", [-1, 2**32, 0.5])
def test_an_epoch_that_is_none_is_refused(epoch):
    """It names the range, and the epoch stays as it was."""
    collator = MaskingCollator(WORDS)
    with pytest.raises(ConfigError, match="is not an integer from 0 to 4294967295"):
        collator.set_epoch(epoch)
    assert rows(collator(FEATURES)) == rows(MaskingCollator(WORDS)(FEATURES))


@pytest.mark.clause("COLL-001")
def test_features_may_be_empty():
    """Beside others, and alone."""
    collator = MaskingCollator(WORDS, "whole-word")
    both = collator([{"input_ids": []}, {"input_ids": FEATURES[0]["input_ids"]}])
    assert both["attention_mask"][0].sum() == 0
    assert rows(both)[1] == rows(collator([{"input_ids": FEATURES[0]["input_ids"]}]))[0]
    assert collator([{"input_ids": []}])["labels"].shape == (1, 0)


@pytest.mark.clause("COLL-009")
def test_counts_reach_a_strategy_that_needs_them():
    """Without counts the error says how to count."""

    def propose(batch, draws):
        return Plan(targets=(batch.vocabulary.counts[batch.input_ids] > 1) & ~batch.special)

    entry = StrategyEntry(
        name="often", summary="-", build=lambda _: Proposes(propose), needs_counts=True
    )
    with pytest.raises(ConfigError, match="'often' masking needs counts"):
        MaskingCollator(WORDS, entry)
    ids = FEATURES[0]["input_ids"]
    counts = np.bincount(ids, minlength=len(WORDS))
    labels = MaskingCollator(WORDS, entry, counts=counts)([FEATURES[0]])["labels"][0]
    expected = [one if counts[one] > 1 and one not in (CLS, SEP) else IGNORE_INDEX for one in ids]
    assert labels.tolist() == expected


@pytest.mark.clause("COLL-009")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("tokn",), PluginError, "no masking strategy 'tokn'; did you mean token?"),
        (("token", {"mlm_probabilty": 0.1}), ConfigError, "mlm_probability"),
        (("token", {"mlm_probability": 1.5}), ConfigError, "less than or equal to 1"),
        (("token", {"segmenter": "jeiba"}), PluginError, "no word segmenter 'jeiba'"),
        (("token", {"return_tensors": "tf"}), ConfigError, "'tf' is not a kind of tensors"),
        (("token", {"seed": -1}), ConfigError, "seed: -1 is not an integer from 0 to"),
        (("token", {"seed": 1.5}), ConfigError, "seed: 1.5 is not an integer from 0 to"),
        (("token", {"corruption": "80/20"}), ConfigError, "'80/20' is not MASK/RANDOM/KEEP"),
    ],
)
def test_bad_arguments_are_one_line(arguments, error, message):
    """With close matches."""
    name, options = (*arguments, {})[:2]
    with pytest.raises(error) as caught:
        MaskingCollator(WORDS, name, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.clause("COLL-009")
def test_its_representation_is_short():
    """Tokenizer, strategy, seed and options, in one line."""
    assert repr(MaskingCollator(WORDS, "whole-word").frozen()) == (
        f"MaskingCollator({type(WORDS).__name__}, 'whole-word', seed=42, mlm_probability=0.2)"
        ".frozen()"
    )
