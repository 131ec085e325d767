"""What plugins brought: entries by name, whose they are, how one is made (spec/plugins.md)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from mlmref.contracts import BackendEntry, Options, StrategyEntry
from mlmref.errors import PluginError
from mlmref.explain import explain

EntryT = TypeVar("EntryT", StrategyEntry, BackendEntry)


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """Where a plugin comes from.

    Attributes:
        distribution: the name it is installed under.
        entry: the entry point's name within the distribution.
        version: the distribution's version.
    """

    distribution: str
    entry: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution}:{self.entry} {self.version}".rstrip()

    def answers_to(self, name: str) -> bool:
        """Tell whether ``name`` means this plugin: its entry, distribution, or both."""
        return name in {self.entry, self.distribution, f"{self.distribution}:{self.entry}"}


@dataclass(frozen=True, slots=True)
class Registered(Generic[EntryT]):
    """A strategy or a backend, and whose it is."""

    entry: EntryT
    source: Source


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that could not be used, and why, in one line."""

    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """What the plugins of this process bring, in a fixed order."""

    strategies: tuple[Registered[StrategyEntry], ...]
    backends: tuple[Registered[BackendEntry], ...]
    broken: tuple[Broken, ...]
    disabled: tuple[Source, ...]

    def strategy(self, name: str) -> Registered[StrategyEntry]:
        """Return the masking strategy called ``name``; PluginError if there is not just one."""
        return self._only(name, self.strategies, "masking strategy")

    def backend(self, name: str) -> Registered[BackendEntry]:
        """Return the training backend called ``name``; PluginError if there is not just one."""
        return self._only(name, self.backends, "training backend")

    def _only(
        self, name: str, there_are: Sequence[Registered[EntryT]], kind: str
    ) -> Registered[EntryT]:
        found = [one for one in there_are if one.entry.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            owners = " and ".join(str(one.source) for one in found)
            raise PluginError(
                f"{kind} {name!r} is claimed by {owners}",
                hint="keep one, with --no-plugin for the other",
            )
        names = sorted({one.entry.name for one in there_are})
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names)}"
        for broken in self.broken:
            hint += f"; the plugin {broken.source} is broken ({broken.reason})"
        for source in self.disabled:
            hint += f"; the plugin {source} is disabled"
        raise PluginError(f"no {kind} {name!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[EntryT]):
    """A strategy or a backend as a run uses it, its options read.

    Attributes:
        entry: as registered.
        source: whose it is.
        options: the options, complete.
    """

    entry: EntryT
    source: Source
    options: Options

    def make(self) -> Any:
        """Make the strategy or the backend.

        Raises:
            PluginError: the plugin raised, or made something else than it should.
        """
        owner = f"{self.entry.name!r} of plugin {self.source}"
        try:
            made = self.entry.build(self.options)
        except Exception as error:  # a plugin may raise anything, and its owner is to be named
            raise PluginError(
                f"{owner} cannot be built ({type(error).__name__}: {error})"
            ) from error
        method = "propose" if isinstance(self.entry, StrategyEntry) else "train"
        if not callable(getattr(made, method, None)):
            raise PluginError(f"{owner} has no method {method!r}")
        return made


def choose(registered: Registered[EntryT], given: dict[str, Any], where: str) -> Chosen[EntryT]:
    """Read a plugin's options.

    Args:
        registered: the strategy or the backend.
        given: its options as configured.
        where: the key they were configured under.

    Raises:
        ConfigError: an unknown option or a bad value; names the key and close matches.
    """
    entry, source = registered.entry, registered.source
    try:
        # Through JSON, where strict typing still takes a list for a tuple.
        options = entry.options.model_validate_json(json.dumps(given, default=str), strict=True)
    except ValidationError as error:
        owner = f"{entry.name!r} of plugin {source} has"
        raise explain(error, entry.options, prefix=where, owner=owner) from None
    return Chosen(entry, source, options)
