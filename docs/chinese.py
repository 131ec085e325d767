"""Hold README.zh.md against README.md: ``python docs/chinese.py`` says which sections lag.

Each section of the Chinese page carries a digest of the English one that it was made from. Once a
section is revised, ``python docs/chinese.py --stamp "Read the numbers"`` writes the new digest;
``--stamp`` alone does so for all. What a command writes into README.md, between two comments, it
copies.
"""

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAIR = (ROOT / "README.md", ROOT / "README.zh.md")

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
_STAMP = re.compile(r"^<!-- en: ([0-9a-f]{12}) -->\n", re.MULTILINE)
_COMMENT = re.compile(r"(^|\s)#\s.*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_MADE = re.compile(r"(<!-- (\w+: \w+) -->\n)(.*?)(<!-- /\w+ -->)", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and what stands under it, to the next heading of any level.

    Attributes:
        level: of the heading, from 1.
        title: its text.
        text: what stands under it, without the digest.
        stamp: the digest that it carries; empty for none.
    """

    level: int
    title: str
    text: str
    stamp: str

    @property
    def digest(self) -> str:
        """The digest of heading and text; blanks at lines' ends and empty lines do not count."""
        lines = [line.rstrip() for line in (self.title, *self.text.splitlines())]
        return hashlib.sha256("\n".join(filter(None, lines)).encode()).hexdigest()[:12]

    @property
    def code(self) -> list[str]:
        """The blocks of code, without comments, which are for people."""
        return [_COMMENT.sub("", block).rstrip() for block in _FENCED.findall(self.text)]

    @property
    def figures(self) -> Counter[str]:
        """The numbers in text and tables, each as often as it stands there."""
        return Counter(_NUMBER.findall(_LINK.sub("]", _FENCED.sub("", self.text))))

    @property
    def links(self) -> Counter[str]:
        """Targets of the links, without those from one language to the other.

        The translation of a page counts as that page: ``tutorial.zh.ipynb`` as ``tutorial.ipynb``.
        """
        found = _LINK.findall(_FENCED.sub("", self.text))
        pages = (one.replace(".zh.", ".") for one in found)
        return Counter(one for one in pages if one != "README.md")


def sections(page: str) -> list[Section]:
    """Return a page's sections in their order."""
    # Blocks of code have comments that look like headings.
    hidden = _FENCED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), page)
    heads = [*_HEADING.finditer(hidden)]
    ends = [*(one.start() for one in heads[1:]), len(page)]
    found = []
    for head, end in zip(heads, ends, strict=True):
        text = page[head.end() : end]
        stamp = _STAMP.search(text)
        found.append(
            Section(
                level=len(head[1]),
                title=head[2],
                text=_STAMP.sub("", text),
                stamp=stamp[1] if stamp else "",
            )
        )
    return found


def differences(english: str, chinese: str) -> Iterator[str]:
    """Say in which ways the Chinese page is not the English one's translation.

    Args:
        english: the text of README.md.
        chinese: the text of README.zh.md.
    """
    ours, theirs = sections(english), sections(chinese)
    if [one.level for one in ours] != [one.level for one in theirs]:
        yield "the headings differ: " + _outline(ours) + " in English, " + _outline(theirs)
        return
    for one, other in zip(ours, theirs, strict=True):
        place = f"{one.title} ({other.title})"
        if other.stamp != one.digest:
            yield (
                f"{place}: lags behind the English; revise it, then "
                f'python docs/chinese.py --stamp "{one.title}"'
            )
        if one.code != other.code:
            yield f"{place}: the blocks of code differ"
        for what in ("figures", "links"):
            missing = getattr(one, what) - getattr(other, what)
            added = getattr(other, what) - getattr(one, what)
            if missing or added:
                yield (
                    f"{place}: {what} differ: only in English {sorted(missing)}, "
                    f"only in Chinese {sorted(added)}"
                )


def stamped(english: str, chinese: str, titles: list[str]) -> str:
    """Return the Chinese page with the digests of English sections written into it.

    Args:
        english: the text of README.md.
        chinese: the text of README.zh.md, with headings of the same levels.
        titles: of the English sections that were revised; all of them if none is named.

    Raises:
        ValueError: the headings differ, or there is no section of a title.
    """
    ours, theirs = sections(english), sections(chinese)
    if [one.level for one in ours] != [one.level for one in theirs]:
        raise ValueError("the headings differ; bring them in step first")
    unknown = set(titles) - {one.title for one in ours}
    if unknown:
        raise ValueError(f"no section {sorted(unknown)} in English")
    written = ""
    for one, other in zip(ours, theirs, strict=True):
        stamp = one.digest if not titles or one.title in titles else other.stamp
        line = f"<!-- en: {stamp} -->\n" if stamp else ""
        made = {mark: inner for _, mark, inner, _ in _MADE.findall(one.text)}
        text = _MADE.sub(lambda found, made=made: _copied(found, made), other.text)
        written += f"{'#' * other.level} {other.title}\n{line}{text.removeprefix(chr(10))}"
    return written


def _copied(found: re.Match[str], made: dict[str, str]) -> str:
    """Return what a command has written into the English page, or what there was."""
    return found[1] + made.get(found[2], found[3]) + found[4]


def _outline(all_: list[Section]) -> str:
    return " ".join(f"{'#' * one.level} {one.title}" for one in all_)


if __name__ == "__main__":
    texts = [page.read_text("utf-8") for page in PAIR]
    if sys.argv[1:2] == ["--stamp"]:
        try:
            texts[1] = stamped(*texts, sys.argv[2:])
        except ValueError as error:
            sys.exit(str(error))
        PAIR[1].write_text(texts[1], "utf-8")
    wrong = [*differences(*texts)]
    print("\n".join(wrong) or "README.zh.md is in step with README.md")
    sys.exit(bool(wrong))
