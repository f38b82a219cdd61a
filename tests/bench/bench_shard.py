"""Shard two billion made-up ids, beside what `dd` writes to the same disk.

    python -m tests.bench.bench_shard [--tokens 2000000000] [--workers 2] [--pack concat] [--folder DIR]

Writes tokens of documents of some 500 uint16 ids, then in turns (`--rounds`) lets `dd conv=fsync` write as many bytes
as the blocks have, and runs `corpuskit shard`. Prints both rates, their ratio (wanted: at least a quarter), and the
largest sums over all processes, sampled every 50 ms: of memory (wanted: under 2 GB), and of mapped files, whose pages
the kernel can take back at any time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from corpuskit import dataset
from corpuskit.dataset import Artifact, Ledger, Manifest
from corpuskit.schema import tokens_schema
from corpuskit.shardfile import ShardWriter
from corpuskit.tokens.columns import lists

_BATCH_DOCUMENTS = 8192
_VOCABULARY = 50_257


def make(folder: Path, tokens: int) -> int:
    """Write a dataset of `tokenize`; gives its tokens."""
    rng, done, documents = np.random.default_rng(0), 0, 0
    schema = tokens_schema(_VOCABULARY)
    folder.mkdir(parents=True)
    with ShardWriter(str(folder), "tokens") as writer:
        while done < tokens:
            lengths = np.minimum(rng.geometric(1 / 500, _BATCH_DOCUMENTS), 20_000) + 1
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            ids = rng.integers(1, _VOCABULARY, offsets[-1], np.uint16)
            ids[offsets[1:] - 1] = 0
            names = [f"https://site-{(documents + at) % 9973}.example/{documents + at}" for at in range(len(lengths))]
            source = pa.array(np.array(["web", "wiki"])[rng.integers(0, 2, len(lengths))])
            columns = [
                pa.array(names),
                lists(ids, offsets),
                pa.array(lengths * 4),
                source,
                pa.array(["en"] * len(names)),
            ]
            writer.write(pa.RecordBatch.from_arrays(columns, schema=schema))
            done, documents = done + int(offsets[-1]), documents + len(lengths)
        shards = writer.close(at_least_one=True)
    ledger = Ledger(documents, documents)
    artifact = Artifact("table", "", shards, {field.name: str(field.type) for field in schema}, None, True)
    key = dataset.key_of("made up", 1, {}, {"": [shard.sha256 for shard in shards]})
    manifest = Manifest(1, "made up", 1, key, {}, {}, {"tokens": artifact}, ledger, "rows", [ledger], [])
    (folder / dataset.MANIFEST).write_bytes(manifest.encode())
    return done


class Memory:
    """The largest sums, over a process and its children, of anonymous and shared memory, and of mapped files."""

    def __init__(self, process: int) -> None:
        self.own = self.mapped = 0
        self._process, self._done = process, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            sums = [0, 0]
            for each in family(self._process):
                with contextlib.suppress(OSError, ValueError):
                    lines = Path(f"/proc/{each}/status").read_text().splitlines()
                    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}
                    sums[0] += (kib.get("RssAnon", 0) + kib.get("RssShmem", 0)) * 1024
                    sums[1] += kib.get("RssFile", 0) * 1024
            self.own, self.mapped = max(self.own, sums[0]), max(self.mapped, sums[1])


def family(process: int) -> list[int]:
    """List a process and all below it."""
    found = [process]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def dd(folder: Path, size: int) -> float:
    """Write the tokens to the disk (zeros are no measure: some disks write none); gives the seconds."""
    file = folder / "dd.bin"
    words = f"cat {folder}/tokens/*.arrow | dd of={file} bs=4M count={size >> 22} iflag=fullblock conv=fsync"
    started = time.perf_counter()
    subprocess.run(words, shell=True, check=True, capture_output=True)
    took = time.perf_counter() - started
    file.unlink()
    return took


def shard(tokens: Path, out: Path, workers: int, pack: str) -> tuple[float, float, Memory]:
    """Run the command; gives its seconds, those of processors, and its memory."""
    words = ["shard", tokens, out, "--workers", workers, "--pack", pack]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "corpuskit", *map(str, words)]) as process:
        with Memory(process.pid) as memory:
            code = process.wait()
        took = time.perf_counter() - started
    if code:
        raise SystemExit(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, memory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=2_000_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pack", default="concat")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        root = Path(scratch)
        tokens = make(root / "tokens", given.tokens)
        os.sync()
        print(f"{tokens:,} tokens, load {os.getloadavg()[0]:.1f}, {given.workers} workers, {given.pack}")
        for _ in range(given.rounds):
            disk = dd(root, 2 * tokens)
            took, busy, memory = shard(root / "tokens", root / "blocks", given.workers, given.pack)
            rates = 2 * tokens / disk / 1e6, 2 * tokens / took / 1e6
            print(
                f"dd {rates[0]:,.0f} MB/s, shard {rates[1]:,.0f} MB/s ({tokens / took / 1e6:.0f} M tokens/s):"
                f" {rates[1] / rates[0]:.2f} of it; {took:.1f} s, {busy:.1f} of processors;"
                f" memory {memory.own / 1e9:.2f} GB,"
                f" mapped files {memory.mapped / 1e9:.2f} GB",
                flush=True,
            )
            shutil.rmtree(root / "blocks")


if __name__ == "__main__":
    main()
