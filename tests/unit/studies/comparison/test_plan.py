"""What a comparison's file comes to (spec/compare.md)."""

from pathlib import Path

import pytest

from mlmref.base.errors import ConfigError, MlmrefError
from mlmref.studies.comparison.file import shipped
from mlmref.studies.comparison.plan import read_plan

TWO = """
[variants.token]
masking.strategy = "token"
[variants.whole-word]
masking.strategy = "whole-word"
"""


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return what plans the comparison of a text."""
    monkeypatch.chdir(tmp_path)

    def plan(text, **given):
        Path("mine.toml").write_text(text, "utf-8")
        return read_plan(Path("mine.toml"), **given)

    return plan


def names(plan):
    """Return the names of a plan's variants."""
    return [one.name for one in plan.variants]


@pytest.mark.clause("COMP-002")
@pytest.mark.clause("COMP-005")
def test_every_variant_with_every_combination_under_every_seed(planned):
    """Two variants, two backends and three seeds are twelve runs, all of one seed together."""
    plan = planned(
        f'seeds = [3, 1, 2]\n{TWO}[grid]\n"training.backend" = ["trainer", "accelerate"]'
    )
    assert names(plan) == [
        "token+backend=trainer",
        "token+backend=accelerate",
        "whole-word+backend=trainer",
        "whole-word+backend=accelerate",
    ]
    runs = plan.runs(Path("there"))
    assert len(runs) == 12
    assert [run.seed for run in runs] == [3] * 4 + [1] * 4 + [2] * 4
    assert [run.variant for run in runs[:4]] == names(plan)
    last = runs[-1]
    assert last.name == "whole-word+backend=accelerate-seed-2"
    assert last.folder == Path("there/runs") / last.name
    assert last.config.masking.strategy == "whole-word"
    assert last.config.masking.options == {"mlm_probability": 0.2}
    assert (last.config.training.backend, last.config.training.seed) == ("accelerate", 2)
    assert {(run.config.seed, run.config.split) for run in runs} == {
        (plan.base.seed, plan.base.split)
    }


@pytest.mark.clause("COMP-002")
@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ('masking.strategy = ["token", "whole-word"]', ["strategy=token", "strategy=whole-word"]),
        ('"masking.corruption" = ["80/10/10"]', ["corruption=80-10-10"]),
        ("training.learning_rate = [1e-4, 0.1]", ["learning_rate=0.0001", "learning_rate=0.1"]),
        (
            "model.dropout = [0.1]\nsplit.train_size = [100, 200]",
            ["dropout=0.1+train_size=100", "dropout=0.1+train_size=200"],
        ),
        (
            "words.options.x = [1]\nmasking.options.x = [true]",
            None,
        ),
    ],
)
def test_a_grid_alone_names_variants_by_its_values(planned, grid, expected):
    """By the last part of each key, quoted or not, and the value."""
    text = f"[grid]\n{grid}"
    if expected is None:  # no strategy has that option, and the axes are told in full
        with pytest.raises(ConfigError, match=r"options"):
            planned(text)
    else:
        assert names(planned(text)) == expected


