"""Decode UTF-8 in compiled code; import it only where it runs, for numba's sake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, inline="always")
def code_point(data: Any, at: int, stop: int) -> Any:
    """Decode one character of UTF-8: (code point, bytes). Never reads at or past `stop`; bad bytes count alone."""
    first = np.int64(data[at])
    if first < 0xC0:
        return first, 1
    if first < 0xE0 and at + 1 < stop:
        return (first & 0x1F) << 6 | (np.int64(data[at + 1]) & 0x3F), 2
    if first < 0xF0 and at + 2 < stop:
        return (first & 0x0F) << 12 | (np.int64(data[at + 1]) & 0x3F) << 6 | (np.int64(data[at + 2]) & 0x3F), 3
    if first < 0xF5 and at + 3 < stop:
        high = (first & 0x07) << 18 | (np.int64(data[at + 1]) & 0x3F) << 12
        found = high | (np.int64(data[at + 2]) & 0x3F) << 6 | (np.int64(data[at + 3]) & 0x3F)
        return min(found, 0x10FFFF), 4
    return first, 1
