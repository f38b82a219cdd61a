"""OLMo-core's and dolma's memory maps: ids without a head, `train/part-0-00000.npy`.

The name ends in `.npy` as OLMo's do, but there is no head of numpy. uint16 up to 65,536 entries, else uint32. The end
mark is inside; of tokens, `part-0-00000.csv.gz` has a line `start,end,id,src,loc` for each document, as dolma writes.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.exports import BLOCKS, TOKENS, Format, Given, batches
from corpuskit.exports.files import Parts
from corpuskit.exports.sequences import narrow, stream, vocab_size
from corpuskit.tokens.columns import flatten

FILE_TOKENS = 1 << 29
_ROWS = 256


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write every split into a folder of its own; padding is left out. Files of tokens end with a document."""
    dtype = np.dtype(np.uint16 if vocab_size(given) <= 1 << 16 else np.uint32)
    tokens = {}
    for split, table in given.splits.items():
        arrays, lines = Parts(out, split, _named(split, "npy")), Parts(out, f"{split}-csv", _named(split, "csv.gz"))
        fill = _documents if given.kind == TOKENS else _blocks
        tokens[split] = sum(fill(table, arrays, lines, dtype))
        arrays.name_all()
        lines.name_all()
    return {"tokens": tokens, "dtype": str(dtype)}


def _named(split: str, ending: str) -> Any:
    return lambda at, count: f"{split}/part-0-{at:05d}.{ending}"


def _blocks(table: pa.Table, arrays: Parts, lines: Parts, dtype: np.dtype[Any]) -> Iterator[int]:
    file, inside = arrays.open(), 0
    for values in stream(table):
        rest: npt.NDArray[Any] = narrow(values, dtype)
        while len(rest):
            if inside == FILE_TOKENS:
                file, inside = arrays.open(), 0
            now, rest = rest[: FILE_TOKENS - inside], rest[FILE_TOKENS - inside :]
            file.write(now.tobytes())
            inside += len(now)
            yield len(now)


def _documents(table: pa.Table, arrays: Parts, lines: Parts, dtype: np.dtype[Any]) -> Iterator[int]:
    file, sheet, inside, line = arrays.open(), _Sheet(lines), 0, 0
    for batch in batches(table, _ROWS):
        if inside >= FILE_TOKENS:
            file, inside = arrays.open(), 0
            sheet.next()
        values, offsets = flatten(pa.chunked_array([batch.column("input_ids")]))
        file.write(narrow(values, dtype).tobytes())
        names, sources = batch.column("id").to_pylist(), batch.column("source").to_pylist()
        edges = (offsets + inside).tolist()
        for at, (name, source) in enumerate(zip(names, sources, strict=True)):
            line += 1
            sheet.rows.writerow((edges[at], edges[at + 1], name, source or "", line))
        inside += len(values)
        yield len(values)
    sheet.close()


class _Sheet:
    """A row of compressed CSV files, without the time that gzip would put into their heads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.next()

    def next(self) -> None:
        if hasattr(self, "_text"):
            self.close()
        self._gzip = gzip.GzipFile(filename="", mode="wb", fileobj=self._parts.open(), mtime=0, compresslevel=6)
        self._text = io.TextIOWrapper(self._gzip, "utf-8", newline="")
        self.rows = csv.writer(self._text, lineterminator="\n")

    def close(self) -> None:
        self._text.close()
        self._parts.close()


FORMAT = Format((TOKENS, BLOCKS), write)
