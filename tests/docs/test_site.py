"""The documentation's site and what is filled into it (spec/docs.md)."""

import re
import sys

import build
import commands
import notebooks
import pytest
from support.processes import run
from typer.main import get_command

import mlmref
from mlmref.cli import app

GOOD = {
    "docs/index.md": "# Site\n\n```{toctree}\nmore.md\n../README.md\nnote.ipynb\n```\n",
    "docs/more.md": "# More\n\n[up](../README.md#top-of-all) and ![p](p.svg)\n",
    "docs/p.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
    "docs/note.ipynb": '{"cells": [{"cell_type": "markdown", "source": "# Note"}]}',
    "README.md": "# Readme\n\n## Top of all\n\n[more](docs/more.md), [code](tool.py)\n",
    "tool.py": "",
}


def built(folder, pages):
    """Build a clone of some pages; returns the status and what was said."""
    for name, text in pages.items():
        file = folder / "clone" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    command = [sys.executable, build.__file__, folder / "site", folder / "clone"]
    done = run(command)
    return done.returncode, done.stderr


@pytest.mark.clause("DOC-002")
def test_a_site_without_fault_is_built(tmp_path):
    """Pages, a notebook and links between folders; the first page leads to the first of docs."""
    assert built(tmp_path, GOOD) == (0, "")
    site = tmp_path / "site"
    assert 'href="../README.html#top-of-all"' in (site / "docs/more.html").read_text("utf-8")
    assert "<h1>Note" in (site / "docs/note.html").read_text("utf-8")
    assert "docs/index.html" in (site / "index.html").read_text("utf-8")


@pytest.mark.clause("DOC-002")
def test_each_fault_fails_the_site(tmp_path):
    """A dead link, heading, picture, reference, and a page that nothing leads to, all in one go."""
    faults = GOOD | {
        "docs/more.md": "# More\n\n[a](no.md) [b](../README.md#no) ![c](no.svg) "
        "{py:func}`mlmref.no`\n\n```{eval-rst}\n.. nosuch::\n```\n",
        "docs/lost.md": "# Lost\n",
    }
    status, said = built(tmp_path, faults)
    assert status == 1
    for told in ("no.md", "'no'", "no.svg", "mlmref.no", "nosuch", "lost.md"):
        assert told in said


@pytest.mark.clause("DOC-004")
def test_the_reference_has_every_command_and_every_flag():
    """As typer's tree of commands has them, with each flag's help."""
    page = commands.reference()
    parts = dict(re.findall(r"^## mlmref (\S+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    tree = get_command(app).commands
    assert parts.keys() == {name for name, one in tree.items() if not one.hidden}
    for name, part in parts.items():
        for flag in tree[name].params:
            if not getattr(flag, "hidden", False):
                assert re.search(rf"^\| `[^`]*{re.escape(flag.opts[0])}\b", part, re.MULTILINE)
    assert r"embedded, a folder, or a name on the hub" in parts["run"]


@pytest.mark.clause("DOC-004")
def test_the_reference_is_filled_into_its_page():
    """In place of its mark, and nothing else is touched; the page of the site has the mark."""
    page = (build.ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    source = [page]
    commands.fill_in(None, "docs/reference/commands", source)
    assert source[0] == page.replace(commands.PLACE, commands.reference()) != page
    other = ["# Other\n"]
    commands.fill_in(None, "docs/other", other)
    assert other == ["# Other\n"]


@pytest.mark.clause("DOC-005")
def test_public_names_are_in_the_reference():
    """What ``import mlmref`` offers, each as the reference writes it."""
    folder = build.ROOT / "docs" / "reference"
    text = "".join(page.read_text("utf-8") for page in folder.glob("*.md"))
    for name in mlmref._HOMES:
        home = f"{mlmref._HOMES[name]}.{name}"
        assert f"### `mlmref.{name}`" in text or f"### `mlmref.{home}`" in text, name


@pytest.mark.clause("DOC-007")
def test_a_notebook_is_a_page():
    """Cells and outputs become Markdown; fences in them do not end the block."""
    cells = [
        {"cell_type": "markdown", "source": ["# A\n", "b"]},
        {
            "cell_type": "code",
            "source": "print('```')",
            "outputs": [
                {"name": "stdout", "text": ["```\n"]},
                {"data": {"text/plain": "x", "text/html": "<b>x</b>"}},
            ],
        },
    ]
    assert notebooks.markdown({"cells": cells}) == (
        "# A\nb\n\n````python\nprint('```')\n````\n\n````text\n```\n````\n\n\n<b>x</b>\n"
    )
