"""What can be wrong with a corpus, and the one line that says so (spec/corpus.md)."""

from __future__ import annotations

import gzip
import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.corpora import parquet, write
from support.unprivileged import open_folder, unprivileged

from mlmref.base.errors import ConfigError, CorpusError
from mlmref.data.corpus.load import load_corpus
from mlmref.settings.config import CorpusConfig


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give each test a cache of its own."""
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(name, **options):
    """Load a corpus by its name."""
    return load_corpus(CorpusConfig(name=str(name), **options))


KINDS = ".txt, .csv, .tsv, .jsonl, .parquet, .txt.gz, .csv.gz, .tsv.gz, .jsonl.gz"
NAMES = "name a file, a folder or a glob, imdb, or hub:NAME for a data set on the hub"
AS_TEXT = ", or read quotation marks as text with --set corpus.quotes=no"
QUOTES = "double a quotation mark within a quoted cell"
CELLS = "cells where the header has"
QUOTE = "quote a cell that holds the delimiter"
CHOOSE = "choose with --text-column from"
NUL = "NUL character; is it UTF-16 or binary? convert it to UTF-8 text"
UTF8 = "convert the file to UTF-8"
NO_TEXT = "no document holds text; empty ones:"
OBJECT = "put one object on a line"

LINK = "a link that leads to no file or folder"

NOT_FOUND = {
    "missing file": ("none.csv", f"no such file or folder; {NAMES}"),
    "missing folder": ("none/", f"no such file or folder; {NAMES}"),
    "name too long": ("x" * 300, "cannot be read (File name too long)"),
    "empty folder": ("empty", f"a folder without any {KINDS} file"),
    "folder called like a file": ("folder.csv", f"a folder without any {KINDS} file"),
    "glob without a match": ("*.pdf", f"a glob that matches no {KINDS} file"),
    "unsupported": ("a.docx", f"no kind of file that can be read; use {KINDS}"),
    "no extension": ("plain", f"no kind of file that can be read; use {KINDS}"),
    "parquet in gzip": ("a.parquet.gz", f"no kind of file that can be read; use {KINDS}"),
    "pipe": ("pipe.txt", f"no kind of file that can be read; use {KINDS}"),
    "dead link": ("dead.txt", LINK),
    "link to itself": ("itself.txt", LINK),
    "glob below nothing": ("none/*.txt", "cannot be read (No such file or directory)"),
    "misspelled file": ("revews.csv", "no such file or folder; did you mean {}/reviews.csv?"),
    "misspelled folder": ("emptty", "no such file or folder; did you mean {}/empty?"),
    "NUL in the name": ("a\0.txt", f"no such file or folder; {NAMES}"),
}


@pytest.mark.clause("CORP-005")
@pytest.mark.clause("CORP-008")
@pytest.mark.parametrize(("name", "said"), NOT_FOUND.values(), ids=NOT_FOUND.keys())
def test_what_cannot_be_found_says_how_to_name_it(tmp_path, name, said):
    """Each way to lead to nothing has a line of its own, with what can be given instead."""
    for folder in ("empty", "folder.csv"):
        (tmp_path / folder).mkdir()
    for file in (
        "a.docx",
        "plain",
        "a.parquet.gz",
        "reviews.csv",
        "empty/notes.md",
        "folder.csv/.x.csv",
    ):
        write(tmp_path / file, "x")
    os.mkfifo(tmp_path / "pipe.txt")
    for link, to in [("dead.txt", "gone.txt"), ("itself.txt", "itself.txt")]:
        (tmp_path / link).symlink_to(to)
    with pytest.raises(CorpusError) as caught:
        load(f"{tmp_path}/{name}")
    path = name.split("/*")[0] if "No such" in said else name  # what could not be listed
    said = said.replace("{}", str(tmp_path))
    assert str(caught.value) == f"{tmp_path}/{path}: {said}".replace("\0", "\\u0000")


@pytest.mark.clause("CORP-008")
def test_a_tilde_of_nobody_is_named():
    """A home folder of a user that there is not."""
    with pytest.raises(CorpusError) as caught:
        load("~nobody-is-called-so/a.txt")
    assert str(caught.value) == f"~nobody-is-called-so/a.txt: no such user; {NAMES}"


@pytest.mark.clause("CORP-026")
@pytest.mark.parametrize("name", ["f", "f/*.txt"])
def test_a_dead_link_in_a_folder_is_not_passed_over(tmp_path, name):
    """A file that has gone is named, where leaving it out would give another corpus."""
    write(tmp_path / "f" / "a.txt", "x")
    (tmp_path / "f" / "b.txt").symlink_to("gone.txt")
    with pytest.raises(CorpusError) as caught:
        load(tmp_path / name)
    assert str(caught.value) == f"{tmp_path}/f/b.txt: {LINK}"


DAMAGED = {
    # CSV
    "no column": (
        "a.csv",
        "Text,b\nx,y\n",
        f": no column 'text'; did you mean 'Text'? {CHOOSE} 'Text', 'b'",
    ),
    "no close column": ("a.csv", "a,b\nx,y\n", f": no column 'text'; {CHOOSE} 'a', 'b'"),
    "many columns": (
        "a.csv",
        ",".join("abcdefghijklm"),
        f": no column 'text'; {CHOOSE} 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', ...",
    ),
    "empty file": ("a.csv", "", f": no column 'text'; {CHOOSE} none: the file is empty"),
    "column twice": ("a.csv", "text,text\nx,y\n", ": several columns are called 'text'"),
    "too few cells": ("a.csv", 'text,b\n"x\n\nx",y\nx\n', f", line 5: 1 {CELLS} 2; {QUOTE}"),
    "too many cells": (
        "a.tsv",
        "text\tb\nx\ty\tz\n",
        f", line 2: 3 {CELLS} 2; remove delimiters within cells; if quotation marks enclose "
        "cells, add --set corpus.quotes=yes",
    ),
    "quotation mark inside": (
        "a.csv",
        'text\n"x" y\n',
        f", line 2: broken cells (',' expected after '\"'); {QUOTES}{AS_TEXT}",
    ),
    "never closed": (
        "a.csv",
        'text\nx\n"y\nz\n',
        f", line 3: a quotation mark that is never closed; close or double it{AS_TEXT}",
    ),
    "NUL in a cell": ("a.csv", "text\nx\n\0\n", f", line 3: {NUL}"),
    "not UTF-8 in a cell": ("a.csv", b"text\nx\n\xe9\n", f", line 3: not UTF-8 at byte 7; {UTF8}"),
    "header only": ("a.csv", "text\n", f": {NO_TEXT} 0"),
    "all empty": ("a.csv", 'text,b\n,1\n" ",2\n', f": {NO_TEXT} 2"),
    # text
    "NUL": ("a.txt", "x\n\ny\0\n", f", line 3: {NUL}"),
    "NUL in a file": ("f.txt", "x\ny\0\n", f", document 1: {NUL}"),
    "UTF-16": (
        "a.txt",
        "text".encode("utf-16"),
        ": UTF-16, not UTF-8; convert it, such as with iconv -f UTF-16 -t UTF-8",
    ),
    "cut within a character": (
        "a.txt",
        "x\nyé".encode()[:-1],
        f", line 2: not UTF-8 at byte 3; {UTF8}",
    ),
    "empty text": ("a.txt", "", f": {NO_TEXT} 0"),
    # JSON
    "not JSON": (
        "a.jsonl",
        '{"text": "x"}\n\n{"text": \n',
        f", line 3: not JSON (Expecting value: line 1 column 10 (char 9)); {OBJECT}",
    ),
    "array": ("a.jsonl", '["x"]\n', f", line 1: not a JSON object; {OBJECT}"),
    "nested too deep": (
        "a.jsonl",
        "[" * 200_000,
        f", line 1: not JSON (nested too deep); {OBJECT}",
    ),
    "no key": (
        "a.jsonl",
        '{"text": "x"}\n{"txt": "y"}\n',
        f", line 2: no column 'text'; did you mean 'txt'? {CHOOSE} 'txt'",
    ),
    "number": (
        "a.jsonl",
        '{"text": "x"}\n{"text": 7}\n',
        ", line 2: column 'text' holds 7, not text",
    ),
    "half a pair": (
        "a.jsonl",
        '{"text": "x"}\n{"text": "\\ud800"}\n',
        ", line 2: no text ('utf-8' codec can't encode*",
    ),
    "NUL escaped": ("a.jsonl", '{"text": "x"}\n{"text": "\\u0000"}\n', f", line 2: {NUL}"),
    # gzip
    "no gzip": ("a.txt.gz", None, ": damaged gzip file (Not a gzipped file*"),
    # parquet
    "column's name in parquet": (
        "a.parquet",
        parquet(["x"], column="tuxt").replace(b"tuxt", b"t\xffxt"),
        ": damaged parquet file ('utf-8' codec can't decode*",
    ),
    "no parquet": ("a.parquet", "x\n", ": damaged parquet file (Parquet file size is 2 bytes*"),
    "no column in parquet": (
        "a.parquet",
        parquet(["x"], column="Text"),
        f": no column 'text'; did you mean 'Text'? {CHOOSE} 'Text'",
    ),
    "numbers in parquet": (
        "a.parquet",
        parquet([1], text_type=pa.int64()),
        ": column 'text' holds int64, not text",
    ),
    "bytes in parquet": (
        "a.parquet",
        parquet([b"x"], text_type=pa.binary()),
        ": column 'text' holds binary, not text",
    ),
    "NUL in parquet": ("a.parquet", parquet(["x"] * 1_500 + ["\0"]), f", row 1501: {NUL}"),
    "null parquet": ("a.parquet", parquet([None], text_type=pa.null()), f": {NO_TEXT} 1"),
}


@pytest.mark.clause("CORP-015")
@pytest.mark.clause("CORP-020")
@pytest.mark.clause("CORP-021")
@pytest.mark.clause("CORP-022")
@pytest.mark.parametrize(("name", "content", "said"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named_with_its_place(tmp_path, cache, name, content, said):
    """Each kind of damage is one line, naming file and place; nothing of it is kept."""
    path = tmp_path / name
    if content is None:
        path.write_bytes(b"x\n")
    else:
        write(path, content)
    with pytest.raises(CorpusError) as caught:
        load(path, documents="file" if name == "f.txt" else "line")
    found = str(caught.value)
    assert "\n" not in found
    if said.endswith("*"):  # a library's own words, which another version may go on with
        assert found.startswith(f"{path}{said[:-1]}")
    else:
        assert found == f"{path}{said}"
    assert not list(cache.rglob("*.arrow"))


@pytest.mark.clause("CORP-020")
def test_parquet_text_that_is_no_utf8_is_named_by_its_rows(tmp_path):
    """A parquet file may claim text and hold other bytes; that is found before it is used."""
    content = parquet(
        ["x", "yyyy"], compression="none", use_dictionary=False, write_statistics=False
    )
    path = write(tmp_path / "a.parquet", content.replace(b"yyyy", b"y\xff\xffy"))
    with pytest.raises(CorpusError, match=r"a\.parquet, rows 1 to 2: text cannot be read \(.*UTF"):
        load(path)


@pytest.mark.clause("CORP-020")
@pytest.mark.parametrize("left", [0.01, 0.3, 0.99])
@pytest.mark.parametrize("name", ["a.txt.gz", "a.parquet"])
def test_a_file_cut_short_is_damaged(tmp_path, name, left):
    """A download that stopped half-way is never taken for a shorter corpus."""
    some = [f"review {index}" for index in range(1_000)]
    content = gzip.compress("\n".join(some).encode()) if "gz" in name else parquet(some)
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(CorpusError, match=r"damaged (gzip|parquet) file"):
        load(path)


@pytest.mark.clause("CORP-020")
def test_a_flipped_bit_in_gzip_is_damage(tmp_path):
    """The checksum that gzip carries is looked at."""
    content = bytearray(gzip.compress(b"a great film\n" * 100))
    content[len(content) // 2] ^= 1
    path = tmp_path / "a.txt.gz"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="damaged gzip file"):
        load(path)


@pytest.mark.clause("CORP-020")
@pytest.mark.parametrize("what", ["file", "folder", "file in a folder"])
def test_what_may_not_be_read_is_named(monkeypatch, what):
    """A file or folder without permission is one line with the system's reason."""
    with open_folder() as here:
        monkeypatch.setenv("MLMREF_CACHE", str(here / "cache"))
        path = write(here / "f" / "a.txt", "x")
        closed = here / "f" if what == "folder" else path
        closed.chmod(0)
        name = path if what == "file" else here / "f"
        with unprivileged(), pytest.raises(CorpusError) as caught:
            load(name)
        (here / "f").chmod(0o755)
        assert str(caught.value) == f"{closed}: cannot be read (Permission denied)"


