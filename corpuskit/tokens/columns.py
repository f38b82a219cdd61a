"""Token columns of Arrow as flat numpy arrays, without a copy where Arrow allows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_MANY_VALUES = 1 << 20  # of fewer, loading the loop takes longer than Arrow


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


def taken(column: pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> pa.Array:
    """Take rows of a column. Long lists of numbers are copied by a loop of our own, some ten times as fast as Arrow."""
    kind = column.type
    plain = (
        pa.types.is_list(kind) and pa.types.is_primitive(kind.value_type) and not pa.types.is_boolean(kind.value_type)
    )
    if not plain or column.null_count or len(rows) != len(column) or _values(column) < _MANY_VALUES:
        return column.combine_chunks().take(pa.array(rows)) if len(column) else column.combine_chunks()
    if any(chunk.flatten().null_count for chunk in column.chunks):
        return column.combine_chunks().take(pa.array(rows))
    return _scattered(column, rows)


def _values(column: pa.ChunkedArray) -> int:
    return sum(len(chunk.flatten()) for chunk in column.chunks)


def _scattered(column: pa.ChunkedArray, rows: npt.NDArray[np.int64]) -> pa.Array:
    """Copy the lists of every chunk, as they come, to where `rows` (a permutation) wants them."""
    from corpuskit.tokens import packing_kernels as kernels

    offsets = [chunk.offsets.to_numpy().astype(np.int64) for chunk in column.chunks]
    lengths = np.concatenate([np.diff(each) for each in offsets])
    ends = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths[rows], out=ends[1:])
    places = np.empty(len(rows), np.int64)
    places[rows] = ends[:-1]
    out = np.empty(ends[-1], column.type.value_type.to_pandas_dtype())
    row = 0
    for chunk, each in zip(column.chunks, offsets, strict=True):
        values = chunk.values.to_numpy(zero_copy_only=True)
        last = row + len(chunk)
        kernels.copy_runs(values, each[:-1], lengths[row:last], places[row:last], out)
        row = last
    return pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pa.array(out), type=column.type)
