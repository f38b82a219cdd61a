"""Many arrays in one, since the compiled loops take a microsecond for every few that they are handed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from corpuskit.text.html.arrays import LINE


def packed(parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    """Put arrays behind each other; at the beginning int64 numbers say where each begins and ends, in bytes."""
    places = np.empty((len(parts), 2), np.int64)
    at = _lines(places.nbytes)
    for number, part in enumerate(parts):
        places[number] = at, at + part.nbytes
        at = _lines(at + part.nbytes)
    whole = aligned(at)
    whole[: places.nbytes] = places.view(np.uint8).ravel()
    for (first, last), part in zip(places.tolist(), parts, strict=True):
        whole[first:last] = np.ascontiguousarray(part).view(np.uint8).ravel()
    return whole


def aligned(size: int) -> npt.NDArray[np.uint8]:
    """Give `size` bytes, not set, that begin with a cache line."""
    room = np.empty(size + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + size]


def _lines(size: int) -> int:
    return -(-size // LINE) * LINE
