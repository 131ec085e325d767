"""The hub as its clients see it: publishing, loading by name, and what goes wrong.

Each test runs the real code in a process of its own against the stand-in, since the clients
read the hub's address when they are imported.
"""

import hashlib
import shutil
import signal
from pathlib import Path

import pytest
from huggingface_hub import HfApi, HfFileSystem, ModelCard
from support.hub import TOKEN, HubStandIn

from mlmref.base.errors import ConfigError
from mlmref.model.embedded import embedded_checkpoint
from mlmref.results.publish import check_repo_id

PUBLISH = """
import json, sys
from pathlib import Path
from mlmref.base.errors import MlmrefError
from mlmref.results.publish import publish
folder, repo, private, message = sys.argv[1:]
try:
    print(publish(Path(folder), repo, private=private == "True", message=message))
except MlmrefError as error:
    print(f"{type(error).__name__}: {error}")
"""

MODEL_FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
SHARDS = {f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
RUN_FILES = MODEL_FILES | {"README.md", "record.json", "metrics.jsonl", "config.toml"}
PRIVATE_FILES = [
    "optimizer.pt",
    "optimizer.safetensors",
    "pytorch_model.bin",
    "training_args.bin",
    "scheduler.pkl",
    "rng_state.pth",
    "trainer_state.json",
    "notes.txt",
    ".env",
    "checkpoints/step-10/model.safetensors",
    "checkpoints/step-10/config.json",
    "cache/README.md",
    "model-1/x.safetensors",
]


@pytest.fixture
def run_folder(tmp_path):
    """Make what a run leaves behind, and things that are nobody's business."""
    folder = tmp_path / "my run"
    shutil.copytree(embedded_checkpoint(), folder)
    (folder / "README.md").write_text("---\npipeline_tag: fill-mask\n---\n# A model\n")
    for name in ("record.json", "metrics.jsonl", "config.toml"):
        (folder / name).write_text("{}\n")
    for name in PRIVATE_FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"private")
    return folder


