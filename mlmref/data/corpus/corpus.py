"""A corpus: documents, and the place of each in the user's files.

Clauses CORP-013, CORP-024, CORP-027 and CORP-031 (spec/corpus.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlmref.base.errors import CorpusError
from mlmref.data.corpus.documents import SCHEMA, Rows, documents

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Documents, memory-mapped.

    Attributes:
        name: the user's name for it.
        dataset: columns ``text`` (string, never empty) and, if the corpus has labels, ``label``
            (int64).
        fingerprint: identifies content and options, in hexadecimal (CORP-017).
        empty: number of documents skipped because they have no text (CORP-012).
        source: where it was found, in words.
        places: columns ``file`` and ``number``: each document's place, as in the cache.
        sources: name and unit of each ``file``; ``number`` counts that unit.
        odd: for each sign of a misread file (``cells.ODD``) the number of rows and the first place.
        on_disk: ``dataset`` and the cache's file of the same rows; a user who selects documents
            replaces ``dataset`` only.
    """

    name: str
    dataset: datasets.Dataset
    fingerprint: str
    empty: int
    source: str
    places: datasets.Dataset = field(repr=False, compare=False)
    sources: tuple[tuple[str, str], ...] = field(repr=False, compare=False)
    odd: Mapping[str, tuple[int, str]] = field(repr=False, compare=False)
    on_disk: tuple[datasets.Dataset, Path] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.dataset)

    def __repr__(self) -> str:
        skipped = f", {self.empty:,} empty ones skipped" if self.empty else ""
        return f"Corpus({len(self):,} documents from {self.source}{skipped})"

    def place(self, document: int) -> str:
        """Return a document's place in the user's files: ``reviews.csv, line 12`` (CORP-031).

        Args:
            document: its number in the corpus as it was read, from 0.
        """
        row = self.places[int(document)]
        return place_of(self.sources, row["file"], row["number"])

    def texts(self, batch_size: int = 1_000) -> Iterator[pa.Array]:
        """Yield all documents in order, some at a time, without keeping them (CORP-027).

        Args:
            batch_size: documents at a time; not used for a file of the cache, which has batches.

        Yields:
            Arrow arrays of type string, none of them empty.
        """
        file = self._opened()
        if file is None:
            columns = self.dataset.select_columns(["text"]).with_format("arrow")
            for rows in columns.iter(batch_size):
                yield from rows.column("text").chunks
            return
        # Read instead of mapped: the pages of a mapped file stay in memory.
        with file:
            for batch in pa.ipc.open_stream(file):
                yield batch.column("text")

    def _opened(self) -> pa.OSFile | None:
        """Return the cache's file; ``None`` if it has other rows or was removed."""
        if self.on_disk and self.on_disk[0] is self.dataset:
            with suppress(OSError):  # removed, but still mapped (CACHE-012)
                return pa.OSFile(str(self.on_disk[1]))
        return None


def place_of(sources: Sequence[tuple[str, str]], file: int, number: int) -> str:
    """Return a place in words; arguments as of ``Corpus.sources`` and ``Corpus.places``."""
    name, unit = sources[file]
    return f"{name}, {unit} {number}"


def corpus_from_texts(
    texts: Iterable[str], labels: Iterable[int] | None = None, name: str = "memory"
) -> Corpus:
    """Return a corpus of texts in memory, without the cache (CORP-024).

    Args:
        texts: the documents.
        labels: an integer for each text.
        name: the corpus's name in messages.

    Raises:
        CorpusError: no text, an item of another type, or labels of another number or type.
    """
    from datasets import Dataset

    texts = list(texts)
    labels = None if labels is None else list(labels)
    if labels is not None and len(labels) != len(texts):
        raise CorpusError(f"{len(labels)} labels for {len(texts)} texts", where=name)

    def rows() -> Iterator[Rows]:
        for start in range(0, len(texts), 1_000):
            part = slice(start, start + 1_000)
            numbers = range(1, len(texts) + 1)[part]
            try:
                label = None if labels is None else pa.array(labels[part])
            except (pa.ArrowException, OverflowError) as error:
                raise CorpusError(f"labels are no integers ({error})", where=name) from error
            yield Rows.of(texts[part], label, name, "text", numbers)

    facts: dict[str, Any] = {}

    def batches() -> Iterator[pa.RecordBatch]:
        facts.update((yield from documents(rows(), None, name, [name])))

    table = pa.Table.from_batches(batches(), SCHEMA)
    if labels is not None and facts["odd_label"]:
        raise CorpusError(odd_label([(name, "text")], facts))
    shown = table.select(["text"] if labels is None else ["text", "label"])
    digest = hashlib.sha256()
    for batch in shown.to_batches():
        digest.update(batch.serialize())
    return Corpus(
        name=name,
        dataset=Dataset(shown),
        fingerprint=digest.hexdigest(),
        empty=facts["empty"],
        source="texts in memory",
        places=Dataset(table.select(["file", "number"])),
        sources=((name, "text"),),
        odd={},
    )


def odd_label(sources: Sequence[tuple[str, str]], facts: Mapping[str, Any]) -> str:
    """Return the note about the first label that is not an integer (CORP-013)."""
    where = place_of(sources, *facts["odd_label"])
    return f"labels are ignored: that of {where} is not an integer of up to 18 digits"
