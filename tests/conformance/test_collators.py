"""Data collators as strategies, and the page of how those that people use fare (KIT)."""

import re

import numpy as np
import pytest
from conformance import published

from mlmref.conformance.collators import CollatorStrategy, features_of
from mlmref.conformance.strategies.rows import make_rows
from mlmref.conformance.strategies.worlds import make_vocabulary
from mlmref.masking.masker import Masker
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import StrategyEntry

WORDS = make_vocabulary(50, np.arange(5), mask_id=4, pad_id=0)
# "[CLS] a+b c [SEP] [CLS] d [SEP]" and "[CLS] e [SEP]", padded
ROWS = make_rows(
    WORDS,
    [[2, 10, 11, 12, 3, 2, 13, 3], [2, 14, 3, 0, 0, 0, 0, 0]],
    [[1, 1, 0, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0, 0]],
    [8, 3],
)


def masker(strategy):
    """Return a masker with a collator as its strategy."""
    entry = StrategyEntry(
        name="collator", summary="-", build=lambda _: strategy, needs_words=True, replaces="random"
    )
    return Masker(
        entry=entry,
        strategy=strategy,
        corruption=entry.corruption,
        vocabulary=WORDS,
        seed=42,
        owner="test",
    )


def batch():
    """Return the rows as a strategy sees them."""
    return masker(CollatorStrategy(lambda features: {})).shown(ROWS, 0)


@pytest.mark.clause("KIT-008")
def test_features_are_what_a_tokenizer_gives():
    """Word ids begin anew in each document, offsets have a gap between words, padding is masked."""
    first, second = features_of(batch()[0])
    assert first["input_ids"] == first["labels"] == [2, 10, 11, 12, 3, 2, 13, 3]
    assert first["word_ids"] == [None, 0, 0, 1, None, None, 0, None]
    assert first["attention_mask"] == [1] * 8
    assert second["attention_mask"] == [1, 1, 1, 0, 0, 0, 0, 0]
    assert second["word_ids"] == [None, 0, None, None, None, None, None, None]
    spans = [tuple(span) for span in first["offset_mapping"]]
    assert spans[0] == spans[4] == (0, 0)
    assert spans[2][0] == spans[1][1], "tokens of a word are adjacent"
    assert spans[3][0] > spans[2][1], "words are not"


@pytest.mark.clause("KIT-008")
def test_a_collator_gets_the_columns_that_it_asks_for():
    """Two always, others on request."""
    seen = []

    def collate(features):
        seen.append(set(features[0]))
        ids = [one["input_ids"] for one in features]
        return {"input_ids": ids, "labels": np.full(np.shape(ids), -100)}

    CollatorStrategy(collate).collate(*batch())
    CollatorStrategy(collate, ["word_ids"]).collate(*batch())
    assert seen == [{"input_ids", "attention_mask"}, {"input_ids", "attention_mask", "word_ids"}]


@pytest.mark.clause("KIT-008")
def test_a_collator_can_be_run_as_a_strategy():
    """Its targets and what it lets the model read are those of the plan; seeded by the key."""

    def collate(features, seed):
        ids = np.array([one["input_ids"] for one in features])
        targets = (np.random.default_rng(seed).random(ids.shape) < 0.5) & (ids > 4)
        return {"input_ids": np.where(targets, 4, ids), "labels": np.where(targets, ids, -100)}

    strategy = CollatorStrategy(collate)
    plan = strategy.propose(*batch())
    assert isinstance(plan, Plan)
    masked, again = masker(strategy)(ROWS, 0), masker(strategy)(ROWS, 0)
    assert np.array_equal(masked.labels >= 0, plan.targets)
    assert np.array_equal(masked.labels, again.labels)
    assert (masked.input_ids[plan.targets] == 4).all()
    assert not np.array_equal(masker(strategy)(ROWS, 1).labels, masked.labels)


@pytest.mark.clause("KIT-008")
def test_each_key_and_batch_has_a_seed_of_its_own():
    """A single token is a batch as well, and epochs, chunks and seeds are told apart."""
    from mlmref.plugin.draws import Draws

    seeds = []

    def collate(features, seed):
        seeds.append(seed)
        return {"input_ids": [[10]], "labels": [[-100]]}

    rows = make_rows(WORDS, [[10]])
    shown, _ = masker(CollatorStrategy(collate)).shown(rows, 0)
    for seed, pass_, chunk in ((1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1)):
        key = Draws(seed=seed, pass_=pass_, chunk_ids=np.array([chunk]), width=1)
        CollatorStrategy(collate).collate(shown, key)
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.clause("KIT-008")
def test_a_collator_that_draws_from_shared_generators_repeats_and_leaves_them_alone():
    """The generators are seeded by the key, and afterwards as they were."""
    import random

    import torch

    def collate(features):
        ids = np.array([one["input_ids"] for one in features])
        total = random.random() + np.random.random(ids.shape) + torch.rand(ids.shape).numpy()  # noqa: NPY002, S311 - as such collators do
        targets = (total < 1.5) & (ids > 4)
        return {"input_ids": ids, "labels": np.where(targets, ids, -100)}

    strategy, before = CollatorStrategy(collate), torch.get_rng_state()
    one, other = (strategy.propose(*batch()).targets for _ in range(2))
    assert np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.clause("KIT-008")
@pytest.mark.parametrize(("change", "clause"), [("labels", "MASK-004"), ("input_ids", "MASK-005")])
def test_what_the_core_would_put_right_in_silence_is_refused(change, clause):
    """Wrong labels and tokens changed without a label are errors, not mended."""

    def collate(features):
        ids = np.array([one["input_ids"] for one in features])
        made = {"input_ids": ids.copy(), "labels": np.where(ids == 10, ids, -100)}
        made[change][0, 1 if change == "labels" else 2] = 7
        return made

    with pytest.raises(ValueError, match=clause):
        CollatorStrategy(collate).propose(*batch())


@pytest.mark.clause("KIT-009")
@pytest.mark.parametrize(
    "number",
    [  # the tutorial's collator is the fastest
        pytest.param(number, marks=[pytest.mark.full] * (not one.title.startswith("The tutorial")))
        for number, one in enumerate(published.COLLATORS)
    ],
)
def test_the_published_page_is_what_comes_out(number):
    """spec/collators.md has the answers that the kit gives now, in a collator's column and list."""
    page, one = published.FILE.read_text("utf-8"), published.COLLATORS[number]
    report = published.result(one)
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| [MASK-")]
    assert [row[number + 1].removesuffix(" |") for row in rows] == published.column(one, report)
    told = "\n".join([*published.failures(one, report), ""])
    assert told in page.rstrip() + "\n\n"


@pytest.mark.clause("KIT-009")
def test_the_published_page_has_nothing_else():
    """Its head names the installed versions, its rows the clauses, its lists the collators."""
    page = published.FILE.read_text("utf-8")
    assert page.startswith("\n".join(published.head()))
    assert re.findall(r"^\| \[(MASK-\d+)\]", page, re.MULTILINE) == published.CLAUSES
    titles = re.findall(r"^### (.*)$", page, re.MULTILINE)
    assert titles == [one.title for one in published.COLLATORS]
