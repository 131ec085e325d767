"""What plugins do wrong when they are found, asked and made (spec/plugins.md)."""

import asyncio
import re
import sys
import types
from threading import Event, current_thread

import pytest
import torch
from pydantic import field_validator
from support.plugins import Strategy, entry, found, names, plugin

from mlmref.base.errors import ConfigError, PluginError
from mlmref.cli.errors import _Terminated
from mlmref.plugin.contracts import Options
from mlmref.plugin.discovery import Found, discover, find
from mlmref.plugin.hookspecs import hookimpl
from mlmref.plugin.registry import Source, choose
from mlmref.plugin.training import BackendEntry


class Skipped(BaseException):
    """Like pytest's, no Exception."""


@pytest.mark.clause("PLUG-002")
@pytest.mark.parametrize(
    "error",
    [
        ImportError("no module named x"),
        SystemExit(3),
        SyntaxError("bad"),
        ValueError("é"),
        GeneratorExit("gone"),
        asyncio.CancelledError("cancelled"),
        Skipped("as pytest does"),
        ConfigError("a line of mlmref's own"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_recorded_and_the_others_work(error):
    """Whatever an import raises, its owner is named and the next plugin is found."""
    registry = discover(
        found=[found(error, "broken-dist", "bad", "2.3"), found(plugin(entry()), "good-dist")]
    )
    assert names(registry) == ["mine"]
    (broken,) = registry.broken
    assert str(broken.source) == "broken-dist:bad 2.3"
    assert type(error).__name__ in broken.reason
    assert "\n" not in broken.reason


@pytest.mark.clause("PLUG-002")
@pytest.mark.clause("PLUG-014")
def test_ctrl_c_during_an_import_is_the_users_and_names_the_plugin():
    """Discovery does not swallow KeyboardInterrupt, and says what it ended and the way out."""
    with pytest.raises(KeyboardInterrupt) as caught:
        discover(found=[found(KeyboardInterrupt())])
    assert str(caught.value) == (
        "interrupted while plugin other:entry 1.0 was being imported; "
        "to disable it: --no-plugin other:entry"
    )


@pytest.mark.clause("PLUG-002")
def test_what_the_program_itself_raises_to_end_goes_through():
    """SIGTERM comes as an exception of mlmref's own, and is not the plugin's failure."""
    with pytest.raises(_Terminated):
        discover(found=[found(_Terminated())])


@pytest.mark.clause("PLUG-014")
@pytest.mark.parametrize("where", ["import", "hook"])
def test_a_plugin_that_takes_long_is_named_while_it_lasts(monkeypatch, where):
    """Once, from another thread, with the way out; and nothing of one that is quick."""
    monkeypatch.setattr("mlmref.plugin.discovery.PATIENCE", 0.05)
    told, named = [], Event()

    def tell(text):
        told.append((text, current_thread()))
        named.set()

    def waits():
        assert named.wait(10), "nobody was told while the plugin was being imported"
        return [entry()]

    module = types.ModuleType("slow")
    module.mlmref_masking_strategies = hookimpl(waits if where == "hook" else lambda: [entry()])
    slow = Found(
        Source("slow-dist", "bad", "2.3"), lambda: (where == "import" and waits(), module)[1]
    )
    quick = [found(plugin(entry("fine")), f"quick-{number}") for number in range(3)]
    registry = discover(found=[*quick, slow], tell=tell)
    assert names(registry)[-1] == "mine"
    [(text, thread)] = told
    assert thread is not current_thread()
    assert text == (
        "plugin slow-dist:bad 2.3 takes long to import; to disable it: --no-plugin slow-dist:bad"
    )


@pytest.mark.clause("PLUG-015")
def test_what_a_plugin_prints_is_no_answer(capsys):
    """A greeting goes to standard error, from the import and from the hook."""
    module = types.ModuleType("chatty")
    module.mlmref_masking_strategies = hookimpl(lambda: print("hook") or [entry()])  # noqa: T201 - the fault
    chatty = Found(Source("other", "entry", "1.0"), lambda: print("import") or module)  # noqa: T201 - the fault
    assert names(discover(found=[chatty])) == ["mine"]
    assert capsys.readouterr() == ("", "import\nhook\n")


def install(folder, name="mlmref-x", version="1.0", **files):
    """Write what an installed distribution has, and nothing of its code."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    files = {"METADATA": f"Name: {name}\nVersion: {version}\n".encode()} | files
    for file, content in files.items():
        if content is not None:
            (info / file.replace("_txt", ".txt")).write_bytes(content)


@pytest.mark.clause("PLUG-016")
@pytest.mark.parametrize(
    "files",
    [
        {"METADATA": None, "entry_points_txt": b"[mlmref]\nx = y\n"},
        {"METADATA": b"\xff\xfe", "entry_points_txt": b"[mlmref]\nx = y\n"},
        {"entry_points_txt": b"[other]\nx = \xff\xfe\n"},
    ],
)
def test_a_damaged_distribution_stops_nothing(tmp_path, monkeypatch, files):
    """Without metadata, or with what is no text, it is recorded and the others are found."""
    install(tmp_path, "mlmref-good", entry_points_txt=b"[mlmref]\nx = no_such_module\n")
    install(tmp_path, **files)
    monkeypatch.syspath_prepend(tmp_path)
    registry = discover()
    assert "token" in names(registry)
    reasons = {str(one.source): one.reason for one in registry.broken}
    assert reasons.pop("mlmref-good:x 1.0") == (
        "ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert set(reasons) == {"mlmref_x-1.0.dist-info:metadata"}


@pytest.mark.clause("PLUG-016")
def test_of_a_distribution_that_is_there_twice_the_first_counts(tmp_path, monkeypatch):
    """The one that Python imports; however its name is spelt."""
    for number, name in enumerate(["mlmref-twice", "Mlmref_Twice", "mlmref.twice"]):
        points = f"[mlmref]\nx = no_such_module_{number}\n".encode()
        install(tmp_path / str(number), name, f"{number}.0", entry_points_txt=points)
    monkeypatch.setattr(sys, "path", [*(str(tmp_path / str(one)) for one in range(3)), *sys.path])
    [source] = [one.source for one in find() if "twice" in one.source.distribution.lower()]
    assert source == Source("mlmref-twice", "x", "0.0")


class NotJson(Options, arbitrary_types_allowed=True):
    """Options that no file of settings can hold."""

    what: Strategy = Strategy()


def answering(answer):
    """Return a plugin whose hook gives anything."""
    module = types.ModuleType("plugin_module")
    module.mlmref_masking_strategies = hookimpl(lambda: answer)
    module.mlmref_masking_strategies.__name__ = "mlmref_masking_strategies"
    return module


INVALID = [
    (plugin(hook="mlmref_masking_strategys"), "mlmref_masking_strategys"),
    (plugin(entry(), arguments="extra"), "extra"),
    (types.ModuleType("empty"), "implements no hook"),
    (plugin("token"), "not a StrategyEntry"),
    (plugin(BackendEntry(name="b", summary="s", build=print)), "not a StrategyEntry"),
    (plugin(entry(name="Bad Name")), "'Bad Name'"),
    (plugin(entry(name=3)), "3"),
    (plugin(entry(summary="")), "summary"),
    (plugin(entry(summary="two\nlines")), "summary"),
    (plugin(entry(options=dict)), "subclass of Options"),
    (plugin(entry(build=None)), "build cannot be called"),
    (plugin(entry(), entry(name="UPPER")), "UPPER"),
    (plugin(entry(summary="a\x1b[31m colour")), "summary"),
    (plugin(entry(), entry()), "mlmref_masking_strategies gave two entries named 'mine'"),
    (answering(None), "mlmref_masking_strategies gave NoneType, not a list of StrategyEntry"),
    (answering(3), "mlmref_masking_strategies gave int, not a list of StrategyEntry"),
    (answering(entry()), "mlmref_masking_strategies gave StrategyEntry, not a list of"),
    (answering([None]), "mlmref_masking_strategies gave None, not a StrategyEntry"),
    (plugin(entry(options=NotJson)), "options cannot be written as JSON"),
]


@pytest.mark.clause("PLUG-003")
@pytest.mark.parametrize(("module", "reason"), INVALID, ids=[reason for _, reason in INVALID])
def test_what_fails_validation_contributes_nothing(module, reason):
    """A plugin that is not as the hooks say is recorded as broken, whole."""
    registry = discover(found=[found(module, "bad-dist"), found(plugin(entry("fine")), "good")])
    assert names(registry) == ["fine"]
    (broken,) = registry.broken
    assert reason in broken.reason
    assert broken.source.distribution == "bad-dist"


@pytest.mark.clause("PLUG-003")
def test_a_hook_that_raises_is_the_plugins_fault():
    """An exception inside a hook breaks that plugin alone."""
    module = types.ModuleType("raises")

    @hookimpl
    def mlmref_masking_strategies():
        raise RuntimeError("out of cheese")

    module.mlmref_masking_strategies = mlmref_masking_strategies
    registry = discover(found=[found(module), found(plugin(entry("fine")), "good")])
    assert names(registry) == ["fine"]
    assert "out of cheese" in registry.broken[0].reason


def exits(options):
    """Leave the program, which is not for a plugin to do."""
    sys.exit("goodbye")


class Shy:
    """Does not let its method be looked at."""

    @property
    def propose(self):
        """Raise."""
        raise RuntimeError("not now")


@pytest.mark.clause("PLUG-009")
@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda options: 1 / 0, "build raised ZeroDivisionError: division by zero"),
        (lambda options: object(), "build gave object, which has no method 'propose'"),
        (lambda options: None, "build gave NoneType, which has no method 'propose'"),
        (
            lambda: Strategy(),
            r"build raised TypeError: <lambda>\(\) takes 0 positional arguments.*",
        ),
        (lambda options: open("/no/such/file"), r"build raised FileNotFoundError: \[Errno 2\].*"),  # noqa: SIM115, PTH123 - it is to fail
        (exits, "build raised SystemExit: goodbye"),
        (lambda options: Shy(), "build raised RuntimeError: not now"),
    ],
)
def test_whoever_fails_to_build_is_told_in_these_words(build, said):
    """Entry, distribution and version first, then what it did, then whom to tell."""
    registered = discover(found=[found(plugin(entry(build=build)))]).strategy("mine")
    with pytest.raises(PluginError) as caught:
        choose(registered, {}, "masking.options").make()
    whole = f"'mine' of plugin other:entry 1\\.0: {said}; report it to the plugin's author"
    assert re.fullmatch(whole, str(caught.value)), str(caught.value)


@pytest.mark.clause("PLUG-009")
@pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(0), KeyError("k")])
def test_what_comes_out_of_a_call_is_blamed_on_the_plugin(error):
    """Whatever it raises, an exit too; but not what is let through, nor a lack of memory."""
    chosen = choose(discover(found=[found(plugin(entry()))]).strategy("mine"), {}, "here")
    with pytest.raises(PluginError) as caught, chosen.blamed("train", OSError):
        raise error
    assert str(caught.value) == (
        f"'mine' of plugin other:entry 1.0: train raised {type(error).__name__}: {error}; "
        "report it to the plugin's author"
    )
    for through in (OSError(28, "full"), torch.OutOfMemoryError()):
        with pytest.raises(type(through)), chosen.blamed("train", OSError):
            raise through


class Touchy(Options):
    """Options whose validator has a fault."""

    rate: float = 0.5

    @field_validator("rate")
    @classmethod
    def _look(cls, value):
        return 1 / value


@pytest.mark.clause("PLUG-009")
def test_options_that_raise_are_blamed_on_the_plugin():
    """A validator with a fault is no bad value of the user's."""
    registered = discover(found=[found(plugin(entry(options=Touchy)))]).strategy("mine")
    with pytest.raises(PluginError) as caught:
        choose(registered, {"rate": 0.0}, "here")
    assert str(caught.value) == (
        "'mine' of plugin other:entry 1.0: reading its options raised ZeroDivisionError: "
        "float division by zero; report it to the plugin's author"
    )


@pytest.mark.clause("PLUG-012")
@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"whole_words": True}, "whole_words is declared without needs_words"),
        ({"rate": "often"}, "unknown rate 'often'"),
        ({"rate": "token"}, "rate is declared without the option mlm_probability"),
        ({"replaces": True}, "unknown replaces True"),
        ({"expected": len}, "expected is not True or False"),
    ],
)
def test_capabilities_that_do_not_fit_together_are_refused(declared, reason):
    """What is declared decides what applies, so it has to make sense."""
    (broken,) = discover(found=[found(plugin(entry(**declared)))]).broken
    assert reason in broken.reason
