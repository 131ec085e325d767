"""Prepare a run: choose plugins, load the model, tokenize, chunk and split."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlmref.base.errors import ConfigError, ModelError
from mlmref.base.progress import Reporter
from mlmref.base.quiet_libraries import quiet
from mlmref.plugin.discovery import discover
from mlmref.plugin.registry import Chosen, Registry, choose
from mlmref.settings.config import Config
from mlmref.settings.resolve import to_toml

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.base.progress.clock import Clock
    from mlmref.data.chunks import Chunks
    from mlmref.data.corpus.load import Corpus
    from mlmref.data.split import Split
    from mlmref.data.tokens.tokenize import Tokens
    from mlmref.masking.masker import Masker
    from mlmref.model.load import LoadedModel
    from mlmref.model.loss import MaskedLMObjective
    from mlmref.plugin.contracts import BackendEntry, SegmenterEntry, StrategyEntry, Vocabulary

Tell = Callable[[str], None]
_LOOKED_AT = 2**20  # tokens
_UNKNOWN = 0.10  # share of unknown tokens, above which an inspection calls it a problem
_WORD = 8.0  # tokens a word, far above those of a tokenizer for another language
_WORKERS = 4  # processes for each CPU, of which most wait


LOST = 0.001
"""Share of characters in no token above which a run warns, as an inspection does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What a run uses of its plugins."""

    segmenter: Chosen[SegmenterEntry]
    strategy: Chosen[StrategyEntry]
    backend: Chosen[BackendEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A corpus as it is masked: cut into chunks, some of them held out."""

    corpus: Corpus
    chunks: Chunks
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Everything that is needed to measure a model and to train it."""

    config: Config
    loaded: LoadedModel
    corpus: Corpus
    chunks: Chunks
    split: Split
    masker: Masker
    objective: MaskedLMObjective


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


def check_first(config: Config, reporter: Reporter) -> None:
    """Find out before any work what would only fail at its end."""
    from mlmref.base.ranks.process import check_launcher, state
    from mlmref.training.optimizer import choose_precision

    check_launcher(reporter.note)
    if config.output.push:
        from mlmref.results.publish import check_repo_id

        check_repo_id(config.output.push)
    choose_precision(config.training.precision, state().device)
    most = _WORKERS * (os.cpu_count() or 1)
    if config.training.workers > most:
        raise ConfigError(
            f"{config.training.workers:,} processes are too many for {os.cpu_count()} CPUs",
            where="training.workers",
            hint=f"use --workers {most} or fewer",
        )
    to_toml(config)


def load(config: Config, clock: Clock, reporter: Reporter) -> LoadedModel:
    """Load the model, and put it where it is to be trained."""
    from mlmref.base.ranks.process import state
    from mlmref.model.load import load_model

    with clock("load"), reporter.stage("load"):
        loaded = load_model(config.model)
        loaded.model.to(state().device)
    parameters = sum(one.numel() for one in loaded.model.parameters())
    reporter.note(f"{loaded}: {parameters:,} parameters")
    return loaded


def try_out(
    config: Config, loaded: LoadedModel, clock: Clock, reporter: Reporter, *, train: bool = False
) -> MaskedLMObjective:
    """Try the model at the run's chunk size, and return it with its loss (MODEL-013)."""
    from mlmref.model.trial import try_model

    with clock("load"):
        return try_model(config, loaded, reporter.warn, train=train)


def masker_of(config: Config, strategy: Chosen[StrategyEntry], vocabulary: Vocabulary) -> Masker:
    """Make what masks chunks by a strategy."""
    from mlmref.masking.masker import Masker

    return Masker(
        entry=strategy.entry,
        strategy=strategy.make(),
        owner=str(strategy.source),
        corruption=config.masking.corruption or strategy.entry.corruption,
        vocabulary=vocabulary,
        seed=config.seed,
    )


