"""Scan wikitext once, from left to right; what closes is rendered at once (`render_kernels`, `table_kernels`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpuskit.text.wikitext.base_kernels import (
    ARGS,
    AT,
    ATTRIBUTES,
    BASE,
    BROKEN,
    COUNT,
    CURRENT,
    DEPTH,
    ERROR,
    EXTERNAL,
    HEADER,
    HOLE,
    KEY,
    KIND,
    LINK,
    LINKED,
    OVERFLOW,
    START,
    TABLE,
    TEMPLATE,
    O,
    kernel,
    put,
    room_for,
)
from corpuskit.text.wikitext.frame_kernels import end_argument, flatten, push
from corpuskit.text.wikitext.link_kernels import close_link
from corpuskit.text.wikitext.table_kernels import close_table, end_cell, table_line
from corpuskit.text.wikitext.tag_kernels import tag
from corpuskit.text.wikitext.template_kernels import parameter, template

_CLASS = np.zeros(256, np.uint8)
_CLASS[:9] = 1
_CLASS[np.frombuffer(b"\n<{}[]|=!", np.uint8)] = 1


@kernel
def scan(w: Any, stop: int) -> None:
    """Render source[0:stop] into `out`."""
    state, source, out = w.state, w.source, w.out
    while state[AT] < stop and state[ERROR] == 0:
        at, o = state[AT], state[O]
        if o + stop - at + 4096 > len(out):
            state[ERROR] = OVERFLOW
            return
        byte = source[at]
        while _CLASS[byte] == 0:
            out[o] = byte
            o += 1
            at += 1
            byte = source[at]
        state[AT], state[O] = at, o
        if byte == 10:
            _line_feed(w, stop)
        elif byte == 61:
            _equals(w)
        elif byte >= 91:
            _bracket(w, byte)
        elif byte == 60:
            tag(w, stop)
        elif byte == 33:
            _exclamation(w)
        else:
            state[AT] = at + 1  # a control character, or the end
    while state[DEPTH] > 0 and state[ERROR] == 0:
        flatten(w)


@kernel
def _equals(w: Any) -> None:
    """Write an equals sign; an argument's name ends at its first one."""
    state = w.state
    put(w, 61)
    state[AT] += 1
    top = w.frames[state[DEPTH]]
    if top[KIND] == TEMPLATE and top[KEY] < 0 and state[ARGS] > top[BASE]:
        top[KEY] = state[O]


@kernel
def _bracket(w: Any, byte: int) -> None:
    state, source = w.state, w.source
    at = state[AT]
    if byte == 124:
        _pipe(w)
        return
    run = 1
    while source[at + run] == byte:
        run += 1
    if byte == 91:
        _open_link(w, run)
        return
    state[AT] = at + run
    if byte == 93:
        _close_brackets(w, run)
    elif run == 1:
        put(w, byte)
    elif byte == 123:
        push(w, TEMPLATE, run)
    else:
        _close_braces(w, run)


@kernel
def _line_feed(w: Any, stop: int) -> None:
    state, source = w.state, w.source
    line = state[AT] + 1
    at = line
    while source[at] == 32 or source[at] == 9:
        at += 1
    if source[at] == 10:  # a blank line: no link goes on behind it
        while w.frames[state[DEPTH], KIND] == LINK:
            flatten(w)
        put(w, 10)
        state[AT] = at
        return
    table = at
    while source[table] == 32 or source[table] == 9 or source[table] == 58:
        table += 1
    if source[table] == 123 and source[table + 1] == 124 and source[table + 2] != 125:
        put(w, 10)
        state[AT] = table + 2
        push(w, TABLE, 0)
        return
    kind = w.frames[state[DEPTH], KIND]
    if source[at] == 124 and source[at + 1] == 125 and source[at + 2] != 125:
        _table_end(w, at)
    elif kind == TABLE and (source[at] == 124 or source[at] == 33):
        _table_line(w, at)
    else:
        put(w, 10)
        state[AT] = line
        w.frames[state[DEPTH], EXTERNAL] = -1
        w.frames[state[DEPTH], BROKEN] = 1


@kernel
def _table_end(w: Any, at: int) -> None:
    state = w.state
    while w.frames[state[DEPTH], KIND] == LINK:
        flatten(w)
    if w.frames[state[DEPTH], KIND] == TABLE:
        state[AT] = at + 2
        close_table(w)
    else:
        put(w, 10)
        state[AT] += 1


