"""Find, import and validate plugins; the result is a registry (spec/plugins.md).

No module-level state: each :func:`discover` makes its own plugin manager, so two registries in
one process cannot disturb each other. Discovery never fails; what is broken is recorded with
its reason and named when somebody asks for it.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from threading import Timer

import pluggy

from mlmref.base.errors import ConfigError
from mlmref.plugin import hookspecs
from mlmref.plugin.contracts import Options, SegmenterEntry, StrategyEntry
from mlmref.plugin.registry import KINDS, Broken, Entry, Registered, Registry, Source

PATIENCE = 5.0
"""Seconds after which a plugin that is still being imported is named."""

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What the name of an entry looks like."""


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin before its import; ``load`` imports it."""

    source: Source
    load: Callable[[], object]


def find() -> list[Found]:
    """List the entry points of all installed distributions, by distribution and name.

    Of a distribution that is there twice, in two folders of the path, the first is the one that
    Python imports. What cannot be read of another's is a plugin that cannot be imported.
    """
    found: dict[Source, Found] = {}
    seen: set[str] = set()
    for dist in distributions():
        try:
            points = [point for point in dist.entry_points if point.group == hookspecs.PROJECT]
            if not points:
                continue
            name, version = dist.metadata["Name"], dist.version
            if not (name and version):
                raise ValueError("its metadata are missing")
        except Exception as error:  # noqa: BLE001 - a damaged package may raise anything
            folder = Path(str(getattr(dist, "_path", "a damaged distribution"))).name
            source = Source(folder, "metadata", "")
            found[source] = Found(source, partial(_raise, error))
            continue
        if (canonical := re.sub("[-_.]+", "-", name).lower()) in seen:
            continue
        seen.add(canonical)
        for point in points:
            source = Source(name, point.name, version)
            found[source] = Found(source, point.load)
    return [found[source] for source in sorted(found)]


def _raise(error: Exception) -> object:
    raise error


def discover(
    plugins: Iterable[object] = (),
    *,
    disable: Sequence[str] = (),
    found: list[Found] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Registry:
    """Import and validate every plugin there is.

    Args:
        plugins: plugin objects (modules, say) to use beside the installed ones.
        disable: plugins to leave out unimported: an entry point's name, a distribution's, or
            ``DISTRIBUTION:ENTRY``. Those of ``$MLMREF_NO_PLUGINS`` (comma-separated) are too.
        found: what to use in place of :func:`find`'s answer.
        tell: told, from another thread, of a plugin that takes long to import.

    Raises:
        ConfigError: ``disable`` names a plugin that is not installed.
        KeyboardInterrupt: says which plugin was being imported.
    """
    candidates = find() if found is None else list(found)
    candidates += [
        Found(Source("given", _name_of(one), ""), partial(_same, one)) for one in plugins
    ]
    _check_names(disable, candidates)
    unwanted = {*disable, *filter(None, os.environ.get("MLMREF_NO_PLUGINS", "").split(","))}

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    entries: list[Registered[Entry]] = []
    broken: list[Broken] = []
    disabled: list[Source] = []
    for candidate in candidates:
        source = candidate.source
        if any(source.answers_to(name) for name in unwanted):
            disabled.append(source)
            continue
        # An import runs code of others, so whatever it raises is the plugin's own failure, also
        # what is no Exception (SystemExit, pytest's Skipped); only the user's signals are not.
        try:
            with _watched(source, tell):
                brought = _register(manager, candidate)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or _is_a_signal(error):
                raise
            broken.append(Broken(source, " ".join(f"{type(error).__name__}: {error}".split())))
            continue
        entries += [Registered(entry, source) for entry in brought]
    return Registry(tuple(entries), tuple(broken), tuple(disabled))


@contextmanager
def _watched(source: Source, tell: Callable[[str], None]) -> Iterator[None]:
    """Say which plugin it is that takes long, or that an interruption ends (PLUG-014).

    What it prints goes where messages do, since a command's output may be JSON (PLUG-015).
    """
    way_out = f"to do without it: --no-plugin {source.distribution}:{source.entry}"
    slow = Timer(PATIENCE, tell, [f"plugin {source} takes long to import; {way_out}"])
    slow.daemon = True
    slow.start()
    try:
        with redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt:
        what = f"interrupted while plugin {source} was being imported"
        raise KeyboardInterrupt(f"{what}; {way_out}") from None
    finally:
        slow.cancel()


def _is_a_signal(error: BaseException) -> bool:
    """Tell whether the program itself raised this to end, as it does when SIGTERM comes."""
    own = type(error).__module__.partition(".")[0] == __name__.partition(".")[0]
    return own and not isinstance(error, Exception)


def _same(plugin: object) -> object:
    return plugin


def _name_of(plugin: object) -> str:
    return str(getattr(plugin, "__name__", type(plugin).__name__))


def _check_names(names: Iterable[str], candidates: Sequence[Found]) -> None:
    known = sorted({one.source.entry for one in candidates})
    for name in names:
        if not any(one.source.answers_to(name) for one in candidates):
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"no plugin {name!r} is installed",
                where="--no-plugin",
                hint=f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}",
            )


def _register(manager: pluggy.PluginManager, candidate: Found) -> list[Entry]:
    """Import one plugin, hold it against the hooks, and ask it for its entries."""
    plugin = candidate.load()
    key = f"{candidate.source.distribution}:{candidate.source.entry}"
    try:
        manager.register(plugin, key)
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise TypeError(
                f"implements no hook; there are {', '.join(kind.hook for kind in KINDS)}"
            )
        return _entries(manager, plugin)
    except BaseException:
        # pluggy leaves a plugin in place that has failed its validation.
        if manager.has_plugin(key):
            manager.unregister(name=key)
        raise


def _entries(manager: pluggy.PluginManager, plugin: object) -> list[Entry]:
    others = [other for other in manager.get_plugins() if other is not plugin]
    implemented = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    entries: list[Entry] = []
    for kind in KINDS:
        if kind.hook not in implemented:
            continue
        # One plugin at a time, so that an error has an owner. pluggy leaves out a None.
        [answer] = manager.subset_hook_caller(kind.hook, others)() or [None]
        if not isinstance(answer, Iterable):
            what = f"{kind.hook} gave {type(answer).__name__}"
            raise TypeError(f"{what}, not a list of {kind.entry.__name__}")
        names = set()
        for entry in answer:
            if not isinstance(entry, kind.entry):
                raise TypeError(f"{kind.hook} gave {entry!r}, not a {kind.entry.__name__}")
            _validate(entry)
            if entry.name in names:
                raise ValueError(f"{kind.hook} gave two called {entry.name!r}")
            names.add(entry.name)
            entries.append(entry)
    return entries


def _validate(entry: Entry) -> None:
    kind = type(entry).__name__
    if not isinstance(entry.name, str) or not NAME.fullmatch(entry.name):
        raise ValueError(
            f"{kind} name {entry.name!r} is not lower-case letters, digits and single hyphens"
        )
    if not isinstance(entry.summary, str) or not entry.summary or not entry.summary.isprintable():
        raise ValueError(f"{kind} {entry.name!r} has no summary of one line")
    if not (isinstance(entry.options, type) and issubclass(entry.options, Options)):
        raise TypeError(f"{kind} {entry.name!r}: options is not a subclass of Options")
    try:
        entry.options.model_json_schema()
    except Exception as error:
        what = f"options cannot be written as JSON ({str(error).splitlines()[0]})"
        raise TypeError(f"{kind} {entry.name!r}: {what}") from error
    left_to_the_tokenizer = isinstance(entry, SegmenterEntry) and entry.build is None
    if not (callable(entry.build) or left_to_the_tokenizer):
        raise TypeError(f"{kind} {entry.name!r}: build cannot be called")
    if isinstance(entry, StrategyEntry):
        if entry.whole_words and not entry.needs_words:
            raise ValueError(f"{kind} {entry.name!r}: whole_words needs words, and says not so")
        if entry.rate not in {None, "token", "word", "share"}:
            raise ValueError(f"{kind} {entry.name!r}: rate {entry.rate!r} is not known")
        if entry.replaces not in {None, "random", "own"}:
            raise ValueError(f"{kind} {entry.name!r}: replaces {entry.replaces!r} is not known")
        if entry.rate and "mlm_probability" not in entry.options.model_fields:
            raise ValueError(f"{kind} {entry.name!r}: a rate without the option mlm_probability")
