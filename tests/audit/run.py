"""``tox -e audit``: the tested set, constraints.txt, in the database of known vulnerabilities.

pip-audit alone succeeds when it has found nothing because it could look nothing up; this fails
then, and says so (SEC-011).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FILE = "constraints.txt"


def verdict(report: dict[str, Any], wanted: list[str]) -> tuple[int, list[str]]:
    """Say what a report of pip-audit comes to.

    Args:
        report: its JSON.
        wanted: ``name==version`` each, what was to be looked up.

    Returns:
        The exit status, and what to print.
    """
    lines, looked_up = [], set()
    for one in report["dependencies"]:
        if "skip_reason" in one:
            continue
        looked_up.add(_same(f"{one['name']}=={one['version']}"))
        lines += [
            f"{one['name']} {one['version']}: {vulnerability['id']}, "
            f"mended in {', '.join(vulnerability['fix_versions']) or 'no version'}"
            for vulnerability in one["vulns"]
        ]
    missing = [one for one in wanted if _same(one) not in looked_up]
    if missing:
        lines.append(
            f"not audited: {len(missing)} of the {len(wanted)} versions in {FILE} could not be "
            f"looked up ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}); "
            "is the database of the package index within reach?"
        )
    if lines:
        return 1, lines
    return 0, [f"{len(wanted)} versions looked up, none with a known vulnerability"]


def _same(requirement: str) -> str:
    return requirement.lower().replace("_", "-")


def main() -> int:
    """Look the tested set up."""
    text = Path(FILE).read_text("utf-8")
    wanted = [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]
    command = ["--requirement", FILE, "--no-deps", "--disable-pip", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *command, "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        status, lines = verdict(json.loads(done.stdout), wanted)
    except ValueError:
        why = done.stderr.strip().splitlines() or ["it said nothing"]
        status, lines = 1, [f"not audited: pip-audit failed ({why[-1][:300]})"]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return status


if __name__ == "__main__":
    sys.exit(main())
