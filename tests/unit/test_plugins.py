"""Finding, importing and validating plugins, and what a registry answers (spec/plugins.md)."""

import asyncio
import json
import re
import sys
import types
from threading import Event, current_thread

import pytest
from pydantic import field_validator

from mlmref.contracts import BackendEntry, Options, SegmenterEntry, StrategyEntry
from mlmref.errors import ConfigError, PluginError
from mlmref.exits import _Terminated
from mlmref.hookspecs import hookimpl
from mlmref.plugins import Found, discover, find
from mlmref.registry import KINDS, Source, choose, kind_of
from mlmref.show import as_json


class Skipped(BaseException):
    """Like pytest's, no Exception."""


class OutOfMemoryError(RuntimeError):
    """Called as torch's is."""


class Strategy:
    """A strategy by shape alone."""

    def propose(self, batch, draws):
        """Propose nothing."""


class SomeOptions(Options):
    """Options with one field."""

    rate: float = 0.5


def entry(name="mine", **changes):
    """Return a valid entry, changed as asked."""
    values = {"name": name, "summary": "a summary", "build": lambda options: Strategy()}
    return StrategyEntry(**(values | changes))


def plugin(*entries, hook="mlmref_masking_strategies", arguments=""):
    """Return a module with one hook that gives ``entries``."""
    module = types.ModuleType("plugin_module")
    scope = {"entries": list(entries), "hookimpl": hookimpl}
    exec(f"@hookimpl\ndef {hook}({arguments}):\n    return entries\n", scope)  # noqa: S102 - a hook by name
    setattr(module, hook, scope[hook])
    return module


def found(module, distribution="other", name="entry", version="1.0"):
    """Return a plugin as if an installed distribution had it."""

    def load():
        if isinstance(module, BaseException):
            raise module
        return module

    return Found(Source(distribution, name, version), load)


def names(registry):
    """Return the names of a registry's strategies."""
    return [one.entry.name for one in registry.strategies]


@pytest.mark.clause("PLUG-001")
def test_the_built_ins_are_found_as_entry_points_of_this_distribution():
    """token, whole-word, trainer, accelerate and tokenizer come by the same way as anybody's."""
    sources = {one.source.distribution for one in find()}
    assert "mlmref" in sources
    registry = discover()
    assert {"token", "whole-word"} <= set(names(registry))
    assert {"trainer", "accelerate"} <= {one.entry.name for one in registry.backends}
    assert "tokenizer" in {one.entry.name for one in registry.segmenters}
    assert not registry.broken


@pytest.mark.clause("PLUG-001")
def test_the_built_ins_can_be_left_out_like_any_other():
    """Without the built-in masking plugin there is no strategy 'token'."""
    registry = discover(disable=["builtin-masking"])
    assert "token" not in names(registry)
    with pytest.raises(PluginError, match="builtin-masking.* is disabled"):
        registry.strategy("token")


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
        "to do without it: --no-plugin other:entry"
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
    monkeypatch.setattr("mlmref.plugins.PATIENCE", 0.05)
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
        "plugin slow-dist:bad 2.3 takes long to import; to do without it: --no-plugin slow-dist:bad"
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
    (plugin(entry(), entry()), "mlmref_masking_strategies gave two called 'mine'"),
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


@pytest.mark.clause("PLUG-004")
def test_plugins_are_found_in_the_order_of_their_names():
    """Distribution first, entry point second."""
    sources = [one.source for one in find()]
    assert sources == sorted(sources)


@pytest.mark.clause("PLUG-005")
def test_a_name_claimed_twice_is_refused_until_one_is_left_out():
    """Neither of two owners of a name is taken in silence."""
    both = [found(plugin(entry("same")), "first"), found(plugin(entry("same")), "second")]
    with pytest.raises(PluginError, match=r"first:entry 1.0 and second:entry 1.0.*--no-plugin"):
        discover(found=both).strategy("same")
    kept = discover(found=both, disable=["first"]).strategy("same")
    assert kept.source.distribution == "second"