@kernel
def _table_line(w: Any, at: int) -> None:
    source = w.source
    mark = source[at]
    if mark == 124 and (source[at + 1] == 45 or source[at + 1] == 43):
        mark = source[at + 1]
        at += 1
    at += 1
    while mark == 45 and source[at] == 45:
        at += 1
    w.state[AT] = at
    table_line(w, mark)


@kernel
def _pipe(w: Any) -> None:
    state = w.state
    top = w.frames[state[DEPTH]]
    state[AT] += 1
    if top[KIND] == TEMPLATE or top[KIND] == LINK:
        end_argument(w)
    elif top[KIND] == TABLE and not top[ATTRIBUTES]:
        if w.source[state[AT]] == 124:
            state[AT] += 1
            end_cell(w)
        elif not top[LINKED] and not top[BROKEN]:
            state[O] = top[CURRENT]  # those were the cell's attributes
            top[LINKED] = 1
        else:
            put(w, 32)
    else:
        put(w, 124)


@kernel
def _exclamation(w: Any) -> None:
    state = w.state
    top = w.frames[state[DEPTH]]
    double = w.source[state[AT] + 1] == 33
    if double and top[KIND] == TABLE and top[HEADER] and not top[ATTRIBUTES]:
        state[AT] += 2
        end_cell(w)
    else:
        put(w, 33)
        state[AT] += 1


@kernel
def _open_link(w: Any, run: int) -> None:
    state, source = w.state, w.source
    at = state[AT]
    if run >= 2:
        for _ in range(run - 2):
            put(w, 91)
            if not room_for(w, 0):
                return
        state[AT] = at + run
        push(w, LINK, 0)
        return
    address = _address(source, at + 1)
    if address < 0:
        put(w, 91)
        state[AT] = at + 1
        return
    while source[address] == 32 or source[address] == 9:
        address += 1
    state[AT] = address
    w.frames[state[DEPTH], EXTERNAL] = state[O]
    if source[address] == 93:
        put(w, HOLE)


@kernel
def _address(source: Any, at: int) -> int:
    """Give where an address ends, -1 where none begins: `https://a`, `//a`, `mailto:a`."""
    start = at
    while at - start < 10 and 97 <= source[at] | 32 <= 122:
        at += 1
    letters = at - start
    if letters and source[at] != 58:
        return -1
    if letters:
        at += 1
    slashes = source[at] == 47 and source[at + 1] == 47
    mail = (letters == 6 and source[start] | 32 == 109) or (letters == 4 and source[start] | 32 == 110)
    if not slashes and not mail:
        return -1
    while source[at] > 32 and source[at] != 91 and source[at] != 93 and source[at] != 34:
        if source[at] == 60 or source[at] == 62 or (source[at] == 39 and source[at + 1] == 39):
            break
        at += 1
    return at


@kernel
def _close_brackets(w: Any, brackets: int) -> None:
    state = w.state
    while brackets > 0:
        top = w.frames[state[DEPTH]]
        if top[EXTERNAL] >= 0:
            top[EXTERNAL] = -1
            brackets -= 1
        elif brackets == 1:
            put(w, 93)
            return
        else:
            brackets -= 2
            if top[KIND] == LINK:
                close_link(w)


@kernel
def _close_braces(w: Any, braces: int) -> None:
    state, frames = w.state, w.frames
    while braces >= 2:
        at = state[DEPTH]
        while at > 0 and frames[at, KIND] != TEMPLATE:
            at -= 1
        if at == 0:
            return  # closers of nothing vanish
        while state[DEPTH] > at:
            flatten(w)
        used = min(braces, frames[at, COUNT], 3)
        braces -= used
        left = frames[at, COUNT] - used
        end_argument(w)
        if state[ERROR]:
            return
        state[O] -= 1  # without the separator
        start, base = frames[at, START], frames[at, BASE]
        state[DEPTH] = at - 1
        if used == 3:
            parameter(w, base, start)
        else:
            template(w, base, start)
        state[ARGS] = base
        if left:
            _reopen(w, start, left)
    if braces:
        put(w, 125)


@kernel
def _reopen(w: Any, start: int, left: int) -> None:
    """Go on within the braces that are still open before what was just rendered."""
    state = w.state
    if left >= 2:
        push(w, TEMPLATE, left)
        w.frames[state[DEPTH], START] = start
        w.frames[state[DEPTH], CURRENT] = start
        return
    for at in range(state[O], start, -1):
        w.out[at] = w.out[at - 1]
    w.out[start] = 123
    state[O] += 1
