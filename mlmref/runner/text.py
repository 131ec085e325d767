"""Prepare the text of a run: read, tokenize, chunk and split a corpus, and make its masker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlmref.base.errors import ModelError
from mlmref.base.quiet_libraries import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.chunks import Chunks
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.split import Split
    from mlmref.data.tokens.tokens import Tokens
    from mlmref.masking.masker import Masker
    from mlmref.runner.context import RunContext

Tell = Callable[[str], None]
_LOOKED_AT = 2**20  # tokens that are checked
_UNKNOWN = 0.10  # share of unknown tokens; an inspection also calls more a problem
_WORD = 8.0  # tokens per word; even a tokenizer for another language gives fewer

LOST = 0.001
"""Share of characters in no token above which a run warns, as an inspection does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A corpus, its chunks, and their split."""

    corpus: Corpus
    chunks: Chunks
    split: Split


def prepare_text(context: RunContext, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Text:
    """Read the corpus of a run, tokenize it, cut it into chunks and split them.

    Args:
        context: the run.
        tokenizer: a fast tokenizer.
        max_length: the most tokens that the model reads at once.

    Raises:
        CorpusError: the corpus cannot be read, or is too small to chunk and split.
        ModelError: the tokenizer cannot encode it.
    """
    from mlmref.data.chunks import chunk
    from mlmref.data.corpus.load import load_corpus
    from mlmref.data.split import split
    from mlmref.data.tokens.tokenize import tokenize
    from mlmref.model.load import check_documents

    config, clock, reporter = context.config, context.clock, context.reporter
    with clock("read"), quiet():
        corpus = load_corpus(config.corpus, reporter)
    check_documents(config.model, tokenizer, corpus, reporter)
    with clock("tokenize"):
        segmenter = context.plugins.segmenter
        tokens = tokenize(corpus, tokenizer, segmenter=segmenter, reporter=reporter)
    with context.stage("chunk"):
        chunks = chunk(tokens, config.chunks, max_length=max_length)
        parts = split(chunks, config.split)
    text = Text(corpus=corpus, chunks=chunks, split=parts)
    _warn_of_unknown(tokens, tokenizer, reporter.warn)
    for side in ("train_size", "test_size"):
        if getattr(config.split, side) == 1:
            reporter.warn(f"split.{side} = 1 is one chunk; a share is below 1, such as 0.1")
    reporter.note(_summary(text))
    _warn_of_lost(tokens, config.model.name, reporter.warn)
    return text


def _summary(text: Text) -> str:
    """Return one line with the size of a text."""
    corpus, tokens, split = text.corpus, text.chunks.tokens, text.split
    omitted = f" ({corpus.empty:,} empty ones skipped)" if corpus.empty else ""
    if skipped := len(tokens.skipped):
        omitted += f" ({skipped:,} without an ordinary token skipped)"
    return (
        f"{corpus.source}: {len(corpus):,} documents{omitted}, {tokens.offsets[-1]:,} tokens, "
        f"{len(text.chunks):,} chunks: {len(split.train):,} to train on, "
        f"{len(split.test):,} held out"
    )


def _warn_of_unknown(tokens: Tokens, tokenizer: PreTrainedTokenizerBase, tell: Tell) -> None:
    """Warn before training if much of the text is unknown to the tokenizer (RUN-017)."""
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


def _warn_of_lost(tokens: Tokens, model: str, tell: Tell) -> None:
    """Warn before training if characters of the text are in no token."""
    lost, visible = (int(tokens.characters(kind).sum()) for kind in ("lost", "visible"))
    if lost > LOST * visible:
        tell(
            f"{lost:,} of {visible:,} characters ({lost / visible:.2%}) are in no token of "
            f"{model}: mlmref inspect shows which"
        )


def tokens_a_word(tokens: Tokens) -> float:
    """Return how many ordinary tokens a word has on average, among the first million tokens."""
    some, begins = tokens.take(np.arange(min(_LOOKED_AT, int(tokens.offsets[-1]))))
    ordinary = np.isin(some, tokens.vocabulary.ordinary_ids)
    return float(ordinary.sum() / max(1, (begins & ordinary).sum()))


def masker_for(context: RunContext, text: Text, tell: Tell = lambda _: None) -> Masker:
    """Return the masker of a text's chunks, with the words and counts that its strategy needs.

    Raises:
        ModelError: the strategy needs words, and neither tokenizer nor segmenter finds any
            (RUN-013).
    """
    return masker_of_chunks(context, text.split.train, context.config.model.name, tell)


def masker_of_chunks(
    context: RunContext, chunks: Chunks, where: str, tell: Tell = lambda _: None
) -> Masker:
    """Return the masker of some chunks; they are counted for a strategy that needs counts.

    Args:
        context: the run.
        chunks: those to train on.
        where: the model's name, for an error.
        tell: receives warnings.

    Raises:
        ModelError: as of :func:`masker_for`.
    """
    tokens, strategy = chunks.tokens, context.plugins.strategy
    if strategy.entry.needs_words and not tokens.has_words:
        raise ModelError(
            f"its tokenizer finds no words, which {strategy.entry.name!r} masking needs",
            where=where,
            hint="choose a masking strategy that needs none, such as --masking token, or a "
            "--segmenter that finds words",
        )
    if strategy.entry.needs_words:
        long = tokens_a_word(tokens)
        if long > _WORD:
            tell(
                f"a word is {long:.0f} tokens on average, and {strategy.entry.name} masks whole "
                "words: if the text has no spaces, give a --segmenter (see mlmref plugins)"
            )
    vocabulary = tokens.vocabulary
    if strategy.entry.needs_counts:
        vocabulary = replace(vocabulary, counts=chunks.counts())
    from mlmref.masking.masker import masker_of

    return masker_of(strategy, vocabulary, context.config.masking.corruption, context.config.seed)
