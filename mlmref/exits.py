"""What goes wrong becomes one line and an exit status (clauses RUN-001 and CLI-003)."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from mlmref.errors import MlmrefError
from mlmref.terminal import Terminal

err = Terminal(stderr=True)
"""Where errors and progress are printed."""


class _Terminated(BaseException):
    """SIGTERM; no Exception, nor SystemExit, which a plugin's import may raise as well."""


@contextmanager
def told(debug: bool) -> Iterator[None]:
    """Turn what goes wrong into one line and an exit status (RUN-001, CLI-003)."""

    def terminate(*_: object) -> Never:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as interruption:
        if debug:
            raise
        if interruption.args:
            _say(str(interruption))
        elif notes := _notes(interruption):
            _say(f"interrupted: {notes}")
        else:
            again = shlex.join(["mlmref", *sys.argv[1:]])
            _say("interrupted: nothing was left half written; what was read and tokenised is")
            _say(f"kept, so the same command goes on from there: {again}")
        raise SystemExit(130) from None
    except _Terminated as termination:
        if notes := _notes(termination):
            _say(f"terminated: {notes}")
        raise SystemExit(143) from None
    except MlmrefError as error:
        if debug:
            raise
        _fail(str(error), error)
        raise SystemExit(2) from None
    except OSError as error:
        if debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", error)
        raise SystemExit(2) from None
    except Exception as error:
        if debug:
            raise
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
            _fail("out of memory; lower --batch-size, and raise --accumulation by as much", error)
            raise SystemExit(2) from None
        text = " ".join(str(error).split())
        _fail(
            f"a fault of mlmref or a plugin ({type(error).__name__}: {text[:300]}); "
            "add --debug for the traceback",
            error,
        )
        raise SystemExit(1) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(text: str, error: BaseException) -> None:
    """Say what went wrong and, on a line of its own, what of the run was saved."""
    _say(f"mlmref: {text}")
    if notes := _notes(error):
        _say(notes)


def _notes(error: BaseException) -> str:
    return "; ".join(getattr(error, "__notes__", []))


def _say(text: str) -> None:
    err.print(text, markup=False, soft_wrap=True)
