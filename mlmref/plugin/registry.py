"""The registry: the entries of all plugins by kind and name, and their options (PLUG-013)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic

from pydantic import ValidationError

from mlmref.base.closest import suggest
from mlmref.base.errors import PluginError, out_of_memory
from mlmref.base.explain import explain
from mlmref.plugin.contracts import Options, SegmenterEntry, StrategyEntry
from mlmref.plugin.kinds import BACKEND, SEGMENTER, STRATEGY, EntryT, Kind, kind_of, listed
from mlmref.plugin.training import BackendEntry


def faulty(what: str, owner: str) -> PluginError:
    """Return the error about a plugin with a bug.

    Args:
        what: what the plugin did wrong, with the clause that this breaks if there is one.
        owner: the entry and the plugin that it comes from (:attr:`Chosen.owner`).
    """
    return PluginError(what, where=owner, hint="report it to the plugin's author")


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """The distribution and entry point that a plugin comes from.

    Attributes:
        distribution: the name of the distribution.
        entry: the name of the entry point.
        version: the distribution's version.
    """

    distribution: str
    entry: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution}:{self.entry} {self.version}".rstrip()

    def answers_to(self, name: str) -> bool:
        """Return whether ``name`` is this entry point, distribution or ``DISTRIBUTION:ENTRY``."""
        return name in {self.entry, self.distribution, f"{self.distribution}:{self.entry}"}


@dataclass(frozen=True, slots=True)
class Registered(Generic[EntryT]):
    """An entry, and the plugin that it comes from."""

    entry: EntryT
    source: Source

    @property
    def owner(self) -> str:
        """The entry and its plugin, for messages."""
        return f"{self.entry.name!r} of plugin {self.source}"


@dataclass(frozen=True, slots=True)
class Broken:
    """A plugin that failed to import or validate, with the reason in one line."""

    source: Source
    reason: str


@dataclass(frozen=True, slots=True)
class Registry:
    """The entries of all plugins, in the order of distribution and entry point."""

    entries: tuple[Registered[Any], ...]
    broken: tuple[Broken, ...]
    disabled: tuple[Source, ...]

    @property
    def strategies(self) -> tuple[Registered[StrategyEntry], ...]:
        """The masking strategies."""
        return self.of(STRATEGY)

    @property
    def backends(self) -> tuple[Registered[BackendEntry], ...]:
        """The training backends."""
        return self.of(BACKEND)

    @property
    def segmenters(self) -> tuple[Registered[SegmenterEntry], ...]:
        """The word segmenters."""
        return self.of(SEGMENTER)

    def strategy(self, name: str) -> Registered[StrategyEntry]:
        """Return the masking strategy called ``name``; raises as :meth:`only`."""
        return self.only(STRATEGY, name)

    def backend(self, name: str) -> Registered[BackendEntry]:
        """Return the training backend called ``name``; raises as :meth:`only`."""
        return self.only(BACKEND, name)

    def segmenter(self, name: str) -> Registered[SegmenterEntry]:
        """Return the word segmenter called ``name``; raises as :meth:`only`."""
        return self.only(SEGMENTER, name)

    def of(self, kind: Kind[EntryT]) -> tuple[Registered[EntryT], ...]:
        """Return the entries of a kind."""
        return tuple(one for one in self.entries if isinstance(one.entry, kind.entry))

    def only(self, kind: Kind[EntryT], name: str) -> Registered[EntryT]:
        """Return the one entry of a kind that is called ``name``.

        Raises:
            PluginError: no entry has the name, or several plugins have one.
        """
        found = [one for one in self.of(kind) if one.entry.name == name]
        if not found:
            raise self.unknown(name, [kind])
        if len(found) > 1:
            owners = " and ".join(str(one.source) for one in found)
            raise PluginError(
                f"{kind.name} {name!r} is claimed by {owners}",
                hint="disable one of them with --no-plugin",
            )
        return found[0]

    def unknown(self, name: str, kinds: Sequence[Kind[Any]]) -> PluginError:
        """Return the error about a name that no entry of these kinds has (PLUG-007)."""
        names = sorted({one.entry.name for kind in kinds for one in self.of(kind)})
        hint = suggest(name, names)
        for broken in self.broken:
            hint += f"; the plugin {broken.source} is broken ({broken.reason})"
        for source in self.disabled:
            hint += f"; the plugin {source} is disabled"
        return PluginError(f"no {listed([kind.name for kind in kinds])} {name!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class Chosen(Registered[EntryT]):
    """An entry as a run uses it.

    Attributes:
        entry: as registered.
        source: the plugin that it comes from.
        options: its options, complete.
    """

    options: Options

    def make(self) -> Any:
        """Build the object that the entry stands for, such as the strategy.

        Returns:
            The object; ``None`` for an entry without ``build`` (SEG-009).

        Raises:
            PluginError: the plugin raised, or built an object without the kind's method.
        """
        if self.entry.build is None:
            return None
        method = kind_of(self.entry).method
        with self.blamed("build"):
            made = self.entry.build(self.options)
            whole = callable(getattr(made, method, None))
        if not whole:
            what = f"build gave {type(made).__name__}, which has no method {method!r}"
            raise faulty(what, self.owner)
        return made

    @contextmanager
    def blamed(self, doing: str, *through: type[BaseException]) -> Iterator[None]:
        """Turn an exception of a plugin's method into an error that names the plugin (PLUG-009).

        SystemExit counts too, because a plugin must not end the program. Errors about memory pass
        unchanged, because the user can fix them.

        Args:
            doing: the method that is called.
            through: other exceptions that pass unchanged. Training needs them: mlmref's own errors,
                a full disk, and the SystemExit of a signal handler.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            if isinstance(error, through) or out_of_memory(error):
                raise
            raise faulty(f"{doing} raised {type(error).__name__}: {error}", self.owner) from error


def choose(registered: Registered[EntryT], given: dict[str, Any], where: str) -> Chosen[EntryT]:
    """Parse the options of an entry.

    Args:
        registered: the entry.
        given: its options as configured.
        where: the setting that has them, such as ``masking.options``.

    Raises:
        ConfigError: an unknown option or an invalid value; names the key and close matches.
        PluginError: a validator of the options raised.
    """
    entry, owner = registered.entry, registered.owner
    try:
        # From JSON, strict validation accepts a list for a tuple.
        options = entry.options.model_validate_json(json.dumps(given, default=str), strict=True)
    except ValidationError as error:
        raise explain(error, entry.options, prefix=where, owner=f"{owner} has") from None
    except Exception as error:  # a plugin's validator may raise anything
        what = f"reading its options raised {type(error).__name__}: {error}"
        raise faulty(what, owner) from error
    return Chosen(entry, registered.source, options)
