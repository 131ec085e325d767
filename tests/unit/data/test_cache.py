"""The cache: entries are whole and current, or made again (spec/cache.md)."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow as pa
import pytest
from support.processes import finish, start
from support.unprivileged import open_folder, unprivileged

from mlmref.base.errors import OutputError
from mlmref.data import cache as station
from mlmref.data.cache import cache_folder, cached, canonical

SCHEMA = pa.schema({"n": pa.int32()})


def batch(*values):
    """Make one batch of the column."""
    return pa.record_batch([pa.array(values, pa.int32())], schema=SCHEMA)


def make():
    """Three rows in two batches."""
    yield batch(1, 2)
    yield batch(3)
    return {"seen": 3}


def serve(parts=None, station="numbers", schema=SCHEMA, make=make):
    """Ask for the entry that most tests want, or one that differs in what they name."""
    return cached(station, parts or {"version": 1}, schema, make)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Give each test a cache of its own."""
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def left_over(folder):
    """Name the files of entries; locks may stay."""
    return sorted(path.name for path in folder.rglob("*") if path.suffix not in ("", ".lock"))


# --- where -------------------------------------------------------------------------------------


@pytest.mark.clause("CACHE-001")
@pytest.mark.parametrize(
    ("chosen", "xdg", "expected"),
    [
        ("/a", "/b", "/a"),
        (None, "/b", "/b/mlmref"),
        ("", "/b", "/b/mlmref"),
        (None, None, "/home/me/.cache/mlmref"),
        (None, "", "/home/me/.cache/mlmref"),
        (None, "relative", "/home/me/.cache/mlmref"),
    ],
)
def test_folder_is_the_first_that_is_set(chosen, xdg, expected, monkeypatch):
    """MLMREF_CACHE goes before XDG_CACHE_HOME, which goes before the home folder."""
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("MLMREF_CACHE", chosen), ("XDG_CACHE_HOME", xdg)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


