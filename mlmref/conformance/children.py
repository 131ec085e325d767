"""Run a plugin in other processes: a fork of this one, and a new interpreter."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from mlmref.conformance.violation import NotReached, Violation, text_of


def cannot_fork(_: object) -> str | None:
    """Return why checks that fork do not apply, or ``None`` if they do."""
    methods = multiprocessing.get_all_start_methods()
    return None if "fork" in methods else "this system cannot fork processes"


def in_a_fork(ask: Callable[[], Any]) -> Any:
    """Return what a function returns in a fork of this process.

    Raises:
        Violation: the function raised, or the process ended.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def child() -> None:
        try:
            there.send((True, ask()))
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything
            there.send((False, text_of(error)))

    process = context.Process(target=child)
    process.start()
    there.close()
    try:
        fine, answer = here.recv()
    except EOFError:
        fine, answer = False, "no answer"
    finally:
        process.join()
    if not fine:
        raise Violation(f"in another process it failed: {answer}")
    return answer


_CHILD = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
try:
    ask, arguments = pickle.load(sys.stdin.buffer)
except (ImportError, AttributeError):
    sys.exit(3)  # only the parent can import the plugin's module by its name
pickle.dump(ask(*arguments), sys.stdout.buffer)
"""


def in_another_interpreter(ask: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a new interpreter with another hash seed.

    Raises:
        Violation: the function raised.
        NotReached: the function or its arguments cannot be pickled or imported.
    """
    try:
        sent = pickle.dumps(sys.path) + pickle.dumps((ask, arguments))
    except Exception as error:
        raise NotReached(f"it cannot be pickled: {type(error).__name__}: {error}") from error
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    child = subprocess.run(  # noqa: S603 - this interpreter and the program above
        [sys.executable, "-c", _CHILD],
        input=sent,
        capture_output=True,
        env=os.environ | {"PYTHONHASHSEED": seed},
        check=False,
    )
    if child.returncode == 3:
        raise NotReached("its module cannot be imported by its name in another interpreter")
    if child.returncode:
        told = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Violation(f"in another interpreter it failed: {' '.join(told)}")
    return pickle.loads(child.stdout)  # noqa: S301 - just written
