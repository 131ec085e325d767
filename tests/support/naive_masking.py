"""Masking in plain Python, token by token, to compare the package with.

``plain_*`` follow the specification and must agree with the package; ``tutorial_*`` are the
tutorial's algorithms in our own words and, where the tutorial is wrong, wrong on purpose.
"""

import hashlib
import struct

LOW = 2**32 - 1
IGNORED = -100


def plain_philox(counter, key):
    """Encrypt one counter of four words with Philox4x32-10, word by word."""
    a, b, c, d = counter
    for turn in range(10):
        key_a = (key[0] + turn * 0x9E3779B9) % 2**32
        key_b = (key[1] + turn * 0xBB67AE85) % 2**32
        high_a, low_a = divmod(a * 0xD2511F53, 2**32)
        high_c, low_c = divmod(c * 0xCD9E8D57, 2**32)
        a, b, c, d = high_c ^ b ^ key_a, low_c, high_a ^ d ^ key_b, low_a
    return a, b, c, d


def plain_bits(seed, pass_, stream, chunk_id, position):
    """Draw one number as MASK-026 says."""
    name = struct.unpack("<3I", hashlib.sha256(stream.encode("utf-8")).digest()[:12])
    key = plain_philox((pass_, *name), (seed & LOW, seed >> 32))[:2]
    chunk = chunk_id % 2**64
    return plain_philox((position // 4, chunk & LOW, chunk >> 32, 0), key)[position % 4]


def plain_words(word_start, special):
    """Give the positions of one row their words' numbers, -1 at special ones."""
    words, number, inside = [], -1, False
    for start, is_special in zip(word_start, special, strict=True):
        if is_special:
            words.append(-1)
            inside = False
            continue
        if start or not inside:
            number += 1
        words.append(number)
        inside = True
    return words


def plain_masks(rows, name, probability, corruption, vocabulary, seed, pass_):
    """Mask rows with a built-in strategy; returns inputs, labels and attention as lists."""
    shares = corruption.mask + corruption.random + corruption.keep
    ordinary = vocabulary.ordinary_ids.tolist()
    specials = set(vocabulary.special_ids.tolist())
    inputs, labels, attention = [], [], []
    for row, chunk_id in enumerate(rows.chunk_ids.tolist()):

        def draw(stream, position, chunk_id=chunk_id):
            return plain_bits(seed, pass_, stream, chunk_id, position)

        tokens = rows.input_ids[row].tolist()
        length = int(rows.lengths[row])
        special = [t in specials or k >= length for k, t in enumerate(tokens)]
        words = plain_words(rows.word_start[row].tolist(), special)
        read, answer = list(tokens), [IGNORED] * len(tokens)
        for position, token in enumerate(tokens):
            unit = position if name == "token" else words[position]
            if special[position] or draw(name, unit) / 2**32 >= probability:
                continue
            answer[position] = token
            fate = draw("mlmref.corruption", position) / 2**32
            if fate < corruption.mask / shares:
                read[position] = vocabulary.mask_id
            elif fate < (corruption.mask + corruption.random) / shares:
                index = draw("mlmref.replacement", position) * len(ordinary) >> 32
                read[position] = ordinary[index]
        inputs.append(read)
        labels.append(answer)
        attention.append([k < length for k in range(len(tokens))])
    return inputs, labels, attention


def tutorial_words(word_ids):
    """Group positions into words as the tutorial does, which passes over special tokens (E02)."""
    groups, previous = [], None
    for position, word in enumerate(word_ids):
        if word is None:
            continue
        if word != previous:
            groups.append([])
            previous = word
        groups[-1].append(position)
    return groups


def tutorial_whole_word_collator(features, probability, mask_id, generator):
    """Mask whole words in the caller's own features (E03); returns inputs and labels."""
    for feature in features:
        words = tutorial_words(feature.pop("word_ids"))
        truth, kept = feature["labels"], [IGNORED] * len(feature["labels"])
        for word, chosen in zip(words, generator.random(len(words)) < probability, strict=True):
            for position in word if chosen else ():
                kept[position] = truth[position]
                feature["input_ids"][position] = mask_id
        feature["labels"] = kept
    return [f["input_ids"] for f in features], [f["labels"] for f in features]


def tutorial_token_collator(rows, special_ids, size, probability, mask_id, generator):
    """Mask tokens by the usual rule: 80/10/10, random tokens from all ids, special ones too."""
    inputs, labels = [list(row) for row in rows], [[IGNORED] * len(row) for row in rows]
    for row, tokens in enumerate(rows):
        for position, token in enumerate(tokens):
            if token in special_ids or generator.random() >= probability:
                continue
            labels[row][position] = token
            fate = generator.random()
            if fate < 0.8:
                inputs[row][position] = mask_id
            elif fate < 0.9:
                inputs[row][position] = int(generator.integers(size))
    return inputs, labels
