"""Whole processes: the main job, and the commands that are to answer at once."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import ours
from benchmarks.bench import Found, benchmark, in_turn, seconds

PLAIN = Path(__file__).parent / "plain_run.py"
COMMAND = shutil.which("mlmref", path=Path(sys.executable).parent) or "mlmref"


@benchmark(
    "main-job",
    what="the whole main job",
    work="`mlmref run`, from an empty cache",
    peer="a plain script with Trainer",
    floor=4.0,
)
def main_job(pairs):
    """Adapt the embedded checkpoint to IMDb, each side in a process and folder of its own."""
    perplexities = {"ours": [], "theirs": []}
    place = tempfile.TemporaryDirectory()
    reviews = Path(place.name) / "reviews.csv"
    ours.write_reviews(reviews)

    def run(command, side, folder_of_model):
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {
                "MLMREF_CACHE": f"{folder}/cache",
                "HF_HOME": f"{folder}/hub",
                "HF_DATASETS_CACHE": f"{folder}/datasets",
            }
            taken = seconds(lambda: _call(command, folder, environment))
            # Both on the masks of one evaluation, which is none of the job.
            measured = _call(
                [COMMAND, "evaluate", f"{folder}/{folder_of_model}", "--preset", "tiny", "--json"],
                folder,
                os.environ,
            )
            perplexities[side].append(json.loads(measured)["perplexity"]["value"])
        return taken

    found = in_turn(
        pairs,
        lambda: run([COMMAND, "run", "--quiet", "--output", "out"], "ours", "out"),
        lambda: run([sys.executable, str(PLAIN), str(reviews), "out"], "theirs", "out"),
        warm_up=False,
    )
    place.cleanup()
    found.facts["perplexities"] = perplexities
    return found


def _call(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


@benchmark("help", what="`mlmref --help`", work="the whole process", ceiling=0.3)
def answer_help(pairs):
    """Time the command that needs nothing."""
    return _answers([COMMAND, "--help"], pairs)


@benchmark("plugins", what="`mlmref plugins`", work="the whole process", ceiling=1.0)
def answer_plugins(pairs):
    """Time the command that imports every plugin."""
    return _answers([COMMAND, "plugins"], pairs)


def _answers(command, pairs):
    def call():
        return seconds(lambda: subprocess.run(command, capture_output=True, check=True))

    call()
    return Found(ours=[call() for _ in range(max(pairs, 9))])
