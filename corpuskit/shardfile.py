"""Write shards whose bytes depend on their rows alone: not on the batches that the rows came in."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import storage
from corpuskit.dataset import Shard, empty_batch
from corpuskit.tokens.columns import taken

if TYPE_CHECKING:
    from typing_extensions import Self

BATCH_ROWS = 4096
BATCH_BYTES = 16 << 20
SHARD_BYTES = 128 << 20
ROUND_BYTES = 256 << 20
#: How the name of an exchange's file ends.
EXCHANGE = ".exchange"


class Rebatcher:
    """Cut a stream of batches anew, at most BATCH_ROWS rows and about BATCH_BYTES bytes each.

    Where a cut falls depends on the rows alone, and every batch is a fresh copy: slices would carry the padding bits
    of their parents into the file.
    """

    def __init__(self, max_rows: int = BATCH_ROWS, max_bytes: int = BATCH_BYTES) -> None:
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._pieces: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def push(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Take a batch in, give the full ones out."""
        sizes = row_bytes(batch)
        ends = np.cumsum(sizes)
        start = 0
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            room = self._max_bytes - self._bytes
            stop = int(np.searchsorted(ends, before + room, side="right"))
            stop = min(stop, start + self._max_rows - self._rows, batch.num_rows)
            if stop <= start and not self._rows:
                stop = start + 1  # a row larger than a batch gets one of its own
            if stop > start:
                self._pieces.append(batch.slice(start, stop - start))
                self._rows += stop - start
                self._bytes += int(ends[stop - 1]) - before
            if stop < batch.num_rows or self._rows == self._max_rows:
                yield self._cut()
            start = stop

    def rest(self) -> Iterator[pa.RecordBatch]:
        """Give the last, partial batch out."""
        if self._rows:
            yield self._cut()

    def _cut(self) -> pa.RecordBatch:
        pieces, self._pieces, self._rows, self._bytes = self._pieces, [], 0, 0
        return fresh(pieces)


def fresh(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Join batches of one schema into a new one that shares no buffer with them, but for one row's list of numbers."""
    schema = pieces[0].schema
    columns = [_joined([piece.column(at) for piece in pieces]) for at in range(len(schema))]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _joined(arrays: list[pa.Array]) -> pa.Array:
    first = arrays[0]
    if len(arrays) == len(first) == 1 and pa.types.is_list(first.type) and not first.null_count:
        # One long row: its values have no bits that could differ, and may be too many to have twice.
        values = first.flatten()
        if not values.null_count and pa.types.is_integer(values.type):
            return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values, type=first.type)
    # The empty piece forces a copy where there is one piece only.
    return pa.concat_arrays([*arrays, first.slice(0, 0)])


def row_bytes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """Estimate the bytes of every row: the values of its columns, offsets and bitmaps left out."""
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        total += _column_bytes(column)
    return total


