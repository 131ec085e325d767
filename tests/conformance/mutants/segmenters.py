"""Faulty word segmenters, each with the check that is the first to reject it.

A fault is a function of the segmenter and the texts; its docstring says what is wrong.
"""

import random
import re
import unicodedata
import zlib
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, partial
from time import strftime
from typing import Any

import numpy as np
from conformance.mutants import Mutant

from mlmref.conformance.segmenters import KIT
from mlmref.plugin.contracts import Options, SegmenterEntry

MUTANTS = []
_WORD = re.compile(r"\w+|\W", re.DOTALL)
_THIS_YEAR = strftime("%Y")


def words(text):
    """Return where a right segmenter says that words begin: runs of letters and digits."""
    return list(_begins(text))


@lru_cache(maxsize=1 << 17)
def _begins(text):
    """Return the same once for all mutants, which are asked about the same texts."""
    return [match.start() for match in _WORD.finditer(text)]


@dataclass
class Faulty:
    """A segmenter that does what a function says."""

    function: Any
    options: Any
    fingerprint: Any = ""
    kept: dict = field(default_factory=dict)

    def __post_init__(self):
        """Be ready."""

    def segment(self, texts):
        """Let the function say."""
        return self.function(self, texts)


def fault(rejected_by, kind=Faulty, **fields):
    """Register a faulty segmenter; ``fields`` as of SegmenterEntry."""

    def register(function):
        name = function.__name__.replace("_", "-")
        entry = SegmenterEntry(name=name, summary="faulty", build=partial(kind, function), **fields)
        MUTANTS.append(
            Mutant(
                name=name,
                fault=function.__doc__,
                subject=KIT.subject(entry),
                rejected_by=rejected_by,
            )
        )
        return function

    return register


def rarely(text, one_in):
    """Tell of one text in so many that it is the one."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % one_in == 0


# --- an answer is where words begin (SEG-001) -------------------------------------------------


@fault("check_answers_are_offsets")
def bytes_are_counted(self, texts):
    """Count bytes of UTF-8."""
    return [[len(text[:begin].encode()) for begin in words(text)] for text in texts]


@fault("check_answers_are_offsets")
def units_of_utf16_are_counted(self, texts):
    """Count as JavaScript and Java do, which differs beyond the BMP alone."""
    return [[len(text[:n].encode("utf-16-le")) // 2 for n in words(text)] for text in texts]


@fault("check_answers_are_offsets")
def lower_case_is_counted(self, texts):
    """Count in the lower-cased text, where İ is two characters."""
    return [words(text.lower()) for text in texts]


@fault("check_answers_are_offsets")
def compatibility_forms_are_counted(self, texts):
    """Count in the normal form KC, where ﬁ is two characters."""
    return [words(unicodedata.normalize("NFKC", text)) for text in texts]


@fault("check_answers_are_offsets")
def numbers_of_sixteen_bits(self, texts):
    """Keep offsets where those past 65,535 begin again."""
    return [np.array(words(text), dtype=np.int64).astype(np.uint16) for text in texts]


@fault("check_answers_are_offsets")
def one_past_the_end(self, texts):
    """Tell the end of one text in three thousand."""
    return [[*words(text), *[len(text)] * rarely(text, 3_000)] for text in texts]


@fault("check_answers_are_offsets")
def twice_the_same(self, texts):
    """Tell of a word twice where the Greek letter ϡ stands."""
    return [sorted(words(text) + [0] * ("ϡ" in text)) for text in texts]


@fault("check_answers_are_offsets")
def floats(self, texts):
    """Tell whole numbers that are no integers."""
    return [np.array(words(text), dtype=np.float64) for text in texts]


@fault("check_answers_are_offsets")
def beginnings_and_ends(self, texts):
    """Tell pairs."""
    return [[match.span() for match in _WORD.finditer(text)] for text in texts]


@fault("check_answers_are_offsets")
def an_iterator_for_each(self, texts):
    """Tell what can be read once and has no length."""
    return [iter(words(text)) for text in texts]


@fault("check_answers_are_offsets")
def a_thousand_at_most(self, texts):
    """Leave the texts after the first thousand without an answer."""
    return [words(text) for text in texts[:1_024]]


@fault("check_answers_are_offsets")
def stumbles_over_a_nul(self, texts):
    """Raise where a text has the character 0 in it."""
    if any("\0" in text for text in texts):
        raise ValueError("embedded null character")
    return [words(text) for text in texts]


@fault("check_answers_are_offsets")
def nothing_for_some(self, texts):
    """Tell None of a text without letters."""
    return [words(text) if re.search(r"\w|^\s*$", text) else None for text in texts]


# --- text without words is fine (SEG-002) -----------------------------------------------------


@fault("check_text_without_words_is_fine")
def looks_at_the_first_character(self, texts):
    """Raise at an empty text."""
    return [[0, *words(text)[1:]] if text[0] else [] for text in texts]


@fault("check_text_without_words_is_fine")
def the_first_begins_at_nought(self, texts):
    """Tell of a word at the first character of a text that has none."""
    return [[0, *words(text)[1:]] for text in texts]


@fault("check_text_without_words_is_fine")
def blanks_have_no_answer(self, texts):
    """Leave out texts of blanks."""
    return [words(text) for text in texts if text.strip() or not text]


@fault("check_text_without_words_is_fine")
def cannot_do_nothing(self, texts):
    """Raise when asked about no text."""
    first = texts[0]
    return [words(first), *(words(text) for text in texts[1:])]


# --- two of a kind agree (SEG-004) ------------------------------------------------------------


class Named(Faulty):
    """A segmenter whose fingerprint is the object's own."""

    def __post_init__(self):
        """Write the place in memory down."""
        self.fingerprint = f"{id(self)}"


