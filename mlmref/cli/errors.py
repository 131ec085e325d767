"""Turn errors into one line and an exit status (clauses RUN-001 and CLI-003)."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlmref.base.errors import Status, in_a_line
from mlmref.base.ranks.consensus import LostError, RankError, last_words, leave, speaking
from mlmref.base.ranks.process import is_main, world_size
from mlmref.base.terminal import Terminal

err = Terminal(stderr=True)
"""Where errors and progress are printed."""


class _Terminated(BaseException):
    """SIGTERM; no Exception, nor SystemExit, which a plugin's import may raise as well."""


@contextmanager
def told(debug: bool) -> Iterator[None]:
    """Turn what goes wrong into one line and an exit status (RUN-001, CLI-003)."""

    def terminate(*_: object) -> None:
        # A launcher sends it because of that other rank, whose end is the news.
        if not _of_another_rank(sys.exception()):
            raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
        leave()
    except (Exception, KeyboardInterrupt, _Terminated) as error:
        # The line is said even if a launcher ends all ranks, as it does once one has ended.
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
        with suppress(Exception):  # a connection that is broken cannot be closed
            leave(failed=True)
        raise SystemExit(status) from None
    finally:
        if world_size() == 1:
            signal.signal(signal.SIGTERM, before)


def _of_another_rank(error: BaseException | None) -> bool:
    """Tell whether what is on its way up, is another rank's, under whatever else."""
    while error and not isinstance(error, LostError | RankError):
        error = error.__context__
    return error is not None


@contextmanager
def ended_at_once() -> Iterator[None]:
    """End a process of several with its status, and without tidying up (RANK-001).

    The threads of gloo and of the launcher's store may be gone in any order, and now and then one
    aborts or waits for another as the libraries are taken down, after all is done.
    """
    if world_size() == 1:
        yield
        return
    status: object = 0
    try:
        yield
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - Ctrl-C too: the process is to end
        status = Status.FAULT
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody may be listening any more
            stream.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def hush() -> None:
    """Let the ranks beside the main one print nothing, nor the libraries underneath."""
    if not is_main():
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good


def _unhush() -> None:
    if not is_main():
        sys.stderr = sys.__stderr__


def _in_words(error: BaseException) -> tuple[list[str], int]:
    """Return what to say, and the exit status."""
    if isinstance(error, _Terminated):
        # Launchers send SIGTERM to the ranks that are left when one has failed.
        error = last_words() or error
    notes = "; ".join(getattr(error, "__notes__", []))
    if isinstance(error, KeyboardInterrupt):
        if error.args:
            return [str(error)], Status.INTERRUPTED
        if notes:
            return [f"interrupted: {notes}"], Status.INTERRUPTED
        again = shlex.join(["mlmref", *sys.argv[1:]])
        return [
            "interrupted: nothing was left half written; what was read and tokenised is",
            f"kept, so the same command goes on from there: {again}",
        ], Status.INTERRUPTED
    if isinstance(error, Exception):
        line, status = in_a_line(error)
        return [f"mlmref: {line}", *([notes] if notes else [])], status
    if notes:
        return [f"terminated: {notes}"], Status.TERMINATED
    ended = "terminated, as by a launcher when another process of the run has ended"
    # The main process alone: where another comes to this, what ended it is told elsewhere.
    return [ended] if world_size() > 1 and is_main() else [], Status.TERMINATED
