"""Corpora that cannot be read or used: the very line, and nothing changed (RUN-001, RUN-002)."""

import json
import os
import shutil

import pytest
from support.bad_inputs import RUN, check_refused, told

EMPTY = "string should have at least 1 character"
GREAT = "a document of over 16 MB; cut it into several documents"
KINDS = ".txt, .csv, .tsv, .jsonl, .parquet, .txt.gz, .csv.gz, .tsv.gz, .jsonl.gz"
LONG = "x" * 300
NAMES = "name a file, a folder or a glob, imdb, or hub:NAME for a data set on the hub"
NO_TEXT = "no document holds text; empty ones:"
NUL = "NUL character; is it UTF-16 or binary? convert it to UTF-8 text"
OBJECT = "put one object on a line"

CORPUS = {
    "missing file": ("--corpus nowhere.txt", f"nowhere.txt: no such file or folder; {NAMES}"),
    "missing folder": ("--corpus ./nowhere/", f"./nowhere/: no such file or folder; {NAMES}"),
    "glob of nothing": ("--corpus '*.zst'", f"*.zst: a glob that matches no {KINDS} file"),
    "glob below nothing": (
        "--corpus 'nowhere/*.txt'",
        "nowhere: cannot be read (No such file or directory)",
    ),
    "empty folder": ("--corpus nothing", f"nothing: a folder without any {KINDS} file"),
    "folder called like a file": (
        "--corpus dir.txt",
        f"dir.txt: a folder without any {KINDS} file",
    ),
    "unsupported kind": (
        "--corpus notes.pdf",
        f"notes.pdf: no kind of file that can be read; use {KINDS}",
    ),
    "no extension": ("--corpus a-file", f"a-file: no kind of file that can be read; use {KINDS}"),
    "empty text": ("--corpus empty.txt", f"empty.txt: {NO_TEXT} 0"),
    "empty gzip": ("--corpus empty.txt.gz", f"empty.txt.gz: {NO_TEXT} 0"),
    "empty CSV": (
        "--corpus empty.csv",
        "empty.csv: no column 'text'; choose with --text-column from none: the file is empty",
    ),
    "empty JSON lines": ("--corpus empty.jsonl", f"empty.jsonl: {NO_TEXT} 0"),
    "empty parquet": (
        "--corpus empty.parquet",
        "empty.parquet: damaged parquet file (Parquet file size is 0 bytes)",
    ),
    "white space alone": ("--corpus blank.txt", f"blank.txt: {NO_TEXT} 3"),
    "blank rows": ("--corpus blank.csv", f"blank.csv: {NO_TEXT} 1"),
    "header alone": ("--corpus header.csv", f"header.csv: {NO_TEXT} 0"),
    "absent column": (
        "--corpus other.csv",
        "other.csv: no column 'text'; choose with --text-column from 'body', 'label'",
    ),
    "absent column of a name given": (
        "--corpus other.csv --text-column bodi",
        "other.csv: no column 'bodi'; did you mean 'body'? choose with --text-column from "
        "'body', 'label'",
    ),
    "column twice": ("--corpus twice.csv", "twice.csv: several columns are called 'text'"),
    "another delimiter": (
        "--corpus semicolons.csv",
        "semicolons.csv, line 1: the header 'text;label' is separated by semicolons, not commas; "
        "add --set 'corpus.delimiter=;'",
    ),
    "ragged CSV": (
        "--corpus ragged.csv",
        "ragged.csv, line 3: 3 cells where the header has 2; quote a cell that holds the delimiter",
    ),
    "CSV with a cell too few": (
        "--corpus short.csv",
        "short.csv, line 2: 1 cells where the header has 2; quote a cell that holds the delimiter",
    ),
    "quotation mark left open": (
        "--corpus open.csv",
        "open.csv, line 3: a quotation mark that is never closed; close or double it, or read "
        "quotation marks as text with --set corpus.quotes=no",
    ),
    "quotation mark within": (
        "--corpus within.csv",
        "within.csv, line 2: broken cells (',' expected after '\"'); double a quotation mark "
        "within a quoted cell, or read quotation marks as text with --set corpus.quotes=no",
    ),
    "line ends of old": (
        "--corpus mac.csv",
        "mac.csv, line 1: a line that ends with a carriage return alone; convert its line ends",
    ),
    "not UTF-8": (
        "--corpus latin.txt",
        "latin.txt, line 1: not UTF-8 at byte 3; convert the file to UTF-8",
    ),
    "UTF-16": (
        "--corpus utf16.txt",
        "utf16.txt: UTF-16, not UTF-8; convert it, such as with iconv -f UTF-16 -t UTF-8",
    ),
    "binary": ("--corpus binary.txt", f"binary.txt, line 1: {NUL}"),
    "NUL byte": ("--corpus nul.txt", f"nul.txt, line 1: {NUL}"),
    "NUL in CSV": ("--corpus nul.csv", f"nul.csv, line 3: {NUL}"),
    "NUL in JSON": ("--corpus nul.jsonl", f"nul.jsonl, line 1: {NUL}"),
    "not JSON": (
        "--corpus broken.jsonl",
        f"broken.jsonl, line 2: not JSON (Expecting value: line 1 column 10 (char 9)); {OBJECT}",
    ),
    "JSON over many lines": (
        "--corpus pretty.jsonl",
        "pretty.jsonl, line 1: not JSON (Expecting property name enclosed in double quotes: "
        f"line 1 column 2 (char 1)); {OBJECT}",
    ),
    "JSON array": ("--corpus array.jsonl", f"array.jsonl, line 1: not a JSON object; {OBJECT}"),
    "JSON nested without end": (
        "--corpus deep.jsonl",
        f"deep.jsonl, line 1: not JSON (nested too deep); {OBJECT}",
    ),
    "JSON with half a character": (
        "--corpus half.jsonl",
        "half.jsonl, line 1: no text ('utf-8' codec can't encode character '\\ud800' in "
        "position 0: surrogates not allowed)",
    ),
    "a number for a text": (
        "--corpus number.jsonl",
        "number.jsonl, line 1: column 'text' holds 3, not text",
    ),
    "a long number for a text": (
        "--corpus long-number.jsonl",
        "long-number.jsonl, line 1: column 'text' holds Infinity, not text",
    ),
    "a list for a text": (
        "--corpus list.jsonl",
        "list.jsonl, line 1: column 'text' holds [\"fine\"], not text",
    ),
    "another key in a later line": (
        "--corpus later.jsonl",
        "later.jsonl, line 2: no column 'text'; did you mean 'Text'? choose with "
        "--text-column from 'Text'",
    ),
    "damaged gzip": (
        "--corpus broken.txt.gz",
        "broken.txt.gz: damaged gzip file (Compressed file ended before the end-of-stream "
        "marker was reached)",
    ),
    "no gzip": (
        "--corpus not.txt.gz",
        "not.txt.gz: damaged gzip file (Not a gzipped file (b'a '))",
    ),
    "damaged parquet": (
        "--corpus broken.parquet",
        "broken.parquet: damaged parquet file (Parquet magic bytes not found in footer. "
        "Either the file is corrupted or this is not a parquet file.)",
    ),
    "numbers in parquet": (
        "--corpus numbers.parquet",
        "numbers.parquet: column 'text' holds int64, not text",
    ),
    "a document of 100 MB": ("--corpus large.txt", f"large.txt, line 1: {GREAT}"),
    "a file of 100 MB as one document": (
        "--corpus many.txt --documents file",
        f"many.txt: {GREAT}",
    ),
    "link to nothing": ("--corpus dead.txt", "dead.txt: a link that leads to no file or folder"),
    "link to itself": ("--corpus itself.txt", "itself.txt: a link that leads to no file or folder"),
    "dead link in a folder": (
        "--corpus links",
        "links/b.txt: a link that leads to no file or folder",
    ),
    "pipe": ("--corpus pipe.txt", f"pipe.txt: no kind of file that can be read; use {KINDS}"),
    "socket": ("--corpus socket.txt", f"socket.txt: no kind of file that can be read; use {KINDS}"),
    "device": ("--corpus /dev/zero", f"/dev/zero: no kind of file that can be read; use {KINDS}"),
    "what a process is made of": (
        "--corpus /proc/self/mem",
        f"/proc/self/mem: no kind of file that can be read; use {KINDS}",
    ),
    "below a file": (
        "--corpus corpus.txt/x.txt",
        f"corpus.txt/x.txt: no such file or folder; {NAMES}",
    ),
    "name too long": (f"--corpus {LONG}", f"{LONG}: cannot be read (File name too long)"),
    "no such user": (
        "--corpus '~nobody-is-called-so/a.txt'",
        f"~nobody-is-called-so/a.txt: no such user; {NAMES}",
    ),
    "name without a text": ("--corpus ''", f'--corpus: corpus.name = "": {EMPTY}'),
    "files that do not go together": (
        "--corpus mixed",
        "mixed/b.csv: no label column, but mixed/a.csv has one; give files that belong "
        "together the same columns",
    ),
    "file with a name in another encoding": (
        "--corpus odd",
        f"odd: no such file or folder; {NAMES}",
    ),
    "hub without a name": ("--corpus hub:", "hub:: no name; give hub:NAME or hub:NAME:CONFIG"),
    "hub with an impossible name": (
        "--corpus hub:../x",
        "hub:../x: cannot be loaded (*); check its name, configuration and split, and the "
        "connection",
    ),
    "corpus shorter than a chunk": (
        "--corpus short.txt",
        "8 tokens do not fill one chunk of 16; use --remainder pad or a smaller --chunk-size",
    ),
    "a chunk and nothing to hold out": (
        "--corpus few.txt",
        "split: train_size rest and test_size 0.1 leave none of the 1 chunks there are to "
        "train on; use --train-size rest and a --test-size such as 0.1, or smaller chunks",
    ),
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CLI-003")
@pytest.mark.clause("CORP-008")
@pytest.mark.clause("CORP-020")
@pytest.mark.parametrize(("arguments", "expected"), CORPUS.values(), ids=CORPUS.keys())
def test_a_bad_corpus_gets_its_line_and_status_2(place, monkeypatch, arguments, expected):
    """File, place in it, what is wrong and what to do; no file is made or changed."""
    monkeypatch.chdir(place)
    check_refused(place, RUN + arguments, expected)


@pytest.mark.clause("SEC-009")
@pytest.mark.clause("CORP-006")
def test_a_file_whose_name_is_no_utf8_is_read_where_it_is_not_named(place, tmp_path, monkeypatch):
    """By its folder; in the record it is spelled out, and named itself it is refused."""
    name = os.fsdecode(b"caf\xe9.txt")
    (tmp_path / "odd").mkdir()
    shutil.copy(place / "corpus.txt", tmp_path / "odd" / name)
    monkeypatch.chdir(place)
    status, text = told(RUN + f"--max-steps 1 --corpus {tmp_path}/odd --output {tmp_path}/out")
    assert status == 0, text
    record = json.loads((tmp_path / "out" / "record.json").read_text("utf-8"))
    assert record["corpus"]["source"] == f"{tmp_path}/odd/caf\\udce9.txt"
    check_refused(
        place,
        RUN + f"--corpus '{tmp_path}/odd/{name}'",
        "--corpus: corpus.name is not UTF-8; remove the character",
    )


@pytest.mark.clause("CORP-013")
@pytest.mark.parametrize("label", ["9" * 19, "-" + "9" * 19, "1e3", "nan", "positive"])
def test_labels_out_of_range_are_left_out_with_a_note(place, tmp_path, monkeypatch, label):
    """No label is needed to train on, so one that is none stops nothing, and is told."""
    rows = "".join(f"a great film of many words,{number % 2}\n" for number in range(40))
    (tmp_path / "labels.csv").write_text(f"text,label\n{rows}a dull one,{label}\n")
    monkeypatch.chdir(place)
    arguments = RUN.replace("--quiet", "") + f"--max-steps 1 --output {tmp_path}/out"
    status, text = told(f"{arguments} --corpus {tmp_path}/labels.csv")
    assert status == 0, text
    where = f"{tmp_path}/labels.csv, line 42"
    note = f"labels are ignored: that of {where} is not an integer of up to 18 digits"
    assert note in text.splitlines()
