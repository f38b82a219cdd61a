"""Turn rendered wikitext line by line into plain text: headings, lists, quotes, entities, spaces."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpuskit.text.wikitext.base_kernels import (
    CELL,
    CLOSE,
    ERROR,
    HOLE,
    OPEN,
    OVERFLOW,
    PIECES,
    VERBATIM,
    O,
    decode,
    kernel,
)
from corpuskit.text.wikitext.entity_kernels import entity
from corpuskit.text.wikitext.hole_kernels import close_holes

_PLAIN, _SPACE, _QUOTE, _WORD, _BRACES, _AMPERSAND, _HOLE, _CELL, _NBSP, _GONE = range(10)
_KIND = np.zeros(256, np.uint8)
_KIND[:9] = _GONE
_KIND[OPEN] = _KIND[CLOSE] = _PLAIN
_KIND[HOLE], _KIND[CELL] = _HOLE, _CELL
_KIND[np.frombuffer(b" \t\r", np.uint8)] = _SPACE
_KIND[39], _KIND[95], _KIND[38], _KIND[0xC2] = _QUOTE, _WORD, _AMPERSAND, _NBSP
_KIND[np.frombuffer(b"{}[]|", np.uint8)] = _BRACES
_TEXT = 9  # the level of what is no heading
_MAX_WORD = 60


@kernel
def tidy(w: Any) -> int:
    """Write the text of `out` to `tmp`, give its size. Headings that nothing follows are left out."""
    out, tmp, stop = w.out, w.tmp, w.state[O]
    headings = np.zeros((8, 2), np.int64)  # level and place of those that nothing followed yet, from the highest level
    count = at = size = 0
    blank = False
    while at < stop:
        end = at
        while end < stop and out[end] != 10:
            end += 1
        level, indent, start, last = _shape(out, at, end)
        at = end + 1
        if level <= 0:
            blank = blank or level == 0
            continue
        apart = blank or level < _TEXT
        first = size
        if level < _TEXT:
            while count and headings[count - 1, 0] >= level:
                count -= 1
                first = headings[count, 1]
        begin = first
        if first:
            tmp[begin] = tmp[begin + 1] = 10
            begin += 1 + apart
        if indent:
            begin = _indent(tmp, begin, indent)
        behind = _line(w, start, last, begin)
        if behind == begin:
            continue
        blank = level < _TEXT
        size = behind
        if level < _TEXT:
            headings[count, 0], headings[count, 1] = level, first
            count += 1
        else:
            count = 0
    return int(headings[0, 1]) if count else size


@kernel
def _shape(out: Any, start: int, stop: int) -> Any:
    """Give (level, depth in a list, start, stop) of a line: 1 to 6 for a heading, 0 for a blank line, -1: drop it."""
    start, stop = _strip(out, start, stop)
    first, last = start, stop
    while first < last and (out[first] == 32 or out[first] == HOLE):
        first += 1
    if first == last:
        return 0, 0, start, stop
    byte = out[start]
    if byte == 61:
        return _heading(out, start, stop)
    if byte == 124 or (byte == 123 and stop > start + 1 and out[start + 1] == 124):
        return -1, 0, start, stop
    if byte == 45 and stop - start >= 4 and out[start + 1] == 45 and out[start + 2] == 45 and out[start + 3] == 45:
        return -1, 0, start, stop
    first = start
    while start < stop and (out[start] == 42 or out[start] == 35 or out[start] == 58 or out[start] == 59):
        start += 1
    if first == start:
        return _TEXT, 0, start, stop
    listed = out[start - 1] == 42 or out[start - 1] == 35
    return _TEXT, start - first if listed else 0, start, stop


@kernel
def _strip(out: Any, start: int, stop: int) -> Any:
    """Give (start, stop) without spaces around, also those that do not break."""
    while start < stop:
        if out[start] == 32 or out[start] == 9 or out[start] == 13:
            start += 1
        elif start + 1 < stop and out[start] == 0xC2 and out[start + 1] == 0xA0:
            start += 2
        else:
            break
    while start < stop:
        if out[stop - 1] == 32 or out[stop - 1] == 9 or out[stop - 1] == 13:
            stop -= 1
        elif start + 1 < stop and out[stop - 2] == 0xC2 and out[stop - 1] == 0xA0:
            stop -= 2
        else:
            break
    return start, stop


@kernel
def _heading(out: Any, start: int, stop: int) -> Any:
    last = stop
    while last > start and (out[last - 1] == 32 or out[last - 1] == HOLE):
        last -= 1
    before = 0
    while before < 6 and start + before < last and out[start + before] == 61:
        before += 1
    behind = 0
    while behind < 6 and last - behind > start and out[last - behind - 1] == 61:
        behind += 1
    if behind == 0:
        return _TEXT, 0, start, stop
    level = min(before, behind)
    if last - start <= 2 * level:
        return -1, 0, start, stop
    return level, 0, start + before, last - behind


@kernel
def _indent(tmp: Any, o: int, depth: int) -> int:
    for _ in range(2 * depth - 2):
        tmp[o] = 32
        o += 1
    tmp[o], tmp[o + 1] = 45, 32
    return o + 2


@kernel
def _line(w: Any, at: int, stop: int, first: int) -> Any:
    """Write out[at:stop] as text to tmp[first:], give where it ends."""
    out, tmp = w.out, w.tmp
    o = first
    restored = -2  # not known yet
    holes = False
    while at < stop:
        byte = out[at]
        kind = _KIND[byte]
        if kind == _PLAIN:
            tmp[o] = byte
            o += 1
            at += 1
        elif kind == _SPACE:
            at += 1
            if o > first and tmp[o - 1] != 32:
                tmp[o] = 32
                o += 1
        elif kind == _QUOTE and at + 1 < stop and out[at + 1] == 39:
            if restored == -2:
                restored = _misread(out, at, stop)
            at, o = _quotes(out, tmp, at, stop, o, restored)
        elif kind == _HOLE:
            at += 1
            holes = True
            o = _put_hole(tmp, first, o)
        else:
            at, o = _rare(w, kind, at, stop, first, o)
    while o > first and tmp[o - 1] == 32:
        o -= 1
    if not holes:
        return o
    o = close_holes(tmp, first, o)
    for at in range(first, o):  # points and commas between nothing but holes are no line
        byte = tmp[at]
        if byte >= 128 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122 or byte == OPEN:
            return o
    return first


@kernel
def _put_hole(tmp: Any, first: int, o: int) -> int:
    """Write a hole; those with nothing or a space between are one."""
    if o > first and tmp[o - 1] == HOLE:
        return o
    if o > first + 1 and tmp[o - 1] == 32 and tmp[o - 2] == HOLE:
        return o - 1
    tmp[o] = HOLE
    return o + 1


@kernel
def _rare(w: Any, kind: int, at: int, stop: int, first: int, o: int) -> Any:
    """Write what stands at `at`, of a kind that most lines do not hold: (where to go on, end of the output)."""
    out, tmp = w.out, w.tmp
    byte = out[at]
    if kind == _GONE:
        return at + 1, o
    if kind == _CELL:
        byte = 124
    elif kind == _NBSP and at + 1 < stop and out[at + 1] == 0xA0:
        return at + 2, _space(tmp, first, o)
    elif kind == _AMPERSAND:
        behind, end = entity(w, out, at, stop, tmp, o)
        if end > at:
            if behind > o and (tmp[o] == 32 or (tmp[o] == 0xC2 and tmp[o + 1] == 0xA0)):
                behind = _space(tmp, first, o)
            return end, behind
    elif kind == _BRACES:
        run = at + 1
        while run < stop and out[run] == byte:
            run += 1
        following = out[run] if run < stop else 0
        if byte == 124:
            if following == 125 and run == at + 1:
                return at + 2, o
        elif run > at + 1:
            return run, o
        elif byte == 123 and following == 124:
            return at + 2, o
    elif kind == _WORD and at + 1 < stop and out[at + 1] == 95:
        end = _switch(w, at, stop)
        if end:
            return end, o
    tmp[o] = byte
    return at + 1, o + 1


@kernel
def _space(tmp: Any, first: int, o: int) -> int:
    if o > first and tmp[o - 1] != 32:
        tmp[o] = 32
        return o + 1
    return o


@kernel
def _switch(w: Any, start: int, stop: int) -> int:
    """Find the end of `__TOC__` and its like in all languages, 0 where there is none: no letter is lower-case."""
    at = start + 2
    while at < stop and at - start < _MAX_WORD:
        char, width = decode(w.out, at)
        if char == 95:
            return at + 2 if at > start + 2 and at + 1 < stop and w.out[at + 1] == 95 else 0
        if char < 48 or 57 < char < 65 or 90 < char < 128:
            return 0
        if 0xDF <= char < 0x530 and w.lower[char] == char:
            return 0
        at += width
    return 0


@kernel
def _quotes(out: Any, tmp: Any, at: int, stop: int, o: int, restored: int) -> Any:
    """Drop the apostrophes of italics and bold; four are one and bold, more than five show what is over."""
    run = at
    while run < stop and out[run] == 39:
        run += 1
    size = run - at
    shown = 1 if size == 4 or at == restored else max(0, size - 5)
    for _ in range(shown):
        tmp[o] = 39
        o += 1
    return run, o


@kernel
def _misread(out: Any, start: int, stop: int) -> int:
    """Find the three apostrophes of a line that are one and italics, as MediaWiki does; -1 without any.

    Where bold and italics are both left open, that is the first behind a word of one letter, else behind a longer
    word, else behind a space (l'''amour'' shows l'amour).
    """
    bold = italic = 0
    short = long = spaced = -1
    at = start
    while at < stop:
        if out[at] != 39:
            at += 1
            continue
        run = at
        while run < stop and out[run] == 39:
            run += 1
        size = run - at
        if size >= 2:
            bold += size != 2
            italic += size == 2 or size >= 5
        if size == 3:
            before = out[at - 1] if at > 0 else 32
            letter = at - 1
            while letter > 0 and out[letter] & 0xC0 == 0x80:
                letter -= 1
            single = letter <= 0 or out[letter - 1] == 32 or out[letter - 1] == 10
            if before == 32 or before == 10:
                spaced = at if spaced < 0 else spaced
            elif single:
                short = at if short < 0 else short
            else:
                long = at if long < 0 else long
        at = run
    if bold % 2 == 0 or italic % 2 == 0:
        return -1
    return short if short >= 0 else long if long >= 0 else spaced


@kernel
def put_back(w: Any, size: int) -> int:
    """Copy tmp[0:size] to `out` with the verbatim pieces in their places, give the new size."""
    out, tmp, kept = w.out, w.tmp, w.verbatim
    if size + w.state[VERBATIM] + 16 > len(out):
        w.state[ERROR] = OVERFLOW
        return 0
    at = o = 0
    while at < size:
        byte = tmp[at]
        at += 1
        if byte != OPEN:
            if byte != CLOSE:
                out[o] = byte
                o += 1
            continue
        number = 0
        while at < size and 48 <= tmp[at] <= 57:
            number = number * 10 + tmp[at] - 48
            at += 1
        if number < w.state[PIECES]:
            for i in range(w.pieces[number], w.pieces[number + 1]):
                out[o] = kept[i]
                o += 1
    return o
