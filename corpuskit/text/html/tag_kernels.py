"""Read tags: their names, attributes and ends; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.about import META_NAMES
from corpuskit.text.html.arrays import MASK, OFFSET, PRIME, S_HIDES, S_NUMBER, S_TOKENS
from corpuskit.text.html.scan_kernels import find
from corpuskit.text.html.tags import fnv

_LT, _GT, _EQUALS = np.uint8(60), np.uint8(62), np.uint8(61)
_SLASH = 47
_MAX_TOKENS = 32  # of one element
_LONGEST_NAME = 12
_CLASS, _ID, _ROLE, _ITEMPROP, _ITEMTYPE, _HIDDEN_NAME, _STYLE, _ARIA_HIDDEN, _START_NAME = (
    np.uint64(fnv(bytes(byte | 32 for byte in name)))
    for name in (b"class", b"id", b"role", b"itemprop", b"itemtype", b"hidden", b"style", b"aria-hidden", b"start")
)
_META_ATTRIBUTES = np.array(
    [fnv(name) for name in (b"content", b"property", b"name", b"itemprop", b"http-equiv")], np.uint64
)
_LANGUAGE_ATTRIBUTES = np.array([fnv(name) for name in (b"lang", b"xml:lang")], np.uint64)
_META_NAMES = np.array([fnv(name.encode()) for name in META_NAMES], np.uint64)
# What a byte of a class name is: 0 parts tokens, 2 is a capital.
_LETTERS = np.zeros(256, np.uint8)
_LETTERS[97:123] = 1
_LETTERS[65:91] = 2
_LETTERS[128:] = 1


@njit(cache=True, nogil=True, inline="always")
def is_letter(byte: Any) -> Any:
    """Tell an ASCII letter."""
    return 97 <= (byte | 32) <= 122


@njit(cache=True, nogil=True, inline="always")
def _is_space(byte: Any) -> Any:
    return byte == 32 or 9 <= byte <= 13


@njit(cache=True, nogil=True)
def behind(data: Any, at: int, size: int) -> Any:
    """Give the place behind the next `>`."""
    return find(data, at, size, _GT, _GT) + 1


@njit(cache=True, nogil=True)
def behind_comment(data: Any, at: int, size: int) -> Any:
    """Give the place behind a comment, a doctype or a CDATA section, which begins at `at`."""
    if at + 3 < size and data[at + 2] == 45 and data[at + 3] == 45:
        at += 4
        start = at
        if at < size and data[at] == _GT:  # <!-->
            return at + 1
        while at < size:
            at = find(data, at, size, _GT, _GT) + 1
            if at - 3 >= start and at <= size and data[at - 2] == 45 and data[at - 3] == 45:
                return at
        return size
    return behind(data, at + 2, size)


@njit(cache=True, nogil=True, inline="always")
def number_of(value: Any, keys: Any, numbers: Any) -> Any:
    """Give the number of a name by its hash, -1 where there is none; keys, numbers: see `tags`."""
    slot = np.int64(value) & (len(keys) - 1)
    while numbers[slot] >= 0 and keys[slot] != value:
        slot = (slot + 1) & (len(keys) - 1)
    return numbers[slot]


@njit(cache=True, nogil=True, inline="always")
def tag_name(data: Any, at: int, size: int, tables: Any) -> Any:
    """Read a tag's name: (its number, 0 where it is not known; where it ends)."""
    value = OFFSET
    start = at
    while at < size:
        byte = data[at]
        if byte == _GT or byte == _SLASH or byte <= 32:
            break
        if 65 <= byte <= 90:
            byte |= 32
        value = ((value ^ np.uint64(byte)) * PRIME) & MASK
        at += 1
    if at - start > _LONGEST_NAME:
        return 0, at
    return max(0, number_of(value, tables[0], tables[1])), at


@njit(cache=True, nogil=True, inline="always")
def tag_end(data: Any, at: int, size: int) -> int:
    """Give the place behind a tag's `>`, which quotes may hold too."""
    while at < size:
        at = find(data, at, size, _GT, _EQUALS)
        if at >= size or data[at] == _GT:
            return min(size, at + 1)
        at += 1
        while at < size and _is_space(data[at]):
            at += 1
        if at < size and (data[at] == 34 or data[at] == 39):
            at = find(data, at + 1, size, data[at], data[at]) + 1
    return size


