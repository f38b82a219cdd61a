"""The loops behind `clusters.duplicates`; import them only where they run, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _root(parents: Any, each: int) -> int:
    while parents[each] != each:
        parents[each] = parents[parents[each]]
        each = parents[each]
    return each


@njit(cache=True, nogil=True)
def families(bands: Any, documents: Any, count: int) -> Any:
    """Give every document's family, the smallest document that it is linked to by shared bands (union-find).

    `bands` is ascending: rows of one band are neighbours.
    """
    parents = np.arange(count)
    for row in range(1, len(bands)):
        if bands[row] == bands[row - 1]:
            one, two = _root(parents, documents[row]), _root(parents, documents[row - 1])
            if one < two:
                parents[two] = one
            else:
                parents[one] = two
    for each in range(count):
        parents[each] = _root(parents, each)
    return parents


@njit(cache=True, nogil=True)
def jaccard(ones: Any, one: int, one_stop: int, twos: Any, two: int, two_stop: int, least: float) -> float:
    """Give the Jaccard similarity of ones[one:one_stop] and twos[two:two_stop], ascending sets.

    Gives 0 as soon as it cannot reach `least`.
    """
    total = (one_stop - one) + (two_stop - two)
    missed = 0
    allowed = total * (1 - least) / (1 + least) + 1e-6  # elements of one set alone
    if abs((one_stop - one) - (two_stop - two)) > allowed:
        return 0.0
    shared = 0
    while one < one_stop and two < two_stop:
        if ones[one] == twos[two]:
            shared += 1
            one += 1
            two += 1
        else:
            missed += 1
            if missed > allowed:
                return 0.0
            if ones[one] < twos[two]:
                one += 1
            else:
                two += 1
    return shared / (total - shared)


@njit(cache=True, nogil=True)
def rooms(bands: Any, most: int) -> Any:
    """Give where each band's kept documents begin: bands 0, 1, ... have room for `most`, or for all in them."""
    count = 0
    for each in range(len(bands)):
        count = max(count, bands[each] + 1)
    begins = np.zeros(count + 1, np.int64)
    for each in range(len(bands)):
        begins[bands[each] + 1] += 1
    for band in range(count):
        begins[band + 1] = begins[band] + min(begins[band + 1], most)
    return begins


@njit(cache=True, nogil=True)
def compare(
    first: int,
    last: int,
    fixed: int,
    offsets: Any,
    bands: Any,
    begins: Any,
    filled: Any,
    slots: Any,
    shingles: Any,
    starts: Any,
    arena: Any,
    places: Any,
    sizes: Any,
    used: int,
    least: float,
    compared: Any,
    found: Any,
    similar: Any,
) -> int:
    """Take documents first to last in order: set found[i] to the kept one that i duplicates, and similar[i].

    Document i is in bands[offsets[i]:offsets[i + 1]] and has the set shingles[starts[i - first]:starts[i - first + 1]].
    It is compared with the kept documents in the slots of its bands, slots[begins[band]:begins[band] + filled[band]],
    whose sets are arena[places[j]:places[j] + sizes[j]]. The first `fixed` documents stay. Gives how much of the arena
    is used.
    """
    for each in range(first, last):
        start, stop = starts[each - first], starts[each - first + 1]
        for row in range(offsets[each], offsets[each + 1] if each >= fixed else offsets[each]):
            band = bands[row]
            for place in range(begins[band], begins[band] + filled[band]):
                other = slots[place]
                if compared[other] == each:
                    continue
                compared[other] = each
                at = places[other]
                similarity = jaccard(shingles, start, stop, arena, at, at + sizes[other], least)
                if similarity < least or similarity < similar[each]:
                    continue
                if similarity > similar[each] or other < found[each]:
                    found[each], similar[each] = other, similarity
        # Each band keeps the documents that stand for those in it, so that whoever meets a dropped document is
        # compared with the one that stayed for it.
        stays = each if found[each] < 0 else found[each]
        if stays == each:
            places[each], sizes[each] = used, stop - start
            arena[used : used + stop - start] = shingles[start:stop]
            used += stop - start
        for row in range(offsets[each], offsets[each + 1]):
            band = bands[row]
            end = begins[band] + filled[band]
            if end < begins[band + 1] and not np.any(slots[begins[band] : end] == stays):
                slots[end] = stays
                filled[band] += 1
    return used


@njit(cache=True, nogil=True)
def first_of_bands(bands: Any, stays: Any, most: int, taken: Any) -> None:
    """Mark in `taken`, of the rows of each band in their order, the first `most` with different `stays`."""
    heads = np.empty(most, np.uint64)
    known = 0
    for row in range(len(bands)):
        if row and bands[row] != bands[row - 1]:
            known = 0
        taken[row] = known < most and not np.any(heads[:known] == stays[row])
        if taken[row]:
            heads[known] = stays[row]
            known += 1
