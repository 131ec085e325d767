"""Load a masked language model and its tokenizer (clauses MODEL-001 to MODEL-012)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import ModelError
from mlmref.model import checkpoint
from mlmref.model.agreement import compare_documents, load_tokenizer_of
from mlmref.model.checks import check_head, check_tokenizer, check_weights, check_weights_format
from mlmref.model.max_length import max_length
from mlmref.model.source import find_model, loading
from mlmref.settings.config import ModelConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from mlmref.base.progress import Reporter
    from mlmref.data.corpus.corpus import Corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model, its tokenizer, and which one it is.

    Attributes:
        model: a ``*ForMaskedLM`` in float32 and evaluation mode.
        tokenizer: a fast tokenizer with a mask token.
        name: the user's name for it.
        revision: the commit on the hub, if it is from there.
        digest: SHA-256 of the weights in hexadecimal: of the folder's safetensors files in order,
            or of the tensors if the files are in the hub's cache.
        max_length: the most tokens that the model reads at once, or ``NOT_STATED``.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    revision: str | None
    digest: str
    max_length: int

    def __str__(self) -> str:
        revision = f"revision {self.revision[:12]}, " if self.revision else ""
        return f"{self.name} ({revision}sha256 {self.digest[:12]})"


def load_model(config: ModelConfig) -> LoadedModel:
    """Return a model and its tokenizer, loaded from safetensors only.

    Raises:
        ModelError: there is no model, no masked-language-model head with weights, no fast tokenizer
            with a mask token, or the tokenizer has more tokens than the model has rows.
    """
    import torch

    source = find_model(config)
    model, tokenizer, info = pretrained(config, "AutoModelForMaskedLM")
    check_head(config.name, source.place, info)
    check_weights(config.name, model)
    check_tokenizer(config.name, model, tokenizer)
    if config.dropout != "checkpoint":
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = config.dropout
    return LoadedModel(
        model=model.eval(),
        tokenizer=tokenizer,
        name=config.name,
        revision=source.commit,
        digest=_digest(source.saved or Path(source.place), model),
        max_length=max_length(model, tokenizer),
    )


def load_tokenizer(config: ModelConfig) -> tuple[PreTrainedTokenizerBase, int]:
    """Return a model's tokenizer and maximum length, without loading its weights (MODEL-012).

    Raises:
        ModelError: there is no masked language model, no fast tokenizer with a mask token, or the
            tokenizer has more tokens than the model has rows.
    """
    import torch
    import transformers

    source = find_model(config)
    with loading(config.name, source):
        settings = transformers.AutoConfig.from_pretrained(
            source.place, revision=source.revision, trust_remote_code=config.trust_remote_code
        )
        check_weights_format(config.name, settings)
        tokenizer = load_tokenizer_of(config, source)
        # Modules with shapes but without numbers; limits and rows are those of the model.
        build: Any = transformers.AutoModelForMaskedLM.from_config  # it is not annotated
        with torch.device("meta"):
            shape = build(
                settings, trust_remote_code=config.trust_remote_code, **_attention(config)
            )
    check_tokenizer(config.name, shape, tokenizer)
    return tokenizer, max_length(shape, tokenizer)


def check_documents(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase, corpus: Corpus, reporter: Reporter
) -> None:
    """Compare the tokenizer with its file on the first documents of a corpus (TOK-021)."""
    compare_documents(config, find_model(config), tokenizer, corpus, reporter)


def pretrained(
    config: ModelConfig, kind: str, **changes: Any
) -> tuple[Any, PreTrainedTokenizerBase, dict[str, Any]]:
    """Return a checkpoint as one of Transformers' kinds of model, from safetensors only.

    Args:
        config: the settings of the model.
        kind: the name of an ``AutoModelFor...``.
        changes: changes of the model's configuration, such as ``num_labels``.

    Returns:
        The model in float32, its tokenizer, and Transformers' ``output_loading_info``.

    Raises:
        ModelError: there is no model, or it cannot be loaded as this kind.
    """
    import torch
    import transformers

    source = find_model(config)
    common: dict[str, Any] = {
        "revision": source.revision,
        "trust_remote_code": config.trust_remote_code,
    }
    with loading(config.name, source):
        settings = transformers.AutoConfig.from_pretrained(source.place, **common, **changes)
        check_weights_format(config.name, settings)
        if config.dropout != "checkpoint":
            _set_dropout(settings, config.dropout)
        tokenizer = load_tokenizer_of(config, source)
        model, info = getattr(transformers, kind).from_pretrained(
            source.place,
            config=settings,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **common,
            **_attention(config),
        )
    if source.saved:
        _take_weights(config.name, source.saved, model, every=not info["missing_keys"])
    return model, tokenizer, info


def _take_weights(name: str, saved: Path, model: PreTrainedModel, *, every: bool) -> None:
    """Copy the weights of a checkpoint into a model, all of them or those of the same name."""
    import torch

    try:
        weights = checkpoint.weights(saved)
    except ValueError as error:
        raise ModelError(str(error), where=name, hint="give another checkpoint") from error
    mine = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    common = {key for key in mine.keys() & weights.keys() if mine[key].shape == weights[key].shape}
    if not common or (every and len(common) < len(mine)):
        raise ModelError("the checkpoint is of another model", where=name)
    with torch.no_grad():
        for key in common:
            mine[key].copy_(weights[key])


def _attention(config: ModelConfig) -> dict[str, None]:
    """Return arguments that ignore the implementation of attention that config.json names.

    It can be native code on the hub, ``org/name`` (SEC-002).
    """
    return {} if config.trust_remote_code else {"attn_implementation": None}


def _set_dropout(settings: PretrainedConfig, rate: float) -> None:
    """Set the rates that modules read from the configuration when they are built."""
    for key, value in settings.to_dict().items():
        if "dropout" in key and isinstance(value, float):
            setattr(settings, key, rate)


def _digest(folder: Path, model: PreTrainedModel) -> str:
    """Return the SHA-256 of the folder's weights, or of the tensors if it has no files of them."""
    digest = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors"))
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    if not files:
        for key, tensor in sorted(model.state_dict().items()):
            digest.update(json.dumps([key, list(tensor.shape)]).encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
