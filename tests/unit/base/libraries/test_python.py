"""The standard library's private names and error texts are what mlmref relies on."""

import csv
from importlib.metadata import distributions

import pytest

from mlmref.base.libraries.python import is_lone_carriage_return, is_open_quote, metadata_folder

pytestmark = pytest.mark.clause("RUN-018")


def raised(lines):
    """Return the error of the csv module for these lines."""
    with pytest.raises(csv.Error) as caught:
        list(csv.reader(lines, strict=True))
    return caught.value


def test_errors_of_csv_are_recognized():
    """A lone carriage return, an open quotation mark, and neither of them."""
    lone, open_quote, other = raised(["a\rb\n"]), raised(['"a\n']), raised(['"a"b\n'])
    assert [is_lone_carriage_return(one) for one in (lone, open_quote, other)] == [
        True,
        False,
        False,
    ]
    assert [is_open_quote(one) for one in (lone, open_quote, other)] == [False, True, False]


def test_a_damaged_distribution_has_the_name_of_its_folder(tmp_path):
    """The folder's name is known although there are no metadata in it."""
    (tmp_path / "broken-1.0.dist-info").mkdir()
    (found,) = distributions(path=[str(tmp_path)])
    assert metadata_folder(found) == "broken-1.0.dist-info"
