"""The signals of lines: as str.splitlines parts them (Gopher, C4), and at line feeds alone (repetition, FineWeb)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.bytes_kernels import hashed
from corpuskit.text.characters import SPACE, TERMINAL
from corpuskit.text.repetition_kernels import slot_of, table_size
from corpuskit.text.sign_kernels import AHEAD, signs
from corpuskit.text.unicode_kernels import code_point
from corpuskit.text.vector_kernels import WIDTH, borrowed, count, low, lowest

_BULLET, _ELLIPSIS, _SHORT = ord("•"), ord("…"), 30
_ZERO, _ONE = np.uint64(0), np.uint64(1)


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
def line_signals(
    data: Any, start: int, stop: int, properties: Any, phrases: Any, sizes: Any, keys: Any, edge: Any, row: Any
) -> None:
    """Fill the signals of signs and of lines: those that str.splitlines parts, and those parted at line feeds alone.

    A break at the end starts no other line. Phrase 0 is `lorem ipsum`, 1 is `javascript`, the others are about
    policies. sizes: (characters, line feeds, words) of the text. `keys` has room for a line more than line feeds;
    edge: 256 bytes of zeros.
    """
    data, properties, keys, edge = borrowed(data), borrowed(properties), borrowed(keys), borrowed(edge)
    phrases = (borrowed(phrases[0]), borrowed(phrases[1]))
    size = table_size(sizes[1] + 1)
    keys[:size] = _ZERO
    hashes = ellipses = braces = lorem = 0
    broken, fed = (0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0)
    seen = 0  # what the line mentions: 1 for a script, 2 for a policy
    begin, fed_begin, dotted = start, start, start
    chars = fed_chars = 0
    for at in range(start, stop, WIDTH):
        inside = at + WIDTH + AHEAD <= stop
        if not inside:
            for byte in range(WIDTH + AHEAD):
                edge[byte] = data[at + byte] if at + byte < stop else 0
        begins, feeds, breaks, openings, hash_, brace, ellipsis, dots = signs(data, at) if inside else signs(edge, 0)
        hashes += count(hash_)
        braces += count(brace)
        ellipses += count(ellipsis)
        while dots:
            more, dotted = _dots(data, max(dotted, at + lowest(dots)), stop)
            ellipses += more
            dots &= ~low(dotted - at)
        events = feeds | breaks | openings
        while events:
            bit = lowest(events)
            events &= events - _ONE
            place = at + bit
            if openings >> np.uint64(bit) & _ONE:
                phrase = phrase_at(data, place, stop, phrases)
                lorem += phrase == 0
                seen |= 1 if phrase == 1 else 2 if phrase > 1 else 0
                continue
            if feeds >> np.uint64(bit) & _ONE:
                here = chars + count(begins & low(bit))
                fed = _fed(data, fed_begin, place, here - fed_chars, properties, keys, size, fed)
                fed_begin, fed_chars = place + 1, here + 1
            if place < begin:
                continue  # the second half of a line break
            broken = _broken(data, begin, place, properties, seen, broken)
            begin, seen = place + _break_size(data, place, stop), 0
        chars += count(begins)
    if stop > begin:
        broken = _broken(data, begin, stop, properties, seen, broken)
    fed = _fed(data, fed_begin, stop, sizes[0] - fed_chars, properties, keys, size, fed)
    _fill(row, sizes[2], (hashes, ellipses, braces, lorem), broken)
    if sizes[0]:
        _fill_fed(row, sizes, (data[start] == 10) + (data[stop - 1] == 10), fed)


@njit(cache=True, nogil=True)
def _dots(data: Any, at: int, stop: int) -> Any:
    """Give the ellipses in the dots from `at` on, and where the dots end."""
    end = at
    while end < stop and data[end] == 46:
        end += 1
    return (end - at) // 3, end


@njit(cache=True, nogil=True)
def _broken(data: Any, begin: int, end: int, properties: Any, seen: int, sums: Any) -> Any:
    """Count the line data[begin:end]: lines, those with bullets and with ellipses, those that mention a script or a
    policy."""
    bullet, dots = _ends_of_line(data, begin, end, properties)
    return sums[0] + 1, sums[1] + bullet, sums[2] + dots, sums[3] + (seen & 1), sums[4] + (seen >> 1)


@njit(cache=True, nogil=True, inline="always")
def _break_size(data: Any, at: int, stop: int) -> int:
    """Give the bytes of the line break at `at`."""
    if data[at] == 13:
        return 2 if at + 1 < stop and data[at + 1] == 10 else 1
    return 1 if data[at] < 0x80 else 2 if data[at] == 0xC2 else 3


@njit(cache=True, nogil=True)
def _ends_of_line(data: Any, start: int, stop: int, properties: Any) -> Any:
    """Tell whether a line starts with a bullet, and whether it ends with an ellipsis, white space left out."""
    if stop - start >= 3 and 32 < data[start] < 0x80 and 32 < data[stop - 1] < 0x80:
        return data[start] == 45, data[stop - 1] == 46 and data[stop - 2] == 46 and data[stop - 3] == 46
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
def _fill(row: Any, words: int, signs: Any, lines: Any) -> None:
    row[3] = signs[0] / words if words else 0.0
    row[4] = signs[1] / words if words else 0.0
    row[27], row[28] = signs[2], signs[3]
    if lines[0]:
        row[5], row[6], row[29], row[30] = (
            lines[1] / lines[0],
            lines[2] / lines[0],
            lines[3] / lines[0],
            lines[4] / lines[0],
        )


@njit(cache=True, nogil=True)
def _fed(data: Any, begin: int, at: int, chars: int, properties: Any, keys: Any, size: int, sums: Any) -> Any:
    """Count the line data[begin:at], of so many characters, among the sums.

    They are (lines, repeated ones and their characters, all of lines with characters; lines, ends of sentences, short
    ones and repeated characters, all of lines with more than white space).
    """
    lines, repeated, repeated_chars, full, ended, short, full_chars = sums
    if at == begin:
        return sums
    key = hashed(data, begin, at)
    slot = slot_of(keys, np.uint64(size - 1), key)
    again = keys[slot] == key
    keys[slot] = key
    lines += 1
    repeated += again
    repeated_chars += chars * again
    if not _is_blank(data, begin, at, properties):
        full += 1
        full_chars += chars * again
        short += chars <= _SHORT
        ended += _ends_sentence(data, begin, at, properties)
    return lines, repeated, repeated_chars, full, ended, short, full_chars


@njit(cache=True, nogil=True)
def _fill_fed(row: Any, sizes: Any, edges: int, sums: Any) -> None:
    total, breaks, words = sizes
    lines, repeated, repeated_chars, full, ended, short, full_chars = sums
    # `\n+` leaves an empty piece before a line feed at the start, and after one at the end, which repeats it.
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
