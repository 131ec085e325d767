"""Settings from their sources to one configuration (spec/config.md)."""

import tomllib

import pytest

from mlmref.base.errors import ConfigError
from mlmref.settings.config import Config, CorpusConfig, ModelConfig, TrainingConfig
from mlmref.settings.resolve import presets, resolve, to_toml

REFUSED = [
    (["training.batch_size=0"], "training.batch_size = 0", "greater than or equal to 1"),
    (["training.batch_size=true"], "training.batch_size = true", "valid integer"),
    (['training.batch_size="64"'], 'training.batch_size = "64"', "valid integer"),
    (["training.learning_rate=nan"], "training.learning_rate = NaN", "finite"),
    (["training.learning_rate=0"], "training.learning_rate = 0", "greater than 0"),
    (["training.precision=fp64"], 'training.precision = "fp64"', "'fp16'"),
    (["model.dropout=1"], "model.dropout = 1", "less than 1"),
    (["chunks.size=1"], "chunks.size = 1", "greater than or equal to 2"),
    (["chunks.remainder=keep"], 'chunks.remainder = "keep"', "'drop' or 'pad'"),
    (["split.train_size=1.5"], "split.train_size = 1.5", "less than 1"),
    (["split.test_size=0"], "split.test_size = 0", "greater than or equal to 1"),
    (["split.train_size=most"], 'split.train_size = "most"', "'rest'"),
    (["seed=-1"], "seed = -1", "greater than or equal to 0"),
    (["seed=2.5"], "seed = 2.5", "valid integer"),
    (["fill.prompts=hello"], 'fill.prompts = "hello"', "array"),
    (["training=3"], "training = 3", "is a section"),
    (["evaluation.confidence=1.0"], "evaluation", "between 0 and 1"),
]


@pytest.mark.clause("CONF-001")
@pytest.mark.parametrize(("sets", "shown", "wrong"), REFUSED)
def test_bad_values_are_named_with_what_is_wrong(sets, shown, wrong):
    """A value of the wrong type or range is refused by its full name."""
    with pytest.raises(ConfigError) as caught:
        resolve(sets=sets)
    assert shown in str(caught.value)
    assert wrong in str(caught.value)


@pytest.mark.clause("CONF-006")
@pytest.mark.clause("CONF-011")
@pytest.mark.parametrize(
    ("given", "sets", "expected"),
    [
        ({}, [], (5e-4, 0.0, 10_000)),
        ({"model": ModelConfig(name="x")}, ["model.name=x"], (5e-5, "checkpoint", 10_000)),
        ({"model": {"name": "x"}}, ["model.name=x"], (5e-5, "checkpoint", 10_000)),
        ({"corpus": CorpusConfig(name="n.txt")}, ["corpus.name=n.txt"], (5e-4, 0.0, "rest")),
        ({"training": TrainingConfig(epochs=3)}, ["training.epochs=3"], (5e-4, 0.0, 10_000)),
        (
            {"training": TrainingConfig(learning_rate=5e-5)},
            ["training.learning_rate=5e-5"],
            (5e-5, 0.0, 10_000),
        ),
        (
            {"model": ModelConfig(dropout="checkpoint"), "split": {"train_size": 7}},
            ["model.dropout=checkpoint", "split.train_size=7"],
            (5e-4, "checkpoint", 7),
        ),
    ],
)
def test_python_has_the_defaults_of_the_command_line(given, sets, expected):
    """Learning rate, dropout and split fit the model and the corpus, however they are given."""
    config = Config(**given)
    assert config == resolve(sets=sets)
    assert Config.model_validate(config.model_dump()) == config
    found = config.training.learning_rate, config.model.dropout, config.split.train_size
    assert found == expected


@pytest.mark.clause("CONF-006")
def test_a_named_preset_is_not_filled_up_for_a_model():
    """The tutorial's settings on the embedded checkpoint keep that checkpoint's own dropout."""
    config = resolve(preset="tutorial-trainer", sets=["model.name=embedded"])
    assert (config.model.dropout, config.training.learning_rate) == ("checkpoint", 2e-5)
    assert resolve(preset="tiny", sets=["model.name=x"]).training.learning_rate == 5e-4
    assert resolve(preset="tiny") == Config()


