"""``mlmref preview``."""

from __future__ import annotations

from mlmref.cli import flags
from mlmref.cli.base import command, reporter_of, show, tell
from mlmref.cli.errors import told


@command()
def preview(
    model: flags.Model = None,
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    tokenizer: flags.Tokenizer = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    documents: flags.Documents = None,
    corpus_split: flags.CorpusSplit = None,
    limit: flags.Limit = None,
    segmenter: flags.Segmenter = None,
    chunk_size: flags.ChunkSize = None,
    chunk_scope: flags.ChunkScope = None,
    remainder: flags.Remainder = None,
    split: flags.Split = None,
    train_size: flags.TrainSize = None,
    test_size: flags.TestSize = None,
    masking: flags.Maskings = None,
    mlm_probability: flags.Probability = None,
    corruption: flags.Corruption = None,
    seed: flags.Seed = None,
    chunks: flags.ShownChunks = 3,
    first: flags.FirstChunk = 1,
    epoch: flags.Pass = 1,
    unit: flags.Unit = None,
    html: flags.Html = None,
    preset: flags.Preset = None,
    config: flags.ConfigFile = None,
    set_: flags.Sets = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
    help_all: flags.HelpAll = False,
) -> None:
    """Show chunks of a corpus as masking strategies leave them to the model; trains nothing.

    Example: mlmref preview --corpus notes.txt --masking token --masking whole-word
    """
    given = locals()
    with told(debug):
        from mlmref.base.ranks.process import is_main
        from mlmref.plugin.discovery import discover
        from mlmref.results.pages import check_place, write_new
        from mlmref.settings.resolve import resolve

        if html:
            check_place(html, "--html")
        settings = [
            resolve(
                preset=preset,
                file=config,
                sets=set_ or (),
                flags=flags.settings({**given, "masking": name}),
            )
            for name in dict.fromkeys(masking or (None,))
        ]
        registry = discover(disable=no_plugin or (), tell=tell)
        from mlmref.studies.preview.preview import preview as preview_

        answer = preview_(
            settings,
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
