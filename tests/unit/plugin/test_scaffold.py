"""What ``mlmref new-plugin`` writes, and what it refuses (spec/scaffold.md)."""

import sys
import tomllib

import pytest
from support.outsider import Outsider
from support.processes import run
from support.runs import mlmref

from mlmref.base.errors import ConfigError, OutputError
from mlmref.plugin import scaffold
from mlmref.plugin.kinds import KINDS
from mlmref.plugin.scaffold import new_plugin

FLAGS = [kind.flag for kind in KINDS]


def files(folder):
    """Return what is in a folder, by path."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a folder with a package of each kind."""
    folder = tmp_path_factory.mktemp("written")
    for sort in FLAGS:
        new_plugin(f"my-{sort}", sort, folder / sort)
    return folder


@pytest.fixture(scope="module")
def outsider(tmp_path_factory, written):
    """Return an environment in which a package of each kind is installed."""
    environment = Outsider(tmp_path_factory.mktemp("outsider"))
    folders = " ".join(f"./{sort}[test]" for sort in FLAGS)
    done = environment(f"pip install -q {folders}", written)
    assert done.returncode == 0, done.stderr
    return environment


@pytest.mark.clause("NEW-001")
def test_new_plugins_are_found_once_they_are_installed(outsider, tmp_path):
    """``mlmref plugins`` lists each with its distribution, and none as broken."""
    listed = outsider("mlmref plugins --json", tmp_path)
    assert listed.returncode == 0, listed.stderr
    for sort in FLAGS:
        assert f'"name": "my-{sort}"' in listed.stdout
        assert f"mlmref-my-{sort}" in listed.stdout
    assert '"broken": []' in listed.stdout


@pytest.mark.clause("NEW-001")
@pytest.mark.parametrize(
    # The README's walk checks a new masking strategy.
    "sort",
    ["backend", "segmenter", pytest.param("masking", marks=pytest.mark.full)],
)
def test_a_new_plugin_passes_its_own_tests(outsider, written, sort):
    """``pytest`` in its folder: all clauses of the kit, and none fails."""
    done = outsider("pytest -q -p no:cacheprovider", written / sort)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.clause("NEW-002")
@pytest.mark.parametrize(
    "command",
    # All sources are typed together in tests/meta/test_types.py, in a third of the time.
    ["ruff check .", "ruff format --check .", pytest.param("mypy", marks=pytest.mark.full)],
)
def test_a_new_plugin_is_in_order(written, tmp_path, command):
    """Its own settings find nothing, of whichever kind it is."""
    pytest.importorskip(command.split()[0])
    # mypy reads mlmref itself once for all kinds.
    caches = {"ruff": ["--no-cache"], "mypy": ["--cache-dir", str(tmp_path)]}
    tool, *arguments = command.split()
    for sort in FLAGS:
        done = run([sys.executable, "-m", tool, *arguments, *caches[tool]], cwd=written / sort)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.clause("NEW-003")
