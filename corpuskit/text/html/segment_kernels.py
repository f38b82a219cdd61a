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

from corpuskit.text.html.arrays import (
    BREAKS,
    DEPTH,
    ELEMENT,
    END,
    FIRST,
    FIRST_HEADING,
    FORM,
    HIDDEN,
    HTML,
    JSON,
    LINK,
    LINKS,
    MAX_DEPTH,
    META,
    MICRODATA,
    N_BLOCKS,
    N_ELEMENTS,
    N_MARKS,
    N_TEXT,
    N_TOKENS,
    NUMBER,
    PARENT,
    S_BEGIN,
    S_BLOCKS,
    S_BODY,
    S_BREAK_COUNT,
    S_BRS,
    S_ELEMENTS,
    S_GAP,
    S_HEADING,
    S_HIDES,
    S_LINK,
    S_LINK_BYTES,
    S_LINK_COUNT,
    S_LINK_POS,
    S_MARKS,
    S_NUMBER,
    S_OVER,
    S_POS,
    S_PRE,
    S_SKIP_DEPTH,
    S_SKIP_INNER,
    S_SKIP_TAG,
    S_TOKENS,
    S_TOP,
    START,
    STATES,
    STOP,
    TAG,
    TIME,
    TITLE,
    TOKENS,
    TOKENS_END,
    tag_numbers,
)  # fmt: skip
from corpuskit.text.html.scan_kernels import DATE, DATE_APART, find, find_word
from corpuskit.text.html.tag_kernels import (
    attributes,
    behind,
    behind_comment,
    holds,
    is_letter,
    language,
    meta,
    raw_end,
    tag_end,
    tag_name,
)  # fmt: skip
from corpuskit.text.html.tags import PUSH, RAW, SKIP
from corpuskit.text.html.text_kernels import put, take_text
from corpuskit.text.vector_kernels import borrowed

_LT = np.uint8(60)
_SLASH, _BANG, _QUESTION = 47, 33, 63
_P, _LI, _UL, _OL, _MENU, _DIR, _DT, _DD, _DL = tag_numbers("p li ul ol menu dir dt dd dl")
_TABLE, _TR, _TD, _TH, _TBODY, _THEAD, _TFOOT = tag_numbers("table tr td th tbody thead tfoot")
_H1, _H6, _PRE_TAG, _LISTING, _DIV, _SECTION, _ARTICLE = tag_numbers("h1 h6 pre listing div section article")
_A_TAG, _BR, _HR, _BODY_TAG, _META, _TIME = tag_numbers("a br hr body meta time")
_HTML, _TITLE, _SCRIPT, _RT, _RP, _RUBY = tag_numbers("html title script rt rp ruby")


