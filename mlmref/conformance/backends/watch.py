"""Compare objects, process state and files before and after a job."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mlmref.conformance.backends.toy_job import ToyJob

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
)
_OPTIMIZER_HOOKS = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
_CHANGING = frozenset({"state", "param_groups", "_opt_called", "_zero_grad_profile_name"})
"""Attributes that torch sets on an optimizer in use."""


def objects(job: ToyJob) -> dict[str, Any]:
    """Describe the model, the optimizer and the schedule, except for what training changes."""
    found: dict[str, Any] = {}
    for name, module in job.model.named_modules():
        held = f"module {name!r}" if name else "the model"
        for key, value in vars(module).items():
            if key not in ("training", "idle"):
                found[f"{held}: {key}"] = id(value)
        for hooks in _HOOKS:
            found[f"{held}: {hooks}"] = len(getattr(module, hooks))
    for name, one in job.model.named_parameters():
        found[f"parameter {name}"] = (id(one), one.dtype, one.device, one.requires_grad, one.shape)
    for name, thing in (("the optimizer", job.optimizer), ("the schedule", job.scheduler)):
        found |= {f"{name}: {key}": True for key in vars(thing) if key not in _CHANGING}
        found[f"{name}: step"] = id(vars(thing).get("step"))
        found[f"{name}: class"] = type(thing)
    for hooks in _OPTIMIZER_HOOKS:
        found[f"the optimizer: {hooks}"] = len(getattr(job.optimizer, hooks))
    groups: Any = job.optimizer.param_groups
    found["the optimizer: groups"] = [[id(one) for one in group["params"]] for group in groups]
    return found


def process() -> dict[str, Any]:
    """Return the state of the process that a library might change, by name."""
    return {
        "the environment": dict(os.environ),
        "the working directory": os.getcwd(),  # noqa: PTH109 - shown as a string
        "random's generator": random.getstate(),
        "NumPy's generator": _numpy_generator(),
        "torch's generator": torch.get_rng_state().tolist(),
        "torch's default type": torch.get_default_dtype(),
        "torch's default device": str(torch.get_default_device()),
        "torch's threads": torch.get_num_threads(),
        "torch's deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "torch's matrix precision": torch.get_float32_matmul_precision(),
        "torch's cuDNN": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "torch's anomaly detection": torch.is_anomaly_enabled(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "NumPy's errors": np.geterr(),
        "warnings' filters": list(warnings.filters),
        "signals' handlers": {one: signal.getsignal(one) for one in signal.valid_signals()},
        "the output": (id(sys.stdout), id(sys.stderr), id(sys.excepthook)),
        "modules' global hooks": _global_hooks(),
        "the search path": list(sys.path),
        "threads": sorted(one.name for one in threading.enumerate()),
    }


def _numpy_generator() -> Any:
    held: Any = np.random.get_state()  # noqa: NPY002 - the global generator is meant
    return [part.tolist() if hasattr(part, "tolist") else part for part in held]


def _global_hooks() -> int:
    named = vars(torch.nn.modules.module)
    return sum(len(value) for name, value in named.items() if name.startswith("_global_") and value)


def changed(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """Return the name of the first value that differs; ``None`` if all are equal."""
    for name in {**before, **after}:
        if before.get(name) != after.get(name):
            return name
    return None


@contextmanager
def undisturbed() -> Iterator[None]:
    """Use one thread, and restore the state of the process on exit.

    Threads slow down small tensors, on a busy machine by a factor of fifty. Some libraries collect
    garbage after each job, which would take longer than the job, so existing objects are frozen.
    :func:`process` finds what a backend leaves changed; restoring it keeps the next check correct.
    """
    numpys: Any = np.random.get_state()  # noqa: NPY002 - the global generator is meant
    generators = random.getstate(), numpys, torch.get_rng_state()
    environment, here, filters = dict(os.environ), Path.cwd(), list(warnings.filters)
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    threads, kind = torch.get_num_threads(), torch.get_default_dtype()
    matrices = torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        torch.set_num_threads(threads)
        torch.set_default_dtype(kind)
        torch.set_float32_matmul_precision(matrices)
        torch.use_deterministic_algorithms(deterministic)
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        warnings.filters[:] = filters  # type: ignore[index] # a list, despite its annotation
        os.chdir(here)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        random.setstate(generators[0])
        np.random.set_state(generators[1])  # noqa: NPY002 - as above
        torch.set_rng_state(generators[2])


class _Written:
    """Records the files that Python opens for writing, and the folders that it makes."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None or event not in ("open", "os.mkdir", "os.rename"):
            return
        path = arguments[1] if event == "os.rename" else arguments[0]
        if event == "open":
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            if not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        if isinstance(path, (str, bytes, os.PathLike)):
            self.seen.append(os.fsdecode(path))


@cache
def _written() -> _Written:
    """Return the only recorder: an audit hook cannot be removed."""
    return _Written()


@contextmanager
def watched_files() -> Iterator[tuple[Path, list[str]]]:
    """Work in a temporary folder and record what is written.

    Yields:
        The only folder that may be written to, and a list that contains on exit what was written
        outside it. Compiled files of libraries and devices do not count.
    """
    outside: list[str] = []
    home, here = os.environ.get("HOME"), Path.cwd()
    old = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="mlmref-check-") as place:
        root = Path(place).resolve()
        for name in ("home", "here", "temporary", "scratch"):
            (root / name).mkdir()
        os.chdir(root / "here")
        os.environ["HOME"], tempfile.tempdir = str(root / "home"), str(root / "temporary")
        watch = _written()
        watch.seen = []
        try:
            yield root / "scratch", outside
        finally:
            seen, watch.seen = watch.seen, None
            os.chdir(here)
            tempfile.tempdir = old
            if home is None:
                del os.environ["HOME"]
            else:
                os.environ["HOME"] = home
            # C++ raises no audit events; its files are found in the folders.
            lies = [str(path) for path in root.rglob("*") if path.parent != root]
            for path in dict.fromkeys([*seen, *lies]):
                full = Path(os.path.abspath(root / "here" / path))  # noqa: PTH100 - it may be gone
                if not _allowed(full, root):
                    outside.append(str(full).replace(str(root), "."))


def _allowed(path: Path, root: Path) -> bool:
    inside = path.is_relative_to(root / "scratch")
    return inside or "__pycache__" in path.parts or path.is_relative_to("/dev")
