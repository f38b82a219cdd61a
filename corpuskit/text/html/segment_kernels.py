"""Part a page into blocks of text, in one pass over its bytes and without a tree of all its nodes.

Import it only where it runs, for numba's sake. Only block-level elements are remembered, with the tokens of their
class, id, role and itemprop; an inline tag costs one look-up. Ends that HTML implies are closed as browsers close
them, near enough. Everything is bounded by the arrays that are given: what does not fit is not remembered, and its text
counts as that of the element around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.scan_kernels import borrowed, find
from corpuskit.text.html.tags import NUMBER as TAG_NUMBER
from corpuskit.text.html.tags import PUSH, RAW, SKIP, fnv

# Columns of an element. FIRST and END: its blocks; NUMBER: what a list starts with.
PARENT, TAG, DEPTH, TOKENS, TOKENS_END, HIDDEN, FIRST, END, NUMBER = range(9)
ELEMENT_COLUMNS = 9
# Columns of a block. LINK: bytes inside links; BREAKS: line breaks by tag; FLAGS: see below.
START, STOP, ELEMENT, LINK, LINKS, BREAKS, FORM = range(7)
# Kinds of a mark: a place in the page that something else will read.
TITLE, META, HTML, TIME, JSON = range(1, 6)
# What `found` counts.
N_TEXT, N_ELEMENTS, N_BLOCKS, N_TOKENS, N_MARKS, FIRST_HEADING, WHOLE_TEXT = range(7)

MAX_DEPTH = 512
_MAX_TOKENS = 32  # of one element
_ROOM = 16  # bytes of text that one step may write

# The state of the machine.
(
    _POS, _BEGIN, _GAP, _BRS, _LINK_BYTES, _LINK_COUNT, _BREAK_COUNT, _SP, _A, _PRE, _OVER, _SKIP_TAG, _SKIP_DEPTH,
    _SKIP_INNER, _ELEMENTS, _BLOCKS, _TOKENS, _MARKS, _BODY, _HIDES, _HEADING, _STARTS_AT,
) = range(22)  # fmt: skip
_STATES = 22

_LT8, _GT8, _EQUALS = np.uint8(60), np.uint8(62), np.uint8(61)
_LT, _GT, _AMP, _SLASH, _BANG, _QUESTION = 60, 62, 38, 47, 33, 63
_OFFSET, _PRIME, _MASK = np.uint64(2166136261), np.uint64(16777619), np.uint64(0xFFFFFFFF)
_P, _LI, _UL, _OL, _MENU, _DIR = (np.int64(TAG_NUMBER[name]) for name in "p li ul ol menu dir".split())
_DT, _DD, _DL, _TABLE, _TR, _TD, _TH = (np.int64(TAG_NUMBER[name]) for name in "dt dd dl table tr td th".split())
_TBODY, _THEAD, _TFOOT, _CAPTION = (np.int64(TAG_NUMBER[name]) for name in "tbody thead tfoot caption".split())
_H1, _H6, _PRE_TAG, _LISTING = (np.int64(TAG_NUMBER[name]) for name in "h1 h6 pre listing".split())
_A_TAG, _BR, _HR, _BODY_TAG, _META, _TIME = (np.int64(TAG_NUMBER[name]) for name in "a br hr body meta time".split())
_HTML, _TITLE, _SCRIPT, _RT, _RP, _RUBY = (
    np.int64(TAG_NUMBER[name]) for name in "html title script rt rp ruby".split()
)
_DIV, _SECTION, _ARTICLE = (np.int64(TAG_NUMBER[name]) for name in "div section article".split())
_CLASS, _ID, _ROLE, _ITEMPROP, _ITEMTYPE, _HIDDEN_NAME, _STYLE, _ARIA_HIDDEN, _START_NAME = (
    np.uint64(fnv(bytes(byte | 32 for byte in name)))
    for name in (b"class", b"id", b"role", b"itemprop", b"itemtype", b"hidden", b"style", b"aria-hidden", b"start")
)

# What a byte of text is: a letter or sign that is copied, white space, or one that wants a look.
_PLAIN, _WHITE, _LOOK = 0, 1, 2
_KINDS = np.zeros(256, np.uint8)
_KINDS[[9, 10, 12, 13, 32, 11, 0]] = _WHITE
_KINDS[[_LT, _AMP, 0xC2, 0xE2, 0xEF, 0xE3]] = _LOOK
# What a byte of a class name is.
_LETTERS = np.zeros(256, np.uint8)
_LETTERS[97:123] = 1
_LETTERS[65:91] = 2
_LETTERS[128:] = 1


@njit(cache=True, nogil=True, inline="always")
def _is_letter(byte: Any) -> Any:
    return 97 <= (byte | 32) <= 122


@njit(cache=True, nogil=True, inline="always")
def _is_space(byte: Any) -> Any:
    return byte == 32 or 9 <= byte <= 13


@njit(cache=True, nogil=True)
def segment(data: Any, tables: Any, text: Any, elements: Any, blocks: Any, tokens: Any, marks: Any, found: Any) -> None:
    """Fill `text` with the text of the page, `elements`, `blocks`, `tokens` and `marks` as the columns above say.

    Element 0 is the root. `text` has room for the page's bytes and 16 more; the other arrays bound what is remembered.
    White space is one space, but in `pre`; a line break by tag is a line feed, two of them part blocks.
    """
    owned = np.zeros(_STATES + MAX_DEPTH + 257, np.int64)
    state, stack = borrowed(owned[:_STATES]), borrowed(owned[_STATES : _STATES + MAX_DEPTH + 1])
    counts = borrowed(owned[_STATES + MAX_DEPTH + 1 :])
    data, text, elements, blocks = borrowed(data), borrowed(text), borrowed(elements), borrowed(blocks)
    tokens, marks = borrowed(tokens), borrowed(marks)
    tables = (
        borrowed(tables[0]), borrowed(tables[1]), borrowed(tables[2]), borrowed(tables[3]), borrowed(tables[4]),
        borrowed(tables[5]), borrowed(tables[6]),
    )  # fmt: skip
    elements[0, :] = 0
    elements[0, PARENT] = -1
    state[_ELEMENTS], state[_SP], state[_A], state[_SKIP_TAG], state[_HEADING] = 1, 0, -1, -1, -1
    size = len(data)
    at = 0
    while at < size:
        if data[at] != _LT:
            at = _passed(data, at, size) if state[_SKIP_TAG] >= 0 else _text(data, at, size, tables, text, state)
            continue
        ahead = data[at + 1] if at + 1 < size else 0
        if _is_letter(ahead):
            at = _start_tag(data, at, size, tables, text, elements, blocks, tokens, marks, stack, counts, state)
        elif ahead == _SLASH:
            if at + 2 < size and _is_letter(data[at + 2]):
                at = _end_tag(data, at, size, tables, text, elements, blocks, stack, counts, state)
            else:
                at = _behind(data, at + 2, size)
        elif ahead == _BANG:
            at = _comment(data, at, size)
        elif ahead == _QUESTION:
            at = _behind(data, at + 2, size)
        else:
            if state[_SKIP_TAG] < 0:
                _put(np.uint8(_LT), text, state)
            at += 1
    _flush(text, blocks, stack, state)
    while state[_SP] > 0:
        _pop(elements, stack, counts, state)
    elements[0, END] = state[_BLOCKS]
    found[N_TEXT], found[N_ELEMENTS], found[N_BLOCKS] = state[_POS], state[_ELEMENTS], state[_BLOCKS]
    owned[0] = 0  # it lives until here
    found[N_TOKENS], found[N_MARKS], found[FIRST_HEADING] = state[_TOKENS], state[_MARKS], state[_HEADING]


@njit(cache=True, nogil=True, inline="always")
def _passed(data: Any, at: int, size: int) -> int:
    return find(data, at, size, _LT8, _LT8)


@njit(cache=True, nogil=True)
def _behind(data: Any, at: int, size: int) -> int:
    """Give the place behind the next `>`."""
    return find(data, at, size, _GT8, _GT8) + 1


@njit(cache=True, nogil=True)
def _comment(data: Any, at: int, size: int) -> int:
    """Give the place behind a comment, a doctype or a CDATA section, which begins at `at`."""
    if at + 3 < size and data[at + 2] == 45 and data[at + 3] == 45:
        at += 4
        start = at
        if at < size and data[at] == _GT:  # <!-->
            return at + 1
        while at < size:
            at = find(data, at, size, _GT8, _GT8) + 1
            if at - 3 >= start and at <= size and data[at - 2] == 45 and data[at - 3] == 45:
                return at
        return size
    return _behind(data, at + 2, size)


@njit(cache=True, nogil=True, inline="always")
def _text(data: Any, at: int, size: int, tables: Any, text: Any, state: Any) -> int:
    """Take text up to the next tag."""
    pre = state[_PRE] > 0
    pos, begin, gap = state[_POS], state[_BEGIN], state[_GAP]
    first = pos
    while at < size:
        byte = data[at]
        kind = _KINDS[byte]
        if kind == _PLAIN:
            if gap:
                if pos > begin:
                    text[pos] = 32 if gap == 1 else 10
                    pos += 1
                gap = 0
            text[pos] = byte
            pos += 1
            at += 1
            continue
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
            state[_POS], state[_GAP] = pos, gap
            at = _reference(data, at, size, tables, text, state)
            pos, gap = state[_POS], state[_GAP]
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
        state[_BRS] = 0
        if state[_A] >= 0:
            state[_LINK_BYTES] += pos - first
    state[_POS], state[_GAP] = pos, gap
    return at


@njit(cache=True, nogil=True)
def _put(byte: Any, text: Any, state: Any) -> None:
    """Write one byte of text, and before it the space that is due."""
    pos = state[_POS]
    if state[_GAP]:
        if pos > state[_BEGIN]:
            text[pos] = 32 if state[_GAP] == 1 else 10
            pos += 1
        state[_GAP] = 0
    text[pos] = byte
    state[_POS] = pos + 1


@njit(cache=True, nogil=True)
def _reference(data: Any, at: int, size: int, tables: Any, text: Any, state: Any) -> int:
    """Resolve the character reference at `at`, or take its `&` as it stands."""
    if at + 2 < size and data[at + 1] == 35:
        return _numeric(data, at, size, text, state)
    end = at + 1
    value = _OFFSET
    while end < size and end - at < 34 and (_is_letter(data[end]) or 48 <= data[end] <= 57):
        value = ((value ^ np.uint64(data[end])) * _PRIME) & _MASK
        end += 1
    closed = end < size and data[end] == 59
    if end == at + 1 or not (closed or end - at <= 5):
        _put(np.uint8(_AMP), text, state)
        return at + 1
    keys, numbers, offsets, pool = tables[3], tables[4], tables[5], tables[6]
    slot = np.int64(value) & (len(keys) - 1)
    while numbers[slot] >= 0 and keys[slot] != value:
        slot = (slot + 1) & (len(keys) - 1)
    number = numbers[slot]
    if number < 0:
        _put(np.uint8(_AMP), text, state)
        return at + 1
    start, stop = offsets[number], offsets[number + 1]
    if stop - start == 2 and pool[start] == 0xC2 and pool[start + 1] == 0xA0:
        _white(text, state)
    elif not (stop - start == 3 and pool[start] == 0xE2 and pool[start + 1] == 0x80 and pool[start + 2] == 0x8B):
        for each in range(start, min(stop, start + end - at + 1)):
            _put(pool[each], text, state)
    return end + closed


@njit(cache=True, nogil=True)
def _white(text: Any, state: Any) -> None:
    if state[_PRE] > 0:
        _put(np.uint8(32), text, state)
    elif state[_GAP] == 0:
        state[_GAP] = 1


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
        _put(np.uint8(_AMP), text, state)
        return at + 1
    if end < size and data[end] == 59:
        end += 1
    if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
        code = 0xFFFD
    elif 128 <= code < 160:
        code = _WINDOWS[code - 128]
    if code <= 32 or code == 160:
        if code in (9, 10, 12, 13, 32, 160):
            _white(text, state)
    elif code < 0x80:
        if code != 127:
            _put(np.uint8(code), text, state)
    elif code < 0x800:
        _put(np.uint8(0xC0 | code >> 6), text, state)
        _put(np.uint8(0x80 | code & 63), text, state)
    elif code not in (0x200B, 0xFEFF):
        if code < 0x10000:
            _put(np.uint8(0xE0 | code >> 12), text, state)
        else:
            _put(np.uint8(0xF0 | code >> 18), text, state)
            _put(np.uint8(0x80 | code >> 12 & 63), text, state)
        _put(np.uint8(0x80 | code >> 6 & 63), text, state)
        _put(np.uint8(0x80 | code & 63), text, state)
    return end


# Browsers read &#128; to &#159; as windows-1252.
_WINDOWS = np.array(
    [ord(bytes([byte]).decode("cp1252", "replace")) if byte not in (129, 141, 143, 144, 157) else byte
     for byte in range(128, 160)], np.int64,
)  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def _flush(text: Any, blocks: Any, stack: Any, state: Any) -> None:
    """End the block that is open; one without text leaves nothing."""
    begin, pos = state[_BEGIN], state[_POS]
    while pos > begin and text[pos - 1] <= 32:
        pos -= 1
    if pos > begin and state[_BLOCKS] < len(blocks):
        block = blocks[state[_BLOCKS]]
        block[START], block[STOP], block[ELEMENT] = begin, pos, stack[state[_SP]]
        block[LINK], block[LINKS] = min(state[_LINK_BYTES], pos - begin), state[_LINK_COUNT]
        block[BREAKS], block[FORM] = state[_BREAK_COUNT], state[_PRE] > 0
        state[_BLOCKS] += 1
        state[_POS] = pos
    else:
        state[_POS] = begin
    state[_BEGIN] = state[_POS]
    state[_GAP] = state[_BRS] = state[_LINK_BYTES] = state[_LINK_COUNT] = state[_BREAK_COUNT] = 0


@njit(cache=True, nogil=True)
def _pop(elements: Any, stack: Any, counts: Any, state: Any) -> None:
    element = elements[stack[state[_SP]]]
    element[END] = state[_BLOCKS]
    tag = element[TAG]
    counts[tag] -= 1
    state[_SP] -= 1
    if state[_A] > state[_SP]:
        state[_A] = -1
    if tag == _PRE_TAG or tag == _LISTING:
        state[_PRE] -= 1


@njit(cache=True, nogil=True)
def _push(tag: Any, elements: Any, stack: Any, counts: Any, state: Any) -> Any:
    """Open an element; gives its number, or -1 where it is not remembered."""
    if state[_SP] >= MAX_DEPTH - 1 or state[_ELEMENTS] >= len(elements):
        state[_OVER] += 1
        return -1
    number = state[_ELEMENTS]
    state[_ELEMENTS] += 1
    element = elements[number]
    element[PARENT], element[TAG], element[DEPTH] = stack[state[_SP]], tag, state[_SP] + 1
    element[TOKENS] = element[TOKENS_END] = state[_TOKENS]
    element[HIDDEN], element[FIRST], element[END] = 0, state[_BLOCKS], state[_BLOCKS]
    state[_SP] += 1
    stack[state[_SP]] = number
    counts[tag] += 1
    if tag == _PRE_TAG or tag == _LISTING:
        state[_PRE] += 1
    return number


@njit(cache=True, nogil=True, inline="always")
def _name(data: Any, at: int, size: int, tables: Any) -> Any:
    """Read a tag's name: (its number, 0 where it is not known; where it ends)."""
    value = _OFFSET
    start = at
    while at < size:
        byte = data[at]
        if byte == _GT or byte == _SLASH or byte <= 32:
            break
        if 65 <= byte <= 90:
            byte |= 32
        value = ((value ^ np.uint64(byte)) * _PRIME) & _MASK
        at += 1
    if at - start > 12:
        return 0, at
    keys, numbers = tables[0], tables[1]
    slot = np.int64(value) & (len(keys) - 1)
    while numbers[slot] >= 0 and keys[slot] != value:
        slot = (slot + 1) & (len(keys) - 1)
    return max(0, numbers[slot]), at


