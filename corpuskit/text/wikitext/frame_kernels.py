"""Open and give up constructs."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import (
    ARGS,
    ATTRIBUTES,
    BASE,
    COUNT,
    CURRENT,
    DEPTH,
    ERROR,
    EXTERNAL,
    HOLE,
    KEY,
    KIND,
    LINK,
    MAX_DEPTH,
    OVERFLOW,
    START,
    TABLE,
    TOO_DEEP,
    O,
    copy,
    kernel,
    put,
)
from corpuskit.text.wikitext.link_kernels import is_dropped
from corpuskit.text.wikitext.table_kernels import close_table, fits


@kernel
def push(w: Any, kind: int, count: int) -> None:
    """Open a template, a link or a table where `out` ends."""
    state = w.state
    if state[DEPTH] >= MAX_DEPTH:
        state[ERROR] = TOO_DEEP
        return
    state[DEPTH] += 1
    frame = w.frames[state[DEPTH]]
    frame[:] = 0
    frame[KIND], frame[COUNT] = kind, count
    frame[START] = frame[CURRENT] = state[O]
    frame[KEY] = frame[EXTERNAL] = -1
    frame[BASE] = state[ARGS]
    frame[ATTRIBUTES] = 1


@kernel
def end_argument(w: Any) -> None:
    """End an argument of the template or link at the top, and begin the next one behind a pipe."""
    state = w.state
    if state[ARGS] + 2 >= len(w.args):
        state[ERROR] = OVERFLOW
        return
    top = w.frames[state[DEPTH]]
    argument = w.args[state[ARGS]]
    argument[0], argument[1], argument[2] = top[CURRENT], state[O], top[KEY]
    state[ARGS] += 1
    put(w, 124)
    top[CURRENT], top[KEY] = state[O], -1


@kernel
def flatten(w: Any) -> None:
    """Give up the construct at the top: its opener vanishes, its content stays where it is.

    A table whose end was a template, or forgotten, ends with the paragraph of its last cell. Of a link to a file that a
    blank line cuts, only what follows the last pipe stays.
    """
    state, out = w.state, w.out
    top = w.frames[state[DEPTH]]
    if top[KIND] != TABLE:
        base = top[BASE]
        if top[KIND] == LINK and state[ARGS] > base and is_dropped(w, w.args[base, 0], w.args[base, 1]):
            tail = top[CURRENT]
            out[top[START]] = HOLE
            state[O] = copy(out, tail, state[O], out, top[START] + 1)
        state[ARGS] = top[BASE]
        state[DEPTH] -= 1
        return
    end = _paragraph(out, top[CURRENT], state[O])
    rest = state[O] - end
    if not fits(w, top[START], state[O] + rest, state[ARGS] - top[BASE] + 1):
        return
    held = len(w.tmp) - rest
    copy(out, end, state[O], w.tmp, held)
    state[O] = end
    close_table(w)
    state[O] = copy(w.tmp, held, held + rest, out, state[O])


@kernel
def _paragraph(out: Any, start: int, stop: int) -> int:
    """Give where the paragraph ends: before a blank line or a heading."""
    at = start
    while at < stop:
        if out[at] == 10:
            behind = at + 1
            while behind < stop and (out[behind] == 32 or out[behind] == 9):
                behind += 1
            if behind < stop and (out[behind] == 10 or out[behind] == 61):
                return at
            at = behind
        else:
            at += 1
    return stop
