"""Any value of any option of any command is used or refused in one line (CLI-013)."""

import json
import tomllib

import pytest
import typer
from support.runs import save_corpus, save_model
from typer.testing import CliRunner

import mlmref.runner.run
import mlmref.studies.comparison.compare
import mlmref.studies.downstream.downstream
import mlmref.studies.tutorial
from mlmref.base.errors import MlmrefError
from mlmref.cli import app
from mlmref.settings import config
from mlmref.settings.config import Config, Section
from mlmref.settings.resolve import resolve, to_toml

COMMANDS = typer.main.get_command(app).commands

VALUES = {
    "5,000 digits": "9" * 5_000,
    "20 digits": "1" + "0" * 19,
    "13 digits": "1" + "0" * 12,
    "negative": "-" + "9" * 30,
    "no number": "nan",
    "not UTF-8": "\udcff",
    "long": "x" * 5_000,
    "nested": "[" * 3_000,
    "empty": "",
}

NEEDED = {
    "compare": ["whole-word-or-token"],
    "check": ["--collator", "transformers:DataCollatorForLanguageModeling"],
    "new-plugin": ["mine", "--kind", "masking"],
    "evaluate": ["model", "--corpus", "corpus.txt"],
    "fill": ["model", "a {mask}."],
    "downstream": ["model"],
    "report": ["nowhere"],
    "inspect": ["--model", "model", "--corpus", "corpus.txt", "--chunk-size", "16", "--quiet"],
    "preview": ["--model", "model", "--corpus", "corpus.txt", "--chunk-size", "16", "--quiet"],
    "run": ["--model", "model", "--corpus", "corpus.txt"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus."""
    folder = tmp_path_factory.mktemp("place")
    save_model(folder / "model")
    save_corpus(folder / "corpus.txt")
    return folder


class DoneError(MlmrefError):
    """Stands for the work, which a command's values have come to."""


@pytest.fixture
def idle(place, monkeypatch):
    """Stop each command where its work would begin."""

    def work(*args, **kwargs):
        raise DoneError("done")

    monkeypatch.chdir(place)
    monkeypatch.setattr(mlmref.runner.run, "run", work)
    monkeypatch.setattr(mlmref.runner.run, "evaluate", work)
    monkeypatch.setattr(mlmref.studies.comparison.compare, "compare", work)
    monkeypatch.setattr(mlmref.studies.downstream.downstream, "downstream", work)
    monkeypatch.setattr(mlmref.studies.tutorial, "verify", work)
    monkeypatch.setattr("mlmref.studies.preview.preview.preview", work)
    monkeypatch.setattr("mlmref.studies.inspection.inspect", work)
    monkeypatch.setattr("mlmref.evaluation.fill_mask.fill", work)
    monkeypatch.setattr("mlmref.conformance.collator_check.run_checks", work)


OPTIONS = [
    (command, option.opts[0])
    for command, found in COMMANDS.items()
    for option in found.params
    if option.param_type_name == "option" and not option.is_flag and not option.is_eager
]


@pytest.mark.clause("CLI-013")
@pytest.mark.clause("CLI-014")
@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda one: one)
def test_any_value_of_an_option_is_used_or_refused_in_one_line(idle, command, option):
    """Numbers of any length, texts in another encoding, nothing: status 2 and a short line."""
    assert_used_or_refused(command, option, some(command + option))


@pytest.mark.full
@pytest.mark.clause("CLI-013")
@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda one: one)
def test_every_value_of_an_option_is_used_or_refused_in_one_line(idle, command, option):
    """All of the values for each option, of which the default run takes three."""
    assert_used_or_refused(command, option, VALUES)


def some(key):
    """Return three of the values, others from key to key."""
    first = sum(map(ord, key)) % len(VALUES)
    return [*VALUES, *VALUES][first : first + 3]


def assert_used_or_refused(command, option, names):
    """Give an option each of some values."""
    keyed = option in {"--set", "--collator-arg"}
    for name in names:
        for given in [VALUES[name], *([f"seed={VALUES[name]}"] if keyed else [])]:
            arguments = [command, *NEEDED.get(command, ()), f"{option}={given}"]
            found = CliRunner().invoke(app, arguments)
            assert found.exit_code in (0, 2), (name, found.output[-500:])
            lines = found.stderr.splitlines()
            assert found.exit_code == 0 or len(lines[-1]) < 1_500, (name, len(lines[-1]))
            assert "Traceback" not in found.output, name


def keys(section, prefix=""):
    """Yield each setting's name."""
    for name, field in section.model_fields.items():
        if isinstance(field.default, Section):
            yield from keys(type(field.default), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


@pytest.mark.clause("CLI-013")
@pytest.mark.clause("CONF-001")
@pytest.mark.parametrize("key", list(keys(Config)))
def test_any_value_of_a_setting_is_kept_or_refused(key):
    """What is not refused comes back from the text that --print-config prints."""
    for name in some(key):
        value = VALUES[name]
        for spelled in (value, f'"{value}"', f"[{value}]", f"{{a = {value}}}"):
            try:
                settings = resolve(sets=[f"{key}={spelled}"])
            except MlmrefError as error:
                assert len(str(error)) < 1_500, name  # noqa: PT017 - it need not be refused
            else:
                text = to_toml(settings)
                assert to_toml(Config.model_validate(tomllib.loads(text))) == text


@pytest.mark.clause("CONF-012")
@pytest.mark.parametrize("key", list(keys(Config)))
def test_every_integer_has_an_upper_bound(key):
    """Each setting that takes an integer says the largest in its schema."""
    section, _, name = key.rpartition(".")
    holder = type(Config.model_fields[section].default) if section else Config
    schema = json.loads(json.dumps(holder.model_json_schema()))["properties"][name]
    for branch in schema.get("anyOf", [schema]):
        if branch.get("type") == "integer":
            assert {"maximum", "exclusiveMaximum"} & set(branch), key
    assert config.MOST == 2**31 - 1
