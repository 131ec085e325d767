"""The built-in word segmenter, registered like any plugin's."""

from __future__ import annotations

from mlmref.plugin.contracts import SegmenterEntry
from mlmref.plugin.hookspecs import hookimpl


@hookimpl
def mlmref_word_segmenters() -> list[SegmenterEntry]:
    """Return ``tokenizer``, which uses the tokenizer's own words (SEG-009)."""
    return [
        SegmenterEntry(name="tokenizer", summary="the words that the tokenizer tells", build=None)
    ]
