"""Lines and paragraphs that texts repeat: hashed as CCNet does (Wenzek et al. 2020, 2.1), and taken out.

Two lines are the same if they are after normalisation: lower case, no accents and punctuation, numbers as 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.sketch.shingles import byte_tables
from corpuskit.text.threads import side_by_side
from corpuskit.text.unicode import utf8


@dataclass(frozen=True, slots=True)
class Lines:
    """The hashes of the lines of texts, one text after another, 0 for lines that do not count; and their numbers."""

    hashes: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.int64]


def lines_of(texts: pa.Array, min_words: int, *, paragraphs: bool = False) -> Lines:
    """Hash the lines of a text column, or its paragraphs, on every core; those of fewer words do not count."""
    from corpuskit.text import repeated_kernels

    data, offsets = utf8(texts)
    tables = byte_tables()
    counts = np.zeros(len(texts), np.int64)
    # A line takes a byte, but for the last of a text.
    room = np.empty(int(offsets[-1] - offsets[0]) + len(texts), np.uint64)
    pieces: dict[int, npt.NDArray[np.uint64]] = {}

    def part(first: int, last: int) -> None:
        used = repeated_kernels.hashes(data, offsets, first, last, tables, paragraphs, min_words, room, counts)
        begin = int(offsets[first] - offsets[0]) + first
        pieces[first] = room[begin : begin + used]

    side_by_side(part, offsets)
    return Lines(np.concatenate([room[:0], *[pieces[first] for first in sorted(pieces)]]), counts)


def without(
    texts: pa.Array, lines: Lines, gone: npt.NDArray[np.bool_], *, paragraphs: bool = False
) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Give the texts without the lines that are `gone`, and how many characters each has lost, line feeds with them."""
    from corpuskit.text import repeated_kernels

    data, offsets = utf8(texts)
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    ends, removed = np.zeros(len(texts) + 1, np.int64), np.zeros(len(texts), np.int64)
    repeated_kernels.take_out(data, offsets, paragraphs, lines.counts, gone, out, ends, removed)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(out[: ends[-1]])]
    return pa.Array.from_buffers(pa.large_string(), len(texts), buffers).cast(texts.type), removed
