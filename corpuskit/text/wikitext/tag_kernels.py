"""Comments and tags: skip, copy, or take as layout."""

from __future__ import annotations

from typing import Any

from corpuskit.text.wikitext.base_kernels import (
    ARGS,
    AT,
    BASE,
    CELL,
    CLOSE,
    CLOSER,
    CURRENT,
    DEPTH,
    ERROR,
    HOLE,
    KIND,
    OPEN,
    OVERFLOW,
    PIECES,
    ROOM_TAG,
    TABLE,
    TEMPLATE,
    VERBATIM,
    O,
    hash_name,
    kernel,
    look_up,
    put,
    strip_holes,
)
from corpuskit.text.wikitext.entity_kernels import entity
from corpuskit.text.wikitext.frame_kernels import push
from corpuskit.text.wikitext.numbers_kernels import is_script, write_script
from corpuskit.text.wikitext.table_kernels import close_table, table_line

#: Kinds of elements; the value of a name is its kind * 64 + its number among those whose end is searched for.
SKIPPED, NOWIKI, PRE, INLINE_CODE, SOURCE, ITEM, TABLE_TAG, ROW, CELL_TAG, BLOCK, INLINE, SUP, SUB, REF = range(1, 15)
COMMENT = 0  # its number
_MAX_INNER = 300  # bytes of a comment within a tag


@kernel
def tag(w: Any, stop: int) -> None:
    """Take what begins with `<`."""
    state, source = w.state, w.source
    at = state[AT]
    if source[at + 1] == 33 and source[at + 2] == 45 and source[at + 3] == 45:
        _comment(w, stop)
        return
    closing = source[at + 1] == 47
    if w.frames[state[DEPTH], KIND] == TEMPLATE and _in_code(w):
        put(w, 60)
        state[AT] = at + 1
        return
    name = at + 1 + closing
    end = name
    while 97 <= source[end] | 32 <= 122 or (end > name and (source[end] == 45 or 48 <= source[end] <= 57)):
        end += 1
    value = 0
    if name < end < name + 24:
        value = look_up(w.keys, w.values, hash_name(w.lower, source, name, end, ROOM_TAG))
    behind = end
    while value and source[behind] != 62 and behind < stop:
        if source[behind] == 60:
            inner = _behind_comment(source, behind)
            if inner == behind:
                break
            behind = inner
        behind += 1
    if not value or source[behind] != 62:
        put(w, 60)
        state[AT] = at + 1
        return
    state[AT] = behind + 1
    _element(w, stop, value, name, end, closing, source[behind - 1] == 47)


@kernel
def _behind_comment(source: Any, at: int) -> int:
    """Give the last character of a short comment that begins here, within a tag; `at` where there is none."""
    if source[at + 1] != 33 or source[at + 2] != 45 or source[at + 3] != 45:
        return at
    end = at + 4
    while (
        end < at + _MAX_INNER
        and source[end]
        and not (source[end] == 45 and source[end + 1] == 45 and source[end + 2] == 62)
    ):
        end += 1
    return end + 2 if source[end] == 45 and source[end + 1] == 45 and source[end + 2] == 62 else at


@kernel
def _in_code(w: Any) -> bool:
    """Tell whether the template at the top is `{{code|...}}`, which shows tags as they are."""
    base = w.frames[w.state[DEPTH], BASE]
    if w.state[ARGS] == base:
        return False
    start, stop = strip_holes(w.out, w.args[base, 0], w.args[base, 1])
    if stop - start != 4:
        return False
    first = w.out[start] | 32 == 99 and w.out[start + 1] | 32 == 111
    return bool(first and w.out[start + 2] | 32 == 100 and w.out[start + 3] | 32 == 101)


