"""Resolve HTML entities as `html.unescape` does."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpuskit.text.wikitext.base_kernels import ROOM_ENTITY, encode, hash_exact, kernel, look_up

# What browsers show for numbers 128 to 159.
_WINDOWS = np.array([ord(c) for c in bytes(range(128, 160)).decode("cp1252", "replace")], np.int64)
_MAX_NAME = 33


@kernel
def entity(w: Any, data: Any, at: int, stop: int, out: Any, o: int) -> Any:
    """Write the character of the entity at `at`: (end of the output, end of the entity). No entity: (o, at)."""
    end = at + 1
    if data[end] == 35:
        return _number(data, at, stop, out, o)
    while end < stop and end - at < _MAX_NAME and (97 <= data[end] | 32 <= 122 or 48 <= data[end] <= 57):
        end += 1
    if end >= stop or data[end] != 59:
        return o, at
    value = look_up(w.keys, w.values, hash_exact(data, at + 1, end, ROOM_ENTITY))
    if value == 0:
        return o, at
    o = encode(out, o, value & 0x1FFFFF)
    if value >> 21:
        o = encode(out, o, value >> 21)
    return o, end + 1


@kernel
def _number(data: Any, at: int, stop: int, out: Any, o: int) -> Any:
    base, end = 10, at + 2
    if data[end] | 32 == 120:
        base, end = 16, end + 1
    first = end
    value = np.int64(0)
    while end < stop and end - first < 8:
        byte = np.int64(data[end])
        if 48 <= byte <= 57:
            value = value * base + byte - 48
        elif base == 16 and 97 <= byte | 32 <= 102:
            value = value * base + (byte | 32) - 87
        else:
            break
        end += 1
    if end == first or end >= stop or data[end] != 59:
        return o, at
    if 128 <= value < 160:
        value = _WINDOWS[value - 128]
    if value > 0x10FFFF or 0xD800 <= value < 0xE000:
        value = np.int64(0xFFFD)
    if value == 9 or value == 10 or value == 13:
        value = np.int64(32)
    if value >= 32 and value != 127:
        o = encode(out, o, value)
    return o, end + 1
