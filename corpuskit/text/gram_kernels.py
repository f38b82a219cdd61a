"""The loops behind `grams`: runs of words hashed and looked up; import them only where they run, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.sketch.shingle_kernels import normalise
from corpuskit.sketch.shingles import REMOVED, SPACE, UNIT
from corpuskit.text.unicode_kernels import code_point

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_LENGTH = np.uint64(0xD6E8FEB86659FD93)


@njit(cache=True, nogil=True, inline="always")
def _spread(value: Any) -> Any:
    """Spread a 64-bit value evenly (the finalizer of splitmix64)."""
    value = np.uint64((value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    value = np.uint64((value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return np.uint64(value ^ (value >> np.uint64(31)))


@njit(cache=True, nogil=True)
def _words(scratch: Any, units: Any, count: int, out: Any) -> None:
    """Hash each unit to 64 bits."""
    for unit in range(count):
        state = np.uint64(14695981039346656037)
        for at in range(units[unit], units[unit + 1] - 1):
            state = np.uint64((state ^ np.uint64(scratch[at])) * np.uint64(1099511628211))
        out[unit] = _spread(state)


@njit(cache=True, nogil=True)
def _runs(words: Any, count: int, length: int, out: Any) -> int:
    """Hash the runs of `length` words, rolling; give their number."""
    runs = count - length + 1
    if runs <= 0:
        return 0
    power = np.uint64(1)
    for _ in range(length - 1):
        power = np.uint64(power * _FACTOR)
    state = np.uint64(0)
    salt = np.uint64(np.uint64(length) * _LENGTH)
    for at in range(count):
        if at >= length:
            state = np.uint64(state - np.uint64(words[at - length] * power))
        state = np.uint64(np.uint64(state * _FACTOR) + words[at])
        if at >= length - 1:
            out[at - length + 1] = _spread(np.uint64(state + salt))
    return runs


@njit(cache=True, nogil=True)
def collect(
    data: Any, offsets: Any, tables: Any, length: int, least: int, grams: Any, owners: Any, lengths: Any
) -> int:
    """Write the hashes of all runs of `length` words, of a text of fewer words but `least` that of it whole.

    owners: the text of each; lengths: its words. Gives their number.
    """
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    scratch, units = np.empty(4 * longest + 64, np.uint8), np.empty(longest + 3, np.int64)
    words = np.empty(longest + 1, np.uint64)
    used = 0
    for text in range(len(offsets) - 1):
        count = normalise(data, offsets[text], offsets[text + 1], tables, scratch, units)
        if count < least:
            continue
        _words(scratch, units, count, words)
        width = min(length, count)
        made = _runs(words, count, width, grams[used:])
        owners[used : used + made] = text
        lengths[used : used + made] = width
        used += made
    return used


@njit(cache=True, nogil=True)
def find(
    data: Any, offsets: Any, first: int, last: int, tables: Any, lengths: Any, known: Any, filter: Any, out: Any
) -> int:
    """Write (text, first unit, units, place in `known`) of every run of texts first to last that is known.

    known: ascending hashes; filter: a bit for the low bits of each. Gives the number of hits; those without room in
    `out` are counted only.
    """
    longest = 0
    for text in range(first, last):
        longest = max(longest, offsets[text + 1] - offsets[text])
    scratch, units = np.empty(4 * longest + 64, np.uint8), np.empty(longest + 3, np.int64)
    words, runs = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.uint64)
    mask = np.uint64(8 * len(filter) - 1)
    hits = 0
    for text in range(first, last):
        count = normalise(data, offsets[text], offsets[text + 1], tables, scratch, units)
        _words(scratch, units, count, words)
        for each in range(len(lengths)):
            made = _runs(words, count, lengths[each], runs)
            for at in range(made):
                bit = runs[at] & mask
                if not (filter[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
                    continue
                place = _place(known, runs[at])
                if place < 0:
                    continue
                if hits < len(out):
                    out[hits, 0], out[hits, 1], out[hits, 2], out[hits, 3] = text, at, lengths[each], place
                hits += 1
    return hits


@njit(cache=True, nogil=True)
def _place(known: Any, value: Any) -> int:
    low, high = 0, len(known)
    while low < high:
        middle = (low + high) >> 1
        if known[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < len(known) and known[low] == value else -1


@njit(cache=True, nogil=True)
def bits(known: Any, filter: Any) -> None:
    """Set the bit of each hash."""
    mask = np.uint64(8 * len(filter) - 1)
    for each in range(len(known)):
        bit = known[each] & mask
        filter[bit >> np.uint64(3)] |= np.uint8(np.uint64(1) << (bit & np.uint64(7)))


@njit(cache=True, nogil=True)
def places(data: Any, start: int, stop: int, kinds: Any, begins: Any, ends: Any) -> int:
    """Write where each unit of a text begins and ends in its bytes; the units are those of `normalise`."""
    count = 0
    is_open = False
    at = start
    while at < stop:
        char, size = code_point(data, at, stop)
        kind = kinds[char]
        if kind == REMOVED:
            at += size
            continue
        if is_open and (kind == SPACE or kind == UNIT):
            is_open = False
            count += 1
        if kind != SPACE:
            if not is_open:
                begins[count] = at
            ends[count] = at + size
            is_open = kind != UNIT
            count += kind == UNIT
        at += size
    return count + is_open