@njit(cache=True, nogil=True, inline="always")
def _tag_end(data: Any, at: int, size: int) -> int:
    """Give the place behind a tag's `>`, which quotes may hold too."""
    while at < size:
        at = find(data, at, size, _GT8, _EQUALS)
        if at >= size or data[at] == _GT:
            return min(size, at + 1)
        at += 1
        while at < size and _is_space(data[at]):
            at += 1
        if at < size and (data[at] == 34 or data[at] == 39):
            at = find(data, at + 1, size, data[at], data[at]) + 1
    return size


@njit(cache=True, nogil=True, inline="always")
def _start_tag(
    data: Any, at: int, size: int, tables: Any, text: Any, elements: Any, blocks: Any, tokens: Any, marks: Any,
    stack: Any, counts: Any, state: Any,
) -> int:  # fmt: skip
    start = at
    tag, at = _name(data, at + 1, size, tables)
    if tag == 0:
        return _tag_end(data, at, size)
    flags = tables[2][tag]
    skipping = state[_SKIP_TAG] >= 0
    if flags & PUSH and not skipping:
        return _block(data, at, size, tag, text, elements, blocks, tokens, stack, counts, state)
    end = _tag_end(data, at, size)
    if flags & RAW:
        closed = _raw_end(data, end, size, start + 1, at)
        if tag == _TITLE and not skipping:
            _mark(TITLE, end, closed, marks, state)
        elif tag == _SCRIPT and _holds(data, at, end, 108, 100, 43):  # ld+json
            _mark(JSON, end, closed, marks, state)
        return _behind(data, closed, size) if closed < size else size
    if skipping:
        _within_skipped(tag, flags, state)
    elif flags & SKIP:
        # An empty tag of XML, <svg/>, holds nothing.
        if data[max(at, end - 2)] != _SLASH:
            state[_SKIP_TAG], state[_SKIP_DEPTH], state[_SKIP_INNER] = tag, 1, 0
    elif tag == _A_TAG:
        state[_A] = state[_SP]
        state[_LINK_COUNT] += 1
    elif tag == _BR:
        _break(text, blocks, stack, state)
    elif tag == _HR:
        _flush(text, blocks, stack, state)
    elif tag == _META:
        _mark(META, at, end, marks, state)
    elif tag == _TIME:
        _mark(TIME, at, end, marks, state)
    elif tag == _HTML:
        _mark(HTML, at, end, marks, state)
    elif tag == _BODY_TAG and state[_BODY] == 0:
        state[_BODY] = 1
        _flush(text, blocks, stack, state)
        elements[0, TOKENS] = state[_TOKENS]
        _attributes(data, at, size, tokens, state)
        elements[0, TOKENS_END] = state[_TOKENS]
    return end