@pytest.mark.clause("COMP-001")
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sedes = [1]\n" + TWO, ["unknown key 'sedes'", "did you mean seeds?", "mine.toml"]),
        (f"{TWO}[evaluation]\nstrateg = 'token'", ["evaluation.strateg", "evaluation", "strategy"]),
        (f"{TWO}[base]\ntraining.epoch = 1", ["training.epoch", "epochs", "[base]"]),
        (f"{TWO}[base]\npreset = 'tinny'", ["no preset 'tinny'", "tiny"]),
        ("[variants.a]\nmasking.strateg = 'x'", ["masking.strateg", "strategy", "[variants.a]"]),
        ("[grid]\n'training.epoch' = [1]", ["training.epoch", "epochs", "[grid]"]),
        ("[variants.a]\ntraining.epochs = 0", ["training.epochs = 0", "[variants.a]"]),
        (f"{TWO}[evaluation]\ncorruption = '1/2'", ["corruption", "80/10/10"]),
        (
            f"{TWO}[evaluation]\nstrategy = 'tokn'",
            ["no masking strategy 'tokn'", "did you mean token?", "[evaluation]"],
        ),
        (f"{TWO}[evaluation]\noptions.rate = 1", ["rate", "mlm_probability", "[evaluation]"]),
        (f"seeds = [1, 2, 1]\n{TWO}", ["seeds", "once"]),
        (f"seeds = []\n{TWO}", ["seeds", "at least 1"]),
        (f"seeds = [-1]\n{TWO}", ["seeds", "greater than or equal to 0"]),
        (f"baseline = 'tokens'\n{TWO}", ["no variant 'tokens'", "did you mean token?"]),
        (f"pairs = 'some'\n{TWO}", ["pairs", "'baseline' or 'all'"]),
        ("seeds = [1]", ["nothing to compare", "[variants.NAME]"]),
        ("variants = 3", ["variants = 3"]),
        ("[grid]\nmasking.strategy = 'token'", ["grid.masking.strategy", "not a list of values"]),
        ("[grid]\nmasking.strategy = []", ["grid.masking.strategy = []", "not a list of values"]),
        ("[grid]\nmasking.corruption = [{mask = 1.0}]", ["corruption", "use [variants.NAME]"]),
        ("[variants.'a/b']\n", ["name 'a/b'", "letters"]),
        (f"[variants.{'a' * 81}]\n", ["name", "80 at most"]),
        ("[variants.a]\n[variants.A]\n", ["two variants", "'A'"]),
        ("[grid]\nmasking.options.mlm_probability = [0.1, 0.10]", ["two variants"]),
        ("[variants.a]\nmasking.options.rat = 1", ["masking.options.rat", "variant 'a'"]),
        ("[variants.a", ["the file is not TOML"]),
        ("[grid]\n'training.epochs' = [1]\ntraining.epochs = [2]", ["training.epochs", "twice"]),
        (f"{TWO}[evaluation]\nresamples = 2_000_000", ["resamples", "1000000"]),
    ],
)
def test_what_is_wrong_is_told_in_a_line(planned, text, parts):
    """The key or name, what is wrong with it, where it is, and what would do."""
    with pytest.raises(MlmrefError) as caught:
        planned(text)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.clause("COMP-001")
@pytest.mark.clause("COMP-004")
def test_bad_options_are_refused_under_those_of_the_command_line(planned):
    """What is no table of options is told as such, and not merged with any."""
    with pytest.raises(ConfigError, match=r"evaluation\.options = 3"):
        planned(f"{TWO}[evaluation]\noptions = 3", task={"options": {"mlm_probability": 0.2}})


