"""What the wikitext kernels share: the working memory of one page, hashing of names, and copying.

A page is rendered on one growing buffer, `out`, which is also the stack: every open construct owns its tail, and is
rewritten when it closes. One that never closes needs nothing: its text is there already. Marks below 9 stand in the
buffer for what no XML can hold: see `HOLE` to `CELL`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

#: Constructs (templates, links, tables) nested deeper than this are refused.
MAX_DEPTH = 100
MAX_ARGUMENTS = 64  # of one template; more are not looked at
CLOSERS = 64  # elements whose end is searched for

HOLE, OPEN, CLOSE, CELL = 1, 2, 3, 4  # removed here; around the number of a verbatim piece; between two cells

# Places in `state`.
AT, O, DEPTH, ARGS, PIECES, VERBATIM, ERROR, POSITIONAL, NAMED, SOURCES, CLOSER = range(11)  # noqa: E741
STATE_SIZE = CLOSER + CLOSERS

OVERFLOW, TOO_DEEP = 1, 2

# Columns of `frames`. A template's COUNT is its braces; NAME_END is where its first argument's separator is.
(KIND, START, CURRENT, KEY, BASE, COUNT, EXTERNAL, ATTRIBUTES, HEADER, CAPTION, LINKED, BROKEN, FURNITURE) = range(13)
FRAME_SIZE = 13
PAGE, TEMPLATE, LINK, TABLE = 0, 1, 2, 3

# Rooms of the one hash table of names.
ROOM_TEMPLATE, ROOM_LINK, ROOM_TAG, ROOM_ENTITY, ROOM_EXTENSION, ROOM_WORD, ROOM_ATTRIBUTE = range(1, 8)
ROOM_RANGE, ROOM_UNIT, ROOM_SUBUNIT, ROOM_KEY, ROOM_TEXT_KEY, ROOM_COUNTRY = range(8, 14)

_BASIS, _PRIME = -3750763034362895579, 1099511628211


def kernel(function: Any) -> Any:
    """Compile a function that other kernels call, once for all integers: not anew for each constant and width.

    Only entries are cached: numba's cache knows of changes in their own file alone. None has a wrapper for Python.
    """
    compiled = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, error_model="numpy")(function)
    template = compiled.get_call_template

    def plain(kind: Any) -> Any:
        kind = types.unliteral(kind)
        return types.int64 if isinstance(kind, types.Integer) else kind

    compiled.get_call_template = lambda args, kws: template(tuple(map(plain, args)), kws)
    return compiled


@kernel
def decode(data: Any, at: int) -> Any:
    """Decode one character: (code point, bytes)."""
    first = np.int64(data[at])
    if first < 0xC0:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    if first < 0xF0:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), 3
    high = (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
    return high | (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F), 4


@kernel
def encode(data: Any, at: int, char: int) -> Any:
    """Write one character, give where it ends."""
    if char < 0x80:
        data[at] = char
        return at + 1
    if char < 0x800:
        data[at], data[at + 1] = 0xC0 | char >> 6, 0x80 | char & 0x3F
        return at + 2
    if char < 0x10000:
        data[at], data[at + 1], data[at + 2] = 0xE0 | char >> 12, 0x80 | char >> 6 & 0x3F, 0x80 | char & 0x3F
        return at + 3
    data[at], data[at + 1] = 0xF0 | char >> 18, 0x80 | char >> 12 & 0x3F
    data[at + 2], data[at + 3] = 0x80 | char >> 6 & 0x3F, 0x80 | char & 0x3F
    return at + 4


@kernel
def before(data: Any, first: int, at: int) -> Any:
    """Decode the character that ends at `at`: (code point, bytes), (0, 0) where the text begins."""
    if at <= first:
        return 0, 0
    start = at - 1
    while start > first and at - start < 4 and data[start] & 0xC0 == 0x80:
        start -= 1
    char, _ = decode(data, start)
    return char, at - start


@kernel
def is_spaced(char: int) -> bool:
    """Tell whether this is a letter of a script that parts words by spaces and writes no prefix as part of a word."""
    if char < 0xC0:
        return bool(65 <= char <= 90 or 97 <= char <= 122)
    return bool((char < 0x250 and char != 0xD7 and char != 0xF7) or 0x370 <= char < 0x588)


@kernel
def hash_name(lower: Any, data: Any, start: int, stop: int, room: int) -> Any:
    """Hash a name without regard to case, holes, underscores for spaces, runs of spaces or spaces around it.

    FNV-1a over the characters; `room` keeps the kinds of names apart. The last 4 bytes of `data` are not for names.
    """
    value: Any = (_BASIS ^ room) * _PRIME
    space = begun = False
    at = start
    while at < stop:
        char, width = decode(data, at)
        at += width
        if char == HOLE:
            continue
        if char == 32 or char == 95 or 9 <= char <= 13 or char == 0xA0:
            space = begun
            continue
        if space:
            value = (value ^ 32) * _PRIME
            space = False
        begun = True
        value = (value ^ (np.int64(lower[char]) if char < 0x2000 else char)) * _PRIME
    return value if value else 1


@kernel
def more_hash(value: int, char: int) -> Any:
    """Hash one more ASCII character."""
    return (value ^ char) * _PRIME


@kernel
def hash_exact(data: Any, start: int, stop: int, room: int) -> Any:
    """Hash bytes as they are."""
    value: Any = (_BASIS ^ room) * _PRIME
    for at in range(start, stop):
        value = (value ^ np.int64(data[at])) * _PRIME
    return value if value else 1


@njit(cache=True, nogil=True)
def hash_all(lower: Any, data: Any, offsets: Any, rooms: Any, exact: Any, out: Any) -> None:
    """Hash name i, data[offsets[i]:offsets[i + 1]]."""
    for i in range(len(rooms)):
        if exact[i]:
            out[i] = hash_exact(data, offsets[i], offsets[i + 1], rooms[i])
        else:
            out[i] = hash_name(lower, data, offsets[i], offsets[i + 1], rooms[i])


@kernel
def look_up(keys: Any, values: Any, key: int) -> Any:
    """Give the value of a key, 0 without one."""
    mask = len(keys) - 1
    slot = (key ^ key >> 29) & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(values[slot])
        slot = (slot + 1) & mask
    return np.int64(0)


@njit(cache=True, nogil=True)
def fill(keys: Any, values: Any, new_keys: Any, new_values: Any) -> None:
    """Put keys into the table; a later one replaces the same earlier one."""
    mask = len(keys) - 1
    for i in range(len(new_keys)):
        slot = (new_keys[i] ^ new_keys[i] >> 29) & mask
        while keys[slot] != 0 and keys[slot] != new_keys[i]:
            slot = (slot + 1) & mask
        keys[slot], values[slot] = new_keys[i], new_values[i]


@kernel
def copy(source: Any, start: int, stop: int, out: Any, to: int) -> int:
    """Copy bytes, give where they end; within one buffer only to the left."""
    for at in range(start, stop):
        out[to] = source[at]
        to += 1
    return to


@kernel
def strip(data: Any, start: int, stop: int) -> Any:
    """Give (start, stop) without white space around."""
    while start < stop and (data[start] == 32 or 9 <= data[start] <= 13):
        start += 1
    while start < stop and (data[stop - 1] == 32 or 9 <= data[stop - 1] <= 13):
        stop -= 1
    return start, stop


@kernel
def strip_holes(data: Any, start: int, stop: int) -> Any:
    """Give (start, stop) without white space and holes around."""
    while start < stop and (data[start] == 32 or data[start] == HOLE or 9 <= data[start] <= 13):
        start += 1
    while start < stop and (data[stop - 1] == 32 or data[stop - 1] == HOLE or 9 <= data[stop - 1] <= 13):
        stop -= 1
    return start, stop


@kernel
def put(w: Any, byte: int) -> None:
    """Write one byte."""
    w.out[w.state[O]] = byte
    w.state[O] += 1


@kernel
def room_for(w: Any, size: int) -> bool:
    """Tell whether that much may still be written to `out`, and remember where not."""
    if w.state[O] + size + 256 > len(w.out):
        w.state[ERROR] = OVERFLOW
        return False
    return True