@pytest.mark.clause("CACHE-008")
def test_no_home_folder_is_an_output_error(monkeypatch):
    """Without any folder to fall back on, the error names MLMREF_CACHE."""
    monkeypatch.delenv("MLMREF_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OutputError, match="MLMREF_CACHE"):
        cache_folder()


# --- what is served ----------------------------------------------------------------------------


@pytest.mark.clause("CACHE-009")
def test_served_is_what_was_made():
    """Rows, facts and key are the same the second time, and only the first time is made."""
    first, second = serve(), serve()
    assert (first.made, second.made) == (True, False)
    assert first.dataset[:] == second.dataset[:] == {"n": [1, 2, 3]}
    assert first.facts == second.facts == {"seen": 3}
    assert first.key == second.key


@pytest.mark.clause("CACHE-009")
def test_facts_are_json_the_first_time_too():
    """A tuple among the facts is a list at once, not only when it comes out of the cache."""

    def tuples():
        yield batch(1)
        return {"pair": (1, 2)}

    assert serve(make=tuples).facts == serve(make=tuples).facts == {"pair": [1, 2]}


@pytest.mark.clause("CACHE-009")
def test_an_entry_may_have_no_rows():
    """An entry without rows is made and served like any other."""

    def nothing():
        yield from ()
        return {"seen": 0}

    first, second = serve(make=nothing), serve(make=nothing)
    assert len(first.dataset) == len(second.dataset) == 0
    assert second.dataset.column_names == ["n"]
    assert not second.made


@pytest.mark.clause("CACHE-002")
@pytest.mark.parametrize(
    "other",
    [
        {"parts": {"version": 2}},
        {"parts": {"version": "1"}},
        {"parts": {"version": 1, "more": None}},
        {"station": "others"},
    ],
)
def test_another_part_or_station_is_another_entry(other):
    """Whatever shapes an entry takes part in its key."""
    first = serve()
    second = serve(**other)
    assert second.made
    assert second.key != first.key


@pytest.mark.clause("CACHE-002")
def test_another_schema_is_another_entry():
    """An entry with other columns is never served, whatever the parts say."""
    serve()
    wide = pa.schema({"n": pa.int64()})

    def make_wide():
        yield pa.record_batch([pa.array([1], pa.int64())], schema=wide)
        return {}

    assert serve(schema=wide, make=make_wide).made


@pytest.mark.clause("CACHE-002")
def test_order_of_the_parts_does_not_matter():
    """The key is of the parts, not of the order in which a caller wrote them down."""
    first = serve({"a": 1, "b": 2})
    assert not serve({"b": 2, "a": 1}).made
    assert len(first.key) == 64


@pytest.mark.clause("CACHE-002")
def test_parts_that_are_not_json_are_refused():
    """An object without a canonical spelling cannot take part in a key by accident."""
    with pytest.raises(TypeError):
        serve({"version": object()})


@pytest.mark.clause("CACHE-003")
def test_batches_are_let_go_as_they_are_written():
    """With forty batches of a megabyte, Arrow never holds more than some; nor afterwards."""
    before = pa.total_allocated_bytes()
    held = []

    def forty():
        for _ in range(40):
            yield batch(*range(250_000))
            held.append(pa.total_allocated_bytes() - before)
        return {}

    entry = serve(make=forty)
    assert len(entry.dataset) == 10_000_000
    assert max(held) < 16_000_000
    assert pa.total_allocated_bytes() - before < 2_000_000


@pytest.mark.clause("CACHE-011")
def test_small_batches_are_joined():
    """Ten thousand batches of 1 kB become three on disk, with the same rows."""

    def small():
        for first in range(0, 2_500_000, 250):
            yield batch(*range(first, first + 250))
        return {}

    rows = serve(make=small).dataset.data["n"]
    assert rows.num_chunks == 3
    assert rows.combine_chunks().equals(pa.array(range(2_500_000), pa.int32()))


# --- what is not -------------------------------------------------------------------------------


def entry_files(folder):
    """Return the data and the sidecar of the only entry."""
    (data,), (sidecar,) = folder.rglob("*.arrow"), folder.rglob("*.json")
    return data, sidecar


def flip(path, offset):
    """Flip one bit in place and set the modification time back."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.clause("CACHE-005")
@pytest.mark.clause("CACHE-004")
@pytest.mark.parametrize("which", [0, 1], ids=["data", "sidecar"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_one_flipped_bit_makes_the_entry_again(folder, which, share):
    """A bit that changes anywhere in either file, its times set back, is never served."""
    serve()
    path = entry_files(folder)[which]
    flip(path, int((path.stat().st_size - 1) * share))
    again = serve()
    assert again.made
    assert again.dataset["n"][:] == [1, 2, 3]
    assert not serve().made


@pytest.mark.clause("CACHE-004")
@pytest.mark.parametrize("which", [0, 1], ids=["data", "sidecar"])
@pytest.mark.parametrize("left", [None, 0.0, 0.5, 0.99])
def test_a_file_absent_or_cut_short_makes_the_entry_again(folder, which, left):
    """An entry of which a part is missing is made again and is whole after that."""
    serve()
    path = entry_files(folder)[which]
    if left is None:
        path.unlink()
    else:
        os.truncate(path, int(path.stat().st_size * left))
    assert serve().made
    assert not serve().made


@pytest.mark.clause("CACHE-004")
@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"entry": 1}', '{"entry": {}, "sha256": 0}'])
def test_a_sidecar_of_another_kind_makes_the_entry_again(folder, text):
    """JSON that is no sidecar is taken for none."""
    serve()
    entry_files(folder)[1].write_text(text)
    assert serve().made


@pytest.mark.clause("CACHE-004")
def test_an_entry_killed_half_way_is_made_again(folder):
    """After SIGKILL between two batches nothing of the entry is served."""
    script = """
        import os, signal, sys
        sys.path.insert(0, sys.argv[1])
        from test_cache import batch, serve

        def killed():
            yield batch(1, 2)
            os.kill(os.getpid(), signal.SIGKILL)
            return {}

        serve(make=killed)
    """
    assert run(script).wait() == -signal.SIGKILL
    assert left_over(folder)
    assert serve().dataset["n"][:] == [1, 2, 3]
    assert len(left_over(folder)) == 2


@pytest.mark.clause("CACHE-005")
def test_damage_from_before_the_sidecar_was_copied_is_found(folder):
    """A sidecar that is newer than the damage, as in a copy, does not vouch for the data."""
    serve()
    data, sidecar = entry_files(folder)
    flip(data, data.stat().st_size // 2)
    later = data.stat().st_ctime_ns + 1
    os.utime(sidecar, ns=(later, later))
    assert serve().made


@pytest.mark.clause("CACHE-005")
def test_a_copied_cache_is_served(folder, tmp_path, monkeypatch):
    """Other stamps with the same content are the same entry: the content is looked at."""
    serve()
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", folder, copy], check=True)
    monkeypatch.setenv("MLMREF_CACHE", str(copy))
    assert not serve().made


@pytest.mark.clause("CACHE-005")
def test_an_entry_under_another_name_is_not_served(folder):
    """Two files that were moved over another entry's are not that entry."""
    serve({"version": 1})
    files = entry_files(folder)
    other = serve({"version": 2})
    for path in files:
        path.replace(path.with_stem(other.key))
    assert serve({"version": 2}).made


@pytest.mark.clause("CACHE-005")
def test_a_stamp_from_the_tick_of_the_write_is_not_believed(folder):
    """A change within one tick of the clock leaves the stamp as it was; the content tells."""
    serve()
    data, sidecar = entry_files(folder)
    flip(data, data.stat().st_size // 2)
    state = data.stat()
    entry = json.loads(sidecar.read_text())["entry"]
    entry["stamp"] = [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns]
    seal = hashlib.sha256(canonical(entry)).hexdigest()
    sidecar.write_text(json.dumps({"entry": entry, "sha256": seal}))
    os.utime(sidecar, ns=(state.st_ctime_ns, state.st_ctime_ns))
    assert serve().made


@pytest.mark.clause("CACHE-005")
def test_an_unchanged_entry_is_not_read_through(folder, monkeypatch):
    """Once the clock has moved on, the stamps alone vouch for the data."""
    serve()
    data, sidecar = entry_files(folder)
    later = data.stat().st_ctime_ns + 1
    os.utime(sidecar, ns=(later, later))
    monkeypatch.delattr(hashlib, "file_digest")
    assert not serve().made


@pytest.mark.clause("CACHE-015")
@pytest.mark.parametrize("ahead", [0.0, 0.01, 0.03])
def test_a_made_entry_is_not_read_through(folder, monkeypatch, ahead):
    """The sidecar is later than the data, however long the file system's clock stands still."""
    real, tick = station.stamp, int((time.time() + ahead) * 1e9)
    monkeypatch.setattr(station, "stamp", lambda path: [*real(path)[:-1], tick])
    serve()
    monkeypatch.delattr(hashlib, "file_digest")
    assert not serve().made
    assert entry_files(folder)[1].stat().st_mtime_ns > tick


@pytest.mark.clause("CACHE-015")
def test_a_coarse_clock_is_not_waited_for(folder, monkeypatch):
    """Where it ticks every two seconds, the entry is made all the same, and read through."""
    real, tick = station.stamp, int((time.time() + 60) * 1e9)
    monkeypatch.setattr(station, "stamp", lambda path: [*real(path)[:-1], tick])
    assert serve().made
    assert time.time_ns() < tick, "it waited for the clock"
    assert not serve().made
    monkeypatch.delattr(hashlib, "file_digest")
    with pytest.raises(AttributeError):
        serve()


# --- two at once -------------------------------------------------------------------------------


def run(script):
    """Start a process on the same cache."""
    tests = {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", textwrap.dedent(script), Path(__file__).parent]
    return start(command, env=os.environ | tests)


@pytest.mark.clause("CACHE-006")
def test_of_two_runs_at_once_one_makes_and_both_are_served():
    """Two processes that want one absent entry both get it, and it is made once."""
    script = """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        from test_cache import make, serve

        def slow():
            print("making", flush=True)
            time.sleep(0.5)
            return (yield from make())

        entry = serve(make=slow)
        print(entry.dataset["n"][:], entry.facts)
    """
    runs = [run(script), run(script)]
    said = [finish(process).stdout.splitlines() for process in runs]
    assert sorted(len(lines) for lines in said) == [1, 2]
    assert {lines[-1] for lines in said} == {"[1, 2, 3] {'seen': 3}"}


# --- failures ----------------------------------------------------------------------------------


@pytest.mark.clause("CACHE-007")
@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, OSError])
def test_a_failure_while_making_passes_through_and_leaves_nothing(folder, failure):
    """Whatever the maker raises arrives unchanged, and no file of the entry stays."""

    def failing():
        yield batch(1)
        raise failure("mine")

    with pytest.raises(failure, match="mine"):
        serve(make=failing)
    assert left_over(folder) == []
    assert serve().made


@pytest.mark.clause("CACHE-007")
@pytest.mark.clause("CACHE-008")
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("when", [1, 2])
@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
def test_a_failure_while_saving_leaves_nothing(folder, monkeypatch, failure, when, owner, name):
    """At each flush to disk and each rename, a failure removes all there is of the entry."""
    real, calls = getattr(owner, name), []

    def failing(*args):
        calls.append(args)
        if len(calls) == when:
            raise failure
        return real(*args)

    monkeypatch.setattr(owner, name, failing)
    expected = OutputError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        serve()
    assert left_over(folder) == []


@pytest.mark.clause("CACHE-004")
def test_each_file_is_on_disk_before_it_gets_its_name(folder, monkeypatch):
    """Data flushed, data named, sidecar flushed, sidecar named: in this order."""
    order = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("flushed"), fsync(fd))[1])
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (order.append(to.suffix), replace(path, to))[1]
    )
    serve()
    assert order == ["flushed", ".arrow", "flushed", ".json"]


