"""Tokenizing, on cases small enough to read."""

import json
import logging
import pickle

import numpy as np
import pyarrow as pa
import pytest
import tokenizers
from support.tokenizers import FAMILIES, SPECIAL, tokenizer
from support.tokens import corpus_of, fresh_cache, numbered, rows_of, tokens_of
from tokenizers import (
    AddedToken,
    PreTokenizedString,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
)
from transformers import CanineTokenizer, PreTrainedTokenizerFast

from mlmref.base.errors import ModelError
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.data.tokens import tokenize as station
from mlmref.data.tokens.columns import Segments
from mlmref.data.tokens.tokenize import tokenize

LONG = "this is a great film and the story is great " * 20


def rebuilt(family, **special):
    """Return another tokenizer object of a family, to be changed at will."""
    backend = Tokenizer.from_str(tokenizer(family).backend_tokenizer.to_str())
    return PreTrainedTokenizerFast(tokenizer_object=backend, **{**SPECIAL, **special})


def words_of(text, family):
    """Return a text's pieces, word by word."""
    chosen = tokenizer(family)
    [(ids, starts)] = rows_of(tokenize(corpus_of([text]), chosen))
    pieces = chosen.convert_ids_to_tokens(ids)
    firsts = [position for position, start in enumerate(starts) if start]
    return [
        " ".join(pieces[first:end])
        for first, end in zip(firsts, [*firsts[1:], len(pieces)], strict=True)
    ]


@pytest.mark.clause("TOK-001")
@pytest.mark.parametrize("family", FAMILIES)
def test_truncation_and_padding_are_off(family):
    """A tokenizer file that cuts to 5 and pads to 50 still gives every token and no padding."""
    padding = rebuilt(family)
    padding.backend_tokenizer.enable_truncation(5)
    padding.backend_tokenizer.enable_padding(length=50)
    expected = rebuilt(family)([LONG, "a"])["input_ids"]
    rows = rows_of(tokenize(corpus_of([LONG, "a"]), padding))
    assert [ids for ids, _ in rows] == expected


@pytest.mark.clause("TOK-001")
def test_long_documents_are_no_matter_for_a_warning(caplog, capfd):
    """A document longer than the model takes is tokenized in silence."""
    with caplog.at_level(logging.DEBUG, "transformers"):
        tokenize(corpus_of([LONG + "silence"]), tokenizer("wordpiece"))
    assert "longer than" not in caplog.text + "".join(capfd.readouterr())


@pytest.mark.clause("TOK-002")
def test_the_tokenizer_is_left_as_it_was():
    """The caller's truncation and padding are still on afterwards."""
    mine = rebuilt("wordpiece")
    mine.backend_tokenizer.enable_truncation(5)
    mine.backend_tokenizer.enable_padding(length=50)
    before = mine.backend_tokenizer.to_str()
    tokenize(corpus_of([LONG]), mine)
    assert mine.backend_tokenizer.to_str() == before


@pytest.mark.clause("TOK-003")
def test_special_tokens_stand_round_each_document():
    """Each document is its words between the tokenizer's [CLS] and [SEP]."""
    rows = rows_of(tokenize(corpus_of(["film", "film"]), tokenizer("wordpiece")))
    cls, sep = tokenizer("wordpiece").convert_tokens_to_ids(["[CLS]", "[SEP]"])
    film = tokenizer("wordpiece").convert_tokens_to_ids("film")
    assert [ids for ids, _ in rows] == [[cls, film, sep]] * 2


INVISIBLE = ["\u200b", "\u00ad\u00ad", "\u0301", "\ufeff \u2060", "[SEP]", "\u2603 \u2603", ""]


