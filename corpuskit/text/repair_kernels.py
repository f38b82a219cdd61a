"""The loops over bytes behind `repair`; import it only where it runs, for numba's sake.

A line is what lies between line feeds, with the one that ends it: the piece that ftfy treats at once. Bytes that are
read are arrays marked as not to be written to, so that each loop is compiled once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from corpuskit.text.bytes_kernels import unprintable
from corpuskit.text.repair_tables import (
    ASCII_MEMORY,
    BAD,
    BEGIN,
    CHANGE_SHIFT,
    COMBINING_BITS,
    COMBINING_SHIFT,
    DECOMPOSES,
    JAMO,
    MAYBE,
    WITHIN,
)
from corpuskit.text.vector_kernels import WIDTH, borrowed, lowest

# What a line may hold.
HARD = 1  # only ftfy knows: mojibake, terminal escapes, bytes that are no UTF-8, more than it treats at once
CHANGES = 2  # characters that change alone
UNSURE = 4  # perhaps not in the normal form
ENTITY = 8  # something like an HTML entity
LESS = 16  # a `<`
ESCAPABLE = 32  # entities are to be resolved in it, by what stands before it in its text
DONE = 64  # repaired into the scratch buffer

# Columns of the table of lines to treat.
START, STOP, FLAGS, FROM, TO = range(5)

# What to do about entities.
KEEP, AUTO, ALWAYS = range(3)

_CLASS = 0xFF
_ODD = ~(_CLASS | DECOMPOSES)  # properties that ask for a closer look
_BLOCK = 32
_TAB, _LF, _CR, _ESC, _AMPERSAND, _LESS = 9, 10, 13, 27, 38, 60


class Table(NamedTuple):
    """What to look for and what to make of it; see `repair_tables`."""

    properties: Any  # uint32 of each code point
    plain: Any  # whether there is nothing to do about an ASCII character
    moves: Any
    quiet: Any
    pairs: Any
    offsets: Any
    bytes: Any
    limit: Any  # bytes in the longest line


@njit(cache=True, nogil=True, inline="always")
def _lent(table: Any) -> Any:
    return Table(
        borrowed(table.properties),
        borrowed(table.plain),
        borrowed(table.moves),
        borrowed(table.quiet),
        borrowed(table.pairs),
        borrowed(table.offsets),
        borrowed(table.bytes),
        table.limit,
    )


@njit(cache=True, nogil=True, inline="always")
def _decode(data: Any, at: Any, stop: Any) -> Any:
    """Decode a character beyond ASCII: (code point, bytes); no bytes where it is no UTF-8."""
    first = np.int64(data[at])
    if first < 0xE0:
        if first < 0xC2 or at + 1 >= stop or data[at + 1] & 0xC0 != 0x80:
            return np.int64(0), 0
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    if at + 2 >= stop or data[at + 1] & 0xC0 != 0x80 or data[at + 2] & 0xC0 != 0x80:
        return np.int64(0), 0
    code = (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F)
    if first < 0xF0:
        code |= (first & 0x0F) << 12
        if code < 0x800 or 0xD800 <= code < 0xE000:
            return np.int64(0), 0
        return code, 3
    if first > 0xF4 or at + 3 >= stop or data[at + 3] & 0xC0 != 0x80:
        return np.int64(0), 0
    code = (first & 0x07) << 18 | code << 6 | (np.int64(data[at + 3]) & 0x3F)
    if code < 0x10000 or code > 0x10FFFF:
        return np.int64(0), 0
    return code, 4


@njit(cache=True, nogil=True)
def _before(data: Any, start: Any, at: Any) -> Any:
    """Decode the character before `at`; -1 at the start."""
    if at == start:
        return np.int64(-1)
    first = at - 1
    while data[first] & 0xC0 == 0x80:
        first -= 1
    if data[first] < 0x80:
        return np.int64(data[first])
    return _decode(data, first, at)[0]


@njit(cache=True, nogil=True)
def _composes(pairs: Any, pair: Any) -> Any:
    low, high = 0, len(pairs)
    while low < high:
        middle = (low + high) >> 1
        if pairs[middle] < pair:
            low = middle + 1
        else:
            high = middle
    return low < len(pairs) and pairs[low] == pair


@njit(cache=True, nogil=True)
def _unsure(data: Any, start: Any, at: Any, code: Any, table: Any) -> Any:
    """Tell whether a character that combines may leave the normal form with the one before it (UAX 15, section 9).

    A mark that composes with some letter is harmless after a letter that is none of these and has no parts itself:
    with parts, the mark could come to stand before the last of them.
    """
    own = table.properties[code]
    char = _before(data, start, at)
    if char < 0:
        return False
    before = table.properties[char]
    own_class = own >> COMBINING_SHIFT & COMBINING_BITS
    class_before = before >> COMBINING_SHIFT & COMBINING_BITS
    if own_class != 0 and class_before > own_class:
        return True
    if own & MAYBE == 0:
        return False
    return (
        own & JAMO != 0
        or class_before != 0
        or before & DECOMPOSES != 0
        or _composes(table.pairs, np.int64(char) << 21 | np.int64(code))
    )


@njit(cache=True, nogil=True)
def _entity(data: Any, at: Any, stop: Any) -> Any:
    """Match &#?[0-9A-Za-z]{1,24}; at `at`."""
    at += 1
    if at < stop and data[at] == 35:
        at += 1
    first = at
    while at < stop and at - first < 25:
        byte = data[at]
        if not (48 <= byte < 58 or 65 <= byte < 91 or 97 <= byte < 123):
            return byte == 59 and at > first
        at += 1
    return False


