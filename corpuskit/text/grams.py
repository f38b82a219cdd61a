"""Runs of words that texts share with evaluation texts, as in GPT-3's appendix C (Brown et al. 2020): 13 words.

Words are those of `sketch.shingles` (lower case, no accents, no punctuation; characters, in scripts written without
spaces), but digits stay: the numbers of an arithmetic problem are what tells it from others. A run is a 64-bit hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.sketch.shingles import byte_tables
from corpuskit.text.threads import side_by_side
from corpuskit.text.unicode import utf8

_MIN_FILTER_BYTES, _MAX_FILTER_BYTES = 1 << 12, 1 << 26


def grams(texts: Sequence[str], length: int, least: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Give the runs of `length` words of some texts, and the numbers of words that runs have.

    A text of fewer words, but `least`, is a run as a whole; one of fewer has none.
    """
    from corpuskit.text import gram_kernels

    data, offsets = utf8(pa.array(texts, pa.large_string()))
    size = len(data) + 1
    found, owners, lengths = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
    used = gram_kernels.collect(data, offsets, byte_tables(digits=True), length, least, found, owners, lengths)
    return np.unique(found[:used]), np.unique(lengths[:used])


@dataclass(frozen=True)
class Hits:
    """Runs that were found: in which text, from which unit on, how many units, and which of the known ones."""

    texts: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]


class Grams:
    """Known runs, to be looked up in texts."""

    def __init__(self, known: npt.NDArray[np.uint64], lengths: Sequence[int]) -> None:
        """Take the hashes, ascending, and the numbers of words that they have."""
        from corpuskit.text import gram_kernels

        self.known, self._lengths = known, np.array(lengths, np.int64)
        size = _MIN_FILTER_BYTES
        while size < 2 * len(known) and size < _MAX_FILTER_BYTES:  # 16 bits for each
            size *= 2
        self._filter = np.zeros(size, np.uint8)
        gram_kernels.bits(known, self._filter)

    def find(self, texts: pa.Array) -> Hits:
        """Look all runs of a text column up, on every core."""
        from corpuskit.text import gram_kernels

        data, offsets = utf8(texts)
        pieces: dict[int, npt.NDArray[np.int64]] = {}
        tables = byte_tables(digits=True)

        def part(first: int, last: int) -> None:
            out = np.empty((1024, 4), np.int64)
            arguments = (data, offsets, first, last, tables, self._lengths, self.known, self._filter)
            count = gram_kernels.find(*arguments, out)
            if count > len(out):
                out = np.empty((count, 4), np.int64)
                gram_kernels.find(*arguments, out)
            pieces[first] = out[:count]

        side_by_side(part, offsets)
        rows = np.concatenate([np.empty((0, 4), np.int64), *[pieces[first] for first in sorted(pieces)]])
        return Hits(rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3])


def spans(text: str, units: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Give where runs of units lie in the text's UTF-8, those that touch as one, in order."""
    from corpuskit.text import gram_kernels

    data = np.frombuffer(text.encode(), np.uint8)
    begins, ends = np.empty(len(data) + 1, np.int64), np.empty(len(data) + 1, np.int64)
    gram_kernels.places(data, 0, len(data), byte_tables(digits=True)[0], begins, ends)
    found: list[tuple[int, int]] = []
    for begin, end in sorted(zip(begins[units].tolist(), ends[units + lengths - 1].tolist(), strict=True)):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found
