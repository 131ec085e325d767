"""The table of spec/tutorial.md: what ``mlmref verify`` measures without a hub and a GPU.

``python tests/support/tutorial_table.py`` writes it.
"""

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":  # as a script, from any folder, without shadowing tokenizers
    sys.path[0] = str(Path(__file__).parents[1])

from support.pages import put, table
from support.runs import mlmref

PAGE = Path(__file__).parents[2] / "spec" / "tutorial.md"
OFFLINE = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


def verified(*arguments, **env):
    """Run the command offline; returns the completed process."""
    return mlmref("verify", "--quiet", *arguments, env=os.environ | OFFLINE | env)


def with_table(text, steps):
    """Return a page with the table in its place, a row a figure."""
    rows = []
    for step in steps:
        rows.append([step["step"], step["title"], "", "", ""])
        for one in step["figures"]:
            # The reason why the hub did not answer differs between machines.
            note = "" if one["verdict"].startswith("needs") else one["note"]
            verdict = f"{one['verdict']}: {note}" if note else one["verdict"]
            rows.append(["", one["what"], one["printed"], one["found"], verdict])
    head = ["step", "figure", "the tutorial prints", "here", "verdict"]
    return put(text, "verify", table(head, rows))


if __name__ == "__main__":
    PAGE.write_text(
        with_table(PAGE.read_text("utf-8"), json.loads(verified("--json").stdout)), "utf-8"
    )
