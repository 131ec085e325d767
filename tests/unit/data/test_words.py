"""Word segmenters: what tokens make of their words, their faults, and how one is chosen."""

import numpy as np
import pytest
from support.tokenizers import SPECIAL, tokenizer
from support.tokens import corpus_of, fresh_cache, rows_of
from support.words import Plugin, Told, chosen, entry_of
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from mlmref.base.errors import ConfigError, PluginError
from mlmref.data.tokens import tokenize as station
from mlmref.data.tokens.tokenize import tokenize
from mlmref.data.words import of_segmenter as segmented
from mlmref.plugin.contracts import Options, SegmenterEntry
from mlmref.plugin.discovery import discover
from mlmref.plugin.registry import Registered, Source, choose
from mlmref.runner.context import choose_plugins
from mlmref.settings.config import Config


def words_of(text, family, begins):
    """Return a text's pieces, word by word, if words begin at these characters."""
    backend = tokenizer(family)
    with fresh_cache():
        tokens = tokenize(corpus_of([text]), backend, segmenter=chosen(Told({text: begins})))
    [(ids, starts)] = rows_of(tokens)
    words = []
    for piece, start in zip(backend.convert_ids_to_tokens(ids), starts, strict=True):
        if start:
            words.append(piece)
        else:
            words[-1] += f" {piece}"
    return words


@pytest.mark.clause("TOK-015")
def test_chinese_words_are_what_the_segmenter_takes_for_words():
    """Of BERT's pieces, one a character, those of a segmenter's word belong together."""
    assert words_of("这部电影", "wordpiece", [0, 2]) == ["[CLS]", "这 部", "电 影", "[SEP]"]


@pytest.mark.clause("TOK-015")
@pytest.mark.parametrize("begins", [[0, 3], [0, 2], [0, 2, 3], [3], [2]])
@pytest.mark.parametrize(
    ("family", "words"),
    [("wordpiece", ["it", "is"]), ("byte-bpe", ["it", "Ġis"]), ("unigram", ["▁it", "▁is"])],
)
def test_it_does_not_matter_whose_the_blank_is(begins, family, words):
    """A blank counted to either word or to none, the first word told or not: all the same."""
    assert words_of("it is", family, begins) == ["[CLS]", *words, "[SEP]"]


@pytest.mark.clause("TOK-015")
@pytest.mark.parametrize(
    ("begins", "words"),
    [
        ([0], ["u n watch able Ġfilm s"]),
        ([0, 2], ["u n", "watch able Ġfilm s"]),
        ([0, 4], ["u n watch able Ġfilm s"]),  # within "watch"
        ([0, 1, 3, 7], ["u", "n watch", "able Ġfilm s"]),  # and at the beginning of "able"
    ],
)
def test_a_piece_of_two_words_joins_them(begins, words):
    """A piece with the end of one word and the beginning of the next makes one of both."""
    assert words_of("unwatchable films", "byte-bpe", begins) == ["[CLS]", *words, "[SEP]"]


@pytest.mark.clause("TOK-015")
def test_the_bytes_of_a_character_are_one_word():
    """PreTokens of the same character are never apart, and each of two has its own."""
    assert words_of("😀😀", "byte-bpe", [0, 1]) == ["[CLS]", "ð Ł ĺ Ģ", "ð Ł ĺ Ģ", "[SEP]"]


@pytest.mark.clause("TOK-015")
def test_a_special_token_in_the_text_divides_a_word():
    """Special tokens and the token after one are word starts, whatever the segmenter says."""
    found = words_of("films[SEP]films", "byte-bpe", [0])
    assert found == ["[CLS]", "fi lm s", "[SEP]", "fi lm s", "[SEP]"]


