"""Properties of the corpus: what is written is what is read, and known by its content."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import corpora as drawn
from support.corpora import cells, json_lines, write

from mlmref.base.errors import CorpusError
from mlmref.data.corpus import readers
from mlmref.data.corpus import text_blocks as lines
from mlmref.data.corpus.corpus import corpus_from_texts
from mlmref.data.corpus.load import load_corpus
from mlmref.settings.config import CorpusConfig


@contextmanager
def folder():
    """Make a folder for one example."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


@contextmanager
def small_blocks(block, batch):
    """Read in blocks and pass on in batches that are small enough for their ends to matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        patch.setattr(readers, "BATCH", batch)
        yield


def load(path, **options):
    """Load a file or folder; ``None`` when nothing in it holds text."""
    try:
        return load_corpus(CorpusConfig(name=str(path), **options))
    except CorpusError as error:
        if "no document holds text" in str(error):
            return None
        raise


def full(texts):
    """Leave out the documents that hold no text."""
    return [text for text in texts if text and not text.isspace()]


def found(corpus):
    """Return the documents of a corpus that may be ``None``."""
    return [] if corpus is None else corpus.dataset["text"][:]


@pytest.mark.clause("CORP-005")
@pytest.mark.clause("CORP-009")
@pytest.mark.clause("CORP-010")
@pytest.mark.clause("CORP-012")
@given(data=st.data(), texts=drawn.documents, block=drawn.blocks, batch=drawn.batches)
def test_documents_round_trip_through_every_table(data, texts, block, batch):
    """Any text comes back in order from cells, JSON and parquet; blank ones are counted."""
    name, content = data.draw(drawn.files(texts))
    with folder() as here, small_blocks(block, batch):
        cells = {"quotes": "yes"} if ".csv" in name or ".tsv" in name else {}
        corpus = load(write(here / name, content), **cells)
    assert found(corpus) == full(texts)
    if corpus is not None:
        assert corpus.empty == len(texts) - len(full(texts))


@pytest.mark.clause("CORP-010")
@pytest.mark.clause("CORP-011")
@given(
    texts=drawn.lines,
    ends=st.lists(drawn.line_ends, min_size=8, max_size=8),
    last=st.booleans(),
    mark=st.booleans(),
    name=st.sampled_from(["a.txt", "a.TXT", "a.txt.gz"]),
    block=drawn.blocks,
)
def test_lines_round_trip_through_text(texts, ends, last, mark, name, block):
    """Any line comes back, whatever its end, with or without a mark and a last line end."""
    assume(mark or not "".join(texts[:1]).startswith("\ufeff"))
    pieces = [text + end for text, end in zip(texts, ends, strict=False)]
    if pieces and not last:
        pieces[-1] = texts[-1]
    content = ("\ufeff" if mark else "") + "".join(pieces)
    with folder() as here, small_blocks(block, 1):
        corpus = load(write(here / name, content))
    assert found(corpus) == full(texts)
    if corpus is not None:
        absent = pieces[-1] == ""  # nothing after the last line end is no line
        assert corpus.empty == len(texts) - absent - len(full(texts))


@pytest.mark.clause("CORP-011")
@given(texts=drawn.lines, block=drawn.blocks, end=drawn.line_ends)
def test_a_whole_file_is_one_document(texts, block, end):
    """With documents = file, the file comes back as one text with plain line ends."""
    assume(not "".join(texts[:1]).startswith("\ufeff"))
    with folder() as here, small_blocks(block, 1):
        corpus = load(write(here / "a.txt", end.join(texts)), documents="file")
    assert found(corpus) == full(["\n".join(texts)])


@pytest.mark.clause("CORP-006")
@given(
    files=st.dictionaries(
        st.lists(st.sampled_from(["a", "b", "a-b", "B", "10", "9"]), min_size=1, max_size=3).map(
            tuple
        ),
        drawn.documents,
        min_size=1,
        max_size=6,
    )
)
def test_a_folder_is_its_files_in_the_order_of_their_paths(files):
    """The documents of a tree are those of its files, path by path; none twice, none lost."""
    with folder() as here:
        for parts, texts in files.items():
            write(here.joinpath(*parts[:-1], f"{parts[-1]}.jsonl"), json_lines(texts))
        corpus = load(here)
    expected = [
        text
        for parts in sorted(files, key=lambda parts: (*parts[:-1], f"{parts[-1]}.jsonl"))
        for text in files[parts]
    ]
    assert found(corpus) == full(expected)
    if corpus is not None:
        assert corpus.empty == len(expected) - len(full(expected))


@pytest.mark.clause("CORP-014")
@given(
    texts=drawn.documents.map(lambda some: [*some, "one", " ", "two"]),
    limit=st.integers(1, 4) | st.integers(1, 12),
    block=drawn.blocks,
    batch=drawn.batches,
    kind=st.sampled_from(["csv", "jsonl"]),
)
def test_the_limit_takes_the_first_documents(texts, limit, block, batch, kind):
    """A limit gives the first so many that hold text, and the empty ones before the last."""
    content = {"csv": cells, "jsonl": json_lines}[kind](texts)
    with folder() as here, small_blocks(block, batch):
        corpus = load(write(here / f"a.{kind}", content), limit=limit)
    expected = full(texts)[:limit]
    assert found(corpus) == expected
    if corpus is not None:
        seen = 0
        for index, text in enumerate(texts):
            seen += bool(full([text]))
            if seen == limit:
                texts = texts[: index + 1]
                break
        assert corpus.empty == len(texts) - len(expected)


def whole(label):
    """Return the integer that a label is or spells, else ``None``."""
    if isinstance(label, int):
        return int(label)
    if isinstance(label, str) and re.fullmatch(r"-?[0-9]{1,18}", label.strip(), re.ASCII):
        return int(label)
    return None


@pytest.mark.clause("CORP-013")
@given(
    labels=st.lists(drawn.labels, min_size=1, max_size=6)
    | st.lists(st.booleans(), min_size=1)
    | st.lists(st.integers(-(2**53), 2**53), min_size=2, max_size=6),
    kind=st.sampled_from(["csv", "jsonl"]),
    blank=st.integers(0, 6),
    batch=drawn.batches,
)
def test_labels_are_kept_when_all_are_integers(labels, kind, blank, batch):
    """Integers, booleans and spelt integers are kept; one other among the documents drops all."""
    if kind == "csv":
        labels = ["" if label is None else str(label) for label in labels]
    texts = [" " if index == blank else f"text {index}" for index in range(len(labels))]
    content = {"csv": cells, "jsonl": json_lines}[kind](texts, labels)
    with folder() as here, small_blocks(1_000, batch):
        corpus = load(write(here / f"a.{kind}", content))
    expected = [whole(label) for index, label in enumerate(labels) if index != blank]
    if corpus is None:
        assert expected == []
    elif None in expected:
        assert corpus.dataset.column_names == ["text"]
    else:
        assert corpus.dataset["label"][:] == expected


@pytest.mark.clause("CORP-017")
@given(
    texts=st.lists(drawn.documents.map(lambda some: [*some, "text"]), min_size=1, max_size=3),
    data=st.data(),
)
def test_the_fingerprint_is_of_the_content(texts, data):
    """Equal bytes under other names have one fingerprint; a changed document has another."""
    at = data.draw(st.integers(0, len(texts) - 1))
    changed = [list(some) for some in texts]
    where = data.draw(st.integers(0, len(changed[at]) - 1))
    changed[at][where] += data.draw(st.sampled_from([" ", "x", "\n"]))
    assert fingerprint(texts, "a") == fingerprint(texts, "b")
    assert fingerprint(texts, "a") != fingerprint(changed, "a")


@pytest.mark.clause("CORP-017")
@given(texts=st.lists(drawn.documents.map(lambda some: [*some, "text"]), min_size=2, max_size=3))
def test_the_fingerprint_is_of_the_order(texts):
    """The same files in another order are another corpus."""
    assume(texts != texts[::-1])
    assert fingerprint(texts, "a") != fingerprint(texts[::-1], "a")


def fingerprint(files, prefix):
    """Load some files of these documents and return the fingerprint."""
    with folder() as here:
        for index, texts in enumerate(files):
            write(here / f"{prefix}{index}.jsonl", json_lines(texts))
        return load(here).fingerprint


@pytest.mark.clause("CORP-024")
@given(texts=drawn.documents, labelled=st.booleans())
def test_texts_in_memory_are_the_corpus_of_a_file(texts, labelled):
    """The same documents and labels, from a list and from a file, are the same corpus."""
    labels = list(range(len(texts))) if labelled else None
    with folder() as here:
        corpus = load(write(here / "a.jsonl", json_lines(texts, labels)))
    assume(corpus is not None)
    memory = corpus_from_texts(texts, labels)
    assert memory.dataset[:] == corpus.dataset[:]
    assert memory.empty == corpus.empty


@pytest.mark.clause("CORP-020")
@given(
    texts=drawn.documents.map(lambda some: [text.replace("\r", " ") for text in some]),
    fault=st.sampled_from(["txt NUL", "txt byte", "csv NUL", "csv byte", "csv cells", "jsonl key"]),
    block=drawn.blocks,
    batch=drawn.batches,
)
def test_damage_is_named_with_its_line(texts, fault, block, batch):
    """A fault after any documents is named with the line that its row begins on, and its byte."""
    kind, what = fault.split()
    if kind == "txt":
        texts = [text.replace("\n", " ") for text in texts]
    before = {
        "txt": lambda: "".join(text + "\n" for text in texts).encode(),
        "csv": lambda: cells(texts, line_end="\n"),
        "jsonl": lambda: json_lines(texts),
    }[kind]()
    bad = {
        "NUL": b"0,a\0b\n",
        "byte": b"0,a\xffb\n",
        "cells": b"x\n",
        "key": b'{"txt": "x"}\n',
    }[what]
    line = before.count(b"\n") + 1
    said = {
        "NUL": f"line {line}: NUL character",
        "byte": f"line {line}: not UTF-8 at byte {len(before) + 3};",
        "cells": f"line {line}: 1 cells where the header has 2",
        "key": f"line {line}: no column 'text'",
    }[what]
    with folder() as here, small_blocks(block, batch):
        path = write(here / f"a.{kind}", before + bad)
        with pytest.raises(CorpusError) as caught:
            load_corpus(CorpusConfig(name=str(path)))
    assert str(caught.value).startswith(f"{path}, {said}")


@pytest.mark.clause("CORP-020")
@given(
    kind=st.sampled_from(readers.KINDS),
    content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
    head=st.sampled_from(
        [b"", b"text\n", b"PAR1", b'{"text": "a"}\n', b"\x1f\x8b\x08", b"\xff\xfe"]
    ),
    packed=st.booleans(),
)
def test_any_bytes_are_a_corpus_or_one_line(kind, content, head, packed):
    """Whatever a file holds, it is read or refused in one line that names it."""
    with folder() as here:
        path = here / f"a{kind}"
        if packed:
            write(path, head + content)
        else:
            path.write_bytes(head + content)
        try:
            refused = None
            count = len(load_corpus(CorpusConfig(name=str(path))))
        except CorpusError as error:
            refused, count = str(error), 0
    assert (refused is None) == (count > 0)
    if refused is not None:
        assert str(path) in refused
        assert "\n" not in refused
