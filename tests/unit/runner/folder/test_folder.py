"""The run folder: whole or not at all (spec/run.md)."""

import errno
import os
import re
from pathlib import Path

import pytest

from mlmref.base.disk import flush
from mlmref.base.errors import OutputError
from mlmref.runner.folder.folder import RunFolder


@pytest.mark.clause("RUN-003")
def test_the_folder_appears_with_everything_in_it(tmp_path):
    """Until it is finished there is no folder at its place; then it is complete."""
    with RunFolder(tmp_path / "out", "label") as folder:
        (folder.building / "deep").mkdir()
        (folder.building / "deep" / "file").write_text("content")
        assert not (tmp_path / "out").exists()
        assert folder.finish() == tmp_path / "out"
    assert (tmp_path / "out" / "deep" / "file").read_text() == "content"
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


@pytest.mark.clause("RUN-003")
def test_an_empty_folder_is_as_good_as_none(tmp_path):
    """A folder that somebody made for the run may be used."""
    (tmp_path / "out").mkdir()
    with RunFolder(tmp_path / "out", "label") as folder:
        (folder.building / "file").touch()
        folder.finish()
    assert (tmp_path / "out" / "file").exists()


@pytest.mark.clause("RUN-002")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_run_leaves_nothing(tmp_path, error):
    """Neither the folder, what was built, the lock, nor a parent that was made for it."""

    def run_and_fail():
        with RunFolder(tmp_path / "new" / "out", "label") as folder:
            (folder.building / "file").touch()
            raise error

    with pytest.raises(error):
        run_and_fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.clause("RUN-004")
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_stays(tmp_path, kind):
    """A file, a folder with something in it, and a link to one are refused as they are."""
    place = tmp_path / "out"
    if kind == "file":
        place.write_text("theirs")
    else:
        real = tmp_path / "real" if kind == "link" else place
        real.mkdir()
        (real / "theirs").write_text("theirs")
        if kind == "link":
            place.symlink_to(real)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="already exists"), RunFolder(place, "x"):
        pass
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.clause("RUN-004")
def test_a_second_run_on_the_same_folder_is_refused(tmp_path):
    """While one run is at work another cannot begin on its folder; afterwards it is in use."""
    place = tmp_path / "out"
    with RunFolder(place, "x") as first:
        (first.building / "file").write_text("first")
        with pytest.raises(OutputError, match="another run is writing"), RunFolder(place, "x"):
            pass
        first.finish()
    with pytest.raises(OutputError, match="already exists"), RunFolder(place, "x"):
        pass
    assert (tmp_path / "out" / "file").read_text() == "first"


@pytest.mark.clause("RUN-004")
def test_two_runs_without_a_folder_get_two(tmp_path, monkeypatch):
    """Numbers are given once, at the same time too."""
    monkeypatch.chdir(tmp_path)
    with RunFolder(None, "x") as one, RunFolder(None, "y") as two:
        assert (one.place.name, two.place.name) == ("001-x", "002-y")
        one.finish()
        two.finish()
    with RunFolder(None, "z") as three:
        assert three.place.name == "003-z"


@pytest.mark.clause("RUN-003")
def test_everything_is_flushed_before_it_is_renamed(tmp_path, monkeypatch):
    """Each file, the folder, then the rename, then the folder that holds it."""
    calls = []
    real_fsync, real_rename = os.fsync, type(tmp_path).rename

    def fsync(descriptor):
        calls.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real_fsync(descriptor)

    def rename(path, target):
        calls.append("rename")
        return real_rename(path, target)

    with RunFolder(tmp_path / "out", "x") as folder:
        (folder.building / "file").touch()
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(type(tmp_path), "rename", rename)
        building = str(folder.building)
        folder.finish()
    inside = [f"{building}/{name}" for name in ("checkpoints", "checkpoints/run.json", "file")]
    assert calls == [*inside, building, "rename", str(tmp_path)]


@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CKPT-010")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError(28, "No space left")])
def test_what_has_a_checkpoint_is_kept_and_told(tmp_path, error):
    """The unfinished folder stays, the lock goes, and the error says how to go on."""
    with pytest.raises((ValueError, KeyboardInterrupt, OutputError)) as caught:
        save_and_fail(tmp_path / "out", error)
    assert [one.name for one in tmp_path.iterdir()] == ["out.unfinished"]
    [note] = caught.value.__notes__
    assert note == f"saved at step 7: resume with mlmref run --resume {tmp_path / 'out'}"


