"""Plugins that fail in every way: the very line that names them, and nothing changed (PLUG)."""

import signal
import sys

import pytest
from support.bad_inputs import RUN, check_refused, listing, told
from support.processes import finish, start, wait_until

from mlmref import __version__ as VERSION

HEAD = """
import sys
import numpy as np
from mlmref import hookimpl
from mlmref.plugin.batches import Plan
from mlmref.plugin.contracts import Options, SegmenterEntry, StrategyEntry
from mlmref.plugin.training import BackendEntry

class Bad:
    fingerprint = ""
    def propose(self, batch, draws):
        return Plan(targets=~batch.special)
    def segment(self, texts):
        return [[0] for _ in texts]
    def train(self, job):
        for step in job.steps():
            job.after_step(0.0)

def build(options):
    return Bad()
"""
HOOKS = """
@hookimpl
def mlmref_masking_strategies():
    return [StrategyEntry(name="bad", summary="bad", build=build)]

@hookimpl
def mlmref_training_backends():
    return [BackendEntry(name="bad", summary="bad", build=build)]

@hookimpl
def mlmref_word_segmenters():
    return [SegmenterEntry(name="bad", summary="bad", build=build)]
"""
BAD = "the plugin mlmref-bad:bad 2.3 is broken"
ONE = "StrategyEntry(name='bad', summary='s', build=build)"
OURS = "'bad' of plugin mlmref-bad:bad 2.3"
REPORT = "report it to the plugin's author"
NO_STRATEGY = f"no masking strategy 'bad'; there are token, whole-word; {BAD}"
MASKING, BACKEND, SEGMENTER = "--masking bad", "--backend bad", "--segmenter bad"


def hook(name, body):
    """Return a plugin whose one hook has this body."""
    return f"{HEAD}\n@hookimpl\ndef {name}():\n    {body}\n"


def entry(arguments):
    """Return a plugin with one strategy."""
    return hook("mlmref_masking_strategies", f"return [StrategyEntry({arguments})]")


def bad(method):
    """Return a plugin of each kind with a method of its own, or another name in its place."""
    return f"{HEAD}\n{method}\n{HOOKS}"


HIM = "mlmref-bad:bad 2.3"
KEEP = "disable one of them with --no-plugin"

