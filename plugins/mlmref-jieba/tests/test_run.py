"""Whole-word masking of Chinese: what is masked, and a whole run."""

import json

import numpy as np
import pytest
from chinese import PROSE, save_model, tokenizer
from mlmref_jieba import mlmref_word_segmenters

import mlmref
from mlmref.data.chunks import chunk
from mlmref.data.corpus.corpus import corpus_from_texts
from mlmref.data.tokens.tokenize import tokenize
from mlmref.masking.masker import Masker
from mlmref.plugin import IGNORE_INDEX, MlmrefError, discover
from mlmref.plugin.registry import Registered, Source, choose
from mlmref.settings.config import ChunkConfig

(ENTRY,) = mlmref_word_segmenters()


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))


def masks(segmenter):
    """Mask the prose ten times, half of its words; return the pieces and the targets."""
    words = tokenizer()
    tokens = tokenize(corpus_from_texts(list(PROSE)), words, segmenter=segmenter)
    chunks = chunk(tokens, ChunkConfig(size=32, remainder="pad"), max_length=32)
    rows = chunks.gather(np.arange(len(chunks)))
    found = discover().strategy("whole-word")
    chosen = choose(found, {"mlm_probability": 0.5}, "masking.options")
    masker = Masker(
        entry=chosen.entry,
        strategy=chosen.make(),
        corruption=chosen.entry.corruption,
        vocabulary=tokens.vocabulary,
        seed=42,
        owner="tests",
    )
    pieces = np.array(words.convert_ids_to_tokens(rows.input_ids.ravel().tolist()))
    return pieces.reshape(rows.input_ids.shape), [
        masker(rows, pass_).labels != IGNORE_INDEX for pass_ in range(10)
    ]


def fates(word, segmenter):
    """Tell how often all, some and none of a word's characters were masked."""
    pieces, targets = masks(segmenter)
    found = {"all": 0, "some": 0, "none": 0}
    for row, column in np.argwhere(pieces == word[0]):
        place = slice(column, column + len(word))
        if "".join(pieces[row, place]) == word:
            for one in targets:
                share = one[row, place].mean()
                found["all" if share == 1 else "none" if share == 0 else "some"] += 1
    return found


def test_words_are_masked_whole():
    """电影, 演员 and others: all of their characters, or none."""
    jieba = choose(Registered(ENTRY, Source("mlmref-jieba", "jieba", "0")), {}, "words.options")
    for word in ("电影院", "演员", "音乐", "故事"):
        found = fates(word, jieba)
        assert not found["some"], word
        assert found["all"], word
        assert found["none"], word


def test_without_jieba_they_are_not():
    """BERT's own words are single characters, of which some are masked."""
    for word in ("电影院", "演员", "音乐", "故事"):
        assert fates(word, None)["some"], word


def config(tmp_path, **options):
    """Return the settings of a run with jieba's words."""
    return mlmref.Config(
        model={"name": str(tmp_path / "model")},
        corpus={"name": str(tmp_path / "corpus.txt")},
        words={"segmenter": "jieba", "options": options},
        masking={"strategy": "whole-word"},
        chunks={"size": 32},
        training={"batch_size": 8, "learning_rate": 0.01, "epochs": 2},
        output={"folder": str(tmp_path / "out")},
    )


def test_a_run_with_jieba(tmp_path):
    """A run with whole-word masking and jieba's words trains, measures, and records them."""
    save_model(tmp_path / "model")
    (tmp_path / "corpus.txt").write_text("\n".join(list(PROSE) * 20), "utf-8")
    mlmref.run(config(tmp_path, hmm=False))
    record = json.loads((tmp_path / "out" / "record.json").read_text("utf-8"))
    used = record["plugins"]["words"]
    assert (used["name"], used["distribution"]) == ("jieba", "mlmref-jieba")
    assert used["options"] == {"hmm": False, "dictionary": None, "user_dictionary": None}
    perplexity = record["perplexity"]
    assert perplexity["after"]["value"] < perplexity["before"]["value"]


def test_a_dictionary_that_does_not_exist_is_named_before_anything_is_loaded(tmp_path):
    """One line, with the option's full key; neither model nor corpus exists."""
    with pytest.raises(MlmrefError) as refused:
        mlmref.run(config(tmp_path, dictionary="none.txt"))
    assert "words.options.dictionary" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
