"""Chunks as a dataset, and a dataset as chunks (spec/python.md)."""

import numpy as np
import pytest
from datasets import Dataset
from support.maskers import built_in
from support.tokenizers import FAMILIES, TEXT, tokenizer
from support.tokens import corpus_of

from mlmref.base.errors import CorpusError
from mlmref.data.chunks import chunk
from mlmref.data.from_dataset import from_dataset
from mlmref.data.tokens.tokenize import tokenize
from mlmref.masking.masker import number_words
from mlmref.settings.config import ChunkConfig


def made(family, size=7, remainder="pad"):
    """Return chunks that are cut within words, with the tokenizer."""
    words = tokenizer(family)
    rule = ChunkConfig(size=size, remainder=remainder)
    return chunk(tokenize(corpus_of(TEXT), words), rule), words


def everything(chunks):
    """Return all rows."""
    return chunks.gather(np.arange(len(chunks)))


@pytest.mark.clause("API-009")
@pytest.mark.clause("API-010")
@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_survive_the_way_through_a_dataset(family):
    """Tokens, lengths, words and ids are equal, in another order of the rows too."""
    chunks, words = made(family)
    chosen = chunks.select(np.random.default_rng(0).permutation(len(chunks)))
    dataset = chosen.to_dataset()
    assert dataset.column_names == ["input_ids", "word_ids", "id"]
    back, rows = everything(from_dataset(dataset, words)), everything(chosen)
    for name in ("input_ids", "lengths", "chunk_ids"):
        assert np.array_equal(getattr(back, name), getattr(rows, name)), name
    special = np.isin(rows.input_ids, chunks.tokens.vocabulary.special_ids)
    special |= rows.documents < 0
    numbers = number_words(rows.word_start, special)
    assert np.array_equal(number_words(back.word_start, special), numbers)
    there = rows.documents >= 0
    shown = [[-1 if one is None else one for one in row] for row in dataset["word_ids"]]
    assert shown == [row[kept].tolist() for row, kept in zip(numbers, there, strict=True)]
    assert dataset["id"][:] == chosen.ids.tolist()
    again = from_dataset(dataset, words).to_dataset()
    assert again[:] == dataset[:]
    assert again.features == dataset.features


@pytest.mark.clause("API-009")
@pytest.mark.parametrize("strategy", ["token", "whole-word"])
def test_the_columns_determine_the_masks(strategy):
    """Rows that are shuffled and selected by Datasets get the masks of the run's chunks."""
    chunks, words = made("wordpiece")
    masker = built_in(strategy, words=chunks.tokens.vocabulary, mlm_probability=0.3)
    dataset = chunks.to_dataset().shuffle(seed=1).select(range(5, 15))
    theirs = masker(everything(from_dataset(dataset, words)), 2)
    mine = masker(chunks.gather(np.array(dataset["id"][:])), 2)
    assert np.array_equal(theirs.input_ids, mine.input_ids)
    assert np.array_equal(theirs.labels, mine.labels)
    assert (mine.labels >= 0).any()


@pytest.mark.clause("API-009")
def test_a_tokenizer_without_words_gives_no_word_ids():
    """The column is missing, so that a strategy that needs words can say so."""
    chunks, words = made("wordless")
    dataset = chunks.to_dataset()
    assert dataset.column_names == ["input_ids", "id"]
    assert not from_dataset(dataset, words).tokens.has_words


@pytest.mark.clause("API-009")
def test_equal_chunks_give_a_dataset_with_the_same_fingerprint():
    """So that the cache of ``map`` finds what it made of it in another process."""
    first, second = (made("wordpiece")[0].to_dataset() for _ in range(2))
    assert first._fingerprint == second._fingerprint


@pytest.mark.clause("API-010")
def test_the_datasets_of_tokenizers_are_read():
    """Rows as the tutorial makes them: word ids of a fast tokenizer, no ids, lists of any type."""
    words = tokenizer("wordpiece")
    encoded = words(["great film", "great", "bad"])
    rows = {
        "input_ids": [sum(encoded["input_ids"], []), encoded["input_ids"][0]],  # noqa: RUF017
        "word_ids": [
            [one for number in range(3) for one in encoded.word_ids(number)],
            encoded.word_ids(0),
        ],
        "attention_mask": [[1], [1]],
    }
    chunks = from_dataset(Dataset.from_dict(rows), words)
    found = everything(chunks)
    assert found.chunk_ids.tolist() == [0, 1]
    assert found.lengths.tolist() == [len(one) for one in rows["input_ids"]]
    special = np.isin(found.input_ids, chunks.tokens.vocabulary.special_ids)
    numbers = number_words(found.word_start, special)
    assert len(set(numbers[0].tolist()) - {-1}) == 4  # the two one-word texts are two words (E02)


@pytest.mark.clause("API-010")
def test_without_word_ids_the_tokenizers_marks_say_where_words_begin():
    """For WordPiece these are the words of the column."""
    chunks, words = made("wordpiece")
    dataset = chunks.to_dataset()
    bare = from_dataset(dataset.remove_columns("word_ids"), words)
    assert bare.tokens.has_words
    first, second = everything(from_dataset(dataset, words)), everything(bare)
    special = np.isin(first.input_ids, chunks.tokens.vocabulary.special_ids)
    numbers = [number_words(one.word_start, special).tolist() for one in (first, second)]
    assert numbers[0] == numbers[1]


@pytest.mark.clause("API-010")
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"input_id": [[5]]}, "the dataset: no column 'input_ids'; did you mean input_id?"),
        ({"input_ids": [["a"]]}, "the dataset, column 'input_ids': values of type list"),
        ({"input_ids": [5]}, "the dataset, column 'input_ids': values of type int32"),
        ({"input_ids": [[5], []]}, "the dataset: row 2 has no token; remove empty rows"),
        ({"input_ids": []}, "the dataset: no row"),
        ({"input_ids": [[5], [6, 9_999]]}, "column 'input_ids': row 2 has the token 9,999"),
        ({"input_ids": [[5], [-1]]}, "column 'input_ids': row 2 has the token -1"),
        (
            {"input_ids": [[5], [6, 7]], "word_ids": [[0], [1]]},
            "column 'word_ids': row 2 has another length than in 'input_ids'",
        ),
        ({"input_ids": [[5], [6]], "id": [1, 1]}, "column 'id': the ids are not integers"),
        ({"input_ids": [[5], [6]], "id": [1, None]}, "column 'id': the ids are not integers"),
        ({"input_ids": [[5], [6]], "id": ["a", "b"]}, "column 'id': the ids are not integers"),
    ],
)
def test_rows_that_cannot_be_used_are_named(columns, said):
    """One line with the column and the row, counted from 1."""
    with pytest.raises(CorpusError) as error:
        from_dataset(Dataset.from_dict(columns), tokenizer("wordpiece"))
    assert said in str(error.value)


@pytest.mark.clause("API-009")
def test_chunks_are_selected_like_a_list():
    """A slice, a list or an array of rows gives chunks with their ids."""
    chunks, _ = made("wordpiece")
    assert chunks[2:5].ids.tolist() == [2, 3, 4]
    assert chunks[[4, 0]].ids.tolist() == [4, 0]
    assert chunks[-1:].ids.tolist() == [len(chunks) - 1]
