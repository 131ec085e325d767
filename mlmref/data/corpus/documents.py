"""Rows of a source of text (text, label, place), and the documents made from them.

Clauses CORP-007, CORP-009, CORP-012 to CORP-015 and CORP-020 to CORP-022 (spec/corpus.md).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmref.base.closest import closest, did_you_mean
from mlmref.base.errors import CorpusError
from mlmref.data.corpus.text_blocks import nul, too_large
from mlmref.settings.config import CorpusConfig

SCHEMA = pa.schema(
    {"text": pa.string(), "label": pa.int64(), "file": pa.int32(), "number": pa.int64()}
)
"""The columns of documents. ``file`` (from 0) and ``number`` (line or row, from 1) are a document's
place."""


DOCUMENT = 16_000_000
"""Largest document in bytes of UTF-8: it is tokenized in one call (CORP-016)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some rows of a source, before any change.

    Attributes:
        text: string ``[n]``, null in a row without text.
        label: ``[n]`` of any type, or ``None`` if the source has no label column.
        source: the file or dataset, in words.
        unit: the unit of the numbers: ``line``, ``row`` or ``text``.
        numbers: ``[n]``, each row's number, from 1.
        odd: signs of a misread file (``cells.ODD``), each with the number of its row.
    """

    text: pa.Array
    label: pa.Array | None
    source: str
    unit: str
    numbers: Sequence[int]
    odd: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls,
        texts: Sequence[str | None],
        label: pa.Array | None,
        source: str,
        unit: str,
        numbers: Sequence[int],
    ) -> Rows:
        """Return rows of Python texts; another type is a CorpusError that names the row."""
        try:
            text = pa.array(texts, pa.string())
        except (UnicodeEncodeError, pa.ArrowException):
            for number, one in zip(numbers, texts, strict=True):
                try:
                    pa.scalar(one, pa.string())
                except (UnicodeEncodeError, pa.ArrowException) as error:
                    where = f"{source}, {unit} {number}"
                    raise CorpusError(f"no text ({error})", where=where) from error
            raise
        return cls(text=text, label=label, source=source, unit=unit, numbers=numbers)

    def place(self, index: int) -> str:
        """Return the place of a row: ``reviews.csv, line 12``."""
        return f"{self.source}, {self.unit} {self.numbers[index]}"


def require(column: str, columns: Sequence[str], where: str, flag: str = "--text-column") -> None:
    """Raise a CorpusError that lists the columns unless ``column`` is one of them (CORP-021)."""
    if columns.count(column) == 1:
        return
    if column in columns:
        raise CorpusError(f"several columns are called {column!r}", where=where)
    by_lower = {name.lower(): name for name in reversed(columns)}
    close = [by_lower[one] for one in closest(column.lower(), by_lower)]
    listed = ", ".join(map(repr, columns[:10])) + (", ..." if len(columns) > 10 else "")
    advice = f"{did_you_mean([repr(one) for one in close])} " if close else ""
    raise CorpusError(
        f"no column {column!r}",
        where=where,
        hint=f"{advice}choose with {flag} from {listed or 'none: the file is empty'}",
    )


def has_labels(config: CorpusConfig, columns: Sequence[str], where: str) -> bool:
    """Return whether the label column is there; one that the user named must be (CORP-033)."""
    if config.label_column not in ("", CorpusConfig.model_fields["label_column"].default):
        require(config.label_column, columns, where, "--label-column")
    return config.label_column != "" and config.label_column in columns


def arrow_rows(
    batches: Iterable[pa.RecordBatch], config: CorpusConfig, source: str
) -> Iterator[Rows]:
    """Yield text and label of Arrow batches."""
    first = 1
    for batch in batches:
        text = batch.column(config.text_column)
        labelled = has_labels(config, batch.schema.names, source)
        label = batch.column(config.label_column) if labelled else None
        numbers = range(first, first + batch.num_rows)
        try:
            text = text.cast(pa.string())
            text.validate(full=True)
        except pa.ArrowInvalid as error:
            where = f"{source}, rows {first} to {first + batch.num_rows - 1}"
            raise CorpusError(f"text cannot be read ({error})", where=where) from error
        yield Rows(text=text, label=label, source=source, unit="row", numbers=numbers)
        first += batch.num_rows


def require_text(column: str, schema: pa.Schema, where: str) -> None:
    """Raise a CorpusError unless ``column`` exists and contains text."""
    require(column, schema.names, where)
    found = schema.field(column).type
    held = found.value_type if pa.types.is_dictionary(found) else found
    kinds = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_null,
    )
    if not any(is_kind(held) for is_kind in kinds):
        raise CorpusError(f"column {column!r} holds {found}, not text", where=where)


def documents(
    parts: Iterable[Rows], limit: int | None, source: str, names: Sequence[str]
) -> Generator[pa.RecordBatch, None, dict[str, Any]]:
    """Yield the documents: rows with text, and integer labels.

    Args:
        parts: the rows.
        limit: the most documents.
        source: the source of all rows, in words.
        names: the sources of the rows.

    Returns:
        ``empty``, the number of skipped rows; ``labels``, whether there are labels; ``odd_label``,
        the place of a label that is not an integer; ``units``, the unit of each source; and
        ``odd``, for each sign of a misread file the number of rows and the first place.

    Raises:
        CorpusError: no row has text, a document is too large, a text has a NUL character, or
            only some sources have a label column.
    """
    count = empty = 0
    first: Rows | None = None
    odd_label: tuple[int, int] | None = None
    files = {name: number for number, name in enumerate(names)}
    units = [""] * len(names)
    odd: dict[str, list[int]] = {}
    for part in parts:
        first = first or part
        if (part.label is None) != (first.label is None):
            has, lacks = (part, first) if first.label is None else (first, part)
            raise CorpusError(
                f"no label column, but {has.source} has one",
                where=lacks.source,
                hint="give files that belong together the same columns",
            )
        file = files[part.source]
        units[file] = part.unit
        for sign, number in part.odd:
            odd.setdefault(sign, [0, file, number])[0] += 1
        left = None if limit is None else limit - count
        full = pc.invert(pc.or_(pc.utf8_is_space(part.text), pc.equal(part.text, "")))
        rows = np.flatnonzero(pc.fill_null(full, False).to_numpy(zero_copy_only=False))[:left]
        text = part.text.take(pa.array(rows))
        size = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)
        if (size > DOCUMENT).any():
            where = part.place(rows[int(np.argmax(size > DOCUMENT))])
            raise too_large("document", DOCUMENT, where)
        at = pc.index(pc.match_substring(text, "\0"), True).as_py()
        if at >= 0:
            raise nul(part.place(rows[at]))
        numbers = np.asarray(part.numbers, np.int64)[rows]
        label = pa.nulls(len(rows), pa.int64())
        if part.label is not None and odd_label is None:
            label = _integers(part.label.take(pa.array(rows)))
            if label.null_count:
                odd_label = file, int(numbers[pc.index(label.is_null(), True).as_py()])
        where = pa.array(np.full(len(rows), file, np.int32))
        yield pa.record_batch([text, label, where, pa.array(numbers)], schema=SCHEMA)
        count += len(rows)
        if count == limit:
            empty += int(rows[-1]) + 1 - len(rows)
            break
        empty += len(part.text) - len(rows)
    if not count:
        raise CorpusError(f"no document holds text; empty ones: {empty}", where=source)
    labelled = first is not None and first.label is not None and odd_label is None
    return {
        "empty": empty,
        "labels": labelled,
        "odd_label": odd_label,
        "units": units,
        "odd": odd,
    }


def _integers(label: pa.Array) -> pa.Array:
    """Return labels as int64, null for a label that is not an integer (CORP-013)."""
    found = label.type
    if pa.types.is_dictionary(found):
        return _integers(label.dictionary_decode())
    if pa.types.is_string(found) or pa.types.is_large_string(found):
        text = pc.utf8_trim_whitespace(label)
        text = pc.if_else(pc.match_substring_regex(text, "^-?[0-9]{1,18}$"), text, None)
        return text.cast(pa.int64())
    if pa.types.is_uint64(found):
        label = pc.if_else(pc.less_equal(label, pa.scalar(2**63 - 1, pa.uint64())), label, None)
    if pa.types.is_integer(found) or pa.types.is_boolean(found):
        return label.cast(pa.int64())
    return pa.nulls(len(label), pa.int64())
