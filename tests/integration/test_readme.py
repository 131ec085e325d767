"""What the README says works as it stands there."""

import json
import re
import shlex
from pathlib import Path

import pytest
from support.models import tiny_model
from support.outsider import Outsider
from support.runs import save_corpus, save_model
from support.tokenizers import TEXT
from transformers import Trainer, TrainingArguments
from typer.testing import CliRunner

import mlmref
from mlmref.base.errors import MlmrefError
from mlmref.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "plugin.md").read_text("utf-8")
SECTION = GUIDE.split("## A masking strategy")[1].split("\n## ")[0]
WALK = re.findall(r"^(?:mlmref|pip) .*$", SECTION, re.MULTILINE)
"""What a plugin's author types, in this order."""
OTHERS = re.findall(r"^mlmref new-plugin .*$", GUIDE.replace(SECTION, ""), re.MULTILINE)
COMMANDS = [one for one in re.findall(r"^mlmref run .*$", README, re.MULTILINE) if one not in WALK]


def block(language, containing, page=README):
    """Return the page's code block that contains a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    (found,) = [one for one in blocks if containing in one]
    return found


@pytest.mark.clause("CLI-002")
@pytest.mark.parametrize("command", COMMANDS)
def test_each_run_command_is_understood(command):
    """Its flags exist and its values are valid."""
    assert len(COMMANDS) >= 3
    got = CliRunner().invoke(app, [*shlex.split(command)[1:], "--print-config"])
    assert got.exit_code == 0, got.stderr


PREVIEWS = re.findall(r"^mlmref preview .*$", README, re.MULTILINE)


@pytest.mark.clause("PREV-012")
@pytest.mark.parametrize("command", PREVIEWS)
def test_each_preview_command_is_understood(command, monkeypatch, tmp_path):
    """Its flags exist and give settings, with which the work would begin."""
    begun = []

    def begin(settings, **asked):
        begun.append([one.masking.strategy for one in settings])
        raise MlmrefError("far enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mlmref.studies.preview.preview.preview", begin)
    got = CliRunner().invoke(app, shlex.split(command)[1:])
    assert got.stderr == "mlmref: far enough\n"
    assert begun == [re.findall(r"--masking (\S+)", command) or ["token"]]


COMPARES = re.findall(r"^mlmref compare .*$", README, re.MULTILINE)


@pytest.mark.clause("COMP-004")
@pytest.mark.parametrize("command", COMPARES)
def test_each_compare_command_is_understood(command, monkeypatch, tmp_path):
    """It lists ten runs, none of which was made."""
    assert len(COMPARES) >= 2
    monkeypatch.chdir(tmp_path)
    got = CliRunner().invoke(app, [*shlex.split(command)[1:], "--dry-run", "--json"])
    assert got.exit_code == 0, got.stderr
    assert [one["state"] for one in json.loads(got.stdout)] == ["to do"] * 10


@pytest.mark.clause("DOC-003")
def test_the_readme_shows_the_guides_walk():
    """What the README has of it, command or strategy, is the guide's to the letter."""
    for command in re.findall(r"^(?:mlmref new-plugin|pip install -e) .*$", README, re.MULTILINE):
        assert command in WALK
    for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        if "class EveryOther:" in code:
            assert code == block("python", "class EveryOther:", GUIDE)


@pytest.mark.clause("DOC-003")
@pytest.mark.parametrize("command", OTHERS)
def test_the_guides_other_packages_are_written(command, monkeypatch, tmp_path):
    """A backend's and a segmenter's."""
    monkeypatch.chdir(tmp_path)
    assert len(OTHERS) == 2
    got = CliRunner().invoke(app, shlex.split(command)[1:])
    assert got.exit_code == 0, got.output
    assert (tmp_path / f"mlmref-{command.split()[2]}" / "pyproject.toml").exists()


@pytest.mark.clause("DOC-003")
@pytest.mark.clause("NEW-008")
@pytest.mark.clause("PLUG-001")
def test_the_way_from_nothing_to_a_run_with_a_strategy_of_ones_own(tmp_path):
    """Each command and the strategy as they stand there, the run on a small model and corpus."""
    outsider, here = Outsider(tmp_path), tmp_path / "here"
    here.mkdir()
    save_model(here / "model")
    save_corpus(here / "corpus.txt")
    new, install, check, listed, run = WALK
    package = here / "mlmref-mine" / "src" / "mlmref_mine" / "__init__.py"

    def typed(command):
        done = outsider(command, here)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    typed(new)
    assert str(package.relative_to(here)) in GUIDE
    package.write_text(block("python", "class EveryOther:", GUIDE), "utf-8")
    typed(install)
    assert "MASK-003" in typed(check)
    assert re.search(r"mine\s+mlmref-mine:mine 0\.1\.0", typed(listed))
    small = "--model ./model --corpus corpus.txt --chunk-size 16 --batch-size 8 --max-steps 2"
    typed(f"{run} {small} --output out --quiet")
    record = json.loads((here / "out" / "record.json").read_text("utf-8"))
    assert record["config"]["masking"]["strategy"] == "mine"
    assert record["config"]["masking"]["options"] == {"mlm_probability": 0.4}
    assert '"distribution": "mlmref-mine"' in json.dumps(record)


@pytest.mark.clause("DOC-003")
@pytest.mark.clause("COLL-001")
def test_the_readmes_python_example_runs(tmp_path):
    """The example as printed, with a tokenizer, a model and chunks as its reader has them."""
    tokenizer = mlmref.load_tokenizer()
    chunks = mlmref.chunk(mlmref.tokenize(TEXT * 4, tokenizer), 16).to_dataset()
    train, test = chunks.select(range(16)), chunks.select(range(16, 24))
    args = TrainingArguments(str(tmp_path), max_steps=1, report_to="none", use_cpu=True)
    names = {
        "tokenizer": tokenizer,
        "model": tiny_model("bert", vocab_size=len(tokenizer)),
        "train": train,
        "test": test,
        "args": args,
        "Trainer": Trainer,
    }
    exec(block("python", "MaskingCollator"), names)  # noqa: S102 - the README's own
    trainer = names["trainer"]
    assert trainer.train().global_step == 1
    assert trainer.evaluate()["eval_loss"] == trainer.evaluate()["eval_loss"]
