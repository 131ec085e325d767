"""Agreement between the ranks of a run: same inputs, and errors that end all ranks (spec/ranks.md).

If one rank failed, the others would wait for it, and its error would not be printed, because only
the main process prints. Phases without communication end with :func:`together`, which exchanges
errors. Training and evaluation communicate all the time, so a rank that fails writes its error to
the launcher's store. The other ranks read it (:func:`last_words`) when their connection breaks.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

from mlmref.base.errors import ConfigError, MlmrefError, in_a_line
from mlmref.base.libraries.torch import default_store, is_broken_connection
from mlmref.base.ranks.process import broadcast, gather, is_main, rank, world_size

T = TypeVar("T")

# Keys in the launcher's store.
_WORDS, _TOLD, _SPEAKER = "mlmref/last-words", "mlmref/told", "mlmref/speaker"
_PATIENCE = 10.0  # seconds to wait until the main process has printed its error


class RankError(MlmrefError):
    """The error of another rank.

    Attributes:
        status: its exit status.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(told["line"], where=_place(told["rank"], told["host"]))
        self.status: int = told["status"]


class LostError(MlmrefError):
    """Another rank ended without an error message."""

    def __init__(self) -> None:
        super().__init__(
            "another process of the run was killed or lost",
            where=_place(rank(), socket.gethostname()),
            hint="see the output of its host or of the launcher",
        )


@contextmanager
def together() -> Iterator[None]:
    """Raise an error on every rank if this phase fails on one of them.

    Raises:
        RankError: the phase failed on another rank only.
    """
    if world_size() == 1:
        yield
        return
    own = None
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the other ranks must get any error
        own = error
    try:
        told = [one for one in gather(None if own is None else _told(own)) if one]
    except RuntimeError as error:
        raise own or _why() from error
    if told:
        raise _agreed(own or RankError(told[0]))


@contextmanager
def watched() -> Iterator[None]:
    """Report an error of this rank to the others, and raise an error that another rank reported.

    Raises:
        RankError: another rank failed.
        LostError: another rank was killed or lost.
    """
    try:
        with connected():
            yield
    except Exception as error:
        if world_size() == 1:
            raise
        if not isinstance(error, RankError | LostError):
            with suppress(Exception):  # an error of the store must not replace this one
                default_store().compare_set(_WORDS, "", json.dumps(_told(error)))
        raise


def alone(what: str, where: str) -> None:
    """Raise a ConfigError if a launcher started several processes."""
    if world_size() > 1:
        text, hint = f"{what} runs in one process", "start it without a launcher"
        raise _agreed(ConfigError(text, where=where, hint=hint))


def by_main(make: Callable[[], T]) -> T:
    """Call a function in the main process only, and return its result on every rank.

    Args:
        make: returns a JSON value; the result has JSON's types.

    Raises:
        RankError: on the other ranks, if the function failed.
    """
    if world_size() == 1:
        return make()
    made = ""
    with together():
        if is_main():
            made = json.dumps(make())
    return cast("T", json.loads(broadcast(made)))


@contextmanager
def connected() -> Iterator[None]:
    """Replace the error of a broken connection between ranks by its cause.

    Raises:
        RankError: another rank failed.
        LostError: another rank was killed or lost.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not is_broken_connection(error):
            raise
        raise _why() from error


def agree(on: Mapping[str, Any]) -> None:
    """Check that all ranks have the same values (RANK-005).

    Args:
        on: JSON values by name.

    Raises:
        ConfigError: on every rank; names the value that differs, the rank and both values.
    """
    everyone = gather({"host": socket.gethostname(), "on": dict(on)})
    for number, one in enumerate(everyone):
        for name, value in everyone[0]["on"].items():
            if one["on"].get(name) != value:
                raise _agreed(
                    ConfigError(
                        f"{name} is {one['on'].get(name)}, but {value} on the main process",
                        where=_place(number, one["host"]),
                        hint="make it the same on all hosts",
                    )
                )


def last_words() -> RankError | None:
    """Return the error that another rank has written to the store, if there is one."""
    with suppress(Exception):  # the store may be gone
        if _joined() and default_store().check([_WORDS]):
            told = json.loads(default_store().get(_WORDS))
            return None if told["rank"] == rank() else RankError(told)
    return None


@contextmanager
def speaking(error: BaseException) -> Iterator[bool]:
    """Yield whether this process must print an error.

    The main process prints it. Another rank prints only if the main process is lost, or if it has
    not joined the others. It first waits for the line of the main process, because a launcher ends
    all processes as soon as one ends.
    """
    if is_main():
        try:
            yield True
        finally:
            if _joined():  # otherwise nobody reads it, and importing torch takes seconds
                with suppress(Exception):
                    default_store().set(_TOLD, "yes")
        return
    if vars(error).get("agreed"):
        _main_told()
        yield False
    elif isinstance(error, LostError):
        yield not _main_told() and _first()
    elif vars(error).get("of_host"):  # all processes of the host fail before they join
        first = os.environ["LOCAL_RANK"] == "0"
        time.sleep(0.0 if first else _PATIENCE)
        yield first
    else:
        yield not _joined()


def leave(*, failed: bool = False) -> None:
    """Leave the process group. Otherwise gloo's threads may abort the process at its end.

    Args:
        failed: the run failed, so other ranks may be gone.
    """
    if _joined():
        import torch

        # After a failure, NCCL would wait for ranks that are gone.
        if not failed or torch.distributed.get_backend() == "gloo":
            torch.distributed.destroy_process_group()


def _place(number: int, host: str) -> str:
    return f"rank {number} of {world_size()}, on {host}"


def _told(error: Exception) -> dict[str, Any]:
    line, status = in_a_line(error)
    return {"rank": rank(), "host": socket.gethostname(), "line": line, "status": status}


def _agreed(error: Exception) -> Exception:
    """Mark an error that every rank has."""
    vars(error)["agreed"] = True
    return error


def _why() -> MlmrefError:
    return last_words() or LostError()


def _joined() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.distributed.is_initialized()


def _first() -> bool:
    """Return whether this is the first rank to ask."""
    with suppress(Exception):
        return bool(default_store().add(_SPEAKER, 1) == 1)
    return True  # the main process kept the store, and is lost


def _main_told() -> bool:
    """Wait for the main process to print its error, and return whether it did in time."""
    with suppress(Exception):
        default_store().wait([_TOLD], timedelta(seconds=_PATIENCE))
        return True
    return False
