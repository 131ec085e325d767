"""Backgrounds: the usual count of each token; read, write and make their files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlmref.plugin import ConfigError, Int32Array, Int64Array, Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PER_BILLION = 10**9
"""The factor from the frequencies of a word list to counts."""

LISTED = 100_000
"""Default number of words of a list."""


class File(BaseModel):
    """The content of a background file.

    Attributes:
        format: the version of this format.
        model: the model whose tokenizer has these ids.
        source: the text or word list that was counted.
        special_ids: the tokenizer's special ids, to detect another tokenizer.
        counts: the count of each id; -1 if the source does not have it.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    format: int = Field(default=1, ge=1, le=1)
    model: str
    source: str
    special_ids: list[int]
    counts: list[int]


@dataclass(frozen=True, slots=True)
class Background:
    """The count of each token in a background.

    Attributes:
        name: the file, for messages.
        counts: int64 ``[size]``, -1 for ids without a count.
        special_ids: int32 ``[S]``, ascending.
    """

    name: str
    counts: Int64Array
    special_ids: Int32Array

    def check(self, vocabulary: Vocabulary) -> None:
        """Raise ValueError if the vocabulary has another size or other special tokens."""
        if len(self.counts) != vocabulary.size:
            raise ValueError(
                f"the background {self.name} has {len(self.counts):,} token ids and the model "
                f"has {vocabulary.size:,}; make it with the same --model"
            )
        if not np.array_equal(self.special_ids, vocabulary.special_ids):
            raise ValueError(
                f"the background {self.name} has other special tokens than the model; make it "
                "with the same --model"
            )


def read_background(name: str) -> Background:
    """Read a background file.

    Raises:
        ValueError: it cannot be read or is invalid.
    """
    try:
        file = File.model_validate_json(Path(name).expanduser().read_bytes())
    except OSError as error:
        raise ValueError(f"the background {name} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(
            f"{name} is not a background file ({place}: {first['msg']}); "
            "make one with python -m mlmref_salient background"
        ) from None
    return Background(
        name=name,
        counts=np.array(file.counts, dtype=np.int64),
        special_ids=np.array(file.special_ids, dtype=np.int32),
    )


def write_background(
    place: Path, *, model: str, source: str, vocabulary: Vocabulary, counts: Int64Array
) -> None:
    """Write a background file."""
    file = File(
        model=model,
        source=source,
        special_ids=vocabulary.special_ids.tolist(),
        counts=counts.tolist(),
    )
    place.write_text(json.dumps(file.model_dump()) + "\n", "utf-8")


def count_words(
    words: Iterable[tuple[str, float]], tokenizer: PreTrainedTokenizerBase, vocabulary: Vocabulary
) -> Int64Array:
    """Count the tokens of a list of words with their frequencies.

    Args:
        words: the words, each with its share of a text.
        tokenizer: cuts each word, after a space, into tokens.
        vocabulary: the vocabulary of the tokenizer.

    Returns:
        int64 ``[size]``, occurrences in 10**9 words; -1 for tokens that are in no word or have no
        letter or digit. Word lists contain punctuation only within words such as "u.s.".
    """
    texts, shares = zip(*words, strict=True)
    encoded = tokenizer([f" {text}" for text in texts], add_special_tokens=False)["input_ids"]
    ids = np.concatenate([np.asarray(one, dtype=np.int64) for one in encoded])
    weights = np.repeat(shares, [len(one) for one in encoded])
    sums = np.bincount(ids, weights=weights, minlength=vocabulary.size)
    counts: Int64Array = np.rint(sums * PER_BILLION).astype(np.int64)
    told = np.bincount(ids, minlength=vocabulary.size) > 0
    told[vocabulary.special_ids] = False
    for one in np.flatnonzero(told).tolist():
        told[one] = any(map(str.isalnum, tokenizer.decode([one])))
    return np.where(told, counts, -1)


def listed_words(language: str, limit: int | None) -> Iterator[tuple[str, float]]:
    """Yield the words of a language in wordfreq with their shares, most frequent first.

    Raises:
        ConfigError: wordfreq is not installed, or does not know the language.
    """
    try:
        import wordfreq
    except ImportError:
        raise ConfigError(
            "--language needs wordfreq", hint="pip install 'mlmref-salient[wordfreq]'"
        ) from None
    try:
        words = wordfreq.top_n_list(language, limit or LISTED)
    except LookupError:
        known = ", ".join(sorted(wordfreq.available_languages()))
        raise ConfigError(
            f"wordfreq has no language {language!r}", where="--language", hint=f"there are {known}"
        ) from None
    for word in words:
        yield word, wordfreq.word_frequency(word, language)
