"""The longest text that a model reads (clause MODEL-007)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NOT_STATED = 1_000_000
"""A limit of this many tokens or more means that there is none, as Transformers' 1e30 does."""

_POSITIONS = {"position_embeddings", "embed_positions"}
_OF_OTHERS = re.compile(r"(^|\.)(vision|entity)")  # modules that do not read the text's tokens


def max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the smallest limit of the tokenizer, the position tables and the configuration.

    The unit is tokens. If none of them states a limit, the value is ``NOT_STATED``.
    """
    import torch

    settings: Any = model.config
    limits = [tokenizer.model_max_length]
    limits += [
        getattr(one, "max_position_embeddings", None)
        for one in (settings, settings.get_text_config())
    ]
    for name, buffer in model.named_buffers():
        if name.rpartition(".")[2] == "position_ids" and not _OF_OTHERS.search(name):
            limits.append(buffer.shape[-1])
    for name, module in model.named_modules():
        table: Any = getattr(module, "weight", None)
        known = name.rpartition(".")[2] in _POSITIONS and not _OF_OTHERS.search(name)
        if known and isinstance(table, torch.Tensor) and table.dim() == 2:
            # RoBERTa's positions begin after that of the padding, BART's at 2.
            padding = getattr(module, "padding_idx", None)
            offset = 0 if padding is None else padding + 1
            limits.append(len(table) - getattr(module, "offset", offset))
    stated = [one for one in limits if isinstance(one, int | float) and 0 < one < NOT_STATED]
    return int(min(stated, default=NOT_STATED))
