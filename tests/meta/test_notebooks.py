"""The notebook covers the tutorial, and its Chinese translation is up to date (spec/docs.md)."""

import copy
import itertools
import re

import notebooks
import pytest

COURSE = (
    "AutoModelForMaskedLM.from_pretrained",
    'load_dataset("imdb")',
    "tokenize_function",
    "group_texts",
    "DataCollatorForLanguageModeling",
    "whole_word_masking_data_collator",
    "train_test_split",
    "Trainer",
    "math.exp(eval_loss)",
    "insert_random_mask",
    "Accelerate",
    "push_to_hub",
    'pipeline("fill-mask")',
)


def text(source, kind="markdown", id_="a"):
    """Return a cell; a code cell has an output."""
    cell = {"cell_type": kind, "id": id_, "metadata": {}, "source": source.splitlines(True)}
    if kind == "code":
        output = {"output_type": "stream", "name": "stdout", "text": "1\n"}
        cell |= {"outputs": [output], "execution_count": None}
    return cell


@pytest.fixture
def english():
    """Return a small notebook."""
    return {"cells": [text("# One"), text("print(1)", "code", "b"), text("Two", id_="c")]}


@pytest.fixture
def chinese():
    """Return its translation, without digests and without code."""
    return {"cells": [text("# 一"), text("二", id_="c")]}


@pytest.fixture(scope="module")
def saved():
    """Return the English notebook of the documentation."""
    return notebooks.read(notebooks.NOTEBOOK)


@pytest.mark.clause("DOC-011")
def test_the_notebook_has_every_step_in_order(saved):
    """T01 to T20 are headings, and a text comes before each cell of code."""
    texts = "\n".join("".join(c["source"]) for c in saved["cells"] if c["cell_type"] != "code")
    steps = re.findall(r"^#+ (T\d\d) ", texts, re.MULTILINE)
    assert steps == [f"T{step:02}" for step in range(1, 21)]
    kinds = [cell["cell_type"] for cell in saved["cells"]]
    assert ("code", "code") not in {*itertools.pairwise(kinds)}
    headings = re.findall(r"^### Exercise (\d)", texts, re.MULTILINE)
    assert headings == ["1", "2", "3", "4", "5"]


@pytest.mark.clause("DOC-011")
def test_the_notebook_shows_the_errors_of_the_course(saved):
    """Each is named in the output of a cell that runs both versions, and in the text above it."""
    printed = "\n".join(notebooks.printed(saved))
    texts = "\n".join("".join(c["source"]) for c in saved["cells"] if c["cell_type"] != "code")
    for error in (*range(2, 12 + 1),):
        assert f"(E{error:02}" in printed or f", E{error:02})" in printed, error
    assert {*re.findall(r"E\d\d", texts)} == {f"E{error:02}" for error in range(1, 15)}


@pytest.mark.clause("DOC-011")
@pytest.mark.parametrize("name", COURSE)
def test_the_table_maps_the_functions_of_the_course(saved, name):
    """A row has the function on the left and a call on the right."""
    cell = next(one for one in saved["cells"] if one["id"] == "table-text")
    rows = [
        row.split(" | ") for row in "".join(cell["source"]).splitlines() if row.startswith("| ")
    ]
    assert any(name in row[0] and "`" in row[1] for row in rows)


@pytest.mark.clause("DOC-012")
def test_the_chinese_notebook_is_in_step(saved):
    """It has the same code and outputs, digests of today's texts, and both link to each other."""
    chinese = notebooks.read(notebooks.CHINESE)
    assert [*notebooks.lags(saved, chinese)] == []
    assert notebooks.written(chinese) == notebooks.CHINESE.read_text("utf-8")
    assert "](tutorial.zh.ipynb)" in "".join(saved["cells"][0]["source"])
    assert "](tutorial.ipynb)" in "".join(chinese["cells"][0]["source"])
    for one, other in zip(saved["cells"], chinese["cells"], strict=True):
        if one["cell_type"] == "markdown":
            texts = ["".join(cell["source"]) for cell in (one, other)]
            steps = [sorted({*re.findall(r"[TE]\d\d", part)}) for part in texts]
            assert steps[0] == steps[1], one["id"]


@pytest.mark.clause("DOC-012")
def test_a_stamped_translation_is_in_step(english, chinese):
    """It gets code, outputs and digests; stamping it again changes nothing."""
    stamped = notebooks.stamped(english, chinese)
    assert [*notebooks.lags(english, stamped)] == []
    assert stamped["cells"][1] == english["cells"][1]
    assert stamped["cells"][0]["source"].startswith("# 一\n\n<!-- en: ")
    assert notebooks.stamped(english, stamped) == stamped


@pytest.mark.clause("DOC-012")
def test_changes_are_reported(english, chinese):
    """A changed text, changed code, a changed output and a new text are each found by id."""
    stamped = notebooks.stamped(english, chinese)
    for change, expected in (
        (lambda cells: cells[0]["source"].append("\nmore"), "a: lags behind"),
        (lambda cells: cells[1].update(source=["print(2)"]), "b: code or output differs"),
        (lambda cells: cells[1]["outputs"].clear(), "b: code or output differs"),
        (lambda cells: cells.append(text("Three", id_="d")), "the cells differ"),
    ):
        changed = copy.deepcopy(english)
        change(changed["cells"])
        (wrong,) = notebooks.lags(changed, stamped)
        assert wrong.startswith(expected)
    rewrapped = copy.deepcopy(english)
    rewrapped["cells"][0]["source"] = ["#  One\n"]
    assert [*notebooks.lags(rewrapped, stamped)] == []


@pytest.mark.clause("DOC-012")
def test_one_text_is_stamped_alone(english, chinese):
    """The other texts still lag; unknown ids, and texts that do not match, are refused."""
    (wrong,) = notebooks.lags(english, notebooks.stamped(english, chinese, ["c"]))
    assert wrong.startswith("a: lags")
    with pytest.raises(ValueError, match=r"no text \['z'\]"):
        notebooks.stamped(english, chinese, ["z"])
    chinese["cells"].pop()
    with pytest.raises(ValueError, match=r"differ in \['c'\]"):
        notebooks.stamped(english, chinese)


@pytest.mark.clause("DOC-012")
def test_the_command_stamps_and_reports(english, chinese, tmp_path, monkeypatch, capsys):
    """It stamps the named text and exits with 1 until no text lags."""
    for name, notebook in (("NOTEBOOK", english), ("CHINESE", chinese)):
        file = tmp_path / f"{name}.ipynb"
        file.write_text(notebooks.written(notebook), "utf-8")
        monkeypatch.setattr(notebooks, name, file)
    assert notebooks.main(["--stamp", "c"]) == 1
    assert capsys.readouterr().out.startswith("a: lags")
    assert notebooks.main(["--stamp"]) == 0
    assert "in step" in capsys.readouterr().out
    assert notebooks.main(["--stamp", "z"]) == 1
    assert "no text" in capsys.readouterr().out
