"""The page about the architecture shows the packages as they are (spec/docs.md)."""

import architecture
import pytest

PAGE = architecture.PAGE.read_text("utf-8")


@pytest.mark.clause("DOC-010")
def test_the_page_lists_the_packages():
    """Every package and module is on the page with the first line of its docstring."""
    assert architecture.written(PAGE) == PAGE


@pytest.mark.clause("DOC-010")
def test_every_package_is_a_layer():
    """The layers of the import contract are the packages of mlmref, each of them once."""
    folders = (architecture.ROOT / "mlmref").iterdir()
    packages = [one.name for one in folders if (one / "__init__.py").exists()]
    assert sorted(architecture.layers()) == sorted(packages)
