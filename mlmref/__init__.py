"""mlmref: the reference implementation of masked-language-model fine-tuning.

``mlmref.run(config)`` does what ``mlmref run`` does with the same settings, and ``mlmref.run()``
what it does without any. The stations of a run are there
one by one as well, each in the module of its name: ``mlmref.corpus``, ``mlmref.tokens``,
``mlmref.chunks``, ``mlmref.split``, ``mlmref.masking``, ``mlmref.model``,
``mlmref.evaluation``, ``mlmref.fill``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlmref.config import Config as Config
    from mlmref.errors import MlmrefError as MlmrefError
    from mlmref.hookspecs import hookimpl as hookimpl
    from mlmref.plugins import discover as discover
    from mlmref.results import Result as Result
    from mlmref.runner import evaluate as evaluate
    from mlmref.runner import run as run

__version__ = "0.1.0"

# Imported when first used, so that the command line answers before NumPy and pydantic load.
_HOMES = {
    "Config": "config",
    "MlmrefError": "errors",
    "Result": "results",
    "discover": "plugins",
    "evaluate": "runner",
    "hookimpl": "hookspecs",
    "run": "runner",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlmref' has no attribute {name!r}")
    return getattr(import_module(f"mlmref.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
