"""One run on two hosts, which are network namespaces joined by a cable (RANK-008)."""

import json
import shutil
import sys
import uuid

import pytest
from support import processes
from support.launch import Launch, quick, torchrun
from support.runs import floats, save_corpus, save_model

from mlmref import run
from mlmref.settings.resolve import resolve

# In the default run two hosts are two launchers with caches of their own (test_differences.py).
pytestmark = [pytest.mark.namespaces, pytest.mark.full]

ADDRESSES = ("10.213.7.1", "10.213.7.2")


def ip(*arguments):
    """Run ip, and skip where it is not there or not allowed to do this."""
    tool = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if tool is None:
        pytest.skip("there is no ip command: install iproute2")
    done = processes.run([tool, *arguments])
    if done.returncode:
        pytest.skip(f"ip {' '.join(arguments)}: {done.stderr.strip()}; needs CAP_NET_ADMIN")
    return tool


@pytest.fixture
def hosts():
    """Make two namespaces with an end of a cable and nothing else in each; return their names."""
    mark = uuid.uuid4().hex[:6]
    names = [f"mlmref-{mark}-{number}" for number in (1, 2)]
    ends = [f"mr{mark}{number}" for number in (1, 2)]
    made = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1],
           "netns", names[1])  # fmt: skip
        for name, end, address in zip(names, ends, ADDRESSES, strict=True):
            for change in (("addr", "add", f"{address}/24", "dev", end), ("link", "set", end, "up"),
                           ("link", "set", "lo", "up")):  # fmt: skip
                ip("-n", name, *change)
        yield list(zip(names, ends, strict=True))
    finally:
        for name in made:
            ip("netns", "delete", name)


@pytest.mark.clause("RANK-008")
def test_two_hosts_with_nothing_but_a_cable_between_them(hosts, tmp_path):
    """Folders and caches of their own; the first alone has the result, which is one process's."""
    started, homes = [], []
    for number, (name, end) in enumerate(hosts):
        home = tmp_path / f"host-{number}"
        (home / "run").mkdir(parents=True)
        save_model(home / "model")
        save_corpus(home / "corpus.txt")
        where = [f"--nnodes=2 --node-rank={number}", f"--master-addr={ADDRESSES[0]}"]
        options = [*" ".join(where).split(), "--master-port=29517"]
        typed = [
            *(ip("-V"), "netns", "exec", name),
            *torchrun(1, *options, python=sys.executable),
            *("-m", "mlmref", "run", *quick(tmp_path, batch_size=4)),
            *("--model", "../model", "--corpus", "../corpus.txt", "--output", "out"),
        ]
        environment = {"GLOO_SOCKET_IFNAME": end, "MLMREF_CACHE": str(home / "cache")}
        # Not warm: a process that is forked from another is in the namespace of that one.
        environment["PYTHON_EXEC"] = sys.executable
        homes.append(home)
        started.append(
            Launch(typed, cwd=home / "run", log=tmp_path / f"log-{number}", **environment)
        )
    try:
        for one in started:
            assert one.wait().status == 0, one.err
    finally:
        for one in started:
            one.__exit__()
    assert [one.name for one in (homes[0] / "run").iterdir()] == ["out"]
    assert not [*(homes[1] / "run").iterdir()]
    assert started[1].out == ""
    record = json.loads((homes[0] / "run/out/record.json").read_text("utf-8"))
    sets = [flag.removeprefix("--set=") for flag in quick(homes[0], batch_size=8)]
    alone = run(resolve(sets=[*sets, f"output.folder={tmp_path / 'alone'}"])).record
    assert floats(one["loss"] for one in record["loss"]) == pytest.approx(
        floats(one["loss"] for one in alone["loss"]), rel=1e-4, nan_ok=True
    )
    assert record["perplexity"]["before"]["value"] == pytest.approx(
        alone["perplexity"]["before"]["value"], rel=1e-6
    )