@njit(cache=True, nogil=True)
def _rest(data: Any, at: Any, stop: Any, whole: Any, flags: Any) -> Any:
    """Go to the end of a line that needs no closer look: (flags, its end)."""
    while at < stop:
        byte = data[at]
        at += 1
        if byte == _LESS:
            flags |= LESS
        elif byte == _LF and not whole:
            break
    return flags, at


@njit(cache=True, nogil=True, inline="always")
def _after_ascii(data: Any, first: Any, at: Any, state: Any, table: Any) -> Any:
    """Give the state after plain ASCII characters, of which only the last ones count."""
    if at - first > ASCII_MEMORY:
        first, state = at - ASCII_MEMORY, WITHIN
    while first < at:
        state = np.int64(table.moves[state, table.properties[data[first]] & _CLASS])
        first += 1
    return state


@njit(cache=True, nogil=True, inline="always")
def _past_plain(data: Any, at: Any, stop: Any, plain: Any) -> Any:
    """Go past ASCII characters that nothing is to be done about."""
    while at + WIDTH <= stop:
        odd = unprintable(data, at)
        if odd:
            at += lowest(odd)
            break
        at += WIDTH
    while at < stop and data[at] < 0x80 and plain[data[at]]:
        at += 1
    return at


@njit(cache=True, nogil=True)
def look(data: Any, start: Any, stop: Any, table: Any, whole: Any) -> Any:
    """Look a line over: (flags, its end, bytes that it may grow by). `whole` takes line feeds for parts of the line."""
    state, flags, growth, at = np.int64(BEGIN), 0, 0, start
    while at < stop:
        if data[at] < 0x80 and table.quiet[state]:
            first = at
            at = _past_plain(data, at, stop, table.plain)
            state = _after_ascii(data, first, at, state, table)
            if at >= stop:
                break
        code, width = np.int64(data[at]), 1
        if code >= 0x80:
            code, width = _decode(data, at, stop)
            if width == 0:
                flags, at = _rest(data, at, stop, whole, flags | HARD)
                return flags, at, growth
        own = table.properties[code]
        state = np.int64(table.moves[state, own & _CLASS])
        if state == BAD or code == _ESC:
            flags, at = _rest(data, at, stop, whole, flags | HARD)
            return flags, at, growth
        if own & _ODD:
            change = own >> CHANGE_SHIFT
            if change:
                flags |= CHANGES
                growth += max(0, table.offsets[change] - table.offsets[change - 1] - width)
            elif _unsure(data, start, at, code, table):
                flags |= UNSURE
        elif code == _AMPERSAND:
            if flags & ENTITY == 0 and _entity(data, at, stop):
                flags |= ENTITY
        elif code == _LESS:
            flags |= LESS
        at += width
        if code == _LF and not whole:
            break
    if at - start > table.limit:
        flags |= HARD
    return flags, at, growth


@njit(cache=True, nogil=True)
def _plain(data: Any, at: Any, stop: Any, entities: Any) -> Any:
    """Go past whole lines of plain ASCII, to the start of the line that holds anything else.

    The blocks have a fixed size and no way out amid them, so that the compiler treats their bytes at once.
    """
    first = at
    ampersand, less = np.uint8(0 if entities == KEEP else _AMPERSAND), np.uint8(_LESS if entities == AUTO else 0)
    while at + _BLOCK <= stop:
        block = data[at : at + _BLOCK]
        odd = np.uint8(0)
        for byte in range(_BLOCK):
            char = block[byte]
            odd |= np.uint8((char < 32) & (char != _LF) | (char > 126) | (char == ampersand) | (char == less))
        if odd:
            break
        at += _BLOCK
    while at < stop and (32 <= data[at] < 127 or data[at] == _LF or data[at] == _TAB):
        if data[at] == ampersand or data[at] == less:
            break
        at += 1
    if at < stop:
        while at > first and data[at - 1] != _LF:
            at -= 1
    return at


