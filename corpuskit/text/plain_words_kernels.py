"""Part the plainest words from the signs beside them: what most of a text is made of; see `words_kernels`.

A word of letters or of figures, perhaps with one quote or bracket before it and some signs behind, up to a space or a
line feed. That spaCy's rules part each of these signs from it, one by one, is plain unless the word, with or
without its signs, is known by heart. A sign that stands alone is a word, whatever it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.bytes_kernels import HALF, letters
from corpuskit.text.characters import (
    ALPHABETIC,
    LETTER,
    OTHER,
    PREFIX,
    PUNCTUATION,
    STOPPED,
    SUFFIX,
    SYMBOL,
    TERMINAL,
)
from corpuskit.text.unicode_kernels import code_point
from corpuskit.text.vector_kernels import eight, low, lowest
from corpuskit.text.word_cases import ALONE, BESIDE_BITS, CLOSING, DOTTED, OPENING

# The rows of spans: where a word begins, where it ends, and what it is.
BEGIN, END, KIND = 0, 1, 2
#: What a word is: the first behind a line break; with a letter; more than symbols; punctuation alone; a sign that ends
#: a sentence; whether all but the first is known, and so the number of its characters above CHARS.
FRESH, ALPHA, COUNTED, PUNCT, ENDS, KNOWN, CHARS = 1, 2, 4, 8, 16, 32, 6

#: The most words that one step makes.
MOST = 8
_SIGNS = 5  # behind a word
_LETTERS, _FIGURES, _SIGN = ALPHA | COUNTED | KNOWN, COUNTED | KNOWN, PUNCT | KNOWN | 1 << CHARS

# What may stand before a word, and behind it.
_SPACE, _DOT, _CLOSES, _STOPS = 1, 2, 3, 4
_BEFORE, _BEHIND = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
_BEFORE[list(OPENING.encode())] = 1
_BEHIND[list(CLOSING.encode())] = _CLOSES
_BEHIND[list(b"!?")] = _STOPS
_BEHIND[ord(".")] = _DOT
_BEHIND[[32, 10]] = _SPACE

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT, _MARK, _FOURTEEN, _ONE = np.uint64(64 - BESIDE_BITS), np.uint64(8), np.uint64(0x3FFF), np.uint64(1)


@njit(cache=True, nogil=True, inline="always")
def step(data: Any, at: int, stop: int, lookup: Any, spans: Any, count: int, fresh: int) -> Any:
    """Part the plain word at `at`, with the signs around it: (words now, where to go on).

    Where a closer look is needed, nothing is done. lookup: (properties of characters, how words are known by heart).
    Reads up to 40 bytes on.
    """
    properties, beside = lookup
    begin = at + _BEFORE[data[at]]
    run, figures = letters(data, begin)
    kind = _LETTERS
    if not run & _ONE and figures & _ONE:
        run, kind = figures, _FIGURES
    size = lowest(~run)
    end = begin + size
    known, full = np.uint16(0), np.uint32(0)  # `full` tells whether a full stop parts
    if kind == _LETTERS and end < stop and data[end] >= 0x80:
        end, kind, full = _beyond_ascii(data, begin, stop, properties)
        known = _known(data, begin, end - begin, beside)
    elif size and size < HALF and end <= stop:
        known = _known(data, begin, size, beside)
        full = properties[data[end - 1]]
        kind |= size << CHARS
    else:
        end = begin
    if end == begin or known & ALONE:
        alone = at + 1 == stop or _BEHIND[data[at + 1]] == _SPACE
        if not alone or data[at] <= 32 or data[at] >= 0x80:
            return count, at
        begin, end, kind = at, at + 1, kind_of(properties[data[at]], properties[data[at]], 1)
    after, before = end, _CLOSES
    while after < stop:
        sign = _BEHIND[data[after]]
        if sign == _SPACE:
            break
        if sign == 0 or after - end == _SIGNS:
            return count, at
        if sign == _DOT and (before == _DOT or (after == end and (known & DOTTED or not full & STOPPED))):
            return count, at
        before = sign
        after += 1
    if begin > at:
        spans[BEGIN, count], spans[END, count], spans[KIND, count] = at, begin, _SIGN | fresh
        fresh = 0
        count += 1
    spans[BEGIN, count], spans[END, count], spans[KIND, count] = begin, end, kind | fresh
    count += 1
    for place in range(end, after):
        sign = _BEHIND[data[place]]
        spans[BEGIN, count], spans[END, count] = place, place + 1
        spans[KIND, count] = _SIGN | (ENDS if sign == _STOPS or sign == _DOT else 0)
        count += 1
    return count, after


@njit(cache=True, nogil=True, inline="always")
def _known(data: Any, at: int, size: int, beside: Any) -> Any:
    """Tell how a word of so many bytes is known by heart: ALONE and DOTTED."""
    key = ((eight(data, at) & low(min(size, 8) * 8)) + np.uint64(size)) * _FACTOR
    entry = beside[key >> _SHIFT]
    return entry & 3 if entry >> 2 == (key >> _MARK) & _FOURTEEN or entry >> 2 == 0 else np.uint16(0)


@njit(cache=True, nogil=True)
def _beyond_ascii(data: Any, begin: int, stop: int, properties: Any) -> Any:
    """Read a word of letters, not all of ASCII: (where it ends, what it is, the properties of its last letter)."""
    union, common, last, chars, at = np.uint32(0), ~np.uint32(0), np.uint32(0), 0, begin
    while at < stop:
        char, width = code_point(data, at, stop)
        here = properties[char]
        if here & (LETTER | PREFIX | SUFFIX | OTHER) != LETTER:
            break
        union |= here
        common &= here
        last = here
        chars += 1
        at += width
    return at, kind_of(union, common, chars), last


@njit(cache=True, nogil=True, inline="always")
def kind_of(union: Any, common: Any, chars: int) -> Any:
    """Say what a word is, by the properties that one and that all of its characters have."""
    return (
        ((union & ALPHABETIC) != 0) * ALPHA
        | ((common & SYMBOL) == 0) * COUNTED
        | ((common & PUNCTUATION) != 0) * PUNCT
        | ((common & TERMINAL) != 0 and chars == 1) * ENDS
        | KNOWN
        | chars << CHARS
    )
