"""The loops behind `repeated`: the lines of texts hashed, and taken out; import them only where they run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.sketch.shingle_kernels import normalise


@njit(cache=True, nogil=True, inline="always")
def _blank(data: Any, start: int, stop: int) -> bool:
    blank = True
    for at in range(start, stop):
        blank = blank and (data[at] == 32 or (data[at] >= 9 and data[at] <= 13))
    return blank


@njit(cache=True, nogil=True)
def part(data: Any, start: int, stop: int, paragraphs: bool, begins: Any, ends: Any) -> int:
    """Write where the lines of a text begin and end, or its paragraphs, which blank lines part; give their number.

    Every byte but the line feed behind a line is in one of them; blank lines are lines, not paragraphs.
    """
    count = 0
    at = start
    is_open = False
    while at < stop:
        end = at
        while end < stop and data[end] != 10:
            end += 1
        if not paragraphs:
            begins[count], ends[count] = at, end
            count += 1
        elif _blank(data, at, end):
            is_open = False
        elif is_open:
            ends[count - 1] = end
        else:
            begins[count], ends[count] = at, end
            count += 1
            is_open = True
        at = end + 1
    return count


@njit(cache=True, nogil=True)
def hashes(
    data: Any, offsets: Any, first: int, last: int, tables: Any, paragraphs: bool, least: int, out: Any, places: Any
) -> int:
    """Hash the lines of texts first to last to 64 bits, 0 for those of fewer than `least` words.

    They go to out[i], where i counts on from places[first] - places[0]: text i ends at places[i + 1]. Gives the number.
    """
    longest = 0
    for text in range(first, last):
        longest = max(longest, offsets[text + 1] - offsets[text])
    scratch, units = np.empty(4 * longest + 64, np.uint8), np.empty(longest + 3, np.int64)
    begins, ends = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    used = 0
    for text in range(first, last):
        count = part(data, offsets[text], offsets[text + 1], paragraphs, begins, ends)
        for line in range(count):
            words = normalise(data, begins[line], ends[line], tables, scratch, units)
            state = np.uint64(0)
            if words >= least and words > 0:
                state = np.uint64(14695981039346656037)
                for at in range(units[words]):
                    state = np.uint64((state ^ np.uint64(scratch[at])) * np.uint64(1099511628211))
                state = np.uint64((state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
                state = np.uint64((state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
                state = max(np.uint64(1), np.uint64(state ^ (state >> np.uint64(31))))
            out[offsets[first] - offsets[0] + first + used] = state
            used += 1
        places[text] = count
    return used


@njit(cache=True, nogil=True)
def take_out(
    data: Any, offsets: Any, paragraphs: bool, counts: Any, gone: Any, out: Any, ends: Any, removed: Any
) -> None:
    """Write every text without its lines that are `gone`; text i ends at ends[i + 1] and loses removed[i] characters.

    A line goes with the line feed behind it. Where something went, no line feeds are left at the text's ends.
    """
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    begins, stops = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    filled = line = 0
    for text in range(len(offsets) - 1):
        start, stop, first = offsets[text], offsets[text + 1], filled
        count = part(data, start, stop, paragraphs, begins, stops)
        at, changed = start, False
        for each in range(count):
            if gone[line + each]:
                for byte in range(at, begins[each]):
                    out[filled] = data[byte]
                    filled += 1
                at = min(stop, stops[each] + 1)
                changed = True
        line += counts[text]
        for byte in range(at, stop):
            out[filled] = data[byte]
            filled += 1
        if changed:
            while filled > first and out[filled - 1] == 10:
                filled -= 1
            lead = first
            while lead < filled and out[lead] == 10:
                lead += 1
            for byte in range(lead, filled):
                out[byte - lead + first] = out[byte]
            filled -= lead - first
        ends[text + 1] = filled
        removed[text] = _characters(data, start, stop) - _characters(out, first, filled)


@njit(cache=True, nogil=True)
def _characters(data: Any, start: int, stop: int) -> Any:
    found = 0
    for at in range(start, stop):
        found += (data[at] & 0xC0) != 0x80
    return found
