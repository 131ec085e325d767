"""Word starts among tokens, from the tokenizer itself or from a word segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mlmref.plugin.arrays import BoolArray, Int32Array

if TYPE_CHECKING:
    import tokenizers


class Words(Protocol):
    """Finds the tokens that begin a word: by the tokenizer, or by a segmenter."""

    @property
    def told(self) -> bool:
        """Whether there are words at all."""
        ...

    @property
    def identity(self) -> dict[str, Any] | None:
        """Everything that shapes the words besides text and tokenizer; ``None`` for nothing."""
        ...

    def starts(
        self, encodings: Sequence[tokenizers.Encoding], ids: Int32Array, texts: Sequence[str]
    ) -> BoolArray:
        """Return which of the documents' tokens begin a word, bool ``[N]``."""
        ...