@pytest.mark.clause("TOK-025")
@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_documents_without_an_ordinary_token_are_skipped(batch_size):
    """Invisible, special and unknown text alone has no tokens; the other documents keep theirs."""
    texts = [INVISIBLE[0], "a film", *INVISIBLE[1:4], "films", *INVISIBLE[4:], "film \u2603"]
    whole = tokenizer("wordpiece")(texts)["input_ids"]
    with fresh_cache():
        tokens = tokenize(corpus_of(texts), tokenizer("wordpiece"), batch_size=batch_size)
    kept = [1, 5, 9]
    assert [ids for ids, _ in rows_of(tokens)] == [
        whole[number] if number in kept else [] for number in range(len(texts))
    ]
    assert tokens.skipped.tolist() == [n for n in range(len(texts)) if n not in kept]
    ids, starts = tokens.take(np.arange(tokens.offsets[-1]))
    cls = tokenizer("wordpiece").cls_token_id
    assert np.count_nonzero(ids == cls) == len(kept)
    assert starts[tokens.offsets[kept]].all()


@pytest.mark.clause("TOK-025")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_corpus_of_invisible_documents_has_no_tokens(family):
    """Nothing is left, for every family whose normalizer removes the character."""
    chosen = rebuilt(family)
    chosen.backend_tokenizer.normalizer = normalizers.Replace("\u200b", "")
    chosen.backend_tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens = tokenize(corpus_of(["\u200b", "\u200b\u200b"]), chosen)
    assert (tokens.offsets.tolist(), len(tokens.skipped)) == ([0, 0, 0], 2)


@pytest.mark.clause("TOK-003")
def test_special_tokens_may_be_split_when_the_tokenizer_says_so():
    """With ``split_special_tokens``, a [SEP] in the text is five or so ordinary characters."""
    text = "a film [SEP] a film"
    splitting = rebuilt("wordpiece", split_special_tokens=True)
    rows = rows_of(tokenize(corpus_of([text]), splitting))
    assert rows[0][0] == splitting(text)["input_ids"]
    assert rows != rows_of(tokenize(corpus_of([text]), rebuilt("wordpiece")))


@pytest.mark.clause("TOK-004")
@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("wordpiece", ["[CLS]", "un ##watchable", "film ##s", "[SEP]", "film", "!", "[SEP]"]),
        ("byte-bpe", ["[CLS]", "u n watch able", "Ġfilm s", "Ġ", "[SEP]", "Ġfilm", "!", "[SEP]"]),
        ("unigram", ["[CLS]", "▁un watchable", "▁film s", "▁", "[SEP]", "▁film !", "[SEP]"]),
    ],
)
def test_words_are_the_pre_tokenizers(family, words):
    """PreTokens of one pre-tokenizer's word belong together; a special token stands alone."""
    assert words_of("unwatchable films [SEP] film!", family) == words


@pytest.mark.clause("TOK-004")
def test_chinese_words_are_what_the_tokenizer_takes_for_words():
    """BERT's pre-tokenizer makes each Chinese character a word."""
    assert words_of("这部电影", "wordpiece") == ["[CLS]", "这", "部", "电", "影", "[SEP]"]


@pytest.mark.clause("TOK-004")
def test_unknown_words_are_special():
    """[UNK] is a special token as in Transformers: nobody can be asked to predict it."""
    unknown = words_of("film ☃ film", "wordpiece")
    assert unknown == ["[CLS]", "film", "[UNK]", "film", "[SEP]"]
    chosen = tokenizer("wordpiece")
    assert chosen.unk_token_id in vocabulary_of(chosen).special_ids


@pytest.mark.clause("TOK-004")
def test_a_token_that_the_template_adds_is_a_word_of_its_own():
    """An unnamed [SEP] after the text does not belong to the last word."""
    nameless = rebuilt("wordpiece", sep_token=None)
    [(ids, starts)] = rows_of(tokenize(corpus_of(["films"]), nameless))
    assert ids[-1] not in nameless.all_special_ids
    assert starts == [True, True, False, True]


@pytest.mark.clause("TOK-005")
def test_one_word_documents_do_not_join():
    """Without special tokens between them, two documents of one word are still two words (E02)."""
    bare = rebuilt("byte-bpe")
    bare.backend_tokenizer.post_processor = None
    tokens = tokenize(corpus_of(["films", "", "films", ""]), bare)
    ids, starts = tokens.take(np.arange(tokens.offsets[-1]))
    assert bare.convert_ids_to_tokens(ids) == ["fi", "lm", "s"] * 2
    assert starts.tolist() == [True, False, False] * 2


