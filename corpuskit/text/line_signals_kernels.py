"""The signals of lines: as str.splitlines parts them (Gopher, C4), and at line feeds alone (repetition, FineWeb)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.characters import LINE_BREAK, SPACE, TERMINAL
from corpuskit.text.repetition_kernels import hashed, slot_of, table_size
from corpuskit.text.unicode_kernels import code_point

_BULLET, _ELLIPSIS, _SHORT = ord("•"), ord("…"), 30
_ZERO = np.uint64(0)


@njit(cache=True, nogil=True)
def stripped(data: Any, start: int, stop: int, properties: Any) -> Any:
    """Give (first byte of the stripped text, its end, characters of the whole, line feeds of the whole)."""
    total = breaks = 0
    for at in range(start, stop):
        total += (data[at] & 0xC0) != 0x80
        breaks += data[at] == 10
    first, last = trimmed(data, start, stop, properties)
    return first, last, total, breaks


@njit(cache=True, nogil=True, inline="always")
def trimmed(data: Any, start: int, stop: int, properties: Any) -> Any:
    """Give the first byte and the end of data[start:stop] without white space around it."""
    first, last = start, stop
    while first < stop:
        char, width = code_point(data, first, stop)
        if not properties[char] & SPACE:
            break
        first += width
    while last > first:
        at = last - 1
        while at > first and (data[at] & 0xC0) == 0x80:
            at -= 1
        if not properties[code_point(data, at, last)[0]] & SPACE:
            break
        last = at
    return first, last


@njit(cache=True, nogil=True, inline="always")
def phrase_at(data: Any, at: int, stop: int, phrases: Any) -> Any:
    """Give the first of the phrases that stands at `at`, or -1; they start with `ja`, `lo`, `pr`, `te`, `co`, `us`."""
    if at + 1 < stop:
        letter, after = data[at] | 32, data[at + 1] | 32
        if (
            (after == 111 and (letter == 108 or letter == 99))
            or (after == 97 and letter == 106)
            or (after == 114 and letter == 112)
            or (after == 101 and letter == 116)
            or (after == 115 and letter == 117)
        ):
            return _phrase(data, at, stop, phrases[0], phrases[1])
    return -1


@njit(cache=True, nogil=True)
def _phrase(data: Any, at: int, stop: int, letters: Any, ends: Any) -> int:
    for which in range(len(ends) - 1):
        size, begin = ends[which + 1] - ends[which], ends[which]
        found = at + size <= stop
        for byte in range(size):
            if not found:
                break
            char = data[at + byte]
            found = (char | 32 if char >= 65 and char <= 90 else char) == letters[begin + byte]
        if found:
            return which
    return -1


@njit(cache=True, nogil=True)
def broken_lines(data: Any, start: int, stop: int, properties: Any, phrases: Any, words: int, row: Any) -> None:
    """Fill the signals of signs and of lines as str.splitlines parts them: a break at the end starts no other line.

    Phrase 0 is `lorem ipsum`, 1 is `javascript`, the others are about policies.
    """
    lines = bullets = trailing = scripts = policies = 0
    hashes = ellipses = braces = lorem = 0
    seen = 0  # what the line mentions: 1 for a script, 2 for a policy
    at = begin = start
    while at <= stop:
        char, width = np.int64(10), 1
        if at < stop:
            char = np.int64(data[at])
            if char >= 97 and char < 123:
                phrase = phrase_at(data, at, stop, phrases)
                if phrase >= 0:
                    lorem += phrase == 0
                    seen |= 1 if phrase == 1 else 2 if phrase > 1 else 0
                at += 1
                continue
            if char >= 0x80:
                char, width = code_point(data, at, stop)
        if at == stop or (properties[char] & LINE_BREAK):
            if at < stop or at > begin:
                lines += 1
                bullet, dots = _ends_of_line(data, begin, at, properties)
                bullets += bullet
                trailing += dots
                scripts += seen & 1
                policies += seen >> 1
            if char == 13 and at + 1 < stop and data[at + 1] == 10:
                width = 2
            begin, seen = at + width, 0
        elif char >= 97:
            ellipses += char == _ELLIPSIS
            braces += char == 123
        elif char == 46:
            while at + width < stop and data[at + width] == 46:
                width += 1
            ellipses += width // 3
        else:
            hashes += char == 35
        if char >= 65 and char < 91:
            phrase = phrase_at(data, at, stop, phrases)
            lorem += phrase == 0
            seen |= 1 if phrase == 1 else 2 if phrase > 1 else 0
        at += width
    _fill(row, words, lines, (hashes, ellipses, braces, lorem), (bullets, trailing, scripts, policies))


@njit(cache=True, nogil=True)
def _ends_of_line(data: Any, start: int, stop: int, properties: Any) -> Any:
    """Tell whether a line starts with a bullet, and whether it ends with an ellipsis, white space left out."""
    first, last = trimmed(data, start, stop, properties)
    if first == last:
        return False, False
    char = code_point(data, first, last)[0]
    if last - first >= 3 and data[last - 1] == 46:
        dots = data[last - 2] == 46 and data[last - 3] == 46
    else:
        dots = last - first >= 3 and code_point(data, last - 3, last)[0] == _ELLIPSIS
    return char == _BULLET or char == 45, dots


@njit(cache=True, nogil=True)
def _fill(row: Any, words: int, lines: int, signs: Any, shares: Any) -> None:
    row[3] = signs[0] / words if words else 0.0
    row[4] = signs[1] / words if words else 0.0
    row[27], row[28] = signs[2], signs[3]
    if lines:
        row[5], row[6], row[29], row[30] = (
            shares[0] / lines,
            shares[1] / lines,
            shares[2] / lines,
            shares[3] / lines,
        )


@njit(cache=True, nogil=True)
def fed_lines(
    data: Any, start: int, stop: int, properties: Any, total: int, breaks: int, words: int, keys: Any, row: Any
) -> None:
    """Fill the signals of lines parted at line feeds. `keys` has room for `breaks` + 1 lines."""
    size = table_size(breaks + 1)
    keys[:size] = _ZERO
    mask = np.uint64(size - 1)
    lines = repeated = repeated_chars = 0  # of lines with characters
    full = ended = short = full_chars = 0  # of lines with more than white space
    begin = at = start
    while at <= stop:
        if at < stop and data[at] != 10:
            at += 1
            continue
        if at > begin:
            key, chars = hashed(data, begin, at)
            blank = _is_blank(data, begin, at, properties)
            slot = slot_of(keys, mask, key)
            again = keys[slot] == key
            keys[slot] = key
            lines += 1
            repeated += again
            repeated_chars += chars * again
            if not blank:
                full += 1
                full_chars += chars * again
                short += chars <= _SHORT
                ended += _ends_sentence(data, begin, at, properties)
        begin = at = at + 1
    if not total:
        return
    # `\n+` leaves an empty piece before a line feed at the start, and after one at the end, which repeats it.
    edges = (data[start] == 10) + (data[stop - 1] == 10)
    repeated += edges == 2
    row[11], row[12] = repeated / (lines + edges), repeated_chars / total
    row[25] = breaks / words if words else 0.0
    if full:
        row[22], row[23] = ended / full, short / full
        row[24] = full_chars / (total - breaks)


@njit(cache=True, nogil=True, inline="always")
def _is_blank(data: Any, at: int, stop: int, properties: Any) -> bool:
    while at < stop:
        char, width = code_point(data, at, stop)
        if not properties[char] & SPACE:
            return False
        at += width
    return True


@njit(cache=True, nogil=True, inline="always")
def _ends_sentence(data: Any, start: int, stop: int, properties: Any) -> Any:
    at = stop - 1
    while at > start and (data[at] & 0xC0) == 0x80:
        at -= 1
    return (properties[code_point(data, at, stop)[0]] & TERMINAL) != 0
