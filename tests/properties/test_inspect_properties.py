"""Copies and near-copies, against comparing each document with each (spec/inspect.md)."""

import unicodedata
from fractions import Fraction
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st
from strategies.text import chunk_rules, segmented, split_rules
from support.oracles import documents_in, leaking_share
from support.tokens import corpus_of, numbered, tokens_of

from mlmref.base.errors import ConfigError
from mlmref.base.progress import SILENT
from mlmref.data.chunks import cut
from mlmref.data.split import Split, split
from mlmref.settings.config import ChunkConfig, SplitConfig
from mlmref.studies.inspection import counts as counting
from mlmref.studies.inspection import reading, similar
from mlmref.studies.inspection.chunks import cut_words
from mlmref.studies.inspection.duplicates import leaks
from mlmref.studies.inspection.reading import Seen, read
from mlmref.studies.inspection.similar import candidates, signatures, similarities, spaced
from mlmref.studies.inspection.split import shared

WORDS = st.sampled_from(
    ["a", "A", "the", "Straße", "STRASSE", "é", "e\u0301", "film", "电影", "ไทย"]
)
BLANKS = st.sampled_from([" ", "  ", "\n", "\t", "\u3000", "\u00a0"])
EVERYDAY = [f"w{n}" for n in range(30)]


@st.composite
def corpora(draw):
    """Draw documents, and copies of them that are the same, nearly, somewhat or hardly."""
    texts = draw(st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=4))
    for _ in range(draw(st.integers(0, 2))):
        words = draw(st.lists(st.sampled_from(EVERYDAY), min_size=1, max_size=40))
        words *= draw(st.sampled_from([1, 1, 1, 3]))  # a refrain has the same shingles again
        for _ in range(draw(st.integers(1, 3))):
            changed = list(words)
            for _ in range(draw(st.integers(0, 3))):
                place = draw(st.integers(0, len(changed)))
                changed[place : place + draw(st.integers(0, 1))] = draw(st.lists(WORDS, max_size=2))
            texts.append(draw(BLANKS).join(changed))
    return draw(st.permutations(texts))


def plain_words(text):
    """Return what is compared of a text, character by character."""
    words = [""]
    for char in unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()):
        if char.isspace():
            words.append("")
        elif unicodedata.name(char, "").split()[0] in {"CJK", "THAI", "HIRAGANA", "KHMER"}:
            words += [char, ""]
        else:
            words[-1] += char
    return [word for word in words if word]


def plain_key(text):
    """Return what two copies have in common."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return tuple(folded.split())


def shingles(text):
    """Return the set of a text's five-word shingles; of a shorter one, itself."""
    words = plain_words(text)
    return {tuple(words[n : n + 5]) for n in range(max(1, len(words) - 4))}


def jaccard(one, other):
    """Return the similarity of two texts as an exact fraction."""
    a, b = shingles(one), shingles(other)
    return Fraction(len(a & b), len(a | b))


def plain_pairs(texts):
    """Compare each with each: the first copies, and the pairs of first copies that are alike."""
    keys = [plain_key(text) for text in texts]
    copies = [keys.index(key) for key in keys]
    first = sorted(set(copies))
    found = {
        (one, other): jaccard(texts[one], texts[other])
        for one, other in combinations(first, 2)
        if jaccard(texts[one], texts[other]) >= Fraction(4, 5)
    }
    return copies, found


@pytest.mark.clause("INSP-006")
@pytest.mark.clause("INSP-007")
@pytest.mark.clause("INSP-008")
@pytest.mark.clause("INSP-021")
@given(corpora())
@example([])
@example(["", " ", "\n"])
@example(["one", "One", "two", "", "Straße", "STRASSE"])
@example(["a b c d e f g h i " * 3, "a b c d e f g h i " * 3 + "j"])
@example(["这部电影非常好看", "这 部 电影非常好看", "这部电影非常好", "cafe\u0301", "CAFÉ"])
def test_pairs_are_those_of_comparing_each_with_each(texts):
    """The same first copies, the same pairs that are alike, and the exact similarity of each."""
    seen = read(corpus_of(texts), SILENT)
    copies, pairs = plain_pairs(texts)
    event(f"copies: {len(set(copies)) < len(copies)}, alike: {bool(pairs)}")
    assert seen.copies.tolist() == copies
    found = zip(map(tuple, seen.pairs.tolist()), seen.similarity.tolist(), strict=True)
    assert dict(found) == {pair: float(value) for pair, value in pairs.items()}
    assert seen.words.tolist() == [len(plain_words(text)) for text in texts]
    assert seen.characters.tolist() == [len(text) for text in texts]