@njit(cache=True, nogil=True)
def raw_end(data: Any, at: int, size: int, name: int, name_end: int) -> int:
    """Give where the end tag of a raw element begins: `</` and the name that stands at data[name:name_end]."""
    length = name_end - name
    while at < size:
        at = find(data, at, size, _LT, _LT)
        if at + 2 + length > size:
            return size
        if data[at + 1] == _SLASH:
            same = True
            for each in range(length):
                if data[at + 2 + each] | 32 != data[name + each] | 32:
                    same = False
                    break
            if same:
                return at
        at += 1
    return size


@njit(cache=True, nogil=True)
def holds(data: Any, at: int, end: int, one: int, two: int, three: int) -> Any:
    """Tell whether three bytes stand together in data[at:end]."""
    for place in range(at, end - 2):
        if data[place] == one and data[place + 1] == two and data[place + 2] == three:
            return True
    return False


@njit(cache=True, nogil=True, inline="always")
def attributes(data: Any, at: int, size: int, tokens: Any, state: Any) -> int:
    """Read a tag's attributes for tokens and for whether it is hidden; gives the place behind the tag."""
    limit = min(len(tokens), state[S_TOKENS] + _MAX_TOKENS)
    while at < size:
        byte = data[at]
        if byte == _GT:
            return at + 1
        if byte <= 32 or byte == _SLASH:
            at += 1
            continue
        name = OFFSET
        while at < size and byte > 32 and byte != 61 and byte != _GT and byte != _SLASH:
            name = ((name ^ np.uint64(byte | 32)) * PRIME) & MASK
            at += 1
            byte = data[at] if at < size else 0
        while at < size and data[at] <= 32:
            at += 1
        if at >= size or data[at] != 61:
            if name == _HIDDEN_NAME:
                state[S_HIDES] = 1
            continue
        at += 1
        while at < size and data[at] <= 32:
            at += 1
        first = at
        if at < size and (data[at] == 34 or data[at] == 39):
            first = at + 1
            stop = find(data, first, size, data[at], data[at])
            at = stop + 1
        else:
            while at < size and data[at] > 32 and data[at] != _GT:
                at += 1
            stop = at
        _attribute(data, name, first, stop, limit, tokens, state)
    return size


@njit(cache=True, nogil=True)
def values(data: Any, at: int, end: int, names: Any, found: Any) -> None:
    """Find the values of some attributes of the tag whose name ends at `at` and that ends at `end`.

    names: their hashes; found[name, 0] and [name, 1]: where the value of each begins and ends, -1 where it has none.
    """
    found[:] = -1
    while at < end and data[at] != _GT:
        if data[at] <= 32 or data[at] == _SLASH:
            at += 1
            continue
        name = OFFSET
        while at < end and data[at] > 32 and data[at] != _EQUALS and data[at] != _GT and data[at] != _SLASH:
            name = ((name ^ np.uint64(data[at] | 32)) * PRIME) & MASK
            at += 1
        while at < end and data[at] <= 32:
            at += 1
        if at >= end or data[at] != _EQUALS:
            continue
        at += 1
        while at < end and data[at] <= 32:
            at += 1
        first = at
        if at < end and (data[at] == 34 or data[at] == 39):
            first = at + 1
            stop = find(data, first, end, data[at], data[at])
            at = stop + 1
            if stop >= end:  # it is not closed, and no value
                return
        else:
            while at < end and data[at] > 32 and data[at] != _GT:
                at += 1
            stop = at
        for each in range(len(names)):
            if name == names[each] and found[each, 0] < 0:
                found[each, 0], found[each, 1] = first, stop


