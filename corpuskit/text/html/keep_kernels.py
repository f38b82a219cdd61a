"""Choose the blocks of a page that are kept; import it only where it runs, for numba's sake.

Trees judge each block alone, and what stands together should stay together: items are judged with their list, a
heading stays with its text, and what stands between two blocks of one container stays with them. Menus that stand among
the text, as on boards made of tables, are known by what they are made of: links one after another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import (
    ELEMENT,
    LINK,
    MASK,
    OFFSET,
    PARENT,
    PRIME,
    START,
    STOP,
    TAG,
)
from corpuskit.text.html.tags import NAMES
from corpuskit.text.vector_kernels import borrowed

#: Blocks are kept whose probability is over this share of the page's best expected F1.
CUT = 0.62
_BINS = 64
_LIST = np.array([name in ("ul", "ol", "dl", "menu", "dir") for name in NAMES])
_LIST_STEPS = 4  # from a block to the list that it is of
_OWN_SHARE = np.float32(0.5)  # of an item's own probability beside the mean of its list
_MOST_WEIGHT = 400  # bytes that a block counts for in a mean
_HEADING = np.array([name in ("h2", "h3", "h4", "h5", "h6") for name in NAMES])
_JOINED = 0.5  # share of the cut from which blocks stay with those around them
_H1, _HEADLINE = NAMES.index("h1"), 0.8  # and headlines, which articles' gold leaves out
# Links that are dropped: no longer, no likelier, so many in a row or with the same text, if so much else stays.
_LINK_BYTES, _LIKELY, _RUN, _SAME = 60, np.float32(0.8), 3, 3
_REST_BYTES, _REST_RATIO = 300, 4


@njit(cache=True, nogil=True)
def best_f1(first: Any, blocks: Any) -> Any:
    """Give the best F1 that can be expected of a page over all cuts: 2 sum(p n) / (N + sum over all (p n))."""
    kept, expected = np.zeros(_BINS), np.zeros(_BINS)
    total = 0.0
    for each in range(len(first)):
        size = blocks[each, STOP] - blocks[each, START]
        place = min(_BINS - 1, int(first[each] * _BINS))
        kept[place] += size
        expected[place] += size * first[each]
        total += size * first[each]
    best = n = hits = 0.0
    for place in range(_BINS - 1, -1, -1):
        n += kept[place]
        hits += expected[place]
        if n > 0:
            best = max(best, 2 * hits / (n + total))
    return best


@njit(cache=True, nogil=True)
def level(said: Any, elements: Any, blocks: Any) -> None:
    """Draw the probability of each item of a list half-way to the mean of the list, by length."""
    count = len(blocks)
    if count == 0:
        return
    lists_owned, sums_owned = np.full(count, -1, np.int64), np.zeros((len(elements), 2))
    lists, sums, elements, blocks = borrowed(lists_owned), borrowed(sums_owned), borrowed(elements), borrowed(blocks)
    for each in range(count):
        element = np.int64(blocks[each, ELEMENT])
        for _ in range(_LIST_STEPS):
            if element <= 0:
                break
            if _LIST[elements[element, TAG]]:
                weight = min(blocks[each, STOP] - blocks[each, START], _MOST_WEIGHT)
                lists[each] = element
                sums[element, 0] += weight
                sums[element, 1] += weight * said[each]
                break
            element = np.int64(elements[element, PARENT])
    for each in range(count):
        if lists[each] >= 0:
            mean = np.float32(sums[lists[each], 1] / sums[lists[each], 0])
            said[each] = _OWN_SHARE * said[each] + (1 - _OWN_SHARE) * mean
    lists_owned[0], sums_owned[0, 0] = 0, 0  # they live until here


@njit(cache=True, nogil=True)
def keep(text: Any, elements: Any, blocks: Any, said: Any, confidence: Any) -> Any:
    """Tell which blocks stay: those over the cut and what belongs to them, but for menus among other text."""
    keeps = said > CUT * confidence
    _join(elements, blocks, said, CUT * confidence, keeps)
    for each in range(len(blocks)):
        if keeps[each] and said[each] < _LIKELY and _is_short_link(blocks[each]):
            _drop_menus(text, blocks, said, keeps)
            break
    return keeps


@njit(cache=True, nogil=True)
def _drop_menus(text: Any, blocks: Any, said: Any, keeps: Any) -> None:
    """Drop short links in a row, or with the same text, if so much else stays."""
    links = _short_links(text, blocks)
    drops = keeps & (links > 0) & (said < _LIKELY)
    hashes = np.sort(links[links > 0])
    rest = dropped = run = 0
    for each in range(len(blocks)):
        size, linked = int(blocks[each, STOP] - blocks[each, START]), int(blocks[each, LINK])
        if links[each] == 0:
            run = 0
            rest += size - linked if keeps[each] else 0
            continue
        if run == 0:
            stop = each
            while stop < len(blocks) and links[stop] > 0:
                stop += 1
            run = stop - each
        if run < _RUN:
            same = np.searchsorted(hashes, links[each], "right") - np.searchsorted(hashes, links[each], "left")
            drops[each] &= same >= _SAME
        dropped += size if drops[each] else 0
    if rest > _REST_BYTES and rest > _REST_RATIO * dropped:
        keeps[:] = keeps & ~drops


@njit(cache=True, nogil=True, inline="always")
def _is_short_link(block: Any) -> Any:
    size = block[STOP] - block[START]
    return size < _LINK_BYTES and 10 * block[LINK] > 9 * size


@njit(cache=True, nogil=True)
def _join(elements: Any, blocks: Any, said: Any, cut: Any, keeps: Any) -> None:
    """Keep a likely heading right above text that stays, and what is likely and no link between blocks that stay."""
    for each in range(len(blocks) - 1):
        if not _JOINED * cut < said[each] <= cut < said[each + 1]:
            continue
        block, after = blocks[each], blocks[each + 1]
        tag, below = elements[block[ELEMENT], TAG], elements[after[ELEMENT], TAG]
        if tag == _H1:
            keeps[each] = said[each] > _HEADLINE * cut and below != _H1
        elif _HEADING[tag] and below != _H1 and not _HEADING[below]:
            keeps[each] = True
        elif each and said[each - 1] > cut and 2 * block[LINK] < block[STOP] - block[START]:
            parent = elements[block[ELEMENT], PARENT]
            same = parent == elements[after[ELEMENT], PARENT] == elements[blocks[each - 1, ELEMENT], PARENT]
            keeps[each] = same


@njit(cache=True, nogil=True)
def _short_links(text: Any, blocks: Any) -> Any:
    """Give a hash of the text of each block that is a short link, 0 for the others."""
    found = np.zeros(len(blocks), np.uint64)
    for each in range(len(blocks)):
        if _is_short_link(blocks[each]):
            key = OFFSET
            for place in range(blocks[each, START], blocks[each, STOP]):
                key = ((key ^ np.uint64(text[place])) * PRIME) & MASK
            found[each] = key | np.uint64(1)
    return found
