"""How time and memory grow with the corpus: 62, 250 and 1,000 MB of text made here.

Run as ``python -m benchmarks.scale prepare|train FILE`` it does that in a process of its own and
prints what it took.
"""

import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

from benchmarks import ours
from benchmarks.bench import Found, benchmark, in_a_process, in_turn

MEGABYTES = (62, 250, 1_000)
NOVEL = 100
"""In about so many words one is new, as names and slips are in a growing corpus."""


@cache
def corpora():
    """Write the corpora, a document a line, once for all of this module's benchmarks."""
    folder = Path(os.environ["MLMREF_CACHE"]).parent
    files = {size: folder / f"corpus-{size}.txt" for size in MEGABYTES}
    for size, file in files.items():
        if not file.exists():
            write_corpus(file, size * 1_000_000)
    return files


def write_corpus(file, size):
    """Write so many bytes of film reviews, each time cut and joined anew and with new words."""
    rng = random.Random(size)  # noqa: S311 - nothing is kept secret with it
    with tempfile.TemporaryDirectory() as folder:
        ours.write_reviews(reviews := Path(folder) / "reviews.csv")
        import csv

        with reviews.open(encoding="utf-8", newline="") as stream:
            texts = [row["text"].split() for row in csv.DictReader(stream)]
    written = 0
    with file.open("w", encoding="utf-8") as out:
        while written < size:
            first, second = rng.choice(texts), rng.choice(texts)
            words = first[: len(first) // 2] + second[len(second) // 2 :]
            for _ in range(len(words) // NOVEL):
                new = "".join(rng.choices("abcdefghijklmnoprstuvwy", k=rng.randint(4, 11)))
                words[rng.randrange(len(words))] = new
            written += out.write(" ".join(words) + "\n")


def on_corpus(what, file, size):
    """Do a piece of work in a process of its own, with a cache of the corpus's own."""
    folder = Path(os.environ["MLMREF_CACHE"]).parent / f"cache-{size}"
    return in_a_process("scale", what, str(file), MLMREF_CACHE=str(folder))


def prepared(pairs):
    """Prepare each corpus once from an empty cache and a few times from a full one.

    What came of it is kept for the other benchmarks, which run in processes of their own.
    """
    kept = Path(os.environ["MLMREF_CACHE"]).parent / "prepared.json"
    if kept.exists():
        return json.loads(kept.read_text("utf-8"))
    told = {}
    for size, file in corpora().items():
        cold, *others = (on_corpus("prepare", file, size) for _ in range(1 + pairs))
        warm = [one["seconds"] for one in others]
        told[str(size)] = cold | {"warm": warm, "megabyte_per_s": size / cold["seconds"]}
    kept.write_text(json.dumps(told), "utf-8")
    return told


@benchmark(
    "prepare-memory",
    what="text to chunks, peak memory of the process",
    work="1 GB of text, cold cache",
    ceiling=1_000,
    unit="MB",
)
def prepare_memory(pairs):
    """Prepare the large corpus; beside it the smaller ones, to see how time and memory grow."""
    told = prepared(pairs)
    facts = {
        size: {key: one[key] for key in ("seconds", "megabyte_per_s", "peak", "own", "index")}
        for size, one in told.items()
    }
    return Found(ours=[told["1000"]["peak"]], facts=facts)


@benchmark(
    "prepare-linear",
    what="text to chunks, time for a megabyte",
    work="in 1 GB of text, cold cache",
    peer="in 250 MB",
    floor=0.8,
)
def prepare_linear(pairs):
    """Tell whether time is linear in size: a ratio of 1 is exactly so.

    62 MB are too few: what a process takes once would stand in for what is not linear.
    """
    large, small = prepared(pairs)["1000"], prepared(pairs)["250"]
    return Found(ours=[large["seconds"] / 1_000], theirs=[small["seconds"] / 250])


@benchmark(
    "warm",
    what="text to chunks, warm cache",
    work="1 GB of text",
    ceiling=1.0,
)
def warm(pairs):
    """Prepare once more what the cache holds, in a new process each time."""
    told = prepared(pairs)
    facts = {size: statistics.median(one["warm"]) for size, one in told.items()}
    return Found(ours=told["1000"]["warm"], facts=facts)


@benchmark(
    "train-memory",
    what="peak memory of training and evaluating, without mapped files",
    work="on chunks of 1 GB of text",
    peer="of 62 MB",
    floor=0.9,
    unit="MB",
)
def train_memory(pairs):
    """Train a few steps and evaluate on the corpora; the large one is to take no more."""
    prepared(pairs)
    facts = {}

    def own(size):
        facts[str(size)] = on_corpus("train", corpora()[size], size)
        return facts[str(size)]["own"]

    found = in_turn(pairs, lambda: own(1_000), lambda: own(62), warm_up=False)
    own(250)
    found.facts.update({size: facts[size] for size in sorted(facts, key=int)})
    return found


class Memory(threading.Thread):
    """Watches this process's memory: all of it, and what is its own and no page of a file."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak = self.own = 0.0

    def run(self):
        """Look again and again."""
        while True:
            lines = Path("/proc/self/status").read_text("utf-8").splitlines()
            kilobytes = dict(line.split(":", 1) for line in lines)
            self.peak = max(self.peak, int(kilobytes["VmHWM"].split()[0]) / 1024)
            self.own = max(self.own, int(kilobytes["RssAnon"].split()[0]) / 1024)
            time.sleep(0.02)


def prepare(file):
    """Go from text to the two sides of the split."""
    from mlmref.data.chunks import chunk
    from mlmref.data.corpus.load import load_corpus
    from mlmref.data.split import split
    from mlmref.data.tokens.tokenize import tokenize
    from mlmref.settings.config import ChunkConfig, CorpusConfig, SplitConfig

    tokens = tokenize(load_corpus(CorpusConfig(name=file)), ours.loaded().tokenizer)
    return split(chunk(tokens, ChunkConfig()), SplitConfig(test_size=1_000)), tokens


def index_of(parts, tokens):
    """Return the bytes that are held of documents and chunks: arrays, each once, but no file's."""
    import numpy as np

    held = [tokens.offsets, *vars(tokens._ids).values(), *vars(tokens._starts).values()]
    for side in (parts.train, parts.test):
        held += [side.documents, side.offsets, side.starts, side.lengths, side.ids]
    arrays = {id(one): one for one in held if isinstance(one, np.ndarray)}
    return sum(one.nbytes for one in arrays.values() if one.flags.owndata)


def train(file):
    """Train five steps on the corpus and evaluate its held-out chunks."""
    import numpy as np
    from support.maskers import built_in

    from mlmref.evaluation.perplexity import evaluate
    from mlmref.model.loss import MaskedLMObjective

    parts, tokens = prepare(file)
    masker = built_in("token", words=tokens.vocabulary)
    objective = MaskedLMObjective(ours.loaded().model)
    ours.step(None, batch_size=64, steps=5, objective=objective, chunks=parts.train, masked=masker)
    evaluate(objective, parts.test.select(np.arange(200)), masker)
    return parts, tokens


def main(what, file):
    """Do it and print time and memory; libraries and model are loaded before."""
    ours.loaded()
    memory = Memory()
    memory.start()
    began = time.perf_counter()
    held = index_of(*{"prepare": prepare, "train": train}[what](file)) / 1e6
    taken = time.perf_counter() - began
    time.sleep(0.1)
    told = {"seconds": taken, "peak": memory.peak, "own": memory.own, "index": held}
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