def _publish(hub, folder, repo="tester/tiny", *, private=False, message="A model", **env):
    done = hub.python(PUBLISH, folder, repo, private, message, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.clause("PUB-002")
@pytest.mark.clause("PUB-003")
@pytest.mark.parametrize("no_xet", ["1", "0"])
def test_published_model_loads_by_name(run_folder, no_xet):
    """A published model loads by name and by commit, and nothing private went with it."""
    with HubStandIn() as hub:
        url = _publish(hub, run_folder, message="Hello", HF_HUB_DISABLE_XET=no_xet)
        assert url == f"{hub.url}/tester/tiny"
        [commit] = hub.commits
        assert (commit.repo, commit.message) == ("tester/tiny", "Hello")
        assert set(commit.files) == RUN_FILES
        for name, content in commit.files.items():
            assert content == (run_folder / name).read_bytes()
        done = hub.python(
            """
import sys, torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
from mlmref.evaluation.fill_mask import fill
for revision in ("main", sys.argv[1]):
    model = AutoModelForMaskedLM.from_pretrained(
        "tester/tiny", revision=revision, dtype=torch.float32
    )
    tokenizer = AutoTokenizer.from_pretrained("tester/tiny", revision=revision)
    [filled] = fill(model, tokenizer, ["This is a great [MASK]."])
    print(*(answer.token for answer in filled.answers))
""",
            commit.sha,
        )
        assert done.stdout.splitlines() == ["man time truth value degree"] * 2, done.stderr


@pytest.mark.clause("PUB-002")
def test_weights_in_several_files(run_folder):
    """Weights that are kept in several files are published with their index."""
    parts = SHARDS | {"model.safetensors.index.json"}
    (run_folder / "model.safetensors").unlink()
    for name in parts:
        (run_folder / name).write_bytes(b"{}")
    with HubStandIn() as hub:
        _publish(hub, run_folder)
        assert set(hub.commits[0].files) == RUN_FILES - {"model.safetensors"} | parts


@pytest.mark.clause("PUB-005")
def test_publishing_again_adds_a_commit(run_folder):
    """A second publication is a second commit; the first can still be had."""
    with HubStandIn() as hub:
        _publish(hub, run_folder, message="first")
        (run_folder / "record.json").write_text('{"epoch": 2}\n')
        _publish(hub, run_folder, message="second")
        assert [commit.message for commit in hub.commits] == ["first", "second"]
        first, second = (hub.files("tester/tiny", commit.sha) for commit in hub.commits)
        assert first["record.json"] == b"{}\n"
        assert second["record.json"] == b'{"epoch": 2}\n'


@pytest.mark.clause("PUB-005")
def test_name_without_owner_is_the_users_own(run_folder):
    """A repository named without its owner belongs to whom the token belongs."""
    with HubStandIn() as hub:
        assert _publish(hub, run_folder, "tiny") == f"{hub.url}/tester/tiny"
        assert hub.commits[0].repo == "tester/tiny"


@pytest.mark.clause("PUB-006")
def test_private_means_private(run_folder):
    """A repository is private only where asked, and nothing private goes where it is public."""
    with HubStandIn() as hub:
        _publish(hub, run_folder, "tester/open")
        _publish(hub, run_folder, "tester/closed", private=True)
        _publish(hub, run_folder, "tester/closed", private=True)
        assert not hub.repositories["models/tester/open"].private
        assert hub.repositories["models/tester/closed"].private
        assert len(hub.commits) == 3
        said = _publish(hub, run_folder, "tester/open", private=True)
        assert "not published: the repository exists and is public" in said
        assert said.endswith(f"hf upload tester/open '{run_folder}' --private")
        assert len(hub.commits) == 3


@pytest.mark.clause("PUB-002")
@pytest.mark.clause("PUB-005")
@pytest.mark.clause("PUB-007")
def test_a_run_publishes_itself(tmp_path):
    """``mlmref run --push`` publishes the model after each epoch, and the run folder at the end."""
    corpus = tmp_path / "films.txt"
    corpus.write_text("\n".join(f"Film {n} was a great film, and I liked it." for n in range(200)))
    with HubStandIn() as hub:
        done = hub.python(
            "from mlmref.cli import main; main()",
            *["run", "--corpus", corpus, "--chunk-size", 32, "--train-size", 8, "--test-size", 8],
            *["--epochs", 2, "--batch-size", 4, "--output", tmp_path / "run"],
            *["--push", "tester/films", "--set", "output.push_every_epoch=true"],
            MLMREF_CACHE=str(tmp_path / "cache"),
        )
        assert done.returncode == 0, done.stderr
        assert [set(commit.files) for commit in hub.commits] == [
            MODEL_FILES,
            MODEL_FILES,
            RUN_FILES,
        ]
        first, second, last = (commit.files["model.safetensors"] for commit in hub.commits)
        assert first != second
        assert second == last == (tmp_path / "run" / "model.safetensors").read_bytes()
        card = ModelCard(hub.files("tester/films")["README.md"].decode())
        assert card.data.model_name == "tester/films"


STOPPED = """
import os, signal, sys
from mlmref.results import publish
number = int(sys.argv.pop(1))
publish.publish = lambda *_, **__: os.kill(os.getpid(), number)
from mlmref.cli import main; main()
"""


@pytest.mark.clause("RUN-011")
@pytest.mark.clause("PUB-004")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_publishing_says_how_to_publish(tmp_path, number, status):
    """The run is whole; the command is one that can be pasted, and going on tells it again."""
    corpus, out = tmp_path / "films.txt", tmp_path / "my run"
    corpus.write_text("\n".join(f"Film {n} was a great film, and I liked it." for n in range(200)))
    typed = ["run", "--corpus", corpus, "--chunk-size", 32, "--train-size", 8, "--test-size", 8]
    typed += ["--batch-size", 4, "--output", out, "--quiet", "--resume", "auto"]
    typed += ["--push", "tester/films", "--set", "output.private=true"]
    with HubStandIn() as hub:
        cache = {"MLMREF_CACHE": str(tmp_path / "cache")}
        done = hub.python(STOPPED, int(number), *typed, **cache)
        assert done.returncode == status
        line = done.stderr.splitlines()[-1]
        command = f"hf upload tester/films '{out}' --private"
        assert line.endswith(
            f"ed: not published, but the run is complete: publish it with {command}"
        )
        again = hub.python("from mlmref.cli import main; main()", *typed, **cache)
        assert again.returncode == 0
        assert again.stderr.strip() == f"nothing was published; to publish it: {command}"
        assert not hub.commits


@pytest.mark.clause("PUB-004")
@pytest.mark.parametrize(
    ("repo", "env", "refuse", "why"),
    [
        ("tester/tiny", {"HF_TOKEN": ""}, {}, "no token found; the result"),
        ("tester/tiny", {"HF_TOKEN": "stale"}, {}, "the hub does not accept the token (401)"),
        ("other/tiny", {}, {}, "the token may not write there (403)"),
        ("tester/tiny", {}, {"commit": 404}, "not found, or not visible to this token (404)"),
        ("tester/tiny", {}, {"create": 503}, "the hub answers 503"),
        ("tester/tiny", {"HF_HUB_OFFLINE": "1"}, {}, "the hub cannot be reached or used (Cannot"),
        ("tester//tiny", {}, {}, "the hub cannot be reached or used (Repo id must"),
    ],
)
def test_failure_to_publish_loses_nothing(run_folder, repo, env, refuse, why):
    """A failure gives one line with the reason and the way on; the folder is as it was."""
    before = _digests(run_folder)
    with HubStandIn(refuse=refuse) as hub:
        said = _publish(hub, run_folder, repo, **env)
        assert hub.commits == []
    assert said.startswith(f"OutputError: repository {repo!r}: not published: {why}")
    assert f"; the result is safe in {run_folder}; " in said
    assert said.endswith(f", then: hf upload {repo} '{run_folder}'")
    assert "\n" not in said
    assert _digests(run_folder) == before


@pytest.mark.clause("PUB-004")
def test_repository_of_somebody_else(run_folder):
    """A repository that exists and belongs to another is left alone."""
    with HubStandIn(models={"other/tiny": embedded_checkpoint()}) as hub:
        before = hub.files("other/tiny")
        said = _publish(hub, run_folder, "other/tiny")
        assert "not published: the token may not write there (403)" in said
        assert hub.files("other/tiny") == before


@pytest.mark.clause("PUB-004")
def test_dead_hub(run_folder):
    """A hub that does not answer gives the same one line."""
    with HubStandIn() as hub:
        hub.stop()
        said = _publish(hub, run_folder)
    assert "not published: the hub cannot be reached or used (" in said
    assert "refused" in said
    assert "\n" not in said


@pytest.mark.clause("PUB-001")
@pytest.mark.parametrize(
    "repo", ["", "a/b/c", "models/me/x", "me/x y", "me/.x", "x.git", "a--b", "a..b", "x" * 97, "ä"]
)
def test_impossible_name(repo):
    """A name that the hub cannot accept is a configuration error, in one line."""
    with pytest.raises(ConfigError) as caught:
        check_repo_id(repo)
    assert str(caught.value).startswith(f"repository {repo!r}: not a valid repository name; give ")


@pytest.mark.clause("PUB-001")
@pytest.mark.parametrize("repo", ["x", "me/tiny-imdb", "Me_2/x.y", "x" * 96])
def test_possible_name(repo):
    """A name that the hub could accept passes, without asking the hub."""
    check_repo_id(repo)


# --- loading, which other stations promise; here because the stand-in must serve it ------------

LOAD = """
import sys
from mlmref.settings.config import CorpusConfig, ModelConfig
from mlmref.data.corpus.load import load_corpus
from mlmref.base.errors import MlmrefError
from mlmref.model.load import load_model
for request in sys.argv[1:]:
    kind, name, where = request.split()
    try:
        if kind == "model":
            loaded = load_model(ModelConfig(name=name, revision=where))
            print(loaded.revision, sum(p.numel() for p in loaded.model.parameters()))
        else:
            print(load_corpus(CorpusConfig(name=name, split=where)).dataset["text"][:])
    except MlmrefError as error:
        print(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def library():
    """Serve a model without an owner's name and data sets with several configurations."""
    rows = [{"text": f"Review {number}.", "label": number % 2} for number in range(4)]
    with HubStandIn(
        models={"distilbert-base-uncased": embedded_checkpoint()},
        datasets={
            "stanfordnlp/imdb:plain_text": {"train": rows, "test": rows[:1]},
            "org/two:a": {"train": [{"text": "from a"}]},
            "org/two:b": {"train": [{"text": "from b"}], "other": [{"text": "other b"}]},
        },
    ) as hub:
        yield hub


def _load(hub, *requests, code=LOAD, **env):
    done = hub.python(code, *requests, **env)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(requests)
    return lines


@pytest.mark.clause("PUB-003")
@pytest.mark.clause("MODEL-008")
def test_model_by_a_name_without_owner(library):
    """One of the hub's oldest names, without an owner, loads, and tells the commit it came from."""
    [sha] = library.repositories["models/distilbert-base-uncased"].commits
    requests = [f"model distilbert-base-uncased {revision}" for revision in ("main", sha)]
    assert _load(library, *requests) == [f"{sha} 4416698"] * 2


@pytest.mark.clause("CORP-003")
@pytest.mark.clause("CORP-004")
def test_corpus_from_the_hub(library, tmp_path):
    """A data set on the hub is a corpus, by name, configuration and split."""
    assert _load(
        library,
        "corpus hub:stanfordnlp/imdb test",
        "corpus hub:stanfordnlp/imdb:plain_text train",
        "corpus hub:org/two:b train",
        "corpus hub:org/two:b other",
        "corpus imdb test",
        MLMREF_CACHE=str(tmp_path),
    ) == [
        "['Review 0.']",
        "['Review 0.', 'Review 1.', 'Review 2.', 'Review 3.']",
        "['from b']",
        "['other b']",
        "['Review 0.']",
    ]


@pytest.mark.clause("CORP-004")
@pytest.mark.clause("MODEL-004")
@pytest.mark.parametrize("token", [TOKEN, "stale"])
def test_what_the_hub_does_not_have(library, token, tmp_path):
    """What is not there, or not for this token, gives one line."""
    said = _load(
        library,
        "model org/absent main",
        "model distilbert-base-uncased nowhere",
        "corpus hub:org/absent train",
        MLMREF_CACHE=str(tmp_path),
        HF_TOKEN=token,
    )
    assert [line.split(": ")[0] for line in said] == ["ModelError", "ModelError", "CorpusError"]
    assert "org/absent" in said[0]
    assert "org/absent" in said[2]


@pytest.mark.clause("CORP-004")
@pytest.mark.clause("MODEL-004")
def test_loading_from_a_dead_hub(tmp_path):
    """A hub that does not answer gives one line."""
    # The clients try for half a minute; the test need not wait with them.
    impatient = "import time; time.sleep = lambda _: None" + LOAD
    with HubStandIn() as hub:
        hub.stop()
        said = _load(
            hub,
            "model org/x main",
            "corpus hub:org/x train",
            code=impatient,
            MLMREF_CACHE=str(tmp_path),
        )
    assert [line.split(": ")[0] for line in said] == ["ModelError", "CorpusError"]


@pytest.mark.clause("PUB-003")
def test_stand_in_speaks_the_protocol(library, tmp_path):
    """What the clients can ask of a repository, beyond what they ask today, is answered."""
    api = HfApi(endpoint=library.url, token=TOKEN)
    name, path = "stanfordnlp/imdb", "plain_text/train-00000-of-00001.parquet"
    info = api.dataset_info(name)
    assert {sibling.rfilename for sibling in info.siblings} >= {"README.md", path}
    tree = {entry.path for entry in api.list_repo_tree(name, repo_type="dataset", recursive=True)}
    assert tree >= {"README.md", "plain_text", path}
    assert "plain_text" in {entry.path for entry in api.list_repo_tree(name, repo_type="dataset")}
    [entry] = api.get_paths_info(name, [path, "absent"], repo_type="dataset")
    content = library.repositories[f"datasets/{name}"].find("main")[1][path]
    assert (entry.path, entry.size) == (path, len(content))
    [branch] = api.list_repo_refs(name, repo_type="dataset").branches
    assert (branch.name, branch.target_commit) == ("main", info.sha)
    assert api.file_exists(name, path, repo_type="dataset", revision=info.sha)
    assert not api.file_exists(name, "absent", repo_type="dataset")
    assert not api.revision_exists(name, "absent", repo_type="dataset")
    folder = Path(api.snapshot_download(name, repo_type="dataset", cache_dir=tmp_path))
    assert (folder / path).read_bytes() == content
    files = HfFileSystem(endpoint=library.url, token=TOKEN)
    with files.open(f"datasets/{name}/{path}", block_size=64) as stream:
        stream.seek(-8, 2)
        assert stream.read() == content[-8:]
