"""The columns that documents, tokens and blocks have, and the reserved columns that mark rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

#: A document. Scores and signals are further columns and pass through every later stage.
DOCS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("url", pa.string()),
        pa.field("title", pa.string()),
        pa.field("language", pa.string()),
        pa.field("license", pa.string()),
        pa.field("date", pa.string()),
    ]
)

#: Reserved: a reason, or null to keep the row. The runner moves marked rows to `dropped/` and counts them.
DROP = "drop"
#: Reserved: why a row of bad input could not be read. The runner moves such rows to `errors/`.
ERROR = "error"
#: How many of a counted list's values, at its end, are no tokens but padding.
PADDING = "padding"
#: How many of a counted list's values came in before: tokens of documents that are taken more than once.
REPEATED = "repeated"
#: Columns with this prefix explain a mark; they travel with the marked rows only.
DETAIL_PREFIX = "drop_"


def tokens_schema(vocab_size: int) -> pa.Schema:
    """Give the schema of tokenized documents: ids with the end-of-document mark, and UTF-8 bytes of the text."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("input_ids", pa.list_(token_type(vocab_size)), nullable=False),
            pa.field("bytes", pa.int64(), nullable=False),
            pa.field("source", pa.string()),
            pa.field("language", pa.string()),
        ]
    )


def token_type(vocab_size: int) -> pa.DataType:
    """Give the narrowest id type: uint16 up to 65,536 entries, else uint32."""
    return pa.uint16() if vocab_size <= 65_536 else pa.uint32()


def rows_to_batch(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Build a batch from dicts; absent keys become nulls."""
    rows = list(rows)
    return pa.RecordBatch.from_arrays(
        [pa.array([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema
    )


def with_column(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    """Set a column: in its place where the batch has one of that name, else at the end."""
    at = batch.schema.get_field_index(name)
    if at < 0:
        return batch.append_column(name, values)
    field = pa.field(name, values.type, batch.schema.field(at).nullable)
    return batch.set_column(at, field, values)


def mark(batch: pa.RecordBatch, reasons: pa.Array | list[str | None], **details: pa.Array) -> pa.RecordBatch:
    """Mark rows to drop; `details` become `drop_<name>` columns that travel with the dropped rows only."""
    batch = with_column(batch, DROP, pa.array(reasons, pa.string()))
    for name, values in details.items():
        batch = with_column(batch, DETAIL_PREFIX + name, values)
    return batch
