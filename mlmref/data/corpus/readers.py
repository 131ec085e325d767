"""Read local files as streams of rows: text, label, and the row's place.

Clauses CORP-005, CORP-009 to CORP-011, CORP-016 and CORP-019 to CORP-022 (spec/corpus.md).
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlmref.base.errors import CorpusError, MlmrefError
from mlmref.data.corpus import cells
from mlmref.data.corpus.documents import (
    DOCUMENT,
    Rows,
    arrow_rows,
    has_labels,
    require,
    require_text,
)
from mlmref.data.corpus.text_blocks import BLOCK, Advance, blocks, too_large
from mlmref.settings.config import CorpusConfig

BATCH = 1 << 20
"""Characters in a batch of rows."""


def kind(path: Path) -> str:
    """Return a file's format: its extension in lower case, including ``.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(suffixes if suffixes[-1:] == [".gz"] else suffixes[-1:])


def read(path: Path, config: CorpusConfig, advance: Advance) -> Iterator[Rows]:
    """Yield the rows of a file in one of the formats :data:`KINDS`.

    At most a few megabytes or one document are in memory.

    Raises:
        CorpusError: the file cannot be read; names the file and the place in it.
    """
    try:
        yield from _READERS[kind(path).removesuffix(".gz")](path, config, advance)
    except MlmrefError:
        raise
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(f"damaged gzip file ({error})", where=str(path)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: object, error: OSError) -> CorpusError:
    """Return the error for a file that the operating system cannot read."""
    return CorpusError(f"cannot be read ({error.strerror or error})", where=str(path))


# --- one reader a kind ---------------------------------------------------------------------------


def _read_text(path: Path, config: CorpusConfig, advance: Advance) -> Iterator[Rows]:
    if config.documents == "file":
        whole, size = [], 0
        for _, text in blocks(path, advance):
            size += len(text)
            if size > DOCUMENT:  # characters, of at least a byte each
                raise too_large("document", DOCUMENT, str(path))
            whole.append(text.replace("\r\n", "\n"))
        yield Rows.of(["".join(whole)], None, str(path), "document", [1])
        return
    for first, text in blocks(path, advance):
        lines = text.removesuffix("\n").split("\n")
        if "\r" in text:
            lines = [line.removesuffix("\r") for line in lines]
        yield Rows.of(lines, None, str(path), "line", range(first, first + len(lines)))


def _read_cells(
    path: Path, config: CorpusConfig, advance: Advance, *, delimiter: str
) -> Iterator[Rows]:
    """Yield rows of delimited cells, read by the csv module.

    Arrow's reader is four times as fast, but has no line numbers and cannot read a row that is
    longer than its block. At 160 MB/s the csv module is not the bottleneck of a run.
    """
    table = cells.rows(path, config, advance, delimiter)
    header = next(table, cells.Row(1, [])).cells
    require(config.text_column, header, str(path))
    text_at = header.index(config.text_column)
    labelled = has_labels(config, header, str(path))
    label_at = header.index(config.label_column) if labelled else None
    rows = _Pending(path, labelled=labelled)
    for line, row, odd in table:
        label = None if label_at is None else row[label_at]
        yield from rows.add(line, row[text_at], label, odd)
    yield from rows.flush()


def _read_jsonl(path: Path, config: CorpusConfig, advance: Advance) -> Iterator[Rows]:
    rows: _Pending | None = None
    for first, block in blocks(path, advance):
        for line, source in enumerate(block.split("\n"), first):
            if not source.strip():
                continue
            where = f"{path}, line {line}"
            try:
                row = json.loads(source, parse_int=_integer)
            except (ValueError, RecursionError) as error:
                why = "nested too deep" if isinstance(error, RecursionError) else error
                hint = "put one object on a line"
                raise CorpusError(f"not JSON ({why})", where=where, hint=hint) from error
            if not isinstance(row, dict):
                raise CorpusError("not a JSON object", where=where, hint="put one object on a line")
            require(config.text_column, list(row), where)
            text = row[config.text_column]
            if not (text is None or isinstance(text, str)):
                found = f"column {config.text_column!r} holds {json.dumps(text)[:40]}, not text"
                raise CorpusError(found, where=where)
            if rows is None:
                rows = _Pending(path, labelled=has_labels(config, list(row), where))
            yield from rows.add(line, text, row.get(config.label_column))
    if rows is not None:
        yield from rows.flush()


def _integer(digits: str) -> float:
    """Return an integer; one with many digits, which Python may refuse, becomes a float."""
    return int(digits) if len(digits) < 40 else float(digits)


def _read_parquet(path: Path, config: CorpusConfig, advance: Advance) -> Iterator[Rows]:
    from pyarrow import parquet

    try:
        # Otherwise Arrow reads a whole row group at once, and many files are one group.
        with parquet.ParquetFile(path, buffer_size=BLOCK, pre_buffer=False) as file:
            schema = file.schema_arrow
            require_text(config.text_column, schema, str(path))
            has_labels(config, schema.names, str(path))
            names = [n for n in (config.text_column, config.label_column) if n in schema.names]
            share = path.stat().st_size / max(file.metadata.num_rows, 1)
            batches = file.iter_batches(1_000, columns=names)
            for rows in arrow_rows(batches, config, str(path)):
                yield rows
                advance(share * len(rows.text))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None):  # the system's, not Arrow's
            raise
        raise CorpusError(f"damaged parquet file ({error})", where=str(path)) from error


_READERS: dict[str, Callable[[Path, CorpusConfig, Advance], Iterator[Rows]]] = {
    ".txt": _read_text,
    ".csv": partial(_read_cells, delimiter=","),
    ".tsv": partial(_read_cells, delimiter="\t"),
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
KINDS = (*_READERS, *(f"{one}.gz" for one in _READERS if one != ".parquet"))
"""The formats that :func:`read` accepts."""


# --- rows one by one -----------------------------------------------------------------------------


class _Pending:
    """Collects rows one by one and yields them in batches."""

    def __init__(self, path: Path, *, labelled: bool) -> None:
        self._path = path
        self._labelled = labelled
        self._clear()

    def _clear(self) -> None:
        self._lines: list[int] = []
        self._texts: list[str | None] = []
        self._labels: list[str | None] = []
        self._odd: list[tuple[str, int]] = []
        self._size = 0

    def add(
        self, line: int, text: str | None, label: Any, odd: Sequence[str] = ()
    ) -> Iterator[Rows]:
        """Add a row; yields a batch when it is full."""
        self._lines.append(line)
        self._odd += [(sign, line) for sign in odd]
        self._texts.append(text)
        if isinstance(label, int):
            label = str(int(label))
        self._labels.append(label if isinstance(label, str) and label.isascii() else None)
        self._size += len(text or "") + 64  # short texts fill a batch too
        if self._size >= BATCH:
            yield from self.flush()

    def flush(self) -> Iterator[Rows]:
        """Yield the collected rows."""
        if self._lines:
            label = pa.array(self._labels, pa.string()) if self._labelled else None
            found = Rows.of(self._texts, label, str(self._path), "line", self._lines)
            yield replace(found, odd=tuple(self._odd))
        self._clear()
