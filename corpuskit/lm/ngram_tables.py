"""The grams of a text, order by order: sorted and counted by ranges of the last token, in threads and out of core.

Ranges do not depend on each other, and what they give is put one behind the other: where they are cut leaves no trace.
Within a limit of memory, fewer and smaller ranges are at work at a time and all tables are files that the operating
system keeps in memory as far as there is room.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]
_FIELDS = ("tokens", "counts", "raws", "children")
_BYTES_A_KEY = 18  # what a gram at work takes besides its keys of 8 bytes: scratch, marks, its share of the tables
_RANGES = 8  # for each thread, so that none waits long for the last


@dataclass(slots=True)
class Level:
    """The grams of one order, in suffix order: the left-most token of each, and what is known of it.

    The children of a gram, those with one more token on its left, follow each other in the next order: children[n] to
    children[n + 1], sorted by that token.
    """

    tokens: _Array  # uint32
    counts: _Array  # uint32: adjusted counts
    raws: _Array  # uint32, empty where nothing is pruned
    children: _Array  # uint32, one more than tokens; empty in the highest order
    contexts: _Array = field(default_factory=lambda: np.empty(0, np.uint32))
    probs: _Array = field(default_factory=lambda: np.empty(0, np.float64))
    backoffs: _Array = field(default_factory=lambda: np.empty(0, np.float64))
    dropped: _Array = field(default_factory=lambda: np.empty(0, np.bool_))

    def forget_counts(self, *, keep: bool) -> None:
        """Give the memory of the counts back once probabilities are known."""
        if not keep:
            self.counts = np.empty(0, np.uint32)
        self.raws = np.empty(0, np.uint32)


@dataclass
class Work:
    """How to compute: threads (None: the cores that this process has), bytes of memory (None: no limit), scratch files.

    With `memory`, `scratch` is a folder for tables; the caller removes it.
    """

    threads: int | None = None
    memory: int | None = None
    scratch: Path | None = None
    _maps: list[np.memmap[Any, Any]] = field(default_factory=list)

    @property
    def n_threads(self) -> int:
        """How many threads are at work."""
        return self.threads or len(os.sched_getaffinity(0))

    @property
    def in_files(self) -> bool:
        """Whether tables are files."""
        return self.memory is not None and self.scratch is not None

    def array(self, name: str, size: int, dtype: Any) -> _Array:
        """Give an array of zeros, in memory or as a file."""
        if not self.in_files or not size:
            return np.zeros(size, dtype)
        assert self.scratch is not None
        made = np.memmap(self.scratch / name, dtype, "w+", shape=(size,))
        self._maps.append(made)
        return np.asarray(made)

    def opened(self, file: Path, dtype: Any) -> _Array:
        """Map a file of the scratch folder."""
        if not file.stat().st_size:
            return np.empty(0, dtype)
        made = np.memmap(file, dtype, "r+")
        self._maps.append(made)
        return np.asarray(made)

    def release(self) -> None:
        """Let go of the pages of all files; the operating system keeps them as long as it has room."""
        import mmap

        for each in self._maps:
            each._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]

    def each(self, n: int, one: Callable[[int, int], None], *, few: bool = False) -> None:
        """Call `one` for ranges of 0 .. n, in threads. `few`: every call has a cost of its own, so one a thread."""
        parts = self.n_threads
        if not few or self.in_files:
            parts *= _RANGES
        cuts = sorted({n * at // parts for at in range(parts + 1)})
        with ThreadPoolExecutor(self.n_threads) as pool:
            for future in [pool.submit(one, lo, hi) for lo, hi in pairwise(cuts)]:
                future.result()
                if self.in_files:
                    self.release()


def count_grams(stream: _Array, bos: int, order: int, work: Work, *, all_raw: bool, wants_raw: bool) -> list[Level]:
    """Sort and count the grams of all orders of a stream with a start mark `bos` before each document."""
    from corpuskit.lm import ngram_kernels as kernels

    size = bos + 2
    bits = max(1, int(bos).bit_length())
    frequency = kernels.count_tokens(stream, size)
    frequency[bos] = 0
    words = max(1, -(-(order - 1) // (64 // bits)))
    cuts = _cut(frequency, work, 8 * words + 8 + _BYTES_A_KEY)

    def one(lo: int, hi: int) -> list[list[_Array]]:
        starts = np.concatenate([[0], np.cumsum(frequency[lo:hi])])
        return _tables(stream, bos, order, bits, lo, hi, starts, all_raw, wants_raw)

    tables = _Tables(order, work)
    with ThreadPoolExecutor(work.n_threads) as pool:
        waiting: list[Future[list[list[_Array]]]] = []
        for lo, hi in pairwise(cuts):
            waiting.append(pool.submit(one, lo, hi))
            if len(waiting) >= work.n_threads + (0 if work.in_files else 1):
                tables.add(waiting.pop(0).result())
        for future in waiting:
            tables.add(future.result())
    return tables.levels()


def _cut(frequency: _Array, work: Work, bytes_a_key: int) -> list[int]:
    """Cut the ids into ranges with about as many tokens each."""
    total = int(frequency.sum())
    most = max(1, total // (work.n_threads * _RANGES))
    if work.memory is not None:
        most = min(most, max(1, work.memory // (2 * work.n_threads * bytes_a_key)))
    before = np.concatenate([[0], np.cumsum(frequency)])
    numbers = (before[1:] - 1).clip(0) // most  # the range that the last gram of each id is in
    cuts = np.flatnonzero(np.diff(numbers)) + 1
    return [0, *cuts.tolist(), len(frequency)]


def _tables(
    stream: _Array, bos: int, order: int, bits: int, lo: int, hi: int, starts: _Array, all_raw: bool, wants_raw: bool
) -> list[list[_Array]]:
    """Give, for the last tokens lo .. hi - 1, the tables [field][order - 1]; children are numbered within the range."""
    from corpuskit.lm import ngram_kernels as kernels

    n = int(starts[-1])
    keys = kernels.sorted_keys(stream, bos, order, bits, lo, hi, starts)
    shared, depth = np.empty(n, np.uint8), np.empty(n, np.uint8)
    distinct = kernels.compare_neighbours(keys, bos, order, bits, starts, shared, depth)
    distinct[1] = hi - lo
    bases = np.concatenate([[0, 0], np.cumsum(distinct[1:])])
    total = int(bases[-1])
    tokens, counts = np.empty(total, np.uint32), np.zeros(total, np.uint32)
    raws = np.zeros(total if wants_raw else 0, np.uint32)
    children = np.empty(max(int(bases[order]), hi - lo), np.uint32)
    kernels.emit(keys, order, bits, lo, starts, shared, depth, bases, all_raw, tokens, counts, raws, children)
    return [[flat[bases[k] : bases[k + 1]] for k in range(1, order + 1)] for flat in (tokens, counts, raws, children)]


class _Tables:
    """Puts the tables of ranges one behind the other, in memory or in files."""

    def __init__(self, order: int, work: Work) -> None:
        self.order, self.work = order, work
        self.sizes = [0] * (order + 1)
        self.parts: list[list[list[_Array]]] = [[[] for _ in range(order)] for _ in _FIELDS]
        self.files: dict[tuple[int, int], Any] = {}

    def add(self, tables: list[list[_Array]]) -> None:
        """Take those of the next range."""
        for k in range(self.order - 1):
            tables[3][k] += np.uint32(self.sizes[k + 1])
        tables[3][self.order - 1] = np.empty(0, np.uint32)
        for k in range(self.order):
            self.sizes[k] += len(tables[0][k])
        for at, orders in enumerate(tables):
            for k, part in enumerate(orders):
                self._put(at, k, part)
        self.work.release()

    def levels(self) -> list[Level]:
        """Give the tables of each order."""
        for k in range(self.order - 1):
            self._put(3, k, np.array([self.sizes[k + 1]], np.uint32))
        return [Level(*(self._whole(at, k) for at in range(len(_FIELDS)))) for k in range(self.order)]

    def _put(self, at: int, k: int, part: _Array) -> None:
        if not self.work.in_files:
            self.parts[at][k].append(part)
            return
        if (at, k) not in self.files:
            self.files[at, k] = self._file(at, k).open("wb")
        part.tofile(self.files[at, k])

    def _whole(self, at: int, k: int) -> _Array:
        if self.work.in_files:
            self.files.pop((at, k)).close()
            return self.work.opened(self._file(at, k), np.uint32)
        parts, self.parts[at][k] = self.parts[at][k], []
        return np.concatenate(parts)

    def _file(self, at: int, k: int) -> Path:
        assert self.work.scratch is not None
        return self.work.scratch / f"{_FIELDS[at]}.{k + 1}"
