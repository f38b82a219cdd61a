"""Time signatures from text: corpuskit on one and two threads, datasketch, rensa, datatrove's signature step.

    python -m tests.bench.bench_sketch [--peers PYTHON] [--megabytes 100] [--rounds 5]

The text is real: WikiText-2 articles cut to about 924 words each, as many different cuts as make --megabytes. 128
permutations, shingles of 5 words. Every rate is of one process from the text (str, or an Arrow column for corpuskit)
to the signature, the best of --rounds turns in which all take part (what disturbs a turn only ever slows it down):

* corpuskit normalises as its stage does (accents, punctuation, digits), shingles, hashes with xxh32, permutes; all
  documents in batches of 3,400, 16 MB, as the stage reads them
* two processes of corpuskit, a thread each and nothing shared, halves of the documents: what the machine has for a
  second thread. Virtual cores that share a physical one give loops over vectors between 1.2 and 2 times, by what the
  neighbours do
* datasketch and rensa get the cheapest shingles that Python makes: text.lower().split(), joined by fives. Less work
  than corpuskit's, in their favour. datasketch by update_batch, with sha1 (its default) and with xxh32; rensa by
  RMinHash.update, the full matrix, never its sampled variants. On every n-th document, for time's sake
* datatrove's MinhashDedupSignature as shipped (14 x 8 bands, 5 words, its English word splitter), files and all, on
  300 documents

--peers names the Python of an environment that has rensa and datatrove[processing]; without, they are left out.
Signatures of corpuskit are compared with datasketch's, to the bit, before anything is timed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
PERMUTATIONS, WIDTH, WORDS = 128, 5, 928
held: list[pa.Array] = []  # what a process of `two_processes` has to sketch


def documents(megabytes: float) -> list[str]:
    """Cut WikiText-2 into documents of WORDS words, from different starts until there is enough."""
    words = gzip.decompress((ROOT / "lm/wikitext-2.train.txt.gz").read_bytes()).decode().split(" ")
    found: list[str] = []
    size = 0.0
    for start in range(0, WORDS, 17):
        for at in range(start, len(words) - WORDS, WORDS):
            if size >= megabytes * 1e6:
                return found
            found.append(" ".join(words[at : at + WORDS]))
            size += len(found[-1].encode())
    return found


def shingled(text: str) -> list[bytes]:
    words = text.lower().split()
    return [" ".join(words[at : at + WIDTH]).encode() for at in range(len(words) - WIDTH + 1)]


def of_corpuskit(threads: int) -> Callable[[list[str]], None]:

    from corpuskit.sketch import minhash, shingles

    permuted = minhash.permutations(PERMUTATIONS, minhash.SEED)
    os.environ["NUMBA_NUM_THREADS"] = str(threads)

    def run(batches: list[pa.Array]) -> None:
        os.environ["NUMBA_NUM_THREADS"] = str(threads)
        for batch in batches:
            shingles.sketch(batch, WIDTH, permuted, sets=False)

    return run


def half(texts: list[str]) -> list[pa.Array]:
    """Keep a process's documents as batches there."""
    import pyarrow as pa

    held.extend(pa.array(texts[at : at + 3400], pa.large_string()) for at in range(0, len(texts), 3400))
    of_corpuskit(1)(held[:1])


def sketch_held(_: int) -> None:
    of_corpuskit(1)(held)


