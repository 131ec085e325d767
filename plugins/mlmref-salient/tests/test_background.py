"""Backgrounds as files, how they are made, and what is said when one does not fit."""

import json
import subprocess
import sys

import numpy as np
import pytest
from cases import shown, vocabulary
from mlmref_salient import SalientMasking, SalientOptions
from mlmref_salient.__main__ import app
from mlmref_salient.background import count_words, read_background, write_background
from typer.testing import CliRunner

from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.model.embedded import embedded_checkpoint
from mlmref.plugin import ConfigError

COMMON = "The cat sat on the mat, and the dog sat on the cat.\n"
DOMAIN = "The film sat on the shelf; the film and the cat were on the mat.\n"


@pytest.fixture(scope="module")
def tokenizer():
    """Return the embedded checkpoint's tokenizer."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(embedded_checkpoint())


def invoke(*arguments):
    """Run a command of the plugin; returns what it printed."""
    got = CliRunner().invoke(app, list(map(str, arguments)))
    if got.exception:
        raise got.exception
    return got.output


def token_of(tokenizer, word):
    """Return the id of a word of one token."""
    (one,) = tokenizer(word, add_special_tokens=False)["input_ids"]
    return one


def save(place, **changes):
    """Save a background of the tests' vocabulary."""
    fields = {"model": "m", "source": "s", "vocabulary": vocabulary(), "counts": np.arange(60)}
    write_background(place, **(fields | changes))
    return place


def test_what_is_written_is_read(tmp_path):
    """Counts and special ids come back, with the file's name."""
    place = save(tmp_path / "b.json")
    got = read_background(str(place))
    assert got.counts.tolist() == list(range(60))
    assert got.special_ids.tolist() == [0, 1, 2, 3]
    assert got.name == str(place)


def test_a_text_is_counted(tmp_path, tokenizer):
    """Each token as often as it stands in the whole text, the last chunk too."""
    (tmp_path / "common.txt").write_text(COMMON * 50, "utf-8")
    place = tmp_path / "b.json"
    assert "token ids are in" in invoke("background", place, "--corpus", tmp_path / "common.txt")
    counts = read_background(str(place)).counts
    assert len(counts) == len(tokenizer)
    assert counts[token_of(tokenizer, "cat")] == 100
    assert counts[token_of(tokenizer, ",")] == 50
    assert counts[token_of(tokenizer, "film")] == 0


def test_a_list_of_words_is_counted_token_by_token(tokenizer):
    """Frequencies add up over the words that a token is in; no word, no say."""
    words = [("cat", 0.5), ("cats", 0.25), ("u.s.", 0.125)]
    counts = count_words(words, tokenizer, vocabulary_of(tokenizer))
    assert counts[token_of(tokenizer, "cat")] == 500_000_000
    assert counts[token_of(tokenizer, "cats")] == 250_000_000
    assert counts[token_of(tokenizer, "u")] == 125_000_000
    for token in (".", ",", "film"):
        assert counts[token_of(tokenizer, token)] == -1
    assert (counts[vocabulary_of(tokenizer).special_ids] == -1).all()


def test_a_languages_words_are_counted(tmp_path, tokenizer):
    """English, as wordfreq has it, has "the" more often than "film", and "film" than "cinema"."""
    place = tmp_path / "b.json"
    invoke("background", place, "--language", "en", "--limit", 20_000)
    counts = read_background(str(place)).counts
    the, film, cinema = (counts[token_of(tokenizer, word)] for word in ("the", "film", "cinema"))
    assert the > 10 * film > 10 * cinema > 0


def test_the_words_that_mark_a_text_are_shown(tmp_path):
    """Against a text of cats, "film" comes first and "cat" does not come."""
    for name, text in (("common", COMMON), ("domain", DOMAIN)):
        (tmp_path / f"{name}.txt").write_text(text * 50, "utf-8")
    invoke("background", tmp_path / "b.json", "--corpus", tmp_path / "common.txt")
    shown_ = invoke(
        *("words", "--corpus", tmp_path / "domain.txt", "--background", tmp_path / "b.json"),
        *("--count", 4),
    )
    tokens = [line.split()[0] for line in shown_.splitlines()[1:] if line.strip()]
    assert tokens[0] == "film"
    assert len(tokens) == 4
    assert "cat" not in tokens


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "is not a background file"),
        ("[]", "is not a background file"),
        ('{"model": "m", "source": "s", "special_ids": [0]}', "counts"),
        (
            '{"format": 2, "model": "m", "source": "s", "special_ids": [0], "counts": [1]}',
            "format",
        ),
        (
            '{"model": "m", "source": "s", "special_ids": [0], "counts": [1.5]}',
            "counts",
        ),
    ],
)
def test_a_file_that_is_no_background_is_refused(tmp_path, content, said):
    """When the strategy is made, with the file's name and what is wrong."""
    place = tmp_path / "b.json"
    if content is not None:
        place.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=said) as caught:
        SalientMasking(SalientOptions(background=str(place)))
    assert str(place) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"counts": np.arange(61)}, "has 61 token ids and the model has 60"),
        ({"special": [0, 1, 2, 9]}, "has other special tokens"),
    ],
)
def test_a_background_of_another_vocabulary_is_refused(tmp_path, changes, said):
    """Another size or other special tokens are another tokenizer's."""
    place = save(tmp_path / "b.json", **{k: v for k, v in changes.items() if k == "counts"})
    if "special" in changes:
        tree = json.loads(place.read_text("utf-8")) | {"special_ids": changes["special"]}
        place.write_text(json.dumps(tree), "utf-8")
    batch, draws = shown([[7]], [[1]])
    with pytest.raises(ValueError, match=said):
        SalientMasking(SalientOptions(background=str(place))).propose(batch, draws)


def test_a_command_says_what_it_needs(tmp_path):
    """No source or two, a file that is there, a language that is not: nothing is written."""
    place = tmp_path / "b.json"
    for arguments, said in (
        ([], "give either --corpus or --language"),
        (["--corpus", "imdb", "--language", "en"], "either --corpus or --language"),
        (["--language", "xx"], "no language 'xx'"),
    ):
        with pytest.raises(ConfigError, match=said):
            invoke("background", place, *arguments)
    assert not place.exists()
    place.write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match="already exists; nothing was changed"):
        invoke("background", place, "--language", "en")
    assert place.read_text("utf-8") == "mine"


def test_an_error_is_one_line(tmp_path):
    """From the shell: exit status 2 and a line on standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "mlmref_salient", "background", "b.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "mlmref_salient: give either --corpus or --language\n"