@pytest.mark.clause("TOK-006")
def test_marked_pieces_tell_words_where_the_pre_tokenizer_does_not():
    """A pre-tokenizer that keeps the text whole leaves the words to the pieces' own marks."""
    assert words_of("unwatchable films [SEP] film!", "unigram-unsplit") == [
        "[CLS]", "▁un watchable", "▁film s", "▁", "[SEP]", "▁film !", "[SEP]",
    ]  # fmt: skip
    assert tokenize(corpus_of(["film"]), tokenizer("unigram-unsplit")).has_words


@pytest.mark.clause("TOK-007")
@pytest.mark.parametrize("family", ["wordless", "unigram-crossing"])
def test_a_tokenizer_without_words_says_so(family):
    """Neither splits nor marks, or pieces across words: the tokens are there, but no words."""
    wordless = tokenize(corpus_of(["it is a film"]), tokenizer(family))
    assert not wordless.has_words
    assert rows_of(wordless)[0][0] == tokenizer(family)("it is a film")["input_ids"]


@pytest.mark.clause("TOK-007")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_with_words_says_so(family):
    """Every family whose pre-tokenizer splits has words."""
    assert tokenize(corpus_of(["a film"]), tokenizer(family)).has_words


class _PythonPart:
    """A pre-tokenizer in Python, as RoFormer's is."""

    def pre_tokenize(self, text: PreTokenizedString):
        """Keep the text whole."""


def _with_python_part():
    chosen = rebuilt("wordpiece")
    chosen.backend_tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(_PythonPart())
    return chosen


def _without(role):
    return rebuilt("wordpiece", name_or_path="some/model", **{role: None})


@pytest.mark.clause("TOK-008")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            CanineTokenizer,
            "CanineTokenizer is a slow tokenizer, which cannot find words; choose a model "
            "with a fast tokenizer, which has a tokenizer.json",
        ),
        (
            lambda: _without("mask_token"),
            "some/model: the tokenizer has no mask token; choose a model that was trained with "
            "masks, such as BERT or RoBERTa",
        ),
        (
            lambda: _without("pad_token"),
            "some/model: the tokenizer has no padding token; choose a model that was trained with "
            "masks, such as BERT or RoBERTa",
        ),
        (
            _with_python_part,
            "the tokenizer cannot be copied (Custom PreTokenizer cannot be serialized); "
            "choose a tokenizer without parts written in Python",
        ),
    ],
    ids=["slow", "no mask", "no padding", "python"],
)
def test_tokenizers_that_cannot_be_used_are_refused(make, message):
    """One line says what is missing and what to choose instead."""
    with pytest.raises(ModelError) as raised:
        tokenize(corpus_of(["film"]), make())
    assert str(raised.value) == message


@pytest.mark.clause("TOK-009")
@pytest.mark.parametrize("family", FAMILIES)
def test_every_id_is_special_or_ordinary(family):
    """Special and ordinary ids have nothing in common and are together all ids."""
    vocabulary = vocabulary_of(tokenizer(family))
    special, ordinary = vocabulary.special_ids.tolist(), vocabulary.ordinary_ids.tolist()
    assert special == sorted(tokenizer(family).all_special_ids)
    assert sorted(special + ordinary) == list(range(vocabulary.size))
    assert vocabulary.size == len(tokenizer(family))
    assert (vocabulary.mask_id, vocabulary.pad_id) == (
        tokenizer(family).mask_token_id,
        tokenizer(family).pad_token_id,
    )
    assert vocabulary.special_ids.dtype == vocabulary.ordinary_ids.dtype == np.int32


@pytest.mark.clause("TOK-009")
def test_ids_may_leave_gaps():
    """An id that no token has is not drawn as a replacement, and every id is in range."""
    ids = {token: number for number, token in enumerate(SPECIAL.values())} | {"film": 40}
    backend = Tokenizer(models.WordPiece(ids, unk_token=SPECIAL["unk_token"]))
    vocabulary = vocabulary_of(PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL))
    assert vocabulary.size == 41
    assert vocabulary.ordinary_ids.tolist() == [40]


