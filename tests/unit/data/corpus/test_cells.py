"""Delimited files in the dialects that people write them in (spec/corpus.md)."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from support.corpora import json_lines, parquet, write

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.base.progress import Silent
from mlmref.data.corpus.corpus import corpus_from_texts
from mlmref.data.corpus.load import load_corpus
from mlmref.settings.config import CorpusConfig
from mlmref.studies.downstream.downstream import configured


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give each test a cache and a folder of its own."""
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


class Warned(Silent):
    """Keeps the warnings."""

    def __init__(self):
        self.lines = []

    def warn(self, text):
        """Keep a line."""
        self.lines.append(text)


def load(name, content, **options):
    """Load a file with this content; returns the corpus and the warnings."""
    write(Path(name), content)
    reporter = Warned()
    return load_corpus(CorpusConfig(name=name, **options), reporter), reporter.lines


def texts(name, content, **options):
    """Return the documents of a file with this content."""
    return load(name, content, **options)[0].dataset["text"][:]


def refused(name, content, **options):
    """Return the line that refuses a file with this content."""
    with pytest.raises(CorpusError) as caught:
        load(name, content, **options)
    return str(caught.value)


# --- quotation marks -----------------------------------------------------------------------------

MARKS = 'text\tlabel\n"Alpha\t1\nBeta\t0\nGamma"\t1\n"Delta" and 5" "\t0\n'


@pytest.mark.clause("CORP-028")
@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_a_tsv_has_no_quotation_marks(name):
    """Each line is a row, and each quotation mark a character of its text."""
    corpus, warned = load(name, MARKS)
    assert corpus.dataset[:] == {
        "text": ['"Alpha', "Beta", 'Gamma"', '"Delta" and 5" "'],
        "label": [1, 0, 1, 0],
    }
    assert warned == []


@pytest.mark.clause("CORP-028")
def test_quotation_marks_are_what_the_setting_says():
    """They enclose cells in a .tsv on request, and are text in a .csv on request."""
    assert texts("a.tsv", 'text\n"a\tb\nc"\n', quotes="yes") == ["a\tb\nc"]
    assert texts("a.csv", 'text\n"a"\n', quotes="no") == ['"a"']
    assert texts("a.csv", 'text\n"a"\n') == ["a"]


@pytest.mark.clause("CORP-028")
def test_a_tsv_whose_header_is_quoted_names_the_setting():
    """The column is there under a name with quotation marks, which is not the one to choose."""
    line = refused("a.tsv", '"text"\t"label"\n"fine"\t1\n')
    assert line == (
        'a.tsv, line 1: the header \'"text"\\t"label"\' has quotation marks; '
        "add --set corpus.quotes=yes"
    )
    assert texts("a.tsv", '"text"\t"label"\n"fine"\t1\n', quotes="yes") == ["fine"]


# --- delimiters and encodings --------------------------------------------------------------------

SEMICOLONS = "add --set 'corpus.delimiter=;'"
HEADERS = {
    "semicolons": ("a.csv", "id;text\n7;a film\n", "semicolons, not commas", ";"),
    "quoted": ("a.csv", '"id";"text"\n7;"a film"\n', "semicolons, not commas", ";"),
    "bars": ("a.csv", "id|text\n7|a film\n", "vertical bars, not commas", "|"),
    "tabs": ("a.csv", "id\ttext\n7\ta film\n", "tabs, not commas", "\t"),
    "commas": ("a.tsv", "id,text\n7,a film\n", "commas, not tabs", ","),
    "a comma in a name": ("a.csv", "a,b;text\n7;a film\n", "semicolons, not commas", ";"),
    "gzip": ("a.csv.gz", "id;text\n7;a film\n", "semicolons, not commas", ";"),
    "byte-order mark": ("a.csv", "\ufeffid;text\n7;a film\n", "semicolons, not commas", ";"),
    "blank lines": ("a.csv", "\n\nid;text\n7;a film\n", "semicolons, not commas", ";"),
}


@pytest.mark.clause("CORP-029")
@pytest.mark.parametrize(("name", "content", "said", "delimiter"), HEADERS.values(), ids=HEADERS)
def test_another_delimiter_is_named_with_the_setting(name, content, said, delimiter):
    """The error has the delimiter and what to type; with that the text is read."""
    line = refused(name, content)
    spelled = '"\\t"' if delimiter == "\t" else delimiter
    assert f"is separated by {said}; add --set 'corpus.delimiter={spelled}'" in line
    assert texts(name, content, delimiter=delimiter) == ["a film"]


@pytest.mark.clause("CORP-029")
@pytest.mark.clause("CLI-017")
def test_downstream_takes_what_an_error_of_the_corpus_says_to_add():
    """--set of the corpus's keys and no others; a flag wins over it."""
    sets = ["corpus.delimiter=|", "corpus.delimiter=;", "corpus.split=x"]
    settings = configured({"adapted": "a", "corpus": {"split": "y"}}, sets).corpus
    assert (settings.delimiter, settings.split) == (";", "y"), "the last --set wins over the others"
    for text in ("seed=1", "corpus=1", "training.epochs=2"):
        with pytest.raises(ConfigError, match=r"only corpus\.KEY can be set here"):
            configured({"adapted": "a"}, [text])


@pytest.mark.clause("CORP-029")
def test_a_whole_header_is_not_a_column():
    """Asked for by that name it is refused just so, for the rows would be read with their ids."""
    content = "id;text\n17;great film\n"
    assert refused("a.csv", content, text_column="id;text") == (
        f"a.csv, line 1: the header 'id;text' is separated by semicolons, not commas; {SEMICOLONS}"
    )
    assert texts("a.csv", content, text_column="id;text", delimiter=",") == ["17;great film"]


