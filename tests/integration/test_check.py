"""``mlmref check``: what it prints, and its exit status (spec/conformance.md)."""

import json
import sys
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from mlmref.cli import app
from mlmref.conformance import checks as core
from mlmref.conformance import kit, segmenters, strategies
from mlmref.masking.builtin import TokenOptions
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import SegmenterEntry, StrategyEntry
from mlmref.plugin.discovery import Found, Source
from mlmref.plugin.hookspecs import hookimpl
from mlmref.plugin.kinds import KINDS, imported
from mlmref.plugin.training import BackendEntry


class EveryToken:
    """A strategy that leaves nothing out, special tokens neither."""

    def __init__(self, options):
        pass

    def propose(self, batch, draws):
        """Choose everything."""
        return Plan(targets=batch.special | True)


class _Plugin:
    @hookimpl
    def mlmref_masking_strategies(self):
        return [StrategyEntry(name="every-token", summary="all", build=EveryToken)]


@pytest.fixture
def faulty(monkeypatch):
    """Install a plugin whose strategy masks special tokens."""
    from mlmref.plugin import discovery as plugins

    found = [*plugins.find(), Found(Source("faulty-dist", "faulty", "2.0"), _Plugin)]
    monkeypatch.setattr(plugins, "find", lambda: found)


@pytest.fixture
def few(monkeypatch):
    """Keep the kit to a few quick checks, so that a test of the command is quick."""
    quick = {"check_special_tokens_are_never_targets", "check_words_are_whole"}
    some = core.Checks()
    some._checks = [one for one in strategies.KIT.checks if one.name in quick]
    monkeypatch.setattr(strategies.KIT, "checks", some)


def invoke(*arguments):
    """Run the command."""
    return CliRunner().invoke(app, ["check", *arguments])


@pytest.mark.clause("KIT-007")
def test_a_strategy_that_conforms_exits_with_0(few):
    """The table names plugin, clauses, facts and why one does not apply."""
    got = invoke("token")
    assert got.exit_code == 0, got.output
    assert "masking strategy 'token' of plugin mlmref:builtin-masking" in got.output
    assert "MASK-003" in got.output
    assert "it does not declare whole_words" in got.output
    assert "1 not applicable, 1 pass" in got.output


@pytest.mark.clause("KIT-006")
@pytest.mark.clause("KIT-007")
def test_a_strategy_that_fails_exits_with_1_and_shows_an_example(few, faulty):
    """The clause, what happened and the smallest case are printed."""
    got = invoke("every-token")
    assert got.exit_code == 1
    assert "'every-token' of plugin faulty-dist:faulty 2.0" in got.output
    said = got.output.splitlines()
    (first,) = [n for n, line in enumerate(said) if line.startswith("MASK-003 check_special")]
    assert said[first].endswith(": never choose a position that batch.special marks")
    assert said[first + 1].startswith("  a special token or padding is a target")
    assert "input_ids = [[0]]" in got.output


@pytest.mark.clause("KIT-007")
def test_json_has_every_outcome(few, faulty):
    """Programs get subject, clause, status, detail and example, and the same exit status."""
    got = invoke("every-token", "--json")
    (report,) = json.loads(got.stdout)
    assert got.exit_code == 1
    assert [one["status"] for one in report["outcomes"]] == ["fail", "not applicable"]
    assert report["outcomes"][0]["clause"] == "MASK-003"
    assert report["outcomes"][0]["example"]["input_ids"] == "[[0]]"


@pytest.mark.clause("KIT-007")
def test_all_checks_every_entry_of_every_kind(monkeypatch):
    """--all goes through strategies, backends and segmenters alike."""
    seen = []

    def note(entry, options):
        seen.append(type(entry))
        return core.Report(subject=entry.name, outcomes=())

    for kind in KINDS:
        monkeypatch.setattr(imported(kind.kit), "check", note)
    got = invoke("--all")
    assert got.exit_code == 0, got.output
    assert set(seen) == {StrategyEntry, BackendEntry, SegmenterEntry}
    assert got.output.count("of plugin mlmref:") >= 5


@pytest.mark.clause("KIT-007")
def test_options_reach_the_plugin(few, monkeypatch):
    """--option is read by the plugin's own options type."""
    got = []
    run = kit.run_checks

    def note(checks, subject, *rest):
        got.append(subject.options)
        return run(checks, subject, *rest)

    monkeypatch.setattr(kit, "run_checks", note)
    assert invoke("token", "--option", "mlm_probability=0.3").exit_code == 0
    assert got == [TokenOptions(mlm_probability=0.3)]