@pytest.mark.clause("PLUG-006")
@pytest.mark.parametrize("name", ["entry", "other", "other:entry"])
@pytest.mark.parametrize("way", ["argument", "environment"])
def test_a_plugin_left_out_is_not_imported(monkeypatch, name, way):
    """By entry point, distribution or both; as an argument or in the environment."""
    loads = []
    one = Found(Source("other", "entry", "1.0"), lambda: loads.append(1))
    if way == "environment":
        monkeypatch.setenv("MLMREF_NO_PLUGINS", f"something-else,{name}")
        registry = discover(found=[one])
    else:
        registry = discover(found=[one], disable=[name])
    assert not loads
    assert [source.entry for source in registry.disabled] == ["entry"]


@pytest.mark.clause("PLUG-006")
def test_leaving_out_what_is_not_there_is_a_slip():
    """--no-plugin with a misspelt name says so, with the close match."""
    with pytest.raises(ConfigError, match="did you mean builtin-masking"):
        discover(disable=["builtin-maskin"])


@pytest.mark.clause("PLUG-007")
def test_a_missing_name_is_answered_with_close_matches_and_broken_plugins():
    """The answer names what is near and what may have brought it."""
    registry = discover(found=[found(plugin(entry("span"))), found(OSError("gone"), "spans")])
    with pytest.raises(PluginError) as caught:
        registry.strategy("spam")
    assert "did you mean span?" in str(caught.value)
    assert "spans:entry 1.0 is broken (OSError: gone)" in str(caught.value)
    with pytest.raises(PluginError, match="no training backend 'trainer'"):
        registry.backend("trainer")


@pytest.mark.clause("PLUG-008")
@pytest.mark.parametrize(
    ("given", "wrong"),
    [({"rat": 1.0}, "unknown key 'masking.options.rat'; did you mean rate"), ({"rate": "x"}, "x")],
)
def test_bad_options_are_refused_with_their_full_key(given, wrong):
    """An unknown option and a bad value each name the key."""
    registered = discover(found=[found(plugin(entry(options=SomeOptions)))]).strategy("mine")
    with pytest.raises(ConfigError, match="masking.options") as caught:
        choose(registered, given, "masking.options")
    assert wrong in str(caught.value)


@pytest.mark.clause("PLUG-008")
def test_options_reach_the_strategy_complete():
    """What was not given has its default."""
    seen = []
    mine = entry(options=SomeOptions, build=lambda options: seen.append(options) or Strategy())
    chosen = choose(discover(found=[found(plugin(mine))]).strategy("mine"), {}, "here")
    chosen.make()
    assert seen == [SomeOptions(rate=0.5)]
    assert chosen.options == SomeOptions()


@pytest.mark.clause("PLUG-008")
def test_a_strategy_without_options_says_that_it_has_none():
    """An option given to a strategy that has none names its plugin."""
    registered = discover(found=[found(plugin(entry()))]).strategy("mine")
    with pytest.raises(ConfigError, match="'mine' of plugin other:entry 1.0 has no options"):
        choose(registered, {"rate": 1}, "masking.options")


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
    for through in (OSError(28, "full"), OutOfMemoryError()):
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


@pytest.mark.clause("PLUG-009")
@pytest.mark.parametrize("build", [lambda options: 1 / 0, lambda options: object()])
def test_a_plugin_that_cannot_be_made_is_named(build):
    """Raising and giving the wrong thing both name entry, distribution and version."""
    registered = discover(found=[found(plugin(entry(build=build)))]).strategy("mine")
    with pytest.raises(PluginError, match=r"'mine' of plugin other:entry 1\.0"):
        choose(registered, {}, "masking.options").make()


@pytest.mark.clause("PLUG-001")
def test_all_built_ins_can_be_left_out_at_once():
    """Without this distribution's plugins there is nothing, of any kind."""
    registry = discover(disable=["mlmref"])
    assert not [one for one in registry.entries if one.source.distribution == "mlmref"]
    assert {source.entry for source in registry.disabled} >= {"builtin-masking", "builtin-words"}


class Does:
    """What any kind of entry makes, by shape."""

    fingerprint = ""

    def propose(self, batch, draws):
        """Propose nothing."""

    def train(self, job):
        """Train nothing."""

    def segment(self, texts):
        """Tell of no word."""


EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.key for kind in KINDS])


def of_kind(kind, name="mine", **changes):
    """Return an entry of a kind."""
    values = {"name": name, "summary": "a summary", "build": lambda options: Does()}
    return kind.entry(**(values | {"options": SomeOptions} | changes))