def special_tokens(chosen):
    """Return the special tokens of a tokenizer's vocabulary."""
    return set(chosen.convert_ids_to_tokens(vocabulary_of(chosen).special_ids.tolist()))


ONLY_MASKS = {"unk_token": None, "cls_token": None, "sep_token": None}


def unnamed(family, **parts):
    """Return a tokenizer of a family that names mask and padding alone, none marked special."""
    described = json.loads(tokenizer(family).backend_tokenizer.to_str())
    for token in described["added_tokens"]:
        token["special"] = False
    described |= parts
    backend = Tokenizer.from_str(json.dumps(described))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **{**SPECIAL, **ONLY_MASKS})


@pytest.mark.clause("TOK-020")
@pytest.mark.parametrize("family", FAMILIES)
def test_added_tokens_that_are_marked_special_are_special(family):
    """Unnamed "<|endoftext|>" is special if its entry says so; "<emoji>" is an ordinary token."""
    chosen = rebuilt(family)
    chosen.backend_tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True)])
    chosen.backend_tokenizer.add_tokens([AddedToken("<emoji>")])
    assert special_tokens(chosen) == {*SPECIAL.values(), "<|endoftext|>"}


@pytest.mark.clause("TOK-020")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "processor",
    [
        None,
        {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        {
            "type": "RobertaProcessing",
            "sep": ["[SEP]", 2],
            "cls": ["[CLS]", 1],
            "trim_offsets": True,
            "add_prefix_space": False,
        },
    ],
    ids=["template", "bert", "roberta"],
)
def test_tokens_around_a_text_are_special(family, processor):
    """[CLS] and [SEP] are special without a name, whichever post-processor adds them."""
    chosen = unnamed(family, **({"post_processor": processor} if processor else {}))
    unknown = {"[UNK]"} if family != "byte-bpe" else set()
    assert special_tokens(chosen) == {"[CLS]", "[SEP]", "[PAD]", "[MASK]"} | unknown


@pytest.mark.clause("TOK-020")
@pytest.mark.parametrize("family", ["wordpiece", "unigram"])
def test_the_models_own_unknown_token_is_special(family):
    """The token that the model of tokenizer.json gives for unknown text needs no other name."""
    bare = unnamed(family, post_processor=None)
    assert special_tokens(bare) == {"[UNK]", "[PAD]", "[MASK]"}


@pytest.mark.clause("TOK-020")
def test_padding_that_is_switched_on_makes_no_token_special():
    """A tokenizer file that pads every text, an empty one too, keeps its ordinary tokens."""
    padding = rebuilt("wordpiece")
    padding.backend_tokenizer.enable_truncation(1)
    padding.backend_tokenizer.enable_padding(length=9, pad_id=40, pad_token="film")  # noqa: S106
    assert special_tokens(padding) == set(SPECIAL.values())


@pytest.mark.clause("TOK-010")
def test_large_documents_are_tokenized_a_few_at_a_time(monkeypatch):
    """Documents of a megabyte each do not meet in one batch, however many a batch may have."""
    monkeypatch.setattr(station, "_BATCH_BYTES", 1000)
    sizes = []
    encode = station._encode
    monkeypatch.setattr(
        station, "_encode", lambda *a: sizes.append(sum(map(len, a[1].to_pylist()))) or encode(*a)
    )
    with fresh_cache():
        tokenize(corpus_of(["film " * 80] * 10), tokenizer("wordpiece"))
    assert len(sizes) == 5
    assert max(sizes) <= 1000 + 400, "no more than the last document over the limit"


@pytest.mark.clause("TOK-010")
def test_threads_change_nothing(monkeypatch):
    """One thread of the tokenizers library gives what many give."""
    corpus = corpus_of([f"film {n}" for n in range(300)])
    many = rows_of(tokenize(corpus, tokenizer("wordpiece")))
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    with fresh_cache():
        assert rows_of(tokenize(corpus, tokenizer("wordpiece"))) == many


