"""Findings about the fit of tokenizer and text (INSP-012 to INSP-014, INSP-025, INSP-026)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlmref.data.tokenizer.coverage import Coverage
from mlmref.data.tokenizer.encoding import backend_of
from mlmref.data.tokenizer.vocabulary import unknown_id
from mlmref.plugin.arrays import Int64Array
from mlmref.studies.inspection.counts import Counted
from mlmref.studies.inspection.findings import Finding, counted, frequent, graded, share
from mlmref.studies.inspection.reading import texts_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.tokens.tokens import Tokens
    from mlmref.studies.inspection.findings import Inspected

UNKNOWN, UNKNOWN_MOST = 0.001, 0.10
"""Bounds of the share of unknown tokens, and of characters in no token. The model reads nothing in
them, and learns to predict the unknown token. One in a thousand is a stray symbol; with one in ten
the text is in another script than the tokenizer's."""

PIECES = 2.0
"""Bound of the tokens per word, the tokenizer's *fertility*. With more, the rest of the word gives
most targets away: the tokenizer was made for another language or domain."""

BETWEEN_BLANKS = 15
"""Characters between blanks above which text counts as having none. German has 7, Finnish 9."""

_UNSPACED = "the text has no spaces: pass a --segmenter, which finds its words (see mlmref plugins)"
_LONGEST = 40  # characters of an unknown word that are shown

_READ, _CALL = 1_000, 100  # documents with unknown tokens that are read again, and at a time
_SHOWN = 10  # unknown words


def findings(it: Inspected) -> Iterator[Finding]:
    """Yield the findings about tokens."""
    seen, section = it.counted, "tokens"
    total = int(seen.ids.sum())
    yield Finding(
        section=section, key="number", what="tokens", figure=f"{total:,}", values={"tokens": total}
    )
    yield _unknown(it, total)
    yield _lost(it)
    yield _special(it)
    if it.tokens.has_words:
        fertility = share(seen.ordinary, seen.words)
        yield Finding(
            section=section,
            key="per_word",
            what="tokens per word",
            figure=f"{fertility:.2f}",
            values={"words": seen.words, "tokens_a_word": fertility},
            **graded(
                fertility,
                warning=PIECES,
                hint=_UNSPACED
                if unspaced(it)
                else "choose a --model whose tokenizer was made for this language or domain",
            ),
        )
        going_on = seen.ordinary - seen.words
        yield counted(
            section, "going_on", "tokens that continue a word", going_on, seen.ordinary,
            unit="tokens",
        )  # fmt: skip
    else:
        yield Finding(
            section=section,
            key="per_word",
            what="tokens per word",
            figure="unknown: the tokenizer has no word boundaries",
            mark="warning",
            hint="pass a --segmenter, which finds words, for --masking whole-word",
        )
    known = it.tokens.vocabulary.ordinary_ids
    used = int((seen.ids[known] > 0).sum())
    yield counted(
        section, "vocabulary", "vocabulary entries in the text", used, len(known), unit="tokens"
    )


def with_skipped(
    counted: Counted, tokens: Tokens, corpus: Corpus, tokenizer: PreTrainedTokenizerBase
) -> Counted:
    """Add the unknown tokens of skipped documents, which are encoded again."""
    unknown, documents = unknown_id(tokenizer), tokens.skipped
    if unknown is None or not len(documents):
        return counted
    backend, numbers = backend_of(tokenizer), np.zeros(len(documents), np.int64)
    for first in range(0, len(documents), _CALL):
        texts = texts_of(corpus, documents[first : first + _CALL])
        for place, one in enumerate(backend.encode_batch(texts), first):
            numbers[place] = one.ids.count(unknown)
    return replace(
        counted,
        unknown=np.union1d(counted.unknown, documents[numbers > 0]),
        unknown_skipped=int(numbers.sum()),
    )


