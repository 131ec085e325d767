"""Steps T15, T16 and T18 to T20: training, perplexities, and the exercises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlmref.base.quiet_libraries import quiet
from mlmref.evaluation.intervals import Documents
from mlmref.evaluation.perplexity import Evaluation
from mlmref.settings.config import Config
from mlmref.studies.tutorial.data import no_labels
from mlmref.studies.tutorial.ground import Ground, preset
from mlmref.studies.tutorial.steps import figure
from mlmref.studies.tutorial.verdicts import Missing, Outcome, near, same, shown

TOLERANCE = 0.10
_WHY = "other held-out chunks and other masks than the tutorial's, which are unseeded (E12)"


def _settings(config: Config, *keys: str) -> str:
    """Write some of a training's settings, as ``key value`` each."""
    values = config.training.model_dump()
    return ", ".join(
        f"{key} {values[key]:g}" if isinstance(values[key], float) else f"{key} {values[key]}"
        for key in keys
    )


@figure(
    "T15",
    "",
    "batch_size 64, learning_rate 2e-05, weight_decay 0.01, epochs 3, precision fp16",
)
def trainer_settings(ground: Ground) -> Outcome:
    """Of the preset tutorial-trainer."""
    keys = ("batch_size", "learning_rate", "weight_decay", "epochs", "precision")
    printed = "batch_size 64, learning_rate 2e-05, weight_decay 0.01, epochs 3, precision fp16"
    return same(_settings(preset("trainer"), *keys), printed, "CONF-005")


@figure("T16", "exponential of the cross-entropies 3.0796 and 2.4265", "21.75, 11.32")
def formula(ground: Ground) -> Outcome:
    """Of losses made up so that their means over all targets are these."""
    found = []
    for nll in (3.0796, 2.4265):
        targets = np.array([10.0, 30.0, 60.0])
        losses = targets * nll + np.array([5.0, -8.0, 3.0])
        evaluation = Evaluation(
            chunk_nll=losses,
            chunk_targets=targets,
            documents=Documents(numbers=np.arange(3), nll=losses, targets=targets),
            correct=0,
        )
        found.append(f"{evaluation.perplexity:.2f}")
    return same(shown(found), "21.75, 11.32", "EVAL-001")


def _perplexity(record: dict[str, Any], when: str) -> float:
    return float(record["perplexity"][when]["value"])


@figure("T16", "before Trainer", "21.75")
def before(ground: Ground) -> Outcome:
    """On the run's own held-out chunks and masks."""
    return near(_perplexity(ground.trained("trainer"), "before"), 21.75, TOLERANCE, _WHY)


@figure("T16", "after Trainer", "11.32")
def after(ground: Ground) -> Outcome:
    """On the same chunks and masks as before."""
    return near(_perplexity(ground.trained("trainer"), "after"), 11.32, TOLERANCE, _WHY)


@figure(
    "T18",
    "settings",
    "batch_size 64, learning_rate 5e-05, schedule linear, warmup_steps 0, epochs 3",
)
def accelerate_settings(ground: Ground) -> Outcome:
    """Of the preset tutorial-accelerate."""
    keys = ("batch_size", "learning_rate", "schedule", "warmup_steps", "epochs")
    printed = "batch_size 64, learning_rate 5e-05, schedule linear, warmup_steps 0, epochs 3"
    return same(_settings(preset("accelerate"), *keys), printed, "CONF-005")


@figure("T18", "perplexity where the exponential overflows", "inf")
def overflow(ground: Ground) -> Outcome:
    """Of a cross-entropy of 1,000 nats."""
    one = np.ones(1)
    evaluation = Evaluation(
        chunk_nll=1_000 * one,
        chunk_targets=one,
        documents=Documents(numbers=np.arange(1), nll=1_000 * one, targets=one),
        correct=0,
    )
    return same(evaluation.perplexity, math.inf)


def _epoch(ground: Ground, number: int, printed: float) -> Outcome:
    epochs = ground.trained("accelerate")["perplexity"]["epochs"]
    return near(float(epochs[number]["value"]), printed, TOLERANCE, _WHY)


@figure("T18", "after the first epoch", "11.3975")
def first_epoch(ground: Ground) -> Outcome:
    """Of the run with Accelerate."""
    return _epoch(ground, 0, 11.397545307900472)


@figure("T18", "after the second", "10.9049")
def second_epoch(ground: Ground) -> Outcome:
    """Of the run with Accelerate."""
    return _epoch(ground, 1, 10.904909330983092)


@figure("T18", "after the third", "10.7295")
def third_epoch(ground: Ground) -> Outcome:
    """Of the run with Accelerate."""
    return _epoch(ground, 2, 10.729503505340409)


@figure("T19", "", "movie, film, story, movies, character")
def fills_after(ground: Ground) -> Outcome:
    """Another training gives another order, and perhaps another word."""
    printed = ["movie", "film", "story", "movies", "character"]
    found = [one["token"] for one in ground.trained("accelerate")["fill_mask"]["after"]]
    common = len({*found} & {*printed})
    if found == printed:
        return same(shown(found), shown(printed))
    return Outcome(
        found=shown(found),
        verdict="within tolerance" if common >= 3 else "failed",
        note=f"{common} of the five; at least three, since the weights are of other masks (E12)",
    )


@figure("T20", "labels of the unsupervised split", "")
def unsupervised(ground: Ground) -> Outcome:
    """Answer the exercise."""
    return no_labels(ground)


def _longest(name: str) -> Outcome:
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise Missing("hub", f"{name}: cannot be loaded ({reason})") from error
    return same(int(tokenizer.model_max_length), 4_096)


@figure("T20", "model_max_length of BigBird", "")
def bigbird(ground: Ground) -> Outcome:
    """Answer the exercise."""
    return _longest("google/bigbird-roberta-base")


@figure("T20", "model_max_length of Longformer", "")
def longformer(ground: Ground) -> Outcome:
    """Answer the exercise."""
    return _longest("allenai/longformer-base-4096")


@figure("T20", "the masks of one chunk in three passes, as tokens", "")
def masks_as_tokens(ground: Ground) -> Outcome:
    """Different each time; the note has the first one's first words."""
    rows = ground.split.train.gather(np.array([0]))
    masker, tokenizer = ground.masker("token"), ground.embedded.tokenizer
    texts = [str(tokenizer.decode(masker(rows, pass_).input_ids[0])) for pass_ in range(3)]
    return same(len(set(texts)), 3, " ".join(texts[0].split()[:12]))
