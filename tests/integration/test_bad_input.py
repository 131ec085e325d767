"""What a user gets wrong: one line, exit status 2, and nothing left behind (RUN-001, RUN-002).

Here the output and the commands beside ``run``; corpora, models, settings and plugins have modules
of their own.
"""

import shutil

import pytest
from support.bad_inputs import RUN, check_refused, told
from support.unprivileged import open_folder, unprivileged
from transformers import BertForMaskedLM
from typer.testing import CliRunner

from mlmref import __version__ as VERSION
from mlmref.cli import app

CHECKPOINT = "get the model again, or an earlier checkpoint of its training"
KEY = "is not KEY=VALUE"
LAYER = "bert.encoder.layer.0.output.dense.weight"
LONG = "x" * 300
NAMES = "name a file, a folder or a glob, imdb, or hub:NAME for a data set on the hub"
NO_FOLDER = "no such folder; check the path, or give a name on the hub"
THERE = "already exists; nothing was changed; choose a new folder with --output, or remove that one"

OUTPUT = {
    "output in use": ("--output used", f"used: {THERE}"),
    "output is a file": ("--output a-file", f"a-file: {THERE}"),
    "output below a file": (
        "--output a-file/out",
        "a-file/out: the folder cannot be written (File exists); choose another folder with "
        "--output",
    ),
    "output is a dead link": ("--output dead.txt", f"dead.txt: {THERE}"),
    "output is a device": ("--output /dev/null", f"/dev/null: {THERE}"),
    "output is a pipe": ("--output pipe.txt", f"pipe.txt: {THERE}"),
    "not a valid repository name": (
        "--push not/a/name",
        "repository 'not/a/name': not a valid repository name; give NAME or OWNER/NAME, of at most "
        "96 letters, digits, '-', '_' and '.'",
    ),
    "output name too long": (
        f"--output {LONG}",
        f"{LONG}: the folder cannot be written (File name too long); choose another folder "
        "with --output",
    ),
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.clause("RUN-004")
@pytest.mark.clause("CLI-003")
@pytest.mark.parametrize(("arguments", "expected"), OUTPUT.values(), ids=OUTPUT.keys())
def test_a_place_that_cannot_be_written_to_gets_its_line(place, monkeypatch, arguments, expected):
    """The place as it was given, what the system says or what is there; nothing is overwritten."""
    monkeypatch.chdir(place)
    check_refused(place, RUN + arguments, expected)


OTHER = {
    "output outside by a file": (
        "run --model model --corpus corpus.txt --config outside.toml --quiet",
        "outside.toml: output.folder = '../elsewhere' is outside the current folder; choose "
        "it with --output",
    ),
    "evaluate: missing model": ("evaluate ./nowhere", f"./nowhere: {NO_FOLDER}"),
    "evaluate: run folder with damaged settings": (
        "evaluate ./damaged-settings",
        "damaged-settings/config.toml: the file is not TOML: Invalid initial character for "
        "a key part (at end of document)",
    ),
    "evaluate: unknown split": (
        "evaluate model --split word",
        "--split: split.by = \"word\": input should be 'chunk' or 'document'",
    ),
    "evaluate: unknown strategy": (
        "evaluate model --masking tokn",
        "no masking strategy 'tokn'; did you mean token?",
    ),
    "evaluate: no corpus": (
        "evaluate model --corpus nowhere.txt --chunk-size 16 --quiet",
        f"nowhere.txt: no such file or folder; {NAMES}",
    ),
    "fill: missing model": ("fill ./nowhere text", f"./nowhere: {NO_FOLDER}"),
    "fill: no mask": (
        "fill model nothing-to-fill",
        "prompt 'nothing-to-fill': no mask to fill; write '{mask}' in it",
    ),
    "fill: another model's mask": (
        "fill model 'great <mask>'",
        "prompt 'great <mask>': '<mask>' is not this tokenizer's mask token; write '[MASK]' "
        "or '{mask}'",
    ),
    "fill: more answers than tokens": (
        "fill model {mask} --top-k 999999",
        "top_k is 999999; use 1 to 290, the number of ordinary tokens",
    ),
    "fill: no answers": (
        "fill model {mask} --top-k 0",
        "--top-k: fill.top_k = 0: input should be greater than or equal to 1",
    ),
    "fill: candidate of nothing": (
        "fill model {mask} --candidate ''",
        "prompt '{mask}': candidate '' is not made of ordinary tokens of the vocabulary; "
        "give another word",
    ),
    "fill: candidates for two masks": (
        "fill model '{mask} {mask}' --candidate film",
        "prompt '{mask} {mask}': candidates need a prompt with a single mask; use one mask "
        "per prompt, or omit the candidates",
    ),
    "fill: a damaged model": (
        "fill ./nan {mask}",
        f"./nan: its weights are damaged: there is NaN in {LAYER}; {CHECKPOINT}",
    ),
    "check: nothing": ("check", "check: give either names of plugins or --all"),
    "check: both": ("check token --all", "check: give either names of plugins or --all"),
    "check: unknown": ("check tokn", "no masking strategy 'tokn'; did you mean token?"),
    "check: unknown option": (
        "check token --option rate=1",
        "unknown key '--option.rate'; there are mlm_probability",
    ),
    "check: bad option": (
        "check token --option mlm_probability=2",
        "--option.mlm_probability = 2: input should be less than or equal to 1",
    ),
    "check: no assignment": ("check token --option rate", f"--option: 'rate' {KEY}"),
    "check: missing module": (
        "check --collator nowhere:Collator",
        "--collator: no collator 'nowhere:Collator' (No module named 'nowhere'); give MODULE:NAME",
    ),
    "check: no module": (
        "check --collator Collator",
        "--collator: no collator 'Collator' (No module named 'Collator'); give MODULE:NAME",
    ),
    "check: missing name": (
        "check --collator transformers:Collator",
        "--collator: no collator 'transformers:Collator' (module transformers has no "
        "attribute Collator); give MODULE:NAME",
    ),
    "check: no collator": (
        "check --collator json:JSONDecodeError",
        "json:JSONDecodeError: the collator cannot be called (TypeError: "
        "JSONDecodeError.__init__() missing 3 required positional arguments: 'msg', 'doc', and "
        "'pos'); set its arguments with --collator-arg and its columns with --column",
    ),
    "check: unknown rate": (
        "check --collator transformers:DataCollatorForLanguageModeling --rate often",
        "--rate: no rate 'often'; did you mean token?",
    ),
    "check: unknown column": (
        "check --collator transformers:DataCollatorForLanguageModeling --column words",
        "--column: no column 'words'; did you mean word_ids?",
    ),
    "check: bad corruption": (
        "check --collator transformers:DataCollatorForLanguageModeling --corruption 80",
        "--corruption: '80' is not MASK/RANDOM/KEEP",
    ),
    "check: bad argument": (
        "check --collator transformers:DataCollatorForLanguageModeling --collator-arg mlm",
        f"--collator-arg: 'mlm' {KEY}",
    ),
    "new-plugin: bad name": (
        "new-plugin Mine --kind masking",
        "the name 'Mine' is not lower-case letters, digits and single hyphens; choose "
        "a name such as my-masking",
    ),
    "new-plugin: unknown kind": (
        "new-plugin mine --kind maskng",
        "--kind: no kind of plugin 'maskng'; did you mean masking?",
    ),
    "new-plugin: taken name": (
        "new-plugin token --kind masking",
        f"plugin mlmref:builtin-masking {VERSION} already has a masking strategy 'token'; "
        "choose another name",
    ),
    "new-plugin: folder in use": (
        "new-plugin mine --kind masking --folder used",
        "used: already exists; nothing was changed; choose a new folder with --folder",
    ),
    "new-plugin: folder below a file": (
        "new-plugin mine --kind masking --folder a-file/x",
        "a-file/x: cannot be written (Not a directory); choose another folder with --folder",
    ),
    "new-plugin: no such user": (
        "new-plugin mine --kind masking --folder '~nobody-is-called-so/x'",
        "~nobody-is-called-so/x: no such user; choose another folder with --folder",
    ),
    "plugins: no such plugin": (
        "plugins --no-plugin builtin-msking",
        "--no-plugin: no plugin 'builtin-msking' is installed; did you mean builtin-masking?",
    ),
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CLI-003")
@pytest.mark.parametrize(("arguments", "expected"), OTHER.values(), ids=OTHER.keys())
def test_the_other_commands_get_their_lines(place, monkeypatch, arguments, expected):
    """evaluate, fill, check, new-plugin and plugins, with each flag of theirs that can be wrong."""
    monkeypatch.chdir(place)
    check_refused(place, arguments, expected)


DENIED = {
    "corpus": ("corpus.txt", "corpus.txt: cannot be read (Permission denied)"),
    "model's folder": ("model", "model: cannot be read (Permission denied)"),
    "model's configuration": (
        "model/config.json",
        "model/config.json: cannot be read (Permission denied)",
    ),
    "model's tokenizer": (
        "model/tokenizer.json",
        "model/tokenizer.json: cannot be read (Permission denied)",
    ),
    "model's weights": (
        "model/model.safetensors",
        "model/model.safetensors: cannot be read (Permission denied)",
    ),
    "settings": ("a.toml", "a.toml: cannot be read (Permission denied)"),
    "output": (
        ".",
        "out: the folder cannot be written (Permission denied); choose another folder "
        "with --output",
    ),
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.parametrize(("closed", "expected"), DENIED.values(), ids=DENIED.keys())
def test_what_may_not_be_read_or_written_is_named(place, monkeypatch, closed, expected):
    """Without permission for one of the things that a run needs, that is the one that is named."""
    with open_folder() as here:
        shutil.copytree(place / "model", here / "model")
        shutil.copy(place / "corpus.txt", here)
        (here / "a.toml").write_text("[corpus]\nname = 'corpus.txt'\n")
        (here / "cache").mkdir()
        for path in (here, *here.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o644)
        monkeypatch.setenv("MLMREF_CACHE", str(here / "cache"))
        monkeypatch.chdir(here)
        # Python itself may lie where only root reads, so what is imported late is imported first.
        assert told(RUN + "--config a.toml --max-steps 1 --output first") == (0, "")
        (here / closed).chmod(0o555 if closed == "." else 0)
        with unprivileged():
            status, text = told(RUN + "--config a.toml")
        assert (status, text) == (2, f"mlmref: {expected}\n")


@pytest.mark.clause("MODEL-004")
def test_the_model_that_serves_as_the_good_one_is_good(place, tmp_path, monkeypatch):
    """The tables' base command succeeds, so that each case fails for its own reason."""
    monkeypatch.chdir(place)
    status, text = told(RUN + f"--max-steps 1 --output {tmp_path}/good")
    assert status == 0, text
    BertForMaskedLM.from_pretrained(tmp_path / "good")


@pytest.mark.clause("RUN-001")
def test_debug_shows_the_traceback(place, monkeypatch):
    """--debug lets the exception through."""
    monkeypatch.chdir(place)
    result = CliRunner().invoke(app, (RUN + "--batch-size 0 --debug").split())
    assert type(result.exception).__name__ == "ConfigError"


@pytest.mark.clause("CLI-003")
def test_a_fault_has_its_own_status(monkeypatch):
    """What is nobody's bad input exits with 1 and says how to see more."""
    monkeypatch.setattr("mlmref.plugin.discovery.discover", lambda **_: 1 / 0)
    status, text = told("plugins")
    assert status == 1
    assert "ZeroDivisionError" in text
    assert "--debug" in text
