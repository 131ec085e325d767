"""The reference of Python is what the docstrings say (spec/python.md)."""

import re

import api
import pytest

from mlmref.plugin import batches, contracts, hookspecs, kinds, training

PAGES = {file.stem: file.read_text("utf-8") for file in sorted(api.FOLDER.glob("*.md"))}


@pytest.mark.clause("API-017")
@pytest.mark.parametrize("page", [file.stem for file in api.pages()])
def test_the_pages_are_up_to_date(page):
    """``python docs/api.py`` would change nothing."""
    assert len(api.pages()) == 3
    assert api.written(PAGES[page]) == PAGES[page]


@pytest.mark.clause("API-017")
def test_the_pages_are_plain_markdown():
    """No directive and no reference of Sphinx, no address of an object, and fences are closed."""
    for name, page in PAGES.items():
        assert not re.search(r"eval-rst|:\w+:`|^\.\. | at 0x|(?<!`)``(?!`)", page, re.MULTILINE), (
            name
        )
        assert len(re.findall(r"^```", page, re.MULTILINE)) % 2 == 0, name


@pytest.mark.clause("API-017")
def test_the_types_of_plugins_are_described():
    """Each hook, kind, and public type of masking, words and training has its heading."""
    page = PAGES["plugins"]
    for module in (batches, contracts, training, hookspecs):
        for name in api._documented(module):
            assert f"### `{module.__name__}.{name}`\n" in page
    for kind in kinds.KINDS:
        assert f"`mlmref.plugin.hookspecs.{kind.hook}`" in page


@pytest.mark.clause("API-017")
def test_a_docstring_becomes_markdown():
    """Sections, entries over several lines, examples, code, and references as code."""
    text = """Return a thing, as :func:`~mlmref.a.make` does.

    More ``text``
    over two lines.

    >>> 1 + 1
    2

    For example::

        first()

        second()

    Args:
        one: a value
            over two lines.
        two, three: others.

    Returns:
        Its length.
    """
    import inspect

    assert api._text(inspect.cleandoc(text)) == (
        "Return a thing, as `make` does.\n\nMore `text` over two lines.\n\n"
        "```python\n>>> 1 + 1\n2\n```\n\nFor example:\n\n```python\nfirst()\n\nsecond()\n```\n\n"
        "**Args**\n\n- `one`: a value over two lines.\n- `two, three`: others.\n\n"
        "**Returns**\n\nIts length."
    )
