"""Close the holes of a line: where something was removed, empty parentheses, `(,` and ` ,` go."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import HOLE, before, decode, is_spaced, kernel

FILL, COMMA, OPENING, CLOSING, MARK = 1, 2, 4, 8, 16
_MAX_FILL = 64


@kernel
def _kind(char: int) -> int:
    """Give what a character is next to a hole, as bits."""
    if (63 < char < 0xB7 and char != 91 and char != 93) or 0xB7 < char < 0x60C:
        return 0  # letters, nearly always
    if char == 32 or char == HOLE or char == 47 or char == 45 or char == 0x2013 or char == 0x2014:
        return FILL
    if char == 44 or char == 59 or char == 58 or char == 0x3001 or char == 0xFF0C or char == 0xFF1B or char == 0xFF1A:
        return FILL | COMMA | MARK
    if char == 0x60C or char == 0x61B:
        return FILL | COMMA | MARK
    if char == 0xB7 or char == 0x2022:
        return FILL | COMMA
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
    if text[at] < 0x80:
        return _kind(text[at]), 1
    char, width = decode(text, at)
    return _kind(char), width


@kernel
def _behind(text: Any, first: int, at: int) -> Any:
    """Give (kind, bytes) of the character before `at`."""
    if at > first and text[at - 1] < 0x80:
        return _kind(text[at - 1]), 1
    char, width = before(text, first, at)
    return _kind(char) if width else 0, width


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
    left = o - (o > first and text[o - 1] == 32)
    ahead = at + 1
    ahead += ahead < stop and text[ahead] == 32
    kind, width = _ahead(text, ahead, stop)
    kind_before, width_before = _behind(text, first, left)
    if kind_before & OPENING or left == first:
        if kind & COMMA:
            ahead += width
        ahead += ahead < stop and text[ahead] == 32
        return ahead, left
    if kind & CLOSING:
        return ahead, left - (width_before if kind_before & COMMA else 0)
    if kind_before & COMMA and kind & COMMA:
        return ahead + width, left
    if kind & MARK:
        more = ahead + 1 < stop and text[ahead + 1] == 46
        if kind_before & COMMA and not kind & COMMA and not more:  # `, .`: it parted what is gone from the rest
            left -= width_before
            left -= left > first and text[left - 1] == 32
        twice = left > first and text[left - 1] == 46 and text[ahead] == 46
        around = more or (left > first + 1 and text[left - 2] == 46)
        return ahead + (twice and not around), left
    if ahead >= stop:
        return at + 1, _without_slashes(text, first, o)
    if ahead > at + 1 or left < o:
        return at + 1, o
    return at + 1, _apart(text, first, o, at + 1, stop)


@kernel
def _without_slashes(text: Any, first: int, o: int) -> int:
    """Drop the ` // ` between an article and what it stands in, where that is gone: at a line's end."""
    left = o - (o > first and text[o - 1] == 32)
    if left > first + 2 and text[left - 1] == 47 and text[left - 2] == 47 and text[left - 3] == 32:
        return left - 3
    return o


@kernel
def _apart(text: Any, first: int, o: int, at: int, stop: int) -> int:
    """Part two words, or a sentence and the next, that only what is gone stood between."""
    char, width = before(text, first, o)
    following, _ = decode(text, at)
    if not width or not is_spaced(following):
        return o
    if is_spaced(char) or char in (33, 41, 44, 46, 58, 59, 63, 0xBB):
        text[o] = 32
        return o + 1
    return o


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
