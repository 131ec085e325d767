"""Fill-mask: the tokens that a model predicts for each mask (clauses FILL-001 to FILL-017)."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mlmref.base.errors import ConfigError
from mlmref.data.tokenizer.encoding import encoded
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.model.max_length import max_length

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from mlmref.plugin.contracts import Vocabulary

PLACEHOLDER = "{mask}"
"""In a prompt, the tokenizer's own mask token (FILL-001)."""

# Mask tokens of any tokenizer, and what people write for one: [MASK], <mask>, [mask], <|mask|>.
_ANY_MASK = re.compile(r"[\[<{]\|?mask\|?[\]>}]", re.IGNORECASE)
# Logits held at once: 64 Mi float32 are 256 MB, some 16 rows of 128 tokens for BERT.
_LOGITS_AT_ONCE = 2**26


TOP_K = 5
"""The default number of answers per mask; fewer if the vocabulary has fewer (FILL-015)."""


class PromptError(ConfigError):
    """A prompt cannot be encoded, has no mask, or is too long."""


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


def fill(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    top_k: int | None = None,
    candidates: Sequence[str] | None = None,
) -> list[Filled]:
    """Return the answers of a masked language model for each mask of some prompts.

    Runs on the model's device, without dropout or gradients, and leaves model, tokenizer and
    torch's random state as they were (FILL-012).

    Args:
        model: any ``*ForMaskedLM``.
        tokenizer: its tokenizer.
        prompts: texts with one or several masks, ``{mask}`` or the tokenizer's own.
        top_k: answers for each mask; by default 5, or all if the vocabulary has fewer. It does not
            limit candidates.
        candidates: words or phrases to score instead, for prompts with one mask. A candidate of k
            subwords is scored with k masks, filled left to right (FILL-008); scores are not
            normalized (FILL-010).

    Returns:
        One entry for each mask, in the order of the prompts and of the masks in them.

    Raises:
        ConfigError: a prompt, ``top_k`` or a candidate is invalid (FILL-002, FILL-003, FILL-011).
        ModelError: the tokenizer cannot be used (see ``vocabulary_of``).
    """
    # Calling a tokenizer switches off the truncation and padding that its file may ask for.
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.split_special_tokens = False  # a mask in a prompt is a mask
    vocabulary = vocabulary_of(tokenizer)
    ordinary = vocabulary.ordinary_ids.tolist()
    limit = max_length(model, tokenizer)
    rows = [_encode(prompt, tokenizer, limit) for prompt in prompts]
    if candidates is not None:
        return _rank(model, tokenizer, vocabulary, prompts, rows, candidates, limit)
    if top_k is None:
        top_k = min(TOP_K, len(ordinary))
    if not 1 <= top_k <= len(ordinary):
        raise ConfigError(
            f"top_k is {top_k}",
            hint=f"ask for 1 to {len(ordinary)} answers, as many as there are ordinary tokens",
        )
    import torch

    from mlmref.model.unchanged import evaluating

    found: dict[tuple[int, int], Filled] = {}
    with evaluating(model), torch.no_grad():
        for row, log_probabilities in _ask(model, rows, vocabulary):
            scores, places = log_probabilities[:, ordinary].exp().topk(top_k)
            for mask, best in enumerate(zip(places.tolist(), scores.tolist(), strict=True), 1):
                answers = tuple(
                    Answer(token=readable(tokenizer, ordinary[place]), score=score)
                    for place, score in zip(*best, strict=True)
                )
                found[row, mask] = Filled(prompt=prompts[row], mask=mask, answers=answers)
    return [found[key] for key in sorted(found)]


def _rank(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
    prompts: Sequence[str],
    rows: Sequence[list[int]],
    candidates: Sequence[str],
    limit: int,
) -> list[Filled]:
    """Score every candidate in every prompt by the chain rule, left to right (FILL-008)."""
    if not candidates:
        raise ConfigError("no candidates", hint="pass at least one, or omit them")
    mask = vocabulary.mask_id
    # For each row with masks: the subwords, of which candidates, to score at its first mask.
    # Candidates with the same beginning share rows, so that one forward pass scores all of them.
    asked: dict[tuple[int, ...], list[tuple[int, int, int]]] = {}
    for row, (prompt, ids) in enumerate(zip(prompts, rows, strict=True)):
        if ids.count(mask) > 1:
            raise ConfigError(
                "candidates need a prompt with a single mask",
                where=_place(prompt),
                hint="use one mask per prompt, or omit the candidates",
            )
        at = ids.index(mask)
        for number, pieces in enumerate(_pieces(prompt, candidates, tokenizer, vocabulary)):
            _check_length(len(ids) - 1 + len(pieces), limit, _place(prompt))
            for done, piece in enumerate(pieces):
                masks = [mask] * (len(pieces) - done)
                key = (*ids[:at], *pieces[:done], *masks, *ids[at + 1 :])
                asked.setdefault(key, []).append((row, number, piece))
    totals = [[0.0] * len(candidates) for _ in prompts]
    import torch

    from mlmref.model.unchanged import evaluating

    questions = list(asked)
    with evaluating(model), torch.no_grad():
        for index, log_probabilities in _ask(model, questions, vocabulary):
            for row, number, piece in asked[questions[index]]:
                totals[row][number] += float(log_probabilities[0, piece])
    ranked = []
    for prompt, total in zip(prompts, totals, strict=True):
        answers = [
            Answer(token=candidate, score=math.exp(log_probability))
            for candidate, log_probability in zip(candidates, total, strict=True)
        ]
        answers.sort(key=lambda answer: -answer.score)
        ranked.append(Filled(prompt=prompt, mask=1, answers=tuple(answers)))
    return ranked


