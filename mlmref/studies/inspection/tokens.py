"""Findings about how well the tokenizer fits the text (INSP-012 to INSP-014)."""

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
from mlmref.studies.inspection.findings import Finding, graded, of, share
from mlmref.studies.inspection.reading import texts_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.tokens.tokens import Tokens
    from mlmref.studies.inspection.inspected import Inspected

UNKNOWN, UNKNOWN_MOST = 0.001, 0.10
"""Share of tokens that are the unknown token, and of characters in no token. A model reads nothing
in them, and learns to predict the unknown token. One in a thousand is stray signs; with one in ten
the text is in another script than the tokenizer's."""

PIECES = 2.0
"""Tokens a word, the tokenizer's *fertility*. With more than two, most of what is masked is given
away by the rest of its word: the tokenizer was made for another language or field."""

BETWEEN_BLANKS = 15
"""Characters from blank to blank, above which text has none: German has seven, Finnish nine."""

_UNSPACED = "the text has no blanks: give a --segmenter, which finds its words (see mlmref plugins)"
_LONGEST = 40  # characters of an unknown word that is shown

_READ, _CALL = 1_000, 100  # documents with unknown tokens that are read again, and at a time
_SHOWN = 10  # unknown words


def findings(it: Inspected) -> Iterator[Finding]:
    """Look at the tokens."""
    seen = it.counted
    total = int(seen.ids.sum())
    yield Finding(
        section="tokens",
        key="number",
        what="tokens",
        figure=f"{total:,}",
        values={"tokens": total},
    )
    yield _unknown(it, seen, total)
    yield _lost(it)
    yield _special(it, seen)
    if it.tokens.has_words:
        going_on = seen.ordinary - seen.words
        yield Finding(
            section="tokens",
            key="per_word",
            what="tokens a word",
            figure=f"{share(seen.ordinary, seen.words):.2f}",
            values={
                "words": seen.words,
                "tokens_a_word": share(seen.ordinary, seen.words),
            },
            **graded(
                share(seen.ordinary, seen.words),
                warning=PIECES,
                hint=_UNSPACED
                if unspaced(it)
                else "choose a --model whose tokenizer was made for this language or field",
            ),
        )
        yield Finding(
            section="tokens",
            key="going_on",
            what="tokens that go on a word",
            figure=of(going_on, seen.ordinary),
            values={"tokens": going_on, "share": share(going_on, seen.ordinary)},
        )
    else:
        yield Finding(
            section="tokens",
            key="per_word",
            what="tokens a word",
            figure="not told: the tokenizer knows no words",
            mark="warning",
            hint="give a --segmenter that does, for --masking whole-word",
        )
    known = it.tokens.vocabulary.ordinary_ids
    used = int((seen.ids[known] > 0).sum())
    yield Finding(
        section="tokens",
        key="vocabulary",
        what="of the vocabulary are there",
        figure=of(used, len(known)),
        values={"tokens": used, "share": share(used, len(known))},
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


def _unknown(it: Inspected, seen: Counted, total: int) -> Finding:
    """Tell how many tokens are unknown, and what they are of."""
    unknown = unknown_id(it.tokenizer)
    number = seen.unknown_skipped + (0 if unknown is None else int(seen.ids[unknown]))
    total += seen.unknown_skipped
    words = _unknown_words(it, seen.unknown[:_READ])
    some = ", ".join(f"{word!r} ({times:,})" for word, times in words)
    return Finding(
        section="tokens",
        key="unknown",
        what="unknown ones",
        figure=of(number, total) + (f": {some}" if some else ""),
        values={
            "tokens": number,
            "share": share(number, total),
            "documents": len(seen.unknown),
            "documents_read": min(len(seen.unknown), _READ),
            "most_frequent": [{"text": word, "times": times} for word, times in words],
        },
        **graded(
            share(number, total),
            warning=UNKNOWN,
            problem=UNKNOWN_MOST,
            hint="the text has no blanks, and its tokenizer knows no word as long: put blanks "
            "between words, or choose a --model for such text"
            if unspaced(it)
            else "choose a --model whose tokenizer knows them, or clean the text of them",
        ),
    )


def _lost(it: Inspected) -> Finding:
    """Tell how many characters are in no token, and which."""
    visible, lost = it.tokens.characters("visible"), it.tokens.characters("lost")
    documents = np.flatnonzero(lost)
    number, total = int(lost.sum()), int(visible.sum())
    signs = _lost_signs(it, documents[:_READ])
    some = ", ".join(f"{sign!r} ({times:,})" for sign, times in signs)
    return Finding(
        section="tokens",
        key="lost",
        what="characters that no token has",
        figure=of(number, total) + (f": {some}" if some else ""),
        values={
            "characters": number,
            "share": share(number, total),
            "documents": len(documents),
            "documents_read": min(len(documents), _READ),
            "most_frequent": [{"text": sign, "times": times} for sign, times in signs],
        },
        **graded(
            share(number, total),
            warning=UNKNOWN,
            problem=UNKNOWN_MOST,
            hint="choose a --model whose tokenizer has them, or write them another way",
        ),
    )


def _lost_signs(it: Inspected, documents: Int64Array) -> list[tuple[str, int]]:
    """Return the characters that some documents lose, the most frequent first."""
    backend, counted = backend_of(it.tokenizer), Counter[str]()
    coverage = Coverage(backend)
    for first in range(0, len(documents), _CALL):
        texts = texts_of(it.corpus, documents[first : first + _CALL])
        _, lost = coverage.lost(texts, backend.encode_batch(texts))
        whole = "".join(texts)
        counted.update(whole[place] for place in np.flatnonzero(lost))
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN]


