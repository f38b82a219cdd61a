"""Templates that work out what they show: measures, dates, sums."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import (
    NAMED,
    POSITIONAL,
    ROOM_KEY,
    ROOM_RANGE,
    ROOM_SUBUNIT,
    ROOM_UNIT,
    copy,
    hash_exact,
    kernel,
    look_up,
    more_hash,
    strip_holes,
)
from corpuskit.text.wikitext.numbers_kernels import is_digits, is_number


@kernel
def _positional(w: Any, i: int) -> Any:
    return strip_holes(w.out, w.found[0, i, 0], w.found[0, i, 1])


@kernel
def _known(w: Any, i: int, room: int) -> Any:
    start, stop = _positional(w, i)
    return look_up(w.keys, w.values, hash_exact(w.out, start, stop, room))


@kernel
def convert(w: Any) -> Any:
    """{{convert|6|ft|1|in|m}} shows "6 ft 1 in", {{convert|5|to|7|km|mi}} shows "5 to 7 km"."""
    tmp, out = w.tmp, w.out
    count = w.state[POSITIONAL]
    if count == 0:
        return -1
    start, stop = _positional(w, 0)
    if start == stop:
        return -1
    o = copy(out, start, stop, tmp, 0)
    at = 1
    while at + 1 < count:
        between = _known(w, at, ROOM_RANGE)
        if not between:
            break
        o = copy(w.literals, between >> 16, (between >> 16) + (between & 0xFFFF), tmp, o)
        start, stop = _positional(w, at + 1)
        o = copy(out, start, stop, tmp, o)
        at += 2
    if at >= count:
        return o
    tmp[o] = 32
    start, stop = _positional(w, at)
    unit = _known(w, at, ROOM_UNIT)
    if unit:
        o = copy(w.literals, unit >> 16, (unit >> 16) + (unit & 0xFFFF), tmp, o + 1)
    else:
        o = copy(out, start, stop, tmp, o + 1)
    if at + 2 >= count:
        return o
    first, end = _positional(w, at + 1)
    second, behind = _positional(w, at + 2)
    if not is_number(out, first, end):
        return o
    pair = more_hash(hash_exact(out, start, stop, ROOM_SUBUNIT), 47)
    for i in range(second, behind):
        pair = more_hash(pair, out[i])
    if look_up(w.keys, w.values, pair):
        tmp[o] = 32
        o = copy(out, first, end, tmp, o + 1)
        tmp[o] = 32
        o = copy(out, second, behind, tmp, o + 1)
    return o


@kernel
def date(w: Any) -> int:
    """Write year, month and day: with hyphens where all are numbers, else with spaces."""
    tmp, out = w.tmp, w.out
    count = min(w.state[POSITIONAL], 3)
    numbers = True
    for i in range(count):
        start, stop = _positional(w, i)
        numbers = numbers and (start == stop or is_digits(out, start, stop))
    o = 0
    for i in range(count):
        start, stop = _positional(w, i)
        if start == stop:
            continue
        if o:
            tmp[o] = 45 if numbers else 32
            o += 1
        if numbers and stop - start == 1:
            tmp[o] = 48
            o += 1
        o = copy(out, start, stop, tmp, o)
    return o if o else -1


@kernel
def _named(w: Any, first: int, second: int, third: int) -> int:
    """Find the named argument with a name of two or three letters: its number, -1 without one."""
    key = more_hash(more_hash(_start_of_key(), first), second)
    key = more_hash(key, third) if third else key
    for i in range(w.state[NAMED]):
        if w.found[1, i, 2] == key and w.found[1, i, 0] < w.found[1, i, 1]:
            return i
    return -1


@kernel
def _start_of_key() -> Any:
    return more_hash(-3750763034362895579 ^ ROOM_KEY, 0)


@kernel
def as_of(w: Any) -> Any:
    """{{as of|2014|3|lc=y}} shows "as of 3 2014", or what `alt` says."""
    tmp = w.tmp
    alt = _named(w, 97, 108, 116)
    if alt >= 0:
        return copy(w.out, w.found[1, alt, 0], w.found[1, alt, 1], tmp, 0)
    count = min(w.state[POSITIONAL], 3)
    tmp[0] = 97 if _named(w, 108, 99, 0) >= 0 else 65
    tmp[1], tmp[2], tmp[3], tmp[4] = 115, 32, 111, 102
    o = 5
    for i in range(count - 1, -1, -1):
        start, stop = _positional(w, i)
        if start < stop:
            tmp[o] = 32
            o = copy(w.out, start, stop, tmp, o + 1)
    return o if o > 5 else -1


@kernel
def _decimal(data: Any, at: int, stop: int) -> Any:
    """Read spaces and a number: (value, end), end -1 without one."""
    while at < stop and (data[at] == 32 or data[at] == 40):
        at += 1
    first, value, scale = at, 0.0, 0.0
    while at < stop and at - first < 18 and (48 <= data[at] <= 57 or data[at] == 46):
        if data[at] == 46:
            scale = 1.0
        else:
            value = value * 10 + (data[at] - 48)
            scale *= 10
        at += 1
    if first == at:
        return 0.0, -1
    while at < stop and (data[at] == 32 or data[at] == 41):
        at += 1
    return (value / scale if scale > 1 else value), at


@kernel
def expression(w: Any) -> int:
    """Work out `a / b round n`; anything longer shows nothing."""
    out = w.out
    if w.state[POSITIONAL] == 0:
        return -1
    start, stop = _positional(w, 0)
    a, at = _decimal(out, start, stop)
    if at < 0 or at >= stop:
        return -1
    sign = out[at]
    b, at = _decimal(out, at + 1, stop)
    if at < 0 or (sign == 47 and b == 0):
        return -1
    places = 9
    if at < stop:  # "round n"
        if stop - at < 6 or out[at] != 114 or not 48 <= out[stop - 1] <= 57 or stop - at > 8:
            return -1
        places = out[stop - 1] - 48
    if sign == 43:
        value = a + b
    elif sign == 45:
        value = a - b
    elif sign == 42:
        value = a * b
    elif sign == 47:
        value = a / b
    else:
        return -1
    return _write(w.tmp, value, places) if -9e9 < value < 9e9 else -1


@kernel
def _whole(data: Any, at: int, stop: int) -> Any:
    """Read a number with commas between its thousands, 0 where it is none."""
    value, scale = 0.0, 0.0
    while at < stop:
        if 48 <= data[at] <= 57:
            value = value * 10 + (data[at] - 48)
            scale *= 10
        elif data[at] == 46 and scale == 0:
            scale = 1.0
        elif data[at] != 44:
            return 0.0
        at += 1
    return value / scale if scale > 1 else value


@kernel
def density(w: Any) -> Any:
    """{{pop density|3645257|640081.87|km2|prec=1}} shows "5.7/km²"; without `prec` whole numbers from 10."""
    if w.state[POSITIONAL] < 3:
        return -1
    start, stop = _positional(w, 0)
    people = _whole(w.out, start, stop)
    start, stop = _positional(w, 1)
    area = _whole(w.out, start, stop)
    unit = _known(w, 2, ROOM_UNIT)
    if not unit or not 0 < people < 1e12 or not 0 < area < 1e12 or people / area > 9e6:
        return -1
    places = 0 if people / area >= 10 else 1
    key = more_hash(more_hash(more_hash(more_hash(_start_of_key(), 112), 114), 101), 99)  # prec
    for i in range(w.state[NAMED]):
        named = w.found[1, i]
        if named[2] == key and named[1] == named[0] + 1 and 48 <= w.out[named[0]] <= 54:
            places = w.out[named[0]] - 48
    o = _write(w.tmp, people / area, places)
    w.tmp[o] = 47
    return copy(w.literals, unit >> 16, (unit >> 16) + (unit & 0xFFFF), w.tmp, o + 1)


@kernel
def _write(tmp: Any, value: float, places: int) -> int:
    """Write a number with so many places, without zeros at its end."""
    o = 0
    if value < 0:
        tmp[0], o, value = 45, 1, -value
    scale = 10**places
    scaled = int(value * scale + 0.5)
    whole, rest = scaled // scale, scaled % scale
    digits = 1
    while digits * 10 <= whole:
        digits *= 10
    while digits:
        tmp[o] = 48 + whole // digits % 10
        digits //= 10
        o += 1
    if rest:
        tmp[o] = 46
        o += 1
        while rest:
            scale //= 10
            tmp[o] = 48 + rest // scale
            rest %= scale
            o += 1
    return o
