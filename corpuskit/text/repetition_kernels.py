"""Count what a text repeats: lines, paragraphs and n-grams of words, as datatrove's GopherRepetitionFilter does.

Pieces are known by 64-bit hashes. `duplicate_ngrams` must take n-grams for equal whose letters are, however the spaces
stand, so it hashes the letters that begin with a word; in `top_ngram` the words must be equal.

Most of a text is no repetition. `doubled_words` and `doubled_letters` pick, with a byte for each of some buckets, the
words where one may begin; no other is looked up. What shares a bucket by chance costs time and changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.bytes_kernels import feeds, hashed, mixed
from corpuskit.text.vector_kernels import WIDTH, eight, low, lowest
from corpuskit.text.vector_kernels import count as bit_count

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_OTHER = np.uint64(0xF1DE83E19937733D)
_ZERO, _ONE, _TOP = np.uint64(0), np.uint64(1), np.uint64(64)
_COUNT = np.int64(1) << 32  # a value of `top_ngram` is a count above the number of the first n-gram
_SURE = 16  # letters by which `doubled_letters` picks
_SPARSE = 8  # buckets for each word
_TWICE = np.uint8(3)


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
def buckets_for(words: int) -> Any:
    """Give the buckets of a text of so many words: a power of two."""
    return table_size(words * _SPARSE // 2)


@njit(cache=True, nogil=True)
def doubled_words(marks: Any, count: int, buckets: Any, slots: Any, picked: Any) -> int:
    """Pick the words at which, with the next one, a pair may stand that the text has twice; gives how many."""
    size = buckets_for(count)
    buckets[:size] = 0
    shift = _TOP - np.uint64(lowest(np.uint64(size)))
    for at in range(count - 1):
        slot = (marks[at] * _FACTOR + marks[at + 1]) * _FACTOR >> shift
        slots[at] = slot
        buckets[slot] = (buckets[slot] << 1 | 1) & _TWICE
    found = 0
    for at in range(count - 1):
        picked[found] = at
        found += buckets[slots[at]] == _TWICE
    return found


@njit(cache=True, nogil=True)
def doubled_letters(letters: Any, places: Any, count: int, least: int, buckets: Any, slots: Any, picked: Any) -> int:
    """Pick the words at which the letters of an n-gram may begin that the text has twice; gives how many.

    Those are words whose next _SURE letters, however parted, are the next ones of another word too; and where `least`
    words, the fewest of an n-gram, have fewer letters. letters: those of all words, zeros behind; word i is
    letters[places[i]:places[i + 1]].
    """
    found = max(count - least + 1, 0)
    for each in range(found):
        picked[each] = each
    for factor in (_FACTOR, _OTHER):  # what shares a bucket by chance has one of its own the second time
        found = _doubled(letters, places, least, factor, found, buckets, slots, picked)
    return found


@njit(cache=True, nogil=True)
def _doubled(
    letters: Any, places: Any, least: int, factor: Any, found: int, buckets: Any, slots: Any, picked: Any
) -> int:
    """Keep of picked[:found] the words that share their bucket with another, and those of few letters; how many."""
    size = buckets_for(found)
    buckets[:size] = 0
    shift = _TOP - np.uint64(lowest(np.uint64(size)))
    for each in range(found):
        place = places[picked[each]]
        slot = (eight(letters, place) * factor ^ eight(letters, place + 8)) * _FACTOR >> shift
        slots[each] = slot
        buckets[slot] = (buckets[slot] << 1 | 1) & _TWICE
    kept = 0
    for each in range(found):
        at = picked[each]
        picked[kept] = at
        kept += (buckets[slots[each]] == _TWICE) | (places[at + least] - places[at] < _SURE)
    return kept


@njit(cache=True, nogil=True)
def top_ngram(marks: Any, chars: Any, count: int, width: int, found: Any, keys: Any, values: Any, picked: Any) -> Any:
    """Give (the characters, spaces between included, of the commonest n-gram times its count; how many stay picked).

    Of two the first. picked[:found]: the words at which an n-gram of this width may be a repetition, all that are among
    them. What is none at one width cannot be one at the next, there or at the word before: the others stay picked.
    """
    if count < width:
        return 0, 0
    while found and picked[found - 1] > count - width:
        found -= 1
    size = table_size(found)
    keys[:size] = _ZERO
    mask = np.uint64(size - 1)
    best = 0
    top = np.int64(1)  # without repetitions the first n-gram stands for all
    for each in range(found):
        at = picked[each]
        key = marks[at]
        for word in range(at + 1, at + width):
            key = key * _FACTOR + marks[word]
        slot = slot_of(keys, mask, mixed(key))
        if keys[slot] == _ZERO:
            keys[slot], values[slot] = mixed(key), at
        values[slot] += _COUNT
        value = values[slot]
        if value >> 32 > top or (value >> 32 == top and value & (_COUNT - 1) < best):
            top, best = value >> 32, value & (_COUNT - 1)
        picked[each] = at << 32 | np.int64(slot)
    return top * (chars[best + width] - chars[best] + width - 1), _repeated(values, found, picked)


@njit(cache=True, nogil=True)
def _repeated(values: Any, found: int, picked: Any) -> int:
    """Keep of picked[:found], words above the slots of their n-grams, those of repetitions before one; how many."""
    kept = 0
    for each in range(found):
        at, slot = picked[each] >> 32, picked[each] & (_COUNT - 1)
        picked[kept] = at
        following = each + 1 < found and picked[each + 1] >> 32 == at + 1
        kept += following and values[slot] >> 32 > 1 and values[picked[each + 1] & (_COUNT - 1)] >> 32 > 1
    return kept


@njit(cache=True, nogil=True)
def duplicate_ngrams(
    letters: Any, places: Any, chars: Any, count: int, width: int, found: int, keys: Any, picked: Any
) -> int:
    """Give the characters (spaces left out) of n-grams met before; one that is counted is not read again.

    picked[:found]: as `doubled_letters` picks words.
    """
    while found and picked[found - 1] > count - width:
        found -= 1
    if found == 0:
        return 0
    size = table_size(found)
    keys[:size] = _ZERO
    mask = np.uint64(size - 1)
    total = after = 0
    for each in range(found):
        at = picked[each]
        if at < after:
            continue
        key = hashed(letters, places[at], places[at + width])
        slot = slot_of(keys, mask, key)
        if keys[slot] == key:
            total += chars[at + width] - chars[at]
            after = at + width
        else:
            keys[slot] = key
    return total


@njit(cache=True, nogil=True)
def paragraphs(data: Any, start: int, stop: int, breaks: int, keys: Any) -> Any:
    """Part data[start:stop], a stripped text, at empty lines: (paragraphs, repeated ones, characters of these).

    `keys` has room for one more than `breaks`, the line feeds.
    """
    end, length = _paragraph(data, start, stop)
    if end == stop:
        return 1, 0, 0
    size = table_size(breaks + 1)
    keys[:size] = _ZERO
    mask = np.uint64(size - 1)
    total = repeated = chars = 0
    begin = start
    while True:
        key = hashed(data, begin, end)
        total += 1
        slot = slot_of(keys, mask, key)
        if keys[slot] == key:
            repeated += 1
            chars += length
        keys[slot] = key
        if end == stop:
            return total, repeated, chars
        begin = end
        while data[begin] == 10:
            begin += 1
        end, length = _paragraph(data, begin, stop)


@njit(cache=True, nogil=True)
def _paragraph(data: Any, at: int, stop: int) -> Any:
    """Give where two line feeds stand, or `stop`, and the characters before."""
    chars = 0
    while at + WIDTH < stop:
        ends, begins = feeds(data, at)
        ends &= ends >> _ONE | (_ONE << (_TOP - _ONE) if data[at + WIDTH] == 10 else _ZERO)
        if ends:
            place = lowest(ends)
            return at + place, chars + bit_count(begins & low(place))
        chars += bit_count(begins)
        at += WIDTH
    while at < stop and not (data[at] == 10 and at + 1 < stop and data[at + 1] == 10):
        chars += (data[at] & 0xC0) != 0x80
        at += 1
    return at, chars
