"""Write and read a plugin's options as a run does."""

from __future__ import annotations

import json
import tomllib

import tomli_w

from mlmref.conformance.checks import Violation
from mlmref.plugin.contracts import Options


def check_written_and_read(options: Options) -> None:
    """Raise unless options come back the same from JSON and from TOML, which has no null."""
    lost = [name for name, field in type(options).model_fields.items() if field.exclude]
    if lost:
        raise Violation(f"the option {lost[0]!r} is excluded from what is written")
    written = options.model_dump(mode="json")
    try:
        text = tomli_w.dumps({key: value for key, value in written.items() if value is not None})
        back = [
            type(options).model_validate_json(json.dumps(tree), strict=True)
            for tree in (written, tomllib.loads(text))
        ]
    except Exception as error:
        raise Violation(f"they cannot be read again ({error})", options=written) from error
    if any(again != options for again in back):
        raise Violation("they are not the same when read again", options=written)
