"""Whole runs as a user starts them, and what they are held against."""

import json
import subprocess
import sys

import pytest
from mlmref_fabric.backend import FabricBackend

from mlmref.plugin import Options, PluginError

TEXT = "the film was a slow and quiet story of two friends who never spoke again"


def run(folder, backend, *more):
    """Run mlmref on the embedded model; returns the folder, and what it printed."""
    command = [sys.executable, "-m", "mlmref", "run", "--model", "embedded"]
    command += ["--corpus", "corpus.txt", "--chunk-size", "32", "--backend", backend]
    command += ["--batch-size", "4", "--set", "training.accumulation=2", "--max-steps", "5"]
    command += ["--set", "model.dropout=0.1", "--output", backend, "--quiet", *more]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return folder / backend, done.stdout + done.stderr


@pytest.fixture
def place(tmp_path):
    """Make a folder with a corpus of sentences that are not all alike."""
    lines = (TEXT[n % 50 :] + TEXT[: n % 70] for n in range(120))
    (tmp_path / "corpus.txt").write_text("\n".join(lines), "utf-8")
    return tmp_path


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_is_accelerates_to_the_last_bit(place, precision):
    """Losses, norms, perplexity and weights are those of ``--backend accelerate``."""
    (ours, printed), (theirs, _) = (
        run(place, backend, "--precision", precision) for backend in ("fabric", "accelerate")
    )
    mine, other = (json.loads((one / "record.json").read_text("utf-8")) for one in (ours, theirs))
    assert mine["loss"] == other["loss"]
    assert mine["perplexity"] == other["perplexity"]
    weights = [(one / "model.safetensors").read_bytes() for one in (ours, theirs)]
    assert weights[0] == weights[1]
    assert "mlmref-fabric" in json.dumps(mine)
    assert "AMP" not in printed, "Fabric's own remarks are no news"


def test_fp16_is_refused():
    """A step that a loss scale skips cannot be told from one that was taken."""

    class Job:
        precision = "fp16"

    with pytest.raises(PluginError, match="does not compute in fp16; use --precision bf16"):
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
