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

#: The shingles that are read at a time. Besides, the sets of the kept documents of one family are in memory.
_BATCH_SHINGLES = 1 << 24

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Found:
    """For every document, by rank: the rank of the kept one that it duplicates, or -1, and their similarity."""

    kept: Ints
    similarity: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Known:
    """What earlier snapshots say: the first `fixed` ranks are theirs, and stay.

    kept[text] is the rank of the one among them that stays for this text, or -1, at similarity[text].
    """

    fixed: int
    kept: Ints
    similarity: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Batch:
    """Whole families: documents, ascending in each, and the bands[offsets[i]:offsets[i + 1]] of the i-th."""

    members: Ints
    offsets: Ints
    bands: Ints


def duplicates(
    bands: npt.NDArray[np.uint64],
    documents: Ints,
    texts: Ints,
    sizes: Ints,
    shingles_of: Callable[[Ints], npt.NDArray[np.uint32]],
    min_similarity: float,
    known: Known | None = None,
) -> Found:
    """Find the duplicates among documents 0, 1, ... (their ranks).

    `documents[i]` met others in `bands[i]`. `texts` numbers the documents' texts: equal numbers are exact duplicates;
    -1, of documents of earlier snapshots, equals nothing. `sizes` are the sizes of their shingle sets, and
    `shingles_of` gives the sets of some documents one after another.
    """
    count = len(texts)
    fixed = known.fixed if known is not None else 0
    kept, similarity = np.full(count, -1, np.int64), np.zeros(count)
    first = _firsts(texts)
    before = np.full(count, -1, np.int64)
    if known is not None:
        before[fixed:] = known.kept[texts[fixed:]]
    # Exact duplicates share all bands: only the first of each text goes on to be compared.
    going = (first[documents] == documents) & (before[documents] < 0) & (sizes[documents] > 0)
    for batch in _families(bands[going], documents[going], count, sizes):
        _compare(batch, fixed, sizes, shingles_of, min_similarity, kept, similarity)
    if known is not None:
        of_old = np.flatnonzero(before >= 0)
        kept[of_old], similarity[of_old] = before[of_old], known.similarity[texts[of_old]]
    exact = (first != np.arange(count)) & (before < 0)
    # A copy of a text that went for another document goes for that document too.
    gone = kept[first] >= 0
    kept[exact] = np.where(gone, kept[first], first)[exact]
    similarity[exact] = np.where(gone, similarity[first], 1.0)[exact]
    return Found(kept, similarity)


def _firsts(texts: Ints) -> Ints:
    """Give for every document the first with its text, itself for one whose text has no number."""
    count = len(texts)
    numbered = np.flatnonzero(texts >= 0)
    first_with = np.full(int(texts.max(initial=-1)) + 1, count, np.int64)
    np.minimum.at(first_with, texts[numbered], numbered)
    first = np.arange(count)
    first[numbered] = first_with[texts[numbered]]
    return first


def _families(bands: npt.NDArray[np.uint64], documents: Ints, count: int, sizes: Ints) -> Iterator[_Batch]:
    """Part documents into families that share no band, and give batches of whole families."""
    from corpuskit.sketch import cluster_kernels
    from corpuskit.sketch.bands import meeting

    met_bands, met = meeting(bands, documents.astype(np.uint64))
    if not len(met):
        return
    documents = met.astype(np.int64)
    band_numbers = np.cumsum(np.concatenate([[True], met_bands[1:] != met_bands[:-1]])) - 1
    del met_bands, met
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
        yield _Batch(documents[rows][fresh[rows]], offsets, places)
        first = last + 1


def _compare(
    batch: _Batch,
    fixed: int,
    sizes: Ints,
    shingles_of: Callable[[Ints], npt.NDArray[np.uint32]],
    min_similarity: float,
    kept: Ints,
    similarity: npt.NDArray[np.float64],
) -> None:
    """Compare a batch's documents, a part of their sets in memory at a time, and those of all that stay."""
    from corpuskit.sketch import cluster_kernels

    members = batch.members
    # Families follow each other, and in each the fixed ones come first: only then are they one leading part.
    order = np.argsort(members >= fixed, kind="stable") if fixed else np.arange(len(members))
    members, offsets, bands = members[order], *_in_order(batch, order)
    ends = np.cumsum(sizes[members])
    begins = cluster_kernels.rooms(bands, COMPARED_PER_BAND)
    filled, slots = np.zeros(len(begins) - 1, np.int64), np.empty(int(begins[-1]), np.int64)
    found, similar = np.full(len(members), -1, np.int64), np.zeros(len(members))
    compared, places, held = (np.full(len(members), -1, np.int64) for _ in range(3))
    arena = np.empty(0, np.uint32)
    first = used = 0
    while first < len(members):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _BATCH_SHINGLES, side="right")))
        part = shingles_of(members[first:last])
        if used + len(part) > len(arena):
            larger = np.empty(max(used + len(part), min(2 * len(arena), int(ends[-1]))), np.uint32)
            larger[:used], arena = arena[:used], larger
        starts = np.concatenate([[0], ends[first:last] - before])
        used = cluster_kernels.compare(
            first,
            last,
            int(np.count_nonzero(members < fixed)),
            offsets,
            bands,
            begins,
            filled,
            slots,
            part,
            starts,
            arena,
            places,
            held,
            used,
            min_similarity,
            compared,
            found,
            similar,
        )
        first = last
    kept[members] = np.where(found >= 0, members[found], -1)
    similarity[members] = similar


def _in_order(batch: _Batch, order: Ints) -> tuple[Ints, Ints]:
    """Give the offsets and bands of a batch whose documents are taken in another order."""
    lengths = np.diff(batch.offsets)[order]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.repeat(batch.offsets[order] - offsets[:-1], lengths) + np.arange(offsets[-1])
    return offsets, batch.bands[rows]