@pytest.mark.clause("CACHE-007")
@pytest.mark.clause("CACHE-008")
def test_a_file_that_may_not_grow_is_one_line(folder):
    """When the system refuses more bytes, the error is one line and the part file is gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def large():
        for _ in range(3):
            yield batch(*range(100_000))
        return {}

    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(OutputError) as caught:
            serve(make=large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_over(folder) == []
    assert str(caught.value) == (
        f"{folder / 'numbers'}: cannot write the cache (File too large); "
        "set MLMREF_CACHE to a folder that has room and can be written to"
    )


@pytest.mark.clause("CACHE-008")
def test_a_file_where_the_folder_should_be_is_one_line(tmp_path, monkeypatch):
    """A cache below a file cannot be made, and the error says so."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match=r"Not a directory.*MLMREF_CACHE"):
        serve()


@pytest.mark.clause("CACHE-008")
@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_permission_is_one_line(monkeypatch, exists):
    """A folder that belongs to somebody else is an OutputError, made or not."""
    serve()  # imports what must be imported with full rights
    with open_folder() as folder:
        monkeypatch.setenv("MLMREF_CACHE", str(folder))
        if exists:
            (folder / "numbers").mkdir(mode=0o755)
            (folder / "numbers").chmod(0o555)
        folder.chmod(0o555)
        with (
            unprivileged(),
            pytest.raises(OutputError, match=r"Permission denied.*MLMREF_CACHE"),
        ):
            serve()


@pytest.mark.clause("CACHE-010")
def test_a_whole_entry_is_served_from_a_folder_without_permission(monkeypatch):
    """Reading needs no lock and leaves no mark."""
    with open_folder() as folder:
        monkeypatch.setenv("MLMREF_CACHE", str(folder))
        serve()
        (folder / "numbers").chmod(0o555)
        with unprivileged():
            assert not serve().made
