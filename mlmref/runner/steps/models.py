"""Models and tokenizers, and their answers, step by step (clauses API-005 and API-006)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import ConfigError, ModelError
from mlmref.runner.steps.settings import from_keywords
from mlmref.settings.keywords import keywords, takes_settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from mlmref.evaluation.fill_mask import Filled

_MODEL = keywords(("model",), ("model.name",))
_TOKENIZER = keywords(("model",), ("model.name", "model.dropout"))


@takes_settings(_MODEL)
def load_model(name: str | Path = "embedded", **settings: Any) -> PreTrainedModel:
    """Return a masked language model in evaluation mode, loaded from safetensors only.

    >>> import mlmref
    >>> model = mlmref.load_model("embedded")
    >>> f"{model.num_parameters():,}"
    '4,416,698'

    Args:
        name: ``embedded``, a folder such as that of a run, or a name on the hub.

    Raises:
        ModelError: there is no such model, or it is not a masked language model.
        ConfigError: a setting is unknown or invalid.
    """
    from mlmref.model import load

    config = from_keywords(load_model, settings, _MODEL, model_name=str(name))
    return load.load_model(config.model).model


@takes_settings(_TOKENIZER)
def load_tokenizer(name: str | Path = "embedded", **settings: Any) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a masked language model, without loading the model's weights.

    >>> import mlmref
    >>> tokenizer = mlmref.load_tokenizer("embedded")
    >>> tokenizer.mask_token
    '[MASK]'

    Args:
        name: as of :func:`load_model`.

    Raises:
        ModelError: there is no such model, or it has no fast tokenizer with a mask token.
        ConfigError: a setting is unknown or invalid.
    """
    from mlmref.model import load

    config = from_keywords(load_tokenizer, settings, _TOKENIZER, model_name=str(name))
    return load.load_tokenizer(config.model)[0]


def fill_mask(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: str | Sequence[str],
    *,
    top_k: int | None = None,
    candidates: Sequence[str] | None = None,
) -> list[Filled]:
    """Return a model's answers for each mask of some texts, best first.

    The model, the tokenizer and torch's random state do not change.

    >>> import mlmref
    >>> model, tokenizer = mlmref.load_model(), mlmref.load_tokenizer()
    >>> [filled] = mlmref.fill_mask(model, tokenizer, "This is a great [MASK].", top_k=2)
    >>> filled
    Filled('This is a great [MASK].', mask 1: man 3.7%, time 1.1%)
    >>> filled.answers[0].token
    'man'

    Args:
        model: any masked language model of Transformers.
        tokenizer: its tokenizer.
        texts: one text or several, each with ``{mask}`` or the tokenizer's own mask.
        top_k: answers for each mask; by default 5.
        candidates: words or phrases to rank instead.

    Returns:
        One entry for each mask of each text, in order.

    Raises:
        ConfigError: a text, ``top_k`` or a candidate is invalid.
        ModelError: the tokenizer or the model cannot be used.
    """
    from mlmref.evaluation.fill_mask import fill

    check_model(model, "mlmref.fill_mask")
    prompts = [texts] if isinstance(texts, str) else list(texts)
    return fill(model, tokenizer_of(tokenizer), prompts, top_k=top_k, candidates=candidates)


def tokenizer_of(tokenizer: object) -> PreTrainedTokenizerBase:
    """Return a tokenizer that is given as an object or by the name of its model.

    Raises:
        ConfigError: it is neither.
    """
    from transformers import PreTrainedTokenizerBase

    if isinstance(tokenizer, str | Path):
        return load_tokenizer(tokenizer)
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        return tokenizer
    raise ConfigError(
        f"{type(tokenizer).__name__} is not a tokenizer of Transformers",
        where="tokenizer",
        hint="pass a tokenizer, or the name of a model",
    )


def check_model(model: object, where: str) -> None:
    """Refuse an object that is not a masked language model of Transformers.

    Raises:
        ModelError: it is something else; says what to pass.
    """
    from torch import nn

    if isinstance(model, str | Path):
        hint = f"load it first: mlmref.load_model({str(model)!r})"
        raise ModelError(f"{str(model)!r} is a name, not a model", where=where, hint=hint)
    if isinstance(model, nn.Module) and hasattr(model, "config") and hasattr(model, "base_model"):
        return
    hint = "pass a model such as AutoModelForMaskedLM.from_pretrained returns"
    if isinstance(getattr(model, "module", None), nn.Module):
        hint = "pass its .module"
    raise ModelError(
        f"{type(model).__name__} is not a model of Transformers", where=where, hint=hint
    )