@fault("check_two_of_a_kind_agree", kind=Named)
def its_place_in_memory(self, texts):
    """Have a fingerprint of the object, not of its kind."""
    return [words(text) for text in texts]


class Seeded(Faulty):
    """A segmenter with chance of its own."""

    def __post_init__(self):
        """Draw from the operating system."""
        self.kept["chance"] = np.random.default_rng().integers(1 << 30)


@fault("check_two_of_a_kind_agree", kind=Seeded)
def a_seed_of_its_own(self, texts):
    """Divide one text in a thousand by a chance that each segmenter has of its own."""
    salt = f"{self.kept['chance']}"
    return [words(text)[: 1 if rarely(text + salt, 1_000) else None] for text in texts]


@fault("check_the_hash_of_a_text_does_not_matter")
def by_the_hash_of_a_text(self, texts):
    """Prefer the word that comes first in a set."""
    return [words(text)[: 1 if hash(text) % 20 == 0 and len(text) > 3 else None] for text in texts]


# --- company does not matter (SEG-003) --------------------------------------------------------


@fault("check_company_does_not_matter")
def cut_to_the_first(self, texts):
    """Look at as much of a text as ten times the longest of the first three has."""
    size = 10 * max([len(text) for text in texts[:3]], default=0)
    return [words(text[: max(size, 20)]) for text in texts]


@fault("check_company_does_not_matter")
def answers_in_order_of_length(self, texts):
    """Give texts of one length in the opposite order, as unstable sorting may."""
    order = sorted(range(len(texts)), key=lambda n: (len(texts[n]), -n))
    back = sorted(range(len(texts)), key=lambda n: (len(texts[n]), n))
    answers = [words(text) for text in texts]
    found = dict(zip(back, order, strict=True))
    return [answers[found[n]] if len(texts) > 1_000 else answers[n] for n in range(len(texts))]


@fault("check_company_does_not_matter")
def one_answer_for_the_same_text(self, texts):
    """Answer a text that comes again with nothing."""
    return [[] if text in texts[max(n - 2, 0) : n] else words(text) for n, text in enumerate(texts)]


@fault("check_company_does_not_matter")
def the_last_of_many(self, texts):
    """Lose the last word of the last of more than four thousand texts."""
    answers = [words(text) for text in texts]
    if len(answers) > 4_000:
        answers[-1] = answers[-1][:-1]
    return answers


