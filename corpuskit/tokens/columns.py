"""Token columns of Arrow as flat numpy arrays, without a copy where Arrow allows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def flatten(column: pa.ChunkedArray) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Give a list column as (values, offsets): row i is values[offsets[i]:offsets[i + 1]].

    Takes variable and fixed-size lists; nulls inside a list are left out. One chunk needs no copy of its values.
    """
    values: list[npt.NDArray[Any]] = []
    lengths: list[npt.NDArray[np.int64]] = []
    for chunk in column.chunks:
        flat = chunk.flatten()
        if flat.null_count:
            lengths.append(_valid_lengths(chunk))
            flat = flat.drop_null()
        elif pa.types.is_fixed_size_list(chunk.type):
            lengths.append(np.full(len(chunk), chunk.type.list_size, np.int64))
        else:
            lengths.append(np.diff(chunk.offsets.to_numpy().astype(np.int64)))
        values.append(flat.to_numpy(zero_copy_only=False))
    empty = np.empty(0, column.type.value_type.to_pandas_dtype())
    flat_values = values[0] if len(values) == 1 else np.concatenate([empty, *values])
    offsets = np.zeros(len(column) + 1, np.int64)
    if lengths:
        np.cumsum(np.concatenate(lengths), out=offsets[1:])
    return flat_values, offsets


def lists(values: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> pa.Array:
    """Build a list<...> array from flat values and offsets; the inverse of `flatten`."""
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


def _valid_lengths(chunk: Any) -> npt.NDArray[np.int64]:
    valid: npt.NDArray[np.bool_] = chunk.flatten().is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(chunk.type):
        sums: npt.NDArray[np.int64] = valid.reshape(len(chunk), chunk.type.list_size).sum(axis=1, dtype=np.int64)
        return sums
    starts = chunk.offsets.to_numpy().astype(np.int64)
    running = np.concatenate([[0], np.cumsum(valid)])
    counted: npt.NDArray[np.int64] = running[starts[1:] - starts[0]] - running[starts[:-1] - starts[0]]
    return counted


def pick(batch: pa.RecordBatch, names: Sequence[str]) -> list[pa.Array]:
    """Give a batch's columns of these names; one that it does not have is all null strings."""
    present = set(batch.schema.names)
    return [batch.column(name) if name in present else pa.nulls(batch.num_rows, pa.string()) for name in names]