@kernel
def _element(w: Any, stop: int, value: int, name: int, end: int, closing: bool, empty: bool) -> None:
    kind = value >> 6
    if kind in (SKIPPED, REF):
        if not closing and not empty:
            _skip(w, stop, value, name, end)
        put(w, HOLE)
    elif kind <= SOURCE:
        if not closing and not empty:
            _copy(w, stop, value, name, end)
    elif kind in (SUP, SUB):
        if not closing:
            _script(w, kind)
    elif kind == ITEM:
        if not closing:
            _line(w)
            put(w, 42)
            put(w, 32)
    elif kind == TABLE_TAG or (kind <= CELL_TAG and w.frames[w.state[DEPTH], KIND] == TABLE):
        _html_table(w, kind, closing)
    elif kind == CELL_TAG:
        if not closing and not _blank(w):
            put(w, 32)
            put(w, CELL)
            put(w, 32)
    elif kind in (BLOCK, ROW):
        _line(w)


@kernel
def _line(w: Any) -> None:
    put(w, 10)


@kernel
def _blank(w: Any) -> Any:
    """Tell whether the line holds nothing but marks so far."""
    at = w.state[O]
    first = max(w.frames[w.state[DEPTH], CURRENT], at - 64)
    while at > first:
        at -= 1
        byte = w.out[at]
        if byte == 10:
            return True
        if not (byte == 32 or byte == 9 or byte == 42 or byte == 35 or byte == 58 or byte == 59 or byte == HOLE):
            return False
    return first == w.frames[w.state[DEPTH], CURRENT]


@kernel
def _html_table(w: Any, kind: int, closing: bool) -> None:
    """Take <table>, and <tr>, <td>, <th> where they belong to the table at the top."""
    if kind == TABLE_TAG:
        if not closing:
            put(w, 10)
            push(w, TABLE, 0)
        elif w.frames[w.state[DEPTH], KIND] == TABLE:
            close_table(w)
    elif not closing:
        table_line(w, 45 if kind == ROW else 124)
        if kind == ROW:
            put(w, 10)  # <tr> has no attributes behind it


@kernel
def _script(w: Any, kind: int) -> None:
    """Write a number above or below the line so that it does not read as part of the one before it."""
    source = w.source
    start = w.state[AT]
    while source[start] == 32:
        start += 1
    end = start
    while end - start < 40 and is_script(source, end):
        end += 3 if source[end] == 0xE2 else 1
    behind = end
    while source[behind] == 32:
        behind += 1
    if end == start or source[behind] != 60 or source[behind + 1] != 47 or source[behind + 2] | 32 != 115:
        return
    while source[behind] != 62 and source[behind] != 0:
        behind += 1
        if source[behind] == 60:
            return
    w.state[O] = write_script(source, start, end, w.out, w.state[O], kind == SUP)
    w.state[AT] = behind + 1 if source[behind] == 62 else behind


@kernel
def _comment(w: Any, stop: int) -> None:
    """Skip a comment; without an end it goes to the end of the line. One with its own line takes it along."""
    state, source = w.state, w.source
    at = state[AT]
    end = state[CLOSER + COMMENT]
    if end != -2 and end < at + 2:
        end = at + 2
        while end < stop and not (source[end] == 45 and source[end + 1] == 45 and source[end + 2] == 62):
            end += 1
        if end >= stop:
            end = -2
        state[CLOSER + COMMENT] = end
    if end == -2:
        _to_line_end(w, stop)
        return
    state[AT] = end + 3
    if source[at - 1] == 10 and source[end + 3] == 10:
        ahead = source[end + 4]  # a line that may be one of a table is read with its line feed
        if ahead > 32 and ahead != 33 and ahead != 58 and ahead < 123:
            state[AT] += 1


@kernel
def _to_line_end(w: Any, stop: int) -> int:
    at = w.state[AT]
    while at < stop and w.source[at] != 10:
        at += 1
    w.state[AT] = at
    return int(at)