@fault("check_nothing_is_kept")
def kept_by_length(self, texts):
    """Answer a text as the one of its length that was asked about before."""
    return [self.kept.setdefault(len(text), words(text)) for text in texts]


@fault("check_nothing_is_kept")
def kept_by_beginning_and_end(self, texts):
    """Take a text for another that begins and ends alike and is as long."""
    return [self.kept.setdefault((len(text), text[:12], text[-2:]), words(text)) for text in texts]


@fault("check_nothing_is_kept")
def kept_without_regard_to_case(self, texts):
    """Join what is in capitals, unless the same was asked in small letters."""
    answers = []
    for text in texts:
        fresh = [0] if len(text) > 20 and text.upper() == text else words(text)
        answers.append(self.kept.setdefault(text.strip().upper()[:40], fresh))
    return [[n for n in found if n < len(t)] for found, t in zip(answers, texts, strict=True)]


@fault("check_nothing_is_kept")
def one_buffer_for_all(self, texts):
    """Use the arrays of an answer again for the next."""
    for array in self.kept.get("last", []):
        array[:1] = 0
    self.kept["last"] = [np.array(words(text), dtype=np.int64)[1:] for text in texts]
    return self.kept["last"]


@fault("check_nothing_is_kept")
def tired_after_a_while(self, texts):
    """Leave out the last word from the three-thousandth time that few texts are asked about."""
    asked = self.kept["asked"] = self.kept.get("asked", 0) + (len(texts) == 3)
    return [words(text)[: -1 if asked > 3_000 and text else None] for text in texts]


_ALL = {}


@fault("check_nothing_is_kept_for_all")
def kept_by_the_module(self, texts):
    """Keep answers for every segmenter by a text's length and beginning."""
    answers = [_ALL.setdefault((len(text), text[:8]), words(text)) for text in texts]
    return [[n for n in found if n < len(t)] for found, t in zip(answers, texts, strict=True)]


# --- a fingerprint is a fixed text (SEG-005) --------------------------------------------------


class Counting(Faulty):
    """A segmenter that has the words that it knows in its fingerprint."""

    @property
    def fingerprint(self):
        """Return how many it knows."""
        return f"{len(self.__dict__.get('kept', ()))} words"

    @fingerprint.setter
    def fingerprint(self, value):
        """Be a field."""


@fault("check_the_fingerprint_stays", kind=Counting)
def learns_in_its_fingerprint(self, texts):
    """Have a fingerprint of the words seen so far."""
    self.kept.update(dict.fromkeys(text for text in texts if "ϡ" in text))
    return [words(text) for text in texts]


@fault("check_the_fingerprint_stays", kind=partial(Faulty, fingerprint=b"1.0"))
def bytes_for_a_fingerprint(self, texts):
    """Have a fingerprint that is no text."""
    return [words(text) for text in texts]


@fault("check_the_fingerprint_stays", kind=partial(Faulty, fingerprint=3))
def a_number_for_a_fingerprint(self, texts):
    """Have a fingerprint that is a number."""
    return [words(text) for text in texts]


class Dated(Faulty):
    """A segmenter with the date in its fingerprint."""

    def __post_init__(self):
        """Write the date down."""
        self.fingerprint = f"dictionary of {date.today()}"  # noqa: DTZ011 - the fault


@fault("check_the_day_does_not_matter", kind=Dated)
def the_date(self, texts):
    """Have the date in the fingerprint."""
    return [words(text) for text in texts]


class OfTheYear(Faulty):
    """A segmenter with the year in its fingerprint."""

    def __post_init__(self):
        """Write the year down."""
        self.fingerprint = strftime("release %Y")


@fault("check_the_day_does_not_matter", kind=OfTheYear)
def the_year(self, texts):
    """Have the year in the fingerprint."""
    return [words(text) for text in texts]


@fault("check_the_day_does_not_matter")
def words_of_the_year(self, texts):
    """Join all words of a text in any other year than this one."""
    return [words(text)[: None if strftime("%Y") == _THIS_YEAR else 1] for text in texts]


# --- global randomness is left alone (SEG-007) ------------------------------------------------