@njit(cache=True, nogil=True)
def segment(data: Any, tables: Any, text: Any, elements: Any, blocks: Any, tokens: Any, marks: Any, found: Any) -> None:
    """Fill `text` with the text of the page, `elements`, `blocks`, `tokens` and `marks` as the columns above say.

    Element 0 is the root. `text` has room for the page's bytes and 80 more; the other arrays bound what is remembered.
    White space is one space, but in `pre`; a line break by tag is a line feed, two of them part blocks.
    """
    owned = np.zeros(STATES + MAX_DEPTH + 257 + 2 * 5, np.int64)
    state, stack = borrowed(owned[:STATES]), borrowed(owned[STATES : STATES + MAX_DEPTH + 1])
    counts, spans = borrowed(owned[STATES + MAX_DEPTH + 1 : -2 * 5]), borrowed(owned[-2 * 5 :].reshape((5, 2)))
    data, text, elements, blocks = borrowed(data), borrowed(text), borrowed(elements), borrowed(blocks)
    tokens, marks = borrowed(tokens), borrowed(marks)
    tables = (
        borrowed(tables[0]), borrowed(tables[1]), borrowed(tables[2]), borrowed(tables[3]), borrowed(tables[4]),
        borrowed(tables[5]), borrowed(tables[6]),
    )  # fmt: skip
    elements[0, :] = 0
    elements[0, PARENT] = -1
    state[S_ELEMENTS], state[S_TOP], state[S_LINK], state[S_SKIP_TAG], state[S_HEADING] = 1, 0, -1, -1, -1
    size = len(data)
    at = 0
    while at < size:
        if data[at] != _LT:
            at = (
                find(data, at, size, _LT, _LT)
                if state[S_SKIP_TAG] >= 0
                else take_text(data, at, size, tables, text, state)
            )
            continue
        ahead = data[at + 1] if at + 1 < size else 0
        if is_letter(ahead):
            at = _start_tag(data, at, size, tables, text, elements, blocks, tokens, marks, spans, stack, counts, state)
        elif ahead == _SLASH:
            if at + 2 < size and is_letter(data[at + 2]):
                at = _end_tag(data, at, size, tables, text, elements, blocks, stack, counts, state)
            else:
                at = behind(data, at + 2, size)
        elif ahead == _BANG:
            at = behind_comment(data, at, size)
        elif ahead == _QUESTION:
            at = behind(data, at + 2, size)
        else:
            if state[S_SKIP_TAG] < 0:
                put(_LT, text, state)
            at += 1
    microdata = find_word(data, 0, size, DATE, DATE_APART)
    if microdata < size:
        _mark(MICRODATA, microdata, size, marks, state)
    _flush(text, blocks, stack, state)
    while state[S_TOP] > 0:
        _pop(elements, stack, counts, state)
    elements[0, END] = state[S_BLOCKS]
    found[N_TEXT], found[N_ELEMENTS], found[N_BLOCKS] = state[S_POS], state[S_ELEMENTS], state[S_BLOCKS]
    found[N_TOKENS], found[N_MARKS], found[FIRST_HEADING] = state[S_TOKENS], state[S_MARKS], state[S_HEADING]
    owned[0] = 0  # it lives until here


@njit(cache=True, nogil=True, inline="always")
def _flush(text: Any, blocks: Any, stack: Any, state: Any) -> None:
    """End the block that is open; one without text leaves nothing."""
    begin, pos = state[S_BEGIN], state[S_POS]
    while pos > begin and text[pos - 1] <= 32:
        pos -= 1
    if pos > begin and state[S_BLOCKS] < len(blocks):
        block = blocks[state[S_BLOCKS]]
        block[START], block[STOP], block[ELEMENT] = begin, pos, stack[state[S_TOP]]
        block[LINK], block[LINKS] = min(state[S_LINK_BYTES], pos - begin), state[S_LINK_COUNT]
        block[BREAKS], block[FORM] = state[S_BREAK_COUNT], state[S_PRE] > 0
        state[S_BLOCKS] += 1
        state[S_POS] = pos
    else:
        state[S_POS] = begin
    state[S_BEGIN] = state[S_POS]
    state[S_GAP] = state[S_BRS] = state[S_LINK_BYTES] = state[S_LINK_COUNT] = state[S_BREAK_COUNT] = 0


@njit(cache=True, nogil=True)
def _pop(elements: Any, stack: Any, counts: Any, state: Any) -> None:
    element = elements[stack[state[S_TOP]]]
    element[END] = state[S_BLOCKS]
    tag = element[TAG]
    counts[tag] -= 1
    state[S_TOP] -= 1
    if state[S_LINK] > state[S_TOP]:
        state[S_LINK] = -1
    if tag == _PRE_TAG or tag == _LISTING:
        state[S_PRE] -= 1


@njit(cache=True, nogil=True)
def _push(tag: Any, elements: Any, stack: Any, counts: Any, state: Any) -> Any:
    """Open an element; gives its number, or -1 where it is not remembered."""
    if state[S_TOP] >= MAX_DEPTH - 1 or state[S_ELEMENTS] >= len(elements):
        state[S_OVER] += 1
        return -1
    number = state[S_ELEMENTS]
    state[S_ELEMENTS] += 1
    element = elements[number]
    element[PARENT], element[TAG], element[DEPTH] = stack[state[S_TOP]], tag, state[S_TOP] + 1
    element[TOKENS] = element[TOKENS_END] = state[S_TOKENS]
    element[HIDDEN], element[FIRST], element[END] = 0, state[S_BLOCKS], state[S_BLOCKS]
    state[S_TOP] += 1
    stack[state[S_TOP]] = number
    counts[tag] += 1
    if tag == _PRE_TAG or tag == _LISTING:
        state[S_PRE] += 1
    return number


