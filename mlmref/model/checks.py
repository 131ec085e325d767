"""Check a model's files and weights, and report a problem in one line.

Clauses MODEL-004, MODEL-009, MODEL-010, SEC-001 and SEC-002 (spec/model.md, spec/security.md).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import ModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

_JSON = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
"""Files of a model that must contain a JSON object, if they exist."""


def check_folder(name: str, folder: Path) -> None:
    """Check the files of a model's folder; other libraries name a damaged file less clearly.

    Raises:
        OSError: the folder or one of the files cannot be read.
        ModelError: the folder has no model, or one of the files is damaged.
    """
    for one in sorted(folder.iterdir()):
        if one.suffix == ".safetensors":
            # Without the permission to read, safetensors reports a missing file.
            one.open("rb").close()
    if (folder / "adapter_config.json").exists():
        raise ModelError(
            "it holds an adapter, which is no whole model",
            where=name,
            hint="merge the adapter into its model first",
        )
    if not (folder / "config.json").exists():
        raise ModelError(
            "there is no model in it, having no config.json",
            where=name,
            hint="give a folder that save_pretrained wrote, or a finished run's",
        )
    for file in _JSON:
        if (folder / file).exists():
            _check_json(name, folder / file)


def _check_json(name: str, file: Path) -> None:
    try:
        whole = isinstance(json.loads(file.read_bytes()), dict)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise ModelError(
            f"its {file.name} is damaged: no JSON object", where=name, hint="get the model again"
        )


def check_weights_format(name: str, settings: PretrainedConfig) -> None:
    """Refuse a config.json that names weights in another format than safetensors (SEC-001)."""
    weights = getattr(settings, "transformers_weights", None)
    if weights and not str(weights).endswith((".safetensors", ".safetensors.index.json")):
        raise ModelError(
            f"its config.json names {weights} as its weights",
            where=name,
            hint="only safetensors are read; convert the weights with save_pretrained first",
        )


def check_head(name: str, place: str, info: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that lacks weights of the model, and say where they may be.

    Args:
        name: the user's name for the model.
        place: its folder, or its name on the hub.
        info: Transformers' ``output_loading_info``.

    Raises:
        ModelError: names one of the weights.
    """
    lacking = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
    if not lacking:
        return
    hint = "give a checkpoint that was pretrained with a masked-language-model head"
    if any(str(key).startswith("lm_predictions.") for key in info["unexpected_keys"]):
        hint = 'its head is DeBERTa\'s own: set "legacy": false in its config.json'
    elif (Path(place) / "pytorch_model.bin").is_file():
        hint = f"if pytorch_model.bin has them, {conversion(place)}"
    raise ModelError(
        f"no masked language model: it has no weights for {lacking[0]}", where=name, hint=hint
    )


def conversion(place: str) -> str:
    """Return the command that converts a folder's pickled weights to safetensors."""
    code = (
        "from transformers import AutoModelForMaskedLM as M; "
        f"M.from_pretrained({place!r}, use_safetensors=False).save_pretrained({place!r})"
    )
    quoted = shlex.quote(code) if set('"$`\\!') & set(code) else f'"{code}"'
    return f"convert it: python -c {quoted}"


def check_weights(name: str, model: PreTrainedModel) -> None:
    """Raise a ModelError that names a weight with NaN or infinity (MODEL-009)."""
    import torch

    for key, tensor in model.named_parameters():
        if not torch.isfinite(tensor).all():
            what = "NaN" if torch.isnan(tensor).any() else "infinity"
            raise ModelError(
                f"its weights are damaged: there is {what} in {key}",
                where=name,
                hint="get the model again, or an earlier checkpoint of its training",
            )


def check_tokenizer(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise a ModelError for a tokenizer that does not suit the model (MODEL-004)."""
    from mlmref.data.tokenizer.vocabulary import vocabulary_of

    vocabulary = vocabulary_of(tokenizer)
    if not len(vocabulary.ordinary_ids):
        # Transformers builds an empty tokenizer if the files are missing.
        raise ModelError(
            "its tokenizer has no tokens but special ones",
            where=name,
            hint="put the tokenizer's files beside the model's",
        )
    limit = tokenizer.model_max_length
    if not isinstance(limit, int | float) or not limit >= 1:
        raise ModelError(
            f"its tokenizer's model_max_length is {limit!r}",
            where=name,
            hint="set it in tokenizer_config.json to the most tokens that the model reads",
        )
    rows = _rows(model)
    if vocabulary.size > rows:
        raise ModelError(
            f"the tokenizer has {vocabulary.size:,} tokens and the model {rows:,} rows for them",
            where=name,
            hint="if tokens were added, call model.resize_token_embeddings(len(tokenizer)) and "
            "model.save_pretrained; otherwise use the model's own tokenizer"
            if tokenizer.mask_token_id < rows
            else "the mask token is one of those that the model lacks: choose a model that was "
            "trained with masks",
        )


def _rows(model: PreTrainedModel) -> int:
    """Return the number of tokens that a model has an embedding for."""
    try:
        embedding: Any = model.get_input_embeddings()
        return len(embedding.weight)  # an Embedding, or I-BERT's quantizable one
    except (AttributeError, NotImplementedError, TypeError):  # Perceiver does not name its own
        return int(model.config.get_text_config().vocab_size)
