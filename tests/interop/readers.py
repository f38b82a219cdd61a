"""Open exports with the readers of mosaicml-streaming and litdata, and compare every token with the shards."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa


def rows(folder: str, artifact: str) -> Iterator[tuple[str, np.ndarray]]:
    manifest = json.loads((Path(folder) / "manifest.json").read_text())
    made = manifest["artifacts"][artifact]
    for shard in made["shards"]:
        table = pa.ipc.open_stream(pa.memory_map(str(Path(folder) / made["folder"] / shard["file"]))).read_all()
        names = table.column("id").to_pylist() if "id" in table.column_names else [""] * table.num_rows
        for name, ids in zip(names, table.column("input_ids"), strict=True):
            yield name, ids.values.to_numpy(zero_copy_only=False)


def mds(folder: str, split: str) -> Iterator[tuple[str, np.ndarray]]:
    import torch.distributed as dist
    from streaming import StreamingDataset

    if not dist.is_initialized():
        dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29511", rank=0, world_size=1)
    data = StreamingDataset(local=str(Path(folder) / split), remote=None, shuffle=False, batch_size=1)
    for at in range(data.num_samples):
        sample = data[at]
        yield sample.get("id", ""), sample["tokens"]


def litdata(folder: str, split: str, block_tokens: int) -> Iterator[tuple[str, np.ndarray]]:
    from litdata import StreamingDataset, TokensLoader

    cache = tempfile.mkdtemp()
    try:
        data = StreamingDataset(
            str(Path(folder) / split), item_loader=TokensLoader(block_size=block_tokens), shuffle=False, cache_dir=cache
        )
        for at in range(len(data)):
            yield "", data[at].numpy()
    finally:
        shutil.rmtree(cache, ignore_errors=True)


def same(name: str, read: Iterator[tuple[str, np.ndarray]], wanted: Iterator[tuple[str, np.ndarray]]) -> bool:
    count = tokens = 0
    for (id_, ids), (want_id, want) in zip(read, wanted, strict=True):
        if id_ != want_id or len(ids) != len(want) or not (np.asarray(ids) == want).all():
            print(f"{name}: sample {count} differs")
            return False
        count, tokens = count + 1, tokens + len(ids)
    print(f"{name}: {count:,} samples, {tokens:,} tokens, all the same")
    return True


def main(blocks: str, of_mds: str, of_litdata: str, tokens: str = "", mds_of_tokens: str = "") -> int:
    import importlib.metadata as metadata

    print(*(f"{each} {metadata.version(each)}" for each in ("mosaicml-streaming", "litdata", "torch")))
    checks: list[Callable[[], bool]] = []
    for split in ("train", "valid"):
        length = len(next(rows(blocks, split))[1])
        checks.append(lambda s=split: same(f"mds {s}", mds(of_mds, s), rows(blocks, s)))
        checks.append(lambda s=split, n=length: same(f"litdata {s}", litdata(of_litdata, s, n), rows(blocks, s)))
    if tokens:
        checks.append(lambda: same("mds of documents", mds(mds_of_tokens, "train"), rows(tokens, "tokens")))
    results = [check() for check in checks]  # all of them, not up to the first that fails
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
