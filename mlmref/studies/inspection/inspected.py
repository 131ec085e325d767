"""The data that an inspection looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlmref.base.errors import MlmrefError
from mlmref.settings.config import Config

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from mlmref.data.chunks import Chunks
    from mlmref.data.corpus.corpus import Corpus
    from mlmref.data.split import Split
    from mlmref.data.tokens.tokens import Tokens
    from mlmref.studies.inspection.counts import Counted
    from mlmref.studies.inspection.reading import Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What is looked at.

    Attributes:
        config: what a run would do.
        tokenizer: the model's.
        max_length: the most tokens that the model reads at once.
        corpus, seen: the documents, and what was seen of each.
        tokens, counted: their tokens, and how many there are of each.
        chunks: as a run cuts them, or would if it were not refused.
        split: as a run holds out; ``None`` where it cannot.
        refused: what a run would be refused for at chunks and split.
    """

    config: Config
    tokenizer: PreTrainedTokenizerBase
    max_length: int
    corpus: Corpus
    seen: Seen
    tokens: Tokens
    counted: Counted
    chunks: Chunks
    split: Split | None
    refused: tuple[MlmrefError, ...]
