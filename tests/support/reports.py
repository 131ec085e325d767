"""Runs to be reported: a small real one on foreign text, and folders of runs that were stopped."""

import json
import shutil

from support.runs import save_model

from mlmref import run
from mlmref.settings.resolve import resolve

FOREIGN = [
    '<script>document.title = "gone"</script><img src="https://example.org/x"> a "great" film',
    "This is a great film, and the actors' performances were unforgettable! </script>",
    "שלום עולם, this film was great. مرحبا بالعالم",
    "The story of the homeless woman was told beautifully; the music, however, was dreadful.",
]
PROMPTS = ["<b>This</b> is a great {mask}.", "The {mask} was </script>{mask}."]


def report_settings(folder, *sets, output="<i>out & about"):
    """Return the settings of a quick run on foreign text."""
    if not (folder / "model").exists():
        save_model(folder / "model", "byte-bpe")
        (folder / "foreign.txt").write_text("\n".join(FOREIGN * 20) + "\n", "utf-8")
    base = [
        f"model.name={folder / 'model'}",
        f"corpus.name={folder / 'foreign.txt'}",
        f"output.folder={folder / output}",
        "chunks.size=24",
        "split.test_size=0.3",
        "training.batch_size=8",
        "training.learning_rate=1e-2",
        "training.epochs=2",
        "masking.corruption=60/20/20",
        "masking.options.mlm_probability=0.25",
        f"fill.prompts={json.dumps(PROMPTS)}",
    ]
    return resolve(sets=[*base, *sets])


def report_run(folder, *sets, **options):
    """Finish such a run."""
    return run(report_settings(folder, *sets, **options))


def stopped(finished, place, events, *, kept=True):
    """Make the folder of a run that was stopped after so many events of a finished one."""
    building = place.with_name(place.name + ".unfinished")
    building.mkdir(parents=True)
    lines = (finished / "metrics.jsonl").read_text("utf-8").split("\n")[:-1]
    text = "\n".join(lines[:events]) + "\n" if events else ""
    (building / "metrics.jsonl").write_text(text + '{"event": "st', "utf-8")
    shutil.copy(finished / "config.toml", building)
    if kept:
        for name in ("held_out.parquet", "report.json"):
            shutil.copy(finished / name, building)
    return building
