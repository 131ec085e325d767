"""Read and write ``record.json`` and ``metrics.jsonl``: strict JSON, versions, peak memory."""

from __future__ import annotations

import json
import math
import platform
import resource
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmref.base.errors import OutputError
from mlmref.base.layout import RECORD
from mlmref.base.version import __version__

if TYPE_CHECKING:
    from mlmref.evaluation.intervals import Documents


LIBRARIES = ("torch", "transformers", "datasets", "accelerate", "tokenizers", "numpy", "pyarrow")


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a finished run.

    Args:
        folder: the run folder.

    Raises:
        OSError: the record is missing or cannot be read.
        OutputError: it is not a JSON object; names the file.
    """
    file = folder / RECORD
    try:
        record = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(file, error) from error
    if not isinstance(record, dict):
        raise damaged(file, "no JSON object")
    return record


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``record.json`` into a run folder.

    Raises:
        OSError: it cannot be written.
    """
    (folder / RECORD).write_text(dumps(record, indent=1) + "\n", "utf-8")


def damaged(file: Path, why: object) -> OutputError:
    """Return the error for a file of a run folder that does not have its format."""
    return OutputError(f"it is damaged ({why})", where=str(file))


def events(metrics: str) -> Iterator[dict[str, Any]]:
    """Yield the events in the text of a ``metrics.jsonl``, in their order.

    A last line without a line end was cut off, and is omitted.

    Raises:
        ValueError: a line is not JSON.
    """
    for line in metrics.split("\n")[:-1]:  # splitlines() would split texts at U+2028 too
        yield json.loads(line)


def dumps(value: object, indent: int | None = None) -> str:
    """Write strict JSON: an infinity as ``"Infinity"``, NaN as ``null``."""
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def number(value: Any) -> float:
    """Return a number that :func:`dumps` wrote: ``null`` is NaN, and infinities have names."""
    return math.nan if value is None else float(value)


def numbers(value: Any) -> Any:
    """Return a value of :func:`dumps` with ``null`` as NaN and names of infinities as floats."""
    if isinstance(value, Mapping):
        return {key: numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [numbers(one) for one in value]
    return math.nan if value is None else float(value) if isinstance(value, str) else value


def documents(event: Mapping[str, Any]) -> Documents:
    """Return the sums by document that :meth:`Story.measured` wrote for an evaluation."""
    import numpy as np

    from mlmref.evaluation.intervals import Documents

    return Documents(
        numbers=np.array(event["documents"], dtype=np.int64),
        nll=np.array(event["nll"], dtype=np.float64),
        targets=np.array(event["targets"], dtype=np.float64),
    )


def versions(device: str) -> dict[str, str]:
    """Return the versions of mlmref, Python and libraries, the platform and the device."""
    return {
        "mlmref": __version__,
        "python": platform.python_version(),
        **{library: version(library) for library in LIBRARIES},
        "platform": platform.platform(),
        "device": device,
    }


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process, in megabytes of 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
