"""The loop over a text's bytes behind `quality.signals`; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.quality import ALPHABETIC, LINE_BREAK, SPACE, SYMBOL

_BULLET, _ELLIPSIS = ord("•"), ord("…")


@njit(cache=True, nogil=True, inline="always")
def code_point(data: Any, at: int, stop: int) -> Any:
    """Decode one character of UTF-8: (code point, bytes). Never reads at or past `stop`; bad bytes count alone."""
    first = np.int64(data[at])
    if first < 0xC0:
        return first, 1
    if first < 0xE0 and at + 1 < stop:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    if first < 0xF0 and at + 2 < stop:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), 3
    if first < 0xF5 and at + 3 < stop:
        high = (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
        found = high | (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F)
        return min(found, 0x10FFFF), 4
    return first, 1


@njit(cache=True, nogil=True)
def gopher(data: Any, offsets: Any, properties: Any, stop_words: Any, out: Any) -> None:
    """Fill out[signal, text] in the order of `quality.SIGNALS`."""
    for text in range(len(offsets) - 1):
        _words(data, offsets[text], offsets[text + 1], properties, stop_words, out[:, text])
        _lines(data, offsets[text], offsets[text + 1], properties, out[:, text])


@njit(cache=True, nogil=True)
def _words(data: Any, start: int, stop: int, properties: Any, stop_words: Any, out: Any) -> None:
    words = counted = counted_length = alphabetic = hashes = ellipses = dots = 0
    seen = 0  # a bit for each stop word
    length = size = 0  # of the current word, in characters and bytes
    packed: Any = 0  # its first four bytes
    union = 0  # the property bits of its characters
    beyond = False  # whether one of them is no symbol
    at = start
    while at <= stop:
        if at < stop:
            char, width = code_point(data, at, stop)
            bits = properties[char]
        else:
            char, width, bits = 32, 1, np.uint8(SPACE)  # the end closes the last word
        if char == 46:
            dots += 1
            if dots == 3:
                ellipses += 1
                dots = 0
        else:
            dots = 0
            hashes += char == 35
            ellipses += char == _ELLIPSIS
        if bits & SPACE:
            if length:
                words += 1
                alphabetic += (union & ALPHABETIC) != 0
                if beyond:
                    counted += 1
                    counted_length += length
                if size <= 4:
                    for each in range(len(stop_words)):
                        if stop_words[each] == packed:
                            seen |= 1 << each
                length = size = union = 0
                packed = 0
                beyond = False
        else:
            for byte in range(width):
                if size < 4:
                    packed |= np.int64(data[at + byte]) << (8 * size)
                size += 1
            length += 1
            union |= bits
            beyond |= (bits & SYMBOL) == 0
        at += width
    out[0] = counted
    if counted:
        out[1] = counted_length / counted
    if words:
        out[2] = max(hashes, ellipses) / words
        out[5] = alphabetic / words
    while seen:
        out[6] += seen & 1
        seen >>= 1


@njit(cache=True, nogil=True)
def _lines(data: Any, start: int, stop: int, properties: Any, out: Any) -> None:
    """Count lines as str.splitlines parts them: a break at the end starts no further line."""
    lines = bullets = ellipses = 0
    first = last = -1  # the line's first and last characters that are no space
    dots = 0  # the dots in a row that the line ends with, spaces after them left out
    before = -1
    at = line_start = start
    while at <= stop:
        if at < stop:
            char, width = code_point(data, at, stop)
            bits = properties[char]
        else:
            char, width, bits = 10, 1, np.uint8(SPACE | LINE_BREAK)
        if bits & LINE_BREAK:
            if at < stop or at > line_start:
                lines += 1
                bullets += first == _BULLET or first == 45
                ellipses += last == _ELLIPSIS or dots >= 3
            if char == 13 and at + 1 < stop and data[at + 1] == 10:
                width = 2
            first = last = -1
            dots = 0
            line_start = at + width
        elif not bits & SPACE:
            if first < 0:
                first = char
            if char == 46:
                dots = dots + 1 if before == 46 else 1
            else:
                dots = 0
            last = char
        before = char
        at += width
    if lines:
        out[3] = bullets / lines
        out[4] = ellipses / lines
