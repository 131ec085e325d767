"""What a benchmark is, and how two ways of doing the same are timed: in turn, on one machine.

Run as ``python -m benchmarks.bench NAME PAIRS FILE`` this measures one benchmark in a process of
its own and writes what it found as JSON; ``run.py`` does so for each.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path

MODULES = ("whole", "training", "data", "scale")
"""Where the benchmarks are, in the order of the table."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One row of the table.

    Attributes:
        name: what to call it on the command line.
        what: what is measured.
        work: on what.
        peer: what it is held against; left out where the bound is absolute.
        floor: with a peer, the least that the peer's median over ours may be.
        ceiling: without one, the most that ours may be.
        unit: of both sides' figures.
        measure: takes the number of pairs and returns what was found.
    """

    name: str
    what: str
    work: str
    peer: str | None = None
    floor: float | None = None
    ceiling: float | None = None
    unit: str = "s"
    measure: Callable[[int], "Found"] | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a benchmark found.

    Attributes:
        ours: one figure for each pair.
        theirs: the peer's, taken in turn with ours; empty without a peer.
        facts: what else is worth keeping, by name.
    """

    ours: list[float]
    theirs: list[float] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)


BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(name: str, **about: object) -> Callable[[Callable[[int], Found]], Callable]:
    """Register the function that measures a benchmark."""

    def register(measure: Callable[[int], Found]) -> Callable[[int], Found]:
        BENCHMARKS[name] = Benchmark(name=name, measure=measure, **about)
        return measure

    return register


def all_benchmarks() -> dict[str, Benchmark]:
    """Import every module of benchmarks and return what they registered."""
    for module in MODULES:
        import_module(f"benchmarks.{module}")
    return BENCHMARKS


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Return how long a call takes; with ``repeats`` the median of so many."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def in_turn(
    pairs: int,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    *,
    warm_up: bool = True,
    **facts: object,
) -> Found:
    """Take both figures in turn, after one of each that does not count.

    Whatever else the machine does while this runs, it does to both. Whole processes need no
    warming up.
    """
    if warm_up:
        ours(), theirs()
    taken = [(ours(), theirs()) for _ in range(pairs)]
    return Found(ours=[a for a, _ in taken], theirs=[b for _, b in taken], facts=facts)


def in_a_process(module: str, *arguments: str, **env: str) -> object:
    """Run a module of benchmarks in a process of its own; returns what it printed last, as JSON.

    Raises:
        RuntimeError: it failed; says how.
    """
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        env=os.environ | env,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    from benchmarks import bench  # under the name that the modules register with

    name, pairs, file = sys.argv[1:]
    found = bench.all_benchmarks()[name].measure(int(pairs))
    Path(file).write_text(json.dumps(asdict(found)), "utf-8")