@fault("check_no_other_generator_is_used")
def draws_now_and_then(self, texts):
    """Draw from Python's generator at one text in two thousand, for nothing."""
    for text in texts:
        if rarely(text, 2_000):
            random.random()  # noqa: S311 - the fault
    return [words(text) for text in texts]


class Seeds(Faulty):
    """A segmenter that seeds what is not its own."""

    def __post_init__(self):
        """Seed NumPy."""
        np.random.seed(0)  # noqa: NPY002 - the fault


@fault("check_no_other_generator_is_used", kind=Seeds)
def seeds_what_is_shared(self, texts):
    """Seed NumPy's generator when it is made."""
    return [words(text) for text in texts]


# --- what is given is left alone (SEG-006) ----------------------------------------------------


@fault("check_what_is_given_is_left_alone")
def strips_in_place(self, texts):
    """Put a text without its blanks where a list has it, and answer for the text it was."""
    answers = [words(text) for text in texts]
    if isinstance(texts, list):
        texts[:] = [text.rstrip("\u3000") for text in texts]
    return answers


@fault("check_what_is_given_is_left_alone")
def sorts_a_long_list(self, texts):
    """Sort a list of more than four thousand."""
    answers = [words(text) for text in texts]
    if isinstance(texts, list) and len(texts) > 4_000:
        texts.sort()
    return answers


@fault("check_what_is_given_is_left_alone")
def empties_it_later(self, texts):
    """Keep the list, and clear it at the next question."""
    answers = [words(text) for text in texts]
    if isinstance(texts, list):
        self.kept.get("last", []).clear()
        self.kept["last"] = texts
    return answers


# --- options survive being written (SEG-008) --------------------------------------------------


class Since(Options):
    """Options with a date."""

    since: Any = date(2020, 1, 1)


class Some(Options):
    """Options with a tuple of any kind."""

    some: Any = ("电影", "演员")


@fault("check_options_survive_being_written", options=Some)
def a_tuple_of_any_kind(self, texts):
    """Have an option that comes back as a list."""
    return [words(text) for text in texts]


@fault("check_options_survive_being_written", options=Since)
def a_date_among_the_options(self, texts):
    """Have a date that comes back as a text."""
    return [words(text) for text in texts]


# --- a sentence has its words anywhere (SEG-011) ----------------------------------------------


@fault("check_a_sentence_has_its_words_anywhere")
def normal_forms_are_counted(self, texts):
    """Count in the normal form C, where an accent has no character of its own."""
    formed = [unicodedata.normalize("NFC", text) for text in texts]
    return [words(min(pair, key=len)) for pair in zip(texts, formed, strict=True)]


@fault("check_a_sentence_has_its_words_anywhere")
def blanks_are_folded(self, texts):
    """Count in the text with one blank where there are several."""
    return [words(re.sub(r"[ \t\r\n]+", " ", text)) for text in texts]


@fault("check_a_sentence_has_its_words_anywhere")
def line_ends_are_made_one(self, texts):
    """Count in the text with a line feed where there is a carriage return before it."""
    return [words(text.replace("\r\n", "\n")) for text in texts]


@fault("check_a_sentence_has_its_words_anywhere")
def controls_are_left_out(self, texts):
    """Count in the text without control characters, as BERT's normaliser leaves it."""
    return [
        words("".join(c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"))
        for text in texts
    ]


@fault("check_a_sentence_has_its_words_anywhere")
def tags_are_left_out(self, texts):
    """Count in the text without what looks like a tag."""
    return [words(re.sub(r"<[^>]*>", "", text)) for text in texts]


@fault("check_a_sentence_has_its_words_anywhere")
def one_short_after_each_window(self, texts):
    """Lose a character at the seam of windows of 512."""
    return [sorted({n - n // 512 for n in words(text)}) for text in texts]


@fault("check_a_sentence_has_its_words_anywhere")
def nothing_after_a_while(self, texts):
    """Tell of no word beyond fifty thousand characters."""
    return [[n for n in words(text) if n < 50_000] for text in texts]


@fault("check_a_sentence_has_its_words_anywhere")
def emoji_count_once(self, texts):
    """Count an emoji that is made of several as one."""
    return [words(re.sub("\u200d.", "", text)) for text in texts]
