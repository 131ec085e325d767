"""The registry of plugins: entries by kind and name, their source, and their options (PLUG-013)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from mlmref.base.errors import PluginError, out_of_memory
from mlmref.base.explain import explain
from mlmref.plugin.contracts import BackendEntry, Options, SegmenterEntry, StrategyEntry

Entry = StrategyEntry | BackendEntry | SegmenterEntry
EntryT = TypeVar("EntryT", bound=Entry)


REPORT = "report it to the plugin's author"
"""What to do about a plugin's fault."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[EntryT]):
    """A kind of entry that plugins bring.

    Attributes:
        key: what a list of them is called in JSON.
        name: what one of them is called.
        entry: the type of the entries.
        hook: the hook that gives them.
        method: the method of what they make.
    """

    key: str
    name: str
    entry: type[EntryT]
    hook: str
    method: str


STRATEGY = Kind(
    "strategies", "masking strategy", StrategyEntry, "mlmref_masking_strategies", "propose"
)
BACKEND = Kind("backends", "training backend", BackendEntry, "mlmref_training_backends", "train")
SEGMENTER = Kind(
    "segmenters", "word segmenter", SegmenterEntry, "mlmref_word_segmenters", "segment"
)
KINDS: tuple[Kind[Any], ...] = (STRATEGY, BACKEND, SEGMENTER)
"""Every kind there is."""


def kind_of(entry: EntryT) -> Kind[EntryT]:
    """Return the kind of an entry."""
    return next(kind for kind in KINDS if isinstance(entry, kind.entry))


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
    """An entry, and whose it is."""

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
        """Return the masking strategy called ``name``; PluginError if there is not just one."""
        return self.only(STRATEGY, name)

    def backend(self, name: str) -> Registered[BackendEntry]:
        """Return the training backend called ``name``; PluginError if there is not just one."""
        return self.only(BACKEND, name)

    def segmenter(self, name: str) -> Registered[SegmenterEntry]:
        """Return the word segmenter called ``name``; PluginError if there is not just one."""
        return self.only(SEGMENTER, name)

    def of(self, kind: Kind[EntryT]) -> tuple[Registered[EntryT], ...]:
        """Return the entries of a kind."""
        return tuple(one for one in self.entries if isinstance(one.entry, kind.entry))

    def only(self, kind: Kind[EntryT], name: str) -> Registered[EntryT]:
        """Return the one entry of a kind that is called ``name``.

        Raises:
            PluginError: there is none, or more than one; names what there is.
        """
        there_are = self.of(kind)
        found = [one for one in there_are if one.entry.name == name]
        if len(found) == 1:
            return found[0]
        if found:
            owners = " and ".join(str(one.source) for one in found)
            raise PluginError(
                f"{kind.name} {name!r} is claimed by {owners}",
                hint="keep one, with --no-plugin for the other",
            )
        names = sorted({one.entry.name for one in there_are})
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"there are {', '.join(names)}" if names else "there is none"
        if close:
            hint = f"did you mean {' or '.join(close)}?"
        for broken in self.broken:
            hint += f"; the plugin {broken.source} is broken ({broken.reason})"
        for source in self.disabled:
            hint += f"; the plugin {source} is disabled"
        raise PluginError(f"no {kind.name} {name!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[EntryT]):
    """An entry as a run uses it, its options read.

    Attributes:
        entry: as registered.
        source: whose it is.
        options: the options, complete.
    """

    entry: EntryT
    source: Source
    options: Options

    @property
    def owner(self) -> str:
        """The entry and the plugin that it comes from, for messages."""
        return f"{self.entry.name!r} of plugin {self.source}"

    def make(self) -> Any:
        """Make the strategy, the backend or the segmenter.

        Returns:
            What the entry builds; ``None`` for one that leaves its part to others (SEG-009).

        Raises:
            PluginError: the plugin raised, or made something else than it should.
        """
        if self.entry.build is None:
            return None
        method = kind_of(self.entry).method
        with self.blamed("build"):
            made = self.entry.build(self.options)
            whole = callable(getattr(made, method, None))
        if not whole:
            what = f"build gave {type(made).__name__}, which has no method {method!r}"
            raise PluginError(what, where=self.owner, hint=REPORT)
        return made

    @contextmanager
    def blamed(self, doing: str, *through: type[BaseException]) -> Iterator[None]:
        """Name the plugin as what raised whatever comes out of a call of it (PLUG-009).

        An exit is not the plugin's to choose. torch's lack of memory goes through, as the user's.

        Args:
            doing: the method that is called.
            through: what else goes through: for a call that takes long and calls the core back,
                what the core raises, the system's word of a full disk, and the SystemExit by
                which a program's own handler of a signal ends it.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            if isinstance(error, through) or out_of_memory(error):
                raise
            what = f"{doing} raised {type(error).__name__}: {error}"
            raise PluginError(what, where=self.owner, hint=REPORT) from error


def choose(registered: Registered[EntryT], given: dict[str, Any], where: str) -> Chosen[EntryT]:
    """Read a plugin's options.

    Args:
        registered: the entry.
        given: its options as configured.
        where: the key they were configured under.

    Raises:
        ConfigError: an unknown option or a bad value; names the key and close matches.
        PluginError: the options' own type raised.
    """
    entry, source = registered.entry, registered.source
    try:
        # Through JSON, where strict typing still takes a list for a tuple.
        options = entry.options.model_validate_json(json.dumps(given, default=str), strict=True)
    except ValidationError as error:
        owner = f"{entry.name!r} of plugin {source} has"
        raise explain(error, entry.options, prefix=where, owner=owner) from None
    except Exception as error:  # of a validator, which may raise anything
        what = f"reading its options raised {type(error).__name__}: {error}"
        raise PluginError(what, where=f"{entry.name!r} of plugin {source}", hint=REPORT) from error
    return Chosen(entry, source, options)