def _unknown(it: Inspected, total: int) -> Finding:
    seen, unknown = it.counted, unknown_id(it.tokenizer)
    number = seen.unknown_skipped + (0 if unknown is None else int(seen.ids[unknown]))
    shown, listed = frequent(_unknown_words(it, seen.unknown[:_READ]))
    return counted(
        "tokens",
        "unknown",
        "unknown tokens",
        number,
        total + seen.unknown_skipped,
        unit="tokens",
        warning=UNKNOWN,
        problem=UNKNOWN_MOST,
        hint="the text has no spaces, and the tokenizer knows no words of this length: put spaces "
        "between words, or choose a --model for such text"
        if unspaced(it)
        else "choose a --model whose tokenizer knows them, or remove them from the text",
        such_as=shown,
        documents=len(seen.unknown),
        documents_read=min(len(seen.unknown), _READ),
        most_frequent=listed,
    )


def _lost(it: Inspected) -> Finding:
    lost = it.tokens.characters("lost")
    documents = np.flatnonzero(lost)
    shown, listed = frequent(_lost_characters(it, documents[:_READ]))
    return counted(
        "tokens",
        "lost",
        "characters in no token",
        int(lost.sum()),
        int(it.tokens.characters("visible").sum()),
        unit="characters",
        warning=UNKNOWN,
        problem=UNKNOWN_MOST,
        hint="choose a --model whose tokenizer has them, or write them differently",
        such_as=shown,
        documents=len(documents),
        documents_read=min(len(documents), _READ),
        most_frequent=listed,
    )


def _lost_characters(it: Inspected, documents: Int64Array) -> list[tuple[str, int]]:
    """Return the characters of some documents that are in no token, most frequent first."""
    backend, found = backend_of(it.tokenizer), Counter[str]()
    coverage = Coverage(backend)
    for first in range(0, len(documents), _CALL):
        texts = texts_of(it.corpus, documents[first : first + _CALL])
        _, lost = coverage.lost(texts, backend.encode_batch(texts))
        whole = "".join(texts)
        found.update(whole[place] for place in np.flatnonzero(lost))
    return _most_frequent(found)


def _unknown_words(it: Inspected, documents: Int64Array) -> list[tuple[str, int]]:
    """Return the texts that the unknown tokens of some documents replace, most frequent first."""
    backend, unknown = backend_of(it.tokenizer), unknown_id(it.tokenizer)
    found = Counter[str]()
    for first in range(0, len(documents), _CALL):
        texts = texts_of(it.corpus, documents[first : first + _CALL])
        for text, encoding in zip(texts, backend.encode_batch(texts), strict=True):
            spans = encoding.offsets
            for place in np.flatnonzero(np.array(encoding.ids) == unknown):
                word = text[slice(*spans[place])]
                found[word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..."] += 1
    return _most_frequent(found)


def _most_frequent(found: Counter[str]) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN]


def unspaced(it: Inspected) -> bool:
    """Whether the text has no blanks between words, like Chinese or DNA (INSP-025)."""
    blanks = it.seen.blanks.sum()
    # The second condition finds short lines of Chinese, where each character counts as a word.
    return bool(
        it.seen.characters.sum() > BETWEEN_BLANKS * blanks or it.seen.words.sum() > 2 * blanks
    )


def _special(it: Inspected) -> Finding:
    """Report special tokens in the text, without those that are added to each document."""
    tokenizer, vocabulary = it.tokenizer, it.tokens.vocabulary
    around = backend_of(tokenizer).encode("").ids
    kept = len(it.corpus) - len(it.tokens.skipped)
    inside = it.counted.ids - kept * np.bincount(around, minlength=vocabulary.size)
    unknown = unknown_id(tokenizer)
    ids = [int(one) for one in vocabulary.special_ids if one != unknown]
    found = {tokenizer.convert_ids_to_tokens(one): int(inside[one]) for one in ids if inside[one]}
    number = sum(found.values())
    shown = ", ".join(f"{token} ({times:,})" for token, times in found.items())
    return Finding(
        section="tokens",
        key="special",
        what="special tokens in the text itself",
        figure=f"{number:,}" + (f": {shown}" if shown else ""),
        values={"tokens": number, "each": found},
        **graded(
            number,
            warning=0,  # the model does not read "[SEP]" or "[MASK]" in a text as text
            hint="write them differently in the text: they are never predicted, and end words",
        ),
    )
