"""Read and write ``record.json`` (spec/run.md, RUN-006; spec/report.md, REP-017)."""

import re

import pytest

from mlmref.base.errors import OutputError
from mlmref.results.record import read_record, write_record


@pytest.mark.clause("RUN-006")
def test_a_record_is_read_as_it_was_written(tmp_path):
    """Texts and nested values come back; NaN is ``null``, an infinity its name."""
    write_record(tmp_path, {"a": "é", "b": [1, {"c": 0.5}], "nan": float("nan"), "inf": -1e999})
    read = read_record(tmp_path)
    assert read == {"a": "é", "b": [1, {"c": 0.5}], "nan": None, "inf": "-Infinity"}


@pytest.mark.clause("REP-017")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_damaged_record_is_one_line_that_names_the_file(tmp_path, content):
    """An empty, cut off, foreign or nested file is an error with the path, not a traceback."""
    file = tmp_path / "record.json"
    file.write_bytes(content)
    with pytest.raises(OutputError, match=re.escape("it is damaged (")) as raised:
        read_record(tmp_path)
    assert raised.value.where == str(file)


@pytest.mark.clause("REP-017")
def test_a_missing_record_is_an_error_of_the_system(tmp_path):
    """Callers decide what the absence of a record means."""
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path)
