"""The loops behind signatures and bands; import them only where they run, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

#: Hashes are padded to a multiple, so that no loop over them has a rest.
STRIDE = 32


@njit(cache=True, nogil=True)
def mix(hashes: Any, count: int) -> None:
    """Mix hashes as datasketch does before it permutes (MurmurHash3's finalizer), and pad them with the last one."""
    for each in range(count):
        mixed = hashes[each]
        mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        mixed = np.uint32(np.uint32(mixed ^ (mixed >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        hashes[each] = np.uint32(mixed ^ (mixed >> np.uint32(16)))
    if count:
        for each in range(count, -(-count // STRIDE) * STRIDE):
            hashes[each] = hashes[count - 1]


@njit(cache=True, nogil=True)
def lower(mixed: Any, count: int, factors: Any, summands: Any, lowest: Any) -> None:
    """Lower lowest[permutation] to the smallest permuted value of `count` hashes, mixed and padded.

    Permutation by permutation, all hashes side by side: the minimum stays in registers.
    """
    padded = -(-count // STRIDE) * STRIDE
    for place in range(len(factors)):
        factor, summand, least = factors[place], summands[place], lowest[place]
        for each in range(padded):
            least = min(least, np.uint32(np.uint32(factor * mixed[each]) + summand))
        lowest[place] = least


@njit(cache=True, nogil=True)
def minimums(hashes: Any, offsets: Any, factors: Any, summands: Any, out: Any) -> None:
    """Lower out[set, permutation] to the smallest permuted hash of the set."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    mixed = np.empty(longest + STRIDE, np.uint32)
    for row in range(len(offsets) - 1):
        count = offsets[row + 1] - offsets[row]
        mixed[:count] = hashes[offsets[row] : offsets[row + 1]]
        mix(mixed, count)
        lower(mixed, count, factors, summands, out[row])


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
