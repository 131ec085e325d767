"""The held-out chunks that a page shows: their text, and the model's answers."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mlmref.data.tokens.spelling import Spelling
from mlmref.evaluation.kept_targets import Targets, evenly
from mlmref.masking.rates import NAMES, PADDING, Looked, look
from mlmref.plugin.arrays import IGNORE_INDEX
from mlmref.plugin.draws import EVALUATION_PASS
from mlmref.runner.log.target_table import short

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.runner.prepare import Ready

CHUNKS, POSITIONS, ASKED = 16, 4_096, 480
"""The most chunks, tokens and targets shown, which a page of 2 MB has room for."""

BEST = 5
"""Answers that are kept for each target."""

_LOGITS = 16  # targets whose logits are evaluated at once


def explorer(ready: Ready, targets: Targets) -> list[dict[str, Any]]:
    """Return some held-out chunks as text.

    Returns:
        For each chunk its number among the held-out ones (``row``) and in the corpus (``chunk``),
        the ``places`` of its first and last document, the number of its ``tokens`` and of those
        ``shown``, and its ``units``. A unit is a list: text, whether it continues the word before,
        its kind (of :data:`mlmref.masking.rates.NAMES`, or ``boundary`` before another document)
        and, for a target, the token that the model reads and the true token.
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
    """Return the units of a single chunk: each target alone, and other words as a whole."""
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
    """Return the model's answers at the targets of the chunks that are shown.

    The model reads one chunk at a time, so the answers do not depend on a batch size.

    Returns:
        For each chunk, and each of its shown targets, the loss of the true token (``nll``, in
        nats), the number of more probable tokens (``rank``), and the ``best`` answers, each with
        its text and probability, rounded.
    """
    import torch

    from mlmref.base.generators import seed_generators
    from mlmref.evaluation.fill_mask import readable
    from mlmref.model.gathering import at_targets
    from mlmref.model.unchanged import evaluating, unchanged

    model, tokenizer, device = ready.objective.model, ready.loaded.tokenizer, ready.objective.device
    vocabulary = ready.chunks.tokens.vocabulary
    ordinary = torch.from_numpy(vocabulary.ordinary_ids).long().to(device)
    spelled = cache(lambda token_id: short(readable(tokenizer, token_id)))
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
                            [spelled(token_id), round(share, 5)]
                            for token_id, share in zip(best_ids, shares, strict=True)
                        ],
                    }
                    for of_true, rank, best_ids, shares in zip(*columns, strict=True)
                ]
            found.append(of_chunk)
    return found
