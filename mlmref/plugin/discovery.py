"""Find, import and validate plugins; the result is a registry (spec/plugins.md).

No module-level state: each :func:`discover` makes its own plugin manager, so two registries in one
process cannot affect each other. A broken plugin does not stop discovery. It is recorded with its
reason, and named if somebody selects an entry that does not exist.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.metadata import distributions
from threading import Timer
from typing import Any

import pluggy

from mlmref.base.closest import closest, did_you_mean
from mlmref.base.errors import ConfigError
from mlmref.base.libraries.python import metadata_folder
from mlmref.plugin import hookspecs
from mlmref.plugin.contracts import Options
from mlmref.plugin.kinds import KINDS, Entry, Kind, imported
from mlmref.plugin.registry import Broken, Registered, Registry, Source

PATIENCE = 5.0
"""Seconds of import after which a plugin is named."""

NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""The pattern of an entry's name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin before its import; ``load`` imports it."""

    source: Source
    load: Callable[[], object]


def find() -> list[Found]:
    """Return the entry points of all installed distributions, by distribution and name.

    If a distribution is installed twice, in two folders of the path, only the first counts, because
    Python imports that one. A damaged distribution becomes a plugin whose import fails (PLUG-016).
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
            source = Source(metadata_folder(dist), "metadata", "")
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
    """Import and validate all plugins, and return the registry.

    >>> import mlmref
    >>> registry = mlmref.discover()
    >>> "whole-word" in [one.entry.name for one in registry.strategies]
    True

    Args:
        plugins: plugin objects, such as modules, to use besides the installed ones.
        disable: plugins that are not imported: the name of an entry point, of a distribution, or
            ``DISTRIBUTION:ENTRY``. ``$MLMREF_NO_PLUGINS`` adds more, separated by commas.
        found: plugins to use instead of the installed ones.
        tell: called from another thread with a message about a plugin that imports slowly.

    Raises:
        ConfigError: ``disable`` names a plugin that is not installed.
        KeyboardInterrupt: the message names the plugin that was being imported.
    """
    candidates = find() if found is None else list(found)
    for one in plugins:
        name = str(getattr(one, "__name__", type(one).__name__))
        candidates.append(Found(Source("given", name, ""), partial(_same, one)))
    _check_names(disable, candidates)
    unwanted = {*disable, *filter(None, os.environ.get("MLMREF_NO_PLUGINS", "").split(","))}

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    specs = {kind.hook: imported(kind.hookspec) for kind in KINDS}
    manager.add_hookspecs(type("Hooks", (), specs))  # pluggy takes a module or a class
    entries: list[Registered[Entry]] = []
    broken: list[Broken] = []
    disabled: list[Source] = []
    for candidate in candidates:
        source = candidate.source
        if any(source.answers_to(name) for name in unwanted):
            disabled.append(source)
            continue
        # An import runs foreign code, so all that it raises is the plugin's failure, even
        # SystemExit and pytest's Skipped. Only the user's signals are not.
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
    """Name a plugin whose import is slow or interrupted (PLUG-014).

    Its output goes to standard error, because a command's output may be JSON (PLUG-015).
    """
    way_out = f"to disable it: --no-plugin {source.distribution}:{source.entry}"
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
    """Return whether mlmref itself raised this to end the program, as it does on SIGTERM."""
    own = type(error).__module__.partition(".")[0] == __name__.partition(".")[0]
    return own and not isinstance(error, Exception)


def _same(plugin: object) -> object:
    return plugin


def _check_names(names: Iterable[str], candidates: Sequence[Found]) -> None:
    """Raise ConfigError unless each name means a plugin."""
    known = sorted({one.source.entry for one in candidates})
    for name in names:
        if not any(one.source.answers_to(name) for one in candidates):
            close = closest(name, known)[:1]
            raise ConfigError(
                f"no plugin {name!r} is installed",
                where="--no-plugin",
                hint=did_you_mean(close, f"there are {', '.join(known)}"),
            )


def _register(manager: pluggy.PluginManager, candidate: Found) -> list[Entry]:
    """Import a plugin, validate its hooks, and return its entries."""
    plugin = candidate.load()
    key = f"{candidate.source.distribution}:{candidate.source.entry}"
    try:
        manager.register(plugin, key)
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            hooks = ", ".join(kind.hook for kind in KINDS)
            raise TypeError(f"implements no hook; the hooks are {hooks}")
        return _entries(manager, plugin)
    except BaseException:
        # pluggy keeps a plugin that failed its validation.
        if manager.has_plugin(key):
            manager.unregister(name=key)
        raise


def _entries(manager: pluggy.PluginManager, plugin: object) -> list[Entry]:
    """Call the hooks that a plugin implements, and return the valid entries that they give."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    implemented = {caller.name for caller in manager.get_hookcallers(plugin) or ()}
    entries: list[Entry] = []
    for kind in KINDS:
        if kind.hook not in implemented:
            continue
        # One plugin at a time, so that an error has an owner. pluggy omits a None.
        [answer] = manager.subset_hook_caller(kind.hook, others)() or [None]
        if not isinstance(answer, Iterable):
            what = f"{kind.hook} gave {type(answer).__name__}"
            raise TypeError(f"{what}, not a list of {kind.entry.__name__}")
        names = set()
        for entry in answer:
            if not isinstance(entry, kind.entry):
                raise TypeError(f"{kind.hook} gave {entry!r}, not a {kind.entry.__name__}")
            _validate(entry, kind)
            if entry.name in names:
                raise ValueError(f"{kind.hook} gave two entries named {entry.name!r}")
            names.add(entry.name)
            entries.append(entry)
    return entries


def _validate(entry: Any, kind: Kind[Any]) -> None:
    """Raise TypeError or ValueError unless an entry has valid fields that agree (PLUG-012)."""
    type_name = type(entry).__name__
    if not isinstance(entry.name, str) or not NAME.fullmatch(entry.name):
        raise ValueError(
            f"{type_name} name {entry.name!r} is not lower-case letters, digits and single hyphens"
        )
    which = f"{type_name} {entry.name!r}"
    if not isinstance(entry.summary, str) or not entry.summary or not entry.summary.isprintable():
        raise ValueError(f"{which} has no summary of one line")
    if not (isinstance(entry.options, type) and issubclass(entry.options, Options)):
        raise TypeError(f"{which}: options is not a subclass of Options")
    try:
        entry.options.model_json_schema()
    except Exception as error:
        what = f"options cannot be written as JSON ({str(error).splitlines()[0]})"
        raise TypeError(f"{which}: {what}") from error
    if not (callable(entry.build) or (kind.optional and entry.build is None)):
        raise TypeError(f"{which}: build cannot be called")
    problem = entry.problem() if hasattr(entry, "problem") else None
    if problem:
        raise ValueError(f"{which}: {problem}")
