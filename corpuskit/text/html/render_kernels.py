"""Write the blocks of a page that are kept as readable text; import it only where it runs, for numba's sake.

Paragraphs and headings stand between blank lines; items of lists behind `- ` or their number, nested ones indented;
rows of tables as `cell | cell`, unless cells hold several blocks, as where tables lay a page out; code as it stands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import (
    ELEMENT,
    END,
    MAX_DEPTH,
    NUMBER,
    PARENT,
    START,
    STOP,
    TAG,
)  # fmt: skip
from corpuskit.text.html.tags import NUMBER as _TAG_NUMBER
from corpuskit.text.vector_kernels import borrowed

_MAX_INDENT = 10  # levels of a list that show
_MAX_SKIPPED = 8  # empty cells that show
#: What a block takes at most besides its text.
BYTES_A_BLOCK = 2 * _MAX_INDENT + 16 + 3 * _MAX_SKIPPED
_LONGEST_ROW = 2_000

_LI, _UL, _OL, _MENU, _DIR = (np.int64(_TAG_NUMBER[name]) for name in ["li", "ul", "ol", "menu", "dir"])
_TR, _TD, _TH, _TABLE = (np.int64(_TAG_NUMBER[name]) for name in ["tr", "td", "th", "table"])
_DT, _DD, _PRE, _LISTING, _CAPTION = (np.int64(_TAG_NUMBER[name]) for name in ["dt", "dd", "pre", "listing", "caption"])

# Where a block stands: the elements around it, -1 for none.
_ITEM, _LIST, _LEVEL, _ROW, _CELL, _GRID, _CODE, _TERM, _ORDERED = range(9)


@njit(cache=True, nogil=True)
def item_numbers(elements: Any, numbers: Any, next_one: Any) -> None:
    """Number the items of each list from its start on: fills `numbers`, one for each element; `next_one` is scratch."""
    numbers[:] = 0
    next_one[:] = 0
    for each in range(len(elements)):
        tag = elements[each, TAG]
        if tag == _OL:
            next_one[each] = elements[each, NUMBER]
        elif tag == _LI and elements[each, PARENT] >= 0:
            numbers[each] = next_one[elements[each, PARENT]]
            next_one[elements[each, PARENT]] += 1


@njit(cache=True, nogil=True)
def write(text: Any, elements: Any, blocks: Any, kept: Any, numbers: Any, written: Any) -> int:
    """Write the text of the blocks in `kept` (their places, ascending) as bytes; gives how many.

    numbers: see `item_numbers`; written: has room for the text and BYTES_A_BLOCK more for each block.
    """
    here_owned, before_owned = np.empty(9, np.int64), np.full(9, -1, np.int64)
    here, before = borrowed(here_owned), borrowed(before_owned)
    text, elements, blocks = borrowed(text), borrowed(elements), borrowed(blocks)
    kept, numbers, out = borrowed(kept), borrowed(numbers), borrowed(written)
    at, row, row_is_line = 0, -1, False
    before[_LEVEL] = 0
    for each in range(len(kept)):
        block = blocks[kept[each]]
        _where(elements, block[ELEMENT], here)
        if here[_ROW] >= 0 and here[_ROW] != row:
            row = here[_ROW]
            row_is_line = _is_line(elements, blocks, kept, each, row)
        line = here[_ROW] >= 0 and row_is_line
        if not line:
            here[_ROW] = -1
        if at:
            at = _separate(elements, here, before, out, at)
        if line:
            at = _copy_line(text, block, out, at)
        else:
            at = _lead(here, before, numbers, out, at)
            at = _copy(text, block, out, at)
        for column in range(9):
            before[column] = here[column]
    here_owned[0] = before_owned[0] = 0  # they live until here
    return at


@njit(cache=True, nogil=True)
def _where(elements: Any, element: Any, here: Any) -> None:
    here[:] = -1
    here[_LEVEL] = 0
    here[_ORDERED] = 0
    for _ in range(MAX_DEPTH):
        if element <= 0:
            break
        tag = elements[element, TAG]
        if here[_CELL] < 0:  # lists and code outside of a table's cell are not the cell's own
            if tag == _LI and here[_ITEM] < 0 and here[_LIST] < 0:
                here[_ITEM] = element
                here[_ORDERED] = elements[elements[element, PARENT], TAG] == _OL
            elif tag == _UL or tag == _OL or tag == _MENU or tag == _DIR:
                here[_LIST] = element  # the outermost one in the end
                here[_LEVEL] += 1
            elif (tag == _PRE or tag == _LISTING) and here[_CODE] < 0:
                here[_CODE] = element
            elif (tag == _DT or tag == _DD) and here[_TERM] < 0:
                here[_TERM] = element
            elif tag == _TD or tag == _TH:
                here[_CELL] = element
            elif tag == _CAPTION:
                here[_GRID] = -2
        if tag == _TR and here[_ROW] < 0:
            here[_ROW] = element
        elif tag == _TABLE:
            if here[_GRID] < 0:
                here[_GRID] = element
            break
        element = elements[element, PARENT]
    if here[_ITEM] < 0:
        here[_LIST] = -1


@njit(cache=True, nogil=True)
def _is_line(elements: Any, blocks: Any, kept: Any, first: int, row: int) -> Any:
    """Tell whether each cell of a row has one block at most, and the row is no longer than a line may be."""
    end, size, cell = elements[row, END], 0, np.int64(-1)
    place = first
    while place < len(kept) and kept[place] < end:
        element = np.int64(blocks[kept[place], ELEMENT])
        while element > row and elements[element, TAG] != _TD and elements[element, TAG] != _TH:
            element = elements[element, PARENT]
        if element == cell or element <= row:
            return False
        cell = element
        size += blocks[kept[place], STOP] - blocks[kept[place], START]
        place += 1
    return size <= _LONGEST_ROW and (place - first > 1 or _cells(elements, row) > 1)


@njit(cache=True, nogil=True)
def _cells(elements: Any, row: int) -> int:
    """Count the cells of a row, two at most."""
    count, element = 0, row + 1
    while element < len(elements) and elements[element, PARENT] >= row and count < 2:
        count += elements[element, PARENT] == row
        element += 1
    return count


@njit(cache=True, nogil=True)
def _separate(elements: Any, here: Any, before: Any, out: Any, at: int) -> int:
    """Write what stands between two blocks."""
    if here[_ROW] >= 0 and here[_ROW] == before[_ROW]:
        between = 0
        for element in range(before[_CELL] + 1, here[_CELL] + 1):
            between += elements[element, PARENT] == here[_ROW]
        for _ in range(min(max(1, between), _MAX_SKIPPED)):
            at = _put3(32, 124, 32, out, at)
        return at
    out[at] = 10
    at += 1
    same_grid = here[_GRID] >= 0 and here[_GRID] == before[_GRID]
    if here[_ROW] >= 0 and before[_ROW] >= 0 and same_grid:
        return at
    if here[_CODE] >= 0 and here[_CODE] == before[_CODE]:
        return at
    if here[_LIST] >= 0 and here[_LIST] == before[_LIST]:
        return at
    both = here[_TERM] >= 0 and before[_TERM] >= 0
    if both and elements[here[_TERM], TAG] == _DD and _siblings(elements, here[_TERM], before[_TERM]):
        return at
    out[at] = 10
    return at + 1


@njit(cache=True, nogil=True)
def _siblings(elements: Any, one: Any, other: Any) -> Any:
    return elements[one, PARENT] == elements[other, PARENT]


@njit(cache=True, nogil=True)
def _put3(one: int, two: int, three: int, out: Any, at: int) -> int:
    out[at], out[at + 1], out[at + 2] = one, two, three
    return at + 3


@njit(cache=True, nogil=True)
def _lead(here: Any, before: Any, numbers: Any, out: Any, at: int) -> Any:
    """Write the indentation and the mark of an item; what follows in the same item is indented below its text."""
    if here[_ITEM] < 0:
        return at
    level = min(_MAX_INDENT, max(1, here[_LEVEL]))
    again = here[_ITEM] == before[_ITEM]
    for _ in range(2 * (level - 1 + again)):
        out[at] = 32
        at += 1
    if again:
        return at
    if not here[_ORDERED]:
        out[at], out[at + 1] = 45, 32
        return at + 2
    return _number(numbers[here[_ITEM]], out, at)


@njit(cache=True, nogil=True)
def _number(value: Any, out: Any, at: int) -> int:
    if value < 0:
        out[at] = 45
        at, value = at + 1, -value
    digits, rest = 1, value
    while rest >= 10:
        rest //= 10
        digits += 1
    for place in range(digits - 1, -1, -1):
        out[at + place] = 48 + value % 10
        value //= 10
    out[at + digits], out[at + digits + 1] = 46, 32
    return at + digits + 2


@njit(cache=True, nogil=True)
def _copy(text: Any, block: Any, out: Any, at: int) -> Any:
    size = block[STOP] - block[START]
    out[at : at + size] = text[block[START] : block[STOP]]
    return at + size


@njit(cache=True, nogil=True)
def _copy_line(text: Any, block: Any, out: Any, at: int) -> int:
    """Copy a cell, its line breaks as spaces."""
    for place in range(block[START], block[STOP]):
        out[at] = 32 if text[place] == 10 else text[place]
        at += 1
    return at
