"""Tokenizing by pieces, on cases small enough to read."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Value
from support.separable import SEPARABLE, WHOLE, parts_of, separable
from support.tokenizers import TEXT
from support.tokens import corpus_of, corpus_with, fresh_cache, rows_of
from tokenizers import Tokenizer, models, processors

from mlmref.data.tokenizer.coverage import Coverage
from mlmref.data.tokens import by_pre_token as station
from mlmref.data.tokens import cut_points as division
from mlmref.data.tokens import tokenize as tokens
from mlmref.data.tokens.by_pre_token import bounds, pre_tokens_of
from mlmref.data.tokens.tokenize import tokenize

BLANKS = [chr(code) for code in range(0x3001) if chr(code).isspace()]


def pieces(name="wordpiece"):
    """Return what tokenizes by pieces, for one of the separable tokenizers."""
    return pre_tokens_of(*parts_of(separable(name)))


def encoded(table, documents):
    """Return each document's ids and word starts."""
    offsets, ids, starts, *_ = table.encode(pa.array(documents, pa.string()))
    cuts = [slice(*pair) for pair in pairwise(offsets)]
    return [(ids[cut].tolist(), starts[cut].tolist()) for cut in cuts]


def whole(documents, name="wordpiece"):
    """Return the same, of documents tokenized whole."""
    backend, words, special = parts_of(separable(name))
    offsets, ids, starts, *_ = tokens._whole(
        backend, documents, special, words, None, Coverage(backend)
    )
    cuts = [slice(*pair) for pair in pairwise(offsets)]
    return [(ids[cut].tolist(), starts[cut].tolist()) for cut in cuts]


@pytest.fixture
def learnt(monkeypatch):
    """Hear of all pieces that are tokenized, batch by batch."""
    heard = []
    learn = station.PreTokens._learnt
    monkeypatch.setattr(
        station.PreTokens,
        "_learnt",
        lambda self, new: (heard.append(new.to_pylist()), learn(self, new))[1],
    )
    return heard


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize("name", SEPARABLE)
def test_tokenizers_that_are_taken_for_separable(name):
    """BERT's and GPT-2's, whatever they put round a document and do to a character by itself."""
    assert pieces(name)
    assert encoded(pieces(name), TEXT) == whole(TEXT, name)


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize("name", SEPARABLE)
def test_every_blank_everywhere(name):
    """Between words, before and behind special tokens, alone, by twos, and beside a space."""
    table = pieces(name)
    controls = [*map(chr, [*range(0x21), *range(0x7F, 0xA1)]), "\u00ad", "\u200b", "\u0301"]
    documents = []
    for blank in [*BLANKS, *controls]:
        documents += [
            between.join(["film", "a", "<mask>", "story", "films", "[MASK]", "n't", "isn't", "e"])
            for between in (blank, blank * 2, f" {blank}", f"{blank} ", f" {blank} ", f"x{blank} ")
        ]
        documents += [blank, f" {blank}", f"{blank} ", f"{blank}film", f"film{blank}"]
    assert encoded(table, documents) == whole(documents, name)


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize("name", SEPARABLE)
def test_special_tokens_in_a_text_may_be_split(name):
    """Where the tokenizer says so they are ordinary text, in a piece as in a document."""
    backend, words, special = parts_of(separable(name))
    backend.encode_special_tokens = True
    documents = ["a [SEP] film[MASK] ##sfilms", "Ça[CLS][CLS] ##s [PAD]"]
    offsets, ids, starts, *_ = pre_tokens_of(backend, words, special).encode(pa.array(documents))
    expected = tokens._whole(backend, documents, special, words, None, Coverage(backend))
    for mine, other in zip((offsets, ids, starts), expected[:3], strict=True):
        assert mine.tolist() == other.tolist()
    assert ids.tolist() != pieces(name).encode(pa.array(documents))[1].tolist()


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize(
    ("single", "around"),
    [
        ("[CLS] [MASK] $A [SEP] [PAD]", ([1, 4], [2, 3])),
        ("$A", ([], [])),
        ("[CLS] $A $A [SEP]", None),
        ("[CLS] [SEP]", None),
    ],
)
def test_what_is_put_round_a_document(single, around):
    """All special tokens before it and behind it, if it is there just once."""
    special = [("[CLS]", 1), ("[SEP]", 2), ("[PAD]", 3), ("[MASK]", 4)]
    backend = Tokenizer(models.BPE())
    backend.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    assert division.around(json.loads(backend.to_str())["post_processor"]) == around


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize("name", WHOLE)
def test_tokenizers_that_are_not(name):
    """Whatever is not known to see a piece alone, down to a single option or added token."""
    assert pieces(name) is None


