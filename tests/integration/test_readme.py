"""What the README says works as it stands there."""

import os
import re
import shlex
from pathlib import Path

import pytest
from support.runs import mlmref, save_corpus, save_model
from typer.testing import CliRunner

from mlmref.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^mlmref run .*$", README, re.MULTILINE)


def block(language, containing):
    """Return the README's code block that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [one for one in blocks if containing in one]
    return found


@pytest.mark.clause("CLI-002")
@pytest.mark.parametrize("command", COMMANDS)
def test_each_run_command_is_understood(command):
    """Its flags exist and its values are valid."""
    assert len(COMMANDS) >= 3
    got = CliRunner().invoke(app, [*shlex.split(command)[1:], "--print-config"])
    assert got.exit_code == 0, got.stderr


@pytest.mark.clause("PLUG-001")
def test_the_readmes_plugin_works_as_an_outside_distribution(tmp_path):
    """From its two code blocks to a finished run, listed with its distribution and option."""
    site = tmp_path / "site"
    info = site / "mlmref_every_other-0.3.dist-info"
    info.mkdir(parents=True)
    (site / "every_other.py").write_text(block("python", "class EveryOther:"))
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: mlmref-every-other\nVersion: 0.3\n"
    )
    (name, value) = re.search(r"^(\S+) = \"(\S+)\"$", block("toml", "entry-points"), re.M).groups()
    (info / "entry_points.txt").write_text(f"[mlmref]\n{name} = {value}\n")
    env = os.environ | {"PYTHONPATH": str(site), "COLUMNS": "200"}

    listed = mlmref("plugins", env=env).stdout
    assert re.search(r"every-other\s+mlmref-every-other:every-other 0\.3", listed)
    save_model(tmp_path / "model")
    save_corpus(tmp_path / "corpus.txt")
    run = "run --model ./model --corpus corpus.txt --chunk-size 16 --batch-size 8 --output out"
    options = [
        "--masking",
        "every-other",
        "--mlm-probability",
        "0.4",
        "--max-steps",
        "2",
        "--quiet",
    ]
    done = mlmref(*run.split(), *options, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    record = (tmp_path / "out" / "record.json").read_text()
    assert '"distribution": "mlmref-every-other"' in record
    assert '"mlm_probability": 0.4' in record


@pytest.mark.clause("RUN-008")
def test_the_readmes_python_example_runs(tmp_path, monkeypatch, capsys):
    """The example as printed, on a small corpus and the embedded checkpoint."""
    monkeypatch.chdir(tmp_path)
    save_corpus(tmp_path / "notes.txt", copies=60)
    exec(block("python", "result = mlmref.run"), {})  # noqa: S102 - the README's own
    perplexity, folder = capsys.readouterr().out.split()
    assert float(perplexity) > 1
    assert (tmp_path / folder / "model.safetensors").exists()
