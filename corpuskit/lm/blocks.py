"""Fixed-length blocks of token ids, read where they lie."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData
from corpuskit.schema import PADDING
from corpuskit.tokens.columns import flatten
from corpuskit.tokens.sequences import is_real

#: In place of the id of padding: no token to predict. The number is the one that torch's cross_entropy leaves out.
NO_TOKEN = -100


class Blocks:
    """The rows of a fixed_size_list<uint16 | uint32>[L] column, left in its (memory-mapped) chunks."""

    @classmethod
    def of(cls, table: pa.Table) -> Blocks:
        """Take the blocks of a split of `shard`, with what is known of their padding."""
        padding = table.column(PADDING).to_numpy() if PADDING in table.column_names else None
        return cls(table.column("input_ids"), padding)

    def __init__(self, column: pa.ChunkedArray, padding: npt.NDArray[np.int32] | None = None) -> None:
        if not pa.types.is_fixed_size_list(column.type):
            raise BadData("input_ids", f"expected blocks of one length, got {column.type}", "make them with `shard`")
        self.length: int = column.type.list_size
        self.padding = padding
        chunks = [pa.chunked_array([chunk]) for chunk in column.chunks if len(chunk)]
        self._chunks = [flatten(chunk)[0].reshape(-1, self.length) for chunk in chunks]
        self._ends = np.cumsum([len(chunk) for chunk in self._chunks], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Copy some rows, in the order asked for, to int64 [rows, L], with NO_TOKEN for padding."""
        taken = np.empty((len(rows), self.length), np.int64)
        for i, (row, chunk) in enumerate(zip(rows, np.searchsorted(self._ends, rows, side="right"), strict=True)):
            taken[i] = self._chunks[chunk][row - self._ends[chunk]]  # negative: counted from the chunk's end
        if self.padding is not None:
            taken[~is_real(self.padding[rows], self.length)] = NO_TOKEN
        return taken

    def largest_id(self) -> int:
        """Give the largest id, or -1 where there is none."""
        return max((int(chunk.max()) for chunk in self._chunks), default=-1)


def order(blocks: int, seed: int, start: int, stop: int) -> npt.NDArray[np.int64]:
    """Give positions [start, stop) of an endless sequence of blocks: each epoch is a permutation of all.

    A position's block depends on the number of blocks, the seed and the position alone, so a resumed run needs no
    state. Epoch e is drawn from the seed pair (seed, e).
    """
    parts = []
    for epoch in range(start // blocks, (stop - 1) // blocks + 1):
        shuffled = _epoch(blocks, seed, epoch)
        parts.append(shuffled[max(0, start - epoch * blocks) : stop - epoch * blocks])
    return np.concatenate([np.empty(0, np.int64), *parts])


@functools.lru_cache(maxsize=2)
def _epoch(blocks: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(blocks)
