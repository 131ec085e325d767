"""Values out of bounds, options that would be ignored, misspelt names: the very line."""

import os
import shutil

import pytest
from huggingface_hub import constants
from support.bad_inputs import RUN, check_refused, told

from mlmref.base.errors import ConfigError
from mlmref.runner import prepare

DIGITS = "9" * 5_000
COLLATOR = "check --collator transformers:DataCollatorForLanguageModeling"
IGNORED = "name a data collator with --collator MODULE:NAME"

VALUES = {
    "a chunk of 10^19 tokens": (
        RUN + "--chunk-size 9999999999999999999",
        "--chunk-size: chunks.size = 9999999999999999999: input should be less than or equal to "
        "1048576",
    ),
    "a billion resamples": (
        RUN + "--set evaluation.resamples=1_000_000_000",
        "--set evaluation.resamples=1_000_000_000: evaluation.resamples = 1000000000: input "
        "should be less than or equal to 100000",
    ),
    "a million workers": (
        RUN + "--workers 1000000",
        "--workers: training.workers = 1000000: input should be less than or equal to 1024",
    ),
    "an integer of 5,000 digits": (
        RUN + f"--set seed={DIGITS}",
        "--set seed=999*99 ... 999*: a number of more than 4,300 digits",
    ),
    "a flag of 5,000 digits": (RUN + f"--seed {DIGITS}", "invalid value for '--seed': *; see *"),
    "a list that never ends": (
        RUN + f"--set seed={'[' * 5_000}",
        "--set seed=[[[*[[ ... [[[*: lists or tables nested too deep",
    ),
    "a key that never ends": (
        RUN + f"--set {'a.' * 500}b=1",
        "--set: 'a.a.* is not SECTION.KEY=VALUE",
    ),
    "a share of all chunks": (
        RUN + "--test-size 1.0",
        "--test-size: split.test_size = 1.0: 1.0 is a share, and a share is less than 1; "
        "for one chunk, give 1",
    ),
    "a delimiter of two characters": (
        RUN + "--set 'corpus.delimiter=||'",
        '--set corpus.delimiter=||: corpus.delimiter = "||": give one character, such as ;',
    ),
    "a candidate in another encoding": (
        "fill model 'a {mask}.' --candidate '\udcff'",
        "invalid value for '--candidate': the text is not UTF-8; see mlmref fill --help",
    ),
    "a prompt in another encoding": (
        "fill model 'a {mask}\udcff.'",
        "invalid value for 'texts': the text is not UTF-8; see mlmref fill --help",
    ),
    "a collator in the package that there is not": (
        "check --collator .x:y",
        "--collator: no collator '.x:y' (*); give MODULE:NAME",
    ),
    "a collator that is no callable": (
        "check --collator math:pi",
        "--collator: no collator 'math:pi' (3.14* is not a callable object); give MODULE:NAME",
    ),
    "a probability of a collator": (
        COLLATOR + " --collator-arg mlm_probability=7",
        "transformers:DataCollatorForLanguageModeling: the collator cannot be called (*); "
        "set its arguments with --collator-arg and its columns with --column",
    ),
    "a rate without a collator": (
        "check token --rate nonsense",
        f"--rate: would be ignored; {IGNORED}",
    ),
    "a column without a collator": (
        "check token --column z",
        f"--column: would be ignored; {IGNORED}",
    ),
    "a corruption without one": (
        "check token --corruption 1/2/3",
        f"--corruption: would be ignored; {IGNORED}",
    ),
    "whole words without one": (
        "check tokenizer --whole-words",
        f"--whole-words: would be ignored; {IGNORED}",
    ),
    "an argument without one": (
        "check --all --collator-arg a=1",
        f"--collator-arg: would be ignored; {IGNORED}",
    ),
    "a plugin beside a collator": (
        COLLATOR + " token",
        "names: would be ignored; check a plugin without --collator",
    ),
    "a plugin's option beside a collator": (
        COLLATOR + " --option a=1",
        "--option: would be ignored; check a plugin without --collator",
    ),
    "a sample for a perplexity": (
        "evaluate model --corpus corpus.txt --sample 2",
        "--sample: perplexity is measured on all held-out chunks, not on a sample; add --metric "
        "pseudo-perplexity, or omit --sample",
    ),
    "answers beside candidates": (
        "fill model 'a {mask}.' --candidate film --top-k 3",
        "--top-k: would be ignored; --candidate ranks all candidates; omit one of both",
    ),
}


@pytest.mark.clause("CLI-012")
@pytest.mark.clause("CLI-013")
@pytest.mark.clause("CLI-014")
@pytest.mark.clause("CONF-012")
@pytest.mark.clause("SPLIT-009")
@pytest.mark.parametrize(("arguments", "expected"), VALUES.values(), ids=VALUES.keys())
def test_a_value_that_will_not_do_gets_its_line(place, monkeypatch, arguments, expected):
    """Which option it is, what is wrong with the value, and what to do; nothing is made."""
    monkeypatch.chdir(place)
    check_refused(place, arguments, expected)


