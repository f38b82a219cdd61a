"""Judge the blocks of a page: two stages of trees, and the cut that is best for the page.

Import it only where it runs, for numba's sake.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import (
    BLOCK_COLUMNS,
    ELEMENT,
    ELEMENT_COLUMNS,
    END,
    FIRST,
    FIRST_HEADING,
    LINK,
    N_BLOCKS,
    N_ELEMENTS,
    N_MARKS,
    N_TEXT,
    N_TOKENS,
    PARENT,
    START,
    STOP,
    TOKENS,
    TOKENS_END,
)
from corpuskit.text.html.feature_kernels import N_FIRST, N_SECOND, measure, second
from corpuskit.text.html.keep_kernels import best_f1, keep, level
from corpuskit.text.html.own_kernels import T_COLUMNS
from corpuskit.text.html.render_kernels import render
from corpuskit.text.html.scan_kernels import borrowed
from corpuskit.text.html.segment_kernels import segment
from corpuskit.text.html.tags import fnv

_AT_ONCE = 8  # blocks that go down a tree side by side: a step waits for the one before
_ROOM = 16
_MAX_BLOCKS, _MAX_ELEMENTS, _MAX_TOKENS, _MAX_MARKS = 1 << 15, 1 << 16, 1 << 18, 1024
# Outside of these stage 1 is sure, and stage 2 is not asked.
_SURE_LOW, _SURE_HIGH = np.float32(0.02), np.float32(0.98)
# The tokens by which readers' comments are known.
_COMMENTS = np.array(
    [fnv(name) for name in (b"comment", b"comments", b"commentlist", b"disqus", b"replies")], np.uint32
)
_LEAST_COMMENT_BYTES = 25


@njit(cache=True, nogil=True)
def parts(data: Any, tables: Any) -> Any:
    """Part a page: (text, elements, blocks, tokens, marks, found), see `segment`."""
    size = len(data)
    # `&nLt;` and `&nGt;` are longer as text, by one byte in five; no other reference is.
    text = np.empty(size + size // 5 + _ROOM, np.uint8)
    elements = np.empty((min(size // 3 + 2, _MAX_ELEMENTS), ELEMENT_COLUMNS), np.int32)
    blocks = np.empty((min(size // 2 + 2, _MAX_BLOCKS), BLOCK_COLUMNS), np.int32)
    tokens = np.empty(min(size // 2 + 2, _MAX_TOKENS), np.uint32)
    marks = np.empty((_MAX_MARKS, 3), np.int32)
    found = np.zeros(8, np.int64)
    segment(data, tables, text, elements, blocks, tokens, marks, found)
    # Nothing behind what was written: it would be whatever lay in memory before.
    return (
        text[: found[N_TEXT]],
        elements[: found[N_ELEMENTS]],
        blocks[: found[N_BLOCKS]],
        tokens[: found[N_TOKENS]],
        marks[: found[N_MARKS]],
        found,
    )


@njit(cache=True, nogil=True)
def features(parted: Any, lexicons: Any) -> Any:
    """Give the features of stage 1 (columns of stage 2 unset), and what each block's own text tells."""
    text, elements, blocks, tokens, _, found = parted
    count, n_elements = found[N_BLOCKS], found[N_ELEMENTS]
    own = np.empty((count, T_COLUMNS))
    room = (
        own, np.empty((count + 1, 6)), np.empty((n_elements, 5)), np.empty(n_elements, np.int64), np.empty(n_elements),
        np.empty((count, 5)),
    )  # fmt: skip
    out = np.empty((count, N_FIRST + N_SECOND), np.float32)
    if count:
        measure(text, elements, n_elements, blocks, count, tokens, lexicons, room, out)
    return out, own


@njit(cache=True, nogil=True)
def probabilities(parted: Any, model: Any) -> Any:
    """Give the probability that each block is main text."""
    _, elements, blocks, _, _, found = parted
    out, own = features(parted, model[0])
    count = found[N_BLOCKS]
    rows = np.arange(count)
    first = np.empty(count, np.float32)
    descend(out, rows, model[1], first)
    unsure = np.flatnonzero((first > _SURE_LOW) & (first < _SURE_HIGH))
    if len(unsure):
        second(first, elements, found[N_ELEMENTS], blocks, count, own, out)
        better = np.empty(len(unsure), np.float32)
        descend(out, unsure, model[2], better)
        first[unsure] = better
    level(first, elements, blocks)
    return first