def _unknown_words(it: Inspected, documents: Int64Array) -> list[tuple[str, int]]:
    """Return the texts that the unknown tokens of some documents stand for, the most frequent."""
    backend, unknown = backend_of(it.tokenizer), unknown_id(it.tokenizer)
    counted: Counter[str] = Counter()
    for first in range(0, len(documents), _CALL):
        texts = texts_of(it.corpus, documents[first : first + _CALL])
        for text, encoding in zip(texts, backend.encode_batch(texts), strict=True):
            spans = encoding.offsets
            for place in np.flatnonzero(np.array(encoding.ids) == unknown):
                begin, end = spans[place]
                counted[_short(text[begin:end])] += 1
    return sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN]


def _short(word: str) -> str:
    """Cut a word that is a whole text without blanks."""
    return word if len(word) <= _LONGEST else f"{word[:_LONGEST]}..."


def unspaced(it: Inspected) -> bool:
    """Whether the text has no blanks between words, as Chinese or DNA (INSP-025)."""
    blanks = it.seen.blanks.sum()
    # The latter for short lines of Chinese, of which each character counts as a word.
    return bool(
        it.seen.characters.sum() > BETWEEN_BLANKS * blanks or it.seen.words.sum() > 2 * blanks
    )


def _special(it: Inspected, seen: Counted) -> Finding:
    """Tell of special tokens that the text has, beside those that are put round each document."""
    tokenizer, vocabulary = it.tokenizer, it.tokens.vocabulary
    around = backend_of(tokenizer).encode("").ids
    kept = len(it.corpus) - len(it.tokens.skipped)
    inside = seen.ids - kept * np.bincount(around, minlength=vocabulary.size)
    unknown = unknown_id(tokenizer)
    ids = [int(one) for one in vocabulary.special_ids if one != unknown]
    found = {tokenizer.convert_ids_to_tokens(one): int(inside[one]) for one in ids if inside[one]}
    number = sum(found.values())
    some = ", ".join(f"{token} ({times:,})" for token, times in found.items())
    return Finding(
        section="tokens",
        key="special",
        what="special ones in the text itself",
        figure=f"{number:,}" + (f": {some}" if some else ""),
        values={"tokens": number, "each": found},
        **graded(
            number,
            warning=0,  # one that says [SEP] or [MASK] is no text to the model
            hint="write them another way in the text: they are never predicted, and part words",
        ),
    )
