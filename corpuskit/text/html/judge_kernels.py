"""Part a page and measure its blocks for whoever learns from them, and find the cut that is best for a page.

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
from corpuskit.text.html.feature_kernels import N_FIRST, N_SECOND, measure
from corpuskit.text.html.own_kernels import T_COLUMNS
from corpuskit.text.html.segment_kernels import segment
from corpuskit.text.html.tags import fnv

_ROOM = 80  # text is copied in pieces of 64 bytes
_MAX_BLOCKS, _MAX_ELEMENTS, _MAX_TOKENS, _MAX_MARKS = 1 << 15, 1 << 16, 1 << 18, 1024
# Outside of these stage 1 is sure, and stage 2 is not asked.
_SURE_LOW, _SURE_HIGH = np.float32(0.02), np.float32(0.98)
# The tokens by which readers' comments are known.
_COMMENTS = np.array(
    [fnv(name) for name in (b"comment", b"comments", b"commentlist", b"disqus", b"replies")], np.uint32
)
_LEAST_COMMENT_BYTES = 25


@njit(cache=True, nogil=True)
def most(size: int) -> Any:
    """Give how much of a page of so many bytes is remembered: (bytes of text, elements, blocks, tokens, marks)."""
    # `&nLt;` and `&nGt;` are longer as text, by one byte in five; no other reference is.
    n_text = size + size // 5 + _ROOM
    n_elements, n_blocks = min(size // 3 + 2, _MAX_ELEMENTS), min(size // 2 + 2, _MAX_BLOCKS)
    return n_text, n_elements, n_blocks, min(size // 2 + 2, _MAX_TOKENS), _MAX_MARKS


@njit(cache=True, nogil=True)
def is_unsure(probability: Any) -> Any:
    """Tell whether stage 2 is asked about a block."""
    return _SURE_LOW < probability < _SURE_HIGH


@njit(cache=True, nogil=True)
def parts(data: Any, tables: Any) -> Any:
    """Part a page: (text, elements, blocks, tokens, marks, found), see `segment`."""
    n_text, n_elements, n_blocks, n_tokens, n_marks = most(len(data))
    text, tokens = np.empty(n_text, np.uint8), np.empty(n_tokens, np.uint32)
    elements = np.empty((n_elements, ELEMENT_COLUMNS), np.int32)
    blocks = np.empty((n_blocks, BLOCK_COLUMNS), np.int32)
    marks = np.empty((n_marks, 3), np.int32)
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
def with_comments(parted: Any, keeps: Any) -> Any:
    """Keep too what stands in elements that are called comments, but for labels and links."""
    _, elements, blocks, tokens = parted
    inside = np.zeros(len(elements), np.bool_)
    for each in range(1, len(elements)):
        element = elements[each]
        inside[each] = inside[element[PARENT]]
        for token in tokens[element[TOKENS] : element[TOKENS_END]]:
            inside[each] |= np.any(token == _COMMENTS)
    for each in range(len(blocks)):
        block = blocks[each]
        size = block[STOP] - block[START]
        keeps[each] |= inside[block[ELEMENT]] and size >= _LEAST_COMMENT_BYTES and 2 * block[LINK] < size
    return keeps
