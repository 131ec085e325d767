"""Settings that will not do: the very line, and nothing changed (RUN-001, RUN-002)."""

import pytest
from support.bad_inputs import RUN, check_refused

from mlmref import __version__ as VERSION
from mlmref.settings.config import Config

ADVICE = "read that code, and if you trust its author add --trust-remote-code"
EMPTY = "string should have at least 1 character"
LEAST = "input should be greater than or equal to"
PRESETS = "there are tiny, tutorial-accelerate, tutorial-trainer"

SETTINGS = {
    "probability over 1": (
        "--mlm-probability 1.5",
        "masking.options.mlm_probability = 1.5: input should be less than or equal to 1",
    ),
    "probability that is no number": (
        "--mlm-probability nan",
        "masking.options.mlm_probability = NaN: input should be a finite number",
    ),
    "unknown strategy": ("--masking tokn", "no masking strategy 'tokn'; did you mean token?"),
    "unknown backend": ("--backend trainr", "no training backend 'trainr'; did you mean trainer?"),
    "unknown segmenter": (
        "--segmenter tokeniser",
        "no word segmenter 'tokeniser'; did you mean tokenizer?",
    ),
    "no strategy": ("--masking ''", "no masking strategy ''; there are token, whole-word"),
    "option that the strategy lacks": (
        "--set masking.options.rate=1",
        "unknown key 'masking.options.rate'; there are mlm_probability",
    ),
    "option of a backend without any": (
        "--set training.options.rate=1",
        "unknown key 'training.options.rate'; 'trainer' of plugin mlmref:builtin-backends "
        f"{VERSION} has no options",
    ),
    "options that are none": (
        "--set training.options=3",
        "--set training.options=3: training.options = 3: input should be an object",
    ),
    "option of another type": (
        "--set 'masking.options.mlm_probability=[1]'",
        "masking.options.mlm_probability = [1]: input should be a valid number",
    ),
    "unknown preset": (
        "--preset tutorial",
        "--preset: no preset 'tutorial'; did you mean tutorial-trainer?",
    ),
    "no preset": ("--preset ''", f"--preset: no preset ''; {PRESETS}"),
    "missing settings": ("--config nowhere.toml", "nowhere.toml: no such file; check --config"),
    "folder for settings": ("--config nothing", "nothing: cannot be read (Is a directory)"),
    "malformed settings": (
        "--config malformed.toml",
        "malformed.toml: the file is not TOML: Invalid value (at line 1, column 8)",
    ),
    "settings in another encoding": (
        "--config latin.toml",
        "latin.toml: the file is not UTF-8 at byte 11",
    ),
    "unknown setting": (
        "--config unknown.toml",
        "unknown.toml: unknown key 'training.batchsize'; did you mean batch_size?",
    ),
    "unknown section": (
        "--config stray.toml",
        f"stray.toml: unknown key 'nonesuch'; there are {', '.join(Config.model_fields)}",
    ),
    "setting of another type": (
        "--config typed.toml",
        'typed.toml: training.learning_rate = "high": input should be a valid number',
    ),
    "section of another type": (
        "--config section.toml",
        "section.toml: training is a section, not a value: training = 3; set training.KEY",
    ),
    "list for a text": (
        "--config list.toml",
        'list.toml: corpus.label_column = ["label"]: input should be a valid string',
    ),
    "preset of another type": ("--config preset.toml", f"preset.toml: no preset 3; {PRESETS}"),
    "no assignment": ("--set epochs", "--set: 'epochs' is not SECTION.KEY=VALUE"),
    "assignment to nothing": ("--set =3", "--set: '=3' is not SECTION.KEY=VALUE"),
    "value for a section": (
        "--set model=3",
        "--set model=3: model is a section, not a value: model = 3; set model.KEY",
    ),
    "section for a value": (
        "--set seed.x=1",
        '--set seed.x=1: seed = {"x": 1}: input should be a valid integer',
    ),
    "unknown key": (
        "--set training.batchsize=8",
        "--set training.batchsize=8: unknown key 'training.batchsize'; did you mean batch_size?",
    ),
    "seed below 0": ("--seed -1", f"--seed: seed = -1: {LEAST} 0"),
    "seed over 64 bits": (
        "--seed 99999999999999999999",
        "--seed: seed = 99999999999999999999: input should be less than 9223372036854775808",
    ),
    "limit of 0": ("--limit 0", f"--limit: corpus.limit = 0: {LEAST} 1"),
    "documents by the page": (
        "--documents page",
        "--documents: corpus.documents = \"page\": input should be 'line' or 'file'",
    ),
    "chunk of one token": ("--chunk-size 1", f"--chunk-size: chunks.size = 1: {LEAST} 2"),
    "chunk over the maximum": (
        "--chunk-size 100",
        "chunks.size: chunks of 100 tokens are too long for a model that takes 32; use "
        "--chunk-size 32 or less",
    ),
    "unknown scope": (
        "--chunk-scope document",
        "--chunk-scope: chunks.scope = \"document\": input should be 'corpus' or 'tutorial'",
    ),
    "unknown remainder": (
        "--remainder keep",
        "--remainder: chunks.remainder = \"keep\": input should be 'drop' or 'pad'",
    ),
    "unknown split": (
        "--split word",
        "--split: split.by = \"word\": input should be 'chunk' or 'document'",
    ),
    "all for training": (
        "--train-size 1.5",
        "--train-size: split.train_size = 1.5: input should be a valid integer or input "
        "should be less than 1 or input should be 'rest'",
    ),
    "nothing held out": (
        "--test-size 0",
        f"--test-size: split.test_size = 0: {LEAST} 1 or input should be greater than 0",
    ),
    "size that is none": (
        "--test-size many",
        '--test-size: split.test_size = "many": input should be a valid integer or input '
        "should be a valid number",
    ),
    "sizes that do not fit": (
        "--train-size 9000 --test-size 9000",
        "split: train_size 9,000 + test_size 9,000 is more than the 227 chunks there are; "
        "use --train-size rest and a --test-size such as 0.1, or smaller chunks",
    ),
    "corruption of 110 %": (
        "--corruption 80/20/10",
        '--corruption: masking.corruption = {"mask": 0.8, "random": 0.2, "keep": 0.1}: mask, '
        "random and keep add up to 1.1, not 1",
    ),
    "corruption of one share": (
        "--corruption 80",
        '--corruption: masking.corruption = "80": give percentages as MASK/RANDOM/KEEP, such '
        "as 80/10/10",
    ),
    "negative corruption": (
        "--corruption 120/-10/-10",
        "--corruption: masking.corruption.mask = 1.2: input should be less than or equal to "
        f"1 or {LEAST} 0",
    ),
    "corruption that is no number": (
        "--corruption nan/0/0",
        "--corruption: masking.corruption.mask = NaN: input should be a finite number",
    ),
    "no epoch": ("--epochs 0", f"--epochs: training.epochs = 0: {LEAST} 1"),
    "no step": ("--max-steps 0", f"--max-steps: training.max_steps = 0: {LEAST} 1"),
    "batch of nothing": ("--batch-size 0", f"--batch-size: training.batch_size = 0: {LEAST} 1"),
    "no accumulation": (
        "--accumulation 0",
        f"--accumulation: training.accumulation = 0: {LEAST} 1",
    ),
    "learning rate of 0": (
        "--learning-rate 0",
        "--learning-rate: training.learning_rate = 0.0: input should be greater than 0",
    ),
    "infinite learning rate": (
        "--learning-rate inf",
        "--learning-rate: training.learning_rate = Infinity: input should be a finite number",
    ),
    "unknown schedule": (
        "--schedule step",
        "--schedule: training.schedule = \"step\": input should be 'linear', 'cosine' or "
        "'constant'",
    ),
    "warm-up below 0": (
        "--warmup-steps -1",
        f"--warmup-steps: training.warmup_steps = -1: {LEAST} 0",
    ),
    "negative decay": (
        "--weight-decay -1",
        f"--weight-decay: training.weight_decay = -1.0: {LEAST} 0",
    ),
    "dropout of all": (
        "--dropout 1",
        "--dropout: model.dropout = 1.0: input should be less than 1 or input should be "
        "'checkpoint'",
    ),
    "unknown precision": (
        "--precision fp64",
        "--precision: training.precision = \"fp64\": input should be 'auto', 'fp32', 'fp16' "
        "or 'bf16'",
    ),
    "fp16 on a CPU": (
        "--precision fp16",
        "training.precision = fp16 needs a GPU, and none was found; use --precision auto or "
        "--precision fp32",
    ),
    "workers below 0": ("--workers -1", f"--workers: training.workers = -1: {LEAST} 0"),
    "confidence of 100 %": (
        "--set evaluation.confidence=1.0",
        '--set evaluation.confidence=1.0: evaluation = {"confidence": 1.0}: confidence is '
        "between 0 and 1, without its ends",
    ),
    "one resample": (
        "--set evaluation.resamples=1",
        f"--set evaluation.resamples=1: evaluation.resamples = 1: {LEAST} 100",
    ),
    "no answers": ("--top-k 0", f"--top-k: fill.top_k = 0: {LEAST} 1"),
    "no such plugin to leave out": (
        "--no-plugin builtin-msking",
        "--no-plugin: no plugin 'builtin-msking' is installed; did you mean builtin-masking?",
    ),
    "no column": ("--text-column ''", f'--text-column: corpus.text_column = "": {EMPTY}'),
    "prompt without a mask": (
        "--prompt hello",
        "prompt 'hello': no mask to fill; write '{mask}' in it",
    ),
    "empty prompt": ("--prompt ''", "prompt '': no mask to fill; write '{mask}' in it"),
    "prompt that is too long": (
        "--prompt 'a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a "
        "a a a {mask}'",
        "prompt 'a a a a a a a a a a a a a a a a a a a a a a a a a a a a a...': 43 tokens "
        "are more than the model's maximum of 32; shorten it",
    ),
    "nothing to predict": (
        "--mlm-probability 0",
        "masking strategy 'token': no target in any held-out chunk, so there is no "
        "perplexity; raise --mlm-probability or --test-size",
    ),
    "remote code by a file": (
        "--config trusting.toml",
        f"trusting.toml: a file cannot set model.trust_remote_code = true; {ADVICE}",
    ),
    "loss that diverges": (
        "--learning-rate 1e30 --epochs 9 --set training.max_grad_norm=0",
        "training: the loss is nan at step 2 of 36; lower --learning-rate, or set "
        "training.max_grad_norm",
    ),
}


@pytest.mark.clause("RUN-001")
@pytest.mark.clause("RUN-002")
@pytest.mark.clause("CLI-003")
@pytest.mark.clause("CONF-003")
@pytest.mark.parametrize(("arguments", "expected"), SETTINGS.values(), ids=SETTINGS.keys())
def test_a_bad_setting_gets_its_line_and_status_2(place, monkeypatch, arguments, expected):
    """Source, key, value and what is wrong with it; no file is made or changed."""
    monkeypatch.chdir(place)
    check_refused(place, RUN + arguments, expected)