@pytest.mark.clause("INSP-007")
@given(corpora())
def test_similarity_is_exact_for_any_pair(texts):
    """Of alike and unlike documents: the share of shingles in common."""
    pairs = np.array([*combinations(range(len(texts)), 2)], dtype=np.int64).reshape(-1, 2)
    if not len(pairs):
        return
    apart = [spaced(" ".join(plain_key(text))) for text in texts]
    expected = [float(jaccard(texts[one], texts[other])) for one, other in pairs]
    assert similarities(apart, pairs).tolist() == expected


@pytest.mark.clause("INSP-009")
@given(corpora(), st.integers(1, 3), st.sampled_from([1, 100]))
def test_batches_change_nothing(texts, batch, compared):
    """Read a document at a time and compared a pair at a time, or all together."""
    whole = read(corpus_of(texts), SILENT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BATCH", batch)
        patch.setattr(similar, "_COMPARED", compared)
        parts = read(corpus_of(texts), SILENT)
    for name in Seen.__slots__:
        assert getattr(parts, name).tolist() == getattr(whole, name).tolist(), name


@pytest.mark.clause("INSP-010")
@given(st.lists(st.integers(0, 2), max_size=12), st.integers(1, 4))
def test_a_document_is_compared_with_its_next_neighbours(buckets, most):
    """In each band, with the few that follow it in its bucket; a pair once."""
    bands = np.repeat(np.array(buckets, np.uint64)[:, None], similar.BANDS, axis=1)
    bands[:, 1:] = np.arange(bands[:, 1:].size).reshape(bands[:, 1:].shape) + 10  # alone
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similar, "NEIGHBOURS", most)
        pairs = candidates(bands)
    members = [[n for n, one in enumerate(buckets) if one == bucket] for bucket in range(3)]
    expected = [
        [one, other]
        for same in members
        for n, one in enumerate(same)
        for other in same[n + 1 :][:most]
    ]
    assert pairs.tolist() == sorted(expected)


