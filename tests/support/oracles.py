"""The tutorial's naive algorithms, rewritten in plain Python, to compare the package with.

They are slow and, where the tutorial is wrong, wrong on purpose.
"""

import numpy as np

from mlmref.data.split import Split


def group_texts(documents, size):
    """Join one map batch of documents and cut it; what does not fill a chunk is lost (E06).

    ``sum`` of lists copies all that it has joined so far for every document (E07).
    """
    joined = sum(documents, [])  # noqa: RUF017 - as the tutorial does
    whole = len(joined) // size * size
    return [joined[start : start + size] for start in range(0, whole, size)]


def tutorial_chunks(documents, size, batch=1000):
    """Cut as ``dataset.map(group_texts, batched=True)`` does: batch by batch."""
    chunks = []
    for first in range(0, len(documents), batch):
        chunks += group_texts(documents[first : first + batch], size)
    return chunks


def plain_chunks(documents, size, group, remainder):
    """Cut group by group, as (document, position within it) pairs; keeps a padded remainder."""
    chunks = []
    for first in range(0, len(documents), group):
        stream = [
            (number, position)
            for number, document in enumerate(documents[first : first + group], start=first)
            for position in range(len(document))
        ]
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        if remainder == "drop" and pieces and len(pieces[-1]) < size:
            pieces.pop()
        chunks += pieces
    return chunks


def plain_word_starts(ids, words, special_ids):
    """Tell word starts token by token from one document's ids and the tokenizer's word ids."""
    starts = []
    for position, (token, word) in enumerate(zip(ids, words, strict=True)):
        special = token in special_ids
        first = position == 0
        after_special = not first and ids[position - 1] in special_ids
        starts.append(
            special or first or after_special or word is None or word != words[position - 1]
        )
    return starts


def documents_in(chunks):
    """Return each chunk's documents, as a list of sets."""
    rows = chunks.gather(range_of(chunks))
    return [set(row[row >= 0].tolist()) for row in rows.documents]


def range_of(chunks):
    """Return all rows of some chunks."""
    return np.arange(len(chunks))


def leaking_share(split):
    """Return the share of held-out chunks that share a document with a training chunk (E08)."""
    trained_on = set().union(*documents_in(split.train))
    held_out = documents_in(split.test)
    return sum(not trained_on.isdisjoint(documents) for documents in held_out) / len(held_out)


def tutorial_split(chunks, train_size, test_size, seed):
    """Deal out chunks at random, whatever documents they are of (E08)."""
    order = np.random.default_rng(seed).permutation(len(chunks))
    held_out, rest = order[:test_size], order[test_size:]
    return Split(train=chunks.select(rest[:train_size]), test=chunks.select(held_out))


def tutorial_perplexity(losses, batch_size):
    """Take the exponential of the mean of batch means (E09).

    ``losses`` has a list for each chunk, of the losses of its targets.
    """
    batches = (losses[begin : begin + batch_size] for begin in range(0, len(losses), batch_size))
    means = [np.mean([loss for row in batch for loss in row]) for batch in batches]
    return float(np.exp(np.mean(means)))
