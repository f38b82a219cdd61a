"""The loops behind `lines.edit_column`; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.characters import DECIMAL, LINE_BREAK, SPACE
from corpuskit.text.line_signals_kernels import phrase_at, trimmed
from corpuskit.text.unicode_kernels import code_point

_EDIT = np.frombuffer(b"edit]", np.uint8)
_NEEDED = np.frombuffer(b"citation needed]", np.uint8)


@njit(cache=True, nogil=True)
def edit(
    data: Any,
    offsets: Any,
    properties: Any,
    phrases: Any,
    bounds: Any,
    switches: Any,
    out: Any,
    ends: Any,
    removed: Any,
) -> None:
    """Write what is left of every text to `out`; text i ends at ends[i + 1], and has lost removed[i] characters.

    bounds: the longest word (0: any) and the fewest words; switches: citations, terminal punctuation, javascript,
    policies.
    """
    filled = 0
    for text in range(len(offsets) - 1):
        at, stop, begin = offsets[text], offsets[text + 1], filled
        while at < stop:
            end, after = _line(data, at, stop, properties)
            first, last = trimmed(data, at, end, properties)
            if _fits(data, first, last, properties, bounds):
                size = _copy(data, first, last, properties, switches[0], out, filled)
                if _stays(out, filled, filled + size, phrases, switches):
                    filled += size
                    if filled < len(out):
                        out[filled] = 10
                    filled += 1
            at = after
        filled = _strip(out, begin, min(filled, len(out)), properties)
        ends[text + 1] = filled
        removed[text] = _characters(data, offsets[text], stop) - _characters(out, begin, filled)


@njit(cache=True, nogil=True)
def _line(data: Any, at: int, stop: int, properties: Any) -> Any:
    """Give where the line ends, and where the next one starts."""
    while at < stop:
        char, width = code_point(data, at, stop)
        if properties[char] & LINE_BREAK:
            if char == 13 and at + 1 < stop and data[at + 1] == 10:
                return at, at + 2
            return at, at + width
        at += width
    return stop, stop


@njit(cache=True, nogil=True)
def _fits(data: Any, at: int, stop: int, properties: Any, bounds: Any) -> Any:
    """Tell whether a line has enough words and none that is too long."""
    words = length = 0
    while at < stop:
        char, width = code_point(data, at, stop)
        if properties[char] & SPACE:
            length = 0
        else:
            words += length == 0
            length += 1
            if bounds[0] and length > bounds[0]:
                return False
        at += width
    return words >= bounds[1]


@njit(cache=True, nogil=True)
def _copy(data: Any, at: int, stop: int, properties: Any, citations: bool, out: Any, filled: int) -> Any:
    """Write a line, its citations left out; give its bytes."""
    begin = filled
    while at < stop:
        if citations and data[at] == 91:
            width = _citation(data, at, stop, properties)
            if width:
                at += width
                continue
        out[filled] = data[at]
        filled += 1
        at += 1
    return filled - begin


@njit(cache=True, nogil=True)
def _citation(data: Any, start: int, stop: int, properties: Any) -> Any:
    """Give the bytes of the citation at `start`, 0 if there is none."""
    at = start + 1
    while at < stop:
        char, width = code_point(data, at, stop)
        if not properties[char] & DECIMAL:
            break
        at += width
    if at < stop and data[at] == 93:
        return at + 1 - start
    for word in (_EDIT, _NEEDED):
        found = start + 1 + len(word) <= stop
        for byte in range(len(word)):
            found = found and data[start + 1 + byte] == word[byte]
        if found:
            return len(word) + 1
    return 0


@njit(cache=True, nogil=True)
def _stays(out: Any, start: int, stop: int, phrases: Any, switches: Any) -> Any:
    """Tell whether a line, its citations cut out, ends a sentence and mentions nothing that it must not."""
    if switches[1]:
        last = out[stop - 1] if stop > start else 0
        if not (last == 46 or last == 63 or last == 33 or last == 34 or last == 39):
            return False
        if stop - start > 2 and last == 46 and out[stop - 2] == 46 and out[stop - 3] == 46:
            return False
    for at in range(start, stop):
        phrase = phrase_at(out, at, stop, phrases)
        if (phrase == 1 and switches[2]) or (phrase > 1 and switches[3]):
            return False
    return True


@njit(cache=True, nogil=True)
def _strip(out: Any, start: int, stop: int, properties: Any) -> Any:
    """Take white space from both ends of what was written; give its new end."""
    first, last = trimmed(out, start, stop, properties)
    if first > start:
        for at in range(first, last):
            out[at - first + start] = out[at]
    return start + last - first


@njit(cache=True, nogil=True)
def _characters(data: Any, start: int, stop: int) -> Any:
    found = 0
    for at in range(start, stop):
        found += (data[at] & 0xC0) != 0x80
    return found