@njit(cache=True, nogil=True)
def descend(values: Any, rows: Any, trees: Any, out: Any) -> None:
    """Set out[i] to the probability of row rows[i] of `values`.

    trees: (feature, threshold, children[2 * node + (value > threshold)], leaf value, roots, depths); leaves lead to
    themselves, so that all of eight blocks take the same number of steps.
    """
    feature, bound, child = borrowed(trees[0]), borrowed(trees[1]), borrowed(trees[2])
    leaf, roots, depths = borrowed(trees[3]), borrowed(trees[4]), borrowed(trees[5])
    values, rows = borrowed(values), borrowed(rows)
    count = len(rows)
    for begin in range(0, count, _AT_ONCE):
        last = count - 1
        r0, r1 = values[rows[begin]], values[rows[min(begin + 1, last)]]
        r2, r3 = values[rows[min(begin + 2, last)]], values[rows[min(begin + 3, last)]]
        r4, r5 = values[rows[min(begin + 4, last)]], values[rows[min(begin + 5, last)]]
        r6, r7 = values[rows[min(begin + 6, last)]], values[rows[min(begin + 7, last)]]
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
        for tree in range(len(roots)):
            k0 = k1 = k2 = k3 = k4 = k5 = k6 = k7 = roots[tree]
            for _ in range(depths[tree]):
                k0 = child[2 * k0 + (r0[feature[k0]] > bound[k0])]
                k1 = child[2 * k1 + (r1[feature[k1]] > bound[k1])]
                k2 = child[2 * k2 + (r2[feature[k2]] > bound[k2])]
                k3 = child[2 * k3 + (r3[feature[k3]] > bound[k3])]
                k4 = child[2 * k4 + (r4[feature[k4]] > bound[k4])]
                k5 = child[2 * k5 + (r5[feature[k5]] > bound[k5])]
                k6 = child[2 * k6 + (r6[feature[k6]] > bound[k6])]
                k7 = child[2 * k7 + (r7[feature[k7]] > bound[k7])]
            s0 += leaf[k0]
            s1 += leaf[k1]
            s2 += leaf[k2]
            s3 += leaf[k3]
            s4 += leaf[k4]
            s5 += leaf[k5]
            s6 += leaf[k6]
            s7 += leaf[k7]
        found = (s0, s1, s2, s3, s4, s5, s6, s7)
        for each in range(min(_AT_ONCE, count - begin)):
            out[begin + each] = 1 / (1 + np.exp(-found[each]))


@njit(cache=True, nogil=True)
def extract(data: Any, tables: Any, model: Any, comments: bool) -> Any:
    """Give (main text as bytes, the F1 to be expected of it, marks, text of the first h1)."""
    parted = parts(data, tables)
    text, elements, blocks, _, marks, found = parted
    said = probabilities(parted, model)
    confidence = best_f1(said, blocks)
    keeps = keep(text, elements, blocks, said, confidence)
    if comments:
        _add_comments(parted, keeps)
    kept = np.flatnonzero(keeps)
    main = render(text, elements[: found[N_ELEMENTS]], found[N_ELEMENTS], blocks, kept)
    heading = text[:0]
    if found[FIRST_HEADING] >= 0:
        element = elements[found[FIRST_HEADING]]
        if element[END] > element[FIRST]:
            heading = text[blocks[element[FIRST], START] : blocks[element[END] - 1, STOP]]
    return main, confidence, marks, heading


@njit(cache=True, nogil=True)
def _add_comments(parted: Any, keeps: Any) -> None:
    """Keep too what stands in elements that are called comments, but for labels and links."""
    _, elements, blocks, tokens, _, found = parted
    inside = np.zeros(found[N_ELEMENTS], np.bool_)
    for each in range(1, found[N_ELEMENTS]):
        element = elements[each]
        inside[each] = inside[element[PARENT]]
        for token in tokens[element[TOKENS] : element[TOKENS_END]]:
            inside[each] |= np.any(token == _COMMENTS)
    for each in range(found[N_BLOCKS]):
        block = blocks[each]
        size = block[STOP] - block[START]
        keeps[each] |= inside[block[ELEMENT]] and size >= _LEAST_COMMENT_BYTES and 2 * block[LINK] < size
