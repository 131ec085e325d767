"""mlmref in a shell: help, completion, exit statuses, colours (spec/run.md, CLI and SHELL)."""

import ast
import os
import pty
import re
import select
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from rich.style import Style
from support import runs
from support.processes import run
from support.specification import ROOT
from typer.testing import CliRunner

import mlmref
from mlmref.base.errors import Status
from mlmref.base.explain import all_keys
from mlmref.base.terminal import Terminal
from mlmref.cli import app
from mlmref.settings.config import Config
from mlmref.settings.setting import flags_of

COMMANDS = [one.name or one.callback.__name__ for one in app.registered_commands]
SCRIPT = Path(sys.executable).with_name("mlmref")


def helped(*arguments):
    """Return what a command prints at 100 columns."""
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"})
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.clause("SHELL-003")
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_screen_and_has_an_example(command):
    """At most 50 lines of 100 columns, with an example that begins with the command."""
    lines = helped(*command.split(), "--help").splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 100
    assert re.search(rf"Example: mlmref {command}", " ".join(lines))


@pytest.mark.clause("SHELL-003")
@pytest.mark.parametrize("command", ["run", "evaluate", "preview"])
def test_all_flags_are_a_flag_away(command):
    """--help says how many flags it leaves out, and --help-all has each of them."""
    short, whole = helped(command, "--help"), helped(command, "--help-all")
    flags = [set(re.findall(r"│ (--[a-z-]+)", text)) for text in (short, whole)]
    assert f"{len(flags[1] - flags[0])} more flags: mlmref {command} --help-all" in short
    assert "more flags" not in whole
    rare = {flag.name for flag in flags_of(Config, list(Config.model_fields)) if flag.rare}
    assert rare | {"--debug", "--no-plugin"} >= flags[1] - flags[0] > set()
    assert helped(command, "--help") == short, "and the next one is short again"


# --- completion ----------------------------------------------------------------------------------


def completed(line, shell="bash"):
    """Return what a shell is told that a line may go on with; a blank at its end counts."""
    words = shlex.split(line) + [""] * line.endswith(" ")
    protocol = {
        "_MLMREF_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = CliRunner().invoke(app, prog_name="mlmref", env=protocol)
    return [*filter(None, done.stdout.splitlines())]


@pytest.mark.clause("SHELL-001")
@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("mlmref ev", ["evaluate"]),
        ("mlmref run --warm", ["--warmup-steps"]),
        ("mlmref run --masking wh", ["whole-word"]),
        ("mlmref preview --masking token --masking ", ["token", "whole-word"]),
        ("mlmref run --backend ", ["accelerate", "trainer"]),
        ("mlmref run --segmenter tok", ["tokenizer"]),
        ("mlmref run --preset tutorial", ["tutorial-accelerate", "tutorial-trainer"]),
        ("mlmref run --no-plugin builtin-m", ["builtin-masking"]),
        ("mlmref run --split ", ["chunk", "document"]),
        ("mlmref run --train-size ", ["rest"]),
        ("mlmref run --precision b", ["bf16"]),
        ("mlmref run --report-to tensorboard,w", ["tensorboard,wandb"]),
        ("mlmref run --report-to wandb,w", []),
        ("mlmref run --corpus i", ["imdb"]),
        ("mlmref run --set training.warm", ["training.warmup_steps="]),
        ("mlmref run --set model.trust_remote_code=t", ["model.trust_remote_code=true"]),
        ("mlmref run --set nothing.at=", []),
        ("mlmref run --resume ", ["auto", "runs/002"]),
        ("mlmref run --model ", ["embedded", "runs/001"]),
        ("mlmref evaluate ru", ["runs/001"]),
        ("mlmref evaluate --metric pseudo", ["pseudo-perplexity", "pseudo-perplexity-original"]),
        ("mlmref fill emb", ["embedded"]),
        ("mlmref downstream --base emb", ["embedded"]),
        ("mlmref check whole", ["whole-word"]),
        ("mlmref check --column off", ["offset_mapping"]),
        ("mlmref new-plugin x --kind ", ["backend", "masking", "segmenter"]),
        ("mlmref preview --as ", ["tokens", "words"]),
        ("mlmref verify --only T0", [f"T0{number}" for number in range(1, 10)]),
        ("mlmref verify --require ", ["gpu", "hub"]),
        ("mlmref run --config ", []),
        ("mlmref run --model ./some", []),
    ],
)
def test_words_are_completed(tmp_path, monkeypatch, line, answers):
    """Commands, flags, names, settings and runs; what is empty, the shell takes for files."""
    for name, file in (("001", "record.json"), ("002", "checkpoints/run.json")):
        (tmp_path / "runs" / name / file).parent.mkdir(parents=True)
        (tmp_path / "runs" / name / file).touch()
    monkeypatch.chdir(tmp_path)
    assert completed(line) == answers


