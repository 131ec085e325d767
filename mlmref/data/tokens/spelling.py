"""Spell tokens as text: as in the vocabulary, or as part of a word (PREV-005)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlmref.base.terminal import plain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TARGET, BECOMES, TARGET_END = "⟦", "→", "⟧"
SPECIAL, SPECIAL_END = "⟨", "⟩"
BOUNDARY = "║"
"""Marks that tell the categories where there is no colour, and to who does not see it."""

_SPELLED = {
    # A line is one chunk's, and a mark that stands in the text would be taken for one of ours.
    **{ord(one): f"\\u{ord(one):04x}" for one in "⟦→⟧⟨⟩║\u2028\u2029"},
    ord("\n"): "\\n",
    ord("\t"): "\\t",
    ord("\r"): "\\r",
}
_BLANK = "␣"
_DAMAGED = "\ufffd"
_BEFORE = "a"  # a token that is no word piece, special or blank in anybody's vocabulary


class Spelling:
    """Spells the tokens of one tokenizer.

    Args:
        tokenizer: a fast tokenizer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._decoder = tokenizer.backend_tokenizer.decoder

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return each token as the vocabulary spells it, a blank in it as a sign."""
        return [shown(piece.replace(" ", _BLANK)) for piece in self._spelled(ids)]

    def text(self, ids: Sequence[int]) -> str:
        """Return tokens that follow each other as one text, without blanks round it.

        Where the tokens hold a part of a character alone, or the tokenizer has no decoder, it is
        the pieces of the vocabulary, one after the other.
        """
        pieces = self._spelled(ids)
        # Behind another token, since a decoder treats the first one in a way of its own: a word
        # piece would keep its ##, a word lose its blank.
        whole = self._decoder.decode([_BEFORE, *pieces]) if self._decoder else ""
        if not whole.startswith(_BEFORE) or _DAMAGED in whole:
            return shown("".join(pieces))
        return shown(whole.removeprefix(_BEFORE))

    def _spelled(self, ids: Sequence[int]) -> list[str]:
        return [str(one) for one in self._tokenizer.convert_ids_to_tokens(list(ids))]


def shown(text: str) -> str:
    """Spell out what moves a cursor, ends a line or looks like a mark; a blank alone is shown."""
    return plain(text.strip(" ").translate(_SPELLED)) or _BLANK
