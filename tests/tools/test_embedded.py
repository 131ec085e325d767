"""The checkpoint that ships can be made again (spec/model.md)."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from embedded.make import SHARE, app, speaks_of_people
from safetensors.torch import load_file
from support.runs import save_corpus, save_model
from transformers import AutoModelForMaskedLM, AutoTokenizer
from typer.testing import CliRunner

from mlmref.cli import app as command
from mlmref.model.embedded import embedded_checkpoint
from mlmref.settings.resolve import resolve

RECIPE = Path(__file__).parents[2] / "tools" / "embedded"
CARD = (embedded_checkpoint() / "README.md").read_text("utf-8")
RECIPES = ("general", "prose")


@pytest.mark.clause("MODEL-011")
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_file_of_settings(name):
    """It names its start, its text and its steps, and the card names it."""
    config = resolve(file=RECIPE / f"{name}.toml")
    assert config.model.name == "cognition/model"
    assert config.training.max_steps in {500, 11_577}
    assert config.corpus.name in CARD
    assert f"{name}.toml" in CARD


@pytest.mark.clause("MODEL-011")
def test_the_cards_commands_make_a_checkpoint(tmp_path, monkeypatch):
    """From the text on, on a small start and text: the average of two runs of two steps."""
    save_model(tmp_path / "cognition" / "model")
    save_corpus(tmp_path / "train.txt", copies=80)
    for name in RECIPES:
        shutil.copy(RECIPE / f"{name}.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```\n(mlmref run --config.*?)```", CARD, re.DOTALL)
    made = [line.split()[1:] for line in block.splitlines() if line]
    for one in made:
        if one[0] == "run":
            small = ["--max-steps", "2", "--test-size", "3", "--chunk-size", "16", "--quiet"]
            done = CliRunner().invoke(command, [*one, *small])
        else:
            done = CliRunner().invoke(app, one[1:])
        assert done.exit_code == 0, (one, done.output)
    first, second = (load_file(f"{name}/model.safetensors") for name in RECIPES)
    average = load_file("tiny-base/model.safetensors")
    assert average.keys() == first.keys()
    for name, value in average.items():
        expected = (1 - SHARE) * first[name] + SHARE * second[name]
        assert value.dtype == torch.float16
        assert torch.allclose(value.float(), expected, rtol=1e-3, atol=1e-6), name
    AutoModelForMaskedLM.from_pretrained("tiny-base")
    AutoTokenizer.from_pretrained("tiny-base")
    again = CliRunner().invoke(app, made[-1][1:])
    assert isinstance(again.exception, FileExistsError)


@pytest.mark.clause("MODEL-011")
def test_prose_is_what_speaks_of_people(tmp_path):
    """A pronoun in fifty words is enough, in capitals too, and one in fifty-one is not."""
    assert speaks_of_people("He " + 49 * "word ")
    assert not speaks_of_people("he " + 50 * "word ")
    assert not speaks_of_people("The theme is there: hers, Hertz, wed.")
    assert not speaks_of_people("")
    (tmp_path / "text").write_text("A file is read.\nI read it.\n", "utf-8")
    done = CliRunner().invoke(app, ["prose", str(tmp_path / "text"), str(tmp_path / "out")])
    assert done.exit_code == 0
    assert (tmp_path / "out").read_text("utf-8") == "I read it.\n"
    again = CliRunner().invoke(app, ["prose", str(tmp_path / "text"), str(tmp_path / "out")])
    assert isinstance(again.exception, FileExistsError)


@pytest.mark.clause("MODEL-011")
def test_what_ships_is_small_and_half():
    """Float16, under 9 MB, of the size that the card tells."""
    weights = embedded_checkpoint() / "model.safetensors"
    assert weights.stat().st_size < 9_000_000
    tensors = load_file(weights)
    assert {value.dtype for value in tensors.values()} == {torch.float16}
    assert f"{sum(value.numel() for value in tensors.values()):,}" in CARD
