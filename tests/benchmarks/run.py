"""Benchmarks: ``python tests/benchmarks/run.py [NAME ...]``, as ``tox -e bench``.

Each is measured in a process of its own, ours and the peer's in turn. A run of all of them writes
``results.json``, a line of ``history.jsonl``, and the tables of spec/speed.md; a run
of some writes those rows anew. ``--check`` writes nothing and fails where a bound is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from benchmarks import bench, machine, report  # noqa: E402 - once they can be found


def measure(name, pairs, folder):
    """Measure one benchmark in a process of its own."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "tests"),
        "MLMREF_CACHE": f"{folder}/cache",
        "HF_HOME": f"{folder}/hub",
        "HF_HUB_OFFLINE": "1",
    }
    # Both sides get the whole machine, as a user's process does.
    environment.pop("OMP_NUM_THREADS", None)
    found = Path(folder) / "found.json"
    command = [sys.executable, "-m", "benchmarks.bench", name, str(pairs), str(found)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"it ended with {done.returncode}\n{done.stderr[-4000:]}")
    return json.loads(found.read_text("utf-8"))


def main(arguments=None):
    """Measure what was asked for, print it, and write or check; return the exit status."""
    known = bench.all_benchmarks()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--pairs", type=int, default=5, help="times that both sides are run")
    parser.add_argument("--check", action="store_true", help="fail where a bound is missed")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    results, failed = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.names or known:
            try:
                found = measure(name, given.pairs, folder)
            except RuntimeError as error:  # the others took their time, and are well
                failed[name] = str(error)
                print(failed[name], flush=True)
                continue
            results[name] = report.summary(known[name], found)
            print(report.line(results[name]), flush=True)
    missed = [report.line(one) for one in results.values() if not one["holds"]]
    if not given.check:
        report.write(ROOT, machine.described(), results, whole=not (given.names or failed))
    if missed:
        print("bound missed:", *missed, sep="\n  ")
    for name, why in failed.items():
        print(f"{name}: could not be measured: {why.splitlines()[-1]}")
    return int(bool(failed) or (bool(missed) and given.check))


if __name__ == "__main__":
    sys.exit(main())
