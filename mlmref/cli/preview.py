"""``mlmref preview``."""

from __future__ import annotations

from mlmref.cli import flags
from mlmref.cli.base import reporter_of, show, tell
from mlmref.cli.command import CHUNKS, TRAINING_ONLY, Given, command


@command(*CHUNKS, "masking", "seed", omit=(*TRAINING_ONLY, "masking.strategy"), sources=True)
def preview(
    given: Given,
    masking: flags.Maskings = None,
    chunks: flags.ShownChunks = 3,
    first: flags.FirstChunk = 1,
    epoch: flags.Pass = 1,
    unit: flags.Unit = None,
    html: flags.Html = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
) -> None:
    """Show chunks of a corpus as masking strategies change them; trains nothing.

    Example: mlmref preview --corpus notes.txt --masking token --masking whole-word
    """
    from mlmref.base.ranks.process import is_main
    from mlmref.plugin.discovery import discover
    from mlmref.results.pages import check_place, write_new

    if html:
        check_place(html, "--html")
    configs = [
        given.config({"--masking": ("masking.strategy", name)})
        for name in dict.fromkeys(masking or (None,))
    ]
    registry = discover(disable=no_plugin or (), tell=tell)
    from mlmref.studies.preview.preview import preview as preview_

    answer = preview_(
        configs,
        chunks=chunks,
        first=first,
        epoch=epoch,
        unit=unit,
        reporter=reporter_of(quiet),
        registry=registry,
    )
    if html and is_main():  # one page, written once (RANK-003)
        from mlmref.studies.preview.page import page

        write_new(page(answer), html, "--html")
        tell(f"page: {html}")
    if as_json or not html:
        from mlmref.studies.preview.terminal import show_preview

        show(answer, as_json, show_preview)
