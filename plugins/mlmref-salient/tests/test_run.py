"""A whole run with salient masking, as a user starts it."""

import json
import subprocess
import sys

import pytest

COMMON = "The cat sat on the mat, and the dog sat on the cat.\n"
DOMAIN = "The film sat on the shelf; the film and the cat were on the mat.\n"


def run(*arguments, cwd):
    """Run a command as a user does."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a corpus and a text of other things."""
    (tmp_path / "common.txt").write_text(COMMON * 50, "utf-8")
    (tmp_path / "domain.txt").write_text(DOMAIN * 80, "utf-8")
    return tmp_path


RUN = ["mlmref", "run", "--corpus", "domain.txt", "--masking", "salient", "--chunk-size", "32"]
RUN += ["--max-steps", "2", "--output", "out", "--quiet"]


def test_a_run_with_a_background(folder):
    """From a text of other things to a finished run, which records its options."""
    made = run("mlmref_salient", "background", "b.json", "--corpus", "common.txt", cwd=folder)
    assert made.returncode == 0, made.stderr
    done = run(*RUN, "--set", "masking.options.background=b.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "out" / "record.json").read_text("utf-8"))
    assert record["config"]["masking"]["options"] == {
        "mlm_probability": 0.15,
        "background": "b.json",
        "smoothing": 100.0,
        "most": 10.0,
    }
    assert record["perplexity"]["after"]["value"] > 1


def test_a_background_that_is_not_there_is_one_line(folder):
    """Exit status 2, the plugin, the file and the reason; no run folder."""
    done = run(*RUN, "--set", "masking.options.background=b.json", cwd=folder)
    assert done.returncode == 2
    assert "mlmref-salient" in done.stderr
    assert "b.json cannot be read: No such file or directory" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "out").exists()
