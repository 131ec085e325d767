"""Check once whether the hub can be reached (clause VER-007)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_PATIENCE = 10.0  # seconds for an answer


@contextmanager
def asked_once() -> Iterator[None]:
    """Have the libraries stay with their caches while the hub cannot be reached.

    They would ask for each file anew, several times over and with pauses, half a minute each.
    """
    import datasets.config as of_datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, of_datasets.HF_HUB_OFFLINE
    if not _answers(constants.ENDPOINT):  # nor does one that is not to be asked
        constants.HF_HUB_OFFLINE = of_datasets.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, of_datasets.HF_HUB_OFFLINE = before


def _answers(url: str) -> bool:
    """Tell whether anything is answered, be it a refusal."""
    from huggingface_hub import get_session

    try:
        get_session().head(url, timeout=_PATIENCE)
    except Exception:  # noqa: BLE001 - of whichever library the hub's client stands on today
        return False
    return True
