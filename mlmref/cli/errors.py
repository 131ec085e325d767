"""Turn errors and wrong command lines into one line and an exit status (RUN-001, CLI-003)."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from mlmref.base.closest import MOST, closest, did_you_mean
from mlmref.base.errors import MlmrefError, Status, in_a_line
from mlmref.base.ranks.consensus import LostError, RankError, last_words, leave, speaking
from mlmref.base.ranks.process import is_main, world_size
from mlmref.base.terminal import Terminal

err = Terminal(stderr=True)
"""The console for errors and progress."""


class _Terminated(BaseException):
    """SIGTERM. Neither an Exception nor SystemExit, which a plugin's import may raise as well."""


@contextmanager
def one_line_errors(debug: bool) -> Iterator[None]:
    """Print an error as one line and exit with its status; ``debug`` shows the traceback."""

    def terminate(*_: object) -> None:
        # The launcher sent SIGTERM because another rank failed; report that rank's error.
        if not _of_another_rank(sys.exception()):
            raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
        leave()
    except (Exception, KeyboardInterrupt, _Terminated) as error:
        # The line is printed even if the launcher ends all ranks because this one has ended.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if debug and not isinstance(error, _Terminated):
            _unhush()
            raise
        lines, status = _in_words(error)
        with speaking(error) as mine:
            if mine:
                _unhush()
            for line in lines if mine else ():
                err.print(line, markup=False, soft_wrap=True)
        with suppress(Exception):  # a broken connection cannot be closed
            leave(failed=True)
        raise SystemExit(status) from None
    finally:
        if world_size() == 1:
            signal.signal(signal.SIGTERM, before)


def _of_another_rank(error: BaseException | None) -> bool:
    """Whether another rank caused an error, directly or in its context."""
    while error and not isinstance(error, LostError | RankError):
        error = error.__context__
    return error is not None


@contextmanager
def ended_at_once() -> Iterator[None]:
    """End one of several processes with its status, without Python's cleanup (RANK-001).

    The threads of gloo and of the launcher's store may end in any order. Now and then one aborts,
    or waits for another, while the libraries are unloaded after all work is done.
    """
    if world_size() == 1:
        yield
        return
    status: object = 0
    try:
        yield
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - Ctrl-C too: the process must end
        status = Status.FAILED
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the pipe may be closed
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def hush() -> None:
    """Silence every rank but the main one, and the libraries in it."""
    if not is_main():
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good


def _unhush() -> None:
    if not is_main():
        sys.stderr = sys.__stderr__


def _in_words(error: BaseException) -> tuple[list[str], int]:
    """Return the lines to print for an error, and the exit status."""
    if isinstance(error, _Terminated):
        # Launchers send SIGTERM to the remaining ranks when one has failed.
        error = last_words() or error
    notes = "; ".join(getattr(error, "__notes__", []))
    if isinstance(error, KeyboardInterrupt):
        if error.args:
            return [str(error)], Status.INTERRUPTED
        if notes:
            return [f"interrupted: {notes}"], Status.INTERRUPTED
        again = shlex.join(["mlmref", *sys.argv[1:]])
        return [
            "interrupted: no partial file is left; the corpus and tokens read so far are",
            f"cached. Repeat the command to continue: {again}",
        ], Status.INTERRUPTED
    if isinstance(error, Exception):
        line, status = in_a_line(error)
        return [f"mlmref: {line}", *([notes] if notes else [])], status
    if notes:
        return [f"terminated: {notes}"], Status.TERMINATED
    ended = "terminated by SIGTERM; a launcher sends it when another process of the run has ended"
    # Only the main process prints it; the rank that failed reports its own error.
    return [ended] if world_size() > 1 and is_main() else [], Status.TERMINATED


# --- wrong command lines ----------------------------------------------------------------------


