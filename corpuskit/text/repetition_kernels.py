"""Count what a text repeats: lines, paragraphs and n-grams of words, as datatrove's GopherRepetitionFilter does.

Pieces are known by 64-bit hashes. `duplicate_ngrams` must take n-grams for equal whose letters are, however the spaces
stand, so its hashes are polynomials over the characters of the words alone; in `top_ngram` the words must be equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_ZERO, _ONE, _HALF, _LOW = np.uint64(0), np.uint64(1), np.uint64(32), np.uint64(29)
_COUNT = np.int64(1) << 32  # a value of `top_ngram` is a count above the number of the first n-gram


@njit(cache=True, nogil=True, inline="always")
def mixed(key: Any) -> Any:
    """Spread a hash over all bits; never 0, which stands for an empty slot."""
    key = (key ^ (key >> _HALF)) * _MIX
    key = key ^ (key >> _LOW)
    return key if key != _ZERO else _ONE


@njit(cache=True, nogil=True, inline="always")
def slot_of(keys: Any, mask: Any, key: Any) -> Any:
    """Give the slot of a key, or the empty one where it belongs."""
    slot = key & mask
    while keys[slot] != key and keys[slot] != _ZERO:
        slot = (slot + _ONE) & mask
    return slot


@njit(cache=True, nogil=True)
def table_size(pieces: int) -> int:
    """Give the slots of a table for so many pieces: a power of two, at least half of it empty."""
    size = 16
    while size < 2 * pieces:
        size *= 2
    return size


@njit(cache=True, nogil=True)
def top_ngram(marks: Any, chars: Any, count: int, width: int, keys: Any, values: Any, again: Any) -> Any:
    """Give the characters (spaces between included) of the commonest n-gram times its count; of two, the first.

    again: for every word, the count of the n-gram one shorter that starts there; it becomes that of this width. What
    is no repetition at one width cannot be one at the next, so only repetitions are looked at.
    """
    total = count - width + 1
    if total <= 0:
        return 0
    kept = 0
    for at in range(total):
        kept += again[at] > 1
    size = table_size(kept)
    keys[:size] = _ZERO
    mask = np.uint64(size - 1)
    best = 0
    top = np.int64(1)  # without repetitions the first n-gram stands for all
    for at in range(total):
        if again[at] < 2:
            again[at] = -1
            continue
        key = marks[at]
        for word in range(at + 1, at + width):
            key = key * _FACTOR + marks[word]
        key = mixed(key)
        slot = slot_of(keys, mask, key)
        if keys[slot] == _ZERO:
            keys[slot], values[slot] = key, at
        again[at] = slot
        values[slot] += _COUNT
        value = values[slot]
        if value >> 32 > top or (value >> 32 == top and value & (_COUNT - 1) < best):
            top, best = value >> 32, value & (_COUNT - 1)
    for at in range(total):
        again[at] = values[again[at]] >> 32 if again[at] >= 0 else 1
    return top * (chars[best + width] - chars[best] + width - 1)


@njit(cache=True, nogil=True)
def duplicate_ngrams(sums: Any, scales: Any, chars: Any, count: int, width: int, keys: Any) -> int:
    """Give the characters (spaces left out) of n-grams met before; one that is counted is not read again."""
    total = count - width + 1
    if total <= 0:
        return 0
    size = table_size(total)
    keys[:size] = _ZERO
    mask = np.uint64(size - 1)
    found = at = 0
    while at < total:
        key = mixed((sums[at + width] - sums[at]) * scales[at])
        slot = slot_of(keys, mask, key)
        if keys[slot] == key:
            found += chars[at + width] - chars[at]
            at += width
        else:
            keys[slot] = key
            at += 1
    return found


@njit(cache=True, nogil=True, inline="always")
def hashed(data: Any, start: int, stop: int) -> Any:
    """Hash bytes: (key, characters)."""
    key, chars = _FACTOR, 0
    for at in range(start, stop):
        key = (key ^ np.uint64(data[at])) * _MIX
        chars += (data[at] & 0xC0) != 0x80
    return mixed(key), chars


@njit(cache=True, nogil=True)
def paragraphs(data: Any, start: int, stop: int, keys: Any) -> Any:
    """Part data[start:stop], a stripped text, at empty lines: (paragraphs, repeated ones, characters of these)."""
    count = 1
    for at in range(start, stop - 1):
        count += data[at] == 10 and data[at + 1] == 10
    if count == 1:
        return 1, 0, 0
    size = table_size(count)
    keys[:size] = _ZERO
    mask = np.uint64(size - 1)
    total = repeated = chars = 0
    begin = at = start
    while at <= stop:
        if at < stop and not (data[at] == 10 and at + 1 < stop and data[at + 1] == 10):
            at += 1
            continue
        key, length = hashed(data, begin, at)
        total += 1
        slot = slot_of(keys, mask, key)
        if keys[slot] == key:
            repeated += 1
            chars += length
        keys[slot] = key
        if at == stop:
            break
        while at < stop and data[at] == 10:
            at += 1
        begin = at
    return total, repeated, chars
