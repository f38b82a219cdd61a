"""The loops behind `signals.signals`; import it only where it runs, for numba's sake.

Rows of `out` stand in the order of `signals.SIGNALS`. Memory goes with the longest text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.characters import ALPHABETIC, LINE_BREAK, PUNCTUATION, SYMBOL, TERMINAL
from corpuskit.text.line_signals_kernels import broken_lines, fed_lines, stripped
from corpuskit.text.repetition_kernels import duplicate_ngrams, mixed, paragraphs, table_size, top_ngram
from corpuskit.text.unicode_kernels import code_point
from corpuskit.text.words_kernels import split

# An odd number and its inverse modulo 2 ** 64.
_BASE, _INVERSE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xF1DE83E19937733D)
_ONE, _ZERO, _TOP = np.uint64(1), np.uint64(0), np.uint64(58)


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
    properties, words = lookup[0], room[0]
    scratch = _scratch(room[1])
    spans = np.empty((2, words + 1), np.int64)
    sums = (np.empty(words + 1, np.uint64), np.empty(words + 1, np.uint64), np.empty(words + 1, np.int64))
    marks, again = np.empty(words + 1, np.uint64), np.empty(words + 1, np.int64)
    keys, values = np.empty(1024, np.uint64), np.empty(1024, np.int64)
    for text in range(begin, len(offsets) - 1):
        start, stop = offsets[text], offsets[text + 1]
        count = split(data, start, stop, lookup, scratch, spans)
        if count < 0:
            return text
        first, last, total, breaks = stripped(data, start, stop, properties)
        size = table_size(max(count, breaks + 1))
        if size > len(keys):
            keys, values = np.empty(size, np.uint64), np.empty(size, np.int64)
        row = out[:, text]
        low = lists[1][listed[text]] if listed[text] >= 0 else 0
        high = lists[1][listed[text] + 1] if listed[text] >= 0 else 0
        _words(data, spans, count, properties, lists[0], low, high, sums, marks, row)
        if ngrams and total:
            _ngrams(sums, marks, again, count, total, keys, values, row)
        if total:
            found = paragraphs(data, first, last, keys)
            row[9], row[10] = found[1] / found[0], found[2] / total
        broken_lines(data, start, stop, properties, phrases, count, row)
        fed_lines(data, start, stop, properties, total, breaks, count, keys, row)
        row[26] = _sentences(data, spans, count, properties)
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
def _words(
    data: Any,
    spans: Any,
    count: int,
    properties: Any,
    stop_words: Any,
    begin: int,
    end: int,
    sums: Any,
    marks: Any,
    row: Any,
) -> None:
    """Look at every word. sums: of the polynomial hash before each word, what scales them back, characters."""
    totals, scales, lengths = sums
    total, power, inverse = _ZERO, _ONE, _ONE
    totals[0], scales[0], lengths[0] = total, inverse, 0
    counted = counted_length = alphabetic = 0
    seen, bloom = _ZERO, _ZERO
    for each in range(begin, end):
        bloom |= _ONE << (stop_words[each] >> _TOP)
    for word in range(count):
        at, stop = spans[0, word], spans[1, word]
        before, scale = total, inverse
        union, common, length = np.uint32(0), np.uint32(SYMBOL), 0
        while at < stop:
            char, width = code_point(data, at, stop)
            union |= properties[char]
            common &= properties[char]
            length += 1
            for byte in range(width):
                total += (np.uint64(data[at + byte]) + _ONE) * power
                power *= _BASE
                inverse *= _INVERSE
            at += width
        key = mixed((total - before) * scale)
        alphabetic += (union & ALPHABETIC) != 0
        if not common:
            counted += 1
            counted_length += length
        if bloom >> (key >> _TOP) & _ONE:
            for each in range(begin, end):
                if stop_words[each] == key:
                    seen |= _ONE << np.uint64(each - begin)
        marks[word], totals[word + 1], scales[word + 1] = key, total, inverse
        lengths[word + 1] = lengths[word] + length
    row[0], row[1] = counted, count
    row[2] = counted_length / counted if counted else 0.0
    row[7] = alphabetic / count if count else 0.0
    while seen:
        row[8] += 1
        seen &= seen - _ONE


@njit(cache=True, nogil=True)
def _ngrams(sums: Any, marks: Any, again: Any, count: int, total: int, keys: Any, values: Any, row: Any) -> None:
    totals, scales, lengths = sums
    again[:count] = 2
    for width in range(2, 5):
        row[11 + width] = top_ngram(marks, lengths, count, width, keys, values, again) / total
    for width in range(5, 11):
        row[11 + width] = duplicate_ngrams(totals, scales, lengths, count, width, keys) / total


@njit(cache=True, nogil=True)
def _sentences(data: Any, spans: Any, count: int, properties: Any) -> Any:
    """Count sentences: a word after terminal punctuation, or the first of a line, starts one."""
    found, ended = 0, False
    for word in range(count):
        fresh = word == 0 or _breaks(data, spans[1, word - 1], spans[0, word], properties)
        char, width = code_point(data, spans[0, word], spans[1, word])
        bits = properties[char]
        ends = (bits & TERMINAL) != 0 and spans[0, word] + width == spans[1, word]
        if fresh or (ended and not ends and not _is_punctuation(data, spans[0, word], spans[1, word], properties)):
            found += 1
            ended = False
        ended = ended or ends
    return found


@njit(cache=True, nogil=True, inline="always")
def _breaks(data: Any, at: int, stop: int, properties: Any) -> Any:
    while at < stop:
        char, width = code_point(data, at, stop)
        if properties[char] & LINE_BREAK:
            return True
        at += width
    return False


@njit(cache=True, nogil=True)
def _is_punctuation(data: Any, at: int, stop: int, properties: Any) -> Any:
    while at < stop:
        char, width = code_point(data, at, stop)
        if not properties[char] & PUNCTUATION:
            return False
        at += width
    return True
