"""What the guides say works: each command and example is run, on small sizes (spec/docs.md)."""

import re
import shlex
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import warm
from support.launch import Launch, free_port
from support.runs import save_corpus, save_model
from support.tokenizers import TEXT
from typer.testing import CliRunner

from mlmref.cli import app

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
# The walk of guides/plugin.md installs packages; test_readme runs it as it stands there.
NAMES = sorted(guide.stem for guide in GUIDES.glob("*.md") if guide.stem != "plugin")

OURS = {"distilbert-base-uncased": "./model", "HOST": "127.0.0.1"}
"""What stands in for a name that only the reader has, or the hub."""
CUT = ["--chunk-size", "16"]
SMALL = [*CUT, "--train-size", "rest", "--test-size", "0.2"]
QUICK = [*SMALL, "--limit", "40", "--max-steps", "2", "--batch-size", "4"]
QUICK += ["--precision", "fp32", "--quiet"]
LABELLED = "--corpus reviews.csv --text-column body --train-size 24 --test-size 24"
SETS = ["model.name=./model", "corpus.name=corpus.txt", "chunks.size=16", "training.max_steps=1"]
SETS += ["split.train_size=rest", "split.test_size=0.2", "training.precision=fp32"]
SMALLER = {
    "run": QUICK,
    "compare": ["--quiet", *(word for one in SETS for word in ("--set", one))],
    "inspect": SMALL,
    "preview": SMALL,
    "downstream": [*LABELLED.split(), "--max-tokens", "16", "--epochs", "1", "--quiet"],
}
"""What is added to a command so that it takes a second; a flag that comes again wins."""


def parts(text):
    """Return a guide's blocks as their language and what is in them."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def substituted(command):
    """Return the words of a command of mlmref, with the reader's own put in, and its sizes."""
    words = [OURS.get(word, word) for word in shlex.split(command)]
    at = words.index("mlmref") + 1
    name = words[at]
    if name in ("run", "preview", "inspect"):
        for flag, ours in (("--model", "./model"), ("--corpus", "corpus.txt")):
            if flag not in words and "--config" not in words:
                words += [flag, ours]
    words += SMALLER.get(name, [])
    if "--push" in words:  # the hub is test_hub's
        words.append("--print-config")
    return words


def typed(command):
    """Run a command of mlmref in this process."""
    words = substituted(command)
    got = CliRunner().invoke(app, words[1:])
    # What inspect finds wrong with so small a corpus is its own affair.
    assert got.exit_code in ((0, 1) if words[1] == "inspect" else (0,)), (command, got.output)


MODULES = {"torchrun": "torch.distributed.run", "accelerate": "accelerate.commands.accelerate_cli"}
"""What the scripts of launchers run."""


def launched(command, here):
    """Run a command of a launcher, and of several machines the other's too, on ports of its own."""
    words = substituted(command)
    several = "--nnodes" in words
    port = str(free_port()) if several else "0"
    if several:
        words[words.index("--master-port") + 1] = port
    elif words[0] == "torchrun":
        words.insert(1, "--standalone")
    else:
        words[2:2] = ["--main_process_port", "0"]
    ranks = ["0", "1"] if several else ["0"]
    with ExitStack() as stack:
        nodes = []
        for rank in ranks:
            launcher = [warm.python(), "-m", MODULES[words[0]], *words[1:]]
            folder = here / f"node-{rank}" if several and rank != "0" else here
            if folder != here:
                folder.mkdir()
                (folder / "model").symlink_to(here / "model")
                (folder / "corpus.txt").symlink_to(here / "corpus.txt")
                launcher[launcher.index("--node-rank") + 1] = rank
            started = Launch(launcher, cwd=folder, log=folder / f"{words[0]}-{rank}")
            nodes.append(stack.enter_context(started))
        for node in nodes:
            assert node.wait().status == 0, (command, node.err)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Go to a folder with what the reader of a guide has: a model, texts and labelled reviews."""
    save_model(tmp_path / "model")
    save_corpus(tmp_path / "corpus.txt")
    save_corpus(tmp_path / "notes.txt")
    rows = [f'"{text.replace(chr(34), "")} {n}",{n % 2}' for n, text in enumerate(TEXT * 12)]
    (tmp_path / "reviews.csv").write_text("\n".join(["body,label", *rows]) + "\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.clause("DOC-003")
@pytest.mark.parametrize("name", NAMES)
def test_each_command_of_a_guide_runs(name, here):
    """In their order and one place, each with status 0, the Python between them too."""
    names = {}
    blocks = parts((GUIDES / f"{name}.md").read_text("utf-8"))
    assert any(not language for language, _ in blocks)
    for language, text in blocks:
        if language == "python":
            exec(compile(text, f"{name}.md", "exec"), names)  # noqa: S102 - our own
        elif language == "toml":
            for theirs, ours in OURS.items():
                text = text.replace(theirs, ours)
            (here / "settings.toml").write_text(text, "utf-8")
        else:
            if language == "text":  # what a command printed
                continue
            assert not language, f"nobody runs {language}"
            for command in text.replace("\\\n", " ").splitlines():
                if command.startswith("mlmref "):
                    typed(command)
                else:
                    assert command.split()[0] in ("torchrun", "accelerate"), command
                    launched(command, here)


@pytest.mark.clause("DOC-003")
def test_each_flag_in_a_guides_text_is_one():
    """What stands in a table or sentence as a flag is a flag of a command, or of a launcher."""
    known = {flag for flags in _flags() for flag in flags} | {"--node-rank", "--logdir"}
    for guide in GUIDES.glob("*.md"):
        text = re.sub(r"^```.*?^```$", "", guide.read_text("utf-8"), flags=re.M | re.S)
        for code in re.findall(r"`([^`]+)`", text):
            assert {*re.findall(r"(?<!\S)--[a-z-]+", code)} <= known, (guide.name, code)


def _flags():
    from typer.main import get_command

    for command in get_command(app).commands.values():
        yield from (flag.opts for flag in command.params)