@njit(cache=True, nogil=True)
def _within_skipped(tag: Any, flags: Any, state: Any) -> None:
    """Keep count of what opens inside of a subtree that is passed over."""
    skipped = state[_SKIP_TAG]
    if tag == skipped and tag != _RT and tag != _RP:
        state[_SKIP_DEPTH] += 1
    elif (tag == _RT or tag == _RP) and (skipped == _RT or skipped == _RP):
        state[_SKIP_TAG] = tag
    elif flags & PUSH:
        state[_SKIP_INNER] += 1


@njit(cache=True, nogil=True)
def _mark(kind: int, start: int, stop: int, marks: Any, state: Any) -> None:
    if state[_MARKS] < len(marks):
        mark = marks[state[_MARKS]]
        mark[0], mark[1], mark[2] = kind, start, stop
        state[_MARKS] += 1


@njit(cache=True, nogil=True)
def _holds(data: Any, at: int, end: int, one: int, two: int, three: int) -> Any:
    for place in range(at, end - 2):
        if data[place] == one and data[place + 1] == two and data[place + 2] == three:
            return True
    return False


@njit(cache=True, nogil=True)
def _raw_end(data: Any, at: int, size: int, name: int, name_end: int) -> int:
    """Give where the end tag of a raw element begins: `</` and the name that stands at data[name:name_end]."""
    length = name_end - name
    while at < size:
        at = find(data, at, size, _LT8, _LT8)
        if at + 2 + length > size:
            return size
        if data[at + 1] == _SLASH:
            same = True
            for each in range(length):
                if data[at + 2 + each] | 32 != data[name + each] | 32:
                    same = False
                    break
            if same:
                return at
        at += 1
    return size