@njit(cache=True, nogil=True)
def meta(data: Any, at: int, end: int, found: Any) -> Any:
    """Tell which of META_NAMES a <meta> is, -1 for another; found[0] is where its content begins and ends.

    `at` and `end` as for `values`. Of its attributes the first of property, name, itemprop and http-equiv counts.
    """
    values(data, at, end, _META_ATTRIBUTES, found)
    if found[0, 0] < 0:
        return -1
    for each in range(1, len(_META_ATTRIBUTES)):
        first, stop = found[each, 0], found[each, 1]
        if stop > first >= 0:
            return _among_names(data, first, stop)
    return -1


@njit(cache=True, nogil=True)
def _among_names(data: Any, at: int, stop: int) -> int:
    while at < stop and data[at] <= 32:
        at += 1
    while at < stop and data[stop - 1] <= 32:
        stop -= 1
    value = OFFSET
    for place in range(at, stop):
        byte = data[place]
        value = ((value ^ np.uint64(byte + 32 if 65 <= byte <= 90 else byte)) * PRIME) & MASK
    for each in range(len(_META_NAMES)):
        if value == _META_NAMES[each]:
            return each
    return -1


@njit(cache=True, nogil=True)
def language(data: Any, at: int, end: int, found: Any) -> None:
    """Set found[0] to where the value of `lang`, or that of `xml:lang`, of a tag begins and ends."""
    values(data, at, end, _LANGUAGE_ATTRIBUTES, found[:2])
    if found[0, 0] >= found[0, 1]:
        found[0, 0], found[0, 1] = found[1, 0], found[1, 1]


@njit(cache=True, nogil=True, inline="always")
def _attribute(data: Any, name: Any, first: int, stop: int, limit: int, tokens: Any, state: Any) -> None:
    if name == _CLASS or name == _ID:
        _tokens(data, first, stop, np.uint64(0), limit, tokens, state)
    elif name == _ROLE:
        _tokens(data, first, stop, np.uint64(1), limit, tokens, state)
    elif name == _ITEMPROP or name == _ITEMTYPE:
        _tokens(data, first, stop, np.uint64(2), limit, tokens, state)
    elif name == _HIDDEN_NAME or (name == _STYLE and _hides(data, first, stop)):
        state[S_HIDES] = 1
    elif name == _START_NAME:
        state[S_NUMBER] = _whole(data, first, stop)
    elif name == _ARIA_HIDDEN and stop - first == 4 and data[first] | 32 == 116:  # true
        state[S_HIDES] = 1


@njit(cache=True, nogil=True)
def _whole(data: Any, at: int, stop: int) -> int:
    """Read a number of eight digits at most; 1 where there is none."""
    value = 0
    for place in range(at, min(stop, at + 8)):
        if not 48 <= data[place] <= 57:
            return 1
        value = 10 * value + data[place] - 48
    return value if stop > at else 1


@njit(cache=True, nogil=True)
def _hides(data: Any, at: int, stop: int) -> Any:
    """Tell `display: none` and `visibility: hidden` in a style: a y, a colon, and `no` or `hi`."""
    for place in range(at + 1, stop - 2):
        if data[place] == 58 and data[place - 1] | 32 == 121:
            value = place + 1
            while value < stop and data[value] <= 32:
                value += 1
            if value + 1 < stop:
                one, two = data[value] | 32, data[value + 1] | 32
                if (one == 110 and two == 111) or (one == 104 and two == 105):
                    return True
    return False


@njit(cache=True, nogil=True)
def _tokens(data: Any, at: int, stop: int, seed: Any, limit: int, tokens: Any, state: Any) -> None:
    """Hash the runs of letters of a value, parted where small letters turn to capitals."""
    value, length, before = OFFSET + seed, 0, 0
    while at <= stop:
        kind = _LETTERS[data[at]] if at < stop else 0
        if kind == 0 or (kind == 2 and before == 1):
            if length >= 2 and state[S_TOKENS] < limit:
                tokens[state[S_TOKENS]] = np.uint32(value)
                state[S_TOKENS] += 1
            value, length = OFFSET + seed, 0
        if kind:
            byte = data[at] | 32 if kind == 2 else data[at]
            value = ((value ^ np.uint64(byte)) * PRIME) & MASK
            length += 1
        before = kind
        at += 1
