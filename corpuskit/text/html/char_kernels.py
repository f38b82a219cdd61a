"""Read UTF-8 as characters, with references resolved as `html.unescape` does; import it only where it runs.

A passage is (data, stop, whether it holds references, the tables of references); a place in it is twice the place in
the data, and one more for the second character of a reference that stands for two.
"""

from __future__ import annotations

from html.entities import html5
from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import MASK, OFFSET, PRIME
from corpuskit.text.html.tag_kernels import is_letter, number_of
from corpuskit.text.html.text_kernels import WINDOWS

_AMP, _HASH, _SEMICOLON = 38, 35, 59
#: What stands for bytes that are no UTF-8.
BAD = 0xFFFD
_LONGEST, _LONGEST_OLD = 32, 6
# The names that stand without a semicolon too, six bytes at most, as numbers, and what each of them is.
_OLD = sorted((int.from_bytes(name.encode(), "little"), ord(html5[name])) for name in html5 if not name.endswith(";"))
_OLD_NAMES = np.array([name for name, _ in _OLD], np.int64)
_OLD_VALUES = np.array([value for _, value in _OLD], np.int64)
#: The zeros of the scripts that have digits of their own; the other nine follow each of them.
ZEROS = np.array([
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20,
    0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0,
    0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0,
    0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60,
    0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E950, 0x1FBF0,
], np.int64)  # fmt: skip


@njit(cache=True, nogil=True)
def point(data: Any, at: int, stop: int) -> Any:
    """Decode what stands at `at`: (the code point, the place behind it).

    What is no UTF-8 is U+FFFD, as many times as Python's `replace` has it: once for each part that begins a character.
    """
    first = np.int64(data[at])
    if first < 0x80:
        return first, at + 1
    if first < 0xC2 or first > 0xF4 or at + 1 >= stop:
        return np.int64(BAD), at + 1
    second = np.int64(data[at + 1])
    low = 0xA0 if first == 0xE0 else 0x90 if first == 0xF0 else 0x80
    high = 0x9F if first == 0xED else 0x8F if first == 0xF4 else 0xBF
    if second < low or second > high:
        return np.int64(BAD), at + 1
    if first < 0xE0:
        return (first & 31) << 6 | second & 63, at + 2
    if at + 2 >= stop or data[at + 2] & 0xC0 != 0x80:
        return np.int64(BAD), at + 2
    code = (second & 63) << 6 | np.int64(data[at + 2]) & 63
    if first < 0xF0:
        return (first & 15) << 12 | code, at + 3
    if at + 3 >= stop or data[at + 3] & 0xC0 != 0x80:
        return np.int64(BAD), at + 3
    return (first & 7) << 18 | code << 6 | np.int64(data[at + 3]) & 63, at + 4


@njit(cache=True, nogil=True)
def put_point(code: int, out: Any, pos: int) -> Any:
    """Write a code point in UTF-8; gives the place behind it.

    U+FFFD is written as the byte 255, which is no UTF-8: whoever decodes it reads U+FFFD again.
    """
    if code == BAD:
        out[pos] = 255
        return pos + 1
    if code < 0x80:
        out[pos] = code
        return pos + 1
    if code < 0x800:
        out[pos] = 0xC0 | code >> 6
    else:
        if code < 0x10000:
            out[pos] = 0xE0 | code >> 12
        else:
            out[pos] = 0xF0 | code >> 18
            out[pos + 1] = 0x80 | code >> 12 & 63
            pos += 1
        out[pos + 1] = 0x80 | code >> 6 & 63
        pos += 1
    out[pos + 1] = 0x80 | code & 63
    return pos + 2


@njit(cache=True, nogil=True)
def passage_of(data: Any, span: Any, escaped: Any, references: Any) -> Any:
    """Give data[span[0]:span[1]] as a passage, and the place where it begins; (-1, -1) is an empty one."""
    return (data, np.int64(span[1]), np.int64(escaped), references), 2 * np.int64(span[0])


