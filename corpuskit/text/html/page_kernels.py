"""Take the main text out of a page in one call; import it only where it runs, for numba's sake.

All that is known comes in one array, and all scratch lies in another one that its owner keeps from page to page: a call
costs a microsecond or two, and no memory is asked of the system for a page and given back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import (
    BLOCK_COLUMNS,
    ELEMENT_COLUMNS,
    END,
    FIRST,
    FIRST_HEADING,
    LINE,
    N_BLOCKS,
    N_ELEMENTS,
    N_MARKS,
    N_TEXT,
    N_TOKENS,
    R_ABOUT,
    R_BLOCKS,
    R_ELEMENTS,
    R_HEADING,
    R_MAIN,
    R_MARKS,
    R_SAID,
    R_TEXT,
    ROOM_HEAD,
    START,
    STOP,
    TAKEN,
)  # fmt: skip
from corpuskit.text.html.feature_kernels import N_FIRST, N_SECOND, measure, second
from corpuskit.text.html.judge_kernels import is_unsure, most, with_comments
from corpuskit.text.html.keep_kernels import best_f1, keep, level
from corpuskit.text.html.own_kernels import T_COLUMNS
from corpuskit.text.html.render_kernels import BYTES_A_BLOCK, item_numbers, write
from corpuskit.text.html.said_kernels import KINDS, describe, most_said
from corpuskit.text.html.segment_kernels import segment
from corpuskit.text.html.tree_kernels import SUMS, ask, stride_of
from corpuskit.text.vector_kernels import borrowed

# Which section of what is known they begin with: see `extraction.known`.
_TABLES, _LEXICONS, _TREES = 0, 7, 9


@njit(cache=True, nogil=True)
def _section(known: Any, number: int) -> Any:
    places = known[: 16 * (number + 1)].view(np.int64)
    return borrowed(known[places[2 * number] : places[2 * number + 1]])


@njit(cache=True, nogil=True)
def _tables(known: Any) -> Any:
    at = _TABLES
    return (
        _section(known, at).view(np.uint32), _section(known, at + 1).view(np.int32), _section(known, at + 2),
        _section(known, at + 3).view(np.uint32), _section(known, at + 4).view(np.int32),
        _section(known, at + 5).view(np.int32), _section(known, at + 6),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _lexicons(known: Any) -> Any:
    at = _LEXICONS
    return _section(known, at).view(np.uint64), _section(known, at + 1).view(np.uint64)


@njit(cache=True, nogil=True)
def _trees(known: Any, stage: int) -> Any:
    at = _TREES + 5 * stage
    return (
        _section(known, at), _section(known, at + 1).view(np.float32), _section(known, at + 2).view(np.uint32),
        _section(known, at + 3).view(np.uint32), _section(known, at + 4).view(np.float64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _take(room: Any, size: int) -> Any:
    """Give the next `size` bytes of the room; none where it ends before, which the number of those taken then tells."""
    head = room[: 8 * ROOM_HEAD].view(np.int64)
    at = head[TAKEN]
    head[TAKEN] = (at + size + LINE - 1) // LINE * LINE
    return borrowed(room[at : at + size] if head[TAKEN] <= len(room) else room[:0])


@njit(cache=True, nogil=True)
def _note(room: Any, name: int, part: Any, first: int, stop: int) -> None:
    """Note which bytes of the room these are: part[first:stop] of an array in it."""
    head = room[: 8 * ROOM_HEAD].view(np.int64)
    at = part.ctypes.data - room.ctypes.data
    head[name], head[name + 1] = at + first, at + stop


@njit(cache=True, nogil=True)
def extract(data: Any, known: Any, room: Any, comments: bool) -> Any:
    """Leave the main text and what it was made of in `room`; gives (bytes that it must have, F1 to be expected).

    data: the page, uint8; known: see `extraction.known`. The room begins with int64 numbers, which tell where in it
    the arrays lie that R_... name: from which byte to which. If it is too small nothing is told but how much it must
    have at least; when it has that, it may turn out to need more.
    """
    data, known, room = borrowed(data), borrowed(known), borrowed(room)
    room[: 8 * ROOM_HEAD].view(np.int64)[TAKEN] = 8 * ROOM_HEAD
    taken = room[: 8 * ROOM_HEAD].view(np.int64)[TAKEN:]
    _, n_elements, n_blocks, n_tokens, n_marks = most(1 << 30)
    # The first ones lie at the same places for all pages, whatever their size, so that the caches know them.
    found, marks = _take(room, 64), _take(room, 12 * n_marks)
    elements, blocks = _take(room, 4 * ELEMENT_COLUMNS * n_elements), _take(room, 4 * BLOCK_COLUMNS * n_blocks)
    tokens, text = _take(room, 4 * n_tokens), _take(room, most(len(data))[0])
    if taken[0] > len(room):
        return taken[0], 0.0
    elements = elements.view(np.int32).reshape((n_elements, ELEMENT_COLUMNS))
    blocks = blocks.view(np.int32).reshape((n_blocks, BLOCK_COLUMNS))
    tokens, marks, found = tokens.view(np.uint32), marks.view(np.int32).reshape((n_marks, 3)), found.view(np.int64)
    found[:] = 0
    segment(data, _tables(known), text, elements, blocks, tokens, marks, found)
    _note(room, R_TEXT, text, 0, found[N_TEXT])
    _note(room, R_ELEMENTS, elements, 0, 4 * ELEMENT_COLUMNS * found[N_ELEMENTS])
    _note(room, R_BLOCKS, blocks, 0, 4 * BLOCK_COLUMNS * found[N_BLOCKS])
    _note(room, R_MARKS, marks, 0, 12 * found[N_MARKS])
    heading = text[:0]
    if found[FIRST_HEADING] >= 0:
        element = elements[found[FIRST_HEADING]]
        if element[END] > element[FIRST]:
            heading = text[blocks[element[FIRST], START] : blocks[element[END] - 1, STOP]]
    _note(room, R_HEADING, heading, 0, len(heading))
    # Nothing behind what was written: it would be whatever lay there before.
    parted = (
        text[: found[N_TEXT]],
        elements[: found[N_ELEMENTS]],
        blocks[: found[N_BLOCKS]],
        tokens[: found[N_TOKENS]],
    )
    confidence = _judge(parted, known, room, comments)
    first, said = _take(room, 8 * KINDS), _take(room, most_said(marks[: found[N_MARKS]], heading))
    if taken[0] <= len(room):
        references = _tables(known)[3:]
        used = describe(data, marks[: found[N_MARKS]], heading, references, first.view(np.int64), said)
        _note(room, R_ABOUT, said, 0, used)
    return taken[0], confidence


@njit(cache=True, nogil=True)
def _judge(parted: Any, known: Any, room: Any, comments: bool) -> Any:
    """Judge the blocks and write those that are kept; gives the F1 to be expected."""
    text, elements, blocks, tokens = parted
    count, n_elements = len(blocks), len(elements)
    stride = stride_of(count)
    own, sums, chain = _take(room, 8 * T_COLUMNS * count), _take(room, 48 * (count + 1)), _take(room, 40 * n_elements)
    bits, scores, runs = _take(room, 8 * n_elements), _take(room, 8 * n_elements), _take(room, 40 * count)
    first, both = _take(room, 4 * N_FIRST * stride), _take(room, 4 * (N_FIRST + N_SECOND) * stride)
    said, rows, total = _take(room, 4 * count), _take(room, 8 * count), _take(room, 8 * SUMS)
    kept, numbers = _take(room, 8 * count), _take(room, 16 * n_elements)
    written = _take(room, len(text) + BYTES_A_BLOCK * count)
    if room[: 8 * ROOM_HEAD].view(np.int64)[TAKEN] > len(room):
        return 0.0
    lexicons = _lexicons(known)
    own, said, rows = own.view(np.float64).reshape((count, T_COLUMNS)), said.view(np.float32), rows.view(np.int64)
    scratch = (
        own, sums.view(np.float64).reshape((count + 1, 6)), chain.view(np.float64).reshape((n_elements, 5)),
        bits.view(np.int64), scores.view(np.float64), runs.view(np.float64).reshape((count, 5)),
    )  # fmt: skip
    first, total, kept = first.view(np.float32), total.view(np.float64), kept.view(np.int64)
    if count:
        by_block = first.reshape((N_FIRST, stride)).T
        measure(text, elements, n_elements, blocks, count, tokens, lexicons, scratch, by_block)
        ask(first, stride, count, _trees(known, 0), total, said)
        _ask_again(elements, blocks, own, first, both.view(np.float32), rows, kept, known, total, said)
    level(said, elements, blocks)
    confidence = best_f1(said, blocks)
    keeps = keep(text, elements, blocks, said, confidence)
    if comments:
        with_comments(parted, keeps)
    n_kept = 0
    for each in range(count):
        if keeps[each]:
            kept[n_kept] = each
            n_kept += 1
    numbers = numbers.view(np.int64).reshape((2, n_elements))
    item_numbers(elements, numbers[0], numbers[1])
    used = write(text, elements, blocks, kept[:n_kept], numbers[0], written)
    _note(room, R_SAID, said, 0, 4 * count)
    _note(room, R_MAIN, written, 0, used)
    return confidence


@njit(cache=True, nogil=True)
def _ask_again(
    elements: Any, blocks: Any, own: Any, first: Any, both: Any, rows: Any, asked: Any, known: Any, total: Any,
    said: Any,
) -> None:  # fmt: skip
    """Ask the trees of stage 2 about the blocks of which stage 1 is unsure. `rows`, `asked` are scratch."""
    count, unsure = len(blocks), 0
    for each in range(count):
        rows[each] = unsure if is_unsure(said[each]) else -1
        asked[unsure] = each
        unsure += is_unsure(said[each])
    if unsure == 0:
        return
    before, stride = stride_of(count), stride_of(unsure)
    for feature in range(N_FIRST):
        from_row, to_row = first[feature * before : feature * before + count], both[feature * stride :]
        for each in range(unsure):
            to_row[each] = from_row[asked[each]]
    by_block = both[: (N_FIRST + N_SECOND) * stride].reshape((N_FIRST + N_SECOND, stride)).T
    second(said, elements, len(elements), blocks, count, own, rows, by_block)
    better = first[:unsure]
    ask(both, stride, unsure, _trees(known, 1), total, better)
    for each in range(unsure):
        said[asked[each]] = better[each]