@pytest.mark.clause("CORP-029")
@pytest.mark.parametrize(
    ("name", "said"),
    [("a.csv", f"remove it and {SEMICOLONS}"), ("b.csv", "remove it")],
)
def test_the_line_for_excel_is_named(name, said):
    """sep=; is no header; where it says nothing new, there is nothing to set."""
    own = ";" if name == "a.csv" else ","
    line = refused(name, f"sep={own}\nid{own}text\n7{own}a film\n")
    assert line == f"{name}, line 1: 'sep={own}' is a line for Excel and not the header; {said}"


@pytest.mark.clause("CORP-029")
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.jsonl", "a.csv.gz"])
@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("utf-32-le", "UTF-32LE"),
        ("utf-32-be", "UTF-32BE"),
    ],
)
def test_utf_16_is_named_with_and_without_its_mark(name, encoding, named):
    """Of a file of any kind, before anything is made of what its bytes seem to say."""
    content = json_lines(["a"]).decode() if "json" in name else "text,label\nfine,1\n"
    assert refused(name, content.encode(encoding)) == (
        f"{name}: {named}, not UTF-8; convert it, such as with iconv -f {named} -t UTF-8"
    )


@pytest.mark.clause("CORP-029")
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_nul_in_the_header_is_one(name):
    """It is no column to choose."""
    assert refused(name, "text,te\0xt\nfine,1\n") == (
        f"{name}, line 1: NUL character; is it UTF-16 or binary? convert it to UTF-8 text"
    )


# --- signs of a misread file ---------------------------------------------------------------------

SWALLOWED = (
    "a.csv, line 2: a quoted cell contains lines that are complete rows (rows like this: 1); close "
    "or double the quotation mark there, or read quotation marks as text with "
    "--set corpus.quotes=no"
)


@pytest.mark.clause("CORP-030")
@pytest.mark.parametrize(
    "content",
    [
        'text,label\n"Alpha,1\nBeta,0\nGamma",1\nDelta,0\n',
        'text,label\n"Alpha,1\nGamma",1\nDelta,0\n',
        'id,text,label\n1,"Alpha,1\n2,Beta,0\n3,Gamma",1\n4,Delta,0\n',
    ],
)
def test_a_quoted_cell_that_swallows_rows_is_reported(content):
    """With its line, each time, and as text it is what stands there."""
    for _ in range(2):
        assert load("a.csv", content)[1] == [SWALLOWED]
    found = texts("a.csv", content, quotes="no")
    assert found[0] == '"Alpha'
    assert found[-1] == "Delta"


@pytest.mark.clause("CORP-030")
def test_a_text_of_several_lines_is_not_reported():
    """Sentences with commas, a label beside them, and verses."""
    rows = [
        ["Good, but long.\nNot great, sadly.\nWatch it, or do not.", "1"],
        ["one\ntwo\nthree", "0"],
        ["Roses are red,\nviolets, blue", "1"],
    ]
    out = io.StringIO()
    csv.writer(out).writerows([["text", "label"], *rows])
    corpus, warned = load("a.csv", out.getvalue())
    assert (len(corpus), warned) == (3, [])


@pytest.mark.clause("CORP-030")
def test_doubled_quotation_marks_of_a_tsv_are_reported():
    """They are how a program writes a cell that is enclosed; others are of the text."""
    content = 'text\tlabel\n"she"" said"\t1\n"""Great"" film"\t1\n"""Dull"""\t0\n""\t0\n'
    corpus, warned = load("a.tsv", content)
    assert corpus.dataset["text"][1] == '"""Great"" film"'
    assert warned == [
        "a.tsv, line 2: a cell is written with doubled quotation marks, which are read as text "
        "(rows like this: 3); if quotation marks enclose cells, add --set corpus.quotes=yes"
    ]
    assert texts("a.tsv", content, quotes="yes")[1] == '"Great" film'


# --- places --------------------------------------------------------------------------------------


@pytest.mark.clause("CORP-031")
@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.txt", "\none\n\ntwo\n", ["a.txt, line 2", "a.txt, line 4"]),
        ("a.csv", 'text\n"o\nne"\n\n" "\ntwo\n', ["a.csv, line 2", "a.csv, line 6"]),
        ("a.tsv", "text\tb\none\t1\n\t1\ntwo\t1\n", ["a.tsv, line 2", "a.tsv, line 4"]),
        ("a.jsonl", '\n{"text": "one"}\n{"text": ""}\n{"text": "two"}\n', None),
        ("a.parquet", parquet(["one", None, "two"]), ["a.parquet, row 1", "a.parquet, row 3"]),
    ],
)
def test_a_document_has_the_place_that_its_file_gives_it(name, content, places):
    """The line or row, from 1, with the empty ones; and again from the cache."""
    for _ in range(2):
        corpus, _ = load(name, content)
        expected = places or ["a.jsonl, line 2", "a.jsonl, line 4"]
        assert [corpus.place(one) for one in range(len(corpus))] == expected


@pytest.mark.clause("CORP-031")
def test_places_name_the_files_as_they_are_called_now(tmp_path):
    """Of a folder each document's own file; a renamed copy is served under its new name."""
    for name, content in {"a.txt": "one\n", "b.csv": "text\n", "c.txt": "\ntwo\n"}.items():
        write(tmp_path / "f" / name, content)
    corpus = load_corpus(CorpusConfig(name="f"))
    assert [corpus.place(0), corpus.place(1)] == ["f/a.txt, line 1", "f/c.txt, line 2"]
    (tmp_path / "f").rename(tmp_path / "g")
    assert load_corpus(CorpusConfig(name="g")).place(1) == "g/c.txt, line 2"
    assert corpus_from_texts(["", "one"]).place(0) == "memory, text 2"
