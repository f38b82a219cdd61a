"""Find the containers of a page that are like its best one; import it only where it runs, for numba's sake.

The text of an article is often parted over several containers, by what is put between them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from corpuskit.text.html.arrays import END, FIRST, MASK, OFFSET, PARENT, PRIME, TAG, TOKENS, TOKENS_END

_LEAST_SHARE = 0.25  # of the best one's score


@njit(cache=True, nogil=True)
def nearest_best(elements: Any, n_elements: int, tokens: Any, best: int, scores: Any, count: int, out: Any) -> None:
    """Set out[block] to the best container, or to one like it that is nearer, by blocks.

    One like it has its tag and its tokens, of which there are some, stands in one that has those of the best one's
    parent, and has a quarter of its score at least; none stands in another.
    """
    out[:count] = best
    if elements[best, TOKENS] == elements[best, TOKENS_END] or elements[best, PARENT] < 0:
        return
    key, above = _key(elements[best], tokens), _key(elements[elements[best, PARENT]], tokens)
    place, last = 0, -1
    for each in range(1, n_elements):
        element = elements[each]
        if element[TAG] != elements[best, TAG] or scores[each] < _LEAST_SHARE * scores[best] or element[FIRST] < place:
            continue
        if _key(element, tokens) != key or _key(elements[element[PARENT]], tokens) != above:
            continue
        middle = place
        if last >= 0:
            middle = (place + element[FIRST]) // 2
            out[place:middle] = last
        out[middle : element[END]] = each
        place, last = element[END], each
    if last >= 0:
        out[place:count] = last


@njit(cache=True, nogil=True)
def _key(element: Any, tokens: Any) -> Any:
    """Give a hash of an element's tag and tokens."""
    key = ((OFFSET ^ np.uint64(element[TAG])) * PRIME) & MASK
    for token in range(element[TOKENS], element[TOKENS_END]):
        key = ((key ^ np.uint64(tokens[token])) * PRIME) & MASK
    return key