@njit(cache=True, nogil=True, inline="always")
def _start_tag(
    data: Any, at: int, size: int, tables: Any, text: Any, elements: Any, blocks: Any, tokens: Any, marks: Any,
    spans: Any, stack: Any, counts: Any, state: Any,
) -> Any:  # fmt: skip
    start = at
    tag, at = tag_name(data, at + 1, size, tables)
    if tag == 0:
        return tag_end(data, at, size)
    flags = tables[2][tag]
    skipping = state[S_SKIP_TAG] >= 0
    if flags & PUSH and not skipping:
        return _block(data, at, size, tag, text, elements, blocks, tokens, stack, counts, state)
    end = tag_end(data, at, size)
    if flags & RAW:
        closed = raw_end(data, end, size, start + 1, at)
        if tag == _TITLE and not skipping:
            _mark(TITLE, end, closed, marks, state)
        elif tag == _SCRIPT and holds(data, at, end, 108, 100, 43):  # ld+json
            _mark(JSON, end, closed, marks, state)
        return behind(data, closed, size) if closed < size else size
    if flags & SKIP and at < end and data[max(at, end - 2)] == _SLASH:
        return end  # an empty tag of XML, <svg/>, holds nothing
    if skipping:
        _within_skipped(tag, flags, state)
    elif flags & SKIP:
        state[S_SKIP_TAG], state[S_SKIP_DEPTH], state[S_SKIP_INNER] = tag, 1, 0
    elif tag == _A_TAG:
        state[S_LINK], state[S_LINK_POS] = state[S_TOP], state[S_POS]
        state[S_LINK_COUNT] += 1
    elif tag == _BR:
        _break(text, blocks, stack, state)
    elif tag == _HR:
        _flush(text, blocks, stack, state)
    elif tag == _META:
        name = meta(data, at, end, spans)
        if name >= 0:
            _mark(META + name, spans[0, 0], spans[0, 1], marks, state)
    elif tag == _TIME:
        _mark(TIME, at, end, marks, state)
    elif tag == _HTML:
        language(data, at, end, spans)
        _mark(HTML, spans[0, 0], spans[0, 1], marks, state)
    elif tag == _BODY_TAG and state[S_BODY] == 0:
        state[S_BODY] = 1
        _flush(text, blocks, stack, state)
        elements[0, TOKENS] = state[S_TOKENS]
        attributes(data, at, size, tokens, state)
        elements[0, TOKENS_END] = state[S_TOKENS]
    return end


@njit(cache=True, nogil=True)
def _within_skipped(tag: Any, flags: Any, state: Any) -> None:
    """Keep count of what opens inside of a subtree that is passed over."""
    skipped = state[S_SKIP_TAG]
    if tag == skipped and tag != _RT and tag != _RP:
        state[S_SKIP_DEPTH] += 1
    elif (tag == _RT or tag == _RP) and (skipped == _RT or skipped == _RP):
        state[S_SKIP_TAG] = tag
    elif flags & PUSH:
        state[S_SKIP_INNER] += 1


@njit(cache=True, nogil=True)
def _mark(kind: int, start: int, stop: int, marks: Any, state: Any) -> None:
    if state[S_MARKS] < len(marks):
        mark = marks[state[S_MARKS]]
        mark[0], mark[1], mark[2] = kind, start, stop
        state[S_MARKS] += 1


@njit(cache=True, nogil=True)
def _break(text: Any, blocks: Any, stack: Any, state: Any) -> None:
    """Take a line break by tag; a second one without text between them ends the block."""
    state[S_BREAK_COUNT] += 1
    if state[S_PRE] > 0:
        if state[S_POS] > state[S_BEGIN]:
            text[state[S_POS]] = 10
            state[S_POS] += 1
    elif state[S_BRS] > 0:
        _flush(text, blocks, stack, state)
    else:
        state[S_GAP] = 2
        state[S_BRS] = 1