@pytest.mark.clause("TOK-015")
def test_words_of_two_documents_do_not_join():
    """Without special tokens between them, the second document begins a word (E02)."""
    bare = Tokenizer.from_str(tokenizer("byte-bpe").backend_tokenizer.to_str())
    bare.post_processor = None
    backend = PreTrainedTokenizerFast(tokenizer_object=bare, **SPECIAL)
    told = chosen(Told({"films": [], "": []}))
    rows = rows_of(tokenize(corpus_of(["films", "", "films"]), backend, segmenter=told))
    assert [starts for _, starts in rows] == [[True, False, False], [], [True, False, False]]


@pytest.mark.clause("TOK-016")
def test_a_blank_within_a_word_belongs_to_it_and_one_between_words_to_none():
    """Of the pieces of "a  film" one is a blank alone."""
    assert words_of("a  film", "byte-bpe", [0]) == ["[CLS]", "a Ġ Ġfilm", "[SEP]"]
    for begins in ([0, 1], [0, 1, 3], [0, 3]):
        assert words_of("a  film", "byte-bpe", begins) == ["[CLS]", "a", "Ġ", "Ġfilm", "[SEP]"]


@pytest.mark.clause("TOK-015")
@pytest.mark.parametrize("blank", ["\x1f", "\u0085", "\u00a0", "\u2028", "\u3000"])
def test_a_blank_is_what_unicode_takes_for_one(blank):
    """Its pieces belong to neither word; a zero-width space is a character like any other."""
    assert words_of(f"a{blank}film", "byte-bpe", [0, 2])[:2] == ["[CLS]", "a"]
    assert words_of("a\u200bfilm", "byte-bpe", [0, 2])[1].split()[0] == "a"
    assert len(words_of("a\u200bfilm", "byte-bpe", [0, 2])) == 4


@pytest.mark.clause("TOK-016")
def test_blanks_at_the_ends_are_words_of_their_own():
    """No word has characters on both sides of them."""
    expected = ["[CLS]", "Ġ", "Ġfilm", "Ġ", "Ġ", "[SEP]"]
    assert words_of("  film  ", "byte-bpe", [0]) == expected


@pytest.mark.clause("TOK-016")
def test_a_token_that_the_template_adds_is_a_word_of_its_own():
    """A [SEP] that nobody calls special has no characters, and does not end the last word."""
    backend = Tokenizer.from_str(tokenizer("wordpiece").backend_tokenizer.to_str())
    nameless = PreTrainedTokenizerFast(tokenizer_object=backend, **(SPECIAL | {"sep_token": None}))
    told = chosen(Told({"films": [0], "": []}))
    rows = rows_of(tokenize(corpus_of(["films", "films"]), nameless, segmenter=told))
    assert rows[0][0][-1] not in nameless.all_special_ids
    assert [starts for _, starts in rows] == 2 * [[True, True, False, True]]


@pytest.mark.clause("TOK-017")
@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("wordless", ["it", " is", " a", " film"]),
        ("unigram-crossing", ["▁ it", "▁is", "▁a", "▁film"]),
        ("wordpiece", ["it", "is", "a", "film"]),
    ],
)
def test_with_a_segmenter_words_are_told(family, words):
    """Even those of a tokenizer that tells none."""
    text, begins = "it is a film", [0, 3, 6, 8]
    told = chosen(Told({text: begins}))
    assert tokenize(corpus_of([text]), tokenizer(family), segmenter=told).has_words
    assert words_of(text, family, begins) == ["[CLS]", *words, "[SEP]"]


@pytest.mark.clause("TOK-018")
@pytest.mark.clause("SEG-009")
def test_without_a_segmenter_tokens_and_their_key_are_the_tokenizers(monkeypatch):
    """No segmenter and an entry that builds none give one cache entry, keyed as ever."""
    keys, cached = [], station.cached

    def seen(name, parts, *rest):
        keys.append(sorted(parts))
        return cached(name, parts, *rest)

    monkeypatch.setattr(station, "cached", seen)
    corpus, backend = corpus_of(["untouched films"]), tokenizer("wordpiece")
    plain = tokenize(corpus, backend)
    none = SegmenterEntry(name="none", summary="-", build=None)
    for source in (Source("mlmref", "builtin-words", "1"), Source("other", "it", "2")):
        left = choose(Registered(none, source), {}, "words.options")
        again = tokenize(corpus, backend, segmenter=left)
        assert again.fingerprint == plain.fingerprint
        assert rows_of(again) == rows_of(plain)
    known = ["corpus", "special_ids", "split_special_tokens", "step", "tokenizer", "tokenizers"]
    assert keys == 3 * [known]