@njit(cache=True, nogil=True)
def survey(data: Any, offsets: Any, table: Any, entities: Any, lines: Any) -> Any:
    """List the lines of a column that something may change, as rows of `lines`: (their number, bytes of scratch)."""
    data, table, count, scratch = borrowed(data), _lent(table), 0, 0
    for text in range(len(offsets) - 1):
        at, stop = offsets[text], offsets[text + 1]
        escapable = ESCAPABLE if entities != KEEP else 0
        while at < stop:
            start = _plain(data, at, stop, entities if escapable else KEEP)
            if start == stop:
                break
            flags, at, growth = look(data, start, stop, table, False)
            # Of a line that ftfy cuts, the parts before a `<` still have their entities resolved.
            here = 0 if entities == AUTO and flags & (LESS | HARD) == LESS else escapable
            if entities == AUTO and flags & LESS:
                escapable = 0
            if not here:
                flags &= ~ENTITY
            if flags & (HARD | CHANGES | UNSURE | ENTITY):
                lines[count, START], lines[count, STOP] = start, at
                lines[count, FLAGS], lines[count, FROM] = flags | here, scratch
                if flags & CHANGES:
                    scratch += at - start + growth
                count += 1
    return count, scratch


@njit(cache=True, nogil=True)
def look_again(data: Any, table: Any, lines: Any) -> Any:
    """Look over pieces that are one line each, whatever they hold; gives the bytes of scratch needed."""
    scratch = 0
    for line in range(len(lines)):
        start, stop = lines[line, START], lines[line, STOP]
        flags, _, growth = look(data, start, stop, table, True)
        lines[line, FLAGS] |= flags
        lines[line, FROM] = scratch
        if flags & CHANGES:
            scratch += stop - start + growth
    return scratch


@njit(cache=True, nogil=True)
def change(data: Any, table: Any, lines: Any, out: Any) -> None:
    """Change the characters that change alone, into the scratch buffer. ftfy breaks lines at \\r\\n as at \\r."""
    for line in range(len(lines)):
        if lines[line, FLAGS] & (HARD | ENTITY | CHANGES) != CHANGES:
            continue
        at, stop, to = lines[line, START], lines[line, STOP], lines[line, FROM]
        while at < stop:
            code, width = np.int64(data[at]), 1
            if code >= 0x80:
                code, width = _decode(data, at, stop)
            index = table.properties[code] >> CHANGE_SHIFT
            if index == 0:
                for byte in range(width):
                    out[to + byte] = data[at + byte]
                to += width
            elif code != _CR or at + 1 >= stop or data[at + 1] != _LF:
                for byte in range(table.offsets[index - 1], table.offsets[index]):
                    out[to] = table.bytes[byte]
                    to += 1
            at += width
        lines[line, TO] = to


@njit(cache=True, nogil=True)
def check(scratch: Any, table: Any, lines: Any) -> None:
    """Look changed lines over again: DONE where nothing else is to do, UNSURE where the normal form is to be seen."""
    for line in range(len(lines)):
        flags = lines[line, FLAGS]
        if flags & (HARD | ENTITY | CHANGES) != CHANGES:
            continue
        found, _, _ = look(scratch, lines[line, FROM], lines[line, TO], table, True)
        if flags & ESCAPABLE == 0:
            found &= ~ENTITY
        if found & (HARD | CHANGES | ENTITY):
            lines[line, FLAGS] = flags | HARD
        else:
            lines[line, FLAGS] = flags & ~UNSURE | DONE | found & UNSURE


@njit(cache=True, nogil=True)
def splice(data: Any, offsets: Any, lines: Any, new: Any, out: Any, out_offsets: Any, again: Any) -> None:
    """Copy a column with new[FROM:TO] for each of its `lines`.

    `again` marks the texts that it must be looked for again in: where a line became several, or where a `<` may have
    gone.
    """
    line, to = 0, 0
    at = offsets[0]
    for text in range(len(offsets) - 1):
        stop = offsets[text + 1]
        while line < len(lines) and lines[line, STOP] <= stop:
            size = lines[line, START] - at
            out[to : to + size] = data[at : at + size]
            to += size
            for byte in range(lines[line, FROM], lines[line, TO]):
                out[to] = new[byte]
                to += 1
                if new[byte] == _LF and byte + 1 < lines[line, TO]:
                    again[text] = True
            if lines[line, FLAGS] & LESS:
                again[text] = True
            at = lines[line, STOP]
            line += 1
        out[to : to + stop - at] = data[at:stop]
        to += stop - at
        at = stop
        out_offsets[text + 1] = to
