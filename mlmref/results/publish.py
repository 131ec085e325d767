"""Publish a run folder on the hub (clauses PUB-001 to PUB-006)."""

from __future__ import annotations

import shlex
from pathlib import Path

from mlmref.base.errors import ConfigError, OutputError
from mlmref.base.layout import METRICS, RECORD, SETTINGS
from mlmref.base.version import __version__

# Other files are never published: no training state, no pickle, no subfolder (PUB-002).
PUBLISHED = (
    "README.md",
    RECORD,
    METRICS,
    SETTINGS,
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-?????-of-?????.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


class _PublicError(Exception):
    """The repository exists and is public."""


def check_repo_id(repo: str) -> None:
    """Check that a name is valid for a repository on the hub (PUB-001).

    Raises:
        ConfigError: the name is invalid.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise ConfigError(
            "not a valid repository name",
            where=f"repository {repo!r}",
            hint="give NAME or OWNER/NAME, of at most 96 letters, digits, '-', '_' and '.'",
        ) from error


def publish(folder: Path, repo: str, *, private: bool = False, message: str) -> str:
    """Upload the model in a folder, with its tokenizer, card and record, as one commit.

    Args:
        folder: a run folder; only files named in ``PUBLISHED`` leave it.
        repo: a model repository, created if it does not exist; without an owner, the user's own.
        private: create it as private, and refuse one that is public (PUB-006).
        message: the commit message.

    Returns:
        The URL of the repository.

    Raises:
        OutputError: publishing failed; the folder is unchanged (PUB-004).
    """
    from huggingface_hub import HfApi

    api = HfApi(library_name="mlmref", library_version=__version__)
    try:
        url = api.create_repo(repo, private=private or None, exist_ok=True)
        # The hub ignores ``private`` if the repository exists.
        if private and not api.model_info(url.repo_id).private:
            raise _PublicError
        api.upload_folder(
            repo_id=url.repo_id,
            folder_path=folder,
            commit_message=message,
            allow_patterns=list(PUBLISHED),
        )
    except Exception as error:  # of any kind: tell the user that the model is not lost
        what, advice = _reason(error)
        again = f"hf upload {repo} {shlex.quote(str(folder))}" + " --private" * private
        raise OutputError(
            f"not published: {what}",
            where=f"repository {repo!r}",
            hint=f"the result is safe in {folder}; {advice}, then: {again}",
        ) from error
    return str(url)


def _reason(error: Exception) -> tuple[str, str]:
    """Return why publishing failed, and what to do about it."""
    from huggingface_hub import get_token

    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401 and get_token() is None:
        return "no token found", "log in with hf auth login, or set HF_TOKEN"
    if status == 401:
        return "the hub does not accept the token (401)", "create a new one and log in with it"
    if status == 403:
        return "the token may not write there (403)", "choose a name of your own with --push"
    if status == 404:
        return "not found, or not visible to this token (404)", "check the name and the token"
    if status is not None:
        return f"the hub answers {status}", "wait a few minutes"
    if isinstance(error, _PublicError):
        return "the repository exists and is public", "make it private, or choose another"
    text = str(error) or type(error).__name__
    return f"the hub cannot be reached or used ({text[:200]})", "check the network"