class Level(Options):
    """An option of a segmenter."""

    level: int = 1


def whole(texts):
    """Take each text for one word."""
    return [[0] if text else [] for text in texts]


@pytest.mark.clause("TOK-011")
def test_whatever_shapes_a_segmenters_words_is_in_their_key(monkeypatch):
    """Another name, distribution, version, option or fingerprint is another entry of the cache."""
    told = Told(whole)

    def key(segmenter):
        tokens = tokenize(corpus_of(["films"]), tokenizer("wordpiece"), segmenter=segmenter)
        return tokens.fingerprint

    keys = [
        key(None),
        key(chosen(told)),
        key(chosen(told, name="other")),
        key(chosen(told, distribution="you")),
        key(chosen(told, version="1.1")),
        key(chosen(told, options=Level)),
        key(chosen(told, {"level": 2}, options=Level)),
        key(chosen(Told(whole, fingerprint="dictionary 2"))),
    ]
    monkeypatch.setattr(segmented, "_STEP", "another")
    keys.append(key(chosen(told)))
    assert len(set(keys)) == len(keys)
    monkeypatch.undo()
    assert key(chosen(Told(whole), {"level": 2}, options=Level)) == keys[6]


@pytest.mark.clause("TOK-011")
def test_tokens_that_were_made_before_are_served_without_asking():
    """The segmenter is made, for its fingerprint, and asked for no word."""
    first, second = Told(whole), Told(whole)
    corpus = corpus_of(["asked for once"])
    made = tokenize(corpus, tokenizer("wordpiece"), segmenter=chosen(first))
    served = tokenize(corpus, tokenizer("wordpiece"), segmenter=chosen(second))
    assert (len(first.asked), len(second.asked)) == (1, 0)
    assert rows_of(served) == rows_of(made)


@pytest.mark.clause("TOK-010")
def test_a_segmenter_is_asked_a_batch_at_a_time_with_what_cannot_be_changed():
    """Tuples of as many texts as the tokenizer is given."""
    told = Told(whole)
    with fresh_cache():
        corpus = corpus_of(["a", "b", "c"])
        tokenize(corpus, tokenizer("wordpiece"), segmenter=chosen(told), batch_size=2)
    assert told.asked == [("a", "b"), ("c",)]


def _raise(texts):
    raise KeyError("two\nlines")


def _generate(texts):
    yield from ([0] for _ in texts)
    raise RuntimeError("at the end")


FAULTS = [
    (_raise, "segment raised KeyError: 'two\\nlines' (SEG-001)"),
    (_generate, "segment raised RuntimeError: at the end (SEG-001)"),
    (lambda texts: [], "segment gave 0 answers for 1 texts (SEG-001)"),
    (lambda texts: [[0], [0]], "segment gave 2 answers for 1 texts (SEG-001)"),
    (lambda texts: None, "segment gave NoneType, not answers (SEG-001)"),
    (lambda texts: [None], "segment gave NoneType of 0 dimensions, not offsets,"),
    (lambda texts: [iter([0])], "of 0 dimensions, not offsets, for 'a film'"),
    (lambda texts: [[[0, 1]]], "segment gave list of 2 dimensions, not offsets, for 'a film'"),
    (lambda texts: [[0, [1, 2]]], "segment gave list, not offsets, for 'a film'"),
    (lambda texts: [[0.0, 2.0]], "offsets of type float64, not integers, for 'a film'"),
    (lambda texts: [np.array([True, False])], "offsets of type bool, not integers,"),
    (lambda texts: [["a", "film"]], "not integers, for 'a film' (SEG-001)"),
    (lambda texts: [[0, 6]], "segment gave offset 6, which is not in range(6), for 'a film'"),
    (lambda texts: [[-1]], "segment gave offset -1, which is not in range(6), for 'a film'"),
    (lambda texts: [[2, 2]], "segment gave offsets that do not ascend, for 'a film' (SEG-001)"),
    (lambda texts: [[2, 0]], "segment gave offsets that do not ascend, for 'a film' (SEG-001)"),
]


