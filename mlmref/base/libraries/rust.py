"""How libraries written in Rust (safetensors, tokenizers) word the errors of the disk."""

from __future__ import annotations


def is_os_error(error: Exception) -> bool:
    """Tell whether an error of safetensors or tokenizers is one of the operating system."""
    from safetensors import SafetensorError

    return isinstance(error, SafetensorError) or "(os error " in str(error)
