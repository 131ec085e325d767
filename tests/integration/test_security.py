"""What comes from others is data: it runs nothing, writes nowhere, and moves no cursor (SEC)."""

import html
import io
import json
import pickle
import re
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from rich.text import Text
from support.hub import HubStandIn
from support.runs import save_corpus, save_model
from typer.testing import CliRunner

import mlmref
from mlmref.base.errors import ConfigError, MlmrefError, ModelError
from mlmref.base.terminal import Terminal, plain
from mlmref.cli import app
from mlmref.data.corpus.load import load_corpus
from mlmref.model.load import load_model
from mlmref.plugin.discovery import discover
from mlmref.runner.context import choose_plugins
from mlmref.settings.config import CorpusConfig, ModelConfig
from mlmref.settings.resolve import resolve


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return (self.witness.touch, ())


@pytest.fixture
def witness(tmp_path):
    """Return the file that a bomb would leave."""
    return tmp_path / "ran"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with a model and a corpus, and go there."""
    here = tmp_path / "place"
    here.mkdir()
    save_model(here / "model")
    save_corpus(here / "corpus.txt")
    monkeypatch.chdir(here)
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))
    return here


def files(folder):
    """Return every file and folder below one, with what tells of a change."""
    return {
        (path.relative_to(folder).as_posix(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def set_in(file, **changes):
    """Change some keys of a file of JSON."""
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


SHORT = "--chunk-size 16 --max-steps 1 --quiet --limit 20"


def told(*arguments, **options):
    """Run the command in this process; returns what came of it."""
    return CliRunner().invoke(app, [*" ".join(arguments).split()], **options)


# --- pickles -----------------------------------------------------------------------------------


@pytest.mark.clause("SEC-001")
def test_the_bomb_goes_off_where_it_is_opened(witness):
    """Otherwise the tests below could not fail."""
    pickle.loads(pickle.dumps(Bomb(witness)))  # noqa: S301 - the point of the test
    assert witness.exists()


PICKLES = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "adapter_model.bin",
    "training_args.bin",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "model.pkl",
    "tokenizer.pkl",
    "vocab.pkl",
    "vocab.bin",
    "tf_model.h5",
    "flax_model.msgpack",
]


@pytest.mark.clause("SEC-001")
@pytest.mark.clause("MODEL-002")
def test_pickles_beside_a_model_are_not_opened(place, witness):
    """Whatever they are called; neither by a run nor by evaluate and fill."""
    for name in PICKLES:
        (place / "model" / name).write_bytes(pickle.dumps(Bomb(witness)))
    done = told("run --model model --corpus corpus.txt --output out", SHORT)
    assert done.exit_code == 0, done.stderr
    for name in PICKLES:
        (place / "out" / name).write_bytes(pickle.dumps(Bomb(witness)))
    assert told("evaluate out --quiet").exit_code == 0
    assert told("fill out {mask}").exit_code == 0
    assert not witness.exists()


@pytest.mark.clause("SEC-001")
@pytest.mark.parametrize("opens", ["pickle", "torch"])
@pytest.mark.parametrize("name", ["adapter_model.bin", "pytorch_model.bin", "../secret.bin"])
def test_a_configuration_does_not_name_a_pickle_as_the_weights(place, witness, name, opens):
    """transformers_weights in config.json is refused unless it is safetensors."""
    if opens == "pickle":
        (place / "model" / name).write_bytes(pickle.dumps(Bomb(witness)))
    else:  # one that the restricted unpickler of torch reads without complaint
        torch.save(load_model(ModelConfig(name="model")).model.state_dict(), place / "model" / name)
    set_in(place / "model" / "config.json", transformers_weights=name)
    with pytest.raises(ModelError) as caught:
        load_model(ModelConfig(name="model"))
    assert str(caught.value) == (
        f"model: its config.json names {name} as its weights; "
        "only safetensors are read; convert the weights with save_pretrained first"
    )
    assert not witness.exists()


@pytest.mark.clause("SEC-001")
def test_parquet_and_its_metadata_are_not_unpickled(place, witness):
    """Arrow's old extension type for Python objects carried a pickle in the schema."""
    field = pa.field(
        "text",
        pa.string(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(Bomb(witness)),
        },
    )
    table = pa.table([pa.array(["a film"] * 30)], schema=pa.schema([field], {b"pandas": b"{}"}))
    pq.write_table(table, place / "a.parquet")
    assert len(load_corpus(CorpusConfig(name="a.parquet"))) == 30
    assert not witness.exists()


