"""Spell tokens: as in the vocabulary, or as text (PREV-005)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlmref.base.terminal import plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TARGET, BECOMES, TARGET_END = "⟦", "→", "⟧"
SPECIAL, SPECIAL_END = "⟨", "⟩"
BOUNDARY = "║"
"""Marks of the categories for output without colour and for colour-blind readers."""

_SPELLED = {
    # A line is one chunk, and a mark in the text would look like one of ours.
    **{ord(one): f"\\u{ord(one):04x}" for one in "⟦→⟧⟨⟩║\u2028\u2029"},
    ord("\n"): "\\n",
    ord("\t"): "\\t",
    ord("\r"): "\\r",
}
_BLANK = "␣"
_DAMAGED = "\ufffd"
_BEFORE = "a"  # a token that no vocabulary has as a subword, special token or blank


class Spelling:
    """Spells the tokens of one tokenizer.

    Args:
        tokenizer: a fast tokenizer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._decoder = tokenizer.backend_tokenizer.decoder

    def subwords(self, ids: Sequence[int]) -> list[str]:
        """Return each token as the vocabulary spells it, with a visible sign for a blank."""
        return [shown(subword.replace(" ", _BLANK)) for subword in self._spelled(ids)]

    def text(self, ids: Sequence[int]) -> str:
        """Return consecutive tokens as one text, without blanks around it.

        If the tokens contain only a part of a character, or the tokenizer has no decoder, the text
        is the spelling of the subwords in the vocabulary.
        """
        subwords = self._spelled(ids)
        # After another token, because a decoder treats the first one differently: a subword would
        # keep its ##, a word would lose its blank.
        whole = self._decoder.decode([_BEFORE, *subwords]) if self._decoder else ""
        if not whole.startswith(_BEFORE) or _DAMAGED in whole:
            return shown("".join(subwords))
        return shown(whole.removeprefix(_BEFORE))

    def _spelled(self, ids: Sequence[int]) -> list[str]:
        return [str(one) for one in self._tokenizer.convert_ids_to_tokens(list(ids))]


def shown(text: str) -> str:
    """Return a text whose control characters and marks are spelled out; a single blank is shown."""
    return plain(text.strip(" ").translate(_SPELLED)) or _BLANK
