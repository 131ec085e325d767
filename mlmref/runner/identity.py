"""The identity of a run: its settings, data, model and plugins (RES-002, RANK-005)."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import sealed
from mlmref.base.errors import ConfigError
from mlmref.base.ranks.process import world_size
from mlmref.settings.config import Config
from mlmref.settings.tree import differences, dotted

if TYPE_CHECKING:
    from mlmref.runner.prepare import Ready

# Settings that change only the last digits of a run's figures, or where it is written and reported.
# The examples in a step are compared instead of its micro-batches.
_FREE = {
    "training.workers",
    "training.batch_size",
    "training.accumulation",
    "evaluation.batch_size",
    "output.folder",
    "output.push",
    "output.push_every_epoch",
    "output.private",
    "checkpoints.every",
    "checkpoints.last",
    "checkpoints.keep",
    "tracking.to",
    "tracking.project",
    "tracking.name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run that has started.

    Attributes:
        run: its identifier.
        settings: the settings that must not change: dotted keys and values.
    """

    run: str
    settings: Mapping[str, Any]

    @property
    def marker(self) -> bytes:
        """The contents of ``checkpoints/run.json``, which identifies the run of a folder."""
        return sealed({"run": self.run, "settings": dict(self.settings)})

    def refuse_other(self, settings: Mapping[str, Any], where: Path) -> None:
        """Refuse to resume with settings of another run (RES-002).

        Raises:
            ConfigError: settings differ; names each of them.
        """
        if found := differences(self.settings, settings):
            raise ConfigError(
                f"the run was started with other settings: {'; '.join(found)}",
                where=str(where),
                hint="resume with the same settings, or start a new run with another --output",
            )


def begin(config: Config) -> Begun:
    """Return a new run with a new identifier."""
    return Begun(run=uuid.uuid4().hex, settings=what_matters(config))


def what_matters(config: Config) -> dict[str, Any]:
    """Return the settings that determine a run's figures, by dotted key, as JSON values."""
    training = config.training
    settings = dict(dotted(config.model_dump(mode="json")))
    return {key: value for key, value in settings.items() if key not in _FREE} | {
        "examples in a step": training.batch_size * training.accumulation * world_size()
    }


def ingredients(ready: Ready) -> dict[str, Any]:
    """Return the data, model and plugins that a run uses, beside its settings."""
    from mlmref.base.ranks.process import state
    from mlmref.base.version import __version__
    from mlmref.training.optimizer import choose_precision

    return {
        "mlmref": __version__,
        "corpus": ready.corpus.fingerprint,
        "tokens": ready.chunks.tokens.fingerprint,
        "chunks to train on": len(ready.split.train),
        "model": ready.loaded.digest,
        "the model's settings": _digest(ready.loaded.model.config.to_dict()),
        "precision": choose_precision(ready.config.training.precision, state().device),
        **{f"plugin {one.entry.name}": str(one.source) for one in ready.context.plugins.chosen},
    }


def _digest(settings: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a model's configuration, without where it was loaded from."""
    own = {key: value for key, value in settings.items() if not key.startswith("_")}
    return hashlib.sha256(json.dumps(own, sort_keys=True, default=str).encode()).hexdigest()


def environment(config: Config) -> dict[str, Any]:
    """Return the values that all ranks must share, beside the ingredients of a run."""
    from mlmref.base.ranks.process import state

    return {
        **{name: version(name) for name in ("mlmref", "torch", "transformers")},
        "the device": state().device.type,
        **dict(dotted(config.model_dump(mode="json"))),
    }
