"""Tables: cells are gathered while they are read, and written as rows when the table closes."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import (
    ARGS,
    ATTRIBUTES,
    BASE,
    BROKEN,
    CAPTION,
    CELL,
    COUNT,
    CURRENT,
    DEPTH,
    ERROR,
    FURNITURE,
    HEADER,
    HOLE,
    LINKED,
    OVERFLOW,
    ROOM_ATTRIBUTE,
    ROOM_WORD,
    START,
    O,
    copy,
    hash_name,
    kernel,
    look_up,
    put,
    strip,
    strip_holes,
)

_LONG_CELL = 400  # characters; one of several lines that is longer is a text of its own
# Within a table's frame: whether the next cell begins a row.
NEW_ROW = COUNT


@kernel
def table_line(w: Any, mark: int) -> None:
    """Begin what a line's mark says: a row `-`, a caption `+`, a cell `|`, a header cell `!`."""
    end_cell(w)
    top = w.frames[w.state[DEPTH]]
    if mark == 45:
        top[NEW_ROW], top[ATTRIBUTES] = 1, 1
        return
    if mark == 43 or top[CAPTION]:
        top[NEW_ROW] = 1
    top[ATTRIBUTES], top[HEADER], top[CAPTION] = 0, mark == 33, mark == 43


@kernel
def end_cell(w: Any) -> None:
    """Put away the cell that ends here; of a row's attributes, what stands below their line."""
    state = w.state
    top = w.frames[state[DEPTH]]
    start, end = top[CURRENT], state[O]
    if state[ARGS] + 2 >= len(w.args):
        state[ERROR] = OVERFLOW
        return
    if top[ATTRIBUTES]:
        line = start
        while line < end and w.out[line] != 10:
            line += 1
        if state[ARGS] == top[BASE] and _names_furniture(w, start, line):
            top[FURNITURE] = 1
        start, end = strip_holes(w.out, line, end)
        if start < end:
            _add(w, start, end, True)
            top[NEW_ROW] = 1
    else:
        _add(w, start, end, top[NEW_ROW] != 0)
        top[NEW_ROW] = 0
    put(w, 32)
    top[CURRENT] = state[O]
    top[LINKED] = top[BROKEN] = 0


@kernel
def _add(w: Any, start: int, end: int, new_row: bool) -> None:
    cell = w.args[w.state[ARGS]]
    cell[0], cell[1], cell[2] = start, end, new_row
    w.state[ARGS] += 1


@kernel
def _names_furniture(w: Any, start: int, stop: int) -> bool:
    """Tell whether one of the words of a table's attributes is a class of furniture."""
    word = start
    for at in range(start, min(stop, start + 2000) + 1):
        byte = w.out[at] if at < stop else 32
        if 97 <= byte | 32 <= 122:
            continue
        if 3 < at - word < 30 and look_up(w.keys, w.values, hash_name(w.lower, w.out, word, at, ROOM_WORD)):
            return True
        word = at + 1
    return False


@kernel
def fits(w: Any, start: int, stop: int, cells: int) -> bool:
    """Tell whether `tmp` has room for a table, and remember where not."""
    if 8 * cells + 3 * (stop - start) + 4096 > len(w.tmp):
        w.state[ERROR] = OVERFLOW
        return False
    return True


@kernel
def close_table(w: Any) -> None:
    """Write the table at the top, a row a line."""
    state, out, tmp = w.state, w.out, w.tmp
    end_cell(w)
    top = w.frames[state[DEPTH]]
    start, base, stop = top[START], top[BASE], state[ARGS]
    state[DEPTH] -= 1
    state[ARGS] = base
    if state[ERROR]:
        return
    state[O] = start
    if top[FURNITURE]:
        put(w, HOLE)
        return
    if not fits(w, start, top[CURRENT], stop - base):
        return
    tmp[0] = 10
    o = 1
    cell = base
    while cell < stop:
        behind = cell + 1
        while behind < stop and not w.args[behind, 2]:
            behind += 1
        o = _row(w, cell, behind, o)
        cell = behind
    state[O] = copy(tmp, 0, o, out, start)


