"""What runs in a process that is to be killed: every event is counted, and one is the last.

Events are calls that touch the disk (before and after), steps, micro-batches, evaluations and
the stages of a run. They are counted by patches of this process's own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import safetensors.torch
import torch

from mlmref.evaluation import perplexity as evaluation
from mlmref.model.loss import MaskedLMObjective
from mlmref.runner import finish as results
from mlmref.runner import run as runner
from mlmref.training.job import Job


class _Events:
    def __init__(self, at, log, number):
        self._at, self._number, self._count = at, number, 0
        self._log = log and open(log, "a", buffering=1)  # noqa: PTH123, SIM115 - before Path is patched

    def __call__(self, name):
        if self._log:
            self._log.write(f"{name}\n")
        self._count += 1
        if self._at is not None and self._count > self._at:
            self._at = None if self._number != signal.SIGKILL else self._at
            os.kill(os.getpid(), self._number)


def _watch(event, owner, name, label):
    real = getattr(owner, name)

    def watched(*arguments, **options):
        event(f"before {label(*arguments)}")
        try:
            return real(*arguments, **options)
        finally:
            event(f"after {label(*arguments)}")

    setattr(owner, name, watched)


def _watch_everything(event):
    def of(kind):
        return lambda first=None, *rest: f"{kind} {Path(str(first)).name}"

    def flushed(descriptor):
        return f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}"

    _watch(event, os, "fsync", flushed)
    _watch(event, os, "rename", of("rename"))
    _watch(event, os, "replace", of("replace"))
    _watch(event, os, "mkdir", of("mkdir"))
    _watch(event, shutil, "rmtree", of("rmtree"))
    _watch(event, Path, "write_bytes", of("write"))
    _watch(event, Path, "write_text", of("write"))
    _watch(event, safetensors.torch, "save_file", lambda _, path: f"save {Path(path).name}")
    _watch(event, MaskedLMObjective, "forward", lambda *_: "micro-batch")
    _watch(event, Job, "after_step", lambda job, _: f"step {job.done}")
    _watch(event, evaluation, "evaluate", lambda *_: "evaluation")
    _watch(event, torch.optim.AdamW, "step", lambda *_: "update")
    _watch(event, results, "export", lambda *_: "export")
    for stage in ("load", "ask", "prepare", "measure"):
        _watch(event, runner, stage, lambda *_, stage=stage: stage)


def main(sets, resume, at, log, number, errors):
    """Run to the end, or to the event it is killed at; arguments as of ``support.kills.Run``."""
    from mlmref.base.progress import reporter
    from mlmref.cli.errors import err, one_line_errors
    from mlmref.settings.resolve import resolve

    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    torch.set_num_threads(1)
    if at is not None or log:
        _watch_everything(_Events(at, log, number))
    with one_line_errors(debug=False):
        runner.run(resolve(sets=sets), resume=resume, reporter=reporter(err, quiet=False))
    sys.exit(0)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
