"""Take the text between tags; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import MASK, OFFSET, PRIME, S_BEGIN, S_BRS, S_GAP, S_LINK, S_LINK_BYTES, S_POS, S_PRE
from corpuskit.text.html.mask_kernels import copy, spaces
from corpuskit.text.html.tag_kernels import is_letter, number_of
from corpuskit.text.vector_kernels import WIDTH, lowest

_LT, _AMP = 60, 38
_ONE, _LAST = np.uint64(1), np.uint64(1 << 63)
# What a byte of text is: white space, or one that wants a look; others are copied.
_WHITE, _LOOK = 1, 2
_KINDS = np.zeros(256, np.uint8)
_KINDS[[9, 10, 12, 13, 32, 11, 0]] = _WHITE
_KINDS[[_LT, _AMP, 0xC2, 0xE2, 0xEF, 0xE3]] = _LOOK
#: Browsers read &#128; to &#159; as windows-1252.
WINDOWS = np.array(
    [byte if byte in (129, 141, 143, 144, 157) else ord(bytes([byte]).decode("cp1252")) for byte in range(128, 160)],
    np.int64,
)


@njit(cache=True, nogil=True, inline="always")
def take_text(data: Any, at: int, size: int, tables: Any, text: Any, state: Any) -> int:
    """Take text up to the next tag."""
    pre = state[S_PRE] > 0
    pos, begin, gap = state[S_POS], state[S_BEGIN], state[S_GAP]
    first = pos
    while at < size:
        byte = data[at]
        if byte == _LT:
            break
        if not pre and at + WIDTH < size:  # one byte more where a space comes first
            looks, at, pos, gap = _take_plain(data, at, text, pos, begin, gap)
            if not looks:
                continue
            byte = data[at]
            if byte == _LT:
                break
        kind = _KINDS[byte]
        if kind == _WHITE:
            if pre and byte != 0:
                if byte != 13:
                    if gap == 2:
                        text[pos] = 10
                        pos += 1
                        gap = 0
                    text[pos] = byte if byte == 10 or byte == 9 else 32
                    pos += 1
            elif gap == 0:
                gap = 1
            at += 1
            continue
        if byte == _LT:
            break
        if byte == _AMP:
            state[S_POS], state[S_GAP] = pos, gap
            at = _reference(data, at, size, tables, text, state)
            pos, gap = state[S_POS], state[S_GAP]
            continue
        if byte == 0xC2 and at + 1 < size and data[at + 1] == 0xA0:  # no-break space
            at += 2
            if pre:
                text[pos] = 32
                pos += 1
            elif gap == 0:
                gap = 1
            continue
        if byte == 0xE2 and at + 2 < size and data[at + 1] == 0x80 and 0x8B <= data[at + 2] <= 0x8D:
            if data[at + 2] == 0x8B:  # zero-width space
                at += 3
                continue
        elif byte == 0xEF and at + 2 < size and data[at + 1] == 0xBB and data[at + 2] == 0xBF:
            at += 3
            continue
        elif byte == 0xE3 and at + 2 < size and data[at + 1] == 0x80 and data[at + 2] == 0x80:  # ideographic space
            at += 3
            if gap == 0:
                gap = 1
            continue
        if gap:
            if pos > begin:
                text[pos] = 32 if gap == 1 else 10
                pos += 1
            gap = 0
        text[pos] = byte
        pos += 1
        at += 1
    if pos > first:
        state[S_BRS] = 0
        if state[S_LINK] >= 0:
            state[S_LINK_BYTES] += pos - first
    state[S_POS], state[S_GAP] = pos, gap
    return at


@njit(cache=True, nogil=True, inline="always")
def _take_plain(data: Any, at: Any, text: Any, pos: Any, begin: Any, gap: Any) -> Any:
    """Copy what stands as it is of the next 64 bytes, and pass over white space behind it.

    Gives (whether what comes wants a look, and where the data, the text and the space that is due are then).
    """
    white, look, space = spaces(data, at)
    stop = look | (white & ~(space & ~((white | look) >> _ONE | _LAST)))  # a space stays if text follows
    until = lowest(stop) if stop else WIDTH
    if until:
        before = np.int64(space & _ONE)
        gap = max(gap, before)
        if gap and pos > begin:
            text[pos] = 32 if gap == 1 else 10
            pos += 1
        gap = 0
        copy(data, at + before, text, pos)
        at, pos = at + until, pos + until - before
        if not stop:
            return False, at, pos, gap
    behind = ~(white >> np.uint64(until))
    if not behind & _ONE:
        return False, at + (lowest(behind) if behind else WIDTH), pos, max(gap, 1)
    return True, at, pos, gap


@njit(cache=True, nogil=True)
def put(byte: Any, text: Any, state: Any) -> None:
    """Write one byte of text, and before it the space that is due."""
    pos = state[S_POS]
    if state[S_GAP]:
        if pos > state[S_BEGIN]:
            text[pos] = 32 if state[S_GAP] == 1 else 10
            pos += 1
        state[S_GAP] = 0
    text[pos] = byte
    state[S_POS] = pos + 1


@njit(cache=True, nogil=True)
def _reference(data: Any, at: int, size: int, tables: Any, text: Any, state: Any) -> Any:
    """Resolve the character reference at `at`, or take its `&` as it stands."""
    if at + 2 < size and data[at + 1] == 35:
        return _numeric(data, at, size, text, state)
    end = at + 1
    value = OFFSET
    while end < size and end - at < 34 and (is_letter(data[end]) or 48 <= data[end] <= 57):
        value = ((value ^ np.uint64(data[end])) * PRIME) & MASK
        end += 1
    closed = end < size and data[end] == 59
    if end == at + 1 or not (closed or end - at <= 5):
        put(np.uint8(_AMP), text, state)
        return at + 1
    offsets, pool = tables[5], tables[6]
    number = number_of(value, tables[3], tables[4])
    if number < 0:
        put(np.uint8(_AMP), text, state)
        return at + 1
    start, stop = offsets[number], offsets[number + 1]
    if stop - start == 2 and pool[start] == 0xC2 and pool[start + 1] == 0xA0:
        _white(text, state)
    elif not (stop - start == 3 and pool[start] == 0xE2 and pool[start + 1] == 0x80 and pool[start + 2] == 0x8B):
        for each in range(start, stop):
            put(pool[each], text, state)
    return end + closed


@njit(cache=True, nogil=True)
def _white(text: Any, state: Any) -> None:
    if state[S_PRE] > 0:
        put(np.uint8(32), text, state)
    elif state[S_GAP] == 0:
        state[S_GAP] = 1


@njit(cache=True, nogil=True)
def _numeric(data: Any, at: int, size: int, text: Any, state: Any) -> int:
    end, code, base = at + 2, 0, 10
    if end < size and (data[end] | 32) == 120:
        end, base = end + 1, 16
    digits = end
    while end < size and end - digits < 8:
        byte = data[end]
        if 48 <= byte <= 57:
            code = code * base + byte - 48
        elif base == 16 and 97 <= (byte | 32) <= 102:
            code = code * base + (byte | 32) - 87
        else:
            break
        end += 1
    if end == digits:
        put(np.uint8(_AMP), text, state)
        return at + 1
    if end < size and data[end] == 59:
        end += 1
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        code = 0xFFFD
    elif 128 <= code < 160:
        code = WINDOWS[code - 128]
    if code <= 32 or code == 160:
        if code in (9, 10, 12, 13, 32, 160):
            _white(text, state)
    elif code < 0x80:
        if code != 127:
            put(np.uint8(code), text, state)
    elif code < 0x800:
        put(np.uint8(0xC0 | code >> 6), text, state)
        put(np.uint8(0x80 | code & 63), text, state)
    elif code not in (0x200B, 0xFEFF):
        if code < 0x10000:
            put(np.uint8(0xE0 | code >> 12), text, state)
        else:
            put(np.uint8(0xF0 | code >> 18), text, state)
            put(np.uint8(0x80 | code >> 12 & 63), text, state)
        put(np.uint8(0x80 | code >> 6 & 63), text, state)
        put(np.uint8(0x80 | code & 63), text, state)
    return end
