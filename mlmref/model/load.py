"""Load a masked language model and its tokenizer (clauses MODEL-001 to MODEL-012)."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.disk import alike
from mlmref.base.errors import ModelError
from mlmref.base.quiet_libraries import quiet
from mlmref.model import checkpoint
from mlmref.model.agreement import compare_documents, load_tokenizer_of
from mlmref.model.checks import (
    check_folder,
    check_head,
    check_settings,
    check_tokenizer,
    check_weights,
    conversion,
)
from mlmref.settings.config import ModelConfig

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from mlmref.base.progress import Reporter
    from mlmref.data.corpus.load import Corpus

EMBEDDED = "embedded"
"""The name of the checkpoint that ships with mlmref."""

NOT_STATED = 1_000_000
"""A limit of so many tokens or more says that there is none, as Transformers' 1e30 does."""

_POSITIONS = {"position_embeddings", "embed_positions"}
_OF_OTHERS = "entity_embeddings.position_embeddings"  # LUKE's, of the tokens that an entity spans


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model, its tokenizer, and which one it is.

    Attributes:
        model: a ``*ForMaskedLM`` in float32 and evaluation mode.
        tokenizer: a fast tokenizer with a mask token.
        name: as the user gave it.
        revision: the commit on the hub, if it came from there.
        digest: SHA-256 of the weights, in hexadecimal: of the folder's safetensors files one
            after the other, or of the tensors where the files are in the hub's cache.
        max_length: the most tokens the model reads at once; ``NOT_STATED`` if nothing says.
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


def embedded_checkpoint() -> Path:
    """Return the folder of the checkpoint that ships; Transformers alone can load it."""
    return Path(str(resources.files("mlmref.model").joinpath("embedded", "tiny-base")))


def load_model(config: ModelConfig) -> LoadedModel:
    """Load model and tokenizer, from safetensors only.

    Raises:
        ModelError: nothing there, no masked-language-model head with weights, no fast tokenizer
            with a mask token, or a tokenizer with more tokens than the model has rows.
    """
    import torch

    origin, saved = _origin(config)
    place = _place(origin.name)
    model, tokenizer, info = pretrained(config, "AutoModelForMaskedLM")
    check_head(config.name, place, info)
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
        revision=None if saved else _commit(place, config.revision),
        digest=_digest(str(saved or place), model),
        max_length=max_length(model, tokenizer),
    )


def load_tokenizer(config: ModelConfig) -> tuple[PreTrainedTokenizerBase, int]:
    """Load a model's tokenizer and its maximum length, and none of its weights (MODEL-012).

    Raises:
        ModelError: nothing there, no masked language model's configuration, no fast tokenizer
            with a mask token, or a tokenizer with more tokens than the model has rows.
    """
    import torch
    import transformers

    origin, _ = _origin(config)
    place = _place(origin.name)
    common: dict[str, Any] = {
        "revision": origin.revision,
        "trust_remote_code": config.trust_remote_code,
    }
    with quiet(), _explained(config.name):
        settings = transformers.AutoConfig.from_pretrained(place, **common)
        check_settings(config, settings)
        tokenizer = load_tokenizer_of(config, place)
        # Modules with shapes and no numbers: what is read off them is what is read off a model.
        build: Any = transformers.AutoModelForMaskedLM.from_config  # it is not annotated
        with torch.device("meta"):
            shape = build(settings, trust_remote_code=config.trust_remote_code)
    check_tokenizer(config.name, shape, tokenizer)
    return tokenizer, max_length(shape, tokenizer)


def check_documents(
    config: ModelConfig, tokenizer: PreTrainedTokenizerBase, corpus: Corpus, reporter: Reporter
) -> None:
    """Compare the tokenizer with its file on the first documents of a corpus (TOK-021)."""
    compare_documents(config, _place(_origin(config)[0].name), tokenizer, corpus, reporter)


def pretrained(
    config: ModelConfig, kind: str, **changes: Any
) -> tuple[Any, PreTrainedTokenizerBase, dict[str, Any]]:
    """Load a checkpoint as one of Transformers' kinds of model, from safetensors only.

    Args:
        config: which.
        kind: the name of an ``AutoModelFor...``.
        changes: of the model's own configuration, such as ``num_labels``.

    Returns:
        The model in float32, its tokenizer, and what ``output_loading_info`` tells.

    Raises:
        ModelError: nothing there, or nothing that can be loaded so.
    """
    import torch
    import transformers

    origin, saved = _origin(config)
    place = _place(origin.name)
    common: dict[str, Any] = {
        "revision": origin.revision,
        "trust_remote_code": config.trust_remote_code,
    }
    with quiet(), _explained(config.name):
        settings = transformers.AutoConfig.from_pretrained(place, **common, **changes)
        check_settings(config, settings)
        if config.dropout != "checkpoint":
            _set_dropout(settings, config.dropout)
        tokenizer = load_tokenizer_of(config, place)
        model, info = getattr(transformers, kind).from_pretrained(
            place,
            config=settings,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **common,
        )
    if saved:
        _take_weights(config.name, saved, model, every=not info["missing_keys"])
    return model, tokenizer, info


def _origin(config: ModelConfig) -> tuple[ModelConfig, Path | None]:
    """Return where configuration and tokenizer of a model are, and its folder if a checkpoint.

    A checkpoint of a finished run has those of the run folder, and one of an unfinished run those
    of the model that the run began with (CKPT-011).
    """
    place = Path(os.path.expanduser(config.name))  # noqa: PTH111 - it raises nothing
    run = checkpoint.run_of(place)
    if run == place:
        return config, None
    if (run / "config.json").is_file():
        own = {"name": str(run), "revision": None}
    else:
        try:
            own = tomllib.loads((run / "config.toml").read_text("utf-8"))["model"]
            own = {key: own.get(key) for key in ("name", "revision")}
        except (OSError, ValueError, LookupError) as error:
            raise ModelError(
                f"the run of this checkpoint has no readable config.toml ({error})",
                where=config.name,
                hint="keep the checkpoint in the run folder",
            ) from error
    return config.model_copy(update=own), place


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