class Commands(TyperGroup):
    """A group of commands that reports a wrong command line as one line, with status 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; arguments as of any Typer group."""
        if not extra.get("standalone_mode", True):
            return super().main(*args, **extra)
        try:
            # A command returns nothing, and typer.Exit its status.
            status = super().main(*args, **(extra | {"standalone_mode": False}))
        except Exception as error:
            # Not by class: releases of Typer use click's exceptions or their own copy of them.
            if not (hasattr(error, "format_message") and hasattr(error, "show")):
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()
            else:
                err.print(_usage_error(error), markup=False, soft_wrap=True)
            status = Status.FIXABLE
        sys.exit(status or 0)


def _usage_error(error: Any) -> str:
    """Return one line: what is wrong with a command line, and which help to read."""
    text = " ".join(str(error.format_message()).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    unknown = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and context and unknown:
        hint = did_you_mean(_meant(unknown, context))
        text = f"no such option: {unknown}" + (f" ({hint})" if hint else "")
    command = context.command_path if context else "mlmref"
    advice = MlmrefError(text[:1].lower() + text[1:], hint=f"see {command} --help")
    return f"mlmref: {advice}"


def _meant(unknown: str, context: Any) -> list[str]:
    """Return the options of a command, or else the settings, closest to an unknown option."""
    known = [name for one in context.command.params for name in one.opts if name[:2] == "--"]
    close = closest_options(unknown, [*known, "--help"])
    if not close and "--set" in known:
        from mlmref.base.explain import all_keys
        from mlmref.settings.config import Config

        last = unknown.lstrip("-").replace("-", "_")
        keys = [key for key in all_keys(Config) if key.rpartition(".")[2] == last and "." in key]
        close = [f"--set {key}=VALUE" for key in keys]
    return close


def closest_options(given: str, known: Sequence[str]) -> list[str]:
    """Return the known options closest to one that does not exist, the best first (CLI-006).

    Args:
        given: what was typed, such as ``--lr``.
        known: the options, each with its dashes.
    """
    name = given.lstrip("-").replace("_", "-").lower()
    words = set(name.split("-"))
    by_name = {one.lstrip("-"): one for one in known}
    parts = {key: key.split("-") for key in by_name}
    if _NAMES_ELSEWHERE.get(name) in known:
        return [_NAMES_ELSEWHERE[name]]
    found = [
        # --lr, --bs: the initials of the words.
        *(by_name[key] for key, of in parts.items() if _initials(of) == name and len(of) > 1),
        *(by_name[key] for key in by_name if len(name) > 1 and key.startswith(name)),
        *(by_name[key] for key in closest(name, by_name, 0.75)),
        *(by_name[key] for key, of in parts.items() if words >= set(of) or words <= set(of)),
    ]
    return list(dict.fromkeys(found))[:MOST]


def _initials(words: Sequence[str]) -> str:
    return "".join(word[:1] for word in words)


_NAMES_ELSEWHERE = {
    "num-train-epochs": "--epochs",
    "per-device-train-batch-size": "--batch-size",
    "train-batch-size": "--batch-size",
    "gradient-accumulation-steps": "--accumulation",
    "lr-scheduler-type": "--schedule",
    "warmup": "--warmup-steps",
    "max-seq-length": "--chunk-size",
    "max-length": "--chunk-size",
    "block-size": "--chunk-size",
    "model-name-or-path": "--model",
    "dataset": "--corpus",
    "dataset-name": "--corpus",
    "data": "--corpus",
    "file": "--corpus",
    "train-file": "--corpus",
    "text": "--text-column",
    "validation-split-percentage": "--test-size",
    "output-dir": "--output",
    "resume-from-checkpoint": "--resume",
    "save-steps": "--save-every",
    "preprocessing-num-workers": "--workers",
    "num-workers": "--workers",
    "dataloader-num-workers": "--workers",
    "hub-model-id": "--push",
    "push-to-hub": "--push",
    "fp16": "--precision",
    "bf16": "--precision",
    "mask-prob": "--mlm-probability",
    "strategy": "--masking",
    "name": "--model",
}
"""The names of options in Transformers' examples and in other command lines."""