@pytest.mark.clause("CONF-002")
@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("training.batchsize", "batch_size"),
        ("trainig.epochs", "training"),
        ("batch_size", "training.batch_size"),
        ("masking.corruption.masks", "mask"),
    ],
)
def test_unknown_keys_are_refused_with_close_matches(key, match):
    """A misspelt key is refused, and the key that was meant is named."""
    with pytest.raises(ConfigError, match="unknown key") as caught:
        resolve(sets=[f"{key}=1"])
    assert key.split(".")[0] in str(caught.value)
    assert match in caught.value.hint


@pytest.mark.clause("CONF-003")
def test_the_source_of_a_bad_value_is_named(tmp_path):
    """File, --set and flag each are named when theirs is the bad value."""
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nepochs = 0\n")
    with pytest.raises(ConfigError, match="mine.toml"):
        resolve(file=file)
    with pytest.raises(ConfigError, match="--set training.epochs=0"):
        resolve(sets=["training.epochs=0"])
    with pytest.raises(ConfigError, match="^--epochs:"):
        resolve(flags={"--epochs": ("training.epochs", 0)})


@pytest.mark.clause("CONF-003")
@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"seed = = 1", "the file is not TOML"),
        (b"\xff\xfe", "is not UTF-8 at byte 0"),
        (None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, wrong):
    """A missing, binary or malformed file is named with the reason."""
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=wrong) as caught:
        resolve(file=file)
    assert str(file) in str(caught.value)


@pytest.mark.clause("CONF-003")
@pytest.mark.parametrize("text", ["epochs", "=3", "training.=3", ".epochs=3"])
def test_a_set_that_is_no_assignment_is_refused(text):
    """--set takes SECTION.KEY=VALUE and nothing less."""
    with pytest.raises(ConfigError, match="SECTION.KEY=VALUE"):
        resolve(sets=[text])


@pytest.mark.clause("CONF-004")
def test_later_sources_win_key_by_key(tmp_path):
    """A flag beats --set, which beats the file, which beats the preset; other keys stay."""
    file = tmp_path / "mine.toml"
    file.write_text("[training]\nepochs = 2\nbatch_size = 8\nlearning_rate = 0.1\n")
    config = resolve(
        file=file,
        sets=["training.batch_size=16", "training.learning_rate=0.2"],
        flags={
            "--learning-rate": ("training.learning_rate", 0.3),
            "--epochs": ("training.epochs", None),
        },
    )
    training = config.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (2, 16, 0.3)
    assert config.model.dropout == 0.0  # the preset's


@pytest.mark.clause("CONF-004")
def test_a_file_may_name_its_preset_and_a_flag_another(tmp_path):
    """The file's preset key is used unless --preset is given."""
    file = tmp_path / "mine.toml"
    file.write_text('preset = "tutorial-trainer"\nseed = 7\n')
    assert resolve(file=file).training.learning_rate == 2e-5
    assert resolve(file=file, preset="tiny").training.learning_rate == 5e-4
    assert resolve(file=file).seed == 7


@pytest.mark.clause("MODEL-017")
def test_another_model_does_not_inherit_the_revision(tmp_path):
    """A run's settings name the revision of its own model."""
    file = tmp_path / "a.toml"
    file.write_text('[model]\nname = "some/model"\nrevision = "v1"\n')
    assert resolve(file=file).model.revision == "v1"
    assert resolve(file=file, sets=['model.name="some/model"']).model.revision == "v1"
    assert resolve(file=file, sets=['model.name="other"']).model.revision is None
    both = ['model.name="other"', 'model.revision="v2"']
    assert resolve(file=file, sets=both).model.revision == "v2"


