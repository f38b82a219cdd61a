"""Render templates, parameters and parser functions by the programs of `templates.txt`."""

from __future__ import annotations

from typing import Any

import numpy as np

from corpuskit.text.wikitext.base_kernels import (
    ARGS,
    ERROR,
    HOLE,
    MAX_ARGUMENTS,
    NAMED,
    OVERFLOW,
    POSITIONAL,
    ROOM_COUNTRY,
    ROOM_KEY,
    ROOM_TEMPLATE,
    ROOM_TEXT_KEY,
    O,
    copy,
    decode,
    hash_exact,
    hash_name,
    kernel,
    look_up,
    more_hash,
    put,
    strip,
    strip_holes,
)
from corpuskit.text.wikitext.numbers_kernels import is_digits, write_script
from corpuskit.text.wikitext.unknown_kernels import before_text, inline, unknown
from corpuskit.text.wikitext.value_kernels import as_of, convert, date, density, expression

# Operations of a program, with how many numbers follow: `tables` writes them.
END, LITERAL, VALUE, JOIN, OPEN_GROUP, CLOSE_GROUP, FUNCTION, DROP, PREFIX = range(9)
BY_NUMBER, BY_NAME, BY_LAST = 0, 1, 2
CONVERT, DATE, AS_OF, TITLE, EXPRESSION, CONDITION, FLAG, POINTS, DENSITY = range(9)
_MAX_GROUPS = 8
_MAX_NAME = 400


@kernel
def parameter(w: Any, base: int, start: int) -> None:
    """{{{name|default}}} shows its default."""
    state = w.state
    if state[ARGS] > base + 1:
        state[O] = copy(w.out, w.args[base + 1, 0], w.args[base + 1, 1], w.out, start)
    else:
        state[O] = start


@kernel
def template(w: Any, base: int, start: int) -> None:
    """Write what a template shows over its arguments, which begin at `start`: a hole where it shows nothing."""
    state, tmp = w.state, w.tmp
    stop = state[O]
    if 3 * (stop - start) + 4096 > len(tmp):
        state[ERROR] = OVERFLOW
        return
    end = _rendered(w, base, start)
    if end < 0:
        state[O] = start
        put(w, HOLE)
        return
    state[O] = copy(tmp, 0, end, w.out, start)


@kernel
def _rendered(w: Any, base: int, start: int) -> Any:
    """Write what a template shows to `tmp`; gives where it ends, -1 where the template shows nothing."""
    out, state = w.out, w.state
    first, end = strip_holes(out, w.args[base, 0], w.args[base, 1])
    state[POSITIONAL] = state[NAMED] = 0
    if end - first > _MAX_NAME and out[first] != 35 and not _early_colon(out, first, end):
        return -1
    entry = -1
    while entry == -1:
        key = hash_name(w.lower, out, first, min(end, first + _MAX_NAME), ROOM_TEMPLATE)
        entry = look_up(w.keys, w.values, key)
        if entry:
            break
        colon = first
        while colon < end and out[colon] != 58:
            colon += 1
        if colon == end:
            break
        key = hash_name(w.lower, out, first, min(colon + 1, first + _MAX_NAME), ROOM_TEMPLATE)
        entry = look_up(w.keys, w.values, key)
        first, end = strip(out, colon + 1, end)
        if not entry:
            return -1
        if w.code[entry >> 1] == PREFIX:
            entry = -1
        else:
            _add_positional(w, first, end)
    program = entry >> 1
    if program and w.code[program] == DROP and not entry & 1:
        return -1
    _gather(w, base)
    if entry & 1 and state[POSITIONAL] < 10:
        key = more_hash(more_hash(key, 47), 48 + state[POSITIONAL])
        special = look_up(w.keys, w.values, key)
        program = special >> 1 if special else program
    if not program:
        program = _by_affix(w, first, end)
    if program:
        return _run(w, program, start)
    if end - first == 3 and state[POSITIONAL] + state[NAMED] == 0 and _is_country(w, first, end):
        return -1 if before_text(w) else copy(out, first, end, w.tmp, 0)
    return unknown(w, start, first, end)


@kernel
def _is_country(w: Any, start: int, stop: int) -> bool:
    """Tell whether a template has the name of a country's code: it shows a flag."""
    return bool(look_up(w.keys, w.values, hash_exact(w.out, start, stop, ROOM_COUNTRY)) != 0)


@kernel
def _early_colon(out: Any, start: int, stop: int) -> bool:
    at = start
    while at < stop and at - start < 40 and out[at] != 58:
        at += 1
    return bool(at < stop and out[at] == 58)


@kernel
def _add_positional(w: Any, start: int, stop: int) -> None:
    count = w.state[POSITIONAL]
    if count < MAX_ARGUMENTS:
        w.found[0, count, 0], w.found[0, count, 1] = start, stop
        w.state[POSITIONAL] += 1


@kernel
def _gather(w: Any, base: int) -> None:
    """Part the arguments into positional and named ones; a number as name counts where it says the place."""
    state, out = w.state, w.out
    for i in range(base + 1, state[ARGS]):
        key = w.args[i, 2]
        if key < 0:
            start, stop = strip(out, w.args[i, 0], w.args[i, 1])
            _add_positional(w, start, stop)
            continue
        start, stop = strip(out, key, w.args[i, 1])
        first, end = strip_holes(out, w.args[i, 0], key - 1)
        if is_digits(out, first, end) and end == first + 1 and out[first] == 49 + state[POSITIONAL]:
            _add_positional(w, start, stop)
        elif state[NAMED] < MAX_ARGUMENTS:
            named = w.found[1, state[NAMED]]
            named[0], named[1] = start, stop
            named[2] = hash_name(w.lower, out, first, end, ROOM_KEY)
            state[NAMED] += 1


