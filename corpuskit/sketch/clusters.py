"""Decide which documents duplicate which: greedy, in order, each edge verified and to a document that is kept.

Documents are taken in the order of their rank. Each is compared with the kept documents that it met in a band, and
with those that were kept for a dropped one that it met. If the similarity with one is at least the minimum, it is a
duplicate of that document (the most similar; of equals, the first). So no chain of similar pairs links documents that
differ, and of every cluster one document stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: A document is compared with at most so many kept ones a band, the first: a template with thousands of fillings that
#: are all kept would cost a comparison for each pair. A real duplicate shares further bands with its original.
COMPARED_PER_BAND = 32

#: The shingles in memory at a time, but for a single family of documents that has more.
_BATCH_SHINGLES = 1 << 24

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """For every document, by rank: the rank of the kept one that it duplicates, or -1, and their similarity."""

    kept: Ints
    similarity: npt.NDArray[np.float64]


def duplicates(
    bands: npt.NDArray[np.uint64],
    documents: Ints,
    texts: Ints,
    sizes: Ints,
    shingles_of: Callable[[Ints], npt.NDArray[np.uint32]],
    min_similarity: float,
) -> Found:
    """Find the duplicates among documents 0, 1, ... (their ranks).

    `documents[i]` met others in `bands[i]`. `texts` numbers the documents' texts: equal numbers are exact duplicates.
    `sizes` are the sizes of their shingle sets, and `shingles_of` gives the sets of some documents one after another.
    """
    count = len(texts)
    kept, similarity = np.full(count, -1, np.int64), np.zeros(count)
    first_with = np.full(int(texts.max(initial=-1)) + 1, count, np.int64)
    np.minimum.at(first_with, texts, np.arange(count))
    first = first_with[texts]
    # Exact duplicates share all bands: only the first of each text goes on to be compared.
    going = (first[documents] == documents) & (sizes[documents] > 0)
    for members, offsets, places in _families(bands[going], documents[going], count, sizes):
        _compare(members, offsets, places, sizes, shingles_of, min_similarity, kept, similarity)
    exact = first != np.arange(count)
    # A copy of a text that went for another document goes for that document too.
    gone = kept[first] >= 0
    kept[exact] = np.where(gone, kept[first], first)[exact]
    similarity[exact] = np.where(gone, similarity[first], 1.0)[exact]
    return Found(kept, similarity)


def _families(
    bands: npt.NDArray[np.uint64], documents: Ints, count: int, sizes: Ints
) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Part documents into families that share no band, and give batches of whole families.

    A batch is (members, offsets, bands): its documents, ascending in a family, and the band numbers
    bands[offsets[i]:offsets[i + 1]] of the i-th, counted from 0 in the batch.
    """
    from corpuskit.sketch import cluster_kernels
    from corpuskit.sketch.bands import meeting

    met_bands, met = meeting(bands, documents.astype(np.uint64))
    if not len(met):
        return
    documents = met.astype(np.int64)
    band_numbers = np.cumsum(np.concatenate([[True], met_bands[1:] != met_bands[:-1]])) - 1
    family = cluster_kernels.families(band_numbers, documents, count)[documents]
    order = np.lexsort((band_numbers, documents, family))
    documents, band_numbers, family = documents[order], band_numbers[order], family[order]
    fresh = np.concatenate([[True], documents[1:] != documents[:-1]])
    ends = np.flatnonzero(np.concatenate([family[1:] != family[:-1], [True]])) + 1
    weights = np.cumsum(np.where(fresh, sizes[documents], 0))[ends - 1]
    first = 0  # family of the batch
    while first < len(ends):
        start, before = (ends[first - 1], weights[first - 1]) if first else (0, 0)
        # As many families as fit, but one at least.
        last = max(first, int(np.searchsorted(weights, before + _BATCH_SHINGLES, side="right")) - 1)
        rows = slice(start, ends[last])
        offsets = np.append(np.flatnonzero(fresh[rows]), ends[last] - start)
        places = np.unique(band_numbers[rows], return_inverse=True)[1]
        yield documents[rows][fresh[rows]], offsets, places
        first = last + 1


def _compare(
    members: Ints,
    offsets: Ints,
    places: Ints,
    sizes: Ints,
    shingles_of: Callable[[Ints], npt.NDArray[np.uint32]],
    min_similarity: float,
    kept: Ints,
    similarity: npt.NDArray[np.float64],
) -> None:
    from corpuskit.sketch import cluster_kernels

    shingles = shingles_of(members)
    starts = np.concatenate([[0], np.cumsum(sizes[members])])
    found = np.full(len(members), -1, np.int64)
    similar = np.zeros(len(members))
    cluster_kernels.compare(offsets, places, shingles, starts, min_similarity, COMPARED_PER_BAND, found, similar)
    kept[members] = np.where(found >= 0, members[found], -1)
    similarity[members] = similar
