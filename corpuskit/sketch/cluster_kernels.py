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
def jaccard(values: Any, one: int, one_stop: int, two: int, two_stop: int, least: float) -> float:
    """Give the Jaccard similarity of values[one:one_stop] and values[two:two_stop], ascending sets.

    Gives 0 as soon as it cannot reach `least`.
    """
    total = (one_stop - one) + (two_stop - two)
    missed = 0
    allowed = total * (1 - least) / (1 + least) + 1e-6  # elements of one set alone
    if abs((one_stop - one) - (two_stop - two)) > allowed:
        return 0.0
    shared = 0
    while one < one_stop and two < two_stop:
        if values[one] == values[two]:
            shared += 1
            one += 1
            two += 1
        else:
            missed += 1
            if missed > allowed:
                return 0.0
            if values[one] < values[two]:
                one += 1
            else:
                two += 1
    return shared / (total - shared)


@njit(cache=True, nogil=True)
def compare(
    offsets: Any, bands: Any, shingles: Any, starts: Any, least: float, most: int, found: Any, similar: Any
) -> None:
    """Take documents in order: set found[i] to the kept one that document i duplicates, and similar[i].

    Document i is in bands[offsets[i]:offsets[i + 1]] and has the set shingles[starts[i]:starts[i + 1]]. It is compared
    with the first `most` documents that stay for those before it in its bands.
    """
    band_count = 0
    for each in range(len(bands)):
        band_count = max(band_count, bands[each] + 1)
    rooms = np.zeros(band_count + 1, np.int64)
    for each in range(len(bands)):
        rooms[bands[each] + 1] += 1
    for band in range(band_count):
        rooms[band + 1] = rooms[band] + min(rooms[band + 1], most)
    kept = np.empty(rooms[band_count], np.int64)
    filled = np.zeros(band_count, np.int64)
    compared = np.full(len(found), -1, np.int64)
    for each in range(len(found)):
        for row in range(offsets[each], offsets[each + 1]):
            band = bands[row]
            for place in range(rooms[band], rooms[band] + filled[band]):
                other = kept[place]
                if compared[other] == each:
                    continue
                compared[other] = each
                similarity = jaccard(shingles, starts[each], starts[each + 1], starts[other], starts[other + 1], least)
                if similarity < least or similarity < similar[each]:
                    continue
                if similarity > similar[each] or other < found[each]:
                    found[each], similar[each] = other, similarity
        # Each band keeps the documents that stand for those in it, so that whoever meets a dropped document is
        # compared with the one that stayed for it.
        stays = each if found[each] < 0 else found[each]
        for row in range(offsets[each], offsets[each + 1]):
            band = bands[row]
            end = rooms[band] + filled[band]
            if end < rooms[band + 1] and not np.any(kept[rooms[band] : end] == stays):
                kept[end] = stays
                filled[band] += 1