@njit(cache=True, nogil=True)
def char(passage: Any, place: int) -> Any:
    """Read a character: (its code point, the place behind it); -1 where the passage ends."""
    data, stop, escaped, references = passage
    at = place >> 1
    while at < stop:
        if not escaped or data[at] != _AMP:
            code, at = point(data, at, stop)
            return code, 2 * at
        first, second, behind = _reference(data, at, stop, references)
        if place & 1:
            return second, 2 * behind
        if second >= 0:
            return first, 2 * at + 1
        if first >= 0:
            return first, 2 * behind
        at = behind  # it stands for nothing
    return np.int64(-1), 2 * at


@njit(cache=True, nogil=True)
def white(code: int) -> Any:
    """Tell what Python takes for white space."""
    if code < 0x80:
        return code == 32 or 9 <= code <= 13 or 28 <= code <= 31
    if code < 0x1680:
        return code == 0x85 or code == 0xA0
    return (
        0x2000 <= code <= 0x200A
        or code == 0x2028
        or code == 0x2029
        or code == 0x202F
        or code == 0x205F
        or code == 0x3000
        or code == 0x1680
    )


@njit(cache=True, nogil=True)
def digit(code: int) -> Any:
    """Give what a decimal digit of any script counts, -1 for what is none."""
    if code < 0x80:
        return code - 48 if 48 <= code <= 57 else -1
    at = np.searchsorted(ZEROS, code, "right") - 1
    return code - ZEROS[at] if at >= 0 and code - ZEROS[at] < 10 else -1


@njit(cache=True, nogil=True)
def _reference(data: Any, at: int, stop: int, references: Any) -> Any:
    """Read the reference at `at`, an `&`: (its character, its second one, the place behind); -1 for none."""
    if at + 1 < stop and data[at + 1] == _HASH:
        return _numeric(data, at, stop)
    end, value, old = at + 1, OFFSET, np.int64(0)
    while end < stop and end - at <= _LONGEST and (is_letter(data[end]) or 48 <= data[end] <= 57):
        value = ((value ^ np.uint64(data[end])) * PRIME) & MASK
        if end - at <= _LONGEST_OLD:
            old |= np.int64(data[end]) << 8 * (end - at - 1)
        end += 1
    if end < stop and data[end] == _SEMICOLON:
        keys, numbers, offsets, pool = references
        number = number_of(value, keys, numbers)
        if number >= 0:
            first, behind = point(pool, np.int64(offsets[number]), np.int64(offsets[number + 1]))
            second = np.int64(-1)
            if behind < offsets[number + 1]:
                second, _ = point(pool, behind, np.int64(offsets[number + 1]))
            return first, second, end + 1
    for length in range(min(end - at - 1, _LONGEST_OLD), 1, -1):
        name = old & ((np.int64(1) << 8 * length) - 1)
        place = np.searchsorted(_OLD_NAMES, name)
        if place < len(_OLD_NAMES) and _OLD_NAMES[place] == name:
            return _OLD_VALUES[place], np.int64(-1), at + 1 + length
    return np.int64(_AMP), np.int64(-1), at + 1


@njit(cache=True, nogil=True)
def _numeric(data: Any, at: int, stop: int) -> Any:
    end, code, base = at + 2, np.int64(0), 10
    if end < stop and data[end] | 32 == 120:
        end, base = end + 1, 16
    digits = end
    while end < stop:
        byte = np.int64(data[end])
        if 48 <= byte <= 57:
            code = code * base + byte - 48
        elif base == 16 and 97 <= (byte | 32) <= 102:
            code = code * base + (byte | 32) - 87
        else:
            break
        code = min(code, np.int64(0x110000))
        end += 1
    if end == digits:
        return np.int64(_AMP), np.int64(-1), at + 1
    if end < stop and data[end] == _SEMICOLON:
        end += 1
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        code = np.int64(BAD)
    elif 128 <= code < 160:
        code = WINDOWS[code - 128]
    elif _is_none(code):
        code = np.int64(-1)
    return code, np.int64(-1), end


@njit(cache=True, nogil=True)
def _is_none(code: int) -> bool:
    """Tell a number that is given to no character, or to a control character other than white space."""
    if code < 32:
        return code == 11 or not 9 <= code <= 13
    return code == 127 or 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE
