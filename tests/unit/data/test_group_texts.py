"""Join and cut tokenized texts in ``datasets.map`` (spec/python.md)."""

import copy
import os
import statistics
import time

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.peers import group_reviews
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st

import mlmref
from mlmref.base.errors import ConfigError, CorpusError

COLUMNS = ("input_ids", "attention_mask", "word_ids", "special_tokens_mask", "offset_mapping")


def tokenized(sizes, first=0):
    """Return rows of these sizes with every column of a tokenizer, no two tokens alike."""
    ends = np.cumsum(sizes)
    ids = [list(range(first + end - n, first + end)) for n, end in zip(sizes, ends, strict=True)]
    return {
        "input_ids": ids,
        "attention_mask": [[1] * len(row) for row in ids],
        "word_ids": [[None if n % 5 == 0 else n % 7 for n in row] for row in ids],
        "special_tokens_mask": [[int(n % 5 == 0) for n in row] for row in ids],
        "offset_mapping": [[[n, n + 1] for n in row] for row in ids],
    }


def expected(rows, size, keep):
    """Return the rows that the joined columns give, one token after the other."""
    found = {}
    for name, column in rows.items():
        flat = [one for row in column for one in row]
        found[name] = [flat[at : at + size] for at in range(0, len(flat), size)]
        if not keep and found[name] and len(found[name][-1]) < size:
            found[name].pop()
    return found | {"labels": found["input_ids"]}


@pytest.mark.clause("API-013")
@pytest.mark.clause("API-014")
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    size=st.integers(1, 8),
    cut=st.integers(1, 12),
    keep=st.booleans(),
    arrow=st.booleans(),
)
def test_batches_of_any_size_give_the_same_rows(sizes, size, cut, keep, arrow):
    """Lists and Arrow tables; the last remainder is dropped or kept, and no other."""
    rows = tokenized(sizes)
    wanted = expected(rows, size, keep)
    rest = {"remainder": "keep", "rows": len(sizes)} if keep else {}
    group = mlmref.GroupTexts(size, **rest)
    if keep and not sum(sizes):  # refused, which another test shows
        return
    got = {name: [] for name in wanted}
    for at in range(0, len(sizes), cut):
        batch = {name: column[at : at + cut] for name, column in rows.items()}
        nested = {
            "input_ids": pa.list_(pa.int32()),
            "offset_mapping": pa.list_(pa.list_(pa.int32())),
        }
        kinds = [(name, nested.get(name, pa.list_(pa.int8()))) for name in batch]
        made = group(pa.table(batch, schema=pa.schema(kinds)) if arrow else batch)
        for name in wanted:
            got[name] += (made.to_pydict() if arrow else made)[name]
    assert got == wanted


@pytest.mark.clause("API-013")
@pytest.mark.clause("API-014")
@pytest.mark.parametrize("format_", [None, "numpy", "arrow", "torch"])
def test_map_gives_the_same_rows_for_each_batch_size(format_, tmp_path):
    """Through ``map``, on disk and in memory, in each format."""
    rows = tokenized([3, 0, 5, 9, 1, 1, 7])
    if format_ in ("numpy", "torch"):  # they have no missing values, and stack what they can
        del rows["word_ids"]
    Dataset.from_dict(rows).save_to_disk(tmp_path / "rows")
    dataset = Dataset.load_from_disk(tmp_path / "rows").with_format(format_)
    wanted = expected(rows, 4, keep=False)
    for batch_size in (1, 2, 3, 1_000):
        made = dataset.map(mlmref.GroupTexts(4), batched=True, batch_size=batch_size)
        assert made.with_format(None)[:] == wanted
        if format_ in (None, "arrow"):
            assert made.features["labels"] == dataset.features["input_ids"]


@pytest.mark.clause("API-014")
def test_an_object_can_be_used_again(tmp_path):
    """For the splits of a DatasetDict, twice, with indices, streaming, and after a failed map."""
    train, test = tokenized([3, 4]), tokenized([5, 6, 1], first=100)
    group = mlmref.GroupTexts(4)
    both = DatasetDict(train=Dataset.from_dict(train), test=Dataset.from_dict(test))
    for _ in range(2):
        made = both.map(group, batched=True, batch_size=1, load_from_cache_file=False)
        assert made["train"][:] == expected(train, 4, keep=False)
        assert made["test"][:] == expected(test, 4, keep=False)
    stream = (
        both["test"].to_iterable_dataset().map(group, batched=True, batch_size=2, with_indices=True)
    )
    for _ in range(2):
        found = list(stream)
        assert [one["input_ids"] for one in found] == expected(test, 4, keep=False)["input_ids"]
    bad = Dataset.from_dict({"input_ids": [[1, 2, 3], [4]], "text": ["abc", "ab"]})
    with pytest.raises(CorpusError):
        bad.map(group, batched=True, batch_size=1)
    made = both["train"].map(group, batched=True, load_from_cache_file=False)
    assert made[:] == expected(train, 4, keep=False)


