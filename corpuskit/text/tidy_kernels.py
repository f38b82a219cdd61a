"""The loops over bytes behind `repair.tidy` for columns; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_BLOCK = 32
_LF, _FF, _SPACE = 10, 12, 32


@njit(cache=True, nogil=True, inline="always")
def _blank(data: Any, at: Any, stop: Any) -> Any:
    """Give the bytes of the white space (str.isspace) at `at`, and whether it is written as U+0020: (bytes, odd)."""
    byte = data[at]
    if byte < 0x80:
        return np.int64(byte == _SPACE or 9 <= byte <= 13 or 28 <= byte <= 31), False
    if byte == 0xC2 and at + 1 < stop:
        return (np.int64(2) if data[at + 1] == 0x85 or data[at + 1] == 0xA0 else np.int64(0)), data[at + 1] == 0xA0
    if byte < 0xE1 or byte > 0xE3 or at + 2 >= stop:
        return np.int64(0), False
    code = np.int64(byte & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F)
    if 0x2000 <= code <= 0x200A or code == 0x202F or code == 0x205F:
        return np.int64(3), True
    return np.int64(3) if code == 0x1680 or code == 0x2028 or code == 0x2029 or code == 0x3000 else np.int64(0), False


@njit(cache=True, nogil=True)
def _without_spaces(out: Any, start: Any, stop: Any) -> Any:
    while stop > start and out[stop - 1] == _SPACE:
        stop -= 1
    return stop


@njit(cache=True, nogil=True)
def _uneventful(data: Any, at: Any, stop: Any) -> Any:
    """Go past blocks without control characters and without what odd spaces start with."""
    while at + _BLOCK <= stop:
        block = data[at : at + _BLOCK]
        odd = np.uint8(0)
        for byte in range(_BLOCK):
            char = block[byte]
            odd |= np.uint8((char < 32) | (char == 0xC2) | (char >= 0xE1) & (char <= 0xE3))
        if odd:
            break
        at += _BLOCK
    return at


@njit(cache=True, nogil=True)
def _tidied(data: Any, start: Any, stop: Any, out: Any, to: Any) -> Any:
    """Write `repair.tidy` of a text to out[to:], and give its end there."""
    first = end = line = to  # of the text, what it ends with other than white space, and the line, all in `out`
    breaks, at = 0, start
    while at < stop:
        byte = data[at]
        if byte in (_LF, _FF):
            if end > first:
                to = max(end, line)
                if breaks < 2:
                    out[to] = _LF
                    to += 1
                breaks += 1
                line = to
            at += 1
            continue
        if end > first and at & 7 == 0:
            size = _uneventful(data, at, stop) - at
            if size:
                out[to : to + size] = data[at : at + size]
                at += size
                to += size
                solid = _without_spaces(out, to - size, to)
                if solid > to - size:
                    end, breaks = solid, 0
                continue
        blank, odd = _blank(data, at, stop)
        if blank == 0:
            out[to] = byte
            at += 1
            to += 1
            end = to
            breaks = 0
        elif end == first:
            at += blank
        elif odd:
            out[to] = _SPACE
            to += 1
            at += blank
        else:
            for _ in range(blank):
                out[to] = data[at]
                to += 1
                at += 1
    return end


@njit(cache=True, nogil=True)
def _ends_blank(data: Any, start: Any, at: Any) -> Any:
    """Tell whether data[start:at] ends with white space."""
    if at == start:
        return False
    if data[at - 1] < 0x80:
        return _blank(data, at - 1, at)[0] != 0
    return (at - 2 >= start and _blank(data, at - 2, at)[0] == 2) or (
        at - 3 >= start and _blank(data, at - 3, at)[0] == 3
    )


@njit(cache=True, nogil=True)
def _is_tidy(data: Any, start: Any, stop: Any) -> Any:
    if start == stop:
        return True
    if _blank(data, start, stop)[0] != 0 or _ends_blank(data, start, stop):
        return False
    at = start
    while at < stop:
        byte = data[at]
        if byte == _LF:
            if data[at - 1] != _LF:
                if _ends_blank(data, start, at):
                    return False
            elif data[at - 2] == _LF:
                return False
        elif byte == _FF or ((byte == 0xC2 or 0xE1 <= byte <= 0xE3) and _blank(data, at, stop)[1]):
            return False
        at += 1
        if at & 15 == 0:
            at = _uneventful(data, at, stop)
    return True


@njit(cache=True, nogil=True)
def untidy(data: Any, offsets: Any, found: Any) -> None:
    """Mark the texts that `repair.tidy` changes."""
    for text in range(len(offsets) - 1):
        found[text] = not _is_tidy(data, offsets[text], offsets[text + 1])


@njit(cache=True, nogil=True)
def tidy(data: Any, offsets: Any, found: Any, out: Any, out_offsets: Any) -> None:
    """Write `repair.tidy` of the texts that are marked, and the others as they are."""
    to = 0
    for text in range(len(offsets) - 1):
        start, stop = offsets[text], offsets[text + 1]
        if found[text]:
            to = _tidied(data, start, stop, out, to)
        else:
            out[to : to + stop - start] = data[start:stop]
            to += stop - start
        out_offsets[text + 1] = to