def prepare_text(
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    segmenter: Chosen[SegmenterEntry],
    clock: Clock,
    reporter: Reporter,
) -> Text:
    """Go from the name of a corpus to chunks split in two.

    Args:
        config: which corpus, and how it is cut and split.
        tokenizer: a fast tokenizer.
        max_length: the most tokens that the model reads at once.
        segmenter: tells the words.
        clock: times the stages.
        reporter: told of them.
    """
    from mlmref.data.chunks import chunk
    from mlmref.data.corpus.load import load_corpus
    from mlmref.data.split import split
    from mlmref.data.tokens.tokenize import tokenize
    from mlmref.model.load import check_documents

    with clock("read"), quiet():
        corpus = load_corpus(config.corpus, reporter)
    check_documents(config.model, tokenizer, corpus, reporter)
    with clock("tokenise"):
        tokens = tokenize(corpus, tokenizer, segmenter=segmenter, reporter=reporter)
    with clock("chunk"), reporter.stage("chunk"):
        chunks = chunk(tokens, config.chunks, max_length=max_length)
        parts = split(chunks, config.split)
    _warn_of_unknown(tokens, tokenizer, reporter.warn)
    for side in ("train_size", "test_size"):
        if getattr(config.split, side) == 1:
            reporter.warn(f"split.{side} = 1 is one chunk; a share is below 1, such as 0.1")
    left_out = f" ({corpus.empty:,} empty ones left out)" if corpus.empty else ""
    if skipped := len(tokens.skipped):
        left_out += f" ({skipped:,} without an ordinary token skipped)"
    reporter.note(
        f"{corpus.source}: {len(corpus):,} documents{left_out}, {tokens.offsets[-1]:,} tokens, "
        f"{len(chunks):,} chunks: {len(parts.train):,} to train on, {len(parts.test):,} held out"
    )
    lost, visible = (int(tokens.characters(kind).sum()) for kind in ("lost", "visible"))
    if lost > LOST * visible:
        reporter.warn(
            f"{lost:,} of {visible:,} characters ({lost / visible:.2%}) are in no token of "
            f"{config.model.name}: mlmref inspect shows which"
        )
    return Text(corpus=corpus, chunks=chunks, split=parts)


def _warn_of_unknown(tokens: Tokens, tokenizer: PreTrainedTokenizerBase, tell: Tell) -> None:
    """Say before training that much of the text is unknown to the tokenizer (RUN-017)."""
    if tokenizer.unk_token_id is None:
        return
    some = tokens.take(np.arange(min(_LOOKED_AT, int(tokens.offsets[-1]))))[0]
    ordinary = np.isin(some, tokens.vocabulary.ordinary_ids)
    unknown = some == tokenizer.unk_token_id
    share = unknown.sum() / max(1, (unknown | ordinary).sum())
    if share > _UNKNOWN:
        tell(
            f"{share:.0%} of the text's tokens are unknown to the tokenizer, and the model learns "
            "nothing from them: see mlmref inspect with the same flags"
        )


def tokens_a_word(tokens: Tokens) -> float:
    """Return how many ordinary tokens a word has, of the first million tokens."""
    some, begins = tokens.take(np.arange(min(_LOOKED_AT, int(tokens.offsets[-1]))))
    ordinary = np.isin(some, tokens.vocabulary.ordinary_ids)
    return float(ordinary.sum() / max(1, (begins & ordinary).sum()))


def masker_for(
    config: Config, strategy: Chosen[StrategyEntry], text: Text, tell: Tell = lambda _: None
) -> Masker:
    """Make what masks the chunks of a text, with the words and counts that a strategy needs.

    Raises:
        ModelError: it needs words, and nothing tells them (RUN-013).
    """
    tokens = text.chunks.tokens
    if strategy.entry.needs_words and not tokens.has_words:
        raise ModelError(
            f"its tokenizer does not tell words, which {strategy.entry.name!r} masking needs",
            where=config.model.name,
            hint="choose a masking strategy that needs none, such as --masking token, or a "
            "--segmenter that tells words",
        )
    if strategy.entry.needs_words:
        long = tokens_a_word(tokens)
        if long > _WORD:
            tell(
                f"a word is {long:.0f} tokens on average, and {strategy.entry.name} masks whole "
                "words: if the text has no blanks, give a --segmenter (see mlmref plugins)"
            )
    vocabulary = tokens.vocabulary
    if strategy.entry.needs_counts:
        vocabulary = replace(vocabulary, counts=text.split.train.counts())
    return masker_of(config, strategy, vocabulary)


def prepare(
    config: Config,
    loaded: LoadedModel,
    plugins: Plugins,
    clock: Clock,
    reporter: Reporter,
    objective: MaskedLMObjective | None = None,
) -> Ready:
    """Go from the name of a corpus to chunks split in two, and to what masks them.

    Args:
        config: the run's configuration.
        loaded: the model.
        plugins: what the run uses of its plugins.
        clock: times the stages.
        reporter: told of them.
        objective: the model with its loss, if :func:`try_out` made it already.
    """
    text = prepare_text(
        config, loaded.tokenizer, loaded.max_length, plugins.segmenter, clock, reporter
    )
    masker = masker_for(config, plugins.strategy, text, reporter.warn)
    objective = objective or try_out(config, loaded, clock, reporter)
    if objective.path == "plain":
        reporter.note(
            f"{config.model.name}: its head needs every position, so each step computes all logits"
        )
    return Ready(
        config=config,
        loaded=loaded,
        corpus=text.corpus,
        chunks=text.chunks,
        split=text.split,
        masker=masker,
        objective=objective,
    )
