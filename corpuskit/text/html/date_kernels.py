"""Read dates in ISO 8601; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.about import FIRST_YEAR, LAST_YEAR
from corpuskit.text.html.char_kernels import char, digit, put_point, white

_DASH, _DOT, _SLASH, _COLON, _PLUS, _T, _Z, _SPACE = 45, 46, 47, 58, 43, 84, 90, 32
_MONTHS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


@njit(cache=True, nogil=True)
def iso_date(passage: Any, place: int, out: Any, pos: int) -> Any:
    """Write the date, or date and time, at the beginning of a passage; gives `pos` where there is none.

    It is what `about.iso_date` gives, 40 bytes at most. The passage is one of `char_kernels`.
    """
    year, month, day, place = _day(passage, place)
    if year < 0:
        return pos
    hour, minute, second, place = _clock(passage, place)
    if (
        not FIRST_YEAR <= year <= LAST_YEAR
        or not 1 <= month <= 12
        or day < 1
        or hour > 23
        or minute > 59
        or second > 59
    ):
        return pos
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _MONTHS[month] + leap:
        return pos
    pos = _put_two(year % 100, out, _put_two(year // 100, out, pos))
    pos = _put_after(_DASH, day, out, _put_after(_DASH, month, out, pos))
    if hour < 0:
        return pos
    pos = _put_after(_COLON, minute, out, _put_after(_T, hour, out, pos))
    return _zone(passage, place, out, _put_after(_COLON, second, out, pos))


@njit(cache=True, nogil=True)
def _day(passage: Any, place: int) -> Any:
    """Read year, month and day: (each of them, the place behind); the year is -1 where this is no day."""
    code, behind = char(passage, place)
    while white(code):
        place = behind
        code, behind = char(passage, place)
    none = np.int64(-1), np.int64(-1), np.int64(-1), place
    year, count, place = _number(passage, place, 4)
    if count < 4:
        return none
    between, behind = char(passage, place)
    if between == _DASH or between == _SLASH or between == _DOT:
        month, count, place = _number(passage, behind, 2)
        code, behind = char(passage, place)
        if count == 0 or code != between:
            return none
        day, count, place = _number(passage, behind, 2)
        code, _ = char(passage, place)
        return none if count == 0 or digit(code) >= 0 else (year, month, day, place)
    both, count, place = _number(passage, place, 5)
    if count < 2 or count > 4:
        return none
    unit = 100 if count == 4 else 10
    return year, both // unit, both % unit, place


@njit(cache=True, nogil=True)
def _clock(passage: Any, place: int) -> Any:
    """Read hour, minute and second: (each of them, the place behind them); the hour is -1 where this is no time."""
    none = np.int64(-1), np.int64(-1), np.int64(-1), place
    code, place = char(passage, place)
    if code != _T and code != _SPACE:
        return none
    code, behind = char(passage, place)
    hour, count, place = _number(passage, behind if white(code) else place, 2)
    code, behind = char(passage, place)
    if count < 2 or code != _COLON:
        return none
    minute, count, place = _number(passage, behind, 2)
    if count < 2:
        return none
    second = np.int64(0)
    code, behind = char(passage, place)
    if code == _COLON:
        value, count, behind = _number(passage, behind, 2)
        if count == 2:
            second, place = value, behind
    return hour, minute, second, place


@njit(cache=True, nogil=True)
def _zone(passage: Any, place: int, out: Any, pos: int) -> Any:
    """Write the zone that follows a time, and a fraction of a second; digits stay those that they are."""
    code, behind = char(passage, place)
    if code == _DOT:
        code, after = char(passage, behind)
        while digit(code) >= 0:
            place = after
            code, after = char(passage, place)
    code, behind = char(passage, place)
    while white(code):
        code, behind = char(passage, behind)
    if code == _Z:
        out[pos] = _Z
        return pos + 1
    if code != _PLUS and code != _DASH:
        return pos
    out[pos] = code
    end = pos + 1
    for each in range(4):
        code, after = char(passage, behind)
        if each == 2:
            out[end] = _COLON
            end += 1
            if code == _COLON:
                code, after = char(passage, after)
        if digit(code) < 0:
            return pos
        end = put_point(code, out, end)
        behind = after
    return end


@njit(cache=True, nogil=True)
def _number(passage: Any, place: int, most: int) -> Any:
    """Read up to `most` digits: (the number, how many digits, the place behind)."""
    value, count = np.int64(0), 0
    while count < most:
        code, behind = char(passage, place)
        one = digit(code)
        if one < 0:
            break
        value, count, place = 10 * value + one, count + 1, behind
    return value, count, place


@njit(cache=True, nogil=True)
def _put_two(value: int, out: Any, pos: int) -> Any:
    out[pos], out[pos + 1] = 48 + value // 10, 48 + value % 10
    return pos + 2


@njit(cache=True, nogil=True)
def _put_after(sign: int, value: int, out: Any, pos: int) -> Any:
    out[pos] = sign
    return _put_two(value, out, pos + 1)