@pytest.mark.clause("TOK-011")
def test_what_was_tokenized_once_is_served(monkeypatch):
    """The same text and tokenizer are not tokenized again, even from another batch size."""
    corpus = corpus_of(["served", "from the cache"])
    first = tokenize(corpus, tokenizer("wordpiece"))
    monkeypatch.setattr(station, "_encode", None)
    padding = rebuilt("wordpiece")
    padding.backend_tokenizer.enable_padding(length=50)
    again = tokenize(corpus, padding, batch_size=1)
    assert again.fingerprint == first.fingerprint
    assert rows_of(again) == rows_of(first)


@pytest.mark.clause("TOK-011")
def test_whatever_shapes_the_tokens_is_in_their_fingerprint(monkeypatch):
    """Another text, vocabulary, set of special tokens or version is another entry."""
    more, named = rebuilt("wordpiece"), rebuilt("wordpiece")
    more.add_tokens(["bromwell"])
    named.add_special_tokens({"bos_token": "film"})
    split = rebuilt("wordpiece", split_special_tokens=True)
    prints = [
        tokenize(corpus_of(texts), chosen).fingerprint
        for texts, chosen in [
            (["film"], tokenizer("wordpiece")),
            (["films"], tokenizer("wordpiece")),
            (["film"], tokenizer("byte-bpe")),
            (["film"], more),
            (["film"], named),
            (["film"], split),
        ]
    ]
    for owner, name in [(station, "_STEP"), (tokenizers, "__version__")]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, "another")
            prints.append(tokenize(corpus_of(["film"]), tokenizer("wordpiece")).fingerprint)
    assert len(set(prints)) == 8


@pytest.mark.clause("TOK-012")
def test_tokens_stay_in_their_file():
    """Types are small, and what is looked up in are views of the file's own buffers."""
    tokens = tokenize(corpus_of(["a film", "films"]), tokenizer("wordpiece"), batch_size=1)
    kinds = {
        name: str(getattr(kind, "feature", kind).dtype)
        for name, kind in tokens.dataset.features.items()
    }
    small = dict.fromkeys(["input_ids", "visible", "lost"], "int32")
    assert kinds == {**small, "word_start": "uint8"}
    assert tokens.dataset.cache_files, "memory-mapped"
    column = tokens.dataset.data.column("input_ids")
    for segment, rows in zip(tokens._ids.views, column.chunks, strict=True):
        assert segment.ctypes.data == rows.values.buffers()[1].address


@pytest.mark.clause("TOK-013")
@pytest.mark.parametrize("position", [-1, 5])
def test_positions_outside_the_stream_are_errors(position):
    """Neither the token before the first nor the one after the last is there."""
    with pytest.raises(IndexError, match="range"):
        tokens_of(numbered([2, 3]), cuts=[1]).take(np.array([0, position]))


@pytest.mark.clause("TOK-013")
def test_no_look_up_visits_each_record_batch():
    """Positions that jump between record batches are looked up at once, however many there are."""
    tokens = tokens_of(numbered([4] * 100), cuts=range(1, 100))
    for column in (tokens._ids, tokens._starts):
        column.views = None
    positions = np.array([[0, 399, 4, 398], [1, 200, 1, 203]])
    ids, starts = tokens.take(positions)
    assert ids.tolist() == (positions + 10).tolist()
    assert starts.tolist() == ((positions + 10) % 3 == 0).tolist()
    assert (ids.dtype, starts.dtype) == (np.int32, np.bool_)


@pytest.mark.clause("TOK-013")
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_no_positions_give_no_tokens(shape):
    """Nothing asked for is nothing given, of the shape that was asked for."""
    for tokens in (tokens_of(numbered([3])), tokens_of([[]]), tokens_of([])):
        ids, starts = tokens.take(np.empty(shape, dtype=np.int64))
        assert (ids.shape, starts.shape) == (shape, shape)
        assert (ids.dtype, starts.dtype) == (np.int32, np.bool_)


