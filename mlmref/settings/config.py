"""The settings of a run: one typed, immutable section per station (clauses CONF-001, CONF-008).

:mod:`mlmref.settings.resolve` merges the sources of values.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from mlmref.settings.data import ChunkConfig as ChunkConfig
from mlmref.settings.data import CorpusConfig as CorpusConfig
from mlmref.settings.data import MaskingConfig as MaskingConfig
from mlmref.settings.data import ModelConfig as ModelConfig
from mlmref.settings.data import SplitConfig as SplitConfig
from mlmref.settings.data import WordsConfig as WordsConfig
from mlmref.settings.defaults import fitting
from mlmref.settings.setting import MOST as MOST
from mlmref.settings.setting import Count as Count
from mlmref.settings.setting import Section as Section
from mlmref.settings.setting import Seed as Seed
from mlmref.settings.setting import setting
from mlmref.settings.training import CheckpointConfig as CheckpointConfig
from mlmref.settings.training import EvaluationConfig as EvaluationConfig
from mlmref.settings.training import FillConfig as FillConfig
from mlmref.settings.training import OutputConfig as OutputConfig
from mlmref.settings.training import TrackingConfig as TrackingConfig
from mlmref.settings.training import TrainingConfig as TrainingConfig


class Config(Section):
    """Everything that shapes a run. Same configuration, same numbers.

    A setting that is not given has the value that ``mlmref run`` would use: for the embedded
    checkpoint and IMDb that of the preset ``tiny``, else the section's own default (CONF-006).
    """

    seed: Seed = setting(
        42, "seed of masks, order of examples, dropout and bootstrap", flag="--seed"
    )
    model: ModelConfig = ModelConfig()
    corpus: CorpusConfig = CorpusConfig()
    words: WordsConfig = WordsConfig()
    chunks: ChunkConfig = ChunkConfig()
    split: SplitConfig = SplitConfig()
    masking: MaskingConfig = MaskingConfig()
    training: TrainingConfig = TrainingConfig()
    checkpoints: CheckpointConfig = CheckpointConfig()
    tracking: TrackingConfig = TrackingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    fill: FillConfig = FillConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _fit(self) -> Config:
        """Set the defaults that are specific to the embedded checkpoint and IMDb (CONF-006)."""
        for name, values in fitting(self.model.name, self.corpus.name).items():
            section: Section = getattr(self, name)
            unset = {key: one for key, one in values.items() if key not in section.model_fields_set}
            object.__setattr__(self, name, section.model_copy(update=unset))
        return self

    @property
    def training_seed(self) -> int:
        """The seed of the order, the training masks and dropout (CONF-010)."""
        return self.seed if self.training.seed is None else self.training.seed


def plain_defaults() -> dict[str, dict[str, Any]]:
    """Return the sections' own defaults of the settings that ``Config._fit`` sets.

    They apply below a preset that is named, instead of those that ``Config._fit`` sets (CONF-006).
    """
    plain = Config.model_construct()
    return {
        name: {key: getattr(getattr(plain, name), key) for key in values}
        for name, values in fitting(plain.model.name, plain.corpus.name).items()
    }
