"""Part text into words: white space first, then signs from the words, as spaCy's English tokenizer does.

The rules are those of spaCy 3: cases known by heart, then signs taken from both ends one after another, then addresses
kept whole, then signs in the middle (`a-b`, `end.Start`, `a/b`, ellipses). Time is linear in the text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.characters import (
    CURRENCY,
    DIGIT,
    ICON,
    LETTER,
    LINE_BREAK,
    LOWER,
    OTHER,
    PREFIX,
    QUOTE,
    SPACE,
    STOPPED,
    SUFFIX,
    UPPER,
)
from corpuskit.text.plain_words_kernels import BEGIN, END, FRESH, KIND, MOST, kind_of, step
from corpuskit.text.unicode_kernels import code_point
from corpuskit.text.vector_kernels import borrowed
from corpuskit.text.word_cases import LONGEST

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_ONE, _ZERO, _SHIFT = np.uint64(1), np.uint64(0), np.uint64(29)
_AHEAD = 40  # bytes that `step` reads
_DOT, _COMMA, _DASH, _PLUS, _COLON, _SLASH, _AT, _ELLIPSIS = 46, 44, 45, 43, 58, 47, 64, 0x2026


# The rows of what stands between two spaces.
CHAR, BITS, BYTE, CUT = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def split(data: Any, start: int, stop: int, lookup: Any, scratch: Any, spans: Any) -> Any:
    """Fill the rows of spans (see `plain_words_kernels`) with the words of data[start:stop]; give how many there are.

    lookup: (properties, cases, pieces of the cases, words beside which to look twice). scratch: rows of code points,
    their bits, their bytes, cuts, with room for what stands between two spaces. -1 where there is no room.
    """
    properties, cases, pieces = borrowed(lookup[0]), borrowed(lookup[1]), borrowed(lookup[2])
    plain_lookup = (properties, borrowed(lookup[3]))
    data, scratch, spans = borrowed(data), borrowed(scratch), borrowed(spans)
    count, at, room, fresh = 0, start, scratch.shape[1] - 2, FRESH
    while at < stop:
        if data[at] == 32 or data[at] == 10:
            fresh |= data[at] == 10
            at += 1
            continue
        if count + MOST > spans.shape[1]:
            return -1
        if at + _AHEAD <= len(data):
            before = at
            count, at = step(data, at, stop, plain_lookup, spans, count, fresh)
            if at > before:
                fresh = 0
                continue
        length, union, common = 0, np.uint32(0), ~np.uint32(0)
        property_ = np.uint32(0)
        while at < stop:
            char, width = code_point(data, at, stop)
            property_ = properties[char]
            if property_ & SPACE:
                break
            if length >= room:
                return -1
            scratch[CHAR, length], scratch[BITS, length], scratch[BYTE, length] = char, property_, at
            union |= property_
            common &= property_
            length += 1
            at += width
        if length:
            scratch[BYTE, length] = at
            if count + length > spans.shape[1]:
                return -1
            first = count
            # Letters alone, or figures alone: nothing to part, but for what is known by heart.
            plain = not union & OTHER and (not union & DIGIT or not union & LETTER)
            ascii_ = at - scratch[BYTE, 0] == length  # such are all letters of what is known by heart
            if plain and (not ascii_ or _case(scratch, 0, length, cases, _ZERO) < 0):
                count = _emit(scratch, 0, length, spans, count)
                spans[KIND, first] = kind_of(union, common, length)
            else:
                count = _part(length, cases, pieces, scratch, spans, count)
            spans[KIND, first] |= fresh
            fresh = 0
        if at < stop:
            at += width
            fresh |= (property_ & LINE_BREAK) != 0
    return count


@njit(cache=True, nogil=True)
def _case(scratch: Any, low: int, high: int, cases: Any, key: Any) -> Any:
    """Give where the pieces of scratch[CHAR, low:high] stand if it is a case (or, with key 1, a unit), else -1."""
    if high - low > LONGEST or high <= low:
        return -1
    for at in range(low, high):
        key = key * _FACTOR + np.uint64(scratch[CHAR, at]) + _ONE
    key ^= key >> _SHIFT
    mask = np.uint64(cases.shape[1] - 1)
    slot = key & mask
    while cases[0, slot] != _ZERO:
        if cases[0, slot] == key:
            return np.int64(cases[1, slot])
        slot = (slot + _ONE) & mask
    return -1


@njit(cache=True, nogil=True, inline="always")
def _emit(scratch: Any, low: int, high: int, spans: Any, count: int) -> Any:
    spans[BEGIN, count], spans[END, count], spans[KIND, count] = scratch[BYTE, low], scratch[BYTE, high], 0
    return count + 1


@njit(cache=True, nogil=True)
def _part(length: int, cases: Any, pieces: Any, scratch: Any, spans: Any, count: int) -> Any:
    """Part what stands between two spaces: signs from its ends, then its middle."""
    low, high, cut = 0, length, 0  # what was cut from the end goes as far as the cut before it
    scratch[CUT, 0] = length
    while low < high and _case(scratch, low, high, cases, _ZERO) < 0:
        before = _prefix(scratch, low, high)
        if before and _case(scratch, low + before, high, cases, _ZERO) >= 0:
            count = _emit(scratch, low, low + before, spans, count)
            low += before
            break
        after = _suffix(scratch, low + before, high, cases)
        if not before and not after:
            break
        if after:
            cut += 1
            scratch[CUT, cut] = high - after
            if _case(scratch, low, high - after, cases, _ZERO) >= 0:
                high -= after
                break
            high -= after
        if before:
            count = _emit(scratch, low, low + before, spans, count)
            low += before
    count = _middle(low, high, cases, pieces, scratch, spans, count)
    while cut:
        count = _emit(scratch, scratch[CUT, cut], scratch[CUT, cut - 1], spans, count)
        cut -= 1
    return count


@njit(cache=True, nogil=True)
def _prefix(scratch: Any, low: int, high: int) -> Any:
    """Give the length of the sign at the start, 0 where there is none."""
    char = scratch[CHAR, low]
    if char == _DOT:
        run = low + 1
        while run < high and scratch[CHAR, run] == _DOT:
            run += 1
        return run - low if run - low > 1 else 0
    if scratch[BITS, low] & PREFIX:
        return 1
    if char == _PLUS:
        return 0 if low + 1 < high and scratch[BITS, low + 1] & DIGIT else 1
    if (char == 65 or char == 67) and low + 1 < high and scratch[CHAR, low + 1] == 36:  # A$, C$
        return 2
    if char == 85 and low + 2 < high and scratch[CHAR, low + 1] == 83 and scratch[CHAR, low + 2] == 36:  # US$
        return 3
    return 0


@njit(cache=True, nogil=True)
def _suffix(scratch: Any, low: int, high: int, cases: Any) -> Any:
    """Give the length of the longest sign, ending or unit at the end, 0 where there is none."""
    if low >= high:
        return 0
    last, size = scratch[CHAR, high - 1], high - low
    if last == _DOT:
        return _dots(scratch, low, high)
    if (
        size > 1
        and (last == 115 or last == 83)
        and (scratch[CHAR, high - 2] == 39 or scratch[CHAR, high - 2] == 0x2019)
    ):
        return 2  # 's
    if scratch[BITS, high - 1] & SUFFIX:
        return 2 if size > 1 and last == _ELLIPSIS and scratch[CHAR, high - 2] == _ELLIPSIS else 1
    if size > 1 and scratch[BITS, high - 2] & DIGIT and (last == _PLUS or scratch[BITS, high - 1] & CURRENCY):
        return 1
    digit = high - 1
    while digit >= low and digit > high - 6 and not scratch[BITS, digit] & DIGIT:
        digit -= 1
    if low <= digit < high - 1 and scratch[BITS, digit] & DIGIT and _case(scratch, digit + 1, high, cases, _ONE) >= 0:
        return high - 1 - digit
    return 0


@njit(cache=True, nogil=True)
def _dots(scratch: Any, low: int, high: int) -> Any:
    """Give the length of the full stop, or the dots, at the end: not the one of an abbreviation such as `U.S.`."""
    run = high - 1
    while run > low and scratch[CHAR, run - 1] == _DOT:
        run -= 1
    if high - run > 1:
        return high - run
    if high - low < 2:
        return 0
    if scratch[BITS, high - 2] & STOPPED:
        return 1
    if high - low < 3:
        return 0
    if scratch[BITS, high - 2] & UPPER and scratch[BITS, high - 3] & UPPER:
        return 1
    degrees = scratch[CHAR, high - 2] | 32
    return 1 if scratch[CHAR, high - 3] == 0xB0 and (degrees == 99 or degrees == 102 or degrees == 107) else 0


@njit(cache=True, nogil=True)
def _middle(low: int, high: int, cases: Any, pieces: Any, scratch: Any, spans: Any, count: int) -> Any:
    """Part what is left between the signs at both ends: by heart, or as an address, or at the signs within."""
    if low >= high:
        return count
    head = _case(scratch, low, high, cases, _ZERO)
    if head >= 0:
        for piece in range(pieces[head]):
            stop = low + pieces[head + 1 + piece]
            count = _emit(scratch, low, stop, spans, count)
            low = stop
        return count
    if _is_address(scratch, low, high):
        return _emit(scratch, low, high, spans, count)
    begin, at = low, low
    while at < high:
        size = _infix(scratch, low, at, high)
        if not size:
            at += 1
            continue
        if at > low:
            if at > begin:
                count = _emit(scratch, begin, at, spans, count)
            count = _emit(scratch, at, at + size, spans, count)
            begin = at + size
        at += size
    return _emit(scratch, begin, high, spans, count) if begin < high else count


@njit(cache=True, nogil=True)
def _infix(scratch: Any, low: int, at: int, high: int) -> Any:
    """Give the length of the sign at `at` that parts a word in two, 0 where there is none."""
    char, here = scratch[CHAR, at], scratch[BITS, at]
    if not here & OTHER:
        return 0
    if char == _ELLIPSIS or here & ICON:
        return 1
    if char == _DOT and at + 1 < high and scratch[CHAR, at + 1] == _DOT:
        run = at + 2
        while run < high and scratch[CHAR, run] == _DOT:
            run += 1
        return run - at
    if at == low or at + 1 >= high:
        return 0
    before, after = scratch[BITS, at - 1], scratch[BITS, at + 1]
    if char == _DOT:
        return 1 if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    if char == _COMMA:
        return 1 if before & LETTER and after & LETTER else 0
    figures = before & DIGIT and (after & DIGIT or scratch[CHAR, at + 1] == _DASH)
    if figures and char in (_PLUS, _DASH, 42, 94):
        return 1
    if not before & (LETTER | DIGIT):
        return 0
    if char in (_COLON, _SLASH, 60, 61, 62):
        return 1 if after & LETTER else 0
    if char == _DASH or char == 0x2013 or char == 0x2014 or char == 126:
        return _hyphens(scratch, at, high)
    return 0


@njit(cache=True, nogil=True)
def _hyphens(scratch: Any, at: int, high: int) -> Any:
    """Give the length of the hyphens at `at` if a letter follows: up to three `-`, two em dashes, or one of others."""
    char = scratch[CHAR, at]
    most = 3 if char == _DASH else 2 if char == 0x2014 else 1
    run = at + 1
    while run < high and scratch[CHAR, run] == char and run - at < most:
        run += 1
    return run - at if run < high and scratch[BITS, run] & LETTER else 0


@njit(cache=True, nogil=True)
def _is_address(scratch: Any, low: int, high: int) -> Any:
    """Tell whether scratch[CHAR, low:high] is a URL, a host or an e-mail address."""
    host = low
    for at in range(low + 2, high - 2):
        if scratch[CHAR, at] == _COLON and scratch[CHAR, at + 1] == _SLASH and scratch[CHAR, at + 2] == _SLASH:
            host = at + 3
            break
        if (
            scratch[BITS, at] & OTHER
            and scratch[CHAR, at] != _PLUS
            and scratch[CHAR, at] != _DASH
            and scratch[CHAR, at] != _DOT
        ):
            break
    stop = host
    while stop < high and scratch[CHAR, stop] != _SLASH and scratch[CHAR, stop] != 63 and scratch[CHAR, stop] != 35:
        if scratch[CHAR, stop] == _AT and stop > host:
            host = stop + 1
        stop += 1
    port = host
    while port < stop and scratch[CHAR, port] != _COLON:
        port += 1
    for at in range(port + 1, stop):
        if not scratch[BITS, at] & DIGIT:
            return False
    return _is_host(scratch, host, port)


@njit(cache=True, nogil=True)
def _is_host(scratch: Any, low: int, high: int) -> Any:
    """Tell whether there are names with dots between, the last of two or more lower-case letters; or four numbers."""
    label, dots, numbers, lower = low, 0, True, True
    for at in range(low, high):
        char = scratch[CHAR, at]
        if char == _DOT:
            if at == label or scratch[CHAR, at - 1] == _DASH or scratch[CHAR, at - 1] == 95:
                return False
            label, dots, lower = at + 1, dots + 1, True
        elif scratch[BITS, at] & OTHER and char < 0xA1 and (at == label or (char != _DASH and char != 95)):
            return False
        else:
            numbers &= (scratch[BITS, at] & DIGIT) != 0
            lower &= (scratch[BITS, at] & LOWER) != 0 and (scratch[BITS, at] & LETTER) != 0
    return (dots > 0 and lower and high - label > 1) or (numbers and dots == 3 and label < high)
