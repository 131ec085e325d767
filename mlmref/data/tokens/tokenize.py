"""Tokenize documents: token ids and word starts (clauses TOK-001 to TOK-026, spec/tokens.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlmref.base.errors import CorpusError
from mlmref.base.progress import SILENT, Reporter
from mlmref.data.cache import cached
from mlmref.data.tokenizer.coverage import Coverage, Encoded, sums
from mlmref.data.tokenizer.encoding import backend_of, encoded, refusal
from mlmref.data.tokenizer.vocabulary import special_mask, vocabulary_of
from mlmref.data.tokens.by_pre_token import PreTokens, bounds, pre_tokens_of
from mlmref.data.tokens.tokens import Tokens
from mlmref.data.words import Words
from mlmref.data.words.of_segmenter import SegmentedWords
from mlmref.data.words.of_tokenizer import OwnWords
from mlmref.plugin.arrays import BoolArray
from mlmref.plugin.batches import Vocabulary
from mlmref.plugin.contracts import SegmenterEntry
from mlmref.plugin.registry import Chosen

if TYPE_CHECKING:
    import tokenizers
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.corpus.corpus import Corpus

_STEP = 3  # version of this module's output; a new one replaces every cached entry
_SCHEMA = pa.schema(
    {
        "input_ids": pa.list_(pa.field("item", pa.int32())),
        # Bytes, because Arrow's packed bits would have to be unpacked for each look-up.
        "word_start": pa.list_(pa.field("item", pa.uint8())),
        "visible": pa.int32(),  # characters
        "lost": pa.int32(),
    }
)
_HINT = "remove it from the corpus, or choose a --model whose tokenizer can"
_BATCH, _PRE_TOKENS_BATCH = (
    1_000,
    2**16,
)  # documents; by pre-tokens, each batch also joins the table
_SAMPLE, _SAMPLE_SIZE = 100, 1_000  # documents in which words are looked for, characters of each
_BATCH_BYTES = 2**22  # of text; the tokenizer's output takes over a hundred times the memory


def tokenize(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    *,
    segmenter: Chosen[SegmenterEntry] | None = None,
    batch_size: int | None = None,
    reporter: Reporter = SILENT,
) -> Tokens:
    """Return the tokens of every document, with the tokenizer's special tokens around it (T05).

    Args:
        corpus: the documents.
        tokenizer: a fast tokenizer; it does not change (TOK-002).
        segmenter: finds the words; by default, or if the entry builds none, the tokenizer does.
        batch_size: the most documents in one batch; changes memory and speed only (TOK-010).
        reporter: receives the progress.

    Raises:
        ModelError: see :func:`vocabulary_of`; or the tokenizer has parts written in Python.
        CorpusError: the tokenizer cannot encode a document (TOK-024).
        PluginError: the segmenter raises an error or breaks a clause (SEG-010).
        OutputError: the cache cannot be written.
    """
    import tokenizers

    vocabulary = vocabulary_of(tokenizer)
    backend = backend_of(tokenizer)
    words = _words(backend, vocabulary, segmenter, corpus)
    special = special_mask(vocabulary)

    def make() -> Generator[pa.RecordBatch, None, dict[str, Any]]:
        pre_tokens = pre_tokens_of(backend, words, special) if isinstance(words, OwnWords) else None
        most = batch_size or (_PRE_TOKENS_BATCH if pre_tokens else _BATCH)
        with reporter.stage("tokenize", len(corpus), "documents") as stage:
            first, coverage = 0, Coverage(backend)
            for texts in batches(corpus, most):
                refuse = refusal(corpus, range(first, first + len(texts)), _HINT)
                yield _encode(backend, texts, special, words, pre_tokens, refuse, coverage)
                stage.advance(len(texts))
                first += len(texts)
        return {}

    parts = {
        "step": _STEP,
        "corpus": corpus.fingerprint,
        "tokenizer": hashlib.sha256(backend.to_str().encode()).hexdigest(),
        "split_special_tokens": backend.encode_special_tokens,
        "special_ids": vocabulary.special_ids.tolist(),
        "tokenizers": tokenizers.__version__,
    }
    if words.identity:  # without a segmenter, the key depends only on the tokenizer (TOK-018)
        parts["segmenter"] = words.identity
    entry = cached("tokens", parts, _SCHEMA, make)
    return Tokens(entry.dataset, vocabulary, has_words=words.told, fingerprint=entry.key)


def _words(
    backend: tokenizers.Tokenizer,
    vocabulary: Vocabulary,
    segmenter: Chosen[SegmenterEntry] | None,
    corpus: Corpus,
) -> Words:
    if segmenter is None or segmenter.entry.build is None:
        sample = [text[:_SAMPLE_SIZE] for text in corpus.dataset[:_SAMPLE]["text"]]
        return OwnWords(backend, vocabulary.size, sample)
    return SegmentedWords(segmenter)


def batches(corpus: Corpus, batch_size: int) -> Iterator[pa.StringArray]:
    """Yield the documents in batches that are limited in number and in bytes."""
    for texts in corpus.texts(batch_size):
        for start in range(0, len(texts), batch_size):
            part = texts[start : start + batch_size]
            cuts = bounds(pc.binary_length(part).to_numpy(zero_copy_only=False), _BATCH_BYTES)
            for first, end in pairwise(cuts):
                yield part[first:end].cast(pa.string())


def _encode(
    backend: tokenizers.Tokenizer,
    texts: pa.StringArray,
    special: BoolArray,
    words: Words,
    pre_tokens: PreTokens | None,
    refuse: Callable[[int, str], CorpusError],
    coverage: Coverage,
) -> pa.RecordBatch:
    """Return the tokens of some documents (TOK-003) and their word starts (TOK-004, TOK-015)."""
    known = pre_tokens.encode(texts) if pre_tokens else None
    found = known or _whole(backend, texts.to_pylist(), special, words, refuse, coverage)
    kept = _readable(found, special)
    lists = (kept.ids, kept.starts.view(np.uint8))
    columns = [
        *(pa.ListArray.from_arrays(kept.offsets, values) for values in lists),
        *(pa.array(counts, pa.int32()) for counts in (kept.visible, kept.lost)),
    ]
    return pa.record_batch(columns, schema=_SCHEMA)


def _readable(found: Encoded, special: BoolArray) -> Encoded:
    """Return the tokens without those of documents that have no ordinary token (TOK-025)."""
    keep = sums(~special[found.ids], found.offsets.astype(np.int64)) > 0
    if keep.all():
        return found
    sizes = np.diff(found.offsets)
    there = np.repeat(keep, sizes)
    ends = np.append(0, np.cumsum(np.where(keep, sizes, 0))).astype(np.int32)
    return found._replace(offsets=ends, ids=found.ids[there], starts=found.starts[there])


def _whole(
    backend: tokenizers.Tokenizer,
    texts: list[str],
    special: BoolArray,
    words: Words,
    refuse: Callable[[int, str], CorpusError],
    coverage: Coverage,
) -> Encoded:
    """Return the tokens of documents that are tokenized as a whole."""
    encodings = encoded(backend.encode_batch, texts, refuse)
    offsets = np.zeros(len(texts) + 1, dtype=np.int32)
    np.cumsum([len(encoding) for encoding in encodings], out=offsets[1:])
    ids = np.fromiter(
        chain.from_iterable(encoding.ids for encoding in encodings), np.int32, offsets[-1]
    )
    outside = special[ids]
    starts = outside | words.starts(encodings, ids, texts)
    starts[1:] |= outside[:-1]
    starts[offsets[:-1][np.diff(offsets) > 0]] = True
    flags = coverage.lost(texts, encodings)
    seams = np.append(0, np.cumsum([len(text) for text in texts], dtype=np.int64))
    visible, lost = (sums(one, seams) for one in flags)
    return Encoded(offsets, ids, starts, visible, lost)
