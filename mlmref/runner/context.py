"""What all stages of a run share: settings, plugins, clock and reporter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlmref.base.errors import ConfigError
from mlmref.base.progress import SILENT, Reporter
from mlmref.base.progress.clock import Clock
from mlmref.plugin.discovery import discover
from mlmref.plugin.registry import Chosen, Registry, choose
from mlmref.settings.config import Config

if TYPE_CHECKING:
    from mlmref.plugin.contracts import BackendEntry, SegmenterEntry, StrategyEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What a run uses of its plugins."""

    segmenter: Chosen[SegmenterEntry]
    strategy: Chosen[StrategyEntry]
    backend: Chosen[BackendEntry]


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
    words, masking, training = config.words, config.masking, config.training
    segmenter = choose(registry.segmenter(words.segmenter), words.options, "words.options")
    strategy = choose(registry.strategy(masking.strategy), masking.options, "masking.options")
    backend = choose(registry.backend(training.backend), training.options, "training.options")
    if masking.corruption and strategy.entry.replaces:
        raise ConfigError(
            f"{strategy.owner} says itself what the model reads at a target",
            where="masking.corruption",
            hint="leave it out; see its own options in mlmref plugins",
        )
    own = None if strategy.entry.replaces else strategy.entry.corruption
    complete = config.model_copy(
        update={
            "words": words.model_copy(
                update={"options": segmenter.options.model_dump(mode="json")}
            ),
            "masking": masking.model_copy(
                update={
                    "options": strategy.options.model_dump(mode="json"),
                    "corruption": masking.corruption or own,
                }
            ),
            "training": training.model_copy(
                update={"options": backend.options.model_dump(mode="json")}
            ),
        }
    )
    return complete, Plugins(segmenter=segmenter, strategy=strategy, backend=backend)
