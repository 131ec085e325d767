"""jieba's words keep every clause that a word segmenter has to keep."""

from pathlib import Path

from mlmref_jieba import mlmref_word_segmenters

from mlmref.conformance import parametrize_segmenter_checks

(ENTRY,) = mlmref_word_segmenters()
USER = Path(__file__).with_name("words.txt")


@parametrize_segmenter_checks([ENTRY, (ENTRY, {"hmm": False, "user_dictionary": USER})])
def test_it_conforms(check):
    """As it is registered, and with other options."""
    check()
