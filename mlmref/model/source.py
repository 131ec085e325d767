"""Find the files of a model, and say why it cannot be loaded.

Clauses MODEL-003, MODEL-004, MODEL-010, MODEL-016, MODEL-017, CKPT-011 and CLI-015.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from mlmref.base.closest import did_you_mean
from mlmref.base.disk import alike
from mlmref.base.errors import ConfigError, ModelError
from mlmref.base.hub import hub_or_cache
from mlmref.base.layout import SETTINGS
from mlmref.base.libraries.transformers import LoadingError, loading_error
from mlmref.base.quiet_libraries import quiet
from mlmref.model import checkpoint
from mlmref.model.checks import check_folder, conversion
from mlmref.model.embedded import EMBEDDED, embedded_checkpoint
from mlmref.settings.config import ModelConfig
from mlmref.settings.tree import read_toml, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a model is.

    Attributes:
        place: the folder of its configuration and tokenizer, or its name on the hub.
        revision: the branch, tag or commit on the hub.
        saved: the folder of its weights, if it is a checkpoint of a run.
    """

    place: str
    revision: str | None
    saved: Path | None = None

    @property
    def commit(self) -> str | None:
        """The commit on the hub that was loaded, which names a folder in the hub's cache."""
        from huggingface_hub import try_to_load_from_cache

        if self.saved or Path(self.place).is_dir():
            return None
        file = try_to_load_from_cache(self.place, "config.json", revision=self.revision)
        return Path(file).parent.name if isinstance(file, str) else None


def find_model(config: ModelConfig) -> Source:
    """Find a model, and check the files of its folder.

    A checkpoint of a finished run has the configuration and tokenizer of the run folder, and one of
    an unfinished run those of the model that the run began with (CKPT-011).

    Raises:
        ModelError: there is no model, one of its files is damaged, or the revision would be
            ignored.
    """
    saved = Path(os.path.expanduser(config.name))  # noqa: PTH111 - it raises nothing
    run = checkpoint.run_of(saved)
    if run == saved:
        return Source(place=_place(config.name, config.revision), revision=config.revision)
    _check_revision(config.name, config.revision)
    if (run / "config.json").is_file():
        return Source(place=_place(str(run)), revision=None, saved=saved)
    try:
        own = table(read_toml(run / SETTINGS), "model")
        name, revision = own["name"], own.get("revision")
    except (ConfigError, LookupError) as error:
        why = error.what if isinstance(error, ConfigError) else "it does not name the model"
        raise ModelError(
            f"the run of this checkpoint has no readable {SETTINGS} ({why})",
            where=config.name,
            hint="keep the checkpoint in the run folder",
        ) from error
    return Source(place=_place(name, revision), revision=revision, saved=saved)


def _place(name: str, revision: str | None = None) -> str:
    """Return the folder of a model, or its name on the hub."""
    if name == EMBEDDED:
        _check_revision(name, revision)
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
    except RuntimeError as error:  # pathlib's for ~nobody
        raise ModelError("no such user", where=name, hint="check the name") from error
    _check_revision(name, revision)
    return str(path)


def _check_revision(name: str, revision: str | None) -> None:
    """Refuse a revision of a model that is not on the hub (MODEL-017)."""
    if revision is not None:
        raise ModelError(
            f"the revision {revision!r} would be ignored: the model is not on the hub",
            where=name,
            hint="omit --revision",
        )


def _meant(path: Path) -> str:
    """Return a hint: the folders whose names are like that of one that does not exist."""
    close = [str(one) for one in alike(path, ("config.json",))]
    return did_you_mean(close, "check the path, or give a name on the hub")


def _check_typo(name: str, path: Path) -> None:
    """Refuse a name that is close to a folder's, before the hub is asked for it (CLI-015).

    Raises:
        ModelError: names the folders.
    """
    from huggingface_hub import try_to_load_from_cache

    if not alike(path, ("config.json",)):
        return
    if not isinstance(try_to_load_from_cache(name, "config.json"), str):
        hint = f"{_meant(path)} a model on the hub is OWNER/NAME"
        raise ModelError("no such folder", where=name, hint=hint)


@contextmanager
def loading(name: str, source: Source) -> Iterator[None]:
    """Turn whatever another library raises while it loads a model into one line.

    Args:
        name: the model, as the user gave it.
        source: where it is.

    Raises:
        ModelError: says what is wrong with the model.
    """
    hub = nullcontext() if Path(source.place).is_dir() else hub_or_cache(source.place)
    try:
        with quiet(), hub:
            yield
    except ModelError:
        raise
    except Exception as error:  # of any kind: the hub, the file, the architecture
        raise ModelError(_reason(error), where=name, hint=_advice(error, name)) from error


def _reason(error: Exception) -> str:
    text, kind = " ".join(str(error).split()), loading_error(error)
    if kind is LoadingError.NO_HEAD:
        return "no masked language model: its architecture has no masked-language-model head"
    if kind is LoadingError.REMOTE_CODE:
        return "it brings code of its own, which is not run unasked"
    if kind is LoadingError.OTHER_SIZES:
        return "its weights do not have the sizes that its config.json says"
    if kind is LoadingError.DAMAGED:
        return (
            f"its weights are damaged ({text.removeprefix('Error while deserializing header: ')})"
        )
    first = text.split(". ")[0]
    if " " not in first:  # such as the name of a key, without a word on what is wrong with it
        first = f"{type(error).__name__}: {first}"
    return f"cannot be loaded ({first[:300]})"


def _advice(error: Exception, name: str) -> str | None:
    kind = loading_error(error)
    if kind is LoadingError.REMOTE_CODE:
        return "read that code, and if you trust its author add --trust-remote-code"
    if kind is LoadingError.OTHER_SIZES:
        return (
            "if tokens were added, call resize_token_embeddings of the whole model and save it "
            "again"
        )
    if kind is LoadingError.NO_SAFETENSORS:
        if (Path(name) / "pytorch_model.bin").is_file():
            return f"only safetensors are read; {conversion(name)}"
        return "only safetensors are read; convert the weights with save_pretrained first"
    if kind is LoadingError.DAMAGED or isinstance(error, FileNotFoundError):
        return "get the model again"
    if isinstance(error, OSError):
        return "check the name, and whether this machine reaches the hub"
    return None