@contextlib.contextmanager
def two_processes(texts: list[str]) -> Iterator[Callable[[], object]]:
    """Give a function that has two processes sketch a half of the texts each."""
    spawn = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        halves = (texts[: len(texts) // 2], texts[len(texts) // 2 :])
        pools = [stack.enter_context(spawn.Pool(1, half, (part,))) for part in halves]
        for pool in pools:
            pool.map(sketch_held, [0])
        yield lambda: [waiting.wait() for waiting in [pool.map_async(sketch_held, [0]) for pool in pools]]


def of_datasketch(hashfunc: str) -> Callable[[list[str]], None]:
    import datasketch
    import xxhash

    how = {"hashfunc": xxhash.xxh32_intdigest} if hashfunc == "xxh32" else {}
    permuted = datasketch.MinHash(num_perm=PERMUTATIONS).permutations

    def run(texts: list[str]) -> None:
        for text in texts:
            sketch = datasketch.MinHash(num_perm=PERMUTATIONS, permutations=permuted, scheme="affine32", **how)
            sketch.update_batch(shingled(text))

    return run


def of_rensa(texts: list[str]) -> None:
    import rensa

    for text in texts:
        sketch = rensa.RMinHash(num_perm=PERMUTATIONS, seed=42)
        words = text.lower().split()
        sketch.update([" ".join(words[at : at + WIDTH]) for at in range(len(words) - WIDTH + 1)])
        sketch.digest()


def of_datatrove(texts: list[str]) -> None:
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(folder, config=MinhashConfig(n_grams=WIDTH))
        step.run((Document(text=text, id=str(at)) for at, text in enumerate(texts)), rank=0, world_size=1)


def peer(name: str, path: str) -> None:
    """Time one peer, in its own environment, and print the seconds."""
    texts = json.loads(Path(path).read_text(encoding="utf-8"))
    run = {"rensa": of_rensa, "datatrove": of_datatrove}[name]
    run(texts[:3])
    start = time.perf_counter()
    run(texts)
    print(json.dumps({"seconds": time.perf_counter() - start}))


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def check(texts: list[str]) -> None:
    """Compare 300 signatures with datasketch's, its shingles made by `shingles.normalised`."""
    import datasketch
    import numpy as np
    import pyarrow as pa
    import xxhash

    from corpuskit.sketch import minhash, shingles

    start = time.perf_counter()
    shingles.sketch(pa.array(texts[:1], pa.large_string()), WIDTH, minhash.permutations(PERMUTATIONS, 1), sets=False)
    print(f"first call, compiled or from the cache of compiled code: {time.perf_counter() - start:.2f} s")
    ours = shingles.sketch(pa.array(texts[:300]), WIDTH, minhash.permutations(PERMUTATIONS, 1)).signatures
    for text, signature in zip(texts, ours, strict=False):
        units = shingles.normalised(text).split(" ")
        sketch = datasketch.MinHash(num_perm=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)
        sketch.update_batch([" ".join(units[at : at + WIDTH]).encode() for at in range(len(units) - WIDTH + 1)])
        assert np.array_equal(sketch.hashvalues, signature)
    print("300 signatures are datasketch's, to the bit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="the Python that has rensa and datatrove")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peer:
        peer(*asked.peer)
        return
    import pyarrow as pa

    texts = documents(asked.megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts):,} documents of {WORDS} words, {size:.1f} MB; {PERMUTATIONS} permutations, {WIDTH} words")
    check(texts)
    batches = [pa.array(texts[at : at + 3400], pa.large_string()) for at in range(0, len(texts), 3400)]
    some, few = texts[:: max(1, len(texts) // 1500)], texts[:: max(1, len(texts) // 300)]
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, two_processes(texts) as both:
        paths = {"rensa": some, "datatrove": few}
        for name, part in paths.items():
            (Path(folder) / name).write_text(json.dumps(part), encoding="utf-8")
        for _ in range(asked.rounds):
            for threads in (1, 2):
                seconds = timed(lambda threads=threads: of_corpuskit(threads)(batches))  # type: ignore[misc]
                rates.setdefault(f"corpuskit, {threads} thread{'s' * (threads > 1)}", []).append(len(texts) / seconds)
            rates.setdefault("corpuskit, 2 processes", []).append(len(texts) / timed(both))
            for hashfunc in ("sha1", "xxh32"):
                seconds = timed(lambda hashfunc=hashfunc: of_datasketch(hashfunc)(some))  # type: ignore[misc]
                rates.setdefault(f"datasketch {hashfunc}", []).append(len(some) / seconds)
            for name, part in paths.items() if asked.peers else ():
                command = [asked.peers, __file__, "--peer", name, str(Path(folder) / name)]
                run = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds = json.loads(run.stdout.split("\n")[-2])["seconds"]
                rates.setdefault(name, []).append(len(part) / seconds)
    ours = max(rates["corpuskit, 1 thread"])
    shares = [
        two / both for two, both in zip(rates["corpuskit, 2 threads"], rates["corpuskit, 2 processes"], strict=True)
    ]
    print(f"two threads do {statistics.median(shares):.2f} of what two processes do in the same turn (median)")
    for name, found in rates.items():
        rate, span = max(found), f"from {min(found):,.0f}, median {statistics.median(found):,.0f}"
        ratio = f"one thread is {ours / rate:.1f} times this" if rate < ours else f"{rate / ours:.2f} of one thread"
        print(f"{name:<22} {rate:>9,.0f} documents/s {rate * size / len(texts):>7.1f} MB/s  ({span})  {ratio}")


if __name__ == "__main__":
    sys.exit(main())
