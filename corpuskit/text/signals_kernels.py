"""The loops behind `signals.signals`; import it only where it runs, for numba's sake.

Rows of `out` stand in the order of `signals.SIGNALS`. Memory goes with the longest text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.bytes_kernels import copy_sixteen, hashed, hashed_word
from corpuskit.text.line_signals_kernels import line_signals, stripped
from corpuskit.text.plain_words_kernels import (
    ALPHA,
    BEGIN,
    CHARS,
    COUNTED,
    END,
    ENDS,
    FRESH,
    KIND,
    KNOWN,
    MOST,
    PUNCT,
    kind_of,
)
from corpuskit.text.repetition_kernels import (
    buckets_for,
    doubled_letters,
    doubled_words,
    duplicate_ngrams,
    paragraphs,
    table_size,
    top_ngram,
)
from corpuskit.text.unicode_kernels import code_point
from corpuskit.text.vector_kernels import WIDTH, borrowed
from corpuskit.text.vector_kernels import count as bit_count
from corpuskit.text.words_kernels import split

_ONE, _ZERO, _TOP = np.uint64(1), np.uint64(0), np.uint64(58)
_SLACK = 64  # bytes that may be read or written behind the letters of a text


@njit(cache=True, nogil=True)
def measure(
    data: Any,
    offsets: Any,
    lookup: Any,
    lists: Any,
    listed: Any,
    phrases: Any,
    room: Any,
    ngrams: bool,
    begin: int,
    out: Any,
) -> int:
    """Fill out[signal, text]. lists: hashes of stop words, and where each list starts; listed: the list of each text,
    or -1. room: the most words of a text, and the most characters between two spaces, that there is room for.
    Starts with text `begin`; gives the first text that has more, or their number. Without `ngrams` the rows of
    repeated n-grams stay as they are.
    """
    words, longest = room[0] + MOST, 0
    for text in range(begin, len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    scratch, spans, edge = _scratch(room[1]), np.empty((3, words), np.int64), np.zeros(4 * WIDTH, np.uint8)
    letters = np.zeros((longest if ngrams else 0) + _SLACK, np.uint8)
    places, lengths = np.zeros(words + 1, np.int64), np.zeros(words + 1, np.int64)
    marks, slots, picked = np.empty(words, np.uint64), np.empty(words, np.uint64), np.empty(words, np.int64)
    keys, values, buckets = np.empty(1024, np.uint64), np.empty(1024, np.int64), np.empty(1024, np.uint8)
    for text in range(begin, len(offsets) - 1):
        start, stop = offsets[text], offsets[text + 1]
        count = split(data, start, stop, lookup, scratch, spans)
        if count < 0:
            return text
        first, last, total, breaks = stripped(data, start, stop, lookup[0])
        size = table_size(max(count, breaks + 1))
        if size > len(keys):
            keys, values = np.empty(size, np.uint64), np.empty(size, np.int64)
        if buckets_for(count) > len(buckets):
            buckets = np.empty(buckets_for(count), np.uint8)
        row = out[:, text]
        low = lists[1][listed[text]] if listed[text] >= 0 else 0
        high = lists[1][listed[text] + 1] if listed[text] >= 0 else 0
        _words(data, spans, count, lookup[0], (letters, places, lengths, marks), ngrams, row)
        row[8] = _stop_words(marks, count, lists[0], low, high)
        if ngrams and total:
            work = (keys, values, buckets, slots, picked)
            _ngrams(letters, places, lengths, marks, count, total, work, row)
        if total:
            found = paragraphs(data, first, last, breaks, keys)
            row[9], row[10] = found[1] / found[0], found[2] / total
        line_signals(data, start, stop, lookup[0], phrases, (total, breaks, count), keys, edge, row)
    return len(offsets) - 1


@njit(cache=True, nogil=True)
def _scratch(longest: int) -> Any:
    """Make room for what stands between two spaces: code points, their bits, their bytes, cuts."""
    return np.empty((4, longest + 2), np.int64)


@njit(cache=True, nogil=True)
def split_one(data: Any, lookup: Any, spans: Any) -> Any:
    """Part one text into words; give how many there are."""
    return split(data, 0, len(data), lookup, _scratch(len(data)), spans)


@njit(cache=True, nogil=True)
def _words(data: Any, spans: Any, count: int, properties: Any, into: Any, copied: bool, row: Any) -> None:
    """Fill the signals of words, and `into`: (letters of all words, if they are to be copied, where in them each word
    begins, the characters before each word, the hash of each word).

    A word after terminal punctuation, or the first of a line, starts a sentence.
    """
    letters, places, lengths, marks = borrowed(into[0]), borrowed(into[1]), borrowed(into[2]), borrowed(into[3])
    data, spans, properties = borrowed(data), borrowed(spans), borrowed(properties)
    place = length = counted = counted_length = alphabetic = sentences = 0
    ended = False
    for word in range(count):
        at, stop, kind = spans[BEGIN, word], spans[END, word], spans[KIND, word]
        if not kind & KNOWN:
            kind = _looked_up(data, at, stop, properties) | kind & FRESH
        if stop - at <= 16 and at + 16 <= len(data):
            marks[word] = hashed_word(data, at, stop - at)
            if copied:
                copy_sixteen(data, at, letters, place)
        else:
            marks[word] = hashed(data, at, stop)
            if copied:
                _copy(data, at, stop, letters, place)
        place += stop - at
        chars, counts, ends = kind >> CHARS, (kind & COUNTED) != 0, (kind & ENDS) != 0
        alphabetic += (kind & ALPHA) != 0
        counted += counts
        counted_length += chars * counts
        starts = (kind & FRESH) != 0 or (ended and not ends and not kind & PUNCT)
        sentences += starts
        ended = (ended and not starts) or ends
        length += chars
        places[word + 1], lengths[word + 1] = place, length
    letters[place : place + _SLACK] = 0
    row[0], row[1] = counted, count
    row[2] = counted_length / counted if counted else 0.0
    row[7] = alphabetic / count if count else 0.0
    row[26] = sentences


@njit(cache=True, nogil=True, inline="always")
def _copy(data: Any, at: int, stop: int, letters: Any, to: int) -> None:
    """Copy data[at:stop] to letters[to:], up to fifteen bytes more."""
    while at < stop:
        if at + 16 <= len(data):
            copy_sixteen(data, at, letters, to)
        else:
            for byte in range(min(stop - at, 16)):
                letters[to + byte] = data[at + byte]
        at += 16
        to += 16


@njit(cache=True, nogil=True)
def _looked_up(data: Any, at: int, stop: int, properties: Any) -> Any:
    """Say what the word data[at:stop] is, by all of its characters."""
    union, common, chars = np.uint32(0), ~np.uint32(0), 0
    while at < stop:
        char, width = code_point(data, at, stop)
        union |= properties[char]
        common &= properties[char]
        chars += 1
        at += width
    return kind_of(union, common, chars)


@njit(cache=True, nogil=True)
def _stop_words(marks: Any, count: int, stop_words: Any, begin: int, end: int) -> Any:
    """Count the words of a list that occur."""
    marks, stop_words = borrowed(marks), borrowed(stop_words)
    seen, bloom = _ZERO, _ZERO
    for each in range(begin, end):
        bloom |= _ONE << (stop_words[each] >> _TOP)
    for word in range(count):
        key = marks[word]
        if bloom >> (key >> _TOP) & _ONE:
            for each in range(begin, end):
                if stop_words[each] == key:
                    seen |= _ONE << np.uint64(each - begin)
    return bit_count(seen)


@njit(cache=True, nogil=True)
def _ngrams(letters: Any, places: Any, lengths: Any, marks: Any, count: int, total: int, work: Any, row: Any) -> None:
    keys, values, buckets = borrowed(work[0]), borrowed(work[1]), borrowed(work[2])
    slots, picked = borrowed(work[3]), borrowed(work[4])
    letters, places, lengths, marks = borrowed(letters), borrowed(places), borrowed(lengths), borrowed(marks)
    found = doubled_words(marks, count, buckets, slots, picked)
    for width in range(2, 5):
        chars, found = top_ngram(marks, lengths, count, width, found, keys, values, picked)
        row[11 + width] = chars / total
    found = doubled_letters(letters, places, count, 5, buckets, slots, picked)
    for width in range(5, 11):
        row[11 + width] = duplicate_ngrams(letters, places, lengths, count, width, found, keys, picked) / total