@njit(cache=True, nogil=True)
def _break(text: Any, blocks: Any, stack: Any, state: Any) -> None:
    """Take a line break by tag; a second one without text between them ends the block."""
    state[_BREAK_COUNT] += 1
    if state[_PRE] > 0:
        if state[_POS] > state[_BEGIN]:
            text[state[_POS]] = 10
            state[_POS] += 1
    elif state[_BRS] > 0:
        _flush(text, blocks, stack, state)
    else:
        state[_GAP] = 2
        state[_BRS] = 1


@njit(cache=True, nogil=True, inline="always")
def _block(
    data: Any, at: int, size: int, tag: Any, text: Any, elements: Any, blocks: Any, tokens: Any, stack: Any,
    counts: Any, state: Any,
) -> int:  # fmt: skip
    """Open a block-level element, having closed what its start tag implies."""
    _flush(text, blocks, stack, state)
    _imply(tag, elements, stack, counts, state)
    number = _push(tag, elements, stack, counts, state)
    if number < 0:
        return _tag_end(data, at, size)
    state[_HIDES], state[_STARTS_AT] = 0, 1
    at = _attributes(data, at, size, tokens, state)
    elements[number, TOKENS_END], elements[number, HIDDEN] = state[_TOKENS], state[_HIDES]
    elements[number, NUMBER] = state[_STARTS_AT]
    if tag == _H1 and state[_HEADING] < 0:
        state[_HEADING] = number
    if (tag == _PRE_TAG or tag == _LISTING) and at < size and data[at] == 10:
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _imply(tag: Any, elements: Any, stack: Any, counts: Any, state: Any) -> None:
    """Close the elements whose end a start tag implies."""
    top = elements[stack[state[_SP]], TAG]
    if top == _P or (_H1 <= tag <= _H6 and _H1 <= top <= _H6):
        _pop(elements, stack, counts, state)
    if tag == _LI:
        if counts[_LI]:
            _close(_LI, _LI, _UL, _OL, _MENU, _DIR, elements, stack, counts, state)
    elif tag == _DT or tag == _DD:
        if counts[_DT] + counts[_DD]:
            _close(_DT, _DD, _DL, _DL, _DL, _TABLE, elements, stack, counts, state)
    elif tag == _TD or tag == _TH:
        if counts[_TD] + counts[_TH]:
            _close(_TD, _TH, _TR, _TABLE, _TABLE, _TABLE, elements, stack, counts, state)
    elif tag == _TR:
        if counts[_TR]:
            _close(_TR, _TR, _TABLE, _TABLE, _TABLE, _TABLE, elements, stack, counts, state)
    elif (tag == _TBODY or tag == _THEAD or tag == _TFOOT) and counts[_TABLE]:
        _close(_TBODY, _THEAD, _TABLE, _TABLE, _TFOOT, _TFOOT, elements, stack, counts, state)


