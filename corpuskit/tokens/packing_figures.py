"""What came out of packing and mixing: documents cut, places padded, documents and tokens by source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.tokens.packing import cut_by_blocks

_Ints = npt.NDArray[np.int64]
_COUNTS = ["documents_in", "tokens_in", "documents", "tokens", "tokens_repeated"]
_PARTS = ["documents", "pieces", "tokens", "blocks", "padding", "documents_cut", "documents_cut_by_concat"]
SOURCES = pa.schema([("source", pa.string()), ("split", pa.string()), *((name, pa.int64()) for name in _COUNTS)])
PACKED = pa.schema([("split", pa.string()), *((name, pa.int64()) for name in _PARTS)])
# A manifest is for people too: of more sources than this the largest are named.
_MOST_SOURCES = 1000


def by_source(source: pa.Array, valid: npt.NDArray[np.bool_], lengths: _Ints, copies: _Ints) -> pa.RecordBatch:
    """Count a batch's documents and tokens by source and split, as they come in and as weights let them out."""
    table = pa.table(
        {
            "source": source.cast(pa.string()).fill_null(""),
            "split": pc.if_else(pa.array(valid), "valid", "train"),
            "documents_in": pa.array(np.ones(len(lengths), np.int64)),
            "tokens_in": pa.array(lengths),
            "documents": pa.array(copies),
            "tokens": pa.array(lengths * copies),
            "tokens_repeated": pa.array(lengths * np.maximum(copies - 1, 0)),
        }
    )
    return _summed(table, ["source", "split"], SOURCES)


def of_split(split: str, lengths: _Ints, block_tokens: int, blocks: int, pack: str) -> pa.RecordBatch:
    """Count what packing does to documents of these lengths, in their order."""
    by_concat = cut_by_blocks(lengths, block_tokens)
    tokens = int(lengths.sum())
    best = pack == "best-fit"
    counts = {
        "documents": len(lengths),
        "pieces": int((-(-lengths // block_tokens)).sum()) if best else len(lengths),
        "tokens": tokens,
        "blocks": blocks if best else tokens // block_tokens,
        "padding": blocks * block_tokens - tokens if best else 0,
        "documents_cut": int((lengths > block_tokens).sum()) if best else by_concat,
        "documents_cut_by_concat": by_concat,
    }
    return pa.RecordBatch.from_pylist([{"split": split, **counts}], schema=PACKED)


def total(sources: pa.Table, packed: pa.Table, weights: Mapping[str, float], pack: str) -> dict[str, Any]:
    """Add the counts of all tasks up: the figures of `shard`."""
    splits = {row.pop("split"): row for row in _summed(packed, ["split"], PACKED).to_pylist()}
    named: dict[str, dict[str, Any]] = {}
    for row in _summed(sources, ["source", "split"], SOURCES).to_pylist():
        one = named.setdefault(row["source"], {"weight": weights.get(row["source"], 1.0)})
        one[row["split"]] = {name: row[name] for name in _COUNTS}
    ranked = sorted(named, key=lambda name: (-sum(_tokens(named[name])), name))
    kept = sorted({*ranked[:_MOST_SOURCES], *(set(weights) & set(named))})
    return {
        "packing": {"pack": pack, **{split: splits[split] for split in ("train", "valid") if split in splits}},
        "sources": {name: named[name] for name in kept},
        "sources_not_named": len(named) - len(kept),
    }


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Say what packing did, a line for each split that has documents."""
    for split in ("train", "valid"):
        found = figures["packing"].get(split)
        if found and found["documents"]:
            places = found["tokens"] + found["padding"]
            yield (
                f"{split}: {found['blocks']:,} blocks, {found['documents_cut'] / found['documents']:.1%} of"
                f" {found['documents']:,} documents cut (concatenation cuts"
                f" {found['documents_cut_by_concat'] / found['documents']:.1%}),"
                f" {found['padding'] / max(places, 1):.2%} padding"
            )
    repeated = sum(named["train"]["tokens_repeated"] for named in figures["sources"].values() if "train" in named)
    if repeated:
        yield f"train: {repeated:,} tokens are of further copies; the ledger counts each document's tokens once"


def source_rows(figures: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Draw the table of sources, with its head."""
    rows: list[tuple[str, ...]] = [("source", "split", "weight", *(name.replace("_", " ") for name in _COUNTS))]
    for name, found in figures["sources"].items():
        for split in ("train", "valid"):
            if split in found:
                weight = f"{found['weight']:g}" if split == "train" else "1"
                rows.append((name, split, weight, *(f"{found[split][each]:,}" for each in _COUNTS)))
    return rows


def _tokens(named: Mapping[str, Any]) -> list[int]:
    return [part["tokens_in"] for part in named.values() if isinstance(part, dict)]


def _summed(table: pa.Table, keys: list[str], schema: pa.Schema) -> pa.RecordBatch:
    names = [name for name in schema.names if name not in keys]
    summed = table.group_by(keys).aggregate([(name, "sum") for name in names])
    columns = [summed.column(name if name in keys else f"{name}_sum").combine_chunks() for name in schema.names]
    made = pa.Table.from_arrays(columns, schema=schema).sort_by([(name, "ascending") for name in keys])
    return made.combine_chunks().to_batches()[0] if made.num_rows else pa.RecordBatch.from_pylist([], schema=schema)
