"""Whole-word masking of Chinese: what is masked, and a whole run as a user starts it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from chinese import PROSE, save_model, tokenizer
from mlmref_jieba import mlmref_word_segmenters

from mlmref.data.chunks import chunk
from mlmref.data.corpus.load import corpus_from_texts
from mlmref.data.tokens.tokenize import tokenize
from mlmref.masking.masker import Masker
from mlmref.plugin import IGNORE_INDEX, discover
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


def test_a_run_with_jieba(tmp_path):
    """``mlmref run --masking whole-word --segmenter jieba`` trains, measures, and records it."""
    save_model(tmp_path / "model")
    (tmp_path / "corpus.txt").write_text("\n".join(list(PROSE) * 20), "utf-8")
    command = [sys.executable, "-m", "mlmref", "run", "--model", "./model"]
    command += ["--corpus", "corpus.txt", "--masking", "whole-word", "--segmenter", "jieba"]
    command += ["--set", "words.options.hmm=false", "--chunk-size", "32", "--batch-size", "8"]
    command += ["--learning-rate", "0.01", "--epochs", "2", "--output", "out", "--quiet"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads((tmp_path / "out" / "record.json").read_text("utf-8"))
    used = record["plugins"]["words"]
    assert (used["name"], used["distribution"]) == ("jieba", "mlmref-jieba")
    assert used["options"] == {"hmm": False, "dictionary": None, "user_dictionary": None}
    perplexity = record["perplexity"]
    assert perplexity["after"]["value"] < perplexity["before"]["value"]


def test_a_dictionary_that_is_not_there_is_named_before_anything_is_loaded(tmp_path):
    """One line, with the option's full key."""
    command = [sys.executable, "-m", "mlmref", "run", "--segmenter", "jieba"]
    command += ["--set", "words.options.dictionary=none.txt"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 2
    assert "words.options.dictionary" in done.stderr
    assert len(done.stderr.splitlines()) == 1