@njit(cache=True, nogil=True)
def _close(
    one: Any, other: Any, bar: Any, bar2: Any, bar3: Any, bar4: Any, elements: Any, stack: Any, counts: Any, state: Any
) -> None:
    """Close the innermost element of tag `one` or `other`, and those in it, if no bar stands between."""
    place = state[_SP]
    while place > 0:
        tag = elements[stack[place], TAG]
        if tag == one or tag == other:
            while state[_SP] >= place:
                _pop(elements, stack, counts, state)
            return
        if tag == bar or tag == bar2 or tag == bar3 or tag == bar4:
            return
        place -= 1


@njit(cache=True, nogil=True, inline="always")
def _end_tag(
    data: Any, at: int, size: int, tables: Any, text: Any, elements: Any, blocks: Any, stack: Any, counts: Any,
    state: Any,
) -> int:  # fmt: skip
    tag, at = _name(data, at + 2, size, tables)
    at = _tag_end(data, at, size)
    flags = tables[2][tag]
    skipped = state[_SKIP_TAG]
    if skipped >= 0:
        if tag == skipped:
            state[_SKIP_DEPTH] -= 1
            if state[_SKIP_DEPTH] == 0:
                state[_SKIP_TAG] = -1
            return at
        if tag == _RUBY and (skipped == _RT or skipped == _RP):
            state[_SKIP_TAG] = -1
            return at
        if not flags & PUSH or counts[tag] == 0:
            return at
        if state[_SKIP_INNER] > 0:
            state[_SKIP_INNER] -= 1
            return at
        state[_SKIP_TAG] = -1  # it was never closed, and what it stands in ends here
    if flags & PUSH:
        _flush(text, blocks, stack, state)
        if state[_OVER] > 0:
            state[_OVER] -= 1
        elif counts[tag]:
            _close_to(tag, elements, stack, counts, state)
    elif tag == _A_TAG:
        state[_A] = -1
    elif tag == _BR:
        _break(text, blocks, stack, state)
    return at


