"""A setting and all that follows from its declaration (spec/config.md, CONF-013)."""

import json
import tomllib
from typing import Annotated, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from mlmref.base.explain import all_keys
from mlmref.cli.command import Given, command
from mlmref.cli.errors import Commands
from mlmref.settings.config import Config
from mlmref.settings.resolve import to_toml
from mlmref.settings.setting import Section, flags_of, setting


class ToyConfig(Section):
    """A section with a setting of each kind."""

    colour: Literal["red", "blue"] = setting(
        "red", "colour of the toy. Blue is rare", flag="--toy-colour"
    )
    wheels: Annotated[int, Field(ge=0, le=8)] = setting(4, "number of wheels", flag="--wheels")
    share: int | float | Literal["all"] = setting(
        "all", "share to paint", flag="--share", rare=True
    )
    names: tuple[str, ...] = setting((), "a name; repeatable", flag="--name")
    loud: bool = setting(False, "make a noise", flag="--loud")
    weight: float = setting(1.5, "weight in kilograms")


class WithToy(Config):
    """The settings of a run and of a toy."""

    toy: ToyConfig = ToyConfig()


app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)


@command("toy", app=app, root=lambda: WithToy)
def play(given: Given) -> None:
    """Play."""
    typer.echo(json.dumps(given.tree()))


@command(app=app)
def rest() -> None:
    """Rest."""


def played(*arguments, **env):
    """Return what the toy's command prints."""
    done = CliRunner().invoke(
        app, arguments, prog_name="toys", env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"} | env
    )
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.clause("CONF-013")
@pytest.mark.parametrize(
    ("flag", "key", "value"),
    [
        (["--toy-colour", "blue"], "colour", "blue"),
        (["--wheels", "3"], "wheels", 3),
        (["--share", "0.5"], "share", 0.5),
        (["--share", "2"], "share", 2),
        (["--share", "all"], "share", "all"),
        (["--name", "Ann", "--name", "Bo"], "names", ["Ann", "Bo"]),
        (["--loud"], "loud", True),
    ],
)
def test_a_declared_setting_has_its_flag(flag, key, value):
    """The command that names the section has the flag; without the flag nothing is given."""
    assert json.loads(played("play", *flag)) == {"toy": {key: value}}
    assert json.loads(played("play")) == {}


@pytest.mark.clause("CONF-013")
def test_a_declared_setting_is_in_the_help():
    """The help is the first sentence of the description; a setting without a flag is not there."""
    text = played("play", "--help")
    assert "colour of the toy  " in text
    assert "Blue" not in text
    assert "--wheels" in text
    assert "weight" not in text
    assert "--wheels" not in played("rest", "--help")


@pytest.mark.clause("CONF-013")
def test_a_declared_setting_is_completed():
    """A shell completes the words of its type."""
    env = {"_TOYS_COMPLETE": "complete_bash", "COMP_WORDS": "toys\nplay\n--toy-colour\n"}
    done = CliRunner().invoke(app, [], prog_name="toys", env=env | {"COMP_CWORD": "3"})
    assert done.stdout.split() == ["blue", "red"]


@pytest.mark.clause("CONF-013")
def test_a_declared_setting_is_in_toml_and_among_the_keys():
    """--print-config prints it, --set knows it, and the text gives the same settings."""
    config = WithToy(toy=ToyConfig(wheels=3))
    assert tomllib.loads(to_toml(config))["toy"]["wheels"] == 3
    assert WithToy.model_validate(tomllib.loads(to_toml(config))) == config
    assert "toy.weight" in all_keys(WithToy)


@pytest.mark.clause("CONF-013")
def test_a_declared_setting_is_in_the_reference():
    """The docstring of its section, which the page of settings shows, has all that is declared."""
    told = 'colour of the toy. Blue is rare. Default ``"red"``. Flag ``--toy-colour``.'
    assert f"        colour: {told}\n" in ToyConfig.__doc__
    assert "        weight: weight in kilograms. Default ``1.5``.\n" in ToyConfig.__doc__


@pytest.mark.clause("CONF-013")
def test_sections_and_settings_can_be_named_and_omitted():
    """In the order in which they are named."""
    names = [flag.name for flag in flags_of(WithToy, ["toy", "seed"], ["toy.names", "toy.loud"])]
    assert names == ["--toy-colour", "--wheels", "--share", "--seed"]
    assert [flag.name for flag in flags_of(WithToy, ["toy.loud"])] == ["--loud"]


@pytest.mark.clause("CONF-013")
def test_every_setting_is_described():
    """No setting of a run lacks a description."""
    for section in (Config, *(type(one.default) for one in Config.model_fields.values())):
        for name, field in getattr(section, "model_fields", {}).items():
            assert field.description or issubclass(field.annotation, Section), name
