"""Read the rows of .csv and .tsv files, and detect signs of another dialect.

Clauses CORP-025 and CORP-028 to CORP-030 (spec/corpus.md).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from mlmref.base.errors import CorpusError
from mlmref.base.libraries.python import is_lone_carriage_return, is_open_quote
from mlmref.data.corpus.text_blocks import LARGEST, Advance, blocks, nul
from mlmref.settings.config import CorpusConfig

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_NOT_QUOTED = "--set corpus.quotes=no"
_QUOTED = "--set corpus.quotes=yes"
_LINES = 1_000  # of one row that are checked

SWALLOWS, DOUBLED = "swallows", "doubled"
ODD = {
    SWALLOWS: (
        "a quoted cell contains lines that are complete rows",
        "close or double the quotation mark there, or read quotation marks as text with "
        + _NOT_QUOTED,
    ),
    DOUBLED: (
        "a cell is written with doubled quotation marks, which are read as text",
        f"if quotation marks enclose cells, add {_QUOTED}",
    ),
}
"""For each sign of a misread file its description and the advice (CORP-030)."""


class Row(NamedTuple):
    """A row: its first line, its cells, and the signs of a misread file in it."""

    line: int
    cells: list[str]
    odd: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """The format of cells: the character between them, and whether quotation marks enclose them."""

    delimiter: str
    quotes: bool

    @classmethod
    def of(cls, default: str, config: CorpusConfig) -> Dialect:
        """Return the dialect for a file format with a default delimiter."""
        quotes = {"auto": default == ",", "yes": True, "no": False}[config.quotes]
        return cls(config.delimiter or default, quotes)

    def reader(self, lines: Iterator[str], *, strict: bool = True) -> Any:
        """Return the csv module's reader of lines."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
            strict=strict,
        )

    def cells(self, line: str) -> list[str]:
        """Return the cells of one line; none if it cannot be read."""
        found: list[str] = []
        with suppress(csv.Error):
            found = next(self.reader(iter([line]), strict=False), found)
        return found


def rows(path: Path, config: CorpusConfig, advance: Advance, default: str) -> Iterator[Row]:
    """Yield the rows of a file, the header first, without blank lines.

    Raises:
        CorpusError: the header has another delimiter, or a row cannot be read; names the line.
    """
    csv.field_size_limit(LARGEST)  # for the whole process
    dialect = Dialect.of(default, config)
    lines = _lines(path, advance)
    begin = []
    for line in lines:
        begin.append(line)
        if line.strip():
            _check_header(line, dialect, config, f"{path}, line {len(begin)}")
            break
    kept: list[str] = []
    reader = dialect.reader(_keeping(chain(begin, lines), kept))
    header: list[str] | None = None
    while True:
        kept.clear()
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _broken(error, dialect, f"{path}, line {first}") from error
        if not cells:
            continue
        header = header or cells
        if len(cells) != len(header):
            raise CorpusError(
                f"{len(cells)} cells where the header has {len(header)}",
                where=f"{path}, line {first}",
                hint="quote a cell that holds the delimiter"
                if dialect.quotes
                else f"remove delimiters within cells; {ODD[DOUBLED][1]}",
            )
        yield Row(first, cells, tuple(_signs(cells, kept, header, dialect, config)))


def _lines(path: Path, advance: Advance) -> Iterator[str]:
    texts = (io.StringIO(text, newline="\n") for _, text in blocks(path, advance))
    return (line for text in texts for line in text)


def _keeping(lines: Iterator[str], kept: list[str]) -> Iterator[str]:
    """Yield lines, and keep the first ones until the list is cleared."""
    for line in lines:
        if len(kept) < _LINES:
            kept.append(line)
        yield line


def _check_header(line: str, dialect: Dialect, config: CorpusConfig, where: str) -> None:
    """Raise a CorpusError if the header has another dialect, and name that dialect."""
    line = line.rstrip("\r\n")
    if "\0" in line:
        raise nul(where)
    if found := re.fullmatch(r'"?sep=(.)"?', line, re.IGNORECASE):
        other = found[1] != dialect.delimiter
        raise CorpusError(
            f"{line!r} is a line for Excel and not the header",
            where=where,
            hint="remove it" + (f" and add {_setting(found[1])}" if other else ""),
        )
    if config.delimiter is None:
        own, column = dialect.cells(line), config.text_column
        others = {
            one: Dialect(one, quotes=True).cells(line) for one in _NAMES if one != dialect.delimiter
        }
        others = {one: cells for one, cells in others.items() if len(cells) > 1}
        best = max(others, key=lambda one: (column in others[one], len(others[one])), default="")
        if best and (len(own) == 1 or (column in others[best] and column not in own)):
            raise CorpusError(
                f"the header {_short(line)} is separated by {_NAMES[best]}, "
                f"not {_NAMES[dialect.delimiter]}",
                where=where,
                hint=f"add {_setting(best)}",
            )
    if not dialect.quotes and f'"{config.text_column}"' in dialect.cells(line):
        raise CorpusError(
            f"the header {_short(line)} has quotation marks", where=where, hint=f"add {_QUOTED}"
        )


def _setting(delimiter: str) -> str:
    """Return the option that sets a delimiter, quoted for a shell."""
    spelled = '"\\t"' if delimiter == "\t" else delimiter
    return f"--set 'corpus.delimiter={spelled}'"


def _short(line: str) -> str:
    return repr(line if len(line) <= 60 else f"{line[:57]}...")


def _broken(error: csv.Error, dialect: Dialect, where: str) -> CorpusError:
    if is_lone_carriage_return(error):
        what, hint = "a line that ends with a carriage return alone", "convert its line ends"
    elif is_open_quote(error):
        what = "a quotation mark that is never closed"
        hint = f"close or double it, or read quotation marks as text with {_NOT_QUOTED}"
    else:
        what = f"broken cells ({error})"
        hint = "double a quotation mark within a quoted cell"
        if dialect.quotes:
            hint += f", or read quotation marks as text with {_NOT_QUOTED}"
    return CorpusError(what, where=where, hint=hint)


def _signs(
    cells: Sequence[str],
    lines: Sequence[str],
    header: Sequence[str],
    dialect: Dialect,
    config: CorpusConfig,
) -> Iterator[str]:
    """Yield the signs that a row has another dialect."""
    if not dialect.quotes:
        for cell in cells:
            inner = cell[1:-1]
            if '""' in inner and cell == f'"{inner}"' and '"' not in inner.replace('""', ""):
                yield DOUBLED
                return
    elif len(lines) > 1 and len(header) > 1:
        whole = [_is_row(line, header, dialect, config) for line in lines]
        # The first and the last line of a cell may have the right number of cells by chance.
        if any(whole[1:-1]) or (len(lines) == 2 and all(whole)):
            yield SWALLOWS


def _is_row(line: str, header: Sequence[str], dialect: Dialect, config: CorpusConfig) -> bool:
    """Return whether a line is a complete row and no cell looks like half a sentence."""
    cells = line.rstrip("\r\n").split(dialect.delimiter)
    if len(cells) != len(header) or not all(cells):
        return False
    blanks = any(one[:1].isspace() for one in islice(header, 1, None))
    if not blanks and any(one[:1].isspace() for one in cells[1:]):  # "good, but not great"
        return False
    return all(
        len(cell.split()) == 1  # a label is a number or a word
        for cell, name in zip(cells, header, strict=True)
        if name == config.label_column
    )
