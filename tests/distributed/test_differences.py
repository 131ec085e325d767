"""Ranks that could not make one run, and hosts with nothing in common (spec/ranks.md).

Two hosts are two launchers on this one, each with a folder and a cache of its own; with a network
of its own too they are in test_hosts.py.
"""

import json
import signal
import socket
from contextlib import ExitStack

import pytest
from support import ranks_child
from support.launch import SCRIPTS, Launch, free_port, launch, quick, statuses, torchrun
from support.runs import floats, save_corpus, save_model

from mlmref import run
from mlmref.settings.resolve import resolve

ELSEWHERE = f"mlmref: rank 1 of 2, on {socket.gethostname()}: "
HOME = ["--model=../model", "--corpus=../corpus.txt"]


@pytest.fixture
def hosts(tmp_path):
    """Make two homes with a model and a corpus each, and a folder to start from."""
    homes = [tmp_path / f"host-{number}" for number in (0, 1)]
    for home in homes:
        (home / "run").mkdir(parents=True)
        save_model(home / "model")
        save_corpus(home / "corpus.txt")
    return homes


def start(stack, homes, *typed):
    """Start what is typed on both hosts; returns the launchers at work."""
    port = free_port()
    started = []
    for number, home in enumerate(homes):
        where = ["--nnodes=2", f"--node-rank={number}", "--master-addr=127.0.0.1"]
        launcher = torchrun(1, *where, f"--master-port={port}")
        log, cache = home / "log", str(home / "cache")
        one = Launch([*launcher, *typed], cwd=home / "run", log=log, MLMREF_CACHE=cache)
        started.append(stack.enter_context(one))
    return started


@pytest.mark.clause("RANK-004")
@pytest.mark.clause("RANK-005")
def test_another_text_on_a_host_is_refused(hosts):
    """A document more on the second: the first says what differs, and neither has a folder."""
    save_corpus(hosts[1] / "corpus.txt", copies=13)
    command = ["-m", "mlmref", "run", "--quiet", *quick(hosts[0]), *HOME, "--output=out"]
    with ExitStack() as stack:
        main, other = (one.wait() for one in start(stack, hosts, *command))
    [line] = main.told
    assert line.startswith(f"{ELSEWHERE}corpus is ")
    assert line.endswith("; make it the same on all hosts")
    assert other.told == []
    assert statuses(main) == {0: 2}
    assert statuses(other) == {1: 2}
    assert [[*(home / "run").iterdir()] for home in hosts] == [[], []]


@pytest.mark.clause("RANK-007")
@pytest.mark.clause("RANK-008")
@pytest.mark.clause("RANK-010")
def test_settings_and_checkpoints_are_only_on_the_first_host(hosts, tmp_path):
    """Stopped by a signal to the second, the run goes on from the first one's checkpoint.

    The file of settings is on the first host as well, and the losses are those of one process.
    """
    (hosts[0] / "run/settings.toml").write_text("[training]\nbatch_size = 4\n", "utf-8")
    command = [ranks_child.__file__, "slow", "run", "--quiet", *quick(hosts[0]), *HOME]
    building = hosts[0] / "run/out.unfinished"
    with ExitStack() as stack:
        new = [*command, "--config=settings.toml", "--output=out"]
        main, other = start(stack, hosts, *new)
        metrics = building / "metrics.jsonl"
        main.until(lambda: metrics.is_file() and '"step": 5,' in metrics.read_text("utf-8"))
        other.rank(1).send_signal(signal.SIGTERM)
        main.wait()
        assert other.wait().told == []
    [line] = main.told
    assert line.startswith("terminated: saved at step ")
    with ExitStack() as stack:
        again = [*command, "--config=settings.toml", "--resume=out"]
        for one in start(stack, hosts, *again):
            assert one.wait().status == 0, one.err
    assert sorted(one.name for one in (hosts[0] / "run").iterdir()) == ["out", "settings.toml"]
    assert not [*(hosts[1] / "run").iterdir()]
    record = json.loads((hosts[0] / "run/out/record.json").read_text("utf-8"))
    assert len(record["resumed"]) == 1
    assert record["config"]["training"]["batch_size"] == 4
    sets = [flag.removeprefix("--set=") for flag in quick(hosts[0], batch_size=8)]
    alone = run(resolve(sets=[*sets, f"output.folder={tmp_path / 'alone'}"])).record
    assert floats(one["loss"] for one in record["loss"]) == pytest.approx(
        floats(one["loss"] for one in alone["loss"]), rel=1e-4, nan_ok=True
    )


@pytest.mark.clause("RANK-005")
@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_another_version_on_a_rank_is_refused(hosts, command):
    """Of torch for one: told once, with status 2 on both, by run and by evaluate."""
    here = hosts[0] / "run"
    what = ["run", *HOME] if command == "run" else ["evaluate", "../model", HOME[1]]
    typed = [*torchrun(2), ranks_child.__file__, "version:1", *what, "--quiet", *quick(hosts[0])]
    ended = launch(typed, cwd=here, log=hosts[0] / "log")
    # A busy machine has the launcher's libraries say a line of their own.
    [line] = [line for line in ended.told if line.startswith("mlmref: ")]
    assert line.startswith(f"{ELSEWHERE}torch is another, but ")
    assert statuses(ended) == {0: 2, 1: 2}
    assert not [*here.iterdir()]


@pytest.mark.clause("RANK-009")
@pytest.mark.parametrize("command", ["run", "evaluate"])
def test_a_launch_that_shares_out_the_model_is_refused(hosts, command):
    """With accelerate launch --use_fsdp as typed: told once, with status 2 on both."""
    here = hosts[0] / "run"
    what = ["run", *HOME] if command == "run" else ["evaluate", "../model", HOME[1]]
    launcher = [SCRIPTS / "accelerate", "launch", "--use_fsdp", "--num_processes=2"]
    typed = [*launcher, f"--main_process_port={free_port()}", "-m", "mlmref", *what]
    ended = launch([*typed, "--quiet", *quick(hosts[0])], cwd=here, log=hosts[0] / "log")
    own = [line for line in ended.told if line.startswith("mlmref: ")]
    assert len(own) == 1
    assert own[0].startswith("mlmref: accelerate's configuration: FSDP shards the model over ")
    assert statuses(ended) == {0: 2, 1: 2}
    assert not [*here.iterdir()]
