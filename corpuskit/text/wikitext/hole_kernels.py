"""Close the holes of a line: where something was removed, empty parentheses, `(,` and ` ,` go."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import HOLE, decode, kernel

FILL, COMMA, OPENING, CLOSING, MARK = 1, 2, 4, 8, 16
_MAX_FILL = 64


@kernel
def _kind(char: int) -> int:
    """Give what a character is next to a hole, as bits."""
    if char == 32 or char == HOLE or char == 47 or char == 45 or char == 0x2013 or char == 0x2014:
        return FILL
    if char == 44 or char == 59 or char == 58 or char == 0x3001 or char == 0xFF0C or char == 0xFF1B or char == 0xFF1A:
        return FILL | COMMA | MARK
    if char == 0x60C or char == 0x61B:
        return FILL | COMMA | MARK
    if char == 40 or char == 91 or char == 0xFF08:
        return OPENING
    if char == 41 or char == 93 or char == 0xFF09:
        return CLOSING
    if char == 46 or char == 33 or char == 63 or char == 0x3002 or char == 0xFF01 or char == 0xFF1F:
        return MARK
    return MARK if char == 0x61F or char == 0x964 or char == 0x6D4 else 0


@kernel
def _ahead(text: Any, at: int, stop: int) -> Any:
    """Give (kind, bytes) of the character at `at`."""
    if at >= stop:
        return 0, 0
    char, width = decode(text, at)
    return _kind(char), width


@kernel
def _behind(text: Any, first: int, at: int) -> Any:
    """Give (kind, bytes) of the character before `at`."""
    if at <= first:
        return 0, 0
    start = at - 1
    while start > first and at - start < 4 and text[start] & 0xC0 == 0x80:
        start -= 1
    char, _ = decode(text, start)
    return _kind(char), at - start


@kernel
def close_holes(text: Any, first: int, stop: int) -> int:
    """Rewrite text[first:stop] in place without its holes and without double spaces, give where it ends."""
    o = at = first
    while at < stop:
        byte = text[at]
        if byte == HOLE:
            at, o = _hole(text, first, o, at, stop)
            continue
        at += 1
        if byte == 32 and (o == first or text[o - 1] == 32):
            continue
        text[o] = byte
        o += 1
    while o > first and text[o - 1] == 32:
        o -= 1
    return o


@kernel
def _hole(text: Any, first: int, o: int, at: int, stop: int) -> Any:
    """Close the hole at `at`, with text[first:o] before it; gives (where to go on, end of the output)."""
    right, left = _parenthesis(text, first, o, at, stop)
    if right:
        text[right - 1] = HOLE  # what is gone now is a hole again
        return right - 1, left
    before = o - (o > first and text[o - 1] == 32)
    ahead = at + 1
    ahead += ahead < stop and text[ahead] == 32
    kind, width = _ahead(text, ahead, stop)
    kind_before, width_before = _behind(text, first, before)
    if kind_before & OPENING or before == first:
        if kind & COMMA:
            ahead += width
        ahead += ahead < stop and text[ahead] == 32
        return ahead, before
    if kind & CLOSING:
        return ahead, before - (width_before if kind_before & COMMA else 0)
    if kind_before & COMMA and kind & COMMA:
        return ahead + width, before
    if kind & MARK:
        twice = before > first and text[before - 1] == 46 and text[ahead] == 46
        around = (before > first + 1 and text[before - 2] == 46) or (ahead + 1 < stop and text[ahead + 1] == 46)
        return ahead + (twice and not around), before
    return at + 1, o


@kernel
def _parenthesis(text: Any, first: int, o: int, at: int, stop: int) -> Any:
    """Find the brackets that hold nothing but this hole: (end behind, end of the output before), or (0, 0)."""
    right = at + 1
    kind, width = _ahead(text, right, stop)
    while kind & FILL and right - at < _MAX_FILL:
        right += width
        kind, width = _ahead(text, right, stop)
    if not kind & CLOSING:
        return 0, 0
    right += width
    left = o
    kind, width = _behind(text, first, left)
    while kind & FILL and o - left < _MAX_FILL:
        left -= width
        kind, width = _behind(text, first, left)
    if not kind & OPENING:
        return 0, 0
    left -= width
    return right, left - (left > first and text[left - 1] == 32)
