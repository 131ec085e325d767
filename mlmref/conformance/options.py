"""Check that options survive being written and read, as in a run."""

from __future__ import annotations

import json
import tomllib

import tomli_w

from mlmref.conformance.violation import Violation
from mlmref.plugin.contracts import Options


def check_written_and_read(options: Options) -> None:
    """Raise Violation unless options are equal after JSON and after TOML, which has no null."""
    lost = [name for name, field in type(options).model_fields.items() if field.exclude]
    if lost:
        raise Violation(f"the option {lost[0]!r} is excluded and not written")
    written = options.model_dump(mode="json")
    try:
        text = tomli_w.dumps({key: value for key, value in written.items() if value is not None})
        back = [
            type(options).model_validate_json(json.dumps(tree), strict=True)
            for tree in (written, tomllib.loads(text))
        ]
    except Exception as error:
        raise Violation(f"the written options cannot be read ({error})", options=written) from error
    if any(again != options for again in back):
        raise Violation(
            "the options are different after they were written and read", options=written
        )
