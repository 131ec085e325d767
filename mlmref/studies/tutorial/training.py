"""Steps T15, T16 and T18 to T20: training, perplexities, and the exercises."""

from __future__ import annotations

import math

import numpy as np

from mlmref.base.quiet_libraries import quiet
from mlmref.evaluation.intervals import Documents
from mlmref.evaluation.metrics import Evaluation
from mlmref.plugin.arrays import FloatArray
from mlmref.studies.tutorial.data import unsupervised_labels
from mlmref.studies.tutorial.ground import Figure, Ground, preset
from mlmref.studies.tutorial.verdicts import Missing, Outcome, near, same, shown

TOLERANCE = 0.10
_WHY = "other held-out chunks and masks than the tutorial's, which has no seed (E12)"
_TRAINER = "batch_size 64, learning_rate 2e-05, weight_decay 0.01, epochs 3, precision fp16"
_ACCELERATE = "batch_size 64, learning_rate 5e-05, schedule linear, warmup_steps 0, epochs 3"
_ANSWERS = ["movie", "film", "story", "movies", "character"]


def _settings(backend: str, printed: str) -> Outcome:
    """Compare the settings of a preset with those printed, as ``key value`` each."""
    values = preset(backend).training.model_dump()
    keys = [setting.split()[0] for setting in printed.split(", ")]
    found = [
        f"{key} {values[key]:g}" if isinstance(values[key], float) else f"{key} {values[key]}"
        for key in keys
    ]
    return same(", ".join(found), printed, "CONF-005")


def _evaluation(nll: FloatArray, targets: FloatArray) -> Evaluation:
    """Return an evaluation with these sums, one document per chunk."""
    documents = Documents(numbers=np.arange(len(nll)), nll=nll, targets=targets)
    return Evaluation(chunk_nll=nll, chunk_targets=targets, documents=documents, correct=0)


def _formula(_: Ground) -> Outcome:
    """Compute perplexities from made-up losses with the printed means over all targets."""
    targets, found = np.array([10.0, 30.0, 60.0]), []
    for mean in (3.0796, 2.4265):
        evaluation = _evaluation(targets * mean + np.array([5.0, -8.0, 3.0]), targets)
        found.append(f"{evaluation.perplexity:.2f}")
    return same(shown(found), "21.75, 11.32", "EVAL-001")


def _overflow(_: Ground) -> Outcome:
    return same(_evaluation(np.array([1_000.0]), np.ones(1)).perplexity, math.inf)


def _trainer(on: Ground, when: str, printed: float) -> Outcome:
    found = on.trained("trainer")["perplexity"][when]["value"]
    return near(float(found), printed, TOLERANCE, _WHY)


def _epoch(on: Ground, number: int, printed: float) -> Outcome:
    epochs = on.trained("accelerate")["perplexity"]["epochs"]
    return near(float(epochs[number - 1]["value"]), printed, TOLERANCE, _WHY)


def _answers(on: Ground) -> Outcome:
    """Compare the five best answers; other masks can give another order or another word."""
    found = [one["token"] for one in on.trained("accelerate")["fill_mask"]["after"]]
    if found == _ANSWERS:
        return same(shown(found), shown(_ANSWERS))
    common = len({*found} & {*_ANSWERS})
    return Outcome(
        found=shown(found),
        verdict="within tolerance" if common >= 3 else "failed",
        note=f"{common} of the five, at least three needed: {_WHY}",
    )


def _longest(name: str) -> Outcome:
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise Missing("hub", f"{name}: cannot be loaded ({reason})") from error
    return same(int(tokenizer.model_max_length), 4_096)


def _three_passes(on: Ground) -> Outcome:
    """Count the different masks of one chunk in three passes; the note quotes the first."""
    rows = on.split.train.gather(np.array([0]))
    masker, tokenizer = on.masker("token"), on.embedded.tokenizer
    texts = [str(tokenizer.decode(masker(rows, pass_).input_ids[0])) for pass_ in range(3)]
    return same(len(set(texts)), 3, " ".join(texts[0].split()[:12]))


FIGURES = (
    Figure("T15", "", _TRAINER, lambda _: _settings("trainer", _TRAINER)),
    Figure(
        "T16", "exponential of the cross-entropies 3.0796 and 2.4265", "21.75, 11.32", _formula
    ),
    Figure("T16", "before Trainer", "21.75", lambda on: _trainer(on, "before", 21.75)),
    Figure("T16", "after Trainer", "11.32", lambda on: _trainer(on, "after", 11.32)),
    Figure("T18", "settings", _ACCELERATE, lambda _: _settings("accelerate", _ACCELERATE)),
    Figure("T18", "perplexity if the exponential overflows", "inf", _overflow),
    Figure("T18", "after epoch 1", "11.3975", lambda on: _epoch(on, 1, 11.397545307900472)),
    Figure("T18", "after epoch 2", "10.9049", lambda on: _epoch(on, 2, 10.904909330983092)),
    Figure("T18", "after epoch 3", "10.7295", lambda on: _epoch(on, 3, 10.729503505340409)),
    Figure("T19", "", shown(_ANSWERS), _answers),
    Figure("T20", "labels of the unsupervised split", "", unsupervised_labels),
    Figure(
        "T20", "model_max_length of BigBird", "", lambda _: _longest("google/bigbird-roberta-base")
    ),
    Figure(
        "T20", "model_max_length of Longformer", "",
        lambda _: _longest("allenai/longformer-base-4096"),
    ),
    Figure("T20", "different masks of one chunk in three passes", "", _three_passes),
)  # fmt: skip
