"""The scripts in examples/ run, and print a lower perplexity after training (spec/python.md)."""

import re
import runpy
from pathlib import Path

import pytest

import mlmref

SLOWEST = {"with_lightning.py", "sentence_encoder.py", "plain_pytorch.py"}
FOLDER = Path(__file__).parents[2] / "examples"
ARGUMENTS = {
    "run_mlm.py": ["--output_dir=out", "--learning_rate=2e-4", "--max_steps=8", "--report_to=none"],
}


@pytest.mark.clause("API-020")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(file.name, marks=[pytest.mark.full] * (file.name in SLOWEST))
        for file in sorted(FOLDER.glob("*.py"))
    ],
)
def test_an_example_runs_and_the_perplexity_falls(name, tmp_path, monkeypatch, capsys):
    """On fewer documents than it names, and in less than 60 lines."""
    assert len((FOLDER / name).read_text("utf-8").splitlines()) < 60
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [name, *ARGUMENTS.get(name, [])])
    load = mlmref.load_corpus
    monkeypatch.setattr(mlmref, "load_corpus", lambda name, limit: load(name, limit=limit // 25))
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    said = capsys.readouterr().out
    before, after = (
        float(re.search(rf"{when}: *Perplexity\(([\d.,]+)", said)[1].replace(",", ""))
        for when in ("before", "after")
    )
    assert after < before
