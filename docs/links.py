"""Find links that lead nowhere: ``python docs/links.py``, and with ``--external`` those outside.

A relative link has to lead to a file of the clone, and its anchor to a heading there, named as the
forges and the site name it. What is outside is asked for only on request, since a build must not
depend on other people's servers.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "*.md",
    "docs/**/*.md",
    "docs/*.ipynb",
    "spec/*.md",
    "plugins/*/README.md",
    "mlmref/model/embedded/*/README.md",
)
_IN_HTML = re.compile(r"""<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=["']([^"' ]+)""")
_PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")


def pages(root: Path = ROOT) -> list[Path]:
    """Return the pages of a clone whose links are looked at."""
    return sorted({page for pattern in PAGES for page in root.glob(pattern)})


def text_of(page: Path) -> str:
    """Return a page's Markdown; of a notebook, that of its cells."""
    text = page.read_text("utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(one["source"]) for one in cells if one["cell_type"] == "markdown")


def links(text: str) -> Iterator[str]:
    """Give the target of each link and picture of a page, in HTML too."""
    for token in _PARSER.parse(text):
        for one in (token, *(token.children or ())):
            if one.type in ("link_open", "image"):
                yield str(one.attrs["href" if one.type == "link_open" else "src"])
            elif one.type in ("html_block", "html_inline"):
                yield from _IN_HTML.findall(one.content)


def anchors(text: str) -> set[str]:
    """Return the names of a page's headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    tokens = _PARSER.parse(text)
    for token, inner in pairwise(tokens):
        if token.type == "heading_open":
            shown = "".join(one.content for one in inner.children or ())
            name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            found.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return found


def nowhere(root: Path = ROOT) -> Iterator[str]:
    """Say of each relative link that leads nowhere in which page it is."""
    known = {page.resolve(): text_of(page) for page in pages(root)}
    for page, text in known.items():
        for link in links(text):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            place = f"{page.relative_to(root.resolve())}: {link}"
            if not target.is_relative_to(root.resolve()) or not target.exists():
                yield f"{place}: no such file in the clone"
            elif parts.fragment and parts.fragment not in anchors(known.get(target, "")):
                yield f"{place}: no such heading"


def outside(root: Path = ROOT) -> list[str]:
    """Return the links that lead elsewhere, each once."""
    found = {link for page in pages(root) for link in links(text_of(page))}
    return sorted(link for link in found if urlsplit(link).scheme in ("http", "https"))


def unreachable(urls: Iterable[str], timeout: float = 20.0) -> Iterator[str]:
    """Ask for each address, and say which do not answer, or say that there is nothing."""
    for url in urls:
        asked = urllib.request.Request(url, headers={"User-Agent": "mlmref-links"})  # noqa: S310 - http alone, see outside
        try:
            with urllib.request.urlopen(asked, timeout=timeout):  # noqa: S310 - as above
                pass
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                yield f"{url}: {error.code}"
        except (OSError, ValueError) as error:
            yield f"{url}: {getattr(error, 'reason', error)}"


if __name__ == "__main__":
    wrong = [*nowhere(), *(unreachable(outside()) if "--external" in sys.argv[1:] else ())]
    print("\n".join(wrong) or f"{len(pages())} pages: every link leads somewhere")
    sys.exit(bool(wrong))