def _column_bytes(column: pa.Array) -> npt.NDArray[np.int64] | int:
    kind = column.type
    if (
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    ):
        return cast(
            "npt.NDArray[np.int64]",
            pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64),
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return cast("npt.NDArray[np.int64]", lengths * _width(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    return _width(kind)


def _width(kind: pa.DataType) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:  # nested or of variable width inside a list: a guess is enough to bound memory
        return 16


class _Writer:
    """What a file is written to, given up where the block that it is written in raises."""

    _sink: storage.Sink | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._sink is not None:
            self._sink.abort()


class ShardWriter(_Writer):
    """Write a table as a row of stream files `<stem>-0000.arrow` ..., a new one after SHARD_BYTES."""

    def __init__(self, folder: str, stem: str, max_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._stem, self._max_bytes = folder, stem, max_bytes
        self._rebatcher = Rebatcher()
        self._writer: Any = None
        self._buffer: _Buffered | None = None
        self._rows = 0
        self.schema: pa.Schema | None = None
        self.shards: list[Shard] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch in. Raises ValueError where its columns differ from those of the first."""
        if self.schema is None:
            self.schema = batch.schema.remove_metadata()
        if not batch.schema.equals(self.schema):
            batch = _like(batch, self.schema)
        for full in self._rebatcher.push(batch):
            self._put(full)

    def next_file(self) -> None:
        """Let what follows go into a new file. From then on the writer begins none of itself."""
        self._max_bytes = sys.maxsize
        for last in self._rebatcher.rest():
            self._put(last)
        self._finish()

    def close(self, *, at_least_one: bool) -> list[Shard]:
        """Write what is left and give the shards; with `at_least_one`, an empty table has one empty shard."""
        for last in self._rebatcher.rest():
            self._put(last)
        if self._sink is None and at_least_one and not self.shards and self.schema is not None:
            self._put(empty_batch(self.schema))
        self._finish()
        return self.shards

    def _put(self, batch: pa.RecordBatch) -> None:
        if self._sink is None:
            self._sink = storage.Sink(storage.join(self._folder, f"{self._stem}-{len(self.shards):04d}.arrow"))
            self._buffer = _Buffered(self._sink, 1 << 20)
            self._writer = pa.ipc.new_stream(cast("Any", self._buffer), batch.schema)
            self._rows = 0
        if batch.num_rows:
            self._writer.write_batch(batch)
        self._rows += batch.num_rows
        if self._sink.bytes >= self._max_bytes:
            self._finish()

    def _finish(self) -> None:
        if self._sink is None:
            return
        sink, self._sink = self._sink, None
        try:
            self._writer.close()
            self._buffer.flush()  # type: ignore[union-attr]
        except BaseException:
            sink.abort()
            raise
        written, digest = sink.commit()
        self.shards.append(Shard(sink.path.rsplit("/", 1)[-1], written, digest, self._rows))


def _like(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Give a batch the nullability and order of `schema`; the names and types must be the same."""
    if sorted(batch.schema.names) != sorted(schema.names):
        raise ValueError(f"a batch has columns {batch.schema.names}, the first one had {schema.names}")
    columns = []
    for field in schema:
        column = batch.column(field.name)
        if column.type != field.type:
            raise ValueError(f"column {field.name} is {column.type}, in the first batch it was {field.type}")
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


class ExchangeWriter(_Writer):
    """Write one IPC file with one record batch per bucket; buckets are equal ranges of a uint64 column.

    What comes to more than ROUND_BYTES is written in rounds, each with a batch per bucket: that bounds the memory.
    """

    def __init__(self, folder: str, stem: str, by: str, buckets: int, round_bytes: int = ROUND_BYTES) -> None:
        self._path, self._by, self._buckets = storage.join(folder, stem + EXCHANGE), by, buckets
        self._round_bytes = round_bytes
        self._batches: list[pa.RecordBatch] = []
        self._bytes = self._rows = 0
        self._buffer: _Buffered | None = None
        self._writer: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch in."""
        self._batches.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > self._round_bytes:
            self._round()

    def close(self) -> Shard:
        """Write what is left and give the file."""
        if self._batches:
            self._round()
        sink = self._sink
        assert sink is not None  # there is a batch, if only an empty one
        self._writer.close()
        self._buffer.flush()  # type: ignore[union-attr]
        written, digest = sink.commit()
        return Shard(self._path.rsplit("/", 1)[-1], written, digest, self._rows)

    def _round(self) -> None:
        """Sort the rows at hand into buckets, in the order in which they came, and write them."""
        table = pa.Table.from_batches(self._batches)
        bucket = bucket_of(table.column(self._by).to_numpy(), self._buckets)
        order = np.argsort(bucket, kind="stable")
        ends = np.searchsorted(bucket[order], np.arange(self._buckets), side="right")
        # One `take` for all buckets: from many chunks, each would first join them all.
        columns = [pa.chunked_array([taken(column, order)]) for column in table.columns]
        table = pa.Table.from_arrays(columns, schema=table.schema)
        self._batches, self._bytes = [], 0
        if self._sink is None:
            # Should the machine stop before it is on disk, its hash tells, and it is made again.
            self._sink = storage.Sink(self._path, passing=True)
            self._buffer = _Buffered(self._sink, 1 << 20)
            self._writer = pa.ipc.new_file(cast("Any", self._buffer), table.schema)
        start = 0
        for end in ends.tolist():
            rows = table.slice(start, end - start).to_batches()
            self._writer.write_batch(rows[0] if rows else empty_batch(table.schema))
            start = end
        self._rows += table.num_rows


class _Buffered(io.BufferedWriter):
    """A buffer that flushes, but does not close, the file below: its owner commits it."""

    def close(self) -> None:
        self.flush()

    def __del__(self) -> None:
        pass


def bucket_of(hashes: npt.NDArray[Any], buckets: int) -> npt.NDArray[np.int64]:
    """Map uint64 hashes to buckets that are equal ranges, so that buckets in order keep the order of the hashes."""
    high = (hashes.astype(np.uint64) >> np.uint64(32)) * np.uint64(buckets)
    return (high >> np.uint64(32)).astype(np.int64)