@pytest.mark.clause("SHELL-001")
def test_every_setting_is_completed():
    """After --set, each key that has a value."""
    leaves = [one for one in all_keys(Config) if f"{one}." not in " ".join(all_keys(Config))]
    assert completed("mlmref run --set ") == sorted(f"{one}=" for one in leaves)


@pytest.mark.clause("SHELL-001")
def test_summaries_stand_beside_names():
    """Where the shell shows them."""
    assert re.match("token\teach token on its own", completed("mlmref run --masking t", "fish")[0])


LIGHT = """
import sys
from mlmref.cli import main
try:
    main()
except SystemExit:
    print({"torch", "transformers", "datasets"} & sys.modules.keys(), file=sys.stderr)
    print("mlmref.plugin.discovery" in sys.modules, file=sys.stderr)
"""
PLUGINS = "from mlmref.plugin.discovery import discover; discover()"


@pytest.mark.clause("SHELL-002")
@pytest.mark.parametrize(
    "words", ["run --masking t", "run --set training.", "run --ba", "check w", "run --no-plugin b"]
)
def test_completion_is_immediate(words):
    """No heavy library, and little time beside what plugins take; the best of three of each."""
    env = {"_MLMREF_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(["mlmref", *words.split()])}
    env = os.environ | env | {"COMP_CWORD": str(len(words.split()))}
    spent, plugins = [], []
    for _ in range(3):
        took, done = processor_time(LIGHT, env)
        spent.append(took)
        assert done.stdout.strip()
        heavy, asks_plugins = done.stderr.splitlines()
        assert heavy == "set()"
        if asks_plugins == "True":
            plugins.append(processor_time(PLUGINS, env)[0])
    assert min(spent) - min(plugins, default=0.0) < 0.5


def processor_time(code, env):
    """Run code in a process of its own; return the seconds that it had a processor, and its end."""
    before = os.times()
    done = run([sys.executable, "-c", code], env=env)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4]), done


@pytest.mark.clause("SHELL-002")
def test_what_a_plugin_prints_is_no_completion(tmp_path, monkeypatch, capfd):
    """Neither to standard output nor to the terminal."""
    info = tmp_path / "loud-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mlmref]\nloud = loud_module\n")
    (tmp_path / "loud_module.py").write_text("import sys\nprint('HI')\nsys.stderr.write('HO')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert completed("mlmref run --masking whole") == ["whole-word"]
    assert "loud_module" in sys.modules
    assert not re.search("HI|HO", "".join(capfd.readouterr()))


def typed(argv, first, line, wanted, seconds=20):
    """Type into an interactive shell: a line, and once that is done another with a tab."""
    env = {**os.environ, "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}", "TERM": "xterm"}
    pid, side = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, env)  # noqa: S606 - a shell, of the test's own
    seen = b""
    try:
        for text, until in ((f"{first}; echo 're''ady'\n", b"ready"), (f"{line}\t", wanted)):
            os.write(side, text.encode())
            end = time.monotonic() + seconds
            while until not in seen and time.monotonic() < end:
                if select.select([side], [], [], 0.1)[0]:
                    seen += os.read(side, 65_536)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(side)
    return seen