IGNORED = {
    "text_column": ("body", "a.txt", ".csv, .tsv, .jsonl, .parquet, hub:"),
    "label_column": ("stars", "a.txt", ".csv, .tsv, .jsonl, .parquet, hub:"),
    "documents": ("file", "a.csv", ".txt"),
    "delimiter": (";", "a.jsonl", ".csv, .tsv"),
    "quotes": ("no", "a.txt.gz", ".csv, .tsv"),
    "split": ("test", "a.csv", "hub:"),
}
FILES = {
    "a.txt": "great\n",
    "a.txt.gz": "great\n",
    "a.csv": "text,stars\ngreat,1\n",
    "a.jsonl": '{"text": "great", "stars": 1}\n',
}


@pytest.mark.clause("CORP-032")
@pytest.mark.parametrize("key", IGNORED)
def test_a_setting_for_another_kind_of_file_is_refused(key, tmp_path, monkeypatch):
    """One line names the kinds that use it; what the hint says loads the corpus."""
    monkeypatch.chdir(tmp_path)
    value, name, used = IGNORED[key]
    write(tmp_path / name, FILES[name])
    with pytest.raises(ConfigError) as raised:
        load(name, **{key: value})
    default = CorpusConfig.model_fields[key].default
    back = "omit it" if default is None else f"omit it, or use --set corpus.{key}={default}"
    expected = f"corpus.{key}: {value!r} would be ignored by {name}; it is for {used}; {back}"
    assert str(raised.value) == expected
    assert len(load(name, **{key: default})) == 1


