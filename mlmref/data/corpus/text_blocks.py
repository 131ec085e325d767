"""Read a text file, plain or gzip, in blocks of complete lines.

Clauses CORP-010, CORP-016, CORP-019 and CORP-020 (spec/corpus.md).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from mlmref.base.errors import CorpusError

Advance = Callable[[float], None]
"""Receives the number of bytes of the file that are done."""

BLOCK = 1 << 20
"""Bytes read at once."""

LARGEST = 200_000_000
"""Largest line in bytes, and largest cell in characters: a batch stays well below the 2 GiB that an
Arrow string array holds."""


def blocks(path: Path, advance: Advance) -> Iterator[tuple[int, str]]:
    """Yield a file's text in blocks of whole lines, each with the number of its first line.

    A line longer than a block is collected in a list and joined once, so time stays linear.

    Raises:
        CorpusError: the file is not UTF-8, or a line is too large; names the line.
    """
    with _opened(path) as (file, raw):
        line, offset, size, told = 1, 0, 0, 0
        rest: list[bytes] = []
        while True:
            block = file.read(BLOCK)
            if offset == 0 and not rest and (other := _encoding(block)):
                raise CorpusError(
                    f"{other}, not UTF-8",
                    where=str(path),
                    hint=f"convert it, such as with iconv -f {other} -t UTF-8",
                )
            advance(raw.tell() - told)
            told = raw.tell()
            end = block.rfind(b"\n") + 1
            if block and not end:
                rest.append(block)
                size += len(block)
                limit(size, f"{path}, line {line}")
                continue
            lines = b"".join((*rest, block[:end]))
            rest, size = [block[end:]], len(block) - end
            try:
                text = lines.decode()
            except UnicodeDecodeError as error:
                at = line + lines.count(b"\n", 0, error.start)
                raise CorpusError(
                    f"not UTF-8 at byte {offset + error.start}",
                    where=f"{path}, line {at}",
                    hint="convert the file to UTF-8",
                ) from error
            if offset == 0:
                text = text.removeprefix("\ufeff")
            if text:
                yield line, text
            if not block:
                return
            offset += len(lines)
            line += lines.count(b"\n")


def limit(size: int, where: str) -> None:
    """Raise a CorpusError if a line is too large (CORP-016)."""
    if size > LARGEST:
        raise too_large("line", LARGEST, where)


def too_large(what: str, size: int, where: str) -> CorpusError:
    """Return the error for a line or a document that is too large (CORP-016)."""
    hint = "cut it into several documents"
    return CorpusError(f"a {what} of over {size / 1e6:g} MB", where=where, hint=hint)


def nul(where: str) -> CorpusError:
    """Return the error for a NUL character in a text (CORP-020)."""
    hint = "is it UTF-16 or binary? convert it to UTF-8 text"
    return CorpusError("NUL character", where=where, hint=hint)


def _encoding(begin: bytes) -> str | None:
    """Return UTF-32 or UTF-16 if a byte-order mark or the NULs of ASCII characters show it."""
    four = begin[:4]
    if four in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "UTF-32"
    if four[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    shape = "".join(".x"[byte > 0] for byte in four)
    return {"x...": "UTF-32LE", "...x": "UTF-32BE", "x.x.": "UTF-16LE", ".x.x": "UTF-16BE"}.get(
        shape
    )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file; yields its content, and the file itself, whose position shows the progress."""
    with path.open("rb") as raw:
        if path.suffix.lower() == ".gz":
            with gzip.open(raw) as content:
                yield cast(BinaryIO, content), raw
        else:
            yield raw, raw