SHELLS = {
    "bash": (["bash", "--norc", "-i"], "source <(_MLMREF_COMPLETE=source_bash mlmref)"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "autoload -U compinit; compinit -D -u; source <(_MLMREF_COMPLETE=source_zsh mlmref)",
    ),
}


@pytest.mark.clause("SHELL-001")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_tab_completes(shell):
    """In a real shell, with the script that --show-completion prints."""
    if shutil.which(shell) is None or not SCRIPT.exists():
        pytest.skip(f"needs {shell}, and mlmref on the path")
    seen = typed(*SHELLS[shell], "mlmref run --masking wh", b"whole-word")
    assert b"--masking whole-word" in seen


@pytest.mark.clause("SHELL-001")
def test_fish_completes():
    """In a real fish, with the script that --show-completion prints."""
    if shutil.which("fish") is None or not SCRIPT.exists():
        pytest.skip("needs fish, and mlmref on the path")
    script = "_MLMREF_COMPLETE=source_fish mlmref | source; complete -C 'mlmref run --masking wh'"
    env = {**os.environ, "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"}
    done = run(["fish", "--no-config", "-c", script], env=env)
    assert done.stdout.startswith("whole-word\teach word")


# --- exit statuses -------------------------------------------------------------------------------


@pytest.mark.clause("SHELL-004")
@pytest.mark.parametrize("file", ["docs/guides/shell.md", "spec/run.md"])
def test_exit_statuses_are_documented(file):
    """The table has each status of the code with what it says, and no other."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \|$", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    assert rows == [(str(one.value), one.meaning.replace("|", "")) for one in Status]


@pytest.mark.clause("SHELL-004")
def test_help_tells_the_exit_statuses():
    """At its end, each with what it says."""
    text = helped("--help")
    for one in Status:
        assert re.search(rf"^ +{one.value}  {re.escape(one.meaning)} *$", text, re.MULTILINE)


@pytest.mark.clause("SHELL-004")
def test_no_other_status_is_in_the_code():
    """Nothing in the package ends with a bare number."""
    found = []
    for file in Path(mlmref.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and re.search(
                r"\b(Exit|SystemExit|exit|_exit)$", ast.unparse(node.func)
            ):
                numbers = [one for one in node.args if isinstance(one, ast.Constant)]
                found += [f"{file.name}:{node.lineno}"] * any(
                    isinstance(one.value, int) for one in numbers
                )
    assert not found


# --- colours -------------------------------------------------------------------------------------

COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:[39][0-7]|4[0-7]|10[0-7]|[34]8;[0-9;]+)(?:;[0-9;]*)?m")


def shown(*arguments, **variables):
    """Return what a command prints to a pipe with some variables of the environment."""
    env = {key: value for key, value in os.environ.items() if key not in _COLOURS} | variables
    done = runs.mlmref(*arguments, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


_COLOURS = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "GITHUB_ACTIONS"}


@pytest.mark.clause("SHELL-005")
@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours_are_off_and_on_as_asked(variables, coloured):
    """Help in a pipe has none, FORCE_COLOR turns them on, and NO_COLOR wins."""
    text = shown("run", "--help", TERM="xterm-256color", **variables)
    assert bool(COLOUR.search(text)) == coloured


@pytest.mark.clause("SHELL-005")
@pytest.mark.parametrize("coloured", [False, True])
def test_tables_and_bars_have_no_colour_then(monkeypatch, coloured):
    """What all commands print to is without colours as well."""
    for name in _COLOURS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    if not coloured:
        monkeypatch.setenv("NO_COLOR", "1")
    console = Terminal(force_terminal=True)
    with console.capture() as got:
        console.print("x", style=Style(color="red", bgcolor="#102030"))
    assert bool(COLOUR.search(got.get())) == coloured


@pytest.mark.clause("SHELL-005")
def test_json_has_no_colour_at_all():
    """Programs read it, whatever the variables say."""
    assert "\x1b" not in shown("plugins", "--json", FORCE_COLOR="1", TERM="xterm-256color")