@pytest.mark.clause("TOK-019")
def test_a_tokenizer_that_is_not_what_it_says_is_none(monkeypatch):
    """Should a release of the library come to do something else, documents are tokenized whole."""
    monkeypatch.setattr(division, "_behind_blanks", lambda text: np.ones(len(text) + 1, np.bool_))
    monkeypatch.setattr(station, "_PROBE", ("film",))
    assert pieces() is None
    monkeypatch.undo()
    monkeypatch.setattr(station, "around", lambda _: ([1], []))
    assert pieces() is None


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize(
    ("name", "divided"),
    [
        ("wordpiece", ["a ", "b\t", "\n", "don't\x0bc\r", "d\x85e\u00a0f ", "[MASK]. "]),
        ("byte-bpe", ["a", " b\t\ndon't\x0bc\rd\x85e\u00a0f", " [MASK].", " "]),
    ],
)
def test_where_a_text_is_cut(name, divided):
    """Only where the tokenizer forgets what was before: at few of Unicode's blanks."""
    flat, firsts = pieces(name)._divided(pa.array(["".join(divided), "", "a"]))
    assert flat.to_pylist() == [*divided, "a"]
    assert firsts.tolist() == [0, len(divided), len(divided), len(divided) + 1]


@pytest.mark.clause("TOK-019")
def test_words_within_a_piece_are_told_apart():
    """A piece may be several words, and a special token in it parts them as in a document."""
    chosen = separable("wordpiece")
    [(ids, starts)] = encoded(pieces(), ["films[SEP]films isn't"])
    assert list(zip(chosen.convert_ids_to_tokens(ids), starts, strict=True)) == [
        ("[CLS]", True), ("film", True), ("##s", False), ("[SEP]", True), ("film", True),
        ("##s", False), ("is", True), ("##n", False), ("'", True), ("t", True), ("[SEP]", True),
    ]  # fmt: skip


@pytest.mark.clause("TOK-019")
def test_a_piece_is_tokenized_once(learnt):
    """What a batch has in common with earlier ones, or with itself, is looked up."""
    table = pieces()
    learnt.clear()
    for documents in (["a film a film a film", "films "], ["a a film films", "films "], [" "]):
        assert encoded(table, documents) == whole(documents)
    assert learnt == [["a ", "film ", "film", "films "], ["films"], []]


@pytest.mark.clause("TOK-019")
def test_the_table_is_bounded(monkeypatch, learnt):
    """Where it has more pieces than it may it begins anew, and gives what it gave before."""
    monkeypatch.setattr(station, "_KEPT", 9)
    table = pieces()
    batches = [TEXT[:1], TEXT[1:3], ["a b", "c"], ["d e"], TEXT, ["a b", "c d e"], ["e a b "]]
    for documents in batches * 2:
        assert encoded(table, documents) == whole(documents)
        sizes = {len(table._pre_tokens), len(table._counts)}
        assert max(sizes) <= 9
        assert len(sizes) == 1
        assert len(table._tokens) == table._counts.sum()
    assert learnt[-1] == ["e ", "b "], "what fits is kept"


@pytest.mark.clause("TOK-019")
def test_long_pieces_are_not_kept(monkeypatch, learnt):
    """Base64 or Chinese without a blank does not pile up, and pieces beside it are kept."""
    monkeypatch.setattr(station, "_KEPT_BYTES", 6)
    table = pieces()
    for documents in (["film 123456", "x" * 10_000], ["电影" * 500 + " " + "电影", "1234567", "b"]):
        for _ in range(2):
            assert encoded(table, documents) == whole(documents)
    assert learnt[-4:] == [
        ["film ", "123456", "x" * 10_000],
        ["x" * 10_000],
        ["电影" * 500 + " ", "电影", "1234567", "b"],
        ["电影" * 500 + " ", "1234567"],
    ]
    assert max(len(piece.encode()) for piece in table._pre_tokens.to_pylist()) == 6
    assert len(table._tokens) == table._counts.sum()


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize("size", [1, 5, 40])
def test_pieces_are_joined_and_tokenized_a_few_at_a_time(size, monkeypatch):
    """However many go into a text and a call, they come out one by one."""
    monkeypatch.setattr(station, "_JOINED_BYTES", size)
    monkeypatch.setattr(station, "_CALL_BYTES", 3 * size)
    for name in ("wordpiece added", "byte-bpe added"):
        assert encoded(pieces(name), TEXT) == whole(TEXT, name)


