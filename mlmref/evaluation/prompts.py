"""Encode prompts and candidates for their masks (clauses FILL-001 to FILL-003, FILL-009)."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlmref.base.errors import ConfigError
from mlmref.data.tokenizer.encoding import encoded
from mlmref.data.tokenizer.vocabulary import vocabulary_of
from mlmref.model.max_length import max_length

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PLACEHOLDER = "{mask}"
"""In a prompt, the tokenizer's own mask token (FILL-001)."""

# Mask tokens of any tokenizer, and what people write for one: [MASK], <mask>, [mask], <|mask|>.
_ANY_MASK = re.compile(r"[\[<{]\|?mask\|?[\]>}]", re.IGNORECASE)


class PromptError(ConfigError):
    """A prompt cannot be encoded, has no mask, or is too long."""


class PromptEncoder:
    """Encodes prompts for one model.

    Args:
        model: any ``*ForMaskedLM``.
        tokenizer: its tokenizer; the encoder uses a copy.

    Raises:
        ModelError: the tokenizer cannot be used (see ``vocabulary_of``).
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        # Calling a tokenizer switches off the truncation and padding that its file may configure.
        self.tokenizer = copy.deepcopy(tokenizer)
        self.tokenizer.split_special_tokens = False  # it would split the mask token (FILL-017)
        self.vocabulary = vocabulary_of(self.tokenizer)
        self._limit = max_length(model, self.tokenizer)

    def encode(self, prompt: str) -> list[int]:
        """Return the token ids of a prompt, special tokens included.

        Raises:
            ConfigError: the prompt is invalid (FILL-002, FILL-003).
        """
        own = self.tokenizer.mask_token
        text = prompt.replace(PLACEHOLDER, own)
        if foreign := _ANY_MASK.search(text.replace(own, "")):
            raise ConfigError(
                f"{foreign.group()!r} is not this tokenizer's mask token",
                where=_place(prompt),
                hint=f"write {own!r} or {PLACEHOLDER!r}",
            )
        [ids] = encoded(
            lambda texts: self.tokenizer(texts, verbose=False)["input_ids"],
            [text],
            lambda _, reason: PromptError(
                f"the tokenizer cannot encode it ({reason})",
                where=_place(prompt),
                hint="write it in tokens that the tokenizer has",
            ),
        )
        if self.vocabulary.mask_id not in ids:
            raise PromptError(
                "no mask to fill", where=_place(prompt), hint=f"write {PLACEHOLDER!r} in it"
            )
        self._check_length(len(ids), prompt)
        return list(ids)

    def encode_candidates(
        self, prompt: str, ids: Sequence[int], candidates: Sequence[str]
    ) -> list[list[int]]:
        """Return the subwords of each candidate at the mask of a prompt (FILL-009).

        Args:
            prompt: the prompt.
            ids: its token ids.
            candidates: words or phrases.

        Raises:
            ConfigError: the prompt has several masks, a candidate is invalid (FILL-011), or the
                prompt with a candidate is too long.
        """
        if ids.count(self.vocabulary.mask_id) > 1:
            raise ConfigError(
                "candidates need a prompt with a single mask",
                where=_place(prompt),
                hint="use one mask per prompt, or omit the candidates",
            )
        own = self.tokenizer.mask_token
        before, _, after = prompt.replace(PLACEHOLDER, own).partition(own)
        words = [candidate.strip() for candidate in candidates]
        encodings = encoded(
            lambda texts: self.tokenizer(
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
        first, begin = len(before.rstrip()), len(before)
        special = set(self.vocabulary.special_ids.tolist())
        found = []
        for candidate, word, tokens, offsets in zip(
            candidates, words, encodings["input_ids"], encodings["offset_mapping"], strict=True
        ):
            end = begin + len(word)
            subwords = [
                token for token, (at, _) in zip(tokens, offsets, strict=True) if first <= at < end
            ]
            if any((at < first and stop > begin) or at < end < stop for at, stop in offsets):
                raise ConfigError(
                    f"candidate {candidate!r} and the text around the mask join into one token",
                    where=_place(prompt),
                    hint="use the whole word as the candidate",
                )
            if not subwords or special.intersection(subwords):
                raise ConfigError(
                    f"candidate {candidate!r} is not made of ordinary tokens of the vocabulary",
                    where=_place(prompt),
                    hint="give another word",
                )
            found.append(subwords)
        for subwords in found:
            self._check_length(len(ids) - 1 + len(subwords), prompt)
        return found

    def _check_length(self, tokens: int, prompt: str) -> None:
        if tokens > self._limit:
            raise PromptError(
                f"{tokens} tokens are more than the model's maximum of {self._limit}",
                where=_place(prompt),
                hint="shorten it",
            )


def _place(prompt: str) -> str:
    return f"prompt {prompt if len(prompt) <= 60 else prompt[:57] + '...'!r}"