@pytest.mark.clause("KIT-007")
def test_the_default_segmenter_has_nothing_to_check():
    """What leaves the words to the tokenizer says so for each clause, and is well."""
    got = invoke("tokenizer", "--json")
    (report,) = json.loads(got.stdout)
    assert got.exit_code == 0
    assert {one["status"] for one in report["outcomes"]} == {"not applicable"}
    assert len(report["outcomes"]) == len(list(segmenters.KIT.checks))


@pytest.mark.clause("KIT-007")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tokn"], "no masking strategy 'tokn'; did you mean token"),
        (["accelerat"], "no training backend 'accelerat'; did you mean accelerate?"),
        ([], "check: give either names of plugins or --all"),
        (["token", "--all"], "check: give either names of plugins or --all"),
        (["token", "--option", "x"], "--option: 'x' is not KEY=VALUE"),
        (["token", "--option", "mlm_probabilty=1"], "did you mean"),
        (["--collator", "nowhere:Thing"], "--collator: no collator 'nowhere:Thing'"),
        (["--collator", "transformers"], "--collator: no collator 'transformers'"),
        (["--collator", "json:dumps", "--rate", "words"], "--rate: no rate 'words'"),
        (["--collator", "json:dumps", "--column", "word"], "--column: no column 'word'"),
        (["--collator", "json:dumps", "--corruption", "1"], "--corruption: '1' is not MASK/"),
        (["--collator", "json:dumps"], "json:dumps: the collator cannot be called (TypeError"),
        (
            ["--collator", "transformers:DataCollatorForLanguageModeling", "--collator-arg", "x=1"],
            "--collator-arg",
        ),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, said):
    """What, where and what to do, without a traceback."""
    got = invoke(*arguments)
    assert got.exit_code == 2, got.output
    assert len(got.stderr.splitlines()) == 1
    assert said in got.stderr


@pytest.mark.clause("KIT-005")
def test_without_hypothesis_the_command_says_what_to_install(monkeypatch):
    """The extra is named; nothing else of mlmref needs it."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    got = invoke("token")
    assert got.exit_code == 2
    assert "pip install 'mlmref[conformance]'" in got.stderr


@pytest.mark.clause("KIT-008")
def test_a_collator_is_checked_by_its_place(few):
    """MODULE:NAME with arguments, and what it promises."""
    transformers = "transformers:DataCollatorForLanguageModeling"
    got = invoke("--collator", transformers, "--rate", "token")
    assert got.exit_code == 0, got.output
    assert transformers in got.output
    whole = ["--collator-arg", "whole_word_mask=true", "--column", "offset_mapping"]
    got = invoke("--collator", transformers, *whole, "--whole-words", "--corruption", "100/0/0")
    assert got.exit_code == 0, got.output
    assert "2 pass" in got.output
    got = invoke("--collator", transformers, "--whole-words")
    assert got.exit_code == 1, "a collator of tokens does not mask whole words"


@pytest.mark.clause("KIT-008")
def test_a_function_is_a_collator_too(few, monkeypatch):
    """One that is no class is called as it is."""

    def collate(features):
        return {
            "input_ids": [one["input_ids"] for one in features],
            "labels": [one["input_ids"] for one in features],
        }

    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(collate=collate))
    got = invoke("--collator", "mine:collate")
    assert got.exit_code == 1
    assert "a special token or padding is a target" in got.output


@pytest.mark.clause("KIT-012")
def test_nothing_is_written_to_the_current_folder(few, tmp_path, monkeypatch):
    """Not even .hypothesis; where Hypothesis keeps its files afterwards is where it did before."""
    from hypothesis import configuration

    seen = []
    run = kit.run_checks

    def look(*arguments):
        seen.append(vars(configuration)["__hypothesis_home_directory"])
        return run(*arguments)

    monkeypatch.setattr(kit, "run_checks", look)
    monkeypatch.chdir(tmp_path)
    before = vars(configuration)["__hypothesis_home_directory"]
    assert invoke("token").exit_code == 0
    assert list(tmp_path.iterdir()) == []
    assert vars(configuration)["__hypothesis_home_directory"] == before
    assert seen != [before]
