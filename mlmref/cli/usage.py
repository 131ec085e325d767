"""Unknown or invalid commands and flags, as one line (RUN-001)."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperGroup

from mlmref.base.errors import MlmrefError, Status
from mlmref.cli import closest
from mlmref.cli.errors import err


class Commands(TyperGroup):
    """A group of commands that tells of its usage as of everything else: one line, status 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command; arguments as of any Typer group."""
        if not extra.get("standalone_mode", True):
            return super().main(*args, **extra)
        try:
            # A command returns nothing, and typer.Exit its status.
            status = super().main(*args, **(extra | {"standalone_mode": False}))
        except Exception as error:
            # By its shape, since Typer has brought click's own class and a copy of it in turn.
            if not (hasattr(error, "format_message") and hasattr(error, "show")):
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()
            else:
                err.print(_line(error), markup=False, soft_wrap=True)
            status = Status.MENDABLE
        sys.exit(status or 0)


def _line(error: Any) -> str:
    """Say what is wrong with a command line, and where to read how it should be."""
    text = " ".join(str(error.format_message()).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    unknown = getattr(error, "option_name", None)
    if type(error).__name__ == "NoSuchOption" and context and unknown:
        text = f"no such option: {unknown}{_meant(unknown, context)}"
    command = context.command_path if context else "mlmref"
    advice = MlmrefError(text[:1].lower() + text[1:], hint=f"see {command} --help")
    return f"mlmref: {advice}"


def _meant(unknown: str, context: Any) -> str:
    """Say which options, or else which settings, may have been meant."""
    known = [name for one in context.command.params for name in one.opts if name[:2] == "--"]
    close = closest.options(unknown, [*known, "--help"])
    if not close and "--set" in known:
        from mlmref.base.explain import all_keys
        from mlmref.settings.config import Config

        last = unknown.lstrip("-").replace("-", "_")
        keys = [key for key in all_keys(Config) if key.rpartition(".")[2] == last and "." in key]
        close = [f"--set {key}=VALUE" for key in keys]
    return f" (did you mean {' or '.join(close)}?)" if close else ""