@njit(cache=True, nogil=True, inline="always")
def _block(
    data: Any, at: int, size: int, tag: Any, text: Any, elements: Any, blocks: Any, tokens: Any, stack: Any,
    counts: Any, state: Any,
) -> Any:  # fmt: skip
    """Open a block-level element, having closed what its start tag implies."""
    _flush(text, blocks, stack, state)
    _imply(tag, elements, stack, counts, state)
    number = _push(tag, elements, stack, counts, state)
    if number < 0:
        return tag_end(data, at, size)
    state[S_HIDES], state[S_NUMBER] = 0, 1
    at = attributes(data, at, size, tokens, state)
    elements[number, TOKENS_END], elements[number, HIDDEN] = state[S_TOKENS], state[S_HIDES]
    elements[number, NUMBER] = state[S_NUMBER]
    if tag == _H1 and state[S_HEADING] < 0:
        state[S_HEADING] = number
    if (tag == _PRE_TAG or tag == _LISTING) and at < size and data[at] == 10:
        at += 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _imply(tag: Any, elements: Any, stack: Any, counts: Any, state: Any) -> None:
    """Close the elements whose end a start tag implies."""
    top = elements[stack[state[S_TOP]], TAG]
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
    place = state[S_TOP]
    while place > 0:
        tag = elements[stack[place], TAG]
        if tag == one or tag == other:
            while state[S_TOP] >= place:
                _pop(elements, stack, counts, state)
            return
        if tag == bar or tag == bar2 or tag == bar3 or tag == bar4:
            return
        place -= 1


@njit(cache=True, nogil=True, inline="always")
def _end_tag(
    data: Any, at: int, size: int, tables: Any, text: Any, elements: Any, blocks: Any, stack: Any, counts: Any,
    state: Any,
) -> Any:  # fmt: skip
    tag, at = tag_name(data, at + 2, size, tables)
    at = tag_end(data, at, size)
    flags = tables[2][tag]
    skipped = state[S_SKIP_TAG]
    if skipped >= 0:
        if tag == skipped:
            state[S_SKIP_DEPTH] -= 1
            if state[S_SKIP_DEPTH] == 0:
                state[S_SKIP_TAG] = -1
            return at
        if tag == _RUBY and (skipped == _RT or skipped == _RP):
            state[S_SKIP_TAG] = -1
            return at
        if flags & PUSH and state[S_SKIP_INNER] > 0:
            state[S_SKIP_INNER] -= 1
            return at
        if not flags & PUSH or counts[tag] == 0:
            return at
        state[S_SKIP_TAG] = -1  # it was never closed, and what it stands in ends here
    if flags & PUSH:
        _flush(text, blocks, stack, state)
        if state[S_OVER] > 0:
            state[S_OVER] -= 1
        elif counts[tag]:
            _close_to(tag, elements, stack, counts, state)
    elif tag == _A_TAG:
        if state[S_LINK] >= 0 and _is_anchor(text, state[S_LINK_POS], state[S_POS], state[S_BEGIN]):
            state[S_POS], state[S_GAP] = state[S_LINK_POS], 1
        state[S_LINK] = -1
    elif tag == _BR:
        _break(text, blocks, stack, state)
    return at


@njit(cache=True, nogil=True)
def _is_anchor(text: Any, start: Any, stop: Any, begin: Any) -> Any:
    """Tell a link that only names its place, as documentation has them behind headings: its text is ¶ or # or §."""
    if start <= begin or stop - start > 3 or stop <= start:
        return False
    first = start + (text[start] == 32)
    if stop - first == 1:
        return text[first] == 35
    return stop - first == 2 and text[first] == 0xC2 and (text[first + 1] == 0xB6 or text[first + 1] == 0xA7)


@njit(cache=True, nogil=True)
def _close_to(tag: Any, elements: Any, stack: Any, counts: Any, state: Any) -> None:
    """Close the innermost element of this tag and those in it; tables hold what is in their cells."""
    of_table = tag == _TABLE or tag == _TR or tag == _TD or tag == _TH or _TBODY <= tag <= _TFOOT
    small = tag == _P or tag == _LI
    place = state[S_TOP]
    while place > 0:
        inner = elements[stack[place], TAG]
        if inner == tag:
            while state[S_TOP] >= place:
                _pop(elements, stack, counts, state)
            return
        if (inner == _TABLE and tag != _TABLE) or (not of_table and (inner == _TD or inner == _TH)):
            return
        if small and (inner == _DIV or inner == _UL or inner == _OL or inner == _SECTION or inner == _ARTICLE):
            return
        place -= 1
