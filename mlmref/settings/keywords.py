"""Settings as the keyword arguments of a Python function (clauses API-001 to API-003)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from mlmref.base.closest import closest, did_you_mean
from mlmref.base.errors import ConfigError
from mlmref.base.explain import all_keys
from mlmref.settings.config import Config
from mlmref.settings.resolve import resolve, shared
from mlmref.settings.setting import Flag, flags_of
from mlmref.settings.tree import value_of

Function = TypeVar("Function", bound=Callable[..., Any])

EVERY = tuple(Config.model_fields)
"""The settings of a run."""

TEXT_AND_MASKS = ("model", "corpus", "words", "chunks", "split", "masking", "seed")
"""The settings of an evaluation, which does not train."""

TRAINING_ONLY = ("model.dropout", "corpus.label_column")
"""The settings of these sections that only training uses."""


@cache
def keywords(keys: tuple[str, ...] = EVERY, omit: tuple[str, ...] = ()) -> dict[str, Flag]:
    """Return the flags of some settings, each by its keyword; arguments as of :func:`flags_of`."""
    return {flag.keyword: flag for flag in flags_of(Config, keys, omit)}


def given(
    settings: Mapping[str, object],
    where: str,
    known: Mapping[str, Flag],
    others: Sequence[str] = (),
) -> dict[str, tuple[str, object]]:
    """Return keyword arguments as :func:`~mlmref.settings.resolve.resolve` takes flags.

    Args:
        settings: the keyword arguments.
        where: the function, for errors.
        known: the flags that the function takes, each by its keyword.
        others: the other arguments of the function.

    Raises:
        ConfigError: the function has no such argument, or a value has a type that no setting has.
    """
    found: dict[str, tuple[str, object]] = {}
    for name, value in settings.items():
        if name not in known:
            raise _unknown(name, where, list(dict.fromkeys([*known, *others])))
        argument = f"{where}, argument {name}"
        plain = value_of(value, argument)
        if known[name].kind == list[str] and isinstance(plain, str):
            plain = [plain]
        found[argument] = (known[name].key, plain)
    return found


def _unknown(name: str, where: str, known: Sequence[str]) -> ConfigError:
    """Return the error about an argument that a function does not have."""
    parts = [key.split(".") for key in all_keys(Config)]
    alone = [key for key in parts if len(key) == 2 and key[1] == name]
    if alone:
        section, key = alone[0]
        hint = f'this setting has no argument of its own: give {{"{section}": {{"{key}": ...}}}}'
    else:
        hint = did_you_mean(closest(name, known), f"help({where}) lists the arguments")
    return ConfigError(f"no argument {name!r}", where=where, hint=hint)


def config_of(
    function: Callable[..., Any],
    config: object,
    settings: Mapping[str, object],
    *,
    known: Mapping[str, Flag],
    preset: str | None = None,
    file: Callable[[], Path | None] = lambda: None,
) -> Config:
    """Return the configuration of a call: a ``Config``, a dictionary, or keyword arguments.

    Args:
        function: a public function that :func:`takes_settings`.
        config: the positional argument of the call, if it has one.
        settings: its keyword arguments that are settings.
        known: the flags of these settings, each by its keyword.
        preset: the preset's name.
        file: finds a TOML file of settings, which the arguments override.

    Raises:
        ConfigError: the positional argument is something else, or is given together with keyword
            arguments; or as of :func:`given` and of :func:`~mlmref.settings.resolve.resolve`.
    """
    where = f"mlmref.{function.__name__}"
    flags = given(settings, where, known, [*inspect.signature(function).parameters])
    if config is None:
        return shared(lambda: resolve(preset=preset, file=file(), flags=flags))
    if not isinstance(config, Config | Mapping):
        shown = (
            repr(config)
            if isinstance(config, str | Path)
            else f"an object of type {type(config).__name__}"
        )
        raise ConfigError(
            f"{shown} is neither a Config nor a dictionary of sections",
            where=where,
            hint='name the setting, such as corpus="notes.txt"; mlmref.resolve(file=...) reads a '
            "TOML file",
        )
    if more := [*settings, *(["preset"] if preset is not None else [])]:
        raise ConfigError(
            f"a {type(config).__name__} together with {', '.join(f'{one}=' for one in more)}",
            where=where,
            hint="give either a configuration or keyword arguments",
        )
    if isinstance(config, Config):
        return config
    sections = config
    return shared(lambda: resolve(sections, file=file()))


def takes_settings(known: Mapping[str, Flag]) -> Callable[[Function], Function]:
    """Show the settings that a function takes in its signature and at the end of its docstring.

    Args:
        known: the flags, each by its keyword; the function takes them as ``**settings``.
    """

    def add(function: Function) -> Function:
        own = inspect.signature(function)
        kept = [one for one in own.parameters.values() if one.kind is not one.VAR_KEYWORD]
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=flag.default)
            for name, flag in known.items()
        ]
        listed = "\n".join(f"    {name}: {flag.help}." for name, flag in known.items())
        vars(function)["__signature__"] = own.replace(parameters=[*kept, *more])
        text = inspect.cleandoc(function.__doc__ or "")
        function.__doc__ = f"{text}\n\nSettings:\n{listed}\n"
        return function

    return add