@EVERY_KIND
@pytest.mark.clause("PLUG-013")
@pytest.mark.clause("PLUG-011")
def test_every_kind_is_found_listed_chosen_and_made_alike(kind):
    """One path from the hook to what an entry makes, with its options read on the way."""
    registry = discover(found=[found(plugin(of_kind(kind), hook=kind.hook))])
    one = registry.only(kind, "mine")
    assert (kind_of(one.entry), registry.of(kind), registry.broken) == (kind, (one,), ())
    assert not [other for other in KINDS if other is not kind and registry.of(other)]
    (row,) = json.loads(as_json(registry))[kind.key]
    assert (row["name"], row["summary"], row["distribution"], row["entry"], row["version"]) == (
        "mine", "a summary", "other", "entry", "1.0",
    )  # fmt: skip
    assert row["options"]["rate"]["default"] == 0.5
    chosen = choose(one, {"rate": 0.25}, "here")
    assert chosen.options == SomeOptions(rate=0.25)
    assert isinstance(chosen.make(), Does)
    with pytest.raises(ConfigError, match=r"unknown key 'here\.rat'; did you mean rate"):
        choose(one, {"rat": 1}, "here")


@EVERY_KIND
@pytest.mark.clause("PLUG-013")
def test_every_kind_is_validated_and_asked_for_alike(kind):
    """An entry of another kind, a bad name, a name twice and one that there is not are told."""
    other = next(one for one in KINDS if one is not kind)
    wrong = [of_kind(other), of_kind(kind, name="Bad"), of_kind(kind, build=3)]
    for bad in wrong:
        (broken,) = discover(found=[found(plugin(bad, hook=kind.hook))]).broken
        assert kind.entry.__name__ in broken.reason
    both = [found(plugin(of_kind(kind), hook=kind.hook), owner) for owner in ("one", "two")]
    with pytest.raises(PluginError, match=f"{kind.name} 'mine' is claimed by one:.* and two:"):
        discover(found=both).only(kind, "mine")
    with pytest.raises(PluginError, match=f"no {kind.name} 'mina'; did you mean mine"):
        discover(found=both[:1]).only(kind, "mina")


@EVERY_KIND
@pytest.mark.clause("PLUG-009")
@pytest.mark.clause("PLUG-013")
@pytest.mark.parametrize("build", [lambda options: 1 / 0, lambda options: object()])
def test_whatever_cannot_be_made_is_named(kind, build):
    """Raising, and giving what lacks the kind's method."""
    made = of_kind(kind, build=build)
    one = discover(found=[found(plugin(made, hook=kind.hook))]).only(kind, "mine")
    with pytest.raises(
        PluginError, match=rf"'mine' of plugin other:entry 1\.0.*({kind.method}|Zero)"
    ):
        choose(one, {}, "here").make()


@pytest.mark.clause("PLUG-003")
@pytest.mark.clause("SEG-009")
def test_a_segmenter_alone_may_leave_its_part_to_others():
    """``build=None`` is a segmenter that the core does without, and a fault elsewhere."""
    for kind in KINDS:
        registry = discover(found=[found(plugin(of_kind(kind, build=None), hook=kind.hook))])
        if kind.entry is SegmenterEntry:
            assert choose(registry.only(kind, "mine"), {}, "here").make() is None
        else:
            assert "build cannot be called" in registry.broken[0].reason


@pytest.mark.clause("PLUG-010")
def test_registries_do_not_affect_each_other():
    """A plugin given to one registry is not in the next."""
    assert "mine" in names(discover([plugin(entry("mine"))]))
    assert "mine" not in names(discover())


@pytest.mark.clause("PLUG-010")
def test_an_object_given_in_python_is_a_plugin_like_any_other():
    """Notebooks pass a module or an object without installing it."""
    registry = discover([plugin(entry("mine"))], found=[])
    assert registry.strategy("mine").source.distribution == "given"


@pytest.mark.clause("PLUG-012")
@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"whole_words": True}, "whole_words needs words"),
        ({"rate": "often"}, "rate 'often' is not known"),
        ({"rate": "token"}, "a rate without the option mlm_probability"),
        ({"replaces": True}, "replaces True is not known"),
    ],
)
def test_capabilities_that_do_not_fit_together_are_refused(declared, reason):
    """What is declared decides what applies, so it has to make sense."""
    (broken,) = discover(found=[found(plugin(entry(**declared)))]).broken
    assert reason in broken.reason
