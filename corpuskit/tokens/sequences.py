"""The tokens of blocks without their padding, and where in them sequences begin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.schema import PADDING
from corpuskit.tokens.columns import flatten

_Ints = npt.NDArray[np.int64]


def is_real(padding: npt.NDArray[Any], block_tokens: int) -> npt.NDArray[np.bool_]:
    """Tell which places [blocks, block_tokens] hold a token, from how many at the end of each block are padding."""
    real: npt.NDArray[np.bool_] = np.arange(block_tokens) < (block_tokens - padding.astype(np.int64))[:, None]
    return real


def of_blocks(batch: pa.RecordBatch) -> tuple[npt.NDArray[Any], _Ints]:
    """Give (tokens, starts): the tokens in order, without padding, and where in the array sequences begin.

    Blocks that were cut out of one stream go on into each other, and sequences are documents. Blocks with padding
    stand alone: each piece of a document that was cut is a sequence of its own.
    """
    length = batch.column("input_ids").type.list_size
    values = flatten(pa.chunked_array([batch.column("input_ids")]))[0]
    starts, offsets = flatten(pa.chunked_array([batch.column("document_starts")]))
    rows = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
    if PADDING not in batch.schema.names:
        return values, rows * length + starts
    padding = batch.column(PADDING).to_numpy().astype(np.int64)
    before = np.cumsum(padding) - padding
    return values.reshape(-1, length)[is_real(padding, length)], rows * length + starts - before[rows]


def joined(batches: Iterable[pa.RecordBatch]) -> tuple[npt.NDArray[Any], _Ints]:
    """Give (tokens, offsets) of blocks with padding: sequence i is tokens[offsets[i]:offsets[i + 1]]."""
    parts, begins, total = [], [], 0
    for batch in batches:
        values, starts = of_blocks(batch)
        parts.append(values)
        begins.append(starts + total)
        total += len(values)
    empty = np.empty(0, np.int64)
    values = np.concatenate(parts) if parts else empty
    return values, np.concatenate([empty, *begins, [total]]) if total else np.zeros(1, np.int64)