CASES = {
    # what is found when it is imported, and told to who asks for it
    "raises on import": (
        "raise RuntimeError('out of\\ncheese')",
        MASKING,
        f"{NO_STRATEGY} (RuntimeError: out of cheese)",
    ),
    "exits on import": (
        "import sys; sys.exit(3)",
        MASKING,
        f"{NO_STRATEGY} (SystemExit: 3)",
    ),
    "is cancelled on import": (
        "import asyncio; raise asyncio.CancelledError('gone')",
        MASKING,
        f"{NO_STRATEGY} (CancelledError: gone)",
    ),
    "lacks a module": (
        "import no_such_module",
        BACKEND,
        f"no training backend 'bad'; there are accelerate, trainer; {BAD} "
        "(ModuleNotFoundError: No module named 'no_such_module')",
    ),
    "is no Python": (
        "def (:",
        SEGMENTER,
        f"no word segmenter 'bad'; there are tokenizer; {BAD} "
        "(SyntaxError: invalid syntax (mlmref_bad.py, line 1))",
    ),
    "colours its error": (
        "raise RuntimeError('\\x1b[31mred')",
        MASKING,
        f"{NO_STRATEGY} (RuntimeError: \\u001b[31mred)",
    ),
    "has no hook": (
        HEAD,
        MASKING,
        f"{NO_STRATEGY} (TypeError: implements no hook; the hooks are mlmref_masking_strategies, "
        "mlmref_training_backends, mlmref_word_segmenters)",
    ),
    "misspells a hook": (
        hook("mlmref_masking_strategys", "return []"),
        MASKING,
        f"{NO_STRATEGY} (PluginValidationError: unknown hook 'mlmref_masking_strategys' "
        "in plugin <module 'mlmref_bad' from *",
    ),
    "raises in the hook for strategies": (
        hook("mlmref_masking_strategies", "1 / 0"),
        MASKING,
        f"{NO_STRATEGY} (ZeroDivisionError: division by zero)",
    ),
    "raises in the hook for backends": (
        hook("mlmref_training_backends", "raise KeyError('k')"),
        BACKEND,
        f"no training backend 'bad'; there are accelerate, trainer; {BAD} (KeyError: 'k')",
    ),
    "raises in the hook for segmenters": (
        hook("mlmref_word_segmenters", "sys.exit('bye')"),
        SEGMENTER,
        f"no word segmenter 'bad'; there are tokenizer; {BAD} (SystemExit: bye)",
    ),
    "raises half way through its entries": (
        hook(
            "mlmref_masking_strategies", "yield StrategyEntry(name='bad', summary='s', build=1/0)"
        ),
        MASKING,
        f"{NO_STRATEGY} (ZeroDivisionError: division by zero)",
    ),
    "gives nothing": (
        hook("mlmref_masking_strategies", "return None"),
        MASKING,
        f"{NO_STRATEGY} (TypeError: mlmref_masking_strategies gave NoneType, "
        "not a list of StrategyEntry)",
    ),
    "gives a number": (
        hook("mlmref_training_backends", "return 3"),
        BACKEND,
        f"no training backend 'bad'; there are accelerate, trainer; {BAD} "
        "(TypeError: mlmref_training_backends gave int, not a list of BackendEntry)",
    ),
    "gives a name": (
        hook("mlmref_word_segmenters", "return ['bad']"),
        SEGMENTER,
        f"no word segmenter 'bad'; there are tokenizer; {BAD} "
        "(TypeError: mlmref_word_segmenters gave 'bad', not a SegmenterEntry)",
    ),
    "gives one name twice": (
        hook("mlmref_masking_strategies", f"return [{ONE}, {ONE}]"),
        MASKING,
        f"{NO_STRATEGY} (ValueError: mlmref_masking_strategies gave two entries named 'bad')",
    ),
    "has an impossible name": (
        entry("name='Bad One', summary='s', build=build"),
        MASKING,
        f"{NO_STRATEGY} (ValueError: StrategyEntry name 'Bad One' is not lower-case letters, "
        "digits and single hyphens)",
    ),
    "has no summary": (
        entry("name='bad', summary='', build=build"),
        MASKING,
        f"{NO_STRATEGY} (ValueError: StrategyEntry 'bad' has no summary of one line)",
    ),
    "has no build": (
        entry("name='bad', summary='s', build=None"),
        MASKING,
        f"{NO_STRATEGY} (TypeError: StrategyEntry 'bad': build cannot be called)",
    ),
    "has options of another type": (
        entry("name='bad', summary='s', build=build, options=dict"),
        MASKING,
        f"{NO_STRATEGY} (TypeError: StrategyEntry 'bad': options is not a subclass of Options)",
    ),
    "promises words without needing them": (
        entry("name='bad', summary='s', build=build, whole_words=True"),
        MASKING,
        f"{NO_STRATEGY} (ValueError: StrategyEntry 'bad': whole_words is declared without "
        "needs_words)",
    ),
    # names
    "claims the name of a strategy": (
        entry("name='token', summary='s', build=build"),
        "",
        f"masking strategy 'token' is claimed by mlmref:builtin-masking {VERSION} and {HIM}; "
        f"{KEEP}",
    ),
    "claims the name of a backend": (
        hook(
            "mlmref_training_backends",
            "return [BackendEntry(name='trainer', summary='s', build=build)]",
        ),
        "",
        f"training backend 'trainer' is claimed by mlmref:builtin-backends {VERSION} and "
        f"{HIM}; {KEEP}",
    ),
    "claims the name of a segmenter": (
        hook(
            "mlmref_word_segmenters",
            "return [SegmenterEntry(name='tokenizer', summary='s', build=build)]",
        ),
        "",
        f"word segmenter 'tokenizer' is claimed by mlmref:builtin-words {VERSION} and {HIM}; "
        f"{KEEP}",
    ),
    # options
    "gets an option that it has not": (
        bad(""),
        "--masking bad --set masking.options.rate=1",
        f"unknown key 'masking.options.rate'; {OURS} has no options",
    ),
    "raises in its options": (
        f"{HEAD}\nfrom pydantic import field_validator\n"
        "class Own(Options):\n"
        "    rate: float = 0.5\n"
        "    @field_validator('rate')\n"
        "    def look(cls, value): return 1 / 0\n"
        + hook(
            "mlmref_masking_strategies",
            "return [StrategyEntry(name='bad', summary='s', build=build, options=Own)]",
        ).removeprefix(HEAD),
        "--masking bad --set masking.options.rate=1",
        f"{OURS}: reading its options raised ZeroDivisionError: division by zero; {REPORT}",
    ),
    # what is found when it is used
    "raises when a strategy is built": (
        bad("def build(options): 1 / 0"),
        MASKING,
        f"{OURS}: build raised ZeroDivisionError: division by zero; {REPORT}",
    ),
    "exits when a backend is built": (
        bad("def build(options): sys.exit('bye')"),
        BACKEND,
        f"{OURS}: build raised SystemExit: bye; {REPORT}",
    ),
    "raises when a segmenter is built": (
        bad("def build(options): open('no-such-dictionary')"),
        SEGMENTER,
        f"{OURS}: build raised FileNotFoundError: [Errno 2] No such file or directory: "
        f"'no-such-dictionary'; {REPORT}",
    ),
    "builds nothing": (
        bad("def build(options): pass"),
        MASKING,
        f"{OURS}: build gave NoneType, which has no method 'propose'; {REPORT}",
    ),
    "builds something else": (
        bad("def build(options): return object()"),
        BACKEND,
        f"{OURS}: build gave object, which has no method 'train'; {REPORT}",
    ),
    "raises in propose": (
        bad("def propose(self, batch, draws): 1 / 0\nBad.propose = propose"),
        MASKING,
        "masking strategy 'bad' of mlmref-bad:bad 2.3: propose raised ZeroDivisionError: "
        f"division by zero (MASK-017); {REPORT}",
    ),
    "proposes nothing": (
        bad("def propose(self, batch, draws): pass\nBad.propose = propose"),
        MASKING,
        "masking strategy 'bad' of mlmref-bad:bad 2.3: propose returned NoneType, not Plan "
        f"(MASK-016); {REPORT}",
    ),
    "proposes a list": (
        bad("def propose(self, batch, draws): return Plan(targets=[True])\nBad.propose = propose"),
        MASKING,
        "masking strategy 'bad' of mlmref-bad:bad 2.3: targets is list, not ndarray (MASK-016); "
        f"{REPORT}",
    ),
    "writes to what it is shown": (
        bad("def propose(self, batch, draws): batch.input_ids[:] = 0\nBad.propose = propose"),
        MASKING,
        "masking strategy 'bad' of mlmref-bad:bad 2.3: propose raised ValueError: assignment "
        f"destination is read-only (MASK-009); {REPORT}",
    ),
    "raises in segment": (
        bad("def segment(self, texts): 1 / 0\nBad.segment = segment"),
        SEGMENTER,
        f"{OURS}: segment raised ZeroDivisionError: division by zero (SEG-001); {REPORT}",
    ),
    "segments nothing": (
        bad("def segment(self, texts): pass\nBad.segment = segment"),
        SEGMENTER,
        f"{OURS}: segment gave NoneType, not answers (SEG-001); {REPORT}",
    ),
    "has no fingerprint": (
        bad("del Bad.fingerprint"),
        SEGMENTER,
        f"{OURS}: fingerprint raised AttributeError: 'Bad' object has no attribute 'fingerprint' "
        f"(SEG-005); {REPORT}",
    ),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a plugin's module as pip would, on the path of this process."""
    site = tmp_path / "site"

    def one(source, name="bad"):
        info = site / f"mlmref_{name}-2.3.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: mlmref-{name}\nVersion: 2.3\n")
        (info / "entry_points.txt").write_text(f"[mlmref]\nbad = mlmref_{name}\n")
        (site / f"mlmref_{name}.py").write_text(source)
        return site

    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield one
    for name in [one for one in sys.modules if one.startswith("mlmref_")]:
        del sys.modules[name]


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CLI-003")
@pytest.mark.clause("PLUG-002")
@pytest.mark.clause("PLUG-005")
@pytest.mark.clause("PLUG-007")
@pytest.mark.clause("PLUG-009")
@pytest.mark.clause("MASK-017")
@pytest.mark.clause("SEG-010")
@pytest.mark.parametrize(("source", "arguments", "expected"), CASES.values(), ids=CASES.keys())
def test_a_bad_plugin_is_named(place, install, monkeypatch, source, arguments, expected):
    """Its entry, distribution and version, what it did and what to do; no file is changed."""
    install(source)
    monkeypatch.chdir(place)
    check_refused(place, RUN + arguments, expected)


