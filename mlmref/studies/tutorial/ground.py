"""The data and models that the tutorial's figures need, loaded once.

Each is made when a figure first asks for it, and once; what is missing is missing once, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from mlmref.base.errors import CorpusError, ModelError
from mlmref.base.progress import Reporter
from mlmref.base.quiet_libraries import quiet
from mlmref.plugin.discovery import discover
from mlmref.runner.context import choose_plugins
from mlmref.runner.text import masker_of
from mlmref.settings.config import Config, CorpusConfig, ModelConfig
from mlmref.settings.resolve import resolve
from mlmref.studies.tutorial.hub import asked_once
from mlmref.studies.tutorial.verdicts import Missing

if TYPE_CHECKING:
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.split import Split
    from mlmref.data.tokens.tokens import Tokens
    from mlmref.masking.masker import Masker
    from mlmref.model.load import LoadedModel
    from mlmref.plugin.arrays import Int64Array

DISTILBERT = "distilbert-base-uncased"
_OPENINGS = (
    "Bromwell High is a cartoon",
    "Homelessness (or Houselessness",
    "Brilliant over-acting by Lesley",
)
"""How the tutorial's first three reviews begin, whose place in the data set has changed since."""


T = TypeVar("T")


def preset(backend: str, sets: Sequence[str] = ()) -> Config:
    """Return the tutorial's settings for a backend, and others beside them."""
    return resolve(preset=f"tutorial-{backend}", sets=sets)


class Ground(AbstractContextManager["Ground"]):
    """The things that figures share.

    Args:
        cpu: train DistilBERT without a GPU too.
        sets: settings of the two trainings beside their presets'.
        reporter: told of progress.
    """

    def __init__(self, *, cpu: bool, sets: Sequence[str], reporter: Reporter) -> None:
        self._cpu, self._sets, self._reporter = cpu, list(sets), reporter
        self._made: dict[str, Any] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="mlmref-verify-")
        # What is wrong with the settings is to be told before any work.
        self.configs = {name: self._config(name) for name in ("trainer", "accelerate")}

    def __enter__(self) -> Self:
        self._hub = ExitStack()
        self._hub.enter_context(asked_once())
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.close()
        self._folder.cleanup()

    @property
    def embedded(self) -> LoadedModel:
        """The checkpoint that ships, whose vocabulary is DistilBERT's."""
        return self._once("embedded", lambda: _load("embedded"))

    @property
    def distilbert(self) -> LoadedModel:
        """The tutorial's model, from the hub or its cache."""

        def make() -> LoadedModel:
            try:
                return _load(DISTILBERT)
            except ModelError as error:
                raise Missing("hub", str(error)) from error

        return self._once("distilbert", make)

    def corpus(self, split: str = "train") -> Corpus:
        """Return a split of IMDb; the first is installed with the extra ``offline``."""
        from mlmref.data.corpus.load import load_corpus

        def make() -> Corpus:
            try:
                with quiet():
                    return load_corpus(CorpusConfig(name="imdb", split=split), self._reporter)
            except CorpusError as error:
                raise Missing("hub", str(error)) from error

        return self._once(f"corpus {split}", make)

    def tokens(self, split: str = "train") -> Tokens:
        """Return a split's tokens."""
        from mlmref.data.tokens.tokenize import tokenize

        return self._once(
            f"tokens {split}",
            lambda: tokenize(self.corpus(split), self.embedded.tokenizer, reporter=self._reporter),
        )

    @property
    def first_three(self) -> Int64Array:
        """Where the tutorial's first three reviews are, found by how they begin."""

        def make() -> Int64Array:
            texts = self.corpus().dataset["text"]
            places: dict[str, int] = {}
            for number, text in enumerate(texts):
                for opening in _OPENINGS:
                    if text.startswith(opening):
                        places.setdefault(opening, number)
            if len(places) != len(_OPENINGS):
                raise CorpusError("the tutorial's first three reviews are not in it", where="imdb")
            return np.array([places[opening] for opening in _OPENINGS])

        return self._once("first three", make)

    @property
    def split(self) -> Split:
        """The tutorial's chunks, dealt out as it does."""
        from mlmref.data.chunks import chunk
        from mlmref.data.split import split

        config = preset("trainer")
        return self._once("split", lambda: split(chunk(self.tokens(), config.chunks), config.split))

    def masker(self, name: str) -> Masker:
        """Return a strategy's masker, with its own defaults."""

        def make() -> Masker:
            config, plugins = choose_plugins(resolve(sets=[f"masking.strategy={name}"]), discover())
            return masker_of(config, plugins.strategy, self.tokens().vocabulary)

        return self._once(f"masker {name}", make)

    def trained(self, backend: str) -> dict[str, Any]:
        """Train DistilBERT as the tutorial does, and return the run's record."""

        def make() -> dict[str, Any]:
            import torch

            from mlmref.runner.run import run

            self.distilbert.model  # noqa: B018 - it is missing, or it is not
            if not (torch.cuda.is_available() or self._cpu):
                raise Missing("gpu", "no GPU; --cpu trains without one, for many hours")
            return run(self.configs[backend], reporter=self._reporter).record

        return self._once(f"trained {backend}", make)

    def _config(self, backend: str) -> Config:
        folder = Path(self._folder.name) / backend
        own = [f'output.folder="{folder}"', *['training.precision="auto"'] * self._cpu]
        return preset(backend, [*own, *self._sets])

    def _once(self, name: str, make: Callable[[], T]) -> T:
        """Make something, or find out that it cannot be made, once."""
        if name not in self._made:
            try:
                self._made[name] = make()
            except (Missing, CorpusError) as error:
                self._made[name] = error
        made = self._made[name]
        if isinstance(made, Missing | CorpusError):
            raise made
        return cast("T", made)


def _load(name: str) -> LoadedModel:
    from mlmref.model.load import load_model

    return load_model(ModelConfig(name=name))
