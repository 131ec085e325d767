"""The word segmenter ``jieba`` for mlmref: Chinese words, for whole-word masking.

BERT's tokenizers treat each Chinese character as a word. Cui, Che, Liu, Qin and Yang, "Pre-Training
with Whole Word Masking for Chinese BERT" (IEEE/ACM TASLP 29, 2021; arXiv 1906.08101), use a word
segmenter and mask the characters of a word together.
"""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

from pydantic import FilePath

from mlmref.plugin import Options, SegmenterEntry, hookimpl


class JiebaOptions(Options):
    """Options of ``jieba``.

    Attributes:
        hmm: find words that are not in the dictionary, with jieba's hidden Markov model.
        dictionary: a file in jieba's format (``word frequency tag``) that replaces jieba's own.
        user_dictionary: a file of additional words, one per line; frequency and tag are optional.
    """

    hmm: bool = True
    dictionary: FilePath | None = None
    user_dictionary: FilePath | None = None


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A dictionary file, as it was when the segmenter was built.

    Attributes:
        path: its path; ``None`` for jieba's own.
        digest: the SHA-256 of its content, in hexadecimal; empty for jieba's own.
    """

    path: Path | None
    digest: str

    @classmethod
    def at(cls, path: Path | None) -> Dictionary:
        """Return the dictionary at a path, with the digest of its content."""
        return cls(path, hashlib.sha256(path.read_bytes()).hexdigest() if path else "")

    def read(self) -> bytes:
        """Return the content.

        Raises:
            ValueError: the content has changed.
        """
        assert self.path  # noqa: S101 - the loader reads jieba's own
        content = self.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise ValueError(f"{self.path} has changed since the run began")
        return content


class JiebaSegmenter:
    """Segments Chinese with jieba; words of other scripts are runs of letters, digits and marks.

    It contains only its options, so it can be pickled and used by several threads. The first call
    of ``segment`` loads the dictionary, once for all segmenters of a process.

    Raises:
        OSError: a dictionary cannot be read.
    """

    def __init__(self, options: JiebaOptions) -> None:
        self._hmm = options.hmm
        self._main = Dictionary.at(options.dictionary)
        self._user = Dictionary.at(options.user_dictionary)

    @property
    def fingerprint(self) -> str:
        """The version of jieba and the digests of the dictionaries."""
        parts = ["jieba", version("jieba"), self._main.digest, self._user.digest]
        return " ".join(filter(None, parts))

    def segment(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield for each text the offsets of the characters at which words begin."""
        jieba = _load(self._main, self._user)
        for text in texts:
            lengths = [len(word) for word in jieba.cut(text, HMM=self._hmm)]
            begins = accumulate(chain([0], lengths[:-1])) if lengths else ()
            yield [begin for begin in begins if not _within(text, begin)]


_CHINESE = re.compile(
    "[\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)


def _within(text: str, begin: int) -> bool:
    """Return whether a character continues a word of a script other than Chinese.

    jieba makes a word of each character that is neither Chinese nor ASCII.
    """
    if not begin or text[begin - 1].isspace():
        return False
    if _is_mark(text[begin]):
        return True
    if not _is_letter(text[begin]):
        return False
    before = begin - 1
    while before and _is_mark(text[before]):
        before -= 1
    return _is_letter(text[before])


@lru_cache(maxsize=2**16)
def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


@lru_cache(maxsize=2**16)
def _is_letter(character: str) -> bool:
    """Return whether a character is a letter or digit, but not a Chinese character."""
    return unicodedata.category(character)[0] in "LN" and not _CHINESE.match(character)


class _File(io.BytesIO):
    """The content of a dictionary, with a name for jieba's error messages."""

    def __init__(self, dictionary: Dictionary) -> None:
        super().__init__(dictionary.read())
        self.name = str(dictionary.path)


_USER_LINE = re.compile(r"(.+?)(?: (\d+))?(?: [a-z]+)?")


@cache
def _load(main: Dictionary, user: Dictionary) -> Any:
    """Return jieba's tokenizer with these dictionaries.

    jieba's own loader is not used, because it writes to the temporary folder and standard error.

    Raises:
        OSError, ValueError: a dictionary cannot be read or is invalid.
    """
    with warnings.catch_warnings():  # about pkg_resources, and escapes in regular expressions
        warnings.simplefilter("ignore")
        import jieba

    tokenizer = jieba.Tokenizer()
    file = _File(main) if main.path else Path(jieba.__file__).with_name("dict.txt").open("rb")
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(file)
    tokenizer.initialized = True
    if not tokenizer.total:
        raise ValueError(f"{main.path} has no words with a frequency")
    for number, line in enumerate(
        user.read().decode("utf-8-sig").splitlines() if user.path else ()
    ):
        found = _USER_LINE.fullmatch(line.strip())
        # With a frequency of 0, no segmenter of this process would find the word.
        if found and found[2] and not int(found[2]):
            raise ValueError(f"{user.path}, line {number + 1}: a frequency of 0")
        if found:
            tokenizer.add_word(found[1], found[2])
    return tokenizer


@hookimpl
def mlmref_word_segmenters() -> list[SegmenterEntry]:
    """Return the entry of ``jieba``."""
    return [
        SegmenterEntry(
            name="jieba",
            summary="Chinese words by jieba; runs of letters and digits elsewhere",
            build=JiebaSegmenter,
            options=JiebaOptions,
        )
    ]
