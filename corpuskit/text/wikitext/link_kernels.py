"""Render links between double brackets."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import (
    ARGS,
    BASE,
    DEPTH,
    HOLE,
    KIND,
    LINKED,
    ROOM_EXTENSION,
    ROOM_LINK,
    START,
    TABLE,
    O,
    copy,
    hash_name,
    kernel,
    look_up,
    strip,
    strip_holes,
)

#: What a prefix means: the link shows nothing; it names another wiki; it is of an address.
DROPPED, OTHER_WIKI, ADDRESS = 1, 2, 3


@kernel
def close_link(w: Any) -> None:
    """Render the link at the top: its text, or its target; of files, categories and other languages a hole."""
    state, out = w.state, w.out
    top = w.frames[state[DEPTH]]
    start, base = top[START], top[BASE]
    piped = state[ARGS] > base
    end = w.args[base, 1] if piped else state[O]
    shown, stop = strip(out, end + 1, state[O]) if piped else (end, end)
    state[DEPTH] -= 1
    state[ARGS] = base
    parent = w.frames[state[DEPTH]]
    if parent[KIND] == TABLE:
        parent[LINKED] = 1
    state[O] = _rendered(w, start, end, shown, stop, piped)


@kernel
def _rendered(w: Any, start: int, end: int, shown: int, stop: int, piped: bool) -> Any:
    out = w.out
    first, end = strip_holes(out, start, end)
    if first < end and out[first] == 58:  # a leading colon shows what else would be dropped
        while first < end and out[first] == 58:
            first += 1
    else:
        colon = first
        while colon < end and colon - first < 80 and out[colon] != 58:
            colon += 1
        if colon < end and out[colon] == 58:
            means = look_up(w.keys, w.values, hash_name(w.lower, out, first, colon, ROOM_LINK))
            if means == DROPPED or is_media(w, out, first, end):
                out[start] = HOLE
                return start + 1
            if means in (OTHER_WIKI, ADDRESS):
                first = colon + 1
            if means == ADDRESS:
                while first < end and out[first] > 32:
                    first += 1
    if shown < stop:
        return copy(out, shown, stop, out, start)
    if piped:
        first, end = _trimmed(out, first, end)
    first, end = strip(out, first, end)
    for at in range(first, end):
        if out[at] != HOLE:
            out[start] = 32 if out[at] == 95 else out[at]
            start += 1
    return start


@kernel
def is_dropped(w: Any, start: int, end: int) -> bool:
    """Tell whether a link to this shows nothing: a file, a category, another language."""
    first, end = strip_holes(w.out, start, end)
    colon = first
    while colon < end and colon - first < 80 and w.out[colon] != 58:
        colon += 1
    if colon == first or colon >= end or w.out[colon] != 58:
        return False
    means = look_up(w.keys, w.values, hash_name(w.lower, w.out, first, colon, ROOM_LINK))
    return bool(means == DROPPED or is_media(w, w.out, first, end))


@kernel
def _trimmed(out: Any, first: int, end: int) -> Any:
    """Cut what the pipe trick cuts: the prefix, and what stands in parentheses at the end."""
    for at in range(first, end):
        if out[at] == 58 and at + 1 < end:
            first = at + 1
            break
    if first < end and out[end - 1] == 41:
        for at in range(end - 1, first, -1):
            if out[at] == 40:
                return first, at
    return first, end


@kernel
def is_media(w: Any, data: Any, start: int, stop: int) -> bool:
    """Tell whether a name ends in the extension of a media file."""
    start, stop = strip_holes(data, start, stop)
    for at in range(stop - 1, max(start, stop - 6), -1):
        if data[at] == 46:
            return bool(look_up(w.keys, w.values, hash_name(w.lower, data, at + 1, stop, ROOM_EXTENSION)) != 0)
    return False