@kernel
def _end_tag(w: Any, stop: int, value: int, name: int, end: int) -> int:
    """Find the next end tag of an element, -2 where there is none ahead. Each is searched for once."""
    state, source = w.state, w.source
    slot = CLOSER + (value & 63)
    if state[slot] == -2 or state[slot] >= state[AT]:
        return int(state[slot])
    size = end - name
    at = state[AT]
    while at < stop:
        if source[at] == 60 and source[at + 1] == 47:
            same = 0
            while same < size and source[at + 2 + same] | 32 == source[name + same] | 32:
                same += 1
            byte = source[at + 2 + size] if same == size else 97
            if not (97 <= byte | 32 <= 122 or 48 <= byte <= 57):
                break
        at += 1
    state[slot] = at if at < stop else -2
    return int(state[slot])


@kernel
def _behind_tag(w: Any, stop: int, end: int) -> None:
    while end < stop and w.source[end] != 62:
        end += 1
    w.state[AT] = min(end + 1, stop)


@kernel
def _begins_reference(source: Any, at: int) -> bool:
    name = source[at] == 60 and source[at + 1] | 32 == 114 and source[at + 2] | 32 == 101 and source[at + 3] | 32 == 102
    return bool(name and (source[at + 4] == 32 or source[at + 4] == 62))


@kernel
def _skip(w: Any, stop: int, value: int, name: int, name_end: int) -> None:
    state, source = w.state, w.source
    start = state[AT]
    end = _end_tag(w, stop, value, name, name_end)
    if end == -2:
        _to_line_end(w, stop)
        return
    if value >> 6 == REF:
        # <ref name="x"> without its slash: what follows is text up to the next reference.
        for at in range(start, end):
            if _begins_reference(source, at):
                while at < end and source[at] != 62:
                    at += 1
                if source[at - 1] != 47:
                    return
                break
    _behind_tag(w, stop, end)


@kernel
def _copy(w: Any, stop: int, value: int, name: int, name_end: int) -> None:
    """Keep what an element holds as it stands, out of reach of all that follows."""
    state, source = w.state, w.source
    kind = value >> 6
    start = state[AT]
    end = _end_tag(w, stop, value, name, name_end)
    if end == -2:
        end = _to_line_end(w, stop)
    else:
        _behind_tag(w, stop, end)
    if state[PIECES] + 2 >= len(w.pieces):
        state[ERROR] = OVERFLOW
        return
    lines = kind == PRE
    if kind == SOURCE:
        for at in range(start, end):
            lines = lines or source[at] == 10
    _keep(w, start, end, lines, kind <= PRE)
    if lines:
        put(w, 10)
    put(w, OPEN)
    _put_number(w, state[PIECES])
    put(w, CLOSE)
    if lines:
        put(w, 10)
    state[PIECES] += 1
    w.pieces[state[PIECES]] = state[VERBATIM]


@kernel
def _keep(w: Any, start: int, end: int, lines: bool, escaped: bool) -> None:
    """Copy to `verbatim`: with its lines, or in one; with entities resolved where they are in force."""
    source, kept = w.source, w.verbatim
    while lines and start < end and source[start] == 10:
        start += 1
    while lines and start < end and source[end - 1] == 10:
        end -= 1
    first = o = w.state[VERBATIM]
    space = False
    while start < end:
        byte = source[start]
        if not lines and (byte == 32 or 9 <= byte <= 13):
            space = o > first
            start += 1
            continue
        if space:
            kept[o] = 32
            o += 1
            space = False
        if escaped and byte == 38:
            o, behind = entity(w, source, start, end, kept, o)
            if behind > start:
                start = behind
                continue
        start += 1
        if byte < 9:
            continue
        kept[o] = byte
        o += 1
    w.state[VERBATIM] = o


@kernel
def _put_number(w: Any, number: int) -> None:
    digits = 1
    while digits * 10 <= number:
        digits *= 10
    while digits:
        put(w, 48 + number // digits % 10)
        digits //= 10
