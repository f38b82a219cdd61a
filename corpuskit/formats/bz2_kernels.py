"""Find the marks of bz2 in a stream of bits, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

BLOCK_MARK, END_MARK = 0x314159265359, 0x177245385090
#: How many bits a mark has.
MARK_BITS = 48
_MASK = (1 << MARK_BITS) - 1


@njit(nogil=True, cache=True)
def find_mark(data: npt.NDArray[np.uint8], start: int) -> tuple[int, bool]:
    """Give the first bit, from bit `start` on, where a mark begins, and whether it is the mark of an end.

    (-1, False) where none is whole in `data`.
    """
    mask = np.uint64(_MASK)
    block, end = np.uint64(BLOCK_MARK), np.uint64(END_MARK)
    window = np.uint64(0)
    for at in range(start >> 3, len(data)):
        window = (window << np.uint64(8)) | np.uint64(data[at])
        for shift in range(8):
            bits = (window >> np.uint64(7 - shift)) & mask
            if bits == block or bits == end:
                first = at * 8 + shift + 1 - MARK_BITS
                if first >= start:
                    return first, bits == end
    return -1, False
