"""Fill-mask: the tokens that a model predicts for each mask (clauses FILL-004 to FILL-015)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mlmref.base.errors import ConfigError
from mlmref.base.number_format import chance
from mlmref.evaluation.prompts import PromptEncoder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from mlmref.plugin.batches import Vocabulary

TOP_K = 5
"""The default number of answers per mask; fewer if the vocabulary has fewer (FILL-015)."""

# Logits computed at once: 64 Mi float32 are 256 MB, some 16 rows of 128 tokens for BERT.
_LOGITS_AT_ONCE = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer for a mask.

    Attributes:
        token: the text of the subword, or the candidate as given (FILL-007).
        score: its probability, in [0, 1] (FILL-005, FILL-008).
    """

    token: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The answers for one mask of one prompt.

    Attributes:
        prompt: the prompt as given.
        mask: the number of the mask in the prompt, from 1 (FILL-004).
        answers: best first.
    """

    prompt: str
    mask: int
    answers: tuple[Answer, ...]

    def __repr__(self) -> str:
        best = ", ".join(f"{one.token} {chance(one.score)}" for one in self.answers)
        return f"Filled({self.prompt!r}, mask {self.mask}: {best})"


def fill(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    top_k: int | None = None,
    candidates: Sequence[str] | None = None,
) -> list[Filled]:
    """Return the answers of a masked language model for each mask of some prompts.

    The model runs on its device, without dropout or gradients. The model, the tokenizer and torch's
    random state do not change (FILL-012).

    Args:
        model: any ``*ForMaskedLM``.
        tokenizer: its tokenizer.
        prompts: texts with one or several masks, ``{mask}`` or the tokenizer's own.
        top_k: answers for each mask; by default 5, or all if the vocabulary has fewer. It does not
            limit candidates.
        candidates: words or phrases to score instead, for prompts with one mask. A candidate of k
            subwords is scored with k masks, filled left to right (FILL-008). Scores are not
            normalized (FILL-010).

    Returns:
        One entry for each mask, in the order of the prompts and of the masks in them.

    Raises:
        ConfigError: a prompt, ``top_k`` or a candidate is invalid (FILL-002, FILL-003, FILL-011).
        ModelError: the tokenizer cannot be used (see ``vocabulary_of``).
    """
    encoder = PromptEncoder(model, tokenizer)
    rows = [encoder.encode(prompt) for prompt in prompts]
    if candidates is not None:
        return _rank(model, encoder, prompts, rows, candidates)
    ordinary = encoder.vocabulary.ordinary_ids.tolist()
    if top_k is None:
        top_k = min(TOP_K, len(ordinary))
    if not 1 <= top_k <= len(ordinary):
        raise ConfigError(
            f"top_k is {top_k}",
            hint=f"use 1 to {len(ordinary)}, the number of ordinary tokens",
        )
    import torch

    from mlmref.model.unchanged import evaluating

    found: dict[tuple[int, int], Filled] = {}
    with evaluating(model), torch.no_grad():
        for row, log_probabilities in _predict(model, rows, encoder.vocabulary):
            scores, places = log_probabilities[:, ordinary].exp().topk(top_k)
            for mask, best in enumerate(zip(places.tolist(), scores.tolist(), strict=True), 1):
                answers = tuple(
                    Answer(token=readable(encoder.tokenizer, ordinary[place]), score=score)
                    for place, score in zip(*best, strict=True)
                )
                found[row, mask] = Filled(prompt=prompts[row], mask=mask, answers=answers)
    return [found[key] for key in sorted(found)]


def _rank(
    model: PreTrainedModel,
    encoder: PromptEncoder,
    prompts: Sequence[str],
    rows: Sequence[list[int]],
    candidates: Sequence[str],
) -> list[Filled]:
    """Score every candidate in every prompt by the chain rule, left to right (FILL-008)."""
    if not candidates:
        raise ConfigError("no candidates", hint="pass at least one, or omit them")
    mask = encoder.vocabulary.mask_id
    # Each key is a row to predict, each value the subwords to score at its first mask, with their
    # prompt and candidate. Candidates with the same beginning share a row.
    scored: dict[tuple[int, ...], list[tuple[int, int, int]]] = {}
    for row, (prompt, ids) in enumerate(zip(prompts, rows, strict=True)):
        at = ids.index(mask)
        for number, subwords in enumerate(encoder.encode_candidates(prompt, ids, candidates)):
            for done, subword in enumerate(subwords):
                masks = [mask] * (len(subwords) - done)
                key = (*ids[:at], *subwords[:done], *masks, *ids[at + 1 :])
                scored.setdefault(key, []).append((row, number, subword))
    totals = [[0.0] * len(candidates) for _ in prompts]
    import torch

    from mlmref.model.unchanged import evaluating

    keys = list(scored)
    with evaluating(model), torch.no_grad():
        for index, log_probabilities in _predict(model, keys, encoder.vocabulary):
            for row, number, subword in scored[keys[index]]:
                totals[row][number] += float(log_probabilities[0, subword])
    ranked = []
    for prompt, total in zip(prompts, totals, strict=True):
        answers = [
            Answer(token=candidate, score=math.exp(log_probability))
            for candidate, log_probability in zip(candidates, total, strict=True)
        ]
        answers.sort(key=lambda answer: -answer.score)
        ranked.append(Filled(prompt=prompt, mask=1, answers=tuple(answers)))
    return ranked


def readable(tokenizer: PreTrainedTokenizerBase, token_id: int) -> str:
    """Return the text of a subword; one blank if it contains nothing else (FILL-007)."""
    return str(tokenizer.decode([token_id])).strip() or " "


def _predict(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], vocabulary: Vocabulary
) -> Iterator[tuple[int, Tensor]]:
    """Yield the index of each row and its log-probabilities, float32 ``[masks, vocabulary]``.

    Only rows of the same length share a batch, so no row is padded or depends on another
    (FILL-013).
    """
    import torch

    from mlmref.base.generators import seed_generators, torch_state
    from mlmref.model.trial import failed
    from mlmref.model.unchanged import unchanged

    def logits(batch: Sequence[int]) -> Tensor:
        """Return the logits of all masks; a random model gets the same seed for each row."""
        seed_generators(0)
        before = torch_state(model.device)
        ids = torch.tensor([rows[row] for row in batch], device=model.device)
        try:
            with unchanged(model):
                found: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
                found = found[ids == vocabulary.mask_id]
        except Exception as error:
            what, where = f"a prompt of {ids.shape[1]:,} tokens", model.name_or_path or None
            hint = "use a prompt of another length, or another model"
            raise failed(error, model, what, where, lambda: hint) from error
        if len(batch) > 1 and not torch.equal(torch_state(model.device), before):
            return torch.cat([logits([row]) for row in batch])
        return found

    by_length = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    for length, group in groupby(by_length, key=lambda row: len(rows[row])):
        members = list(group)
        size = max(1, _LOGITS_AT_ONCE // (length * vocabulary.size))
        for start in range(0, len(members), size):
            batch = members[start : start + size]
            log_probabilities = logits(batch).float().log_softmax(-1)
            masks = [rows[row].count(vocabulary.mask_id) for row in batch]
            yield from zip(batch, torch.split(log_probabilities, masks), strict=True)