@pytest.mark.clause("TOK-013")
@pytest.mark.parametrize("cuts", [[], [1], [2], [1, 2, 3], [0, 2, 2, 4]], ids=str)
def test_runs_are_the_positions_side_by_side(cuts):
    """Within a record batch and across several, whatever they begin with and of any width."""
    tokens = tokens_of(numbered([3, 1, 0, 5]), cuts=cuts, slack=1)
    for width in range(1, 10):
        begins = np.arange(9 - width + 1)[::-1]
        ids, starts = tokens.runs(begins, width)
        expected = tokens.take(begins[:, None] + np.arange(width))
        assert ids.tolist() == expected[0].tolist()
        assert starts.tolist() == expected[1].tolist()
        assert (ids.dtype, starts.dtype) == (np.int32, np.bool_)


@pytest.mark.clause("TOK-013")
def test_no_runs_are_as_wide_as_those_asked_for():
    """No run asked for, none given, of tokens or of none."""
    for tokens in (tokens_of(numbered([3])), tokens_of([[]])):
        ids, starts = tokens.runs(np.empty(0, dtype=np.int64), 4)
        assert (ids.shape, starts.shape) == ((0, 4), (0, 4))
        assert (ids.dtype, starts.dtype) == (np.int32, np.bool_)


@pytest.mark.clause("TOK-013")
@pytest.mark.parametrize(("begin", "width"), [(-1, 2), (4, 2), (5, 1), (0, 6)])
def test_runs_outside_the_stream_are_errors(begin, width):
    """A run that begins before the first token or goes on past the last one is not there."""
    with pytest.raises(IndexError, match="range"):
        tokens_of(numbered([2, 3]), cuts=[1]).runs(np.array([0, begin, 0]), width)


@pytest.mark.clause("TOK-013")
def test_segments_out_of_step_are_looked_up_too():
    """Ids that lie at an odd address, as no file of the cache has them, are the same ids."""
    numbers = np.arange(10, 18, dtype=np.int32)
    odd = pa.py_buffer(b"x" + numbers.tobytes()).slice(1)
    offsets = pa.py_buffer(np.array([0, 3, 8], dtype=np.int32))
    values = pa.Array.from_buffers(pa.int32(), 8, [None, odd])
    lists = pa.ListArray.from_buffers(pa.list_(pa.int32()), 2, [None, offsets], children=[values])
    even = pa.array([[20, 21], []], pa.list_(pa.int32()))
    segments = Segments(pa.chunked_array([even, lists, even]), np.int32)
    assert len(segments) == 12
    assert segments.lengths.tolist() == [2, 0, 3, 5, 2, 0]
    positions = np.arange(12)
    which = np.repeat([0, 1, 2], [2, 8, 2])
    assert segments.take(positions, which).tolist() == [20, 21, *range(10, 18), 20, 21]
    runs = segments.runs(np.array([2, 8]), 2, np.array([1, 1]))
    assert runs.tolist() == [[10, 11], [16, 17]]


@pytest.mark.clause("TOK-014")
def test_tokens_travel_by_name():
    """What is pickled of tokens is small, and gives the same tokens in another process."""
    tokens = tokenize(corpus_of([LONG * 200]), tokenizer("wordpiece"))
    small = pickle.dumps(tokens)
    assert len(small) < len(LONG * 200) / 4
    again = pickle.loads(small)  # noqa: S301 - made two lines above
    positions = np.arange(tokens.offsets[-1])
    assert again.take(positions)[0].tolist() == tokens.take(positions)[0].tolist()
    assert (again.fingerprint, again.has_words) == (tokens.fingerprint, tokens.has_words)


class _Heard:
    """A reporter that remembers."""

    def __init__(self):
        self.stages, self.done = [], 0

    def stage(self, name, total=None, unit="", done=0):
        """Remember the stage."""
        self.stages.append((name, total, unit))
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def advance(self, amount=1, **facts):
        """Remember the progress."""
        self.done += amount


@pytest.mark.clause("TOK-010")
def test_progress_is_told_by_document():
    """The stage is as long as the corpus, and at its end all of it is done."""
    heard = _Heard()
    with fresh_cache():
        corpus = corpus_of(["film"] * 25)
        tokenize(corpus, tokenizer("wordpiece"), batch_size=10, reporter=heard)
    assert heard.stages == [("tokenize", 25, "documents")]
    assert heard.done == 25
