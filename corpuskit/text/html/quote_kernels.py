"""Read attributes and members of JSON as quoted text, whatever stands around them; import it only where it runs.

A tag that does not close its quotes, or JSON that is none, gives what can be made out: nothing is parsed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import MASK, OFFSET, PRIME
from corpuskit.text.html.char_kernels import BAD, point, white
from corpuskit.text.html.scan_kernels import find, find_word
from corpuskit.text.html.tag_kernels import is_letter
from corpuskit.text.html.tags import fnv

#: Rows of what `quoted_attributes` finds.
A_DATETIME, A_CONTENT, A_ITEMPROP, A_CLASS, A_PUBDATE = range(5)
ATTRIBUTES = 5
_NAMES = np.array([fnv(name) for name in (b"datetime", b"content", b"itemprop", b"class", b"pubdate")], np.uint64)
_QUOTE, _APOSTROPHE, _EQUALS, _GT, _BACKSLASH = np.uint8(34), np.uint8(39), 61, 62, 92
_COLON, _BRACKET, _BRACE, _END_BRACE = 58, 91, 123, 125
_JSON_DATE = np.frombuffer(b'"datePublished"', np.uint8)
_JSON_AUTHOR = np.frombuffer(b'"author"', np.uint8)
_JSON_NAME = np.frombuffer(b'"name"', np.uint8)
_APART = 5  # a quote and the P, or the h, stand together least often


@njit(cache=True, nogil=True)
def quoted_attributes(data: Any, at: int, stop: int, found: Any) -> None:
    """Find the values of some attributes in a tag, data[at:stop]; found[A_..., 0] and [A_..., 1]: where each lies.

    A name is a letter and what follows of letters, digits, `:`, `.`, `_`, `-` and of all that is not ASCII but white
    space and what is no UTF-8; the first of a name counts. Those that the tag has not are empty: (-1, -1).
    """
    found[:] = -1
    while at < stop:
        if not is_letter(data[at]):
            at += 1
            continue
        name, at = _name(data, at, stop)
        place = skip_white(data, at, stop)
        if place >= stop or data[place] != _EQUALS:
            continue
        first = skip_white(data, place + 1, stop)
        if first < stop and (data[first] == _QUOTE or data[first] == _APOSTROPHE):
            first += 1
            end = find(data, first, stop, data[first - 1], data[first - 1])
            if end >= stop:  # it is not closed: a value only if it were
                continue
            behind = end + 1
        else:
            end = behind = _bare(data, first, stop)
            if end == first:
                continue
        at = behind
        for each in range(len(_NAMES)):
            if name == _NAMES[each] and found[each, 0] < 0:
                found[each, 0], found[each, 1] = first, end


@njit(cache=True, nogil=True)
def _name(data: Any, at: int, stop: int) -> Any:
    """Read a name: (its hash in small letters, the place behind it)."""
    value = OFFSET
    while at < stop:
        byte = data[at]
        if byte >= 0x80:
            code, behind = point(data, at, stop)
            if white(code) or code == BAD:
                break
            value = ((value ^ np.uint64(byte)) * PRIME) & MASK
            at = behind
            continue
        if not (is_letter(byte) or 48 <= byte <= 58 or byte == 45 or byte == 46 or byte == 95):
            break
        value = ((value ^ np.uint64(byte | 32 if 65 <= byte <= 90 else byte)) * PRIME) & MASK
        at += 1
    return value, at


@njit(cache=True, nogil=True)
def _bare(data: Any, at: int, stop: int) -> Any:
    """Give where a value without quotes ends."""
    while at < stop:
        code, behind = point(data, at, stop)
        if code == _QUOTE or code == _APOSTROPHE or code == _GT or white(code):
            break
        at = behind
    return at


@njit(cache=True, nogil=True)
def skip_white(data: Any, at: int, stop: int) -> Any:
    """Give the place of the next character that is no white space."""
    while at < stop:
        code, behind = point(data, at, stop)
        if not white(code):
            break
        at = behind
    return at


@njit(cache=True, nogil=True)
def json_date(data: Any, at: int, stop: int) -> Any:
    """Find the first `"datePublished"` of 8 to 40 characters: where its value begins and ends, (-1, -1) for none."""
    at = find_word(data, at, stop, _JSON_DATE, _APART)
    while at < stop:
        place = _colon(data, at + len(_JSON_DATE), stop)
        if place >= 0:
            end = _quoted(data, place, stop, 8, 40, _QUOTE)
            if end >= 0:
                return place + 1, end
        at = find_word(data, at + 1, stop, _JSON_DATE, _APART)
    return np.int64(-1), np.int64(-1)


@njit(cache=True, nogil=True)
def json_author(data: Any, at: int, stop: int) -> Any:
    """Find the first `"author"`: where the value begins and ends, (-1, -1) for none.

    It is the author itself, or the name that the author has, or the first one; of 2 to 100 characters.
    """
    at = find_word(data, at, stop, _JSON_AUTHOR, _APART)
    while at < stop:
        place = _colon(data, at + len(_JSON_AUTHOR), stop)
        if place >= 0 and place < stop and data[place] == _BRACKET:
            place = skip_white(data, place + 1, stop)
        if place >= 0 and place < stop and data[place] == _BRACE:
            start, end = _member(data, place + 1, stop)
        else:
            start, end = place + 1, np.int64(-1) if place < 0 else _quoted(data, place, stop, 2, 100, _BACKSLASH)
        if end >= 0:
            return start, end
        at = find_word(data, at + 1, stop, _JSON_AUTHOR, _APART)
    return np.int64(-1), np.int64(-1)


@njit(cache=True, nogil=True)
def _member(data: Any, at: int, stop: int) -> Any:
    """Find the first `"name"` of an object, before any object in it, whose value is one of an author."""
    while at < stop and data[at] != _BRACE and data[at] != _END_BRACE:
        if data[at] == _QUOTE and at + len(_JSON_NAME) <= stop:
            same = True
            for each in range(len(_JSON_NAME)):
                same &= data[at + each] == _JSON_NAME[each]
            if same:
                place = _colon(data, at + len(_JSON_NAME), stop)
                if place >= 0:
                    end = _quoted(data, place, stop, 2, 100, _BACKSLASH)
                    if end >= 0:
                        return place + 1, end
        at += 1
    return np.int64(-1), np.int64(-1)


@njit(cache=True, nogil=True)
def _colon(data: Any, at: int, stop: int) -> Any:
    """Pass over a colon and the white space around it; -1 where there is none."""
    at = skip_white(data, at, stop)
    return skip_white(data, at + 1, stop) if at < stop and data[at] == _COLON else np.int64(-1)


@njit(cache=True, nogil=True)
def _quoted(data: Any, at: int, stop: int, least: int, most: int, barred: Any) -> Any:
    """Give where the text in quotes that begins at `at` ends; -1 if it has too few or too many characters.

    `barred`, a byte, ends it too, and then it is none.
    """
    if at >= stop or data[at] != _QUOTE:
        return np.int64(-1)
    at, count = at + 1, 0
    while at < stop and count <= most:
        if data[at] == _QUOTE:
            return at if count >= least else np.int64(-1)
        if data[at] == barred:
            break
        _, at = point(data, at, stop)
        count += 1
    return np.int64(-1)