def _place(name: str) -> str:
    """Return the folder of a model, its files looked at as far as they can be, or its name."""
    if name == EMBEDDED:
        return str(embedded_checkpoint())
    try:
        path = Path(name).expanduser()
        local = name.startswith((".", "/", "~")) or name.count("/") > 1 or os.path.lexists(path)
        if not local:
            _check_typo(name, path)
            return name
        if not path.is_dir():
            raise ModelError("no such folder", where=name, hint=_meant(path))
        check_folder(name, path)
    except OSError as error:
        reason = f"cannot be read ({error.strerror or error})"
        raise ModelError(reason, where=error.filename or name) from error
    except RuntimeError as error:  # how pathlib tells of ~somebody
        raise ModelError("no such user", where=name, hint="check the name") from error
    return str(path)


def _meant(path: Path) -> str:
    """Say which folder may have been meant by one that is not there."""
    close = " or ".join(map(str, alike(path, ("config.json",))))
    return f"did you mean {close}?" if close else "check the path, or give a name on the hub"


def _check_typo(name: str, path: Path) -> None:
    """Refuse a name that is close to a folder's, before the hub is asked for it (CLI-015).

    Raises:
        ModelError: names the folders.
    """
    from huggingface_hub import try_to_load_from_cache

    if not alike(path, ("config.json",)):
        return
    if not isinstance(try_to_load_from_cache(name, "config.json"), str):
        raise ModelError(
            "no such folder", where=name, hint=f"{_meant(path)} the hub's is OWNER/NAME"
        )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what Transformers raises while loading into one line."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # of any kind: the hub, the file, the architecture
        raise ModelError(_reason(error), where=name, hint=_advice(error, name)) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Unrecognized configuration class" in text:
        return "no masked language model: its architecture has no masked-language-model head"
    if "trust_remote_code" in text:
        return "it brings code of its own, which is not run unasked"
    if "ignore_mismatched_sizes" in text:
        return "its weights do not have the sizes that its config.json says"
    if "deserializing header" in text:
        return (
            f"its weights are damaged ({text.removeprefix('Error while deserializing header: ')})"
        )
    first = text.split(". ")[0]
    if " " not in first:  # such as the name of a key, without a word on what is wrong with it
        first = f"{type(error).__name__}: {first}"
    return f"cannot be loaded ({first[:300]})"


def _advice(error: Exception, name: str) -> str | None:
    text = str(error)
    if "trust_remote_code" in text:
        return "read that code, and if you trust its author add --trust-remote-code"
    if "ignore_mismatched_sizes" in text:
        return "if tokens were added, call resize_token_embeddings of the whole model, save again"
    if "named model.safetensors" in text:
        if (Path(name) / "pytorch_model.bin").is_file():
            return f"only safetensors are read; {conversion(name)}"
        return "only safetensors are read; convert the weights with save_pretrained first"
    if "deserializing header" in text or isinstance(error, FileNotFoundError):
        return "get the model again"
    if isinstance(error, OSError):
        return "check the name, and whether this machine reaches the hub"
    return None


def _set_dropout(settings: PretrainedConfig, rate: float) -> None:
    """Set the rates that modules read from the configuration when they are built."""
    for key, value in settings.to_dict().items():
        if "dropout" in key and isinstance(value, float):
            setattr(settings, key, rate)


def max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the smallest length that tokenizer, position tables and configuration allow.

    A limit of a million tokens or more is taken for none; a million is returned if there is none.
    """
    import torch

    settings: Any = model.config
    limits = [tokenizer.model_max_length]
    limits += [
        getattr(one, "max_position_embeddings", None)
        for one in (settings, settings.get_text_config())
    ]
    for name, buffer in model.named_buffers():
        if name.rpartition(".")[2] == "position_ids":
            limits.append(buffer.shape[-1])
    for name, module in model.named_modules():
        table: Any = getattr(module, "weight", None)
        known = name.rpartition(".")[2] in _POSITIONS and not name.endswith(_OF_OTHERS)
        if known and isinstance(table, torch.Tensor) and table.dim() == 2:
            # RoBERTa and its kin number positions from behind the padding's, BART's from 2.
            padding = getattr(module, "padding_idx", None)
            offset = 0 if padding is None else padding + 1
            limits.append(len(table) - getattr(module, "offset", offset))
    stated = [one for one in limits if isinstance(one, int | float) and 0 < one < NOT_STATED]
    return int(min(stated, default=NOT_STATED))


def _commit(place: str, revision: str | None) -> str | None:
    """Return the commit that was loaded from the hub; it names the folder in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    if Path(place).is_dir():
        return None
    file = try_to_load_from_cache(place, "config.json", revision=revision)
    return Path(file).parent.name if isinstance(file, str) else None


def _digest(place: str, model: PreTrainedModel) -> str:
    """Hash the weights: the files where there are some at hand, else the tensors."""
    digest = hashlib.sha256()
    files = sorted(Path(place).glob("*.safetensors")) if Path(place).is_dir() else []
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    if not files:
        for key, tensor in sorted(model.state_dict().items()):
            digest.update(json.dumps([key, list(tensor.shape)]).encode())
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
