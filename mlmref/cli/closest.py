"""The options that somebody may have meant by one that does not exist (CLI-006)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

MOST = 3
"""Options that are named, at most."""

_ELSEWHERE = {
    "num-train-epochs": "--epochs",
    "per-device-train-batch-size": "--batch-size",
    "train-batch-size": "--batch-size",
    "gradient-accumulation-steps": "--accumulation",
    "lr-scheduler-type": "--schedule",
    "warmup": "--warmup-steps",
    "max-seq-length": "--chunk-size",
    "max-length": "--chunk-size",
    "block-size": "--chunk-size",
    "model-name-or-path": "--model",
    "dataset": "--corpus",
    "dataset-name": "--corpus",
    "data": "--corpus",
    "file": "--corpus",
    "train-file": "--corpus",
    "text": "--text-column",
    "validation-split-percentage": "--test-size",
    "output-dir": "--output",
    "resume-from-checkpoint": "--resume",
    "save-steps": "--save-every",
    "preprocessing-num-workers": "--workers",
    "num-workers": "--workers",
    "dataloader-num-workers": "--workers",
    "hub-model-id": "--push",
    "push-to-hub": "--push",
    "fp16": "--precision",
    "bf16": "--precision",
    "mask-prob": "--mlm-probability",
    "strategy": "--masking",
    "name": "--model",
}
"""What Transformers' examples and other command lines call an option."""


def options(given: str, known: Sequence[str]) -> list[str]:
    """Return the known options closest to one that does not exist, the best first.

    Args:
        given: what was typed, such as ``--lr``.
        known: each with its dashes.
    """
    name = given.lstrip("-").replace("_", "-").lower()
    words = set(name.split("-"))
    by_name = {one.lstrip("-"): one for one in known}
    parts = {key: key.split("-") for key in by_name}
    if _ELSEWHERE.get(name) in known:
        return [_ELSEWHERE[name]]
    found = [
        # --lr, --bs: the first letters of the words.
        *(by_name[key] for key, of in parts.items() if _initials(of) == name and len(of) > 1),
        *(by_name[key] for key in by_name if len(name) > 1 and key.startswith(name)),
        *(by_name[key] for key in difflib.get_close_matches(name, list(by_name), MOST, 0.75)),
        *(by_name[key] for key, of in parts.items() if words >= set(of) or words <= set(of)),
    ]
    return list(dict.fromkeys(found))[:MOST]


def _initials(words: Sequence[str]) -> str:
    return "".join(word[:1] for word in words)
