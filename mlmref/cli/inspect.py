"""``mlmref inspect``."""

from __future__ import annotations

import typer

from mlmref.base.errors import Status
from mlmref.cli import flags
from mlmref.cli.base import command, reporter_of, show, tell
from mlmref.cli.errors import told


@command()
def inspect(
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
    preset: flags.Preset = None,
    config: flags.ConfigFile = None,
    set_: flags.Sets = None,
    no_plugin: flags.NoPlugin = None,
    as_json: flags.AsJson = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
) -> None:
    """Look at a corpus before training on it: what is in it, what is wrong, and what to do.

    Status 1 if there is a problem. Example: mlmref inspect --corpus reviews.csv --text-column body
    """
    given = locals()
    with told(debug):
        from mlmref.plugin.discovery import discover
        from mlmref.settings.resolve import resolve, shared
        from mlmref.studies.inspection import inspect as inspect_

        settings = shared(
            lambda: resolve(
                preset=preset, file=config, sets=set_ or (), flags=flags.settings(given)
            )
        )
        registry = discover(disable=no_plugin or (), tell=tell)
        report = inspect_(settings, reporter=reporter_of(quiet), registry=registry)
        from mlmref.studies.inspection.terminal import show_inspection

        show(report, as_json, show_inspection)
    if report.mark == "problem":
        raise typer.Exit(Status.FAULT)
