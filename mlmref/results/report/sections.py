"""Sections of a page besides its curves: fills, settings, the command to repeat the run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlmref.base.layout import SETTINGS, finished
from mlmref.results.report.saved_run import SavedRun
from mlmref.settings.tree import dotted

MASKS, ANSWERS, ROWS, LETTERS = 20, 10, 200, 200
"""The most masks, answers to each, settings, and characters of a text that a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """The answers for one mask of one prompt, before and after: texts and probabilities."""

    prompt: str
    mask: str
    sides: list[list[tuple[str, float]]]

    @property
    def most(self) -> float:
        """The largest probability of an answer."""
        return max((share for side in self.sides for _, share in side), default=1.0) or 1.0


def fills(runs: Sequence[SavedRun]) -> tuple[list[Fill], str]:
    """Return the answers side by side, and a note on omitted ones.

    The columns are the first run before training, then each run after training.
    """
    columns = [_by_mask(run.fills[-1] if len(run.fills) > 1 else []) for run in runs]
    first = next((run.fills[0] for run in runs if run.fills), [])
    columns.insert(0, _by_mask(first))
    keys = list(dict.fromkeys(key for side in columns for key in side))
    masks: dict[str, int] = {}
    for prompt, mask in keys:
        masks[prompt] = max(masks.get(prompt, 0), mask + 1)
    found = [
        Fill(
            prompt=cut(prompt),
            mask=f"mask {mask + 1} of {masks[prompt]}" if masks[prompt] > 1 else "",
            sides=[side.get((prompt, mask), [])[:ANSWERS] for side in columns],
        )
        for prompt, mask in keys[:MASKS]
    ]
    notes = [f"the first {MASKS} of {len(keys):,} masks"] if len(keys) > MASKS else []
    most = max((len(some) for side in columns for some in side.values()), default=0)
    notes += [f"the best {ANSWERS} of {most:,} answers"] if most > ANSWERS else []
    return found, f"Shown are {' and '.join(notes)}." if notes else ""


def _by_mask(
    entries: Sequence[Mapping[str, Any]],
) -> dict[tuple[str, int], list[tuple[str, float]]]:
    """Return texts and probabilities for each mask of each prompt."""
    found: dict[tuple[str, int], list[tuple[str, float]]] = {}
    for one in entries:
        answers = found.setdefault((one["prompt"], one["mask"]), [])
        answers.append((cut(one["token"], 60), one["score"]))
    return found


def settings(config: Mapping[str, Any]) -> tuple[list[tuple[str, str]], str]:
    """Return the settings with dotted keys, as text, and a note on omitted ones."""
    found = list(dotted(config))
    note = f"{ROWS:,} of {len(found):,} settings are shown." if len(found) > ROWS else ""
    return [(cut(key), cut(_written(value))) for key, value in found[:ROWS]], note


def differing(runs: Sequence[SavedRun]) -> list[tuple[str, list[str]]]:
    """Return the settings that differ between runs; the folder of a run does not count."""
    each = [dict(dotted(run.config)) for run in runs]
    for one in each:
        one.pop("output.folder", None)
    keys = dict.fromkeys(key for one in each for key in one)
    # TOML has no null: the settings of an unfinished run omit keys that are None.
    found = [(key, [one.get(key) for one in each]) for key in keys]
    different = [(key, values) for key, values in found if any(v != values[0] for v in values)]
    return [(cut(key), [cut(_written(one)) for one in values]) for key, values in different][:ROWS]


def _written(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def plugins(run: SavedRun) -> list[tuple[str, str]]:
    """Return the kind, name and distribution of each plugin used."""
    return [
        (cut(str(kind)), cut(f"{one['name']} ({one['distribution']} {one['version']})"))
        for kind, one in run.plugins.items()
    ]


def again(run: SavedRun) -> str:
    """Return the command that repeats the run, or resumes it if it is unfinished."""
    place = finished(run.folder)
    if not run.finished:
        return shlex.join(["mlmref", "run", "--resume", str(place), *_allowed(run)])
    command = ["mlmref", "run", "--config", str(run.folder / SETTINGS)]
    if run.config.get("output", {}).get("folder"):
        command += ["--output", f"{place}-again"]
    return shlex.join([*command, *_allowed(run)])


def _allowed(run: SavedRun) -> list[str]:
    """Return the flags that a file of settings may not set."""
    return ["--trust-remote-code"] * bool(run.config.get("model", {}).get("trust_remote_code"))


def cut(text: str, most: int = LETTERS) -> str:
    """Return a text, cut to ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
