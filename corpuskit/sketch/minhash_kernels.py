"""The loops behind signatures and bands; import them only where they run, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def minimums(hashes: Any, offsets: Any, factors: Any, summands: Any, out: Any) -> None:
    """Lower out[set, permutation] to the smallest permuted hash of the set."""
    for row in range(len(offsets) - 1):
        lowest = out[row]
        for each in range(offsets[row], offsets[row + 1]):
            mixed = hashes[each]  # MurmurHash3's finalizer, as datasketch does before it permutes
            mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x85EBCA6B))
            mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35))
            mixed = np.uint32(mixed ^ (mixed >> np.uint32(16)))
            for place in range(len(factors)):
                value = np.uint32(np.uint32(factors[place] * mixed) + summands[place])
                lowest[place] = min(lowest[place], value)


@njit(cache=True, nogil=True, inline="always")
def _mixed(value: Any) -> Any:
    """Spread a 64-bit value evenly (the finalizer of splitmix64)."""
    value = np.uint64((value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    value = np.uint64((value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return np.uint64(value ^ (value >> np.uint64(31)))


@njit(cache=True, nogil=True)
def band_hashes(signatures: Any, rows: int, out: Any) -> None:
    """Fill out[set, band] with hashes of the band's number and its rows of the signature."""
    for each in range(out.shape[0]):
        for band in range(out.shape[1]):
            state = _mixed(np.uint64(band + 1) * np.uint64(0x9E3779B97F4A7C15))
            for place in range(band * rows, (band + 1) * rows):
                state = _mixed(np.uint64(state + np.uint64(signatures[each, place]) + np.uint64(0x9E3779B97F4A7C15)))
            out[each, band] = state
