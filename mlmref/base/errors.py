"""Errors that a user can fix, and exit statuses (clauses RUN-001 and RUN-002)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from mlmref.base.terminal import plain

_LONGEST = 400  # characters of a part of an error


class Status(IntEnum):
    """What a command's exit status says (CLI-003)."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Status:
        """Make a status that knows what it says."""
        status = int.__new__(cls, value)
        status._value_, status.meaning = value, meaning
        return status

    DONE = 0, "done"
    FAULT = 1, "a fault of mlmref or a plugin, or check, verify or inspect found something wrong"
    MENDABLE = 2, "something to mend: a flag, a setting, a file, a model, a plugin"
    INTERRUPTED = 130, "ended by Ctrl-C"
    TERMINATED = 143, "ended by SIGTERM"


class MlmrefError(Exception):
    """An error that a user can mend: one line that says what, where and what to do.

    Args:
        what: what is wrong, without a full stop: ``"no column 'body'"``.
        where: the file, key or name it was found in, if there is one.
        hint: what to do about it, as an imperative, if something can be said.

    Attributes:
        status: the exit status that goes with it.
    """

    status: int = Status.MENDABLE

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{shortened(self.where)}: " if self.where else ""
        advice = f"; {shortened(self.hint)}" if self.hint else ""
        return plain(" ".join(f"{place}{shortened(self.what)}{advice}".split()))


def shortened(text: str) -> str:
    """Cut the middle out of a part of an error that is longer than a few lines."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error is a lack of memory: Python's, or torch's on a GPU or a CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error))
    )


@contextmanager
def memory_for(hint: str, *, where: str | None = None) -> Iterator[None]:
    """Name the setting that lowers the memory of a piece of work, if the memory is too small.

    Raises:
        MlmrefError: it is too small.
    """
    try:
        yield
    except Exception as error:
        if out_of_memory(error):
            raise MlmrefError("out of memory", where=where, hint=hint) from error
        raise


class ConfigError(MlmrefError):
    """A configuration file, flag or option is wrong."""


class CorpusError(MlmrefError):
    """The text cannot be found, read or used."""


class ModelError(MlmrefError):
    """The model or its tokenizer cannot be found, loaded or used."""


class PluginError(MlmrefError):
    """A plugin is missing, broken, or breaks a clause; names the plugin and its distribution."""


class OutputError(MlmrefError):
    """The result cannot be written or published."""


def in_a_line(error: Exception) -> tuple[str, int]:
    """Say what went wrong in one line, and with which exit status (RUN-001, CLI-003)."""
    if isinstance(error, MlmrefError):
        return str(error), error.status
    if isinstance(error, OSError):
        place = f"{shortened(str(error.filename))}: " if error.filename else ""
        return plain(f"{place}{error.strerror or error}"), Status.MENDABLE
    if out_of_memory(error):
        return (
            "out of memory; use a smaller model, or a part of the corpus (--limit)",
            Status.MENDABLE,
        )
    text = " ".join(str(error).split())[:300]
    fault = f"a fault of mlmref or a plugin ({type(error).__name__}: {text})"
    return plain(f"{fault}; add --debug for the traceback"), Status.FAULT
