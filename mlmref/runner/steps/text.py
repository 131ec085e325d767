"""Corpus, tokens, chunks and split, step by step (clauses API-005 and API-006)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mlmref.base.errors import ConfigError
from mlmref.runner.context import choose_plugins
from mlmref.runner.steps.models import tokenizer_of
from mlmref.runner.steps.settings import from_keywords, of_step
from mlmref.settings.keywords import keywords, takes_settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.chunks import Chunks
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.split import Split
    from mlmref.data.tokens.tokens import Tokens

_CORPUS = keywords(("corpus",), ("corpus.name",))


@takes_settings(_CORPUS)
def load_corpus(source: str | Path | Iterable[str], **settings: Any) -> Corpus:
    """Return a corpus: the documents of files, of the hub, of IMDb, or texts in memory.

    >>> import mlmref
    >>> mlmref.load_corpus("reviews.txt", limit=100)
    Corpus(100 documents from reviews.txt)
    >>> mlmref.load_corpus(["A great film.", "A bad film."])
    Corpus(2 documents from texts in memory)

    Args:
        source: a file, folder or glob, ``hub:NAME``, ``imdb``, or texts.

    Raises:
        CorpusError: the corpus cannot be found, read or used.
        ConfigError: a setting is unknown, invalid, or not for this kind of corpus.
    """
    from mlmref.data.corpus import load
    from mlmref.data.corpus.corpus import corpus_from_texts

    if isinstance(source, str | Path):
        config = from_keywords(load_corpus, settings, _CORPUS, corpus_name=str(source))
        return load.load_corpus(config.corpus)
    if isinstance(source, Mapping) or not isinstance(source, Iterable):
        raise ConfigError(
            f"{type(source).__name__} is no corpus",
            where="mlmref.load_corpus",
            hint="give the name of a file, or a list of texts",
        )
    if settings:
        raise ConfigError(
            f"{', '.join(settings)} would be ignored for texts in memory",
            where="mlmref.load_corpus",
            hint="omit the argument, or give a file",
        )
    return corpus_from_texts(source)


def tokenize(
    corpus: Corpus | str | Path | Iterable[str],
    tokenizer: str | PreTrainedTokenizerBase = "embedded",
    *,
    segmenter: str = "tokenizer",
    segmenter_options: Mapping[str, Any] | None = None,
) -> Tokens:
    """Return the tokens of all documents, without truncation, with the places where words begin.

    >>> import mlmref
    >>> tokens = mlmref.tokenize(["A great film.", "A bad film."], "embedded")
    >>> tokens
    Tokens(12 tokens in 2 documents)
    >>> tokens.dataset[0]["input_ids"]
    [101, 1037, 2307, 2143, 1012, 102]

    Args:
        corpus: a corpus, or what :func:`load_corpus` takes.
        tokenizer: a fast tokenizer, or the name of its model.
        segmenter: the word segmenter; by default the tokenizer finds the words.
        segmenter_options: the options of the segmenter.

    Raises:
        CorpusError: the corpus cannot be read, or the tokenizer cannot encode a document.
        ModelError: there is no such tokenizer, or it cannot be used.
        PluginError: there is no such segmenter, or it fails.
    """
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.tokens import tokenize as station

    words = {"segmenter": segmenter, "options": dict(segmenter_options or {})}
    _, plugins = choose_plugins(of_step("mlmref.tokenize", words=words))
    documents = corpus if isinstance(corpus, Corpus) else load_corpus(corpus)
    return station.tokenize(documents, tokenizer_of(tokenizer), segmenter=plugins.segmenter)


def chunk(
    tokens: Tokens,
    size: int = 128,
    *,
    remainder: Literal["drop", "pad"] = "drop",
    scope: Literal["corpus", "tutorial"] = "corpus",
) -> Chunks:
    """Return the chunks of the joined documents.

    >>> import mlmref
    >>> tokens = mlmref.tokenize(["A great film.", "A bad film."])
    >>> mlmref.chunk(tokens, 8)
    Chunks(1 of 8 tokens, from 2 documents)
    >>> mlmref.chunk(tokens, 8, remainder="pad")
    Chunks(2 of 8 tokens, from 2 documents)

    Args:
        tokens: the tokens of all documents.
        size: the tokens in a chunk.
        remainder: whether the last, shorter chunk is dropped or padded (T08).
        scope: one remainder for the ``corpus``, or for every 1,000 documents as in the
            ``tutorial``, which loses text (E06).

    Raises:
        ConfigError: an argument is invalid.
        CorpusError: the tokens do not fill one chunk.
    """
    from mlmref.data import chunks

    rule = {"size": size, "remainder": remainder, "scope": scope}
    return chunks.chunk(tokens, of_step("mlmref.chunk", chunks=rule).chunks)


def split(
    chunks: Chunks,
    *,
    test_size: float = 0.1,
    train_size: float | Literal["rest"] = "rest",
    by: Literal["chunk", "document"] = "chunk",
    seed: int = 42,
) -> Split:
    """Return the chunks, split into those to train on and those held out.

    >>> import mlmref
    >>> chunks = mlmref.chunk(mlmref.tokenize("reviews.txt"), 32)
    >>> mlmref.split(chunks, test_size=20)
    Split(131 chunks to train on, 20 held out)
    >>> mlmref.split(chunks, test_size=20).train
    Chunks(131 of 32 tokens, from 400 documents)

    Args:
        chunks: all chunks.
        test_size: the chunks to hold out, as a count or a share below 1.
        train_size: the chunks to train on, as a count, a share below 1, or ``rest``.
        by: ``chunk`` as in the tutorial, or ``document``: no document is on both sides (E08).
        seed: the seed of the shuffle.

    Raises:
        ConfigError: an argument is invalid, or there are too few chunks.
    """
    from mlmref.data import split as station

    rule = {"test_size": test_size, "train_size": train_size, "by": by, "seed": seed}
    return station.split(chunks, of_step("mlmref.split", split=rule).split)
