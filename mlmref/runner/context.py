"""What all stages of a run share: settings, plugins, clock and reporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import ConfigError
from mlmref.base.progress import SILENT, Reporter
from mlmref.base.progress.clock import Clock
from mlmref.plugin.discovery import discover
from mlmref.plugin.kinds import BACKEND, KINDS, SEGMENTER, STRATEGY, EntryT, Kind
from mlmref.plugin.registry import Chosen, Registry, choose
from mlmref.settings.config import Config

if TYPE_CHECKING:
    from mlmref.plugin.contracts import SegmenterEntry, StrategyEntry
    from mlmref.plugin.training import BackendEntry


@dataclass(frozen=True, slots=True)
class Plugins:
    """The entry of each kind of plugin that a run uses, in the order of ``KINDS``."""

    chosen: tuple[Chosen[Any], ...]

    def of(self, kind: Kind[EntryT]) -> Chosen[EntryT]:
        """Return the entry of a kind."""
        return next(one for one in self.chosen if isinstance(one.entry, kind.entry))

    @property
    def segmenter(self) -> Chosen[SegmenterEntry]:
        """The word segmenter."""
        return self.of(SEGMENTER)

    @property
    def strategy(self) -> Chosen[StrategyEntry]:
        """The masking strategy."""
        return self.of(STRATEGY)

    @property
    def backend(self) -> Chosen[BackendEntry]:
        """The training backend."""
        return self.of(BACKEND)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """A run, as each of its stages sees it.

    Attributes:
        config: the settings, complete with the options of the plugins.
        plugins: the plugins that they name.
        clock: times the stages.
        reporter: shows their progress, notes and warnings.
    """

    config: Config
    plugins: Plugins
    clock: Clock
    reporter: Reporter

    @property
    def label(self) -> str:
        """The end of a new run folder's name: strategy and backend."""
        return f"{self.plugins.strategy.entry.name}-{self.plugins.backend.entry.name}"

    @property
    def flags(self) -> list[str]:
        """The flags that resuming the run needs beside its folder."""
        return ["--trust-remote-code"] * self.config.model.trust_remote_code

    @classmethod
    def of(
        cls,
        config: Config,
        registry: Registry | None = None,
        reporter: Reporter = SILENT,
        clock: Clock | None = None,
    ) -> RunContext:
        """Choose the plugins of a run, and complete its settings with their options.

        Args:
            config: the settings.
            registry: the plugins to choose from; by default those that are installed.
            reporter: by default shows nothing.
            clock: by default begins now.

        Raises:
            PluginError: a plugin cannot be found or loaded.
            ConfigError: an option is unknown or has an invalid value.
        """
        complete, plugins = choose_plugins(config, registry)
        return cls(config=complete, plugins=plugins, clock=clock or Clock(), reporter=reporter)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage and show it."""
        with self.clock(name), self.reporter.stage(name):
            yield


def choose_plugins(config: Config, registry: Registry | None = None) -> tuple[Config, Plugins]:
    """Find the plugins that a run names, and complete the configuration with their options."""
    registry = registry or discover()
    found: list[Chosen[Any]] = []
    completed: dict[str, Any] = {}
    for kind in KINDS:
        section = getattr(config, kind.section)
        entry = registry.only(kind, getattr(section, kind.key))
        chosen = choose(entry, section.options, f"{kind.section}.options")
        options = chosen.options.model_dump(mode="json")
        completed[kind.section] = section.model_copy(update={"options": options})
        found.append(chosen)
    plugins = Plugins(tuple(found))
    masking, strategy = config.masking, plugins.strategy
    if masking.corruption and strategy.entry.replaces:
        raise ConfigError(
            f"{strategy.owner} chooses its own replacements for the targets",
            where="masking.corruption",
            hint="omit it, and see the options of the strategy in mlmref plugins",
        )
    own = None if strategy.entry.replaces else strategy.entry.corruption
    completed["masking"] = completed["masking"].model_copy(
        update={"corruption": masking.corruption or own}
    )
    return config.model_copy(update=completed), plugins