@pytest.mark.clause("SEG-010")
@pytest.mark.parametrize(("answers", "wrong"), FAULTS, ids=[wrong for _, wrong in FAULTS])
def test_what_a_segmenter_answers_wrongly_is_named(answers, wrong):
    """One line has the segmenter, its plugin, what it gave, a bit of the text, and the clause."""
    with pytest.raises(PluginError) as caught:
        tokenize(corpus_of(["a film"]), tokenizer("wordpiece"), segmenter=chosen(Told(answers)))
    told = str(caught.value)
    assert told.startswith("'told' of plugin me:it 1.0: segment ")
    assert wrong in told
    assert "(SEG-001); report it to the plugin's author" in told
    assert "\n" not in told


@pytest.mark.clause("SEG-010")
def test_of_a_long_text_the_beginning_is_shown():
    """Nobody reads a megabyte of an error."""
    with pytest.raises(PluginError, match=r"for 'film film film film film fi\.\.\.' \(SEG-001\)"):
        tokenize(
            corpus_of(["film " * 99]),
            tokenizer("wordpiece"),
            segmenter=chosen(Told(lambda texts: [[-1]])),
        )


@pytest.mark.clause("SEG-010")
@pytest.mark.parametrize(
    ("fingerprint", "wrong"),
    [
        (3, "fingerprint is int, not str"),
        (None, "fingerprint is NoneType, not str"),
        (property(lambda _: 1 / 0), "fingerprint raised ZeroDivisionError: division by zero"),
    ],
)
def test_a_fingerprint_that_is_no_text_is_named(fingerprint, wrong):
    """It would be in no cache key as it is."""
    kind = type("Odd", (), {"fingerprint": fingerprint, "segment": whole})
    with pytest.raises(PluginError) as caught:
        tokenize(corpus_of(["a"]), tokenizer("wordpiece"), segmenter=chosen(kind()))
    expected = f"{wrong} (SEG-005); report it to the plugin's author"
    assert str(caught.value) == f"'told' of plugin me:it 1.0: {expected}"


@pytest.mark.clause("SEG-009")
@pytest.mark.clause("TOK-018")
def test_the_default_leaves_the_words_to_the_tokenizer():
    """``tokenizer`` is found as any other entry is, and makes nothing."""
    config, plugins = choose_plugins(Config())
    assert config.words.segmenter == "tokenizer"
    assert config.words.options == {}
    assert plugins.segmenter.entry.build is None
    assert plugins.segmenter.make() is None
    assert str(plugins.segmenter.source).startswith("mlmref:builtin-words ")


@pytest.mark.clause("PLUG-008")
def test_a_segmenters_options_are_read_and_written_back():
    """They are complete in the configuration, and a bad one is refused with its full key."""
    registry = discover([Plugin(entry_of(Told(whole), options=Level))])
    words = Config().words.model_copy(update={"segmenter": "told"})
    config, plugins = choose_plugins(Config(words=words), registry)
    assert config.words.options == {"level": 1}
    assert plugins.segmenter.options == Level()
    bad = words.model_copy(update={"options": {"levl": 2}})
    with pytest.raises(ConfigError, match=r"unknown key 'words\.options\.levl'; did you mean"):
        choose_plugins(Config(words=bad), registry)