@pytest.mark.clause("INSP-008")
def test_a_pair_at_the_bound_is_found():
    """Of 2,000 pairs with a similarity of 0.8 or little more each one, all texts different."""
    texts = []
    for number in range(2_000):
        words = [f"{number}-{place}" for place in range(12 + number % 30)]
        texts += [" ".join(words), " ".join([*words, *map(str, range((len(words) - 4) // 4))])]
    similarity = similarities(texts, np.arange(4_000).reshape(-1, 2))
    assert similarity.min() >= 0.8
    assert (similarity == 0.8).sum() > 300
    found = candidates(signatures(texts)).tolist()
    assert [pair for pair in found if pair[0] % 2 == 0 and pair[1] == pair[0] + 1] == [
        [n, n + 1] for n in range(0, 4_000, 2)
    ]


@pytest.mark.clause("INSP-008")
@pytest.mark.parametrize("common", [0.2, 0.5, 0.8])
def test_signatures_estimate_the_similarity(common):
    """The share of pairs that agree on a band is what the similarity makes it."""
    texts, runs = [], 100
    same = round(2 * runs * common / (1 + common))  # of the shingles of either
    for number in range(3_000):
        words = [f"{number}-{place}" for place in range(runs + 4)]
        texts += [
            " ".join(words),
            " ".join([*words[: same + 4], *(f"x{w}" for w in words[same + 4 :])]),
        ]
    bands = signatures(texts)
    agreed = (bands[::2] == bands[1::2]).mean()
    exact = similarities(texts, np.arange(200).reshape(-1, 2)).mean()
    assert exact == pytest.approx(common, abs=0.01)
    assert agreed == pytest.approx(exact**similar.ROWS, abs=0.01)


@pytest.mark.clause("INSP-010")
def test_the_order_of_words_is_in_a_signature():
    """A text backwards has its words and none of its shingles, and is no candidate."""
    words = [f"w{number}" for number in range(60)]
    assert len(candidates(signatures([" ".join(words), " ".join(words[::-1])]))) == 0


@pytest.mark.clause("INSP-011")
@pytest.mark.clause("INSP-017")
@given(corpora(), chunk_rules, split_rules(), st.data())
def test_what_leaks_is_what_sets_of_documents_tell(texts, rule, sides, data):
    """Chunk by chunk: a document on both sides, a copy of another, nearly a copy of another."""
    texts = [*texts, *texts[:3], *[f"{n}" for n in range(4)]]
    lengths = [data.draw(st.integers(1, 2 * rule.size), label="tokens") for _ in texts]
    try:
        parts = split(cut(tokens_of(numbered(lengths)), rule, np.arange(len(texts))), sides)
    except ConfigError:
        event("refused")
        return
    copies, pairs = plain_pairs(texts)
    both = {frozenset(pair) for pair in pairs}
    trained = set().union(*documents_in(parts.train))
    exact = near = 0
    for held in documents_in(parts.test):
        if any(copies[one] == copies[d] and one != d for one in trained for d in held):
            exact += 1
        elif any(frozenset((copies[one], copies[d])) in both for one in trained for d in held):
            near += 1
    event(f"exact: {exact > 0}, near: {near > 0}")
    assert leaks(parts, read(corpus_of(texts), SILENT)) == (exact, near)
    assert shared(parts) / len(parts.test) == leaking_share(parts)


@pytest.mark.clause("INSP-011")
def test_a_document_on_both_sides_is_no_copy_of_itself():
    """Copies are of other documents; of a document's own other chunks shared_document tells."""
    chunks = cut(tokens_of(numbered([8, 8])), ChunkConfig(size=4), np.arange(2))
    parts = split(chunks, SplitConfig(test_size=1))
    assert shared(parts) == 1
    assert leaks(parts, read(corpus_of(["one text", "another"]), SILENT)) == (0, 0)
    assert leaks(parts, read(corpus_of(["one text", "One  text"]), SILENT)) == (1, 0)


@pytest.mark.clause("INSP-011")
@pytest.mark.parametrize("held", [0, 1])
def test_a_copy_leaks_from_either_side(held):
    """Whichever of the two is held out, the earlier or the later."""
    chunks = cut(tokens_of(numbered([4, 4])), ChunkConfig(size=4), np.arange(2))
    sides = (chunks.select(np.array([one])) for one in (1 - held, held))
    parts = Split(**dict(zip(("train", "test"), sides, strict=True)))
    assert leaks(parts, read(corpus_of(["same text", "Same  TEXT"]), SILENT)) == (1, 0)
    words = [f"w{n}" for n in range(30)]
    nearly = [" ".join(words), " ".join(words[:-1])]
    assert leaks(parts, read(corpus_of(nearly), SILENT)) == (0, 1)
    chunks = cut(tokens_of(numbered([4, 4, 4])), ChunkConfig(size=4), np.arange(3))
    parts = Split(train=chunks.select(np.array([0, 2])), test=chunks.select(np.array([1])))
    both = read(corpus_of([*nearly, nearly[1]]), SILENT)
    assert leaks(parts, both) == (1, 0), "a chunk that is repeated is not nearly repeated as well"


@pytest.mark.clause("INSP-012")
@pytest.mark.clause("INSP-014")
@pytest.mark.clause("INSP-016")
@given(segmented(), chunk_rules, st.integers(1, 7), st.sampled_from([None, 1, 7]), st.data())
def test_tokens_and_cut_words_are_counted_as_one_by_one(layout, rule, block, unknown, data):
    """Ids, words, documents with the unknown token, and word parts behind a chunk's end."""
    lengths, segments = layout
    lengths = [min(length, 40) for length in lengths]
    ids = st.integers(0, 9)
    documents = [data.draw(st.lists(ids, min_size=n, max_size=n)) for n in lengths]
    starts = [[data.draw(st.booleans()) for _ in document] for document in documents]
    tokens = tokens_of(documents, starts, **segments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "_BLOCK", block)
        found = counting.count(tokens, unknown)

    flat = [*chain.from_iterable(documents)]
    begins = [*chain.from_iterable(starts)]
    ordinary = [token >= 5 or token == unknown for token in flat]  # 0 to 4 are special here
    assert found.ids.tolist() == [flat.count(id_) for id_ in range(10)]
    assert found.ordinary == sum(ordinary)
    assert found.words == sum(one and begin for one, begin in zip(ordinary, begins, strict=True))
    has = [n for n, document in enumerate(documents) if unknown in document]
    assert found.unknown.tolist() == has

    chunks = cut(tokens, rule, np.arange(len(lengths)))
    ends = (chunks.starts + chunks.lengths).tolist()
    followed = [not begins[end] for end in ends if end < len(flat)]
    assert cut_words(chunks) == (sum(followed), len(followed))
