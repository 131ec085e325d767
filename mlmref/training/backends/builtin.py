"""The built-in backends, registered like any plugin's."""

from __future__ import annotations

from mlmref.plugin.contracts import Options
from mlmref.plugin.hookspecs import hookimpl
from mlmref.plugin.training import BackendEntry, TrainingBackend


@hookimpl
def mlmref_training_backends() -> list[BackendEntry]:
    """Return ``trainer`` and ``accelerate``."""
    return [
        BackendEntry(name="trainer", summary="Hugging Face Trainer", build=_trainer),
        BackendEntry(name="accelerate", summary="a plain loop on Accelerate", build=_accelerate),
    ]


def _trainer(options: Options) -> TrainingBackend:
    from mlmref.training.backends.trainer import TrainerBackend

    return TrainerBackend(options)


def _accelerate(options: Options) -> TrainingBackend:
    from mlmref.training.backends.accelerate import AccelerateBackend

    return AccelerateBackend(options)
