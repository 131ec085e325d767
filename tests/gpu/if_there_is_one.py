"""Run the GPU tests if there is a GPU; otherwise say in a line that they were skipped."""

import subprocess
import sys

import torch

if torch.cuda.is_available():
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu"]))
print("no GPU here: the GPU tests were skipped; on a machine with one, tox -e gpu runs them")
