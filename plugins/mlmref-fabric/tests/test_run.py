"""Whole runs, checked against those of the accelerate backend."""

import json
import subprocess
import sys

import pytest
from mlmref_fabric.backend import FabricBackend

import mlmref
from mlmref.plugin import Options, PluginError

TEXT = "the film was a slow and quiet story of two friends who never spoke again"


def run(folder, backend, precision):
    """Run mlmref on the embedded model; returns the run folder."""
    training = {"backend": backend, "precision": precision, "batch_size": 4, "accumulation": 2}
    mlmref.run(
        mlmref.Config(
            model={"dropout": 0.1},
            corpus={"name": str(folder / "corpus.txt")},
            chunks={"size": 32},
            training={**training, "max_steps": 5},
            output={"folder": str(folder / backend)},
        )
    )
    return folder / backend


@pytest.fixture
def place(tmp_path):
    """Make a folder with a corpus of sentences that are not all alike."""
    lines = (TEXT[n % 50 :] + TEXT[: n % 70] for n in range(120))
    (tmp_path / "corpus.txt").write_text("\n".join(lines), "utf-8")
    return tmp_path


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_is_bitwise_that_of_accelerate(place, precision, capfd):
    """Losses, norms, perplexity and weights are those of ``--backend accelerate``."""
    ours = run(place, "fabric", precision)
    printed = "".join(capfd.readouterr())
    theirs = run(place, "accelerate", precision)
    mine, other = (json.loads((one / "record.json").read_text("utf-8")) for one in (ours, theirs))
    assert mine["loss"] == other["loss"]
    assert mine["perplexity"] == other["perplexity"]
    weights = [(one / "model.safetensors").read_bytes() for one in (ours, theirs)]
    assert weights[0] == weights[1]
    assert "mlmref-fabric" in json.dumps(mine)
    assert "AMP" not in printed, "Fabric's own remarks are not shown"


def test_fp16_is_refused():
    """A step that a loss scale skips cannot be told from one that was taken."""

    class Job:
        precision = "fp16"

    with pytest.raises(PluginError, match="not support the precision fp16; use --precision bf16"):
        FabricBackend(Options()).train(Job())


def test_listing_plugins_imports_neither_torch_nor_fabric():
    """``mlmref plugins`` names the backend at once."""
    code = (
        "import sys, contextlib, io\n"
        "from mlmref.plugin import discover\n"
        "names = [one.entry.name for one in discover().backends]\n"
        "print(names, 'torch' in sys.modules, 'lightning_fabric' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert "'fabric'" in done.stdout
    assert done.stdout.strip().endswith("False False")
