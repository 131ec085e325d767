"""Held-out targets as text: their words, the chunks shown, and the model's answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from mlmref.data.tokens.spelling import Spelling
from mlmref.evaluation.kept_targets import Targets, evenly
from mlmref.masking.rates import NAMES, PADDING, Looked, look
from mlmref.plugin.arrays import IGNORE_INDEX, BoolArray, Int64Array
from mlmref.plugin.draws import EVALUATION_PASS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.chunks import Chunks
    from mlmref.runner.prepare import Ready

CHUNKS, POSITIONS, ASKED = 16, 4_096, 480
"""Chunks, tokens and targets that are shown, at most: what a page of 2 MB has room for."""

LONGEST = 32
"""Characters of a token or word that are kept."""

BEST = 5
"""Answers that are kept for each target."""

PARTS = ("whole", "first", "later")
"""What a token is of its word: all of it, its first piece, or a later one."""

_BLOCK = 256  # chunks looked up at a time
_LOGITS = 16  # targets whose vocabulary is looked through at a time


def columns(ready: Ready, targets: Targets, counts: Int64Array) -> pa.Table:
    """Return a row for each target, with all that is known before a model is asked.

    Args:
        ready: chunks and masks.
        targets: the targets.
        counts: int64 ``[V]``, how often each token is in the training text.

    Returns:
        ``chunk`` (its number in the corpus), ``position`` in it, ``token`` (its id), ``text``,
        ``word`` (text of the word that it is in), ``part`` (of :data:`PARTS`; null where the
        tokenizer tells no words), ``count`` in the training text.
    """
    test, spelling = ready.split.test, Spelling(ready.loaded.tokenizer)
    known: dict[bytes, int] = {}
    texts: list[str] = []
    words: list[int] = []
    ids, parts = [np.empty(0, np.int32)], [np.empty(0, np.int8)]
    for word in _words(ready, targets):
        ids.append(word.ids[word.targets])
        parts.append(word.parts)
        for begin, end in zip(word.begins.tolist(), word.ends.tolist(), strict=True):
            key = word.ids[begin:end].tobytes()
            if key not in known:
                known[key] = len(texts)
                texts.append(short(spelling.text(word.ids[begin:end][:LONGEST].tolist())))
            words.append(known[key])
    token = np.concatenate(ids)
    unique, inverse = np.unique(token, return_inverse=True)
    pieces = [short(one) for one in spelling.subwords(unique.tolist())] if len(unique) else []
    has_words = ready.chunks.tokens.has_words
    part = pa.DictionaryArray.from_arrays(pa.array(np.concatenate(parts)), pa.array(PARTS))
    return pa.table(
        {
            "chunk": pa.array(test.ids[targets.rows], pa.int64()),
            "position": pa.array(targets.positions, pa.int32()),
            "token": pa.array(token, pa.int32()),
            "text": _dictionary(inverse, pieces),
            "word": _dictionary(np.array(words, np.int64), texts),
            "part": part if has_words else pa.nulls(len(token), part.type),
            "count": pa.array(counts[token], pa.int64()),
        }
    )


def _dictionary(indices: Int64Array, texts: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, pa.int32()), pa.array(texts, pa.string())
    )


class _Words(NamedTuple):
    """The words that some chunks' targets are in.

    Attributes:
        ids: int32 ``[k]``, the chunks' tokens, row by row.
        targets: int64 ``[n]``, where in them each target is.
        begins, ends: int64 ``[n]``, where in them its word begins and ends.
        parts: int8 ``[n]``, of :data:`PARTS`.
    """

    ids: np.ndarray[Any, np.dtype[np.int32]]
    targets: Int64Array
    begins: Int64Array
    ends: Int64Array
    parts: np.ndarray[Any, np.dtype[np.int8]]


def _words(ready: Ready, targets: Targets) -> Iterator[_Words]:
    """Find the words of the targets, some chunks at a time."""
    has_words = ready.chunks.tokens.has_words
    for first in range(0, len(targets.chunks), _BLOCK):
        some = targets.chunks[first : first + _BLOCK]
        rows = ready.split.test.gather(some)
        looked = look(ready.masker, rows, EVALUATION_PASS)
        span = slice(*np.searchsorted(targets.rows, [some[0], some[-1] + 1]))
        at = np.searchsorted(some, targets.rows[span]) * targets.width + targets.positions[span]
        # A word's tokens lie side by side; where a row ends, a word does.
        flat = looked.words + np.arange(len(some))[:, None] * (targets.width + 1)
        edges = np.flatnonzero(np.diff(flat.ravel(), prepend=-2, append=-2))
        nth = np.searchsorted(edges, at, side="right") - 1
        begins, ends = edges[nth], edges[nth + 1]
        if not has_words:
            begins, ends = at, at + 1
        # But of which piece of it a token is, the chunk's edges have no say.
        test, row = ready.split.test, at // targets.width
        from_before = (begins == row * targets.width) & _goes_on(test, test.starts[some])[row]
        last = row * targets.width + rows.lengths[row]
        to_next = (ends == last) & _goes_on(test, test.starts[some] + rows.lengths)[row]
        whole = (ends - begins == 1) & ~from_before & ~to_next
        parts = np.select([whole, (begins == at) & ~from_before], [0, 1], 2).astype(np.int8)
        yield _Words(rows.input_ids.ravel(), at, begins, ends, parts)


def _goes_on(chunks: Chunks, at: Int64Array) -> BoolArray:
    """Tell where the word of the token before goes on, at places of the stream, bool ``[B]``."""
    found = np.zeros(len(at), np.bool_)
    nth = np.searchsorted(chunks.offsets, at, side="right") - 1
    inside = (at < chunks.offsets[-1]) & (at > chunks.offsets[nth])  # no document's first token
    nth, at = nth[inside], at[inside]
    here = at - chunks.offsets[nth] + chunks.tokens.offsets[chunks.documents[nth]]
    ids, starts = chunks.tokens.take(here[:, None] - [1, 0])
    special = np.isin(ids, chunks.tokens.vocabulary.special_ids).any(axis=1)
    found[inside] = ~starts[:, 1] & ~special
    return found


def explorer(ready: Ready, targets: Targets) -> list[dict[str, Any]]:
    """Return some held-out chunks as text.

    Returns:
        For each its number among the held-out ones (``row``) and in the corpus (``chunk``), the
        ``places`` of the first and the last document of which it has tokens, its ``tokens``, how
        many of them are ``shown``, and ``units``: text, whether it goes on the word before it,
        what it is (of :data:`mlmref.masking.rates.NAMES`, or ``boundary`` where another document
        begins) and, for a target, what the model reads and its own spelling.
    """
    with_targets = np.unique(targets.rows)
    number = min(CHUNKS, max(4, POSITIONS // targets.width))
    chosen = with_targets[evenly(len(with_targets), number)]
    found = []
    for row in chosen.tolist():
        looked = look(ready.masker, ready.split.test.gather(np.array([row])), EVALUATION_PASS)
        tokens = int(looked.rows.lengths[0])
        shown = min(tokens, POSITIONS // number)
        asked = np.flatnonzero(looked.masked.labels[0] != IGNORE_INDEX)
        if len(asked) > ASKED // number:
            shown = min(shown, int(asked[ASKED // number]))
        found.append(
            {
                "row": row,
                "chunk": int(ready.split.test.ids[row]),
                "places": [
                    ready.corpus.place(looked.rows.documents[0, at]) for at in (0, tokens - 1)
                ],
                "tokens": tokens,
                "shown": shown,
                "units": _units(looked, shown, ready.loaded.tokenizer),
            }
        )
    return found


def _units(looked: Looked, shown: int, tokenizer: PreTrainedTokenizerBase) -> list[list[Any]]:
    """Return the tokens of the only chunk: each target by itself, and of other words the whole."""
    from mlmref.evaluation.fill_mask import readable

    spelling = Spelling(tokenizer)
    kinds, words = looked.kinds[0], looked.words[0]
    documents, ids = looked.rows.documents[0], looked.rows.input_ids[0]
    target = looked.masked.labels[0] != IGNORE_INDEX
    begins = np.ones(shown + 1, np.bool_)
    same = (words[1:shown] == words[: shown - 1]) & (words[1:shown] >= 0)
    begins[1:shown] = ~same | target[1:shown] | target[: shown - 1]
    units: list[list[Any]] = []
    for begin, end in pairwise(np.flatnonzero(begins).tolist()):
        if kinds[begin] == PADDING:
            break
        if begin and documents[begin] != documents[begin - 1]:
            units.append(["║", False, "boundary"])
        joined = bool(begin and words[begin] >= 0 and words[begin] == words[begin - 1])
        units.append([short(spelling.text(ids[begin:end].tolist())), joined, NAMES[kinds[begin]]])
        if target[begin]:
            pair = [int(looked.masked.input_ids[0, begin]), int(ids[begin])]
            units[-1] += [short(readable(tokenizer, one)) for one in pair]
    return units


def answers(ready: Ready, shown: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Ask the model what belongs at the targets of the chunks that are shown.

    One chunk at a time, so that nothing depends on the batch size of evaluation.

    Returns:
        For each chunk, and each of its targets that is shown, the loss of the true token (``nll``,
        in nats), how many tokens were thought likelier (``rank``), and the ``best`` answers, each
        with its text and probability; all rounded.
    """
    import torch

    from mlmref.base.generators import seed_generators
    from mlmref.evaluation.fill_mask import readable
    from mlmref.model.gathering import at_targets
    from mlmref.model.unchanged import evaluating, unchanged

    model, tokenizer, device = ready.objective.model, ready.loaded.tokenizer, ready.objective.device
    vocabulary = ready.chunks.tokens.vocabulary
    ordinary = torch.from_numpy(vocabulary.ordinary_ids).long().to(device)
    spelled = cache(lambda piece: short(readable(tokenizer, piece)))
    path = ready.objective.path
    path = "gathered" if path == "projected" else path
    found = []
    with (
        evaluating(model),
        torch.inference_mode(),
        torch.autocast(device.type, enabled=False),
    ):
        for chunk in shown:
            rows = ready.split.test.gather(np.array([chunk["row"]]))
            masked = ready.masker(rows, EVALUATION_PASS)
            labels = masked.labels.copy()
            labels[:, chunk["shown"] :] = IGNORE_INDEX
            arrays = (masked.input_ids, masked.attention_mask, labels)
            ids, mask, asked = (torch.from_numpy(one).long().to(device) for one in arrays)
            seed_generators(chunk["row"])  # as in evaluation, if the model draws
            with unchanged(model):
                logits, true = at_targets(model, ids, mask, asked, path)
            of_chunk: list[dict[str, Any]] = []
            for first in range(0, len(true), _LOGITS):
                log = logits[first : first + _LOGITS].float().log_softmax(1)
                own = log.gather(1, true[first : first + _LOGITS, None])
                best = log.index_select(1, ordinary).topk(min(BEST, len(ordinary)), 1)
                columns = (
                    own[:, 0].tolist(),
                    (log > own).sum(1).tolist(),
                    ordinary[best.indices].tolist(),
                    best.values.exp().tolist(),
                )
                of_chunk += [
                    {
                        "nll": round(-of_true, 4),
                        "rank": rank,
                        "best": [
                            [spelled(piece), round(share, 5)]
                            for piece, share in zip(pieces, shares, strict=True)
                        ],
                    }
                    for of_true, rank, pieces, shares in zip(*columns, strict=True)
                ]
            found.append(of_chunk)
    return found


def short(text: str) -> str:
    """Cut a text that would fill the page."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
