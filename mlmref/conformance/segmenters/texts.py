"""The texts that segmenters are tested on: prose, every character, and length-changing characters.

All seeds are fixed, so a check has the same result in each run.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

SENTENCES = (
    "这部电影的演员表演得非常出色。",
    "昨天晚上我和朋友一起去电影院看了一部老片子。",
    "他研究生物化学，毕业以后想去南京市长江大桥附近工作。",
    "故事发生在二十世纪三十年代的上海，导演用了很多长镜头。",
    "如果你喜欢安静的音乐，就不要错过这张专辑！",
    "這位導演的新作品在臺灣獲得了許多觀眾的喜愛。",
    "圖書館裡有很多關於歷史和地理的書。",
    "我在Netflix上看了3集，觉得iPhone 15的广告太多了。",
    "The actors' performances were unforgettable, and the plot isn't bad either.",
    "It cost $3.50 in 1999; nowadays you'd pay 10 times as much, wouldn't you?",
    "A well-known New York critic e-mailed me at 7:45 a.m. about the film.",
    "Отличный фильм, прекрасная игра актёров и очень красивая музыка.",
    "Ça m'a déçu : un scénario naïf, des clichés, et rien d'autre qu'un décor.",
    "Die Straßenbahnhaltestelle liegt gegenüber dem Kino, nicht weit vom Fluss.",
    "この映画は本当に面白かったので、もう一度見たいと思います。",
    "이 영화는 정말 재미있어서 다시 보고 싶습니다.",
    "هذا الفيلم رائع جدا والموسيقى جميلة.",
    "यह फ़िल्म बहुत अच्छी है और संगीत भी सुंदर है।",
    "หนังเรื่องนี้สนุกมากและเพลงก็ไพเราะ",
    "Phim này rất hay, diễn viên đóng rất tự nhiên.",
)
"""Ordinary sentences in Unicode's normal form C."""

SHIFTS = (
    *("😀", "👩\u200d👩\u200d👧", "🇩🇪", "𠮷", "𝒻"),  # beyond the BMP: two units of UTF-16
    *("你好", "é", "ж"),  # more than one byte
    *("e\u0301", "\u1100\u1161\u11a8", "ｶﾞ", "क\u093c"),  # normalization makes them shorter
    *("İ", "ß", "ﬁ", "①", "ﷺ", "½"),  # case folding or normalization makes them longer
    *(
        "\r\n",
        "\t",
        "   ",
        "\u3000",
        "\u2028",
        "\x0b",
        "\x85",
        "\n",
    ),  # whitespace is often collapsed
    *("\u200b", "\ufeff", "\x00", "\u00ad", "\x1b[0m", "\ufffd"),  # characters are often removed
    *("&amp;", "<br />", "%20", "\\n", "http://a.b/c?d=e ", "@a #b ", "[SEP]", "[MASK] ", "<s>"),
    *("a ", "1 ", ". ", "word ", "電影 "),
)
"""Texts that shift the offsets of a segmenter that does not count the text's characters."""

BLANKS = ("", " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", " \n\t ", " " * 5_000)
"""Texts without words."""

_WORDS = tuple({word: None for text in SENTENCES for word in text.split()})

Texts = tuple[str, ...]


def prose(number: int, seed: int) -> Iterator[str]:
    """Yield texts of words, sentences, spaces, shifts and other characters, never blank."""
    chance = random.Random(seed)  # noqa: S311 - texts, no secrets
    makers: tuple[Callable[[], str], ...] = (
        lambda: chance.choice(_WORDS),
        lambda: chance.choice(_WORDS) + " ",
        lambda: chance.choice(SENTENCES),
        lambda: chance.choice(SHIFTS),
        lambda: chance.choice(SHIFTS) * chance.randint(2, 9),
        lambda: chance.choice([" ", "\n", "，", ". ", "!"]),
        lambda: chr(chance.randint(0x4E00, 0x9FA5)) * chance.randint(1, 3),
        lambda: chr(chance.randint(0x21, 0x17F)) + chr(chance.randint(0x1F300, 0x1F64F)),
    )
    while number:
        text = "".join(chance.choice(makers)() for _ in range(chance.randint(1, 8)))
        if text.strip():
            yield text
            number -= 1


def every_character() -> Iterator[str]:
    """Yield texts in which each assigned Unicode character occurs once."""
    known = [
        chr(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) not in {"Cn", "Cs", "Co"}
    ]
    for first in range(0, len(known), 60):
        yield "".join(["a 电影 ", *known[first : first + 60], "b"])


def long_texts() -> Iterator[str]:
    """Yield texts near the limits of buffers, models and small integers."""
    for number, size in enumerate([127, 129, 255, 257, 511, 513, 1_025, 4_097, 32_769, 70_000]):
        chance = random.Random(number)  # noqa: S311 - texts, no secrets
        text = ""
        while len(text) < size:
            text += chance.choice(SENTENCES) + chance.choice([" ", "\n", "", "😀"])
        yield text[: size - 1] + "b"


@cache
def large_batches() -> tuple[Texts, ...]:
    """Return all large batches, of one to five thousand texts."""
    texts = [*prose(12_000, 0), *every_character()]
    sizes = [1, 1, 2, 3, 17, 64, 65, 257, 1_000, 1_025, 5_000]
    batches = [tuple(long_texts())]
    while texts:
        size = sizes[len(batches) % len(sizes)]
        batches.append(tuple(texts[:size]))
        del texts[:size]
    return tuple(batches)


@cache
def small_batches(*, blanks: bool = True) -> Any:
    """Return a Hypothesis strategy for a few short texts of any characters."""
    from hypothesis import strategies as st

    text = st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.text(st.sampled_from("电影演员很好的a. \n😀\u0301"), max_size=12),
        st.sampled_from([*_WORDS, *SENTENCES]),
        st.lists(st.sampled_from([*SHIFTS, " ", "a", "电影"]), max_size=6).map("".join),
        st.sampled_from(BLANKS[:-1]),
    )
    texts = text if blanks else text.filter(str.strip)
    return st.lists(texts, min_size=0 if blanks else 1, max_size=6).map(tuple)


class _Spent(Exception):  # noqa: N818 - ends shrinking
    """No tries are left."""


def shrink(texts: Texts, fails: Callable[[Texts], bool], *, tries: int = 3_000) -> Texts:
    """Return fewer and shorter failing texts; large texts count as more tries."""
    least, left = texts, float(tries)

    def still(smaller: Texts) -> bool:
        nonlocal least, left
        left -= 1 + len(smaller) / 50 + sum(map(len, smaller)) / 2_000
        if left < 0:
            raise _Spent
        if fails(smaller):
            least = smaller
        return least is smaller

    try:
        _without(texts, still)
        for number in range(len(least)):
            before, after = least[:number], least[number + 1 :]

            def shorter(some: Texts, before: Texts = before, after: Texts = after) -> bool:
                return still((*before, "".join(some), *after))

            _without(tuple(least[number]), shorter)
    except _Spent:
        pass
    return least


def _without(parts: Texts, still: Callable[[Texts], bool]) -> None:
    """Remove runs of parts, long runs first, as long as the rest still fails."""
    step = (len(parts) + 1) // 2
    while step:
        first = 0
        while first < len(parts):
            fewer = parts[:first] + parts[first + step :]
            if fewer and still(fewer):
                parts = fewer
            else:
                first += step
        step //= 2
