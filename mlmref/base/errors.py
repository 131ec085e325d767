"""Errors that a user can fix, and exit statuses (clauses RUN-001 and RUN-002)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from functools import partial

from mlmref.base.libraries.torch import is_out_of_memory
from mlmref.base.terminal import plain

_LONGEST = 400  # characters of a part of an error


class Status(IntEnum):
    """The exit status of a command, and its meaning (CLI-003)."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Status:
        """Return a status with its meaning."""
        status = int.__new__(cls, value)
        status._value_, status.meaning = value, meaning
        return status

    DONE = 0, "success"
    FAILED = 1, "a bug in mlmref or a plugin, or check, verify or inspect found a problem"
    FIXABLE = 2, "an error that you can fix in a flag, a setting, a file, a model or a plugin"
    INTERRUPTED = 130, "interrupted by Ctrl-C"
    TERMINATED = 143, "terminated by SIGTERM"


class MlmrefError(Exception):
    """An error that a user can fix: one line that says what is wrong, where, and what to do.

    Args:
        what: the problem, without a full stop: ``"no column 'body'"``.
        where: the file, key or name that has the problem, if any.
        hint: what to do, as an imperative, if known.

    Attributes:
        status: the exit status of a command that fails with this error.
    """

    status: int = Status.FIXABLE

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the error, so that a process can pass it to another one."""
        return partial(type(self), where=self.where, hint=self.hint), (self.what,)

    def __str__(self) -> str:
        place = f"{shortened(self.where)}: " if self.where else ""
        advice = f"; {shortened(self.hint)}" if self.hint else ""
        return plain(" ".join(f"{place}{shortened(self.what)}{advice}".split()))


def shortened(text: str) -> str:
    """Return a text of at most about 400 characters; a longer one loses its middle."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is a lack of memory: Python's, or torch's on a GPU or a CPU."""
    return isinstance(error, MemoryError) or is_out_of_memory(error)


@contextmanager
def memory_for(hint: str, *, where: str | None = None) -> Iterator[None]:
    """Add a hint to an error of the body if it ran out of memory.

    Args:
        hint: the setting that lowers the memory.
        where: the file or name that the body works on.

    Raises:
        MlmrefError: the body ran out of memory.
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
    """A plugin is missing, is broken, or breaks a clause; names the plugin and its distribution."""


class OutputError(MlmrefError):
    """The result cannot be written or published."""


def in_a_line(error: Exception) -> tuple[str, int]:
    """Return the line that describes an error, and its exit status (RUN-001, CLI-003)."""
    if isinstance(error, MlmrefError):
        return str(error), error.status
    if isinstance(error, OSError):
        place = f"{shortened(str(error.filename))}: " if error.filename else ""
        return plain(f"{place}{error.strerror or error}"), Status.FIXABLE
    if out_of_memory(error):
        return (
            "out of memory; use a smaller model, or a part of the corpus (--limit)",
            Status.FIXABLE,
        )
    text = " ".join(str(error).split())[:300]
    bug = f"a bug in mlmref or a plugin ({type(error).__name__}: {text})"
    return plain(f"{bug}; add --debug for the traceback"), Status.FAILED