@pytest.mark.clause("CONF-012")
def test_workers_are_bounded_by_the_processors(monkeypatch, place):
    """Four for each; more are refused with the number that is not."""
    from mlmref.base.progress import SILENT
    from mlmref.settings.resolve import resolve

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    prepare.check_first(resolve(sets=["training.workers=8"]), SILENT)
    with pytest.raises(ConfigError) as caught:
        prepare.check_first(resolve(sets=["training.workers=9"]), SILENT)
    assert str(caught.value) == (
        "training.workers: 9 processes are too many for 2 CPUs; use --workers 8 or fewer"
    )


@pytest.fixture
def folders(place, tmp_path, monkeypatch):
    """Make a model and a run, and let nothing ask the hub."""
    shutil.copytree(place / "model", tmp_path / "adapted")
    shutil.copytree(place / "model", tmp_path / "runs" / "001-token-trainer")
    (tmp_path / "runs" / "001-token-trainer" / "config.toml").write_text("")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


HUB = "a model on the hub is OWNER/NAME"
MISSPELT = {
    "evaluate adaptd": f"adaptd: no such folder; did you mean adapted? {HUB}",
    "fill adaptd 'a {mask}.'": f"adaptd: no such folder; did you mean adapted? {HUB}",
    "run --model ./adaptd --quiet": "./adaptd: no such folder; did you mean adapted?",
    "inspect --model adaptd --quiet": f"adaptd: no such folder; did you mean adapted? {HUB}",
    "downstream adapted --base adaptd --quiet --corpus imdb": (
        f"adaptd: no such folder; did you mean adapted? {HUB}"
    ),
    "evaluate runs/001-tokn-trainer": (
        f"runs/001-tokn-trainer: no such folder; did you mean runs/001-token-trainer? {HUB}"
    ),
    "run --quiet --resume nosuch": (
        "--resume nosuch: no such run; name a run folder, or omit --resume"
    ),
    "run --quiet --resume runs/001-tokn-trainer": (
        "--resume runs/001-tokn-trainer: no such run; did you mean runs/001-token-trainer?"
    ),
}


@pytest.mark.clause("CLI-015")
@pytest.mark.parametrize(("arguments", "expected"), MISSPELT.items())
def test_a_misspelt_folder_is_found_before_the_hub_is_asked(folders, arguments, expected):
    """The folder of a similar name that holds a model, or a run."""
    check_refused(folders, arguments, expected)


@pytest.mark.clause("CLI-015")
def test_a_name_that_is_like_none_goes_to_the_hub(folders):
    """Nor is a folder without a model one, or a name that the hub's cache holds."""
    status, text = told("evaluate othr")
    assert status == 2
    assert text.startswith("mlmref: othr: cannot be loaded (")


@pytest.mark.clause("CLI-016")
def test_what_ends_otherwise_than_asked_is_said(place, tmp_path, monkeypatch):
    """Steps beyond the epochs with the epochs that have them, and a side of one chunk."""
    monkeypatch.chdir(place)
    arguments = RUN.replace("--output out", f"--output {tmp_path}/out")
    sizes = "--train-size 10 --test-size 1 --batch-size 4"
    status, text = told(f"{arguments} {sizes} --max-steps 8")
    assert status == 0, text
    assert text.splitlines()[:2] == [
        "split.test_size = 1 is one chunk; a share is below 1, such as 0.1",
        "training ends after 3 steps, at the end of the last epoch and before max_steps = 8; to "
        "reach max_steps, use --epochs 3",
    ]
    arguments = arguments.replace("/out", "/again")
    status, text = told(
        f"{arguments} {sizes.replace('size 1 ', 'size 2 ')} --max-steps 8 --epochs 3"
    )
    assert (status, text) == (0, "")


@pytest.mark.clause("CLI-030")
def test_a_warm_up_longer_than_the_training_is_said(place, tmp_path, monkeypatch):
    """With the share of the learning rate that the training reaches."""
    monkeypatch.chdir(place)
    arguments = RUN.replace("--output out", f"--output {tmp_path}/out") + "--max-steps 2"
    status, text = told(f"{arguments} --warmup-steps 8")
    assert (status, text.splitlines()[-1]) == (
        0,
        "training ends after 2 steps, within the 8 steps of warm-up: the learning rate reaches "
        "25% of its peak; use fewer --warmup-steps",
    )


@pytest.mark.clause("RUN-017")
def test_text_that_does_not_suit_is_said_before_training(place, tmp_path, monkeypatch):
    """Unknown tokens with their share, and words that are whole lines."""
    monkeypatch.chdir(place)
    (tmp_path / "odd.txt").write_text("\u2603 film \u2603 was a film\n" * 60)
    arguments = RUN.replace("--output out", f"--output {tmp_path}/out") + "--max-steps 1"
    status, text = told(f"{arguments} --corpus {tmp_path}/odd.txt")
    assert status == 0, text
    assert text.splitlines()[0] == (
        "33% of the text's tokens are unknown to the tokenizer, and the model learns nothing from "
        "them: see mlmref inspect with the same flags"
    )
    arguments = arguments.replace("/out", "/again")
    (tmp_path / "long.txt").write_text(("unforgettable" * 6 + "\n") * 60)
    status, text = told(f"{arguments} --corpus {tmp_path}/long.txt --masking whole-word")
    assert "whole-word masks whole words: if the text has no spaces, give a --segmenter" in text
