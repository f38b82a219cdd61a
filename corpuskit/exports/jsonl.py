"""JSON Lines: `train-00000-of-00002.jsonl`, a row a line, all columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from corpuskit.exports import BLOCKS, DOCUMENTS, FILE_BYTES, TOKENS, Format, Given, batches
from corpuskit.exports.files import Parts

_ROWS = 256


def write(given: Given, out: Path) -> None:
    """Write every table; values as `json` would, in UTF-8."""
    for split, table in given.splits.items():
        _split(table, split, out)


def _split(table: pa.Table, split: str, out: Path) -> None:
    import msgspec

    encoder = msgspec.json.Encoder()
    parts = Parts(out, split, lambda at, count: f"{split}-{at:05d}-of-{count:05d}.jsonl")
    file, size = parts.open(), 0
    for batch in batches(table, _ROWS):
        for row in batch.to_pylist():
            if size >= FILE_BYTES:
                file, size = parts.open(), 0
            size += file.write(encoder.encode(row) + b"\n")
    parts.name_all()


FORMAT = Format((DOCUMENTS, TOKENS, BLOCKS), write)
