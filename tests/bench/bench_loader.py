"""Feed blocks to torch: `load_blocks` beside `datasets` with its torch format, on one core.

    python -m tests.bench.bench_loader [--tokens 64000000] [--block-tokens 1024] [--batch-size 32] [--rounds 3]

Writes blocks, then in turns reads all of them: `load_blocks` with whole batches (in order, shuffled, raw), with single
blocks that a DataLoader stacks, and `datasets.load_from_disk(...).with_format("torch")` with a DataLoader. Every batch
is summed, so that its pages are touched. Prints tokens/s, the best of the rounds (wanted: at least 20 M for batches).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader

from corpuskit import load_blocks
from tests.test_loader import write


def made(folder: Path, tokens: int, length: int) -> Path:
    """Write blocks of uint16 ids."""
    count = tokens // length
    ids = np.random.default_rng(0).integers(0, 50_257, count * length, np.uint16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(ids), length)
    table = pa.table({"input_ids": column, "document_starts": pa.array([[0]] * count, pa.list_(pa.int32()))})
    return write(folder / "train", table, files=4, batch_rows=4096)


def rate(samples: Iterable[Any], most: int) -> float:
    """Read up to `most` tokens; gives tokens/s."""
    started, tokens = time.perf_counter(), 0
    for sample in samples:
        ids = sample["input_ids"]
        ids.view(torch.int16 if ids.dtype == torch.uint16 else ids.dtype).sum()
        tokens += ids.numel()
        if tokens >= most:
            break
    return tokens / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=64_000_000)
    parser.add_argument("--block-tokens", type=int, default=1024)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    size = given.batch_size
    with tempfile.TemporaryDirectory() as scratch:
        path = made(Path(scratch), given.tokens, given.block_tokens)
        stored = datasets.load_from_disk(str(path / "train")).with_format("torch", columns=["input_ids"])
        feeds: dict[str, Callable[[], Iterable[Any]]] = {
            "load_blocks, batches": lambda: load_blocks(path, batch_size=size),
            "load_blocks, batches, shuffled": lambda: load_blocks(path, batch_size=size, seed=0),
            "load_blocks, batches, raw": lambda: load_blocks(path, batch_size=size, raw=True),
            "load_blocks, batches through a DataLoader": lambda: DataLoader(
                load_blocks(path, batch_size=size, seed=0), batch_size=None
            ),
            "load_blocks, blocks stacked by a DataLoader": lambda: DataLoader(load_blocks(path), batch_size=size),
            "load_blocks, by number, shuffled by a DataLoader": lambda: DataLoader(
                load_blocks(path, by_number=True), batch_size=size, shuffle=True
            ),
            "datasets, DataLoader": lambda: DataLoader(stored, batch_size=size),
            "datasets, shuffled by a DataLoader": lambda: DataLoader(stored, batch_size=size, shuffle=True),
        }
        best = dict.fromkeys(feeds, 0.0)
        for _ in range(given.rounds):
            for name, feed in feeds.items():
                most = given.tokens if name.startswith("load_blocks") else given.tokens // 8
                best[name] = max(best[name], rate(feed(), most))
        print(f"one core, load {os.getloadavg()[0]:.1f}, {given.tokens:,} tokens, blocks of {given.block_tokens}")
        for name, found in best.items():
            print(f"{name:<50} {found / 1e6:8.1f} M tokens/s")


if __name__ == "__main__":
    main()
