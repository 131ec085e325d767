"""Ask the hub, or only its cache if the hub cannot be reached (clause MODEL-016)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal


@contextmanager
def hub_or_cache(name: str, kind: Literal["model", "dataset"] = "model") -> Iterator[None]:
    """Let other libraries load from the hub, or only from its cache if it cannot be reached.

    Without a connection they retry each file for half a minute, also files that are in the cache.
    One failed connection decides here. A repository's own refusal is left to them.

    Args:
        name: the repository.
        kind: its type.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    before = constants.HF_HUB_OFFLINE
    try:
        get_hf_file_metadata(hf_hub_url(name, "README.md", repo_type=kind))
    except (HfHubHTTPError, ValueError):
        pass  # the hub's answer, or a name that is not possible
    except Exception:  # noqa: BLE001 - of the network, in classes of a library that hub chooses
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