@pytest.mark.clause("PLUG-005")
def test_two_plugins_that_claim_one_name_are_both_named(place, install, monkeypatch):
    """And leaving out either lets the other be used."""
    for name in ("bad", "worse"):
        install(entry("name='bad', summary='s', build=build"), name)
    monkeypatch.chdir(place)
    check_refused(
        place,
        RUN + MASKING,
        f"masking strategy 'bad' is claimed by mlmref-bad:bad 2.3 and mlmref-worse:bad 2.3; {KEEP}",
    )
    before = listing(place)
    status, text = told(RUN + f"{MASKING} --no-plugin mlmref-worse --output /proc/nowhere")
    assert "claimed" not in text
    assert (status, listing(place)) == (2, before)


@pytest.mark.clause("PLUG-002")
@pytest.mark.parametrize("case", [key for key in CASES if BAD in CASES[key][2]])
def test_a_broken_plugin_that_is_not_asked_for_is_no_matter(place, install, monkeypatch, case):
    """Every other plugin works, and the list says what is wrong with it."""
    install(CASES[case][0])
    monkeypatch.chdir(place)
    status, text = told("fill model {mask}")
    assert (status, text) == (0, "")
    assert told("plugins --json")[0] == 0


@pytest.mark.clause("PLUG-014")
@pytest.mark.clause("RUN-011")
def test_ctrl_c_names_the_plugin_that_hangs(install, tmp_path):
    """The command ends with 130 and says which plugin it was and how to do without."""
    marker = tmp_path / "importing"
    site = install(f"import pathlib, time\npathlib.Path({str(marker)!r}).touch()\ntime.sleep(60)\n")
    code = f"import sys; sys.path.insert(0, {str(site)!r})\nfrom mlmref.cli import main; main()"
    process = start([sys.executable, "-c", code, "plugins"])
    wait_until(marker.exists)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == (
        "interrupted while plugin mlmref-bad:bad 2.3 was being imported; "
        "to disable it: --no-plugin mlmref-bad:bad\n"
    )
