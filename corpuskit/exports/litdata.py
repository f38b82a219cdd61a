"""litdata: `train/index.json` and `train/chunk-0-0.bin`, as `StreamingDataset` with `TokensLoader` reads them.

Blocks only: TokensLoader cuts every chunk into pieces of its own `block_size` (give the length of the blocks, or a
divisor of it), so that pieces are whole blocks. Ids are uint16 or int32, which torch knows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpuskit.exports import BLOCKS, Format, Given, batches
from corpuskit.exports.sequences import narrow
from corpuskit.tokens.columns import flatten

CHUNK_BYTES = 1 << 26
# The places of the dtypes in litdata.constants._TORCH_DTYPES_MAPPING.
_CODES = {np.dtype(np.int32): 16, np.dtype(np.uint16): 20}
# optree's words for one leaf, as litdata writes them for an item that is one tensor.
_LEAF = '[1, {"type": null, "context": null, "children_spec": []}]'


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write a folder with an index for every split."""
    return {"blocks": {split: _split(table, out / split) for split, table in given.splits.items()}}


def _split(table: pa.Table, folder: Path) -> int:
    folder.mkdir()
    kind = table.schema.field("input_ids").type
    dtype = np.dtype(np.uint16 if kind.value_type.bit_width == 16 else np.int32)
    block_bytes = kind.list_size * dtype.itemsize
    rows = max(1, CHUNK_BYTES // block_bytes)
    chunks = []
    for at, batch in enumerate(batches(table, rows) if table.num_rows else ()):
        values, _ = flatten(pa.chunked_array([batch.column("input_ids")]))
        name, count = f"chunk-0-{at}.bin", batch.num_rows
        offsets = 4 * (count + 2) + np.arange(count + 1, dtype=np.int64) * block_bytes
        with open(folder / name, "wb") as file:
            file.write(np.uint32(count).tobytes() + offsets.astype(np.uint32).tobytes())
            file.write(narrow(values, dtype).data)
        size = count * block_bytes
        chunks.append({"chunk_bytes": size, "chunk_size": count, "dim": len(values), "filename": name})
    config = {
        "chunk_bytes": CHUNK_BYTES,
        "chunk_size": None,
        "compression": None,
        "data_format": [f"no_header_tensor:{_CODES[dtype]}"],
        "data_spec": _LEAF,
        "encryption": None,
        "item_loader": "TokensLoader",
    }
    (folder / "index.json").write_text(json.dumps({"chunks": chunks, "config": config}, sort_keys=True))
    return int(table.num_rows)


FORMAT = Format((BLOCKS,), write)
