"""Chinese words, by jieba and by its dictionaries."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest
from chinese import PROSE, SIMPLIFIED
from mlmref_jieba import JiebaOptions, JiebaSegmenter

USER = Path(__file__).with_name("words.txt")


def words_of(text, **options):
    """Return the words of a text, blanks left out."""
    (begins,) = JiebaSegmenter(JiebaOptions(**options)).segment([text])
    ends = [*begins[1:], len(text)][: len(begins)]
    words = [text[first:end] for first, end in zip(begins, ends, strict=True)]
    assert "".join(words) == text
    return [word for word in words if word.strip()]


@pytest.mark.parametrize(("text", "known"), PROSE.items())
def test_words_of_ordinary_prose(text, known):
    """Simplified, traditional and mixed with other scripts."""
    missing = set(known.split()) - set(words_of(text))
    assert not missing, words_of(text)


def test_most_words_have_several_characters():
    """Of the Chinese characters, six in ten are in words of two or more."""
    words = [word for text in SIMPLIFIED for word in words_of(text) if word.isalpha()]
    assert sum(len(word) for word in words if len(word) > 1) > 0.6 * sum(map(len, words))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("naïve", ["naïve"]),
        ("e\u0301te\u0301 1\u0308", ["e\u0301te\u0301", "1\u0308"]),
        ("Отличный фильм!", ["Отличный", "фильм", "!"]),
        ("电影film", ["电影", "film"]),
        ("电影ф", ["电影", "ф"]),
        ("电\u0301影ф", ["电\u0301", "影", "ф"]),
        ("❤\ufe0fab", ["❤\ufe0f", "ab"]),
        ("3.5%", ["3.5%"]),
        ("", []),
    ],
)
def test_words_of_other_scripts_are_runs_of_letters_and_digits(text, words):
    """A mark belongs to what stands before it, and a Chinese character is no such letter."""
    assert words_of(text) == words


def test_the_model_finds_words_that_the_dictionary_does_not_have():
    """The example of jieba's own documentation."""
    text = "他来到了网易杭研大厦"
    assert "杭研" in words_of(text)
    assert "杭研" not in words_of(text, hmm=False)


def test_a_users_words_are_known_besides():
    """With and without a frequency, with a blank within, and of no consequence elsewhere."""
    text = "老片子里的大语言模型在New York跑来跑去"
    assert {"老片子", "大语言模型", "跑来跑去"} <= set(words_of(text, user_dictionary=USER))
    assert not {"老片子", "大语言模型"} & set(words_of(text))


def test_another_dictionary_takes_the_place_of_jiebas(tmp_path):
    """The mayor of Nanking, Jiang Daqiao, is no bridge over the Yangtze."""
    file = tmp_path / "small.txt"
    file.write_text("南京 10 ns\n市长 10 n\n江大桥 10 nr\n", "utf-8")
    text = "南京市长江大桥"
    assert words_of(text, hmm=False) == ["南京市", "长江大桥"]
    assert words_of(text, hmm=False, dictionary=file) == ["南京", "市长", "江大桥"]


def test_the_fingerprint_has_the_version_and_the_dictionaries(tmp_path):
    """A word more is another fingerprint, the place of the file is not."""
    prints = [JiebaSegmenter(JiebaOptions()).fingerprint]
    for name, content in [("a", "电影 10\n"), ("b", "电影 10\n"), ("c", "电影 11\n")]:
        (tmp_path / name).write_text(content, "utf-8")
        for key in ("dictionary", "user_dictionary"):
            segmenter = JiebaSegmenter(JiebaOptions(**{key: tmp_path / name}))
            prints.append(segmenter.fingerprint)
    assert prints[0] == f"jieba {version('jieba')}"
    assert prints[1] == prints[3] != prints[5]
    assert len(set(prints)) == 3


@pytest.mark.parametrize(
    ("content", "wrong"),
    [("电影 0 n\n", "line 1: a frequency of 0"), ("电影\n演员 0\n", "line 2: a frequency of 0")],
)
def test_a_frequency_of_nought_is_refused(tmp_path, content, wrong):
    """The word would be kept from everybody else in the process."""
    (tmp_path / "words.txt").write_text(content, "utf-8")
    with pytest.raises(ValueError, match=wrong):
        words_of("电影", user_dictionary=tmp_path / "words.txt")


def test_a_dictionary_without_words_is_refused(tmp_path):
    """It is named."""
    (tmp_path / "empty.txt").write_text("", "utf-8")
    with pytest.raises(ValueError, match=r"empty\.txt has no words"):
        words_of("电影", dictionary=tmp_path / "empty.txt")
    (tmp_path / "odd.txt").write_text("电影\n", "utf-8")
    with pytest.raises(ValueError, match=r"invalid dictionary entry in .*odd\.txt"):
        words_of("电影", dictionary=tmp_path / "odd.txt")


def test_a_dictionary_that_changes_under_a_run_is_refused(tmp_path):
    """What is read is what the fingerprint was made of."""
    file = tmp_path / "words.txt"
    file.write_text("老片子 5\n", "utf-8")
    segmenter = JiebaSegmenter(JiebaOptions(user_dictionary=file))
    file.write_text("老片子 6\n", "utf-8")
    with pytest.raises(ValueError, match="has changed since the run began"):
        list(segmenter.segment(["电影"]))


def test_it_travels_and_is_asked_by_several_threads():
    """Pickled, and from eight threads at once, it says the same."""
    texts = list(PROSE) * 20
    segmenter = JiebaSegmenter(JiebaOptions())
    expected = list(segmenter.segment(texts))
    again = pickle.loads(pickle.dumps(segmenter))  # noqa: S301 - just written
    assert list(again.segment(texts)) == expected
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: list(again.segment(texts)), range(8))
        assert all(one == expected for one in found)


def test_others_who_use_jieba_in_the_process_do_not_matter():
    """What they add to jieba's own dictionary stays theirs."""
    import jieba

    jieba.setLogLevel(60)
    before = words_of("老片子的电影")
    jieba.add_word("老片子", 10**6)
    assert words_of("老片子的电影") == before


QUIET = """
import sys, warnings
from mlmref_jieba import mlmref_word_segmenters
from mlmref.plugin import discover
assert "jieba" not in sys.modules
(entry,) = mlmref_word_segmenters()
segmenter = entry.build(entry.options())
segmenter.fingerprint
assert "jieba" not in sys.modules
list(segmenter.segment(["电影"]))
assert "jieba" in sys.modules and "torch" not in sys.modules
"""


def test_it_is_quiet_late_and_leaves_nothing_behind(tmp_path):
    """No line on standard error, no file in the temporary folder, jieba imported when asked."""
    env = os.environ | {"TMPDIR": str(tmp_path), "PYTHONWARNINGS": "always::UserWarning"}
    done = subprocess.run(
        [sys.executable, "-c", QUIET], capture_output=True, text=True, check=False, env=env
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())