@pytest.mark.clause("CORP-032")
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("other.csv", {"text_column": "body", "delimiter": ";"}),
        ("other.tsv.gz", {"text_column": "body", "delimiter": ";"}),
        ("other.jsonl", {"text_column": "body", "delimiter": None}),
        ("hub:some/set", {"text_column": "body", "delimiter": None}),
        ("notes/*.TXT", {"text_column": "text", "delimiter": None}),
        ("a_folder", {"text_column": "body", "delimiter": ";"}),
    ],
)
def test_a_corpus_of_another_kind_does_not_inherit_what_it_cannot_use(tmp_path, name, kept):
    """Evaluated on a text, a model of a table's rows does not look for their column."""
    file = tmp_path / "a.toml"
    file.write_text('[corpus]\nname = "mine.csv"\ntext_column = "body"\ndelimiter = ";"\n')
    corpus = resolve(file=file, sets=[f"corpus.name={name}"]).corpus
    assert {key: getattr(corpus, key) for key in kept} == kept
    typed = resolve(file=file, sets=[f"corpus.name={name}", "corpus.delimiter=,"]).corpus
    assert typed.delimiter == ","


@pytest.mark.clause("CONF-009")
def test_another_plugin_does_not_inherit_options(tmp_path):
    """A flag that exchanges a plugin leaves the file's options of the old one behind."""
    file = tmp_path / "mine.toml"
    file.write_text(
        '[masking]\nstrategy = "token"\ncorruption = "80/10/10"\n'
        "options = {mlm_probability = 0.3}\n"
        '[training]\nbackend = "trainer"\noptions = {a = 1}\n'
        '[words]\nsegmenter = "mine"\noptions = {b = 1}\n'
    )
    kept = resolve(file=file, sets=["masking.strategy=token", "seed=1"])
    assert kept.masking.options == {"mlm_probability": 0.3}
    assert kept.masking.corruption is not None
    assert kept.words.options == {"b": 1}
    others = ("masking.strategy=whole-word", "training.backend=accelerate", "words.segmenter=his")
    other = resolve(file=file, sets=others)
    assert other.masking.options == {}
    assert other.masking.corruption is None
    assert other.training.options == {}
    assert (other.words.segmenter, other.words.options) == ("his", {})
    both = resolve(file=file, sets=["masking.strategy=whole-word", "masking.options.a=2"])
    assert both.masking.options == {"a": 2}
    flag = {"--masking": ("masking.strategy", "whole-word")}
    flagged = resolve(file=file, sets=["masking.options.a=2"], flags=flag)
    assert flagged.masking.options == {"a": 2}, "--set and a flag are of one command line"


@pytest.mark.clause("CONF-007")
def test_an_option_that_is_not_set_can_be_written():
    """TOML has no null: an option of None is left out."""
    config = resolve(sets=["masking.options.a=1"])
    options = {"a": None, "b": {"c": None, "d": 1}}
    masking = config.masking.model_copy(update={"options": options})
    written = tomllib.loads(to_toml(config.model_copy(update={"masking": masking})))
    assert written["masking"]["options"] == {"b": {"d": 1}}


@pytest.mark.clause("CONF-005")
def test_an_unknown_preset_is_refused_with_those_there_are():
    """A misspelt preset is answered with the closest one."""
    with pytest.raises(ConfigError, match="did you mean tiny"):
        resolve(preset="tinny")
    assert presets() == ["tiny", "tutorial-accelerate", "tutorial-trainer"]


@pytest.mark.clause("CONF-005")
def test_the_tutorial_presets_carry_the_tutorials_settings():
    """T14, T15 and T18: split, Trainer's arguments, and the Accelerate loop."""
    trainer, loop = resolve(preset="tutorial-trainer"), resolve(preset="tutorial-accelerate")
    for config in (trainer, loop):
        assert config.model.name == "distilbert-base-uncased"
        assert (config.split.train_size, config.split.test_size, config.split.seed) == (
            10_000,
            1_000,
            42,
        )
        assert config.chunks.size == 128
        assert config.chunks.scope == "tutorial"
        assert config.chunks.remainder == "drop"
        assert (config.training.epochs, config.training.batch_size) == (3, 64)
        assert config.training.weight_decay == 0.01
        assert config.training.schedule == "linear"
        assert config.training.warmup_steps == 0
        assert config.model.dropout == "checkpoint"
    assert (trainer.training.backend, loop.training.backend) == ("trainer", "accelerate")
    assert (trainer.training.learning_rate, loop.training.learning_rate) == (2e-5, 5e-5)
    assert (trainer.training.precision, loop.training.precision) == ("fp16", "fp32")
    # Trainer clips at 1 and spares biases and norms; a bare AdamW loop does neither.
    assert (trainer.training.max_grad_norm, loop.training.max_grad_norm) == (1.0, 0.0)
    assert (trainer.training.decay, loop.training.decay) == ("weights", "all")


