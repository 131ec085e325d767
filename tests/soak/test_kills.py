"""Runs that are killed at very many moments (RES-004); ``tox -e soak``, since it takes minutes.

What was tried, and how much of it survived, stands in spec/faults.md, from the lines that these
tests print (``-rP``).
"""

import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest
from support.kills import Run, outcome, place_for_runs, settings, until_done

from mlmref.runner.folder.checkpoint import last_step

pytestmark = [pytest.mark.full, pytest.mark.clause("RES-004")]

SEED = int(os.environ.get("MLMREF_SOAK_SEED", "4"))
PARTS = 4
"""In how many tests the named points are gone through, so that processes can share them."""


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Compute as the runs in processes of their own do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a model and a corpus in it, and the cache of its tokens."""
    folder = place_for_runs(tmp_path_factory.mktemp("place"))
    assert Run(settings(folder, folder / "first")).status() == 0
    return folder


@pytest.fixture(scope="module", params=["trainer", "accelerate"])
def whole(request, place):
    """Run to the end on each backend; return backend, outcome, events and seconds."""
    backend = request.param
    sets = settings(place, place / backend, **{"training.backend": backend})
    log, began = place / f"{backend}.log", time.monotonic()
    assert Run(sets, log=log).status() == 0
    took = time.monotonic() - began
    return backend, outcome(place / backend), log.read_text("utf-8").splitlines(), took


def survives(whole, place, folder, kill):
    """Kill a run in some way, take it up, and hold it against the one that was not killed.

    Args:
        whole: the fixture.
        place: the fixture.
        folder: for this run.
        kill: begins a run under some settings, and has it killed.

    Returns:
        The step of its last checkpoint, ``None`` where there was none.
    """
    folder.mkdir()
    sets = settings(place, folder / "out", **{"training.backend": whole[0]})
    kill(sets)
    saved = last_step(folder / "out.unfinished" / "checkpoints")
    assert until_done(sets, folder / "out") == whole[1]
    assert [one.name for one in folder.iterdir()] == ["out"]
    return saved


def plain(name):
    """Return an event's name without numbers and what is random in it."""
    return re.sub(r"part-\w+|\d+|\.\w*(first|out|trainer|accelerate)\.\w+", "*", name)


def points(events):
    """Return the first and the last event of each name, and each event of one save."""
    first, last = {}, {}
    for number, name in enumerate(events):
        first.setdefault(plain(name), number)
        last[plain(name)] = number
    saves = [
        number for number, name in enumerate(events) if name == "before save model.safetensors"
    ]
    second = range(saves[1] - 6, saves[1] + 40)
    return sorted({*first.values(), *last.values(), *second})


@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_at_each_named_point(whole, place, tmp_path, part):
    """At each call that touches the disk, each step, micro-batch, evaluation and stage."""
    tried = points(whole[2])[part::PARTS]
    failed = []
    for at in tried:

        def kill(sets, at=at):
            assert Run(sets, at=at).status() == -signal.SIGKILL

        try:
            survives(whole, place, tmp_path / str(at), kill)
        except AssertionError as error:
            failed.append(f"{at} {whole[2][at]}: {str(error)[:300]}")
    print(f"{whole[0]}: {len(tried)} named points, {len(tried) - len(failed)} survived")
    assert not failed, "\n".join(failed)
    assert len(tried) > 20


@pytest.mark.parametrize("workers", [0, 1])
def test_a_kill_at_thirty_random_moments(whole, place, tmp_path, workers):
    """SIGKILL whenever, to runs with and without a worker, some killed again when taken up."""
    draws = random.Random(f"{SEED}/{whole[0]}/{workers}")  # noqa: S311 - moments, no secrets
    # Longer than the others, so that most moments are in training.
    changes = [f"training.workers={workers}", "training.epochs=4"]
    began = time.monotonic()
    sets = settings(place, tmp_path / "timed", **{"training.backend": whole[0]})
    assert Run([*sets, *changes]).status() == 0
    took = time.monotonic() - began
    expected = (whole[0], outcome(tmp_path / "timed"))
    saved, again = [], 0
    for number in range(30):
        moments = [draws.uniform(0.1, 1.1) * took for _ in range(draws.choice([1, 1, 2, 3]))]
        again += len(moments) > 1

        def kill(sets, moments=moments):
            sets += changes
            for moment in moments:
                started = Run(sets, resume="auto")
                started.kill(moment)
                started.status()

        found = survives(expected, place, tmp_path / str(number), kill)
        saved.append(found)
    print(
        f"{whole[0]}, {workers} workers: 30 random moments, {again} of them several in one run; "
        f"checkpoints at {sorted({one for one in saved if one is not None})}, "
        f"none yet {saved.count(None)} times"
    )
    assert len(set(saved)) > 2, "the moments are spread over the run"


@pytest.mark.clause("RUN-014")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_twenty_random_moments(whole, place, tmp_path, number):
    """Whenever it comes the status is the usual one, and nothing is lost but the step."""
    draws = random.Random(f"{SEED}/{whole[0]}/{number}")  # noqa: S311 - moments, no secrets
    statuses = []
    for turn in range(20):

        def kill(sets):
            started = Run(sets)
            started.kill(draws.uniform(0.1, whole[3]), number)
            statuses.append(started.status())

        survives(whole, place, tmp_path / str(turn), kill)
    print(f"{whole[0]}: 20 times {number.name}, statuses {sorted(statuses)}")
    # Before the command has taken up the signal, the process ends by the signal itself.
    assert {*statuses} <= {0, 128 + number, -number, 1}
    assert statuses.count(128 + number) > 5


@pytest.mark.parametrize("turn", range(4))
def test_a_kill_as_a_user_sees_it(whole, place, tmp_path, turn):
    """The command itself, killed whenever, and typed again with --resume auto."""
    draws = random.Random(f"{SEED}/{whole[0]}/command/{turn}")  # noqa: S311 - no secrets
    sets = settings(place, tmp_path / "out", **{"training.backend": whole[0]})
    flags = [part for one in sets for part in ("--set", one)]
    command = [sys.executable, "-m", "mlmref", "run", "--quiet", *flags, "--resume", "auto"]
    killed, took = 0, 0.0
    while not (tmp_path / "out").exists():
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        patience = 3.0 + killed / 2 + draws.uniform(-1, 1)
        try:
            _, told = process.communicate(timeout=patience)
            assert process.returncode == 0, told
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
        took = time.monotonic() - began
    print(f"{whole[0]}: finished after {killed} kills, the last start taking {took:.1f} s")
    assert outcome(tmp_path / "out") == whole[1]
