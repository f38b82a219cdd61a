"""Pack documents into blocks so that few of them are cut.

A document that fits a block is never cut. A longer one becomes full blocks and its rest, which is packed like a short
document. So all that ends inside of a block ends with an end mark, and readers that part documents there part them
rightly. Places that no document fits are padding, at the end of the block. Ding et al. 2024, "Fewer Truncations Improve
Language Modeling".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.schema import PADDING, REPEATED
from corpuskit.tokens.columns import lists
from corpuskit.tokens.packing import mixed

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of documents, block by block: of document `row`, the `length` tokens from `start` on, in `block`."""

    row: _Ints
    start: _Ints
    length: _Ints
    block: _Ints
    blocks: int


def plan(lengths: _Ints, hashes: npt.NDArray[np.uint64], block_tokens: int) -> Pieces:
    """Say which piece of which document goes into which block; documents of no tokens go nowhere.

    `hashes` shuffle the blocks: one's place hangs on the hash of the document that its longest piece is of.
    """
    from corpuskit.tokens import packing_kernels as kernels

    row, start, length = _cut(lengths, block_tokens)
    bins = np.empty(len(row), np.int64)
    blocks = int(kernels.best_fit(length, block_tokens, bins))
    longest = np.lexsort((np.arange(len(row)), -length, bins))
    first = longest[np.flatnonzero(np.diff(bins[longest], prepend=-1))]
    places = np.empty(blocks, np.int64)
    places[np.argsort(mixed(hashes[row[first]], start[first]), kind="stable")] = np.arange(blocks)
    by_block = np.argsort(places[bins], kind="stable")
    return Pieces(row[by_block], start[by_block], length[by_block], places[bins][by_block], blocks)


def _cut(lengths: _Ints, block_tokens: int) -> tuple[_Ints, _Ints, _Ints]:
    """Cut documents into (row, start, length) of pieces, in order: full blocks, then the rest."""
    counts = -(-lengths // block_tokens)
    row = np.repeat(np.arange(len(lengths)), counts)
    start = (np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)) * block_tokens
    return row, start, np.minimum(lengths[row] - start, block_tokens)


def batches(
    values: npt.NDArray[Any],
    begins: _Ints,
    pieces: Pieces,
    block_tokens: int,
    pad_id: int,
    out_tokens: int,
    repeated: npt.NDArray[np.bool_] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Give the blocks, about `out_tokens` at a time; at least one batch, if only an empty one.

    Document i begins at values[begins[i]]. Columns: `input_ids`; `document_starts`, the offsets at which documents,
    or pieces of those that are cut, begin; `padding`, how many of the last ids are none but `pad_id`; with
    `repeated` (of each document) the tokens of repeated documents.
    """
    from corpuskit.tokens import packing_kernels as kernels

    step = max(1, out_tokens // block_tokens)
    for first in range(0, max(pieces.blocks, 1), step):
        last = min(first + step, pieces.blocks)
        some = slice(*np.searchsorted(pieces.block, [first, last]))
        length, block = pieces.length[some], pieces.block[some] - first
        before = np.cumsum(length) - length
        edges = np.searchsorted(block, np.arange(last - first + 1))
        filled = np.diff(np.append(before, length.sum())[edges])
        inside = before - np.append(before, 0)[edges[block]]
        places = block * block_tokens + inside
        sources = begins[pieces.row[some]] + pieces.start[some]
        ids = np.full((last - first) * block_tokens, pad_id, values.dtype)
        kernels.copy_runs(values, sources, length, places, ids)
        columns = {
            "input_ids": pa.FixedSizeListArray.from_arrays(pa.array(ids), block_tokens),
            "document_starts": lists(inside.astype(np.int32), edges),
            PADDING: pa.array((block_tokens - filled).astype(np.int32)),
        }
        if repeated is not None:
            counts = np.bincount(block, length * repeated[pieces.row[some]], last - first)
            columns[REPEATED] = pa.array(counts.astype(np.int32))
        yield pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
