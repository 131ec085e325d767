"""How NumPy words the errors that mlmref recognizes."""

from __future__ import annotations


def is_write_to_read_only(error: Exception) -> bool:
    """Tell whether NumPy refused to write to a read-only array, or to make it writable."""
    return any(text in str(error) for text in ("read-only", "WRITEABLE"))
