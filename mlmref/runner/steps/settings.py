"""Settings and plugins of a single step, from the arguments of a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlmref.plugin.discovery import discover
from mlmref.plugin.registry import Registered, Registry, Source
from mlmref.runner.context import RunContext
from mlmref.settings.config import Config
from mlmref.settings.keywords import given
from mlmref.settings.resolve import resolve, resolve_trees
from mlmref.settings.setting import Flag
from mlmref.settings.tree import tree_of

if TYPE_CHECKING:
    from mlmref.plugin.contracts import Corruption, StrategyEntry


def from_keywords(
    function: Callable[..., Any],
    settings: Mapping[str, Any],
    known: Mapping[str, Flag],
    **fixed: object,
) -> Config:
    """Return the configuration of a step that takes flags as keyword arguments.

    Args:
        function: the public function, for errors.
        settings: its keyword arguments.
        known: the flags that it takes.
        fixed: settings that are positional arguments, such as ``corpus_name``.

    Raises:
        ConfigError: an argument is unknown or invalid.
    """
    where = f"mlmref.{function.__name__}"
    own = {f"{where}, {key}": (key.replace("_", ".", 1), one) for key, one in fixed.items()}
    return resolve(flags={**own, **given(settings, where, known)})


def of_step(where: str, **sections: Mapping[str, object] | int) -> Config:
    """Return the configuration of a step, from sections of settings.

    Raises:
        ConfigError: a value is invalid; names the function.
    """
    return resolve_trees([], [(where, tree_of(sections, where))])


def with_strategy(
    where: str,
    strategy: str | StrategyEntry,
    options: Mapping[str, Any],
    corruption: str | Corruption | None,
    seed: int,
    **sections: Mapping[str, object],
) -> RunContext:
    """Return the context of a step that masks.

    Args:
        where: the public function, for errors.
        strategy: the name of a strategy, or the entry of one that is not installed.
        options: its options.
        corruption: the corruption policy; by default the strategy's own.
        seed: the seed of the masks.
        sections: more settings.

    Raises:
        ConfigError: a value is invalid.
        PluginError: there is no such strategy.
    """
    name = strategy if isinstance(strategy, str) else strategy.name
    masking: dict[str, Any] = {"strategy": name, "options": dict(options)}
    if corruption is not None:
        masking["corruption"] = corruption
    config = of_step(where, masking=masking, seed=seed, **sections)
    return RunContext.of(config, None if isinstance(strategy, str) else _with(strategy))


def _with(entry: StrategyEntry) -> Registry:
    """Return the registry of the installed plugins with one more strategy, which comes first."""
    registry = discover()
    others = tuple(one for one in registry.entries if one.entry.name != entry.name)
    own = Registered(entry, Source("your code", entry.name, ""))
    return replace(registry, entries=(own, *others))
