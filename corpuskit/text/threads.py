"""Share the texts of a batch among the cores that this process has: compiled loops run without the GIL."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

#: How many threads a process may use; the pool of processes sets it so that all together use the cores once.
THREADS = "NUMBA_NUM_THREADS"
_LEAST_BYTES = 1 << 18  # a part of less is not worth a thread
_PARTS = 4  # for each thread


def side_by_side(part: Callable[[int, int], None], offsets: npt.NDArray[np.int64]) -> None:
    """Call part(first, last) for ranges of texts that hold about as many bytes each and together all of them.

    Each range has a text at least, if there is any. A thread gets several, so that none waits for one that the system
    held up. offsets: where each text begins, and the end. What `part` raises is raised.
    """
    texts, size = len(offsets) - 1, int(offsets[-1] - offsets[0])
    count = min(thread_count(), max(1, size // _LEAST_BYTES), max(1, texts))
    if count == 1:
        part(0, texts)
        return
    parts = min(_PARTS * count, size // _LEAST_BYTES, texts)
    goals = offsets[0] + size * np.arange(1, parts) // parts
    bounds = sorted({0, *np.searchsorted(offsets, goals).tolist(), texts})
    for _ in _pool(count, os.getpid()).map(part, bounds[:-1], bounds[1:]):
        pass


@functools.lru_cache(maxsize=2)
def _pool(count: int, process: int) -> ThreadPoolExecutor:
    """Keep threads from batch to batch: new ones each time cost a tenth of the time. A fork has no threads."""
    return ThreadPoolExecutor(count, f"side-by-side-{process}")


def thread_count() -> int:
    """Tell how many threads this process may have at work."""
    told = os.environ.get(THREADS, "")
    if told.isdigit() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