def _encode(prompt: str, tokenizer: PreTrainedTokenizerBase, limit: int) -> list[int]:
    """Return the ids of a prompt.

    Raises:
        ConfigError: the prompt is invalid.
    """
    own = tokenizer.mask_token
    text = prompt.replace(PLACEHOLDER, own)
    if foreign := _ANY_MASK.search(text.replace(own, "")):
        raise ConfigError(
            f"{foreign.group()!r} is not this tokenizer's mask token",
            where=_place(prompt),
            hint=f"write {own!r} or {PLACEHOLDER!r}",
        )
    [ids] = encoded(
        # Otherwise a tokenizer with split_special_tokens would leave no mask (FILL-017).
        lambda texts: tokenizer(texts, verbose=False, split_special_tokens=False)["input_ids"],
        [text],
        lambda _, reason: PromptError(
            f"the tokenizer cannot encode it ({reason})",
            where=_place(prompt),
            hint="write it in tokens that the tokenizer has",
        ),
    )
    if tokenizer.mask_token_id not in ids:
        raise PromptError(
            "no mask to fill", where=_place(prompt), hint=f"write {PLACEHOLDER!r} in it"
        )
    _check_length(len(ids), limit, _place(prompt))
    return list(ids)


def _pieces(
    prompt: str,
    candidates: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
) -> list[list[int]]:
    """Return the subwords of each candidate at its position in the prompt (FILL-009)."""
    own = tokenizer.mask_token
    before, _, after = prompt.replace(PLACEHOLDER, own).partition(own)
    words = [candidate.strip() for candidate in candidates]
    found_in = encoded(
        lambda texts: tokenizer(
            texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        ),
        [before + word + after for word in words],
        lambda index, reason: PromptError(
            f"the tokenizer cannot encode candidate {candidates[index]!r} there ({reason})",
            where=_place(prompt),
            hint="give another word",
        ),
    )
    # A subword may include the blank before the candidate ("Ġman", "▁man"), or be only that
    # blank. It starts at the blank, or after it if the tokenizer trims offsets.
    first = len(before.rstrip())
    special = set(vocabulary.special_ids.tolist())
    found = []
    for candidate, word, ids, offsets in zip(
        candidates, words, found_in["input_ids"], found_in["offset_mapping"], strict=True
    ):
        begin, end = len(before), len(before) + len(word)
        pieces = [
            piece for piece, (start, _) in zip(ids, offsets, strict=True) if first <= start < end
        ]
        if any((start < first and stop > begin) or start < end < stop for start, stop in offsets):
            raise ConfigError(
                f"candidate {candidate!r} and the text around the mask join into one token",
                where=_place(prompt),
                hint="use the whole word as the candidate",
            )
        if not pieces or special.intersection(pieces):
            raise ConfigError(
                f"candidate {candidate!r} is not made of ordinary tokens of the vocabulary",
                where=_place(prompt),
                hint="give another word",
            )
        found.append(pieces)
    return found


def _check_length(tokens: int, limit: int, where: str) -> None:
    if tokens > limit:
        raise PromptError(
            f"{tokens} tokens are more than the model's maximum of {limit}",
            where=where,
            hint="shorten it",
        )


def _place(prompt: str) -> str:
    return f"prompt {prompt if len(prompt) <= 60 else prompt[:57] + '...'!r}"


def readable(tokenizer: PreTrainedTokenizerBase, piece: int) -> str:
    """Return the text of a subword; one blank if it contains nothing else (FILL-007)."""
    return str(tokenizer.decode([piece])).strip() or " "


def _ask(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], vocabulary: Vocabulary
) -> Iterator[tuple[int, Tensor]]:
    """Yield the index of each row and its log-probabilities, float32 ``[masks, vocabulary]``.

    Only rows of the same length share a batch: no row is padded, or depends on another (FILL-013).
    """
    import torch

    from mlmref.base.generators import seed_generators, torch_state
    from mlmref.model.trial import failed
    from mlmref.model.unchanged import unchanged

    def logits(batch: Sequence[int]) -> Tensor:
        """Return the logits of all masks; if the model is random, with one seed for each row."""
        seed_generators(0)
        before = torch_state(model.device)
        ids = torch.tensor([rows[row] for row in batch], device=model.device)
        try:
            with unchanged(model):
                found: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
                found = found[ids == vocabulary.mask_id]
        except Exception as error:
            what, where = f"a prompt of {ids.shape[1]:,} tokens", model.name_or_path or None
            advice = "use a prompt of another length, or another model"
            raise failed(error, model, what, where, lambda: advice) from error
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
