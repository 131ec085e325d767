"""The answer of a comparison that nobody made, whatever its figures are."""

from pathlib import Path

import numpy as np

from mlmref.studies.comparison.answer import Finished, answer_of
from mlmref.studies.comparison.plan import read_plan

FILE = """
seeds = {seeds}
[base]
seed = 3
[variants.token]
[variants.whole-word]
masking.strategy = "whole-word"
[grid]
"training.epochs" = [1, 2]
[evaluation]
resamples = 200
"""


def made_up(
    *,
    seeds=(0, 1, 2, 3, 4),
    documents=20,
    corpus="a corpus",
    text=FILE,
    infinite=False,
    infinite_before=False,
):
    """Return the answer of four variants, as ``compare`` would."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "made-up.toml"
        file.write_text(text.format(seeds=list(seeds)))
        plan = read_plan(file)
    rng = np.random.default_rng(1)
    targets = rng.integers(1, 30, documents).astype(float)
    level = rng.normal(4, 1, documents)

    def measures(loss, infinite=infinite):
        nll = targets * loss
        if infinite:
            nll[0] = np.inf
        return {
            "model": "made up (sha256 0)",
            "corpus": corpus,
            "chunks": 10,
            "nll": nll.tolist(),
            "targets": targets.tolist(),
            "correct": 1,
        }

    before = {one.name: measures(level + 0.5, infinite or infinite_before) for one in plan.variants}
    finished = [
        Finished(
            run=run,
            record={
                "perplexity": {
                    side: {"value": value, "nll": float(np.log(value))}
                    for side, value in (("before", 90.0), ("after", 50.0))
                },
                "timings": {"total_s": 60.0},
            },
            common=measures(level + rng.normal(-0.1 * len(run.variant) / 20, 0.05, documents)),
        )
        for run in plan.runs(Path("made-up"))
    ]
    return answer_of(plan, Path("made-up"), before, finished)
