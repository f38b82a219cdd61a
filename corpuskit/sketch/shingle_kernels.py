"""The loop over bytes behind `shingles.shingles`; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.sketch.shingles import DIGIT, REMOVED, SPACE, UNIT
from corpuskit.text.characters import SPACE as _WHITE
from corpuskit.text.unicode_kernels import code_point

_P1, _P2, _P3 = np.uint32(2654435761), np.uint32(2246822519), np.uint32(3266489917)
_P4, _P5 = np.uint32(668265263), np.uint32(374761393)


@njit(cache=True, nogil=True)
def shingle(
    data: Any,
    offsets: Any,
    width: int,
    kinds: Any,
    starts: Any,
    pool: Any,
    scratch: Any,
    units: Any,
    hashes: Any,
    ends: Any,
) -> int:
    """Fill `hashes` and `ends` with the shingle sets of all texts; give the number of hashes."""
    used = 0
    spare = np.empty(len(units), np.uint32)
    for text in range(len(offsets) - 1):
        count = normalise(data, offsets[text], offsets[text + 1], kinds, starts, pool, scratch, units)
        first = used
        for unit in range(count - width + 1):
            # A unit starts one past the space before it.
            hashes[used] = xxh32(scratch, units[unit], units[unit + width] - 1)
            used += 1
        used = first + _sorted_set(hashes[first:used], spare)
        ends[text + 1] = used
    return used


@njit(cache=True, nogil=True)
def normalise(data: Any, start: int, stop: int, kinds: Any, starts: Any, pool: Any, scratch: Any, units: Any) -> int:
    """Write a text's units to `scratch`, each with a space after it, and their starts to `units`; give their number.

    `units` gets one entry more: where the next unit would start.
    """
    count = filled = 0
    units[0] = 0
    open_unit = after_digit = False
    at = start
    while at < stop:
        char, size = code_point(data, at, stop)
        at += size
        kind = kinds[char]
        if kind == REMOVED:
            continue
        if kind == SPACE or (kind == UNIT and open_unit):
            if open_unit:
                scratch[filled] = 32
                filled += 1
                count += 1
                units[count] = filled
                open_unit = after_digit = False
            if kind == SPACE:
                continue
        if kind == DIGIT and after_digit:
            continue
        for each in range(starts[char], starts[char + 1]):
            scratch[filled] = pool[each]
            filled += 1
        after_digit = kind == DIGIT
        open_unit = True
        if kind == UNIT:
            scratch[filled] = 32
            filled += 1
            count += 1
            units[count] = filled
            open_unit = False
    if open_unit:
        scratch[filled] = 32
        filled += 1
        count += 1
        units[count] = filled
    return count


@njit(cache=True, nogil=True)
def collapse(data: Any, offsets: Any, properties: Any, out: Any, ends: Any) -> None:
    """Write every text to `out`, its words as they are with one space between; text i ends at ends[i + 1]."""
    filled = 0
    for text in range(len(offsets) - 1):
        at, first, parted = offsets[text], filled, False
        while at < offsets[text + 1]:
            char, size = code_point(data, at, offsets[text + 1])
            if properties[char] & _WHITE:
                parted = filled > first
            else:
                if parted:
                    out[filled] = 32
                    filled += 1
                    parted = False
                for byte in range(size):
                    out[filled] = data[at + byte]
                    filled += 1
            at += size
        ends[text + 1] = filled


@njit(cache=True, nogil=True, inline="always")
def _rotated(value: Any, bits: int) -> Any:
    return np.uint32(np.uint32(value << np.uint32(bits)) | np.uint32(value >> np.uint32(32 - bits)))


@njit(cache=True, nogil=True, inline="always")
def _word(data: Any, at: int) -> Any:
    low = np.uint32(data[at]) | np.uint32(data[at + 1]) << np.uint32(8)
    high = np.uint32(data[at + 2]) << np.uint32(16) | np.uint32(data[at + 3]) << np.uint32(24)
    return np.uint32(low | high)


@njit(cache=True, nogil=True, inline="always")
def _round(lane: Any, data: Any, at: int) -> Any:
    return np.uint32(_rotated(np.uint32(lane + np.uint32(_word(data, at) * _P2)), 13) * _P1)


@njit(cache=True, nogil=True)
def xxh32(data: Any, start: int, stop: int) -> Any:
    """Give xxh32 with seed 0 of data[start:stop] (XXH32 of the xxHash specification 0.1.1)."""
    at = start
    if stop - start >= 16:
        one, two = np.uint32(_P1 + _P2), _P2
        three, four = np.uint32(0), np.uint32(np.uint32(0) - _P1)
        while at + 16 <= stop:
            one = _round(one, data, at)
            two = _round(two, data, at + 4)
            three = _round(three, data, at + 8)
            four = _round(four, data, at + 12)
            at += 16
        mixed = np.uint32(_rotated(one, 1) + _rotated(two, 7))
        mixed = np.uint32(mixed + np.uint32(_rotated(three, 12) + _rotated(four, 18)))
    else:
        mixed = _P5
    mixed = np.uint32(mixed + np.uint32(stop - start))
    while at + 4 <= stop:
        mixed = np.uint32(_rotated(np.uint32(mixed + np.uint32(_word(data, at) * _P3)), 17) * _P4)
        at += 4
    while at < stop:
        mixed = np.uint32(_rotated(np.uint32(mixed + np.uint32(np.uint32(data[at]) * _P5)), 11) * _P1)
        at += 1
    mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(15))) * _P2)
    mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(13))) * _P3)
    return np.uint32(mixed ^ (mixed >> np.uint32(16)))


@njit(cache=True, nogil=True)
def _sorted_set(values: Any, spare: Any) -> int:
    """Sort in place (by bytes, the lowest first) and remove repetitions; give what remains."""
    source, target = values, spare
    heads = np.empty(256, np.int64)
    for shift in (0, 8, 16, 24):
        heads[:] = 0
        for each in range(len(values)):
            heads[(source[each] >> np.uint32(shift)) & np.uint32(255)] += 1
        total = 0
        for digit in range(256):
            heads[digit], total = total, total + heads[digit]
        for each in range(len(values)):
            digit = (source[each] >> np.uint32(shift)) & np.uint32(255)
            target[heads[digit]] = source[each]
            heads[digit] += 1
        source, target = target, source
    kept = 0  # four passes: the result is in `values` again
    for each in range(len(values)):
        if each == 0 or values[each] != values[each - 1]:
            values[kept] = values[each]
            kept += 1
    return kept