def save_and_fail(place, error):
    """Make a checkpoint's folder in a run folder, and fail."""
    with RunFolder(place, "") as folder:
        made = folder.building / "checkpoints" / "step-00000007"
        made.mkdir()
        (made / "manifest.json").touch()
        raise error


@pytest.mark.clause("RUN-002")
def test_a_folder_of_the_name_that_is_built_under_stays(tmp_path):
    """Somebody's own .out.new with something in it is refused, and is not removed."""
    (tmp_path / ".out.new").mkdir()
    (tmp_path / ".out.new" / "theirs").touch()
    with pytest.raises(OutputError, match="already exists"), RunFolder(tmp_path / "out", ""):
        pass
    assert sorted(one.name for one in tmp_path.rglob("*")) == [".out.new", "theirs"]


@pytest.mark.clause("RES-006")
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_unfinished_stays(tmp_path, kind):
    """Without going on, whatever has the name of an unfinished run is refused and stays."""
    there = tmp_path / "out.unfinished"
    if kind == "folder":
        there.mkdir()
        (there / "theirs").touch()
    elif kind == "file":
        there.touch()
    else:
        there.symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises(OutputError, match="an unfinished run exists there.* --resume"),
        RunFolder(tmp_path / "out", ""),
    ):
        pass
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.clause("RUN-003")
def test_going_on_happens_in_the_folder_that_is_there(tmp_path):
    """What was in the unfinished folder is in the finished one."""
    with pytest.raises(ValueError, match="x"):
        save_and_fail(tmp_path / "out", ValueError("x"))
    (tmp_path / "out.unfinished" / "file").touch()
    with RunFolder(tmp_path / "out", "", None) as folder:
        folder.finish()
    assert (tmp_path / "out" / "file").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


@pytest.mark.clause("CKPT-002")
def test_the_marker_is_flushed_before_anything_is_built_on_it(tmp_path, monkeypatch):
    """The marker, both folders, and the one that they are in."""
    flushed, real = [], os.fsync

    def fsync(descriptor):
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with RunFolder(tmp_path / "out", ""):
        assert flushed == ["run.json", "checkpoints", ".out.new", tmp_path.name]


@pytest.mark.clause("RUN-003")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_file_system_may_flush_no_folders(tmp_path, monkeypatch, number):
    """A run is possible there; another error, or one for a file, is told with its path."""
    real = os.fsync

    def fsync(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    if number == errno.EIO:
        with pytest.raises(OSError, match=re.escape(str(tmp_path))):
            flush(tmp_path)
    else:
        with RunFolder(tmp_path / "out", "") as folder:
            folder.finish()
        assert (tmp_path / "out").is_dir()


@pytest.mark.clause("RUN-004")
def test_a_link_is_no_place_to_rename_to(tmp_path):
    """A link to an empty folder is refused before any work, and stays."""
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with (
        pytest.raises(OutputError, match="already exists"),
        RunFolder(tmp_path / "out", ""),
    ):
        pass
    assert (tmp_path / "out").is_symlink()


@pytest.mark.clause("RUN-003")
def test_a_finished_run_is_never_thrown_away(tmp_path):
    """When something has come to stand in its place, the result stays where it was built."""
    with pytest.raises(OutputError, match="the complete run is in") as caught:
        finish_where_something_stands(tmp_path / "out")
    building = Path(caught.value.hint.split("in ", 1)[1].split(": move")[0])
    assert (building / "file").read_text() == "result"
    assert (tmp_path / "out" / "theirs").read_text() == "theirs"


def finish_where_something_stands(place):
    """Finish a run whose place somebody else has taken meanwhile."""
    with RunFolder(place, "") as folder:
        (folder.building / "file").write_text("result")
        place.mkdir()
        (place / "theirs").write_text("theirs")
        folder.finish()


@pytest.mark.clause("RUN-002")
def test_a_name_that_is_too_long_leaves_no_lock(tmp_path):
    """Whatever fails after the lock was taken, the lock goes."""
    with pytest.raises(OutputError), RunFolder(tmp_path / "deep" / "er" / ("n" * 246), ""):
        pass
    assert list(tmp_path.iterdir()) == []
