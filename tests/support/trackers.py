"""Stand-ins for the modules of trackers, as Accelerate's trackers call them, and a reader."""

import json
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

WANDB = """
import json, os

def write(**call):
    with open(os.environ["TOLD"], "a") as file:
        file.write(json.dumps({"module": __name__, **call}) + "\\n")

class Config:
    def update(self, values, **_):
        write(call="config", values=values)

class Run:
    def log(self, values, step=None):
        if step == int(os.environ.get("FAILS_AT", "-1")):
            raise ConnectionError("the network\\nis down")
        write(call="log", values=values, step=step)

    def finish(self):
        write(call="finish")

config = Config()

def init(**settings):
    if "BEGINS_NOT" in os.environ:
        raise PermissionError("no key")
    write(call="init", **settings)
    return Run()
"""

MLFLOW = """
import json, os
from types import SimpleNamespace

def write(**call):
    with open(os.environ["TOLD"], "a") as file:
        file.write(json.dumps({"module": __name__, **call}) + "\\n")

utils = SimpleNamespace(
    validation=SimpleNamespace(MAX_PARAM_VAL_LENGTH=6000, MAX_PARAMS_TAGS_PER_BATCH=100)
)

def search_experiments(filter_string):
    return []

def create_experiment(name, **_):
    write(call="experiment", name=name)
    return "7"

def start_run(run_id=None, run_name=None, **_):
    write(call="init", id=run_id, name=run_name)
    return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "given-by-mlflow"))

def log_params(values):
    write(call="config", values=values)

def log_metrics(values, step=None):
    write(call="log", values=values, step=step)

def end_run():
    write(call="finish")
"""

NAMES = ("wandb", "trackio", "mlflow")


def stand_in(folder: Path, patch) -> Path:
    """Put modules called as the trackers' on the path; return the file that they write to."""
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(MLFLOW if name == "mlflow" else WANDB)
    patch.syspath_prepend(str(folder))
    patch.setenv("TOLD", str(folder / "told"))
    return folder / "told"


def told(file: Path, name: str, call: str) -> list[dict]:
    """Return the calls of a kind that a stand-in got."""
    every = [json.loads(line) for line in file.read_text().splitlines()]
    return [one for one in every if (one["module"], one["call"]) == (name, call)]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read TensorBoard's files: steps and values by tag."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {
        tag: [(one.step, one.value) for one in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }
