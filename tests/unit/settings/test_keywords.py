"""Settings as keyword arguments in Python (spec/python.md)."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from support.runs import save_corpus
from typer.main import get_command

import mlmref
from mlmref import Config, resolve
from mlmref.base.errors import ConfigError
from mlmref.cli import app
from mlmref.settings.keywords import TEXT_AND_MASKS, TRAINING_ONLY, config_of, keywords


def configured(config=None, /, **settings):
    """Return the configuration that ``mlmref.run`` makes of its arguments."""
    return config_of(mlmref.run, config, settings, known=keywords())


@pytest.mark.clause("API-001")
@pytest.mark.parametrize("name", ["run", "evaluate"])
def test_the_arguments_are_the_flags(name):
    """Each setting of the command is an argument with its default, and so is the model."""
    command = get_command(app).commands[name]
    parameters = inspect.signature(getattr(mlmref, name)).parameters
    known = keywords() if name == "run" else keywords(TEXT_AND_MASKS, TRAINING_ONLY)
    assert known.keys() == {"model", *command.settings}
    assert known.keys() <= parameters.keys()
    for keyword, flag in command.settings.items():
        assert parameters[keyword].default == flag.default


@pytest.mark.clause("API-001")
def test_arguments_set_what_the_flags_set():
    """Also options, repeatable flags, shares, paths and NumPy's numbers; others keep defaults."""
    config = configured(
        corpus=Path("notes.txt"),
        masking="whole-word",
        mlm_probability=0.2,
        epochs=np.int64(2),
        learning_rate=np.float32(0.5),
        train_size="rest",
        test_size=20,
        prompt="a {mask}",
        report_to="tensorboard",
        limit=None,
    )
    expected = resolve(
        sets=[
            "corpus.name=notes.txt",
            "masking.strategy=whole-word",
            "masking.options.mlm_probability=0.2",
            "training.epochs=2",
            "training.learning_rate=0.5",
            "split.train_size=rest",
            "split.test_size=20",
            'fill.prompts=["a {mask}"]',
            "tracking.to=tensorboard",
        ]
    )
    assert config == expected
    assert configured(prompt=["a {mask}", "b {mask}"]).fill.prompts == ("a {mask}", "b {mask}")
    assert config_of(mlmref.run, None, {}, known=keywords(), preset="tutorial-trainer") == resolve(
        preset="tutorial-trainer"
    )


@pytest.mark.clause("API-002")
def test_a_configuration_or_a_dictionary_is_taken():
    """A Config is used as it is; a dictionary may name a preset, as a TOML file may."""
    config = resolve(sets=["training.epochs=3", "evaluation.draws=2"])
    assert configured(config) is config
    sections = {"training": {"epochs": 3}, "evaluation": {"draws": 2}}
    assert configured(sections) == config == resolve(sections)
    assert configured({}) == Config()
    assert resolve({"preset": "tutorial-trainer"}) == resolve(preset="tutorial-trainer")
    assert sections == {"training": {"epochs": 3}, "evaluation": {"draws": 2}}


@pytest.mark.clause("API-003")
@pytest.mark.parametrize(
    ("config", "settings", "said"),
    [
        (None, {"epoch": 2}, "mlmref.run: no argument 'epoch'; did you mean epochs?"),
        (
            None,
            {"repoter": 2},
            "mlmref.run: no argument 'repoter'; did you mean reporter or report_to?",
        ),
        (None, {"zzz": 2}, "mlmref.run: no argument 'zzz'; help(mlmref.run) lists the arguments"),
        (
            None,
            {"max_grad_norm": 2},
            "mlmref.run: no argument 'max_grad_norm'; this setting has no argument of its own: "
            'give {"training": {"max_grad_norm": ...}}',
        ),
        (
            None,
            {"epochs": "two"},
            'mlmref.run, argument epochs: training.epochs = "two": input should be a valid integer',
        ),
        (
            None,
            {"model": object()},
            "mlmref.run, argument model: no setting has a value of type object; "
            "give text, a number, a list or a dictionary",
        ),
        (
            Config(),
            {"epochs": 2, "preset": "tiny"},
            "mlmref.run: a Config together with epochs=, preset=; "
            "give either a configuration or keyword arguments",
        ),
        ({}, {"epochs": 2}, "mlmref.run: a dict together with epochs=; give either"),
        (
            "notes.txt",
            {},
            "mlmref.run: 'notes.txt' is neither a Config nor a dictionary of sections; "
            'name the setting, such as corpus="notes.txt"',
        ),
        (
            3,
            {},
            "mlmref.run: an object of type int is neither a Config nor a dictionary of sections",
        ),
        ({"training": {"epoch": 2}}, {}, "the dictionary of settings: unknown key 'training.epoch"),
        ({"trainin": {}}, {}, "the dictionary of settings: unknown key 'trainin'; did you mean"),
        ({3: {}}, {}, "the dictionary of settings: the key 3 is not text"),
        (
            {"training": {"epochs": {1}}},
            {},
            "the dictionary of settings, training.epochs: no setting has a value of type set",
        ),
    ],
)
def test_anything_else_is_one_line(config, settings, said):
    """It names the function or the dictionary, the argument, and what was meant."""
    with pytest.raises(ConfigError) as error:
        mlmref.run(config, **settings)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


@pytest.mark.clause("API-003")
def test_another_type_of_sections_is_refused_by_resolve():
    """A list is no dictionary of sections."""
    with pytest.raises(ConfigError, match="list is not a dictionary of sections"):
        resolve([("training", {})])


@pytest.mark.clause("API-001")
@pytest.mark.clause("API-002")
def test_a_run_and_its_evaluation_by_keywords(tmp_path, monkeypatch, capsys):
    """A run by keywords gives the record of its settings; its folder is a model with settings."""
    monkeypatch.chdir(tmp_path)
    save_corpus(tmp_path / "notes.txt", copies=60)
    result = mlmref.run(
        corpus="notes.txt", masking="whole-word", chunk_size=16, max_steps=2, output="adapted"
    )
    record = json.loads((tmp_path / "adapted" / "record.json").read_text("utf-8"))
    assert record["config"]["masking"]["strategy"] == "whole-word"
    measured = mlmref.evaluate(model=result.folder)
    assert measured["masking"]["name"] == "whole-word"
    assert measured["perplexity"]["value"] == result.record["perplexity"]["after"]["value"]
    assert capsys.readouterr().out == ""
