"""A kind of plugin is declared once, and everything that concerns all kinds follows."""

import json
import sys

import pytest
from pydantic import Field
from support import toykind
from support.plugins import names, plugin
from support.processes import run as start
from support.toykind import FILTER, FilterEntry
from typer.testing import CliRunner

import mlmref.conformance
from mlmref.base.errors import ConfigError, PluginError
from mlmref.cli import app
from mlmref.cli.completion import entries
from mlmref.plugin.contracts import Options
from mlmref.plugin.discovery import discover
from mlmref.plugin.kinds import BACKEND, KINDS, SEGMENTER, STRATEGY, kind_of, listed
from mlmref.plugin.registry import choose
from mlmref.runner.context import choose_plugins
from mlmref.runner.log.provenance import plugins_used
from mlmref.settings.config import Config, Section

COMMAND = "from support.toykind import main; main()"


class Filter:
    """A filter by shape."""

    def keep(self, ids):
        """Keep all."""
        return [True for _ in ids]


class FilterOptions(Options):
    """Options with one field."""

    least: int = 0


class TokensConfig(Section):
    """The section of the settings that a new kind brings."""

    filter: str = "mine"
    options: dict = Field(default_factory=dict)


class ToyConfig(Config):
    """The settings with that section."""

    tokens: TokensConfig = TokensConfig()


def filter_entry(name="mine", **changes):
    """Return a valid entry of the new kind, changed as asked."""
    values = {"summary": "all", "build": lambda _: Filter(), "options": FilterOptions}
    return FilterEntry(name=name, **(values | changes))


@pytest.fixture
def declared():
    """Declare the kind in this process."""
    KINDS.append(FILTER)
    yield
    KINDS.remove(FILTER)


def registry_of(*given):
    """Return a registry of the installed plugins and one with these filters."""
    return discover([plugin(*given, hook=FILTER.hook)])


@pytest.mark.clause("PLUG-017")
def test_a_new_kind_is_found_validated_and_selected(declared):
    """Its hook is known, its entries are validated, and a wrong name has a suggestion."""
    registry = registry_of(filter_entry())
    one = registry.only(FILTER, "mine")
    assert kind_of(one.entry) is FILTER
    assert "token" in names(registry)
    with pytest.raises(PluginError, match=r"no token filter 'mina'; did you mean mine\?"):
        registry.only(FILTER, "mina")
    for wrong in (filter_entry(most=0), filter_entry(build=None), filter_entry("Bad")):
        (broken,) = registry_of(wrong).broken
        assert "FilterEntry" in broken.reason


@pytest.mark.clause("PLUG-017")
def test_without_its_declaration_the_kind_is_unknown():
    """The declaration alone makes the difference."""
    (broken,) = registry_of(filter_entry()).broken
    assert "unknown hook 'mlmref_token_filters'" in broken.reason


@pytest.mark.clause("PLUG-017")
def test_options_of_a_new_kind_are_validated_and_its_object_is_built(declared):
    """Options have their own type, and the object needs the method of the kind."""
    registry = registry_of(filter_entry(), filter_entry("empty", build=lambda _: object()))
    chosen = choose(registry.only(FILTER, "mine"), {"least": 2}, "tokens.options")
    assert chosen.options == FilterOptions(least=2)
    assert chosen.make().keep([1]) == [True]
    with pytest.raises(ConfigError, match=r"'tokens\.options\.lest'; did you mean least"):
        choose(registry.only(FILTER, "mine"), {"lest": 2}, "tokens.options")
    with pytest.raises(PluginError, match=r"'empty' of plugin .* no method 'keep'; report it"):
        choose(registry.only(FILTER, "empty"), {}, "tokens.options").make()


@pytest.mark.clause("PLUG-017")
def test_a_run_uses_and_records_a_new_kind(declared):
    """A run completes its options, and record.json names it with all plugins."""
    registry = registry_of(filter_entry())
    complete, plugins = choose_plugins(ToyConfig(), registry)
    assert complete.tokens.options == {"least": 0}
    assert plugins.of(FILTER).entry.name == "mine"
    recorded = plugins_used(plugins)
    assert list(recorded) == ["masking", "backend", "words", "tokens"]
    assert recorded["tokens"]["options"] == {"least": 0}


