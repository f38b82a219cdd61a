"""nanoGPT's `train.bin` and `val.bin`: the ids one after the other, uint16, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from corpuskit.exports import BLOCKS, TOKENS, Format, Given
from corpuskit.exports.sequences import narrow, need_uint16, stream


def write(given: Given, out: Path) -> dict[str, Any]:
    """Write the ids; padding is left out."""
    need_uint16(given, "nanogpt", "olmo")
    tokens = {}
    for split, table in given.splits.items():
        name = "val" if split == "valid" else split
        tokens[split] = 0
        with open(out / f"{name}.bin", "wb") as file:
            for values in stream(table):
                file.write(narrow(values, np.uint16).data)
                tokens[split] += len(values)
    return {"tokens": tokens, "dtype": "uint16"}


FORMAT = Format((TOKENS, BLOCKS), write)
