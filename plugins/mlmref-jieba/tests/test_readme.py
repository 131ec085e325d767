"""What the README shows is so."""

import doctest
from pathlib import Path


def test_the_examples_of_the_readme():
    """Its Python gives what stands below it."""
    found = doctest.testfile(str(Path(__file__).parents[1] / "README.md"), module_relative=False)
    assert found.attempted > 2
    assert not found.failed
