"""The errata in numbers: IMDb, the embedded checkpoint, 2 CPU cores (spec/errata.md).

``python tests/errata/measure.py [E09 ...]`` measures, keeps the figures in ``results.json`` beside
it and writes the tables of spec/errata.md.
"""

import json
import statistics
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
PAGE, RESULTS = HERE.parents[1] / "spec" / "errata.md", HERE / "results.json"
sys.path.insert(0, str(HERE.parent))

from benchmarks import ours  # noqa: E402 - once they can be found
from support.oracles import leaking_share  # noqa: E402
from support.pages import put, table  # noqa: E402

from mlmref import run  # noqa: E402
from mlmref.data.chunks import chunk  # noqa: E402
from mlmref.data.split import split  # noqa: E402
from mlmref.evaluation.perplexity import evaluate  # noqa: E402
from mlmref.model.loss import MaskedLMObjective  # noqa: E402
from mlmref.plugin.arrays import IGNORE_INDEX  # noqa: E402
from mlmref.plugin.draws import EVALUATION_PASS  # noqa: E402
from mlmref.settings.config import ChunkConfig, SplitConfig  # noqa: E402
from mlmref.settings.resolve import resolve  # noqa: E402

DRAWS = 20
BATCHES = (1, 8, 64, 1_000)


@cache
def adapted(*sets):
    """Adapt the checkpoint as ``mlmref run`` does, with settings; return record and model."""
    from mlmref.model.load import load_model
    from mlmref.settings.config import ModelConfig

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        record = run(resolve(sets=[*sets, f'output.folder="{place}"'])).record
        return record, load_model(ModelConfig(name=str(place))).model


def measured(model, masker, chunks=None):
    """Measure a model on the tutorial's held-out chunks, or on others."""
    return evaluate(MaskedLMObjective(model), chunks or ours.parts().test, masker)


def interval(record, when):
    """Write a perplexity with its interval."""
    one = record["perplexity"][when]
    return f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def e05():
    """Adapt with each strategy and measure both under two common tasks."""
    from support.maskers import built_in

    from mlmref.plugin.contracts import Corruption

    corruption = Corruption(mask=0.8, random=0.1, keep=0.1)
    words = ours.tokens().vocabulary
    common = {
        "token, 15 %, 80/10/10": built_in("token", words=words),
        "whole-word, 15 %, 80/10/10": built_in(
            "whole-word", corruption, words=words, mlm_probability=0.15
        ),
    }
    rows = []
    for name in ("token", "whole-word"):
        record, model = adapted(f"masking.strategy={name}")
        own = f"{record['perplexity']['after']['value']:.2f}"
        rows.append([f"`mlmref run --masking {name}`", own])
        rows[-1] += [f"{measured(model, masker).perplexity:.2f}" for masker in common.values()]
    return table(["adapted with", "its own task", *common], rows)


def e06():
    """Count the tokens that are lost, by the size of map's batches."""
    lengths = np.diff(ours.tokens().offsets)
    rows = []
    for size in (10, 100, 1_000, len(lengths)):
        joined = np.add.reduceat(lengths, np.arange(0, len(lengths), size))
        chunks, lost = int((joined // 128).sum()), int((joined % 128).sum())
        name = f"{size:,}" if size < len(lengths) else "all (mlmref)"
        rows.append([name, f"{chunks:,}", f"{lost:,}", f"{lost / lengths.sum():.3%}"])
    return table(["reviews joined at a time", "chunks of 128", "tokens lost", "of all"], rows)


def e08():
    """Adapt with both splits, and tell how many held-out chunks share a review."""
    rows = []
    for by in ("chunk", "document"):
        record, _ = adapted(f"split.by={by}")
        rule = SplitConfig(by=by, train_size=ours.TRAIN, test_size=ours.TEST)
        share = leaking_share(split(chunk(ours.tokens(), ChunkConfig()), rule))
        figures = [interval(record, when) for when in ("before", "after")]
        rows.append([f"`mlmref run --split {by}`", f"{share:.1%}", *figures])
    head = ["", "held-out chunks that share a review", "perplexity before", "after"]
    return table(head, rows)


@cache
def first_measured():
    """Measure the checkpoint as it ships."""
    return measured(ours.loaded().model, ours.masker())


def e09():
    """Take the mean of batch means at several batch sizes, of the same losses."""
    one = first_measured()
    rows = []
    for size in BATCHES:
        edges = np.arange(0, len(one.chunk_nll), size)
        nll, targets = (np.add.reduceat(part, edges) for part in (one.chunk_nll, one.chunk_targets))
        rows.append([f"{size:,}", f"{np.exp((nll / targets).mean()):.3f}", f"{one.perplexity:.3f}"])
    return table(["batch size", "mean of batch means", "mlmref"], rows)


def e10():
    """Measure the same model under several draws of the masks."""
    from support.maskers import built_in

    words = ours.tokens().vocabulary
    found = [
        measured(ours.loaded().model, built_in("token", words=words, seed=seed)).tutorial_estimate
        for seed in range(DRAWS)
    ]
    rows = [
        [
            f"{DRAWS}",
            f"{statistics.mean(found):.2f}",
            f"{statistics.stdev(found):.2f}",
            f"{min(found):.2f} to {max(found):.2f}",
        ]
    ]
    return table(["draws", "mean", "standard deviation", "range"], rows)


@torch.inference_mode()
def e13():
    """Measure with attention kept within documents, and across them as usual."""
    objective, masker, test = (
        MaskedLMObjective(ours.loaded().model),
        ours.masker(),
        ours.parts().test,
    )
    sums = {"whole chunks": 0.0, "each document by itself": 0.0}
    targets = 0
    for first in range(0, len(test), 50):
        rows = test.gather(np.arange(first, min(first + 50, len(test))))
        masked = masker(rows, EVALUATION_PASS)
        ids, there, labels = (
            torch.from_numpy(array).long()
            for array in (masked.input_ids, masked.attention_mask, masked.labels)
        )
        documents = torch.from_numpy(rows.documents)
        within = (documents[:, None, :, None] == documents[:, None, None, :]) & there[
            :, None, None, :
        ].bool()
        for name, attention in zip(sums, (there, within), strict=True):
            sums[name] += objective.losses(ids, attention, labels)[0].double().sum().item()
        targets += int((labels != IGNORE_INDEX).sum())
    crossing = sum(len(np.unique(row)) > 1 for row in _documents(test)) / len(test)
    rows = [[name, f"{np.exp(nll / targets):.3f}"] for name, nll in sums.items()]
    rows.append(["chunks with more than one review", f"{crossing:.1%}"])
    return table(["attention", "perplexity before adaptation"], rows)


def _documents(chunks):
    return chunks.gather(np.arange(len(chunks))).documents


MEASURED = {"E05": e05, "E06": e06, "E08": e08, "E09": e09, "E10": e10, "E13": e13}


def with_tables(text, results):
    """Return the page with each table in its place."""
    for name in MEASURED:
        text = put(text, name, results.get(name, ""))
    return text


def main(names):
    """Measure some errata, or all."""
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name in names or MEASURED:
        results[name] = MEASURED[name]()
        print(name, results[name], sep="\n", flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), results), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
