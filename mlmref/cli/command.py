"""Commands and their flags, made from the settings that a command takes (CONF-013)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from typer.core import TyperCommand

from mlmref.base.terminal import is_utf8
from mlmref.cli import flags
from mlmref.cli.base import app
from mlmref.cli.errors import one_line_errors

if TYPE_CHECKING:
    from mlmref.settings.config import Config
    from mlmref.settings.setting import Flag, Section

Function = TypeVar("Function", bound=Callable[..., int | None])

CHUNKS = ("model", "corpus", "words", "chunks", "split")
"""The sections that determine the chunks of a corpus."""

TRAINING_ONLY = ("model.dropout", "corpus.label_column")
"""The settings of these sections that only training uses."""

SCREEN = 25
"""Flags that fit on a screen; a command with more shows its rare ones in ``--help-all`` only."""


@dataclass(frozen=True)
class Given:
    """The settings that a command line gives.

    Attributes:
        flags: each flag's key and value, as :func:`mlmref.settings.resolve.resolve` takes them.
        preset: ``--preset``.
        file: ``--config``.
        sets: each ``--set``.
    """

    flags: dict[str, tuple[str, object]] = field(default_factory=dict)
    preset: str | None = None
    file: Path | None = None
    sets: Sequence[str] = ()

    def tree(self) -> dict[str, Any]:
        """Return what the flags give as a tree of settings."""
        from mlmref.settings.tree import merge, nest

        tree: dict[str, Any] = {}
        for key, value in self.flags.values():
            tree = merge(tree, nest(key, value))
        return tree

    def config(
        self,
        more: Mapping[str, tuple[str, object]] | None = None,
        file: Callable[[], Path | None] = lambda: None,
    ) -> Config:
        """Return the configuration.

        Args:
            more: more flags, which override those given.
            file: finds the settings to use if there is no ``--config``.

        Raises:
            ConfigError: as of :func:`mlmref.settings.resolve.resolve`.
        """
        from mlmref.settings.resolve import resolve

        return resolve(
            preset=self.preset,
            file=self.file or file(),
            sets=self.sets,
            flags=self.flags | dict(more or {}),
        )

    def shared(self, **sources: Any) -> Config:
        """Return the main process's configuration on every rank; arguments as of config."""
        from mlmref.settings.resolve import shared

        return shared(lambda: self.config(**sources))


class Command(TyperCommand):
    """A command that makes its flags when they are needed, since the settings import pydantic.

    Attributes:
        function: does the work; returns an exit status, or ``None`` for 0.
        keys: the sections and settings that the command takes, in the order of ``--help``.
        omit: settings of these sections that it does not take.
        sources: whether it takes ``--preset``, ``--config`` and ``--set`` too.
        root: imports the tree of settings that the keys belong to.
    """

    function: Callable[..., int | None]
    keys: Sequence[str]
    omit: Sequence[str]
    sources: bool
    root: Callable[[], type[Section]]

    @cached_property
    def settings(self) -> dict[str, Flag]:
        """The flags of the settings, each by the name of its parameter."""
        if not self.keys:
            return {}
        from mlmref.settings.setting import flags_of

        found = flags_of(self.root(), self.keys, self.omit)
        return {flag.keyword: flag for flag in found}

    @cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """All parameters, each by its name: the settings, then those of the function."""
        own = {
            name: one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, one in inspect.signature(self.function, eval_str=True).parameters.items()
            if name != "given"
        }
        found = {name: flags.of_setting(flag, name) for name, flag in self.settings.items()}
        found |= flags.SOURCES if self.sources else {}
        found |= own | flags.EVERYWHERE
        return found | (flags.HELP_ALL if len(found) > SCREEN else {})

    @cached_property
    def whole(self) -> Any:
        """The command as Typer makes it of all parameters."""

        def call(*, debug: bool, help_all: bool = False, **values: Any) -> None:
            with one_line_errors(debug):
                if self.keys:
                    values["given"] = self._given(values)
                status = self.function(**values)
            if status:
                raise typer.Exit(status)

        vars(call)["__signature__"] = inspect.Signature([*self.parameters.values()])
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command()(call)
        return typer.main.get_command(alone)

    @property
    def params(self) -> Any:
        """The flags and arguments."""
        return self.whole.params

    @params.setter
    def params(self, value: object) -> None:
        """Ignore those of the function that stands for the command."""

    @property
    def callback(self) -> Any:
        """The function that is called with the values of all parameters."""
        return self.whole.callback

    @callback.setter
    def callback(self, value: object) -> None:
        """Ignore the function that stands for the command."""

    def _given(self, values: dict[str, Any]) -> Given:
        """Take the settings out of the values of all parameters; an unset flag gives none."""
        typed = {flag: values.pop(name) for name, flag in self.settings.items()}
        sources = {name: values.pop(name) for name in (flags.SOURCES if self.sources else ())}
        return Given(
            flags={
                flag.name: (flag.key, flag.read(value))
                for flag, value in typed.items()
                if value not in (None, [])
            },
            preset=sources.get("preset"),
            file=sources.get("config"),
            sets=sources.get("set_") or (),
        )

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; rare flags only if it was asked for them, or all fit on a screen."""
        shortens = "help_all" in self.parameters and flags.ALL not in ctx.meta
        rare = [one for one in self.params if shortens and flags.is_rare(self.parameters[one.name])]
        if rare:
            more = f"{ctx.command_path} --help-all"
            self.epilog = f"{len(rare)} more flags: {more}. Every other setting: --set."
        try:
            for one in rare:  # only now, since a shell does not complete hidden flags
                one.hidden = True
            super().format_help(ctx, formatter)
        finally:
            for one in rare:
                one.hidden = False
            self.epilog = None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a text that is not UTF-8 is refused (RUN-001)."""
        # A setting is refused with its key, and may name a file (CONF-003).
        for one in self.params:
            if one.name in self.settings or one.name == "set_":
                continue
            value = ctx.params.get(one.name)
            for text in value if isinstance(value, list | tuple) else [value]:
                if isinstance(text, str) and not is_utf8(text):
                    flag = one.opts[0] if one.param_type_name == "option" else one.name
                    raise typer.BadParameter(
                        "the text is not UTF-8", ctx=ctx, param_hint=f"'{flag}'"
                    )
        return super().invoke(ctx)


def _config() -> type[Section]:
    from mlmref.settings.config import Config

    return Config


def command(
    *keys: str,
    app: typer.Typer = app,
    name: str | None = None,
    omit: Sequence[str] = (),
    sources: bool = False,
    root: Callable[[], type[Section]] = _config,
) -> Callable[[Function], Function]:
    """Add a function to the application as a command.

    The function takes its own flags and, if there are keys, ``given``: the settings that the
    command line gives. Every command has ``--debug``.

    Args:
        keys: the settings that the command takes, as of :class:`Command`; also ``omit``,
            ``sources`` and ``root``.
        app: the application.
        name: the name of the command, if it is not the function's.
    """

    def add(function: Function) -> Function:
        def listed() -> None:
            """Stand for the command in ``mlmref --help``, which needs no flags."""

        listed.__name__, listed.__doc__ = function.__name__, function.__doc__

        class Own(Command):
            """The command."""

        Own.function, Own.root = staticmethod(function), staticmethod(root)
        Own.keys, Own.omit, Own.sources = keys, omit, sources
        app.command(name, cls=Own)(listed)
        return function

    return add
