"""Checkpoints on the disk (spec/checkpoints.md, CKPT)."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlmref.base import layout
from mlmref.base.disk import sealed, unsealed
from mlmref.model.checkpoint import fault
from mlmref.runner.folder.checkpoint import clear, last_step, newest, save
from mlmref.training.state import from_plain, to_plain

RUN = "a-run"
MODEL = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(3)}
STATE = {
    "done": 7,
    "betas": (0.9, 0.999),
    "moments": {0: {"mean": torch.ones(2), "step": torch.tensor(7.0)}, 1: {}},
    "none": [None, True, float("inf"), "text"],
}


def saved(folder, step, run=RUN, last=9, **changes):
    """Save a checkpoint of a step."""
    whole = {"model": MODEL, "state": STATE, "metrics": "{}\n"} | changes
    return save(folder / "checkpoints", run=run, step=step, last=last, **whole)


def found(folder, run=RUN):
    """Return the newest checkpoint's step, and what was said of others."""
    told = []
    one = newest(folder / "checkpoints", run, told.append)
    return (one.step if one else None), told


def same(one, other):
    """Tell whether two states are alike, types included."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other) and one.dtype == other.dtype
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@pytest.mark.clause("CKPT-001")
@pytest.mark.clause("CKPT-009")
def test_what_is_saved_is_what_is_loaded(tmp_path):
    """Tensors, tuples, whole-number keys and numbers come back as they were."""
    one = saved(tmp_path, 7)
    loaded = one.load()
    assert same(loaded.pop("model"), dict(sorted(MODEL.items())))
    assert same(loaded, STATE)
    assert one.metrics == "{}\n"
    assert {file.suffix for file in one.folder.iterdir()} == {".safetensors", ".json", ".jsonl"}


tensors = st.lists(st.floats(width=32, allow_nan=False), max_size=3).map(torch.tensor)
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | tensors
)
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=9,
)


@pytest.mark.clause("CKPT-001")
@given(st.dictionaries(st.text(), states, max_size=3))
def test_any_state_goes_through_json_and_back(state):
    """Whatever is nested in whatever, with any names, tensors beside."""
    apart = {}
    plain = json.loads(json.dumps(to_plain(state, apart)))
    assert same(from_plain(plain, apart), state)


@pytest.mark.clause("CKPT-009")
@pytest.mark.parametrize("odd", [{1, 2}, {"deep": [object()]}, {(1, 2): 3}])
def test_what_json_cannot_hold_is_refused(odd):
    """An object that only a pickle could hold is an error, not a pickle."""
    with pytest.raises(TypeError, match="cannot be saved|neither"):
        to_plain({"state": odd}, {})


@pytest.mark.clause("CKPT-009")
def test_nothing_is_unpickled(tmp_path, monkeypatch):
    """With every way to unpickle closed, a checkpoint loads."""
    one = saved(tmp_path, 1)

    def forbidden(*_, **__):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, forbidden)
    monkeypatch.setattr(torch, "load", forbidden)
    assert one.load()["done"] == 7


@pytest.mark.clause("CKPT-002")
def test_the_order_of_a_save(tmp_path, monkeypatch):
    """Files flushed, manifest last, folder flushed, renamed, folder above flushed."""
    (tmp_path / "checkpoints").mkdir()
    calls = []
    real = os.fsync, os.rename

    def fsync(descriptor):
        calls.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real[0](descriptor)

    def rename(source, target):
        calls.append("rename")
        real[1](source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    saved(tmp_path, 1)
    *files, manifest, building, renamed, above = calls
    assert sorted(files) == [
        "metrics.jsonl",
        "model.safetensors",
        "state.json",
        "training.safetensors",
    ]
    assert manifest == "manifest.json"
    assert building.startswith(".part-")
    assert (renamed, above) == ("rename", "checkpoints")


class Killed(BaseException):
    """A kill: nothing of the program runs afterwards."""


def crash_at(call, monkeypatch):
    """Kill at the n-th call that touches the disk; nothing touches it afterwards."""
    left = [call]

    def dies(real):
        def wrapper(*arguments, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments, **options)

        return wrapper

    for module, names in {
        os: ("fsync", "rename", "mkdir", "rmdir", "unlink"),
        shutil: ("rmtree",),
        Path: ("write_bytes", "write_text", "unlink", "chmod"),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, dies(getattr(module, name)))
    from safetensors import torch as theirs

    monkeypatch.setattr(theirs, "save_file", dies(theirs.save_file))


@pytest.mark.clause("CKPT-002")
@pytest.mark.clause("CKPT-005")
def test_a_kill_at_any_call_leaves_a_whole_checkpoint(tmp_path):
    """Whatever call the third save dies at, the second or the third is there and whole."""
    outcomes = []
    for call in range(100):
        folder = tmp_path / str(call)
        folder.mkdir()
        saved(folder, 1, last=2)
        saved(folder, 2, last=2)
        with pytest.MonkeyPatch.context() as patch:
            crash_at(call, patch)
            try:
                saved(folder, 3, last=2)
            except Killed:
                killed = True
            else:
                killed = False
        step, told = found(folder)
        outcomes.append(step)
        assert step in {2, 3}, f"call {call}: {told}"
        assert not told
        saved(folder, 4, last=2)
        assert found(folder) == (4, [])
        assert not list((folder / "checkpoints").glob(".*")), "what was half written is removed"
        if not killed:
            break
    assert not killed
    assert call > 12
    assert outcomes == sorted(outcomes)


@pytest.mark.clause("CKPT-004")
@pytest.mark.parametrize("file", ["model.safetensors", "training.safetensors", "state.json"])
@pytest.mark.parametrize("how", ["cut short", "bit flipped", "removed", "emptied"])
def test_a_damaged_file_is_named_and_the_one_before_taken(tmp_path, file, how):
    """One byte less, one bit changed, no file: each is told with the checkpoint and the file."""
    saved(tmp_path, 1)
    place = saved(tmp_path, 2).folder
    content = bytearray((place / file).read_bytes())
    if how == "bit flipped":
        content[len(content) // 2] ^= 1
    (place / file).write_bytes(content[: {"cut short": -1, "emptied": 0}.get(how)])
    if how == "removed":
        (place / file).unlink()
    step, [line] = found(tmp_path)
    assert step == 1
    assert "step-00000002" in line
    assert file in line
    assert "skipped" in line


@pytest.mark.clause("CKPT-004")
@pytest.mark.parametrize("bit", range(0, 2000, 97))
def test_no_bit_of_the_manifest_can_change(tmp_path, bit):
    """A manifest that differs in one bit is damaged, if it still says something else at all."""
    place = saved(tmp_path, 2).folder
    manifest = bytearray((place / "manifest.json").read_bytes())
    before = unsealed(bytes(manifest))
    manifest[bit // 8 % len(manifest)] ^= 1 << bit % 8
    (place / "manifest.json").write_bytes(manifest)
    try:
        unchanged = unsealed(bytes(manifest)) == before
    except ValueError:
        unchanged = False
    assert (fault(place, RUN) is None) == unchanged


@pytest.mark.clause("CKPT-004")
def test_foreign_checkpoints_are_named_and_passed_over(tmp_path):
    """Another run's, another version's, Trainer's, and one under another's name."""
    saved(tmp_path, 1)
    folder = tmp_path / "checkpoints"
    saved(tmp_path, 9, run="another")
    place = saved(tmp_path, 3).folder
    shutil.copytree(place, folder / "step-00000008")
    later = unsealed((place / "manifest.json").read_bytes()) | {"format": 99}
    (place / "manifest.json").write_bytes(sealed(later))
    (folder / "checkpoint-500").mkdir()
    (folder / "checkpoint-500" / "trainer_state.json").write_text("{}")
    step, told = found(tmp_path)
    assert step == 1
    assert [line.split(f"{folder}/")[1] for line in told] == [
        "step-00000009: skipped, it is another run's",
        "step-00000008: skipped, it is of step 3",
        "step-00000003: skipped, another version of mlmref wrote it",
    ]
    shutil.rmtree(folder / "step-00000001")
    step, told = found(tmp_path)
    assert step is None
    assert told[-1].endswith("checkpoint-500: skipped, it has no manifest.json")


@pytest.mark.clause("CKPT-005")
def test_the_last_ones_are_kept(tmp_path):
    """Of five, the last two; with one, the last."""
    for step in range(1, 6):
        saved(tmp_path, step, last=2)
    assert sorted(one.name for one in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000004",
        "step-00000005",
    ]
    saved(tmp_path, 6, last=1)
    assert [one.name for one in (tmp_path / "checkpoints").iterdir()] == ["step-00000006"]
    assert last_step(tmp_path / "checkpoints") == 6


@pytest.mark.clause("CKPT-004")
@pytest.mark.clause("CKPT-005")
def test_damaged_ones_do_not_take_the_place_of_new_ones(tmp_path):
    """With the newest two damaged, what is saved from the start on is kept and found."""
    for step in (5, 6):
        (saved(tmp_path, step, last=2).folder / "state.json").write_text("{}")
    for step in (1, 2, 3):
        saved(tmp_path, step, last=2)
    assert found(tmp_path)[0] == 3
    assert last_step(tmp_path / "checkpoints") == 3


@pytest.mark.clause("CKPT-007")
def test_what_is_not_the_runs_own_stays(tmp_path):
    """A folder without a manifest, another run's and a damaged one outlive saving and clearing."""
    folder = tmp_path / "checkpoints"
    saved(tmp_path, 5, run="another")
    (folder / "step-00000004").mkdir()
    (folder / "step-00000004" / "theirs").write_text("theirs")
    for step in (1, 2, 3, 4):
        saved(tmp_path, step, last=1)
    assert (folder / "step-00000004-damaged-1" / "theirs").read_text() == "theirs"
    clear(folder, RUN)
    assert sorted(one.name for one in folder.iterdir()) == [
        "step-00000004-damaged-1",
        "step-00000005",
    ]


@pytest.mark.clause("CKPT-008")
def test_clearing_removes_the_folder_when_nothing_is_left(tmp_path):
    """Checkpoints, the marker, and then the folder."""
    saved(tmp_path, 1)
    (tmp_path / "checkpoints" / layout.RUN).write_text("marker")
    clear(tmp_path / "checkpoints", RUN)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.clause("CKPT-006")
@pytest.mark.parametrize("call", range(4))
def test_a_full_disk_leaves_the_checkpoints_before(tmp_path, call, monkeypatch):
    """ENOSPC at a flush: the error comes out, and nothing of the checkpoint is left."""
    saved(tmp_path, 1)
    left = [call]

    def full(_):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        saved(tmp_path, 2)
    assert [one.name for one in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]
    assert found(tmp_path) == (1, [])


@pytest.mark.clause("CKPT-006")
def test_weights_that_cannot_be_written_are_told_as_what_they_are(tmp_path, monkeypatch):
    """What safetensors says of a full disk is an OSError, as any other full disk."""
    from safetensors import SafetensorError
    from safetensors import torch as theirs

    def full(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr(theirs, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        saved(tmp_path, 2)
    assert found(tmp_path) == (None, [])
