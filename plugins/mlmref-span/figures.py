"""Measure the figures of the README: ``python figures.py``; needs mlmref's extra ``offline``."""

from __future__ import annotations

import statistics
from time import perf_counter

import numpy as np
from mlmref_span import length_cdf, tile

from mlmref.plugin import EVALUATION_PASS
from mlmref.runner.context import RunContext
from mlmref.runner.prepare import Ready, load, prepare
from mlmref.settings.resolve import resolve


def ready(masking: str) -> Ready:
    """Return a prepared run with 1,500 IMDb reviews in chunks of 128 tokens."""
    sets = ["corpus.limit=1500", "split.train_size=rest", "split.test_size=0.1"]
    context = RunContext.of(resolve(sets=[*sets, f"masking.strategy={masking}"]))
    return prepare(context, load(context))


def main() -> None:
    """Mask 2,048 chunks, 64 at a time, with spans and with single tokens."""
    seconds = {}
    for masking in ("token", "span"):
        station = ready(masking)
        batches = [station.split.train.gather(np.arange(64) + 64 * turn) for turn in range(32)]
        words, targets, tokens, times = [], 0, 0, []
        for rows in batches:
            batch, draws = station.masker.shown(rows, EVALUATION_PASS)
            begin = perf_counter()
            targets += int(station.masker.strategy.propose(batch, draws).targets.sum())
            times.append(perf_counter() - begin)
            tokens += int((~batch.special).sum())
            if masking == "span":
                spans = tile(batch.words, length_cdf(0.2, 10), draws.bits("span.length"))
                begins = np.zeros(batch.words.shape, dtype=np.bool_)
                begins[spans.rows, spans.positions] = True
                heads = batch.words >= 0
                heads[:, 1:] &= batch.words[:, 1:] != batch.words[:, :-1]
                words += np.diff(np.flatnonzero(begins[heads])).tolist()
        seconds[masking] = statistics.median(times)
        print(f"{masking}: {targets / tokens:.2%} of {tokens:,} tokens")
        if words:
            print(f"{masking}: {np.mean(words):.2f} words a span, over {len(words):,} spans")
    print(f"span takes {seconds['span'] * 1e3:.2f} ms for 64 x 128 tokens, ", end="")
    print(f"{seconds['span'] / seconds['token']:.1f} times what token takes")


if __name__ == "__main__":
    main()
