"""``mlmref run``."""

from __future__ import annotations

from mlmref.cli import flags
from mlmref.cli.base import command, out, reporter_of, tell
from mlmref.cli.errors import told


@command()
def run(
    model: flags.Model = None,
    revision: flags.Revision = None,
    trust_remote_code: flags.TrustRemoteCode = None,
    tokenizer: flags.Tokenizer = None,
    corpus: flags.Corpus = None,
    text_column: flags.TextColumn = None,
    label_column: flags.LabelColumn = None,
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
    masking: flags.Masking = None,
    mlm_probability: flags.Probability = None,
    corruption: flags.Corruption = None,
    seed: flags.Seed = None,
    backend: flags.Backend = None,
    epochs: flags.Epochs = None,
    max_steps: flags.MaxSteps = None,
    batch_size: flags.BatchSize = None,
    accumulation: flags.Accumulation = None,
    learning_rate: flags.LearningRate = None,
    schedule: flags.Schedule = None,
    warmup_steps: flags.WarmupSteps = None,
    weight_decay: flags.WeightDecay = None,
    dropout: flags.Dropout = None,
    precision: flags.Precision = None,
    workers: flags.Workers = None,
    save_every: flags.SaveEvery = None,
    report_to: flags.ReportTo = None,
    prompt: flags.Prompt = None,
    top_k: flags.TopK = None,
    output: flags.Output = None,
    push: flags.Push = None,
    preset: flags.Preset = None,
    config: flags.ConfigFile = None,
    set_: flags.Sets = None,
    resume: flags.Resume = None,
    no_plugin: flags.NoPlugin = None,
    print_config: flags.PrintConfig = False,
    quiet: flags.Quiet = False,
    debug: flags.Debug = False,
    help_all: flags.HelpAll = False,
) -> None:
    """Adapt a model to a corpus: perplexity before, training, perplexity after.

    Example: mlmref run --corpus reviews.csv --text-column body --masking whole-word
    """
    given = locals()
    with told(debug):
        from mlmref.plugin.discovery import discover
        from mlmref.runner.folder.resume import settings_file
        from mlmref.settings.resolve import resolve, shared, to_toml

        settings = shared(
            lambda: resolve(
                preset=preset,
                file=config or settings_file(resume),
                sets=set_ or (),
                flags=flags.settings(given),
            )
        )
        registry = discover(disable=no_plugin or (), tell=tell)
        if print_config:
            from mlmref.runner.context import choose_plugins

            out.print(
                to_toml(choose_plugins(settings, registry)[0]), end="", markup=False, soft_wrap=True
            )
            return
        from mlmref.runner.run import run as run_

        result = run_(settings, resume=resume, reporter=reporter_of(quiet), registry=registry)
        if not quiet:
            from mlmref.cli.show import show_run

            show_run(result, out)
        else:
            out.print(str(result.folder), markup=False, soft_wrap=True)