@njit(cache=True, nogil=True)
def _close_to(tag: Any, elements: Any, stack: Any, counts: Any, state: Any) -> None:
    """Close the innermost element of this tag and those in it; tables hold what is in their cells."""
    of_table = tag == _TABLE or tag == _TR or tag == _TD or tag == _TH or _TBODY <= tag <= _TFOOT
    small = tag == _P or tag == _LI
    place = state[_SP]
    while place > 0:
        inner = elements[stack[place], TAG]
        if inner == tag:
            while state[_SP] >= place:
                _pop(elements, stack, counts, state)
            return
        if (inner == _TABLE and tag != _TABLE) or (not of_table and (inner == _TD or inner == _TH)):
            return
        if small and (inner == _DIV or inner == _UL or inner == _OL or inner == _SECTION or inner == _ARTICLE):
            return
        place -= 1


@njit(cache=True, nogil=True, inline="always")
def _attributes(data: Any, at: int, size: int, tokens: Any, state: Any) -> int:
    """Read a tag's attributes for tokens and for whether it is hidden; gives the place behind the tag."""
    limit = min(len(tokens), state[_TOKENS] + _MAX_TOKENS)
    while at < size:
        byte = data[at]
        if byte == _GT:
            return at + 1
        if byte <= 32 or byte == _SLASH:
            at += 1
            continue
        name = _OFFSET
        while at < size and byte > 32 and byte != 61 and byte != _GT and byte != _SLASH:
            name = ((name ^ np.uint64(byte | 32)) * _PRIME) & _MASK
            at += 1
            byte = data[at] if at < size else 0
        while at < size and data[at] <= 32:
            at += 1
        if at >= size or data[at] != 61:
            if name == _HIDDEN_NAME:
                state[_HIDES] = 1
            continue
        at += 1
        while at < size and data[at] <= 32:
            at += 1
        first = at
        if at < size and (data[at] == 34 or data[at] == 39):
            first = at + 1
            stop = find(data, first, size, data[at], data[at])
            at = stop + 1
        else:
            while at < size and data[at] > 32 and data[at] != _GT:
                at += 1
            stop = at
        _attribute(data, name, first, stop, limit, tokens, state)
    return size


