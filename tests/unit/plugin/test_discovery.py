"""Finding, importing and validating plugins, and what a registry answers (spec/plugins.md)."""

import json

import pytest
from support.plugins import SomeOptions, Strategy, entry, found, names, plugin

from mlmref.base.errors import ConfigError, PluginError
from mlmref.cli.show import as_json
from mlmref.plugin.contracts import SegmenterEntry
from mlmref.plugin.discovery import Found, discover, find
from mlmref.plugin.kinds import KINDS, kind_of
from mlmref.plugin.registry import Source, choose


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


EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.plural for kind in KINDS])


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
    (row,) = json.loads(as_json(registry))[kind.plural]
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