@pytest.mark.clause("CONF-005")
@pytest.mark.parametrize("preset", ["tiny", "tutorial-accelerate", "tutorial-trainer"])
def test_a_preset_given_as_a_file_means_the_same(preset, tmp_path):
    """A preset's settings written out and given with --config resolve to themselves."""
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(resolve(preset=preset)))
    assert resolve(file=file) == resolve(preset=preset)


@pytest.mark.clause("CONF-006")
def test_another_corpus_is_split_by_shares():
    """10,000 and 1,000 chunks hold for the default preset's corpus and for no other."""
    assert resolve().split.train_size == 10_000
    assert resolve(flags={"--corpus": ("corpus.name", "imdb")}).split.test_size == 1_000
    other = resolve(flags={"--corpus": ("corpus.name", "mine.txt")})
    assert (other.split.train_size, other.split.test_size) == ("rest", 0.1)
    assert other.training == resolve().training
    asked = resolve(sets=["corpus.name=mine.txt", "split.test_size=7"]).split
    assert (asked.train_size, asked.test_size) == ("rest", 7)


@pytest.mark.clause("CONF-006")
def test_another_model_is_trained_gently():
    """The default preset's learning rate and dropout hold for its own model alone."""
    assert resolve().training.learning_rate == 5e-4
    other = resolve(flags={"--model": ("model.name", "distilbert-base-uncased")})
    assert other.training.learning_rate == 5e-5
    assert other.model.dropout == "checkpoint"
    assert other.split == resolve().split


@pytest.mark.clause("CONF-006")
def test_a_preset_that_is_named_is_kept_whole():
    """--preset with another corpus and model keeps the preset's split and training."""
    other = resolve(preset="tutorial-trainer", sets=["corpus.name=m.txt", "model.name=b"])
    assert other.split == resolve(preset="tutorial-trainer").split
    assert other.training == resolve(preset="tutorial-trainer").training


@pytest.mark.clause("CONF-001")
def test_a_section_that_is_no_table_is_named():
    """A number for the corpus section is refused as such, before its name is looked for."""
    with pytest.raises(ConfigError, match="corpus = 3"):
        resolve(sets=["corpus=3"])


@pytest.mark.clause("CONF-007")
def test_the_printed_configuration_resolves_to_itself():
    """TOML, back and forth, loses nothing."""
    config = resolve(sets=["masking.corruption=70/20/10", 'fill.prompts=["{mask}!"]', "seed=3"])
    again = Config.model_validate(tomllib.loads(to_toml(config)))
    assert again == config


@pytest.mark.clause("CONF-008")
def test_corruption_is_read_from_percentages_and_tables():
    """80/10/10 and the table of shares are the same."""
    short = resolve(sets=["masking.corruption=80/10/10"]).masking.corruption
    long = resolve(
        sets=[f"masking.corruption.{key}" for key in ("mask=0.8", "random=0.1", "keep=0.1")]
    ).masking.corruption
    assert short == long
    assert (short.mask, short.random, short.keep) == (0.8, 0.1, 0.1)


@pytest.mark.clause("CONF-008")
@pytest.mark.parametrize("text", ["80/10/20", "80/10", "a/b/c", "120/-10/-10", "80"])
def test_shares_that_are_no_shares_are_refused(text):
    """Shares that do not add up to 1, or are none, are refused."""
    with pytest.raises(ConfigError, match="masking.corruption"):
        resolve(sets=[f"masking.corruption={text}"])