@pytest.mark.clause("PLUG-017")
def test_the_kit_and_completion_follow_the_declaration(declared, monkeypatch):
    """check_filter and parametrize_filter_checks exist, and completion offers the entries."""
    assert mlmref.conformance.check_filter(filter_entry()).ok
    broken = filter_entry(build=lambda _: type("Short", (), {"keep": lambda _, ids: []})())
    (failure,) = mlmref.conformance.check_filter(broken).failures
    assert failure.detail == "keep gave 0 answers for 3 ids"
    assert mlmref.conformance.parametrize_filter_checks([filter_entry()]).args[0] == "check"
    registry = registry_of(filter_entry())
    monkeypatch.setattr("mlmref.plugin.discovery.discover", lambda: registry)
    assert entries("filters")("") == [("mine", "all")]
    assert ("mine", "all") in entries()("m")
    assert ("mine", "all") not in entries("strategies")("")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a function that runs mlmref with the kind and a plugin of it that mlmref wrote."""
    place = tmp_path_factory.mktemp("installed")

    def mlmref(*arguments):
        tests = toykind.__path__[0].removesuffix("/support/toykind")
        source, info = place / "mlmref-mine" / "src", place / "site"
        paths = f"import sys; sys.path[:0] = {[tests, str(source), str(info)]!r}\n"
        return start([sys.executable, "-c", paths + COMMAND, *arguments], cwd=place)

    done = mlmref("new-plugin", "mine", "--kind", "filter")
    assert done.returncode == 0, done.stderr
    info = place / "site" / "mlmref_mine-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: mlmref-mine\nVersion: 0.1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[mlmref]\nmine = mlmref_mine\n", "utf-8")
    return mlmref


@pytest.mark.clause("PLUG-017")
def test_the_commands_work_for_a_new_kind(installed):
    """new-plugin writes a plugin; plugins lists it, check checks it and suggests its name."""
    listed = json.loads(installed("plugins", "--json").stdout)
    assert [one["name"] for one in listed["filters"]] == ["mine"]
    assert listed["filters"][0]["options"]["least"]["default"] == 0
    assert "token filter" in installed("plugins").stdout
    done = installed("check", "mine", "--option", "least=2")
    assert done.returncode == 0, done.stderr
    assert "token filter 'mine' of plugin mlmref-mine:mine 0.1.0" in done.stdout
    assert "1 pass" in done.stdout
    assert "no token filter 'min'; did you mean mine?" in installed("check", "min").stderr
    assert "no kind of plugin 'filtr'; did you mean filter?" in (
        installed("new-plugin", "x", "--kind", "filtr").stderr
    )
    assert "masking, backend, segmenter or filter" in installed("new-plugin", "--help").stdout


@pytest.mark.clause("PLUG-017")
def test_each_kind_agrees_with_the_settings_and_the_flags():
    """The setting of a kind exists, its section has options, and its flag sets it."""
    for kind in KINDS:
        section = getattr(Config(), kind.section)
        assert {kind.key, *kind.tied} <= set(type(section).model_fields)
        done = CliRunner().invoke(app, ["run", f"--{kind.flag}", "nothing", "--print-config"])
        assert done.exit_code == 2
        assert f"no {kind.name} 'nothing'; there are " in done.stderr
    assert [kind.flag for kind in KINDS] == ["masking", "backend", "segmenter"]


@pytest.mark.clause("PLUG-017")
def test_a_declaration_names_its_code():
    """The derived names of a kind, and kinds as words of a sentence."""
    assert [kind.short for kind in (STRATEGY, BACKEND, SEGMENTER)] == [
        "strategy", "backend", "segmenter",
    ]  # fmt: skip
    assert STRATEGY.hook == "mlmref_masking_strategies"
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b or c"