LOAD = """
import sys
from mlmref.settings.config import CorpusConfig
from mlmref.data.corpus.load import load_corpus
from mlmref.base.errors import CorpusError

for name in sys.argv[1:]:
    try:
        print(len(load_corpus(CorpusConfig(name=name))))
    except CorpusError as error:
        print(error)
"""


@pytest.mark.clause("SEC-001")
@pytest.mark.clause("CORP-004")
def test_pickles_and_scripts_of_a_data_set_are_not_opened(tmp_path, witness):
    """A script, pickles by extension and by builder, and NumPy and torch files in a tar."""
    bomb = pickle.dumps(Bomb(witness))
    array = io.BytesIO()
    np.save(array, np.array([Bomb(witness)], dtype=object), allow_pickle=True)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        inside = {"text": b"a film", "npy": array.getvalue(), "pth": bomb, "pyd": bomb}
        for kind, content in (*inside.items(), ("pickle", bomb)):
            entry = tarfile.TarInfo(f"one.{kind}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    script = f"import pathlib\npathlib.Path({str(witness)!r}).touch()\n".encode()
    pandas = (
        b"---\nconfigs:\n- config_name: default\n  data_files: a.pkl\nbuilder_name: pandas\n---\n"
    )
    with HubStandIn() as hub:
        hub._put("datasets/org/script", {"script.py": script, "a.txt": b"a film\n"})
        hub._put("datasets/org/pickle", {"a.pkl": bomb, "b.pickle": bomb})
        hub._put("datasets/org/pandas", {"a.pkl": bomb, "README.md": pandas})
        hub._put("datasets/org/tar", {"a.tar": tar.getvalue()})
        done = hub.python(
            LOAD,
            *(f"hub:org/{name}" for name in ("script", "pickle", "pandas", "tar")),
            MLMREF_CACHE=str(tmp_path / "cache"),
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stdout
    assert all("cannot be loaded" in line or line == "1" for line in lines), lines
    assert not witness.exists()


# --- code --------------------------------------------------------------------------------------

CODE = "import pathlib\npathlib.Path({!r}).touch()\nclass Own: pass\n"


@pytest.mark.clause("SEC-002")
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_beside_a_model_or_its_tokenizer_does_not_run(place, witness, file):
    """auto_map in either file; what it names is not imported."""
    (place / "model" / "own.py").write_text(CODE.format(str(witness)))
    classes = {
        "config.json": {"AutoConfig": "own.Own", "AutoModelForMaskedLM": "own.Own"},
        "tokenizer_config.json": {"AutoTokenizer": ["own.Own", "own.Own"]},
    }
    kind = {"model_type": "own"} if file == "config.json" else {"tokenizer_class": "Own"}
    set_in(place / "model" / file, auto_map=classes[file], **kind)
    done = told("fill model {mask}")
    assert not witness.exists()
    if file == "config.json":
        assert done.exit_code == 2
        assert done.stderr == (
            "mlmref: model: it brings code of its own, which is not run unasked; "
            "read that code, and if you trust its author add --trust-remote-code\n"
        )


@pytest.mark.clause("SEC-002")
@pytest.mark.parametrize("asked", ["org/kernel", "flash_attention_2", "org/kernel:own.attention"])
def test_a_configuration_does_not_choose_native_code(place, monkeypatch, asked):
    """attn_implementation in config.json is passed over, so nothing is looked for on the hub."""
    set_in(place / "model" / "config.json", attn_implementation=asked)
    asked_for = []
    monkeypatch.setattr(
        "transformers.modeling_utils.lazy_import_flash_attention",
        lambda *some, **more: asked_for.append(some),
    )
    loaded = load_model(ModelConfig(name="model"))
    assert loaded.model.config._attn_implementation in {"sdpa", "eager"}
    assert not asked_for


@pytest.mark.clause("SEC-003")
@pytest.mark.parametrize("command", ["run --config foreign.toml", "evaluate out"])
def test_a_file_of_settings_does_not_allow_code(place, witness, command):
    """Neither a file that is named nor the config.toml of a run folder; --set may undo it."""
    save_model(place / "out")
    (place / "out" / "own.py").write_text(CODE.format(str(witness)))
    auto = {"AutoConfig": "own.Own", "AutoModelForMaskedLM": "own.Own"}
    set_in(place / "out" / "config.json", auto_map=auto, model_type="own")
    settings = '[model]\nname = "out"\ntrust_remote_code = true\n[corpus]\nname = "corpus.txt"\n'
    for file in ("foreign.toml", "out/config.toml"):
        (place / file).write_text(settings)
    where = "foreign.toml" if "foreign" in command else "out/config.toml"
    done = told(command, "--quiet")
    assert done.exit_code == 2
    assert done.stderr == (
        f"mlmref: {where}: a file cannot set model.trust_remote_code = true; "
        "read that code, and if you trust its author add --trust-remote-code\n"
    )
    done = told(command, "--quiet --set model.trust_remote_code=false")
    assert "it brings code of its own, which is not run unasked" in done.stderr
    assert not witness.exists()


@pytest.mark.clause("SEC-003")
@pytest.mark.parametrize(
    "said", [{"flags": {"--trust-remote-code": ("model.trust_remote_code", True)}}, {"sets": None}]
)
def test_the_command_line_allows_code(tmp_path, said):
    """As a flag or with --set, also over a file that says the same."""
    file = tmp_path / "a.toml"
    file.write_text("[model]\ntrust_remote_code = true\n")
    said = said if "flags" in said else {"sets": ["model.trust_remote_code=true"]}
    assert resolve(file=file, **said).model.trust_remote_code
    assert resolve(**said).model.trust_remote_code
    assert not resolve().model.trust_remote_code


@pytest.mark.clause("SEC-004")
@pytest.mark.parametrize(
    "text",
    [
        'masking.strategy="os.system"',
        "masking.options.mlm_probability=\"__import__('os').mkdir('ran')\"",
        'training.options={"__reduce__" = ["os.mkdir", "ran"]}',
        'words.options={"!!python/object/apply:os.mkdir" = ["ran"]}',
    ],
)
def test_settings_run_nothing(place, text):
    """Names are looked up among plugins, and values stay text."""
    with pytest.raises(MlmrefError):
        choose_plugins(resolve(sets=[text]), discover())
    assert not (place / "ran").exists()


# --- places ------------------------------------------------------------------------------------


@pytest.mark.clause("SEC-005")
@pytest.mark.clause("SEC-007")
def test_a_run_folder_from_elsewhere_writes_nowhere(place, tmp_path):
    """Its config.toml names a folder outside and one to publish to: evaluate does neither."""
    told("run --model model --corpus corpus.txt --output out", SHORT)
    text = (place / "out" / "config.toml").read_text()
    outside = tmp_path / "outside"
    foreign = re.sub(r'folder = "out"', f'folder = "{outside}"\npush = "org/model"', text)
    assert foreign != text
    (place / "out" / "config.toml").write_text(foreign)
    before = files(tmp_path)
    with HubStandIn() as hub:
        done = told("evaluate out --quiet", env={"HF_ENDPOINT": hub.url})
    assert done.exit_code == 0, done.stderr
    assert not hub.requests
    assert files(tmp_path) == before
    # To do it again, elsewhere, is a wish of whoever asks for that.
    settings = resolve(file=place / "out" / "config.toml")
    assert settings.output.folder is None
    assert (
        resolve(file=place / "out" / "config.toml", sets=["output.folder=b"]).output.folder == "b"
    )


@pytest.mark.clause("SEC-006")
@pytest.mark.parametrize(
    "folder", ["../out", "/elsewhere", "~/out", "a/../../out", "~nobody-is-called-so/out"]
)
def test_a_file_does_not_lead_out_of_the_current_folder(place, folder):
    """Upwards, absolute or at home it is refused, and the command line may still say so."""
    (place / "a.toml").write_text(f'[output]\nfolder = "{folder}"\n')
    with pytest.raises(ConfigError) as caught:
        resolve(file=place / "a.toml")
    assert str(caught.value) == (
        f"{place}/a.toml: output.folder = {folder!r} is outside the current folder; "
        "choose it with --output"
    )
    said = {"--output": ("output.folder", folder)}
    assert resolve(file=place / "a.toml", flags=said).output.folder == folder


@pytest.mark.clause("SEC-006")
@pytest.mark.parametrize("folder", ["out", "a/b", "./out", "a/../out", "{here}/out"])
def test_a_file_may_name_a_folder_below(place, folder):
    """What lies below the current folder, however it is spelt."""
    folder = folder.format(here=place)
    (place / "a.toml").write_text(f'[output]\nfolder = "{folder}"\n')
    assert resolve(file=place / "a.toml").output.folder == folder


@pytest.mark.clause("SEC-007")
def test_a_run_writes_to_its_folder_and_the_cache(place, tmp_path, monkeypatch):
    """With every setting that is a text set to a path outside, nothing comes to be there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere" / name))
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
    before = files(tmp_path)
    usable = [
        "model.name=model",
        "corpus.name=corpus.txt",
        "fill.prompts=['../x {mask}']",
        "chunks.size=16",
        "training.max_steps=1",
        "output.folder=out",
    ]
    for ignored in ("model.revision", "corpus.label_column", "corpus.split", "corpus.text_column"):
        with pytest.raises(MlmrefError, match="would be ignored"):
            mlmref.run(resolve(sets=[*usable, f"{ignored}={outside}/{ignored}"]))
    mlmref.run(resolve(sets=usable))
    assert not list(outside.iterdir())
    new = {name.split("/")[0] for name, _ in files(tmp_path) - before}
    assert new == {"cache", "place"}
    assert {path.name for path in place.iterdir()} == {"model", "corpus.txt", "out"}


# --- text --------------------------------------------------------------------------------------


@pytest.mark.clause("SEC-008")
def test_a_card_shows_what_comes_from_the_corpus_as_text(place):
    """A prompt, a name of a corpus and one of a model that are HTML, Markdown and table cells."""
    name = "a <img src=x onerror=alert(1)> | [b](javascript:c) `d`.txt"
    (place / "corpus.txt").rename(place / name)
    (place / "model").rename(place / "<b>m")
    mlmref.run(
        resolve(
            sets=[
                "model.name=./<b>m",
                "chunks.size=16",
                "training.max_steps=1",
                "output.folder=out",
            ],
            flags={
                "--corpus": ("corpus.name", name),
                "--prompt": ("fill.prompts", ("<script>x</script> | {mask} </td>\n# head",)),
            },
        )
    )
    card = (place / "out" / "README.md").read_text().split("\n---\n", 1)[1]
    for foreign in ("<img", "<script", "</td>", "<b>", "[b](", "`d`", "\n# head"):
        assert foreign not in card
    assert "<img src=x onerror=alert(1)> | [b](javascript:c) `d`.txt" in html.unescape(card)


ESCAPES = "a\x1b[31m\x1b]0;title\x07\x9b2J\x00b\rc\udcff:x: [bold]d"
SPELLED = "a\\u001b[31m\\u001b]0;title\\u0007\\u009b2J\\u0000b\\u000dc\\udcff:x: [bold]d"


@pytest.mark.clause("SEC-009")
def test_control_characters_are_spelled_out_wherever_text_is_printed():
    """As a string, as rich's text, in a table's cell; the program's own colours go through."""
    assert plain(ESCAPES) == SPELLED
    assert json.loads(f'"{SPELLED}"') == ESCAPES
    assert plain("a\tb\nc") == "a\tb\nc"
    written = io.StringIO()
    console = Terminal(file=written, width=200, force_terminal=True, color_system="standard")
    console.print(ESCAPES, markup=False, soft_wrap=True)
    text = Text("x")
    text.append("\x1b[2J", style="red")
    console.print(text, soft_wrap=True)
    printed = written.getvalue()
    # rich itself takes out of a text what moves the carriage or rings.
    spelled = SPELLED.replace("\\u0007", "").replace("\\u000d", "")
    assert spelled in printed or SPELLED in printed
    assert printed.count("\x1b") == 2  # red, and back
    assert "\\u001b[2J" in printed


@pytest.mark.clause("SEC-009")
def test_an_error_spells_control_characters_out():
    """What, where and what to do; also for who prints the exception."""
    error = MlmrefError("what \x1b[31m", where="wh\x9bere", hint="hint\x07\nhere")
    assert str(error) == "wh\\u009bere: what \\u001b[31m; hint\\u0007 here"


@pytest.mark.clause("SEC-010")
@pytest.mark.parametrize(
    ("key", "flag"),
    [
        ("model.name", "--model"),
        ("corpus.name", "--corpus"),
        ("output.folder", "--output"),
        ("fill.prompts", "--prompt"),
        ("masking.strategy", "--masking"),
    ],
)
@pytest.mark.parametrize(
    ("bad", "what"), [("\0", "contains a NUL character"), ("\udcff", "is not UTF-8")]
)
def test_a_setting_is_text(key, flag, bad, what):
    """A NUL, and a name whose bytes are no UTF-8, are told with key and flag."""
    value = f"a{bad}"
    with pytest.raises(ConfigError) as caught:
        resolve(flags={flag: (key, (value,) if flag == "--prompt" else value)})
    assert str(caught.value) == f"{flag}: {key} {what}; remove the character"


@pytest.mark.clause("SEC-010")
def test_an_option_is_text_in_keys_and_lists(tmp_path):
    """The options of a plugin too, from a file."""
    file = tmp_path / "a.toml"
    file.write_text('[masking.options]\nwords = ["fine", "a\\u0000"]\n')
    with pytest.raises(ConfigError, match=r"a\.toml: masking\.options\.words contains a NUL"):
        resolve(file=file)
    file.write_text('[masking.options]\n"a\\u0000" = 1\n')
    with pytest.raises(ConfigError, match=r"a\.toml: masking\.options contains a NUL"):
        resolve(file=file)
