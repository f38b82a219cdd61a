"""A permutation of any length that takes no memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ROUNDS = 4
_Words = npt.NDArray[np.uint64]


def shuffled(positions: npt.NDArray[np.int64], count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Give the places of some positions in [0, count) under the permutation of a seed and an epoch.

    A Feistel network of four rounds over the next power of four; what falls outside walks on until it is inside (Black
    and Rogaway 2002), once or twice on average.
    """
    half = np.uint64(max(1, (max(count - 1, 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    keys = np.random.default_rng([seed, epoch]).integers(0, 1 << 64, _ROUNDS, np.uint64)
    places = positions.astype(np.uint64)
    walking = np.arange(len(places))
    while len(walking):
        left, right = places[walking] >> half, places[walking] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        places[walking] = left << half | right
        walking = walking[places[walking] >= np.uint64(count)]
    return places.astype(np.int64)


def _mixed(words: _Words) -> _Words:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words = (words ^ (words >> np.uint64(shift))) * np.uint64(factor)
    return words ^ (words >> np.uint64(31))