@pytest.mark.parametrize("name", ["", "Mine", "my_own", "-mine", "my--own", "../mine", "é", "a b"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    """Only what the name of an entry may be; nothing is written."""
    with pytest.raises(ConfigError, match="is not lower-case letters, digits and single hyphens"):
        new_plugin(name, "masking", tmp_path / "here")
    assert not list(tmp_path.iterdir())


@pytest.mark.clause("NEW-003")
def test_a_kind_that_there_is_not_is_refused(tmp_path):
    """With the closest one, or all there are; nothing is written."""
    with pytest.raises(ConfigError, match="did you mean masking"):
        new_plugin("mine", "maskin", tmp_path / "here")
    with pytest.raises(ConfigError, match="there are masking, backend, segmenter"):
        new_plugin("mine", "x", tmp_path / "here")
    assert not list(tmp_path.iterdir())


@pytest.mark.clause("NEW-004")
@pytest.mark.parametrize("name", ["class", "lambda", "json", "2x", "numpy", "mlmref", "my-own"])
def test_any_name_makes_a_package(tmp_path, name):
    """Keywords, modules of the library and digits: the package compiles and hides nothing."""
    place = new_plugin(name, "masking", tmp_path / "here")
    (package,) = (place / "src").iterdir()
    assert package.name == "mlmref_" + name.replace("-", "_")
    assert package.name.isidentifier()
    assert package.name not in sys.stdlib_module_names
    namespace = {}
    exec((package / "__init__.py").read_text("utf-8"), namespace)  # noqa: S102 - our own
    (entry,) = namespace["mlmref_masking_strategies"]()
    assert entry.name == name
    project = tomllib.loads((place / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == f"mlmref-{name}"
    assert project["entry-points"]["mlmref"] == {name: package.name}


@pytest.mark.clause("NEW-005")
def test_nothing_is_overwritten(tmp_path):
    """A folder with a file, a file and a link stay as they are; an empty folder is used."""
    full, file, link, empty = (tmp_path / name for name in ("full", "file", "link", "empty"))
    full.mkdir()
    empty.mkdir()
    (full / "mine.py").write_text("mine", "utf-8")
    file.write_text("mine", "utf-8")
    link.symlink_to(empty)
    for place in (full, file, link):
        with pytest.raises(OutputError, match="already exists; nothing was changed"):
            new_plugin("mine", "masking", place)
    assert files(full) == {"mine.py": b"mine"}
    assert file.read_text("utf-8") == "mine"
    assert not files(empty)
    assert "pyproject.toml" in files(new_plugin("mine", "masking", empty))


@pytest.mark.clause("NEW-006")
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, error):
    """A full disk, or Ctrl-C, in the middle of writing."""

    def fail(text, *arguments):
        raise error

    monkeypatch.setattr(scaffold.Path, "write_text", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        new_plugin("mine", "masking", tmp_path / "here")
    assert not list(tmp_path.iterdir())


@pytest.mark.clause("NEW-006")
def test_a_folder_that_comes_to_be_there_in_the_meantime_stays(tmp_path, monkeypatch):
    """Renaming takes no place that somebody else has just filled."""
    place, write = tmp_path / "here", scaffold.Path.write_text

    def fill(file, *arguments):
        place.mkdir(exist_ok=True)
        write(place / "theirs", "theirs", "utf-8")
        return write(file, *arguments)

    monkeypatch.setattr(scaffold.Path, "write_text", fill)
    with pytest.raises(OutputError, match="cannot be written"):
        new_plugin("mine", "masking", place)
    assert files(tmp_path) == {"here/theirs": b"theirs"}


@pytest.mark.clause("NEW-007")
@pytest.mark.parametrize(
    ("name", "sort", "owner"),
    [
        ("token", "masking", "mlmref:builtin-masking"),
        ("trainer", "backend", "mlmref:builtin-backends"),
        ("tokenizer", "segmenter", "mlmref:builtin-words"),
    ],
)
def test_a_name_that_is_taken_is_refused(tmp_path, name, sort, owner):
    """The error names whose it is; of another kind it is free."""
    with pytest.raises(ConfigError, match=f"plugin {owner} .* already has a"):
        new_plugin(name, sort, tmp_path / "here")
    assert not list(tmp_path.iterdir())
    other = FLAGS[FLAGS.index(sort) - 1]
    new_plugin(name, other, tmp_path / "here")


@pytest.mark.clause("NEW-003")
@pytest.mark.clause("CLI-003")
def test_the_command_says_what_comes_next_or_what_is_wrong(tmp_path):
    """The folder and two commands with status 0; one line with status 2."""
    done = mlmref("new-plugin", "mine", "--kind", "masking", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "mlmref-mine; next: pip install -e 'mlmref-mine[test]' && mlmref check mine\n"
    )
    again = mlmref("new-plugin", "mine", "--kind", "masking", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr.startswith("mlmref: mlmref-mine: already exists")
    assert len(again.stderr.splitlines()) == 1
