"""Shell completion: names, settings, files (SHELL-001 and SHELL-002).

Each function takes the text typed so far and returns its completions, some with a line of help.
For an empty answer the shell completes files. Nothing here imports torch, since the user waits for
the answer between two keystrokes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.layout import RECORD

if TYPE_CHECKING:
    from mlmref.settings.setting import Flag

Answers = list[tuple[str, str]]
Completer = Callable[[str], Answers]


def words(*known: str) -> Completer:
    """Complete to one of some words."""

    def complete(incomplete: str) -> Answers:
        return _begun(incomplete, ((one, "") for one in known))

    return complete


def several(*known: str) -> Completer:
    """Complete the last of some words with commas between them."""

    def complete(incomplete: str) -> Answers:
        before, comma, last = incomplete.rpartition(",")
        left = [(one, "") for one in known if one not in before.split(",")]
        return [(f"{before}{comma}{one}", "") for one, _ in _begun(last, left)]

    return complete


def of_setting(flag: Flag) -> Completer | None:
    """Complete to a value of a setting; ``None`` leaves the word to the shell."""
    if flag.suggest == "models":
        return models
    if isinstance(flag.suggest, str):
        return entries(flag.suggest)
    if not flag.suggest:
        return None
    return (several if flag.several else words)(*flag.suggest)


def entries(*kinds: str) -> Completer:
    """Complete to the name of an installed entry of some kinds, or of all if none is given."""

    def complete(incomplete: str) -> Answers:
        from mlmref.plugin.discovery import discover
        from mlmref.plugin.kinds import KINDS

        # A plugin may print when it is imported, which would go into the command line.
        with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
            registry = discover()
        wanted = [kind for kind in KINDS if not kinds or kind.plural in kinds]
        found = [one.entry for kind in wanted for one in registry.of(kind)]
        return _begun(incomplete, ((one.name, one.summary) for one in found))

    return complete


def plugins(incomplete: str) -> Answers:
    """Complete to the name of an installed plugin, without importing it."""
    from mlmref.plugin.discovery import find

    return _begun(incomplete, ((one.source.entry, str(one.source)) for one in find()))


def presets(incomplete: str) -> Answers:
    """Complete to a preset that ships."""
    from mlmref.settings.resolve import presets as known

    return _begun(incomplete, ((one, "") for one in known()))


def assignments(incomplete: str) -> Answers:
    """Complete a ``SECTION.KEY=``, and after it the words that the setting may be."""
    from mlmref.base.explain import all_keys
    from mlmref.settings.config import Config

    key, equals, value = incomplete.partition("=")
    if equals:
        return [(f"{key}={one}", "") for one in _words_of(key) if one.startswith(value)]
    keys = all_keys(Config)
    leaves = (one for one in keys if not any(other.startswith(f"{one}.") for other in keys))
    return _begun(incomplete, ((f"{one}=", "") for one in leaves))


def models(incomplete: str) -> Answers:
    """Complete to the embedded model or to a run folder."""
    return _begun(incomplete, [("embedded", "the checkpoint that ships"), *_runs(RECORD)])


def resumable(incomplete: str) -> Answers:
    """Complete to an unfinished run, or to ``auto``."""
    found = _runs("checkpoints/run.json")
    return _begun(incomplete, [("auto", "the run with these settings, or a new one"), *found])


def steps(incomplete: str) -> Answers:
    """Complete to a step of the tutorial."""
    return _begun(incomplete, ((f"T{number:02}", "") for number in range(1, 21)))


def _begun(incomplete: str, known: Iterable[tuple[str, str]]) -> Answers:
    return sorted(one for one in dict.fromkeys(known) if one[0].startswith(incomplete))


def _runs(having: str) -> Answers:
    """Return the run folders under ``runs/`` that contain a file."""
    with suppress(OSError):
        return [(str(file), "") for file in Path("runs").iterdir() if (file / having).is_file()]
    return []


def _words_of(key: str) -> list[str]:
    """Return the words that the type of a setting names."""
    from mlmref.settings.config import Config
    from mlmref.settings.setting import words_of

    kind: Any = Config
    for part in key.split("."):
        fields = getattr(kind, "model_fields", {})
        if part not in fields:
            return []
        kind = fields[part].annotation
    return words_of(kind)