@njit(cache=True, nogil=True, inline="always")
def _attribute(data: Any, name: Any, first: int, stop: int, limit: int, tokens: Any, state: Any) -> None:
    if name == _CLASS or name == _ID:
        _tokens(data, first, stop, np.uint64(0), limit, tokens, state)
    elif name == _ROLE:
        _tokens(data, first, stop, np.uint64(1), limit, tokens, state)
    elif name == _ITEMPROP or name == _ITEMTYPE:
        _tokens(data, first, stop, np.uint64(2), limit, tokens, state)
    elif name == _HIDDEN_NAME or (name == _STYLE and _hides(data, first, stop)):
        state[_HIDES] = 1
    elif name == _START_NAME:
        state[_STARTS_AT] = _whole(data, first, stop)
    elif name == _ARIA_HIDDEN and stop - first == 4 and data[first] | 32 == 116:  # true
        state[_HIDES] = 1


@njit(cache=True, nogil=True)
def _whole(data: Any, at: int, stop: int) -> int:
    """Read a number of eight digits at most; 1 where there is none."""
    value = 0
    for place in range(at, min(stop, at + 8)):
        if not 48 <= data[place] <= 57:
            return 1
        value = 10 * value + data[place] - 48
    return value if stop > at else 1


@njit(cache=True, nogil=True)
def _hides(data: Any, at: int, stop: int) -> Any:
    """Tell `display: none` and `visibility: hidden` in a style: a y, a colon, and `no` or `hi`."""
    for place in range(at + 1, stop - 2):
        if data[place] == 58 and data[place - 1] | 32 == 121:
            value = place + 1
            while value < stop and data[value] <= 32:
                value += 1
            if value + 1 < stop:
                one, two = data[value] | 32, data[value + 1] | 32
                if (one == 110 and two == 111) or (one == 104 and two == 105):
                    return True
    return False


@njit(cache=True, nogil=True)
def _tokens(data: Any, at: int, stop: int, seed: Any, limit: int, tokens: Any, state: Any) -> None:
    """Hash the runs of letters of a value, parted where small letters turn to capitals."""
    value, length, before = _OFFSET + seed, 0, 0
    while at <= stop:
        kind = _LETTERS[data[at]] if at < stop else 0
        if kind == 0 or (kind == 2 and before == 1):
            if length >= 2 and state[_TOKENS] < limit:
                tokens[state[_TOKENS]] = np.uint32(value)
                state[_TOKENS] += 1
            value, length = _OFFSET + seed, 0
        if kind:
            byte = data[at] | 32 if kind == 2 else data[at]
            value = ((value ^ np.uint64(byte)) * _PRIME) & _MASK
            length += 1
        before = kind
        at += 1