@pytest.mark.clause("COMP-001")
def test_no_such_file(tmp_path, monkeypatch):
    """A name that does not ship is told with those that do, a path as missing."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="did you mean whole-word-or-token"):
        read_plan(Path("whole-word-or-tokens"))
    with pytest.raises(ConfigError, match="no such file; check FILE"):
        read_plan(Path("mine.toml"))


@pytest.mark.clause("COMP-003")
@pytest.mark.parametrize(
    ("setting", "part"),
    [
        ("corpus.limit = 7", "corpus.limit was nothing, is 7"),
        ("chunks.size = 64", "chunks.size was 128, is 64"),
        ("split.test_size = 7", "split.test_size was 1000, is 7"),
        ("split.seed = 7", "split.seed was 42, is 7"),
        ("evaluation.draws = 2", "evaluation.draws was 1, is 2"),
        ("seed = 7", "seed was 42, is 7"),
        ("training.seed = 7", "training.seed was nothing, is 7"),
        ("output.folder = 'x'", "output.folder was nothing, is x"),
    ],
)
def test_a_variant_has_everybodys_text(planned, setting, part):
    """What would change the measured text or a seed is refused by its key."""
    with pytest.raises(ConfigError) as caught:
        planned(f"{TWO}[variants.third]\n{setting}")
    assert "variant 'third' must have the same held-out text and seeds" in str(caught.value)
    assert part in str(caught.value)


@pytest.mark.clause("COMP-003")
def test_more_to_train_on_is_a_variant(planned):
    """Which chunks are held out does not depend on how many are trained on."""
    plan = planned("[grid]\nsplit.train_size = [100, 1000]")
    assert [one.settings for one in plan.variants] == [
        {"split.train_size": 100},
        {"split.train_size": 1000},
    ]


@pytest.mark.clause("COMP-005")
@pytest.mark.parametrize(
    ("setting", "part"),
    [("output.push = 'me/x'", "output cannot be set"), ("training.seed = 1", "use seeds = [...]")],
)
def test_the_comparison_has_seeds_and_folders_of_its_own(planned, setting, part):
    """Neither is for the base to say, nor for --set."""
    for text, sets in ((f"{TWO}[base]\n{setting}", []), (TWO, [setting])):
        with pytest.raises(ConfigError) as caught:
            planned(text, sets=sets)
        assert part in str(caught.value)


@pytest.mark.clause("COMP-004")
@pytest.mark.clause("CONF-009")
def test_settings_go_over_each_other_in_order(planned):
    """Base, then --set, then the variant, then the grid; another strategy has its own options."""
    text = """
    [base]
    masking.strategy = "token"
    masking.options.mlm_probability = 0.3
    training.epochs = 2
    training.batch_size = 8
    [variants.same]
    [variants.other]
    masking.strategy = "whole-word"
    training.epochs = 3
    [grid]
    training.accumulation = [4]
    """
    plan = planned(text, sets=["training.epochs=5", "training.accumulation=2"])
    same, other = (one.config for one in plan.variants)
    assert (same.training.epochs, other.training.epochs) == (5, 3)
    assert same.training.batch_size == other.training.batch_size == 8
    assert same.training.accumulation == other.training.accumulation == 4
    assert plan.base.training.accumulation == 2
    assert same.masking.options == {"mlm_probability": 0.3}
    assert other.masking.options == {"mlm_probability": 0.2}


@pytest.mark.clause("COMP-004")
@pytest.mark.clause("COMP-009")
def test_the_common_task(planned):
    """Tokens at 15 % with 80/10/10; the file goes over that, and the command line over it."""

    def task(text="", **given):
        made = planned(TWO + text, task=given).task
        shares = made.corruption and tuple(made.corruption.model_dump().values())
        return made.strategy, made.options.get("mlm_probability"), shares, made.draws

    file = "[evaluation]\noptions.mlm_probability = 0.3\ncorruption = '100/0/0'\ndraws = 4"
    assert task() == ("token", 0.15, (0.8, 0.1, 0.1), 1)
    assert task(file) == ("token", 0.3, (1.0, 0.0, 0.0), 4)
    assert task(file, strategy="whole-word") == ("whole-word", 0.2, (1.0, 0.0, 0.0), 4)
    assert task(file, corruption="80/10/10") == ("token", 0.3, (0.8, 0.1, 0.1), 4)
    assert task(file, options={"mlm_probability": 0.2}) == ("token", 0.2, (1.0, 0.0, 0.0), 4)
    with pytest.raises(ConfigError, match="the command line"):
        task(file, corruption="many")


@pytest.mark.clause("COMP-002")
def test_pairs(planned):
    """With the first, with the one that is named, or all with each other from it on."""
    three = f"{TWO}[variants.third]\n"
    assert planned(three).pairs == [("token", "whole-word"), ("token", "third")]
    text = f"baseline = 'third'\n{three}"
    assert planned(text).pairs == [("third", "token"), ("third", "whole-word")]
    assert planned(f"pairs = 'all'\n{text}").pairs == [
        ("third", "token"),
        ("third", "whole-word"),
        ("token", "whole-word"),
    ]
    assert planned("[variants.alone]\n").pairs == []


@pytest.mark.clause("SEC-003")
def test_code_of_a_model_is_for_the_command_line_to_allow(planned):
    """In the base as in a variant, a file cannot; the flag does."""
    for section in ("[base]", "[variants.token]"):
        text = f"{section}\nmodel.trust_remote_code = true\n[variants.other]\n"
        with pytest.raises(ConfigError, match="a file cannot set"):
            planned(text)
    assert planned(text, trusts=True).base.model.trust_remote_code


@pytest.mark.clause("COMP-001")
@pytest.mark.parametrize("name", shipped())
def test_what_ships_can_be_read(name):
    """Its settings are valid, and the tutorial's (T12, T13)."""
    plan = read_plan(Path(name))
    assert plan.name == name == "whole-word-or-token"
    token, words = (one.config.masking for one in plan.variants)
    assert (token.strategy, token.options["mlm_probability"]) == ("token", 0.15)
    assert (words.strategy, words.options["mlm_probability"]) == ("whole-word", 0.2)
    assert token.corruption.mask == 0.8
    assert words.corruption.mask == 1.0
    assert len(plan.seeds) == 5
    assert (plan.base.model.name, plan.base.corpus.name) == ("embedded", "imdb")
