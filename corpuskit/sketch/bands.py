"""Locality-sensitive hashing: signatures cut into bands, so that similar sets meet in one of them.

A pair of similarity s meets with probability 1 - (1 - s^rows)^bands (Leskovec, Rajaraman, Ullman: Mining of Massive
Datasets, 3.4). With 14 bands of 8 rows: .565 at .7, .924 at .8, .9996 at .9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Shape:
    """What makes two texts candidates, and what makes them duplicates."""

    bands: int
    rows: int
    min_similarity: float
    shingle_words: int


#: `fineweb` has the bands of FineWeb and datatrove; `strict` asks the same candidates for more; `loose` looks at more
#: of them (duplodocus' bands) and asks for less.
PRESETS = {
    "fineweb": Shape(14, 8, 0.8, 5),
    "strict": Shape(14, 8, 0.9, 5),
    "loose": Shape(20, 5, 0.7, 5),
}


def chance(similarity: float, bands: int, rows: int) -> float:
    """Give the probability that a pair of this similarity meets in a band."""
    return 1.0 - (1.0 - similarity**rows) ** bands


def s_curve(bands: int, rows: int) -> dict[str, float]:
    """Give `chance` for similarities from .4 to .95, to four digits, keyed by them in words."""
    return {f"{percent / 100:.2f}": round(chance(percent / 100, bands, rows), 4) for percent in range(40, 100, 5)}


def band_hashes(signatures: npt.NDArray[np.uint32], bands: int, rows: int) -> npt.NDArray[np.uint64]:
    """Hash each band's number and rows, evenly over 64 bits, as (sets, bands)."""
    from corpuskit.sketch import minhash_kernels

    out = np.empty((len(signatures), bands), np.uint64)
    minhash_kernels.band_hashes(signatures, rows, out)
    return out


def choose_bands(threshold: float, permutations: int = 128) -> tuple[int, int]:
    """Give datasketch's choice of (bands, rows): the least false positives and negatives at a threshold.

    Raises ValueError where it finds none.
    """
    import datasketch

    index = datasketch.MinHashLSH(threshold=threshold, num_perm=permutations)
    return int(index.b), int(index.r)


def meeting(
    bands: npt.NDArray[np.uint64], documents: npt.NDArray[np.uint64], known: npt.NDArray[np.bool_] | None = None
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Give the (band, document) pairs whose band holds several documents, or is `known`, in ascending order."""
    order = np.lexsort((documents, bands))
    bands, documents = bands[order], documents[order]
    same = bands[1:] == bands[:-1]
    met = np.zeros(len(bands), np.bool_) if known is None else known[order]
    met[1:] |= same
    met[:-1] |= same
    return bands[met], documents[met]