@pytest.mark.clause("CORP-032")
def test_a_setting_for_one_of_several_files_is_used(tmp_path):
    """A folder of .txt and .csv files uses the settings of both."""
    write(tmp_path / "a.txt", "one\ntwo\n")
    write(tmp_path / "b.csv", "body\ngreat\n")
    assert len(load(tmp_path, text_column="body", documents="file", quotes="no")) == 2


def table(columns):
    """Return a parquet file of these columns."""
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.mark.clause("CORP-033")
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet"])
def test_a_chosen_label_column_must_exist(name, tmp_path):
    """The error lists the columns; the default column may be absent."""
    rows = {
        "a.csv": "text,stars\ngreat,1\n",
        "a.tsv": "text\tstars\ngreat\t1\n",
        "a.jsonl": '{"text": "great", "stars": 1}\n',
        "a.parquet": table({"text": ["great"], "stars": [1]}),
    }
    path = write(tmp_path / name, rows[name])
    with pytest.raises(CorpusError, match=r"no column 'star'; did you mean 'stars'\? choose with "
                       r"--label-column from 'text', 'stars'"):  # fmt: skip
        load(path, label_column="star")
    assert load(path, label_column="stars").dataset["label"][:] == [1]
    assert load(path).dataset.column_names == ["text"]