@kernel
def _by_affix(w: Any, start: int, stop: int) -> int:
    """Find the program of a prefix or suffix of the name."""
    out, literals = w.out, w.literals
    for i in range(len(w.affixes)):
        size = w.affixes[i, 1] - w.affixes[i, 0]
        if size > stop - start:
            continue
        at = stop - size if w.affixes[i, 3] else start
        if w.affixes[i, 3] and size + 4 < stop - start:
            continue  # a suffix of short names: `de icon`
        begin, byte = literals[w.affixes[i, 0]], out[at]
        if begin < 128 and begin != byte and begin != byte + 32:
            continue
        same = 0
        while same < size:
            char, width = decode(out, at + same)
            char = 32 if char == 95 else np.int64(w.lower[char]) if char < 0x2000 else char
            wanted, _ = decode(literals, w.affixes[i, 0] + same)
            if char != wanted:
                break
            same += width
        if same == size:
            return int(w.affixes[i, 2])
    return 0


@kernel
def _run(w: Any, program: int, start: int) -> Any:
    """Run a program. One that finds none of the arguments it names shows the argument `text`, else nothing.

    A space beside an argument that is not there goes: `$1 $2` with one shows no space behind it.
    """
    code, tmp = w.code, w.tmp
    if code[program] == DROP:
        return -1
    o = used = level = 0
    groups = [(0, 0)] * _MAX_GROUPS
    asks = empty = False
    at = program
    while code[at] != END:
        operation = code[at]
        if operation == LITERAL:
            first, stop = code[at + 1], code[at + 1] + code[at + 2]
            while empty and o == 0 and first < stop and w.literals[first] == 32:
                first += 1
            o = copy(w.literals, first, stop, tmp, o)
            empty = False
            at += 3
        elif operation in (VALUE, JOIN):
            begin = o
            o = _value(w, at, o) if operation == VALUE else _join(w, at, o)
            empty = o == begin
            used += not empty
            asks = True
            at += 3 + 2 * code[at + 2]
        elif operation == FUNCTION:
            return _function(w, code[at + 1], start)
        else:
            if operation == OPEN_GROUP:
                groups[level] = (o, used)
                level += 1
            else:
                level -= 1
                if groups[level][1] == used:
                    o = groups[level][0]
            at += 1
    while empty and o > 0 and tmp[o - 1] == 32:
        o -= 1
    if used or not asks:
        return o
    return _text(w)


@kernel
def _text(w: Any) -> Any:
    """Write the named argument that holds the text of a template."""
    for i in range(w.state[NAMED]):
        named = w.found[1, i]
        if named[0] < named[1] and look_up(w.keys, w.values, more_hash(named[2], ROOM_TEXT_KEY)):
            return copy(w.out, named[0], named[1], w.tmp, 0)
    return -1


@kernel
def _argument(w: Any, kind: int, which: int) -> Any:
    """Give (start, stop) of an argument in `out`."""
    count = w.state[POSITIONAL]
    if kind == BY_NAME:
        for i in range(w.state[NAMED]):
            if w.found[1, i, 2] == which:
                return w.found[1, i, 0], w.found[1, i, 1]
        return 0, 0
    if kind == BY_LAST:
        which = count
    if which < 1 or which > count:
        return 0, 0
    return w.found[0, which - 1, 0], w.found[0, which - 1, 1]


@kernel
def _value(w: Any, at: int, o: int) -> Any:
    """Write the first of some arguments that is there: as it is (0), above (1) or below the line (2)."""
    code = w.code
    for i in range(code[at + 2]):
        start, stop = _argument(w, code[at + 3 + 2 * i], code[at + 4 + 2 * i])
        if start < stop:
            if code[at + 1]:
                return write_script(w.out, start, stop, w.tmp, o, code[at + 1] == 1)
            return copy(w.out, start, stop, w.tmp, o)
    return o


@kernel
def _join(w: Any, at: int, o: int) -> int:
    """Write all positional arguments, or those that are named, with commas (1) or none (0) between."""
    code, tmp = w.code, w.tmp
    begin = o
    count = code[at + 2]
    for i in range(count if count else w.state[POSITIONAL]):
        if count:
            start, stop = _argument(w, code[at + 3 + 2 * i], code[at + 4 + 2 * i])
        else:
            start, stop = w.found[0, i, 0], w.found[0, i, 1]
        if start == stop:
            continue
        if o > begin and code[at + 1]:
            tmp[o], tmp[o + 1] = 44, 32
            o += 2
        o = copy(w.out, start, stop, tmp, o)
    return o


@kernel
def _function(w: Any, which: int, start: int) -> Any:
    if which == CONVERT:
        return convert(w)
    if which == DATE:
        return date(w)
    if which == AS_OF:
        return as_of(w)
    if which == DENSITY:
        return density(w)
    if which == EXPRESSION:
        return expression(w)
    if which == FLAG:
        first, stop = _argument(w, BY_NUMBER, 1)
        return -1 if first == stop or before_text(w) else copy(w.out, first, stop, w.tmp, 0)
    if which == POINTS:  # on a line of their own they say that a section is still to be written
        if not inline(w, start):
            return -1
        w.tmp[0], w.tmp[1], w.tmp[2] = 0xE2, 0x80, 0xA6
        return 3
    if which == TITLE:
        return copy(w.title, 0, len(w.title), w.tmp, 0)
    if w.state[POSITIONAL] == 0:  # {{#if:condition|then|else}}
        return -1
    first, stop = strip_holes(w.out, w.found[0, 0, 0], w.found[0, 0, 1])
    first, stop = _argument(w, BY_NUMBER, 2 if first < stop else 3)
    return copy(w.out, first, stop, w.tmp, 0) if first < stop else -1
