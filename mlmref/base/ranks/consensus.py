"""Keep the ranks of a run together: start, agree on errors, and end as one (spec/ranks.md).

A rank that fails alone would leave the others waiting for it, and its reason unheard, since the
main process alone prints. Phases without a word between ranks end with :func:`together`, which
asks each how it went. In training and evaluation ranks speak all the time, and one that fails can
no longer be asked: it leaves :func:`last_words` in the store that the launcher keeps, where the
others find them once their own connection to it breaks.
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

_WORDS, _TOLD, _SPEAKER = "mlmref/last-words", "mlmref/told", "mlmref/speaker"
_PATIENCE = 10.0  # seconds for the main process to say its line


class RankError(MlmrefError):
    """What went wrong on another rank, in its own words.

    Attributes:
        status: the exit status that goes with it.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(
            told["line"], where=f"rank {told['rank']} of {world_size()}, on {told['host']}"
        )
        self.status: int = told["status"]


class LostError(MlmrefError):
    """Another rank has gone without a word."""

    def __init__(self) -> None:
        super().__init__(
            "another process of the run was killed or lost",
            where=f"rank {rank()} of {world_size()}, on {socket.gethostname()}",
            hint="its own host, or the launcher, may say why",
        )


@contextmanager
def together() -> Iterator[None]:
    """End a phase on every rank, or on none.

    Raises:
        RankError: it failed on another rank, and not on this one.
    """
    if world_size() == 1:
        yield
        return
    own = None
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are to know
        own = error
    try:
        told = [one for one in gather(None if own is None else _told(own)) if one]
    except RuntimeError as error:
        raise own or _why() from error
    if told:
        raise _agreed(own or RankError(told[0]))


@contextmanager
def watched() -> Iterator[None]:
    """Let the others know why this rank fails, and say why when another does.

    Raises:
        RankError: another rank failed.
        LostError: another rank is gone.
    """
    try:
        with connected():
            yield
    except Exception as error:
        if world_size() == 1:
            raise
        if not isinstance(error, RankError | LostError):
            with suppress(Exception):  # the failure itself is the one to hear of
                default_store().compare_set(_WORDS, "", json.dumps(_told(error)))
        raise


def alone(what: str, where: str) -> None:
    """Refuse to be one of several processes, which the main one tells.

    Raises:
        ConfigError: this is one of several.
    """
    if world_size() > 1:
        raise _agreed(
            ConfigError(
                f"{what} is made in one process", where=where, hint="start it without a launcher"
            )
        )


def by_main(make: Callable[[], T]) -> T:
    """Return on every rank what the main process makes, and alone makes.

    Args:
        make: returns what JSON can hold; it comes to the other ranks as JSON gives it.

    Raises:
        RankError: it failed, on the ranks beside the main one.
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
    """Say why the connection between ranks has broken, where that is what went wrong.

    Raises:
        RankError: another rank failed.
        LostError: another rank is gone.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not is_broken_connection(error):
            raise
        raise _why() from error


def agree(on: Mapping[str, Any]) -> None:
    """Make sure that all ranks work on the same.

    Args:
        on: what must be the same, by name, as JSON values.

    Raises:
        ConfigError: on every rank, naming what differs, where, and how.
    """
    everyone = gather({"host": socket.gethostname(), "on": dict(on)})
    main = everyone[0]["on"]
    for number, one in enumerate(everyone):
        for name in main:
            if one["on"].get(name) != main[name]:
                raise _agreed(
                    ConfigError(
                        f"{name} is {one['on'].get(name)}, on the main process {main[name]}",
                        where=f"rank {number} of {world_size()}, on {one['host']}",
                        hint="make the hosts alike",
                    )
                )


def last_words() -> RankError | None:
    """Return why another rank failed, if one did and said so."""
    with suppress(Exception):  # a store that is gone has nothing to say
        if _joined() and default_store().check([_WORDS]):
            told = json.loads(default_store().get(_WORDS))
            return None if told["rank"] == rank() else RankError(told)
    return None


@contextmanager
def speaking(error: BaseException) -> Iterator[bool]:
    """Tell whether this process is the one to say what went wrong.

    That is the main process. Another speaks only when the main one is lost, and when it could not
    join the others, who would hear of it. It waits for the main one's line, since launchers end
    all processes as soon as one has ended.
    """
    if is_main():
        try:
            yield True
        finally:
            _note(_TOLD)
        return
    if vars(error).get("agreed"):
        _wait_for(_TOLD)
        yield False
    elif isinstance(error, LostError):
        yield not _wait_for(_TOLD) and _first()
    elif vars(error).get("of_host"):  # all its processes fail so, before they can agree on it
        first = os.environ["LOCAL_RANK"] == "0"
        time.sleep(0.0 if first else _PATIENCE)
        yield first
    else:
        yield not _joined()


def leave(*, failed: bool = False) -> None:
    """Take leave of the other ranks at the end of all work, or of none if it ``failed``.

    Else gloo's threads may abort the process as it ends, which then has another exit status.
    """
    if _joined():
        import torch

        # NCCL would wait for ranks that are gone.
        if not failed or torch.distributed.get_backend() == "gloo":
            torch.distributed.destroy_process_group()


def _told(error: Exception) -> dict[str, Any]:
    line, status = in_a_line(error)
    return {"rank": rank(), "host": socket.gethostname(), "line": line, "status": status}


def _agreed(error: Exception) -> Exception:
    """Mark a failure that every rank has, or knows of."""
    vars(error)["agreed"] = True
    return error


def _why() -> MlmrefError:
    return last_words() or LostError()


def _joined() -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and torch.distributed.is_initialized()


def _first() -> bool:
    """Tell whether no other rank has asked this."""
    with suppress(Exception):
        return bool(default_store().add(_SPEAKER, 1) == 1)
    return True  # a store that is gone was the main process's, and nobody else can tell either


def _note(key: str) -> None:
    if not _joined():
        return  # nobody is there to read it, and importing torch for that takes seconds
    with suppress(Exception):
        default_store().set(key, "yes")


def _wait_for(key: str) -> bool:
    """Tell whether something was noted in time."""
    with suppress(Exception):
        default_store().wait([key], timedelta(seconds=_PATIENCE))
        return True
    return False