@pytest.mark.clause("API-014")
def test_the_cache_of_map_knows_the_arguments(tmp_path):
    """A used object has the hash of a new one, and another size has another hash."""
    Dataset.from_dict(tokenized([3, 4, 6])).save_to_disk(tmp_path / "rows")
    dataset = Dataset.load_from_disk(tmp_path / "rows")
    used = mlmref.GroupTexts(4)
    first = dataset.map(used, batched=True)
    for other in (used, mlmref.GroupTexts(4), copy.deepcopy(used)):
        again = dataset.map(other, batched=True)
        assert again._fingerprint == first._fingerprint
        assert again[:] == first[:]
    for other in (mlmref.GroupTexts(5), mlmref.GroupTexts(4, remainder="keep", rows=3)):
        assert dataset.map(other, batched=True)._fingerprint != first._fingerprint


@pytest.mark.clause("API-013")
def test_labels_are_a_copy_or_left_out():
    """The labels of lists are other lists; own labels are grouped; they can be left out."""
    rows = {"input_ids": [[1, 2, 3, 4]]}
    made = mlmref.GroupTexts(2)(rows)
    made["labels"][0][0] = -100
    assert made["input_ids"] == [[1, 2], [3, 4]]
    assert mlmref.GroupTexts(2)(rows | {"labels": [[5, 6, 7, 8]]})["labels"] == [[5, 6], [7, 8]]
    assert mlmref.GroupTexts(2, labels=False)(rows).keys() == {"input_ids"}
    assert rows == {"input_ids": [[1, 2, 3, 4]]}


@pytest.mark.clause("API-015")
def test_it_is_fifty_times_as_fast_as_the_tutorials():
    """In ``map``; called with lists, half of that. CPU time on rows as long as reviews."""
    reviews = Dataset.from_dict(
        {
            name: tokenized([314] * 1_000)[name]
            for name in ("input_ids", "attention_mask", "word_ids")
        }
    )
    batch, ratios = reviews[:], {"map": [], "lists": []}

    def seconds(work):
        begun = time.process_time()
        work()
        return time.process_time() - begun

    def theirs():
        joined = {name: sum(batch[name], []) for name in batch}  # noqa: RUF017 - the tutorial's
        return {
            name: [flat[at : at + 128] for at in range(0, len(flat) // 128 * 128, 128)]
            for name, flat in joined.items()
        }

    own = {"batched": True, "load_from_cache_file": False}
    mlmref.GroupTexts(128)(batch), reviews.map(mlmref.GroupTexts(128), **own)
    for _ in range(3):
        slow = seconds(theirs)
        ratios["lists"].append(slow / seconds(lambda: mlmref.GroupTexts(128)(batch)))
        ratios["map"].append(slow / seconds(lambda: reviews.map(mlmref.GroupTexts(128), **own)))
    assert statistics.median(ratios["lists"]) > 25
    assert statistics.median(ratios["map"]) > 50
    assert group_reviews(reviews)[:] == reviews.map(mlmref.GroupTexts(128), **own)[:]


@pytest.mark.clause("API-016")
def test_several_processes_are_refused(monkeypatch):
    """With ``num_proc``, and for a shard with indices; the error comes back from the process."""
    monkeypatch.setattr(os, "environ", os.environ)  # which num_proc replaces by a copy
    dataset = Dataset.from_dict(tokenized([3, 4, 6, 2]))
    with pytest.raises(ConfigError, match="mapped in parts.*omit num_proc"):
        dataset.map(mlmref.GroupTexts(4), batched=True, num_proc=2)
    with pytest.raises(ConfigError, match="mapped in parts"):
        mlmref.GroupTexts(4)(tokenized([3]), [7])


@pytest.mark.clause("API-016")
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: mlmref.GroupTexts(0), "mlmref.GroupTexts: no size 0"),
        (lambda: mlmref.GroupTexts("128"), "no size '128'; give a number of tokens"),
        (lambda: mlmref.GroupTexts(remainder="pad"), "no remainder 'pad'; there are drop, keep"),
        (lambda: mlmref.GroupTexts(remainder="keep"), "add rows=len(dataset)"),
        (lambda: grouped({"ids": [[1]]}), "no column 'input_ids'; there are ids"),
        (lambda: grouped({"input_ids": [[1]], "text": ["a"]}), "column 'text': it does not have"),
        (
            lambda: grouped({"input_ids": [[1, 2]], "word_ids": [[1]]}),
            "column 'word_ids': it does not have one item per token; remove it before: "
            "dataset.remove_columns(['word_ids'])",
        ),
        (lambda: grouped(pa.table({"input_ids": [[1]], "label": [1]})), "column 'label': it does"),
        (
            lambda: grouped({"input_ids": [[1]]}, {"input_ids": [[1]], "word_ids": [[1]]}),
            "only some batches have word_ids",
        ),
        (
            lambda: grouped({"input_ids": [[1]]}, {"input_ids": [[1], [2]]}, size=9, rows=2),
            "the dataset has more than 2 rows; give rows=len(dataset) of this dataset",
        ),
        (
            lambda: grouped({"input_ids": [[1]]}, {"input_ids": [[1]]}, size=9, rows=2),
            "2 tokens do not fill one row of 9; use remainder='keep' or a smaller size",
        ),
    ],
)
def test_what_cannot_be_grouped_is_one_line(call, said):
    """It names the column or the argument, and says what to do."""
    with pytest.raises((ConfigError, CorpusError)) as error:
        call()
    assert said in str(error.value)


def grouped(*batches, size=2, **arguments):
    """Group some batches."""
    group = mlmref.GroupTexts(size, **arguments)
    return [group(batch) for batch in batches]
