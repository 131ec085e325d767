"""The plugin author's API: every name that the code of a plugin imports.

Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import ConfigError as ConfigError
from mlmref.base.errors import MlmrefError as MlmrefError
from mlmref.base.errors import PluginError as PluginError

if TYPE_CHECKING:
    from mlmref.plugin.arrays import IGNORE_INDEX as IGNORE_INDEX
    from mlmref.plugin.arrays import BoolArray as BoolArray
    from mlmref.plugin.arrays import FloatArray as FloatArray
    from mlmref.plugin.arrays import Int32Array as Int32Array
    from mlmref.plugin.arrays import Int64Array as Int64Array
    from mlmref.plugin.arrays import Probability as Probability
    from mlmref.plugin.batches import Batch as Batch
    from mlmref.plugin.batches import ChunkRows as ChunkRows
    from mlmref.plugin.batches import MaskedRows as MaskedRows
    from mlmref.plugin.batches import Plan as Plan
    from mlmref.plugin.batches import Vocabulary as Vocabulary
    from mlmref.plugin.contracts import Corruption as Corruption
    from mlmref.plugin.contracts import ExpectedRate as ExpectedRate
    from mlmref.plugin.contracts import MaskingStrategy as MaskingStrategy
    from mlmref.plugin.contracts import Options as Options
    from mlmref.plugin.contracts import Rate as Rate
    from mlmref.plugin.contracts import Replaces as Replaces
    from mlmref.plugin.contracts import SegmenterEntry as SegmenterEntry
    from mlmref.plugin.contracts import StrategyEntry as StrategyEntry
    from mlmref.plugin.contracts import WordSegmenter as WordSegmenter
    from mlmref.plugin.discovery import discover as discover
    from mlmref.plugin.draws import EVALUATION_PASS as EVALUATION_PASS
    from mlmref.plugin.draws import Draws as Draws
    from mlmref.plugin.hookspecs import hookimpl as hookimpl
    from mlmref.plugin.training import BackendEntry as BackendEntry
    from mlmref.plugin.training import MicroBatch as MicroBatch
    from mlmref.plugin.training import Precision as Precision
    from mlmref.plugin.training import Stateful as Stateful
    from mlmref.plugin.training import Step as Step
    from mlmref.plugin.training import Steps as Steps
    from mlmref.plugin.training import TrainingBackend as TrainingBackend
    from mlmref.plugin.training import TrainingJob as TrainingJob

_HOMES = {
    "BoolArray": "arrays",
    "FloatArray": "arrays",
    "IGNORE_INDEX": "arrays",
    "Int32Array": "arrays",
    "Int64Array": "arrays",
    "Probability": "arrays",
    "BackendEntry": "training",
    "Batch": "batches",
    "ChunkRows": "batches",
    "Corruption": "contracts",
    "ExpectedRate": "contracts",
    "MaskedRows": "batches",
    "MaskingStrategy": "contracts",
    "MicroBatch": "training",
    "Options": "contracts",
    "Plan": "batches",
    "Precision": "training",
    "Rate": "contracts",
    "Replaces": "contracts",
    "SegmenterEntry": "contracts",
    "Stateful": "training",
    "Step": "training",
    "Steps": "training",
    "StrategyEntry": "contracts",
    "TrainingBackend": "training",
    "TrainingJob": "training",
    "Vocabulary": "batches",
    "WordSegmenter": "contracts",
    "discover": "discovery",
    "Draws": "draws",
    "EVALUATION_PASS": "draws",
    "hookimpl": "hookspecs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mlmref.plugin' has no attribute {name!r}")
    return getattr(import_module(f"mlmref.plugin.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
