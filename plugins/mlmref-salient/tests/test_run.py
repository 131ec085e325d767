"""A whole run with salient masking, from the background's text on."""

import json

import pytest
from mlmref_salient.__main__ import app
from typer.testing import CliRunner

import mlmref
from mlmref.plugin import MlmrefError

COMMON = "The cat sat on the mat, and the dog sat on the cat.\n"
DOMAIN = "The film sat on the shelf; the film and the cat were on the mat.\n"


@pytest.fixture
def folder(tmp_path):
    """Make a folder with a corpus and a text of other things."""
    (tmp_path / "common.txt").write_text(COMMON * 50, "utf-8")
    (tmp_path / "domain.txt").write_text(DOMAIN * 80, "utf-8")
    return tmp_path


def run(folder):
    """Run mlmref in the folder, with its background."""
    mlmref.run(
        mlmref.Config(
            corpus={"name": str(folder / "domain.txt")},
            masking={
                "strategy": "salient",
                "options": {"background": str(folder / "b.json")},
            },
            chunks={"size": 32},
            training={"max_steps": 2},
            output={"folder": str(folder / "out")},
        )
    )


def test_a_run_with_a_background(folder):
    """From a text of other things to a finished run, which records its options."""
    written, corpus = str(folder / "b.json"), str(folder / "common.txt")
    made = CliRunner().invoke(app, ["background", written, "--corpus", corpus])
    assert made.exit_code == 0, made.output
    run(folder)
    record = json.loads((folder / "out" / "record.json").read_text("utf-8"))
    assert record["config"]["masking"]["options"] == {
        "mlm_probability": 0.15,
        "background": written,
        "smoothing": 100.0,
        "most": 10.0,
    }
    assert record["perplexity"]["after"]["value"] > 1


def test_a_background_that_does_not_exist_is_one_line(folder):
    """The error names the plugin, the file and the reason; no run folder is made."""
    with pytest.raises(MlmrefError) as refused:
        run(folder)
    text = str(refused.value)
    assert "mlmref-salient" in text
    assert "b.json cannot be read: No such file or directory" in text
    assert len(text.splitlines()) == 1
    assert not (folder / "out").exists()
