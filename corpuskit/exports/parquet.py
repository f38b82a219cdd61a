"""Parquet, named as the Hugging Face Hub names it: `data/train-00000-of-00002.parquet`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from corpuskit.exports import BLOCKS, DOCUMENTS, FILE_BYTES, TOKENS, Format, Given, batches
from corpuskit.exports.files import Parts

_ROWS = 2048


def write(given: Given, out: Path) -> None:
    """Write every table with all its columns, zstd, a row group of 2,048 rows at a time."""
    for split, table in given.splits.items():
        _split(table, split, out)


def _split(table: pa.Table, split: str, out: Path) -> None:
    import pyarrow.parquet as pq

    parts = Parts(out, split, lambda at, count: f"data/{split}-{at:05d}-of-{count:05d}.parquet")
    writer, size = pq.ParquetWriter(parts.open(), table.schema, compression="zstd"), 0
    for batch in batches(table, _ROWS):
        if size >= FILE_BYTES:  # before compression
            writer.close()
            writer, size = pq.ParquetWriter(parts.open(), table.schema, compression="zstd"), 0
        writer.write_batch(batch)
        size += batch.nbytes
    writer.close()
    parts.name_all()


FORMAT = Format((DOCUMENTS, TOKENS, BLOCKS), write)
