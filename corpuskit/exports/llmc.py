"""llm.c's and modded-nanogpt's files: a head of 256 int32, then the ids.

The head begins with 20240520, 1, the number of tokens, and the ids are uint16; with 20240801, 7 they are uint32, as
llm.c has them for Llama 3. Files hold at most 100 million tokens, as those of FineWeb that both ship.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.exports import BLOCKS, TOKENS, Format, Given
from corpuskit.exports.files import Parts
from corpuskit.exports.sequences import narrow, stream, vocab_size

HEAD_INTS = 256
FILE_TOKENS = 100_000_000
_KINDS = {np.dtype(np.uint16): (20240520, 1), np.dtype(np.uint32): (20240801, 7)}


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write `train_000001.bin` ... and `val_000000.bin` ...; padding is left out."""
    dtype = np.dtype(np.uint16 if vocab_size(given) <= 1 << 16 else np.uint32)
    tokens = {split: _split(table, split, out, dtype) for split, table in given.splits.items()}
    return {"tokens": tokens, "dtype": str(dtype)}


def _split(table: pa.Table, split: str, out: Path, dtype: np.dtype[Any]) -> int:
    name, first = ("val", 0) if split == "valid" else (split, 1)
    parts = Parts(out, split, lambda at, count: f"{name}_{at + first:06d}.bin")
    file, inside, total = parts.open(), 0, 0
    file.write(_head(0, dtype))
    for values in stream(table):
        rest: npt.NDArray[Any] = narrow(values, dtype)
        while len(rest):
            if inside == FILE_TOKENS:
                _fill(file, inside, dtype)
                file, inside = parts.open(), 0
                file.write(_head(0, dtype))
            now, rest = rest[: FILE_TOKENS - inside], rest[FILE_TOKENS - inside :]
            file.write(now.tobytes())
            inside, total = inside + len(now), total + len(now)
    _fill(file, inside, dtype)
    parts.name_all()
    return total


def _fill(file: Any, tokens: int, dtype: np.dtype[Any]) -> None:
    file.seek(0)
    file.write(_head(tokens, dtype))


def _head(tokens: int, dtype: np.dtype[Any]) -> bytes:
    head = np.zeros(HEAD_INTS, np.int32)
    head[:3] = (*_KINDS[dtype], tokens)
    return head.tobytes()


FORMAT = Format((TOKENS, BLOCKS), write)
