"""Command lines that are wrong, and what is printed raw: one line, and no control character."""

import signal
import sys

import datasets
import pytest
from huggingface_hub import constants
from support.bad_inputs import RUN, check_refused
from support.processes import finish, start

FLAGS = {
    "run --limit many": "invalid value for '--limit': *; see mlmref run --help",
    "run --limit 1e3": "invalid value for '--limit': *; see mlmref run --help",
    "run --chunk-size x": "invalid value for '--chunk-size': *; see mlmref run --help",
    "run --learning-rate high": "invalid value for '--learning-rate': *; see mlmref run --help",
    "run --dropout none": '--dropout: model.dropout = "none": input should be a valid number or '
    "input should be 'checkpoint'",
    "run --mlm-probability x": "invalid value for '--mlm-probability': *; see mlmref run --help",
    "run --seed 1.5": "invalid value for '--seed': *; see mlmref run --help",
    "run --workers two": "invalid value for '--workers': *; see mlmref run --help",
    "run --limit": "option '--limit' requires an argument; see mlmref* --help",
    "run --quiet=yes": "option '--quiet' does not take a value; see mlmref* --help",
    "run --nonsense": "no such option: --nonsense*; see mlmref run --help",
    "run extra": "got unexpected extra argument(s) (extra); see mlmref run --help",
    "rnu": "no such command 'rnu'*; see mlmref --help",
    "evaluate": "missing argument 'model'; see mlmref evaluate --help",
    "evaluate a b": "got unexpected extra argument(s) (b); see mlmref evaluate --help",
    "fill model": "missing argument 'texts*'; see mlmref fill --help",
    "fill model x --top-k all": "invalid value for '--top-k': *; see mlmref fill --help",
    "new-plugin": "missing argument 'name'; see mlmref new-plugin --help",
    "new-plugin mine": "missing option '--kind'; see mlmref new-plugin --help",
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("CLI-003")
@pytest.mark.parametrize(("arguments", "expected"), FLAGS.items())
def test_a_wrong_command_line_is_one_line(place, monkeypatch, arguments, expected):
    """A flag of another type, without its value, unknown, or with an argument too many or few."""
    monkeypatch.chdir(place)
    check_refused(place, arguments, expected)


@pytest.mark.clause("SEC-009")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (RUN + "--corpus 'hub:a:x:b'", "hub:a:x:b: cannot be loaded (*"),
        (RUN + "--model 'a\x1b[31mb'", "a\\u001b[31mb: cannot be loaded (*"),
        (
            RUN + "--corpus 'a\x1b]0;t\x07.txt'",
            "a\\u001b]0;t\\u0007.txt: no such file or folder; *",
        ),
        (RUN + "--set 'a\x9b2J=1'", "--set a\\u009b2J=1: unknown key 'a\\x9b2J'; *"),
    ],
)
def test_names_reach_the_terminal_as_text(place, monkeypatch, arguments, expected):
    """No escape sequence, and no picture for :x:."""
    monkeypatch.chdir(place)
    for library in (constants, datasets.config):  # the variable is read when they are imported
        monkeypatch.setattr(library, "HF_HUB_OFFLINE", True)
    check_refused(place, arguments, expected)


@pytest.mark.clause("SEC-009")
def test_a_prompt_is_printed_as_text(place, monkeypatch):
    """What fill prints of a prompt."""
    from typer.testing import CliRunner

    from mlmref.cli import app

    monkeypatch.chdir(place)
    printed = CliRunner().invoke(app, ["fill", "model", "a\x1b[31m :x: [bold]{mask}"]).stdout
    assert "a\\u001b[31m :x: [bold]{mask}" in printed
    assert "\x1b" not in printed


SLOW = """
import sys, time
sys.path.insert(0, {site!r})
import mlmref.plugin.discovery
mlmref.plugin.discovery.PATIENCE = 0.2
from mlmref.cli import main
main()
"""


@pytest.mark.clause("PLUG-014")
def test_a_plugin_that_hangs_is_named_while_it_does(tmp_path):
    """The command says which one it waits for, and how to do without, before it is ended."""
    info = tmp_path / "mlmref_slow-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: mlmref-slow\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlmref]\nslow = mlmref_slow\n")
    (tmp_path / "mlmref_slow.py").write_text("import time\ntime.sleep(60)\n")
    process = start([sys.executable, "-c", SLOW.format(site=str(tmp_path)), "plugins"])
    line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = finish(process).stderr
    way_out = "to disable it: --no-plugin mlmref-slow:slow\n"
    assert line == f"plugin mlmref-slow:slow 1.0 takes long to import; {way_out}"
    assert rest == f"interrupted while plugin mlmref-slow:slow 1.0 was being imported; {way_out}"
    assert process.returncode == 130


TRAIN = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "raise KeyError('k')": "KeyError: 'k'",
}


@pytest.mark.clause("PLUG-009")
@pytest.mark.parametrize(("body", "said"), TRAIN.items())
def test_a_backend_that_raises_in_train_is_named(place, tmp_path, monkeypatch, body, said):
    """As what any other method of a plugin raises."""
    info = tmp_path / "mlmref_worse-2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: mlmref-worse\nVersion: 2.3\n")
    (info / "entry_points.txt").write_text("[mlmref]\nbad = mlmref_worse\n")
    (tmp_path / "mlmref_worse.py").write_text(
        "from mlmref import hookimpl\nfrom mlmref.plugin.training import BackendEntry\n"
        f"class Bad:\n    def train(self, job):\n        {body}\n"
        "@hookimpl\ndef mlmref_training_backends():\n"
        "    return [BackendEntry(name='bad', summary='bad', build=lambda options: Bad())]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(place)
    check_refused(
        place,
        RUN + "--backend bad",
        f"'bad' of plugin mlmref-worse:bad 2.3: train raised {said}; report it to the plugin's "
        "author",
    )
    sys.modules.pop("mlmref_worse", None)
