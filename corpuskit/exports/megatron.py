"""Megatron's indexed dataset: `train.bin` and `train.idx`, `valid.bin` and `valid.idx`.

A sequence is a document with its end mark: `--data-path OUT/train`. Of blocks, what `shard` has cut at the end of a
block goes on in the next one, so that documents are whole again; packed blocks have pieces of long ones. As
`megatron.core.datasets.indexed_dataset` reads it: version 1, uint16 below 65,500 entries, else int32.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpuskit.exports import BLOCKS, TOKENS, Format, Given
from corpuskit.exports.sequences import Documents, narrow, pieces, vocab_size

MAGIC = b"MMIDIDX\x00\x00"
_CODES = {np.dtype(np.int32): 4, np.dtype(np.uint16): 8}
_NARROW_ENTRIES = 65_500
_CHUNK = 1 << 20


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write a pair of files for every split."""
    dtype = np.dtype(np.uint16 if vocab_size(given) < _NARROW_ENTRIES else np.int32)
    return {
        "dtype": str(dtype),
        **{split: _split(table, out, split, dtype) for split, table in given.splits.items()},
    }


def _split(table: pa.Table, out: Path, split: str, dtype: np.dtype[Any]) -> dict[str, int]:
    documents = Documents()
    with open(out / f"{split}.bin", "wb") as file:
        for values, starts in pieces(table):
            file.write(narrow(values, dtype).data)
            documents.add(values, starts)
    lengths = documents.lengths()
    with open(out / f"{split}.idx", "wb") as file:
        file.write(MAGIC + struct.pack("<QBQQ", 1, _CODES[dtype], len(lengths), len(lengths) + 1))
        file.write(lengths.astype(np.int32).data)
        pointer = 0
        for at in range(0, len(lengths), _CHUNK):
            part = lengths[at : at + _CHUNK]
            ends = pointer + np.cumsum(part) * dtype.itemsize
            file.write((ends - part * dtype.itemsize).astype(np.int64).data)
            pointer = int(ends[-1])
        for at in range(0, len(lengths) + 1, _CHUNK):
            file.write(np.arange(at, min(at + _CHUNK, len(lengths) + 1), dtype=np.int64).data)
    return {"sequences": len(lengths), "tokens": documents.tokens}


FORMAT = Format((TOKENS, BLOCKS), write)
