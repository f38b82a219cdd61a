"""MDS of mosaicml-streaming: `train/index.json` and `train/shard.00000.mds`, as `StreamingDataset` reads them.

A sample is a row. `tokens` is an array of the ids: of blocks of one shape; of tokens of any, with the document's `id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.exports import BLOCKS, TOKENS, Format, Given, batches
from corpuskit.tokens.columns import flatten

SHARD_BYTES = 1 << 26  # as MDSWriter has it
_ROWS = 256


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write a folder with an index for every split."""
    samples = {}
    for split, table in given.splits.items():
        folder = out / split
        folder.mkdir()
        config = _config(table)
        shards = [_shard(folder, at, config, bodies) for at, bodies in enumerate(_full(table, config))]
        index = {"version": 2, "shards": shards}
        (folder / "index.json").write_text(json.dumps(index, sort_keys=True))
        samples[split] = sum(shard["samples"] for shard in shards)
    return {"samples": samples}


def _config(table: pa.Table) -> dict[str, Any]:
    kind = table.schema.field("input_ids").type
    name = f"uint{kind.value_type.bit_width}"
    if pa.types.is_fixed_size_list(kind):
        columns = [("tokens", f"ndarray:{name}:{kind.list_size}", kind.list_size * kind.value_type.bit_width // 8)]
    else:
        columns = [("id", "str", None), ("tokens", f"ndarray:{name}", None)]
    return {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": SHARD_BYTES,
        "column_names": [each[0] for each in columns],
        "column_encodings": [each[1] for each in columns],
        "column_sizes": [each[2] for each in columns],
    }


def _full(table: pa.Table, config: dict[str, Any]) -> Iterator[list[bytes]]:
    """Part the samples into shards of at most SHARD_BYTES."""
    head = len(json.dumps(config, sort_keys=True)) + 8
    bodies: list[bytes] = []
    size = head
    for body in _bodies(table):
        if bodies and size + len(body) + 4 > SHARD_BYTES:
            yield bodies
            bodies, size = [], head
        bodies.append(body)
        size += len(body) + 4
    if bodies:
        yield bodies


def _bodies(table: pa.Table) -> Iterator[bytes]:
    fixed = pa.types.is_fixed_size_list(table.schema.field("input_ids").type)
    for batch in batches(table, _ROWS):
        values, offsets = flatten(pa.chunked_array([batch.column("input_ids")]))
        edges = offsets.tolist()
        names = [b""] * batch.num_rows if fixed else [(each or "").encode() for each in batch.column("id").to_pylist()]
        for at, name in enumerate(names):
            ids = values[edges[at] : edges[at + 1]]
            if fixed:
                yield ids.tobytes()
            else:
                tokens = _shaped(ids)
                yield np.array([len(name), len(tokens)], np.uint32).tobytes() + name + tokens


def _shaped(ids: npt.NDArray[Any]) -> bytes:
    """Put the shape before an array: a byte with ndim x 4 + the width of the shape's numbers, then the length.

    The width is the least for the length, as `streaming.base.format.mds.encodings.NDArray` has it.
    """
    width = next(at for at, bits in enumerate((8, 16, 32, 64)) if len(ids) < 1 << bits)
    return bytes([(1 << 2) | width]) + len(ids).to_bytes(1 << width, "little") + ids.tobytes()


def _shard(folder: Path, at: int, config: dict[str, Any], bodies: list[bytes]) -> dict[str, Any]:
    name, said = f"shard.{at:05d}.mds", json.dumps(config, sort_keys=True).encode()
    start = 4 + 4 * (len(bodies) + 1) + len(said)
    offsets = np.cumsum([start, *map(len, bodies)]).astype(np.uint32)
    with open(folder / name, "wb", buffering=1 << 20) as file:
        size = file.write(np.uint32(len(bodies)).tobytes()) + file.write(offsets.tobytes()) + file.write(said)
        size += sum(file.write(body) for body in bodies)
    raw = {"basename": name, "bytes": size, "hashes": {}}
    return {**config, "raw_data": raw, "zip_data": None, "samples": len(bodies)}


FORMAT = Format((TOKENS, BLOCKS), write)