@pytest.mark.clause("TOK-019")
def test_a_piece_behind_one_without_tokens_begins_a_word(monkeypatch):
    """Even where both are the first of a text, and no id is special."""
    monkeypatch.setattr(station, "_JOINED_BYTES", 1)
    backend, words, special = parts_of(separable("wordpiece bare"))
    nothing = np.zeros_like(special)
    _, ids, starts, *_ = pre_tokens_of(backend, words, nothing).encode(
        pa.array(["\x01 films \x02 films"])
    )
    assert starts.tolist() == [True, False, True, False]
    text = ["films films"]
    expected = tokens._whole(backend, text, nothing, words, None, Coverage(backend))
    assert ids.tolist() == expected[1].tolist()


@pytest.mark.clause("TOK-019")
@pytest.mark.parametrize("name", ["wordpiece", "byte-bpe", "wordpiece bare", "byte-bpe bare"])
@pytest.mark.parametrize(
    "documents", [[], [""], ["", "", "a"], [" "], ["\n", "\u00a0\r\n \t", ""], ["a", "", " ", "a"]]
)
def test_documents_of_nothing(documents, name):
    """Empty documents and documents of blanks have what is put round them, if anything."""
    assert encoded(pieces(name), documents) == whole(documents, name)


@pytest.mark.clause("TOK-019")
def test_a_text_with_the_separator_is_tokenized_whole(learnt):
    """What parts pieces may be in a text: then that batch goes the other way, and no other."""
    table = pieces()
    for document in (station._BETWEEN, f"a film{station._BETWEEN}film", f"film {station._BETWEEN}"):
        before = table._pre_tokens
        assert table.encode(pa.array(["film", document])) is None
        assert table._pre_tokens is before
    for part in ("\ue000", "\ue000\ue001", "\ue001\ue002", "\ue002"):
        documents = [part, f"film{part}", f"{part}film", f"{part} {part} film\ue000\ue000 \ue002"]
        assert encoded(table, documents) == whole(documents)
    documents = ["a film", f"films{station._BETWEEN}film", "film", "a film"]
    with fresh_cache():
        rows = rows_of(tokenize(corpus_of(documents), separable("wordpiece"), batch_size=1))
    assert rows == whole(documents)
    assert learnt[-4:] == [["a ", "film"], [f"films{station._BETWEEN}film"], [], []]


@pytest.mark.clause("TOK-019")
def test_large_strings_are_documents_too():
    """A corpus of the caller's own may have Arrow's other type of strings."""
    documents = ["a film", "film", "films"]
    features = Features({"text": Value("large_string")})
    dataset = Dataset.from_dict({"text": documents}, features=features)
    assert rows_of(tokenize(corpus_with(dataset, "large"), separable("wordpiece"))) == whole(
        documents
    )


@pytest.mark.clause("TOK-011")
@pytest.mark.clause("TOK-019")
def test_what_is_served_needs_no_pieces(monkeypatch):
    """Tokens from the cache are not made ready for again."""
    corpus = corpus_of(["no pieces needed"])
    first = tokenize(corpus, separable("wordpiece"))
    monkeypatch.setattr(tokens, "pre_tokens_of", None)
    assert rows_of(tokenize(corpus, separable("wordpiece"))) == rows_of(first)


@pytest.mark.clause("TOK-019")
def test_bounds_divide_by_size():
    """Parts of about so much, in which what is larger does not meet the like of it."""
    assert bounds(np.array([], np.int32), 10).tolist() == [0]
    assert bounds(np.array([3]), 10).tolist() == [0, 1]
    assert bounds(np.array([4, 4, 4, 4, 30, 0, 1, 9]), 10).tolist() == [0, 2, 4, 7, 8]
    assert bounds(np.array([2**31 - 1] * 3, np.int32), 2**31).tolist() == [0, 1, 2, 3]