@kernel
def _row(w: Any, first: int, stop: int, o: int) -> int:
    """Write a row to `tmp`; a cell that is a text of its own goes below it."""
    tmp, begin = w.tmp, o
    if stop - first == 2 and _is_label(w, first):
        return o
    tmp[o] = HOLE  # no list and no heading
    o += 1
    filled = o
    texts = 0
    for cell in range(first, stop):
        start, end = strip(w.out, w.args[cell, 0], w.args[cell, 1])
        begins = start
        start = _behind_attributes(w, start, end)
        lines, listed, heading, several = _shape(w.out, start, end)
        marked = lines != 1 or (begins == start and _holds_line_feed(w.out, w.args[cell, 0], start))
        if lines > 1 and (heading or _characters(w.out, start, end) > _LONG_CELL):
            texts += 1
            w.args[cell, 0], w.args[cell, 1], w.args[cell, 2] = start, end, 2
            continue
        if cell > first and not (texts and o == begin + 1):
            tmp[o], tmp[o + 1], tmp[o + 2] = 32, CELL, 32
            o += 3
        before = o
        if lines == 1 and not several and not (marked and listed):
            start, end = strip(w.out, start, end)
            o = copy(w.out, start, end, tmp, o)
        elif lines:
            o = _cell(w.out, start, end, listed, marked, tmp, o)
        if o > before:
            filled = o
    o = filled
    if o == begin + 1:
        o = begin
    else:
        tmp[o] = 10
        o += 1
    for cell in range(first, stop if texts else first):
        if w.args[cell, 2] == 2:
            tmp[o] = 10
            o = copy(w.out, w.args[cell, 0], w.args[cell, 1], tmp, o + 1)
            tmp[o] = tmp[o + 1] = 10
            o += 2
    return o


@kernel
def _is_label(w: Any, cell: int) -> bool:
    """Tell whether a cell is a label, `Population:`, and nothing is left of the value in the next."""
    out = w.out
    first, stop = w.args[cell + 1, 0], w.args[cell + 1, 1]
    start, end = strip_holes(out, first, stop)
    if start < end:
        return False
    lost = False
    for at in range(first, stop):
        lost = lost or out[at] == HOLE
    start, end = strip_holes(out, w.args[cell, 0], w.args[cell, 1])
    return bool(lost and start < end and out[end - 1] == 58)


@kernel
def _characters(out: Any, start: int, end: int) -> int:
    """Count characters, at least to see whether they are more than _LONG_CELL."""
    if end - start <= _LONG_CELL or end - start > 4 * _LONG_CELL:
        return end - start
    count = 0
    for at in range(start, end):
        count += out[at] & 0xC0 != 0x80
    return count


@kernel
def _line(out: Any, at: int, end: int) -> Any:
    """Give (start, stop, next) of the line at `at`, without white space and holes around."""
    stop = at
    while stop < end and out[stop] != 10:
        stop += 1
    behind = stop + 1
    start, stop = strip_holes(out, at, stop)
    return start, stop, behind


@kernel
def _shape(out: Any, start: int, end: int) -> Any:
    """Give of a cell: lines that are not empty, whether all are those of a list, whether one is a heading.

    And whether there are other lines, with nothing or holes.
    """
    lines, listed, heading, several = 0, True, False, False
    at = start
    while at < end:
        several = at > start
        first, stop, at = _line(out, at, end)
        if first < stop:
            lines += 1
            listed = listed and (out[first] == 42 or out[first] == 35)
            heading = heading or out[first] == 61
    return lines, listed, heading, several


@kernel
def _holds_line_feed(out: Any, start: int, end: int) -> bool:
    found = False
    for at in range(start, end):
        found = found or out[at] == 10
    return found


@kernel
def _cell(out: Any, start: int, end: int, listed: bool, marked: bool, tmp: Any, o: int) -> Any:
    """Write a cell of several lines in one; `marked`: what begins its lines are marks of a list, not signs."""
    begin = o
    at = start
    while at < end:
        first, stop, at = _line(out, at, end)
        while marked and first < stop and (out[first] == 42 or out[first] == 35 or 58 <= out[first] <= 59):
            first += 1
        first, stop = strip(out, first, stop)
        if first == stop:
            continue
        if o > begin:
            if listed:
                tmp[o] = 44
                o += 1
            tmp[o] = 32
            o += 1
        o = copy(out, first, stop, tmp, o)
    return o


@kernel
def _behind_attributes(w: Any, start: int, end: int) -> int:
    """Skip attributes at a cell's begin, whose pipe came from a template."""
    out = w.out
    while start < end:
        at = start
        while at < end and (97 <= out[at] | 32 <= 122 or out[at] == 45):
            at += 1
        name = at
        while at < end and out[at] == 32:
            at += 1
        if at == start or at >= end or out[at] != 61 or name - start > 16:
            return start
        if not look_up(w.keys, w.values, hash_name(w.lower, out, start, name, ROOM_ATTRIBUTE)):
            return start
        at += 1
        while at < end and out[at] == 32:
            at += 1
        quote = out[at] if at < end and (out[at] == 34 or out[at] == 39) else 0
        at += quote != 0
        while at < end and (out[at] != quote if quote else out[at] > 32 and out[at] != 124):
            at += 1
        at += quote != 0
        if at > end or (at < end and out[at] > 32):
            return start
        while at < end and (out[at] == 32 or out[at] == HOLE):
            at += 1
        start = at
    return start
