"""The blocks of a split where they lie on disk."""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, NoInput
from corpuskit.schema import PADDING

_Ints = npt.NDArray[np.int64]


class MappedBlocks:
    """The rows of the Arrow files of a folder that `shard` wrote, by number; pickles as its folder.

    Files are mapped privately: what is handed out without a copy may be written to, and does not reach the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open()

    def _open(self) -> None:
        self._files: list[npt.NDArray[Any]] = []  # each a whole file, as ids
        padding: list[npt.NDArray[np.int32]] = []
        first, file, place, total = [], [], [], 0
        self.length, self.dtype = 0, np.dtype(np.uint16)
        for name in _names(self.folder):
            at, batches = self._map(self.folder / name)
            for batch in batches:
                column = batch.column("input_ids")
                self._check(column.type, name)
                if not batch.num_rows:
                    continue
                ids = column.values.slice(column.offset * self.length, len(column) * self.length)
                buffer = ids.buffers()[1]
                begin = buffer.address - at + ids.offset * self.dtype.itemsize
                first.append(total)
                file.append(len(self._files))
                place.append(begin // self.dtype.itemsize)
                if PADDING in batch.schema.names:
                    padding.append(batch.column(PADDING).to_numpy())
                total += batch.num_rows
            self._files.append(self._mapping.view(self.dtype))
        self._first, self._file, self._place = (np.array(each, np.int64) for each in (first, file, place))
        self._rows, self.padding = total, np.concatenate(padding) if padding else None

    def _map(self, path: Path) -> tuple[int, list[pa.RecordBatch]]:
        """Map a file; gives its address and its batches, which are views of it."""
        try:
            with open(path, "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except (FileNotFoundError, ValueError):  # mmap's word for an empty file
            raise NoInput(str(path), "expected a shard, found none", "run `corpuskit verify`") from None
        whole = np.frombuffer(mapped, np.uint8)
        self._mapping = whole[: len(whole) // 8 * 8]  # Arrow pads to eight bytes
        try:
            with pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(mapped))) as reader:
                return whole.ctypes.data, list(reader) or [_empty(reader.schema)]
        except (pa.ArrowInvalid, OSError) as error:
            problem = f"expected an Arrow IPC stream: {error}"
            raise BadData(str(path), problem, "run `corpuskit verify`") from None

    def _check(self, kind: pa.DataType, name: str) -> None:
        if not pa.types.is_fixed_size_list(kind) or kind.value_type not in (pa.uint16(), pa.uint32()):
            problem = f"expected blocks of one length of uint16 or uint32, got {kind}"
            raise BadData(str(self.folder / name), problem, "make them with `shard`")
        dtype = np.dtype(kind.value_type.to_pandas_dtype())
        if self.length not in (0, kind.list_size) or (self.length and dtype != self.dtype):
            raise BadData(str(self.folder / name), "its blocks differ from those before", "run `corpuskit verify`")
        self.length, self.dtype = kind.list_size, dtype

    def __len__(self) -> int:
        return self._rows

    def take(self, rows: _Ints) -> _Ints:
        """Copy some rows, in the order asked for, to int64 [rows, L]."""
        return self._copied(rows, np.dtype(np.int64))

    def raw(self, rows: _Ints) -> npt.NDArray[Any]:
        """Give some rows [rows, L] as they are: a view where they follow each other in a file, else a copy."""
        spans = self._spans(rows)
        if len(spans) == 1:
            file, start, count = spans[0]
            return self._files[file][start : start + count * self.length].reshape(count, self.length)
        return self._copied(rows, self.dtype)

    def padding_of(self, rows: _Ints) -> npt.NDArray[np.int32] | None:
        """Give the places at the end of some rows that are padding; None where no block has any."""
        return None if self.padding is None else self.padding[rows]

    def _copied(self, rows: _Ints, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        out = np.empty(len(rows) * self.length, dtype)
        at = 0
        for file, start, count in self._spans(rows):
            size = count * self.length
            out[at : at + size] = self._files[file][start : start + size]
            at += size
        return out.reshape(len(rows), self.length)

    def _spans(self, rows: _Ints) -> list[tuple[int, int, int]]:
        """Give (file, place, rows) of the runs of rows that follow each other on disk."""
        if not len(rows):
            return []
        batch = np.searchsorted(self._first, rows, "right") - 1
        place = self._place[batch] + (rows - self._first[batch]) * self.length
        edges = np.flatnonzero((np.diff(rows) != 1) | (np.diff(batch) != 0)) + 1
        starts = np.concatenate([[0], edges])
        counts = np.diff(starts, append=len(rows))
        return list(zip(self._file[batch[starts]].tolist(), place[starts].tolist(), counts.tolist(), strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.folder = state["folder"]
        self._open()


def _names(folder: Path) -> list[str]:
    """List the files of a folder that `datasets.load_from_disk` opens."""
    try:
        state = json.loads((folder / "state.json").read_text("utf-8"))
        return [os.path.basename(each["filename"]) for each in state["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(str(folder), f"expected a state.json that lists files: {error}", "make it anew") from None


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
