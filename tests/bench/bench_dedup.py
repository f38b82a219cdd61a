"""Run the whole dedup stage on a million documents, on templates, and against brute force.

    python -m tests.bench.bench_dedup million [--documents 1000000] [--workers 2]
    python -m tests.bench.bench_dedup snapshots [--documents 400000]
    python -m tests.bench.bench_dedup templates [--documents 50000]
    python -m tests.bench.bench_dedup brute [--documents 5000]

`million` makes documents of real sentences (WikiText-2 and sentences of 79 languages, in random order, 1 to 1.2 kB
each), a third of them edits and copies of others, runs the stage on a tenth of them and on all, and prints for both
the time, the memory (the sum over all processes, sampled), the disk, and the slope. `snapshots` compares dedup of one
half of such documents against the index of the other with dedup of both. `templates` makes a family of pages of one
template that differ in a name, a number and a word. `brute` plants substitutions, insertions, deletions, moved
paragraphs, and templates among real documents, finds all pairs by brute force over shared shingles, and compares:
recall of candidates with the S-curve in steps of similarity (of pairs that share no document), every drop with its
kept document, and pairs that are both kept.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import itertools
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from corpuskit import dataset
from corpuskit.sketch import bands, minhash, shingles
from tests.build import load, write_table

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def sentences() -> list[str]:
    """Give real sentences: of WikiText-2, and of 79 languages."""
    text = gzip.decompress((ROOT / "lm/wikitext-2.train.txt.gz").read_bytes()).decode()
    found = [each.strip() + " ." for each in text.replace("\n", " ").split(" . ") if len(each) > 30]
    for path in sorted((ROOT / "langid/lingua-sentences").iterdir()):
        found += path.read_text(encoding="utf-8").split("\n")
    return found


def edit(text: str, rng: random.Random) -> str:
    """Copy, or change, add, or take away a word in 20 to 200, or move a paragraph."""
    kind = rng.randrange(5)
    words = text.split(" ")
    if kind == 0:
        return text
    if kind == 4:
        middle = len(words) // 2
        return " ".join(words[middle:] + words[:middle])
    for _ in range(max(1, len(words) // rng.choice((20, 50, 100, 200)))):
        at = rng.randrange(len(words))
        words[at : at + (kind != 2)] = [] if kind == 3 else [f"edit{rng.randrange(10**6)}"]
    return " ".join(words)


def corpus(count: int, rng: random.Random, shard_rows: int = 20_000) -> Iterator[list[str]]:
    """Give texts shard by shard; a third are edits of texts of the same or an earlier shard."""
    pool = sentences()
    known: list[str] = []
    for start in range(0, count, shard_rows):
        texts = []
        for _ in range(min(shard_rows, count - start)):
            if known and rng.random() < 1 / 3:
                texts.append(edit(rng.choice(known), rng))
                continue
            size, parts = 0, []
            while size < 1050:
                parts.append(rng.choice(pool))
                size += len(parts[-1]) + 1
            texts.append(" ".join(parts))
            if len(known) < 60_000:
                known.append(texts[-1])
            else:
                known[rng.randrange(len(known))] = texts[-1]
        yield texts


def write_corpus(
    folder: Path, shards: Iterator[list[str]], parts: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """Write ranges of the documents as datasets; gives (documents, bytes of text) of each."""
    from corpuskit.dataset import Artifact, Ledger, Manifest
    from corpuskit.schema import DOCS
    from corpuskit.shardfile import ShardWriter

    sizes = {}
    writers = {name: ShardWriter(str(folder / name), "docs", 64 << 20) for name in parts}
    start, counts = 0, dict.fromkeys(writers, 0)
    total = dict.fromkeys(writers, 0)
    for texts in shards:
        columns = [pa.array([f"d{start + at:08d}" for at in range(len(texts))]), pa.array(texts)]
        columns += [pa.nulls(len(texts), pa.string()) for _ in range(len(DOCS) - 2)]
        batch = pa.record_batch(columns, schema=DOCS)
        for name, writer in writers.items():
            first, last = (min(max(bound - start, 0), len(texts)) for bound in parts[name])
            writer.write(batch.slice(first, last - first))
            counts[name] += last - first
            total[name] += sum(len(text.encode()) for text in texts[first:last])
        start += len(texts)
    for name, writer in writers.items():
        shards_made = writer.close(at_least_one=True)
        columns_named = {field.name: str(field.type) for field in DOCS}
        ledger = Ledger(counts[name], counts[name])
        artifact = Artifact("table", "", shards_made, columns_named, None, True)
        key = dataset.key_of("bench", 1, {}, {"docs": [shard.sha256 for shard in shards_made]})
        manifest = Manifest(1, "bench", 1, key, {}, {}, {"docs": artifact}, ledger, "rows", [ledger], [])
        (folder / name / "manifest.json").write_bytes(manifest.encode())
        sizes[name] = counts[name], total[name]
    return sizes


class Watch:
    """Sample the memory of a process with all its children, and the bytes in a folder."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid, self.folder, self.resident, self.own, self.disk = pid, folder, 0, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            figures = [_memory(pid) for pid in _family(self.pid)]
            self.resident = max(self.resident, sum(each[0] for each in figures))
            self.own = max(self.own, sum(each[1] for each in figures))
            with contextlib.suppress(OSError):
                files = {each.stat().st_ino: each.stat().st_blocks for each in self.folder.rglob("*")}
                self.disk = max(self.disk, 512 * sum(files.values()))


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
    return found


def _memory(pid: int) -> tuple[int, int]:
    """Give resident bytes, and those of them that are no mapped file."""
    with contextlib.suppress(OSError):
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        kib = {name: int(status[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon") if name in status}
        return kib.get("VmRSS", 0), kib.get("RssAnon", 0)
    return 0, 0


def run_stage(docs: Path, out: Path, *options: str) -> dict[str, Any]:
    """Run the stage as its users do; gives its summary with seconds, memory and disk."""
    command = [sys.executable, "-m", "corpuskit", "--verbose", "dedup", str(docs), str(out), "--json", *options]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    watch = Watch(process.pid, out)
    told, _ = process.communicate()
    seconds = time.perf_counter() - start
    watch.stop()
    assert process.returncode == 0
    return {**json.loads(told), "took": seconds, "memory": watch.resident, "own": watch.own, "disk": watch.disk}


def report(name: str, documents: int, size: int, done: dict[str, Any]) -> None:
    print(
        f"{name}: {documents:,} documents, {size / 1e9:.2f} GB of text: {done['took']:.1f} s"
        f" ({documents / done['took']:,.0f} documents/s, {size / done['took'] / 1e6:.1f} MB/s);"
        f" memory {done['memory'] / 1e9:.2f} GB at most, all processes ({done['own'] / 1e9:.2f} without mapped files);"
        f" disk {done['disk'] / 1e9:.2f} GB at most, {done['bytes'] / 1e9:.2f} stay; ledger {done['ledger']}",
        flush=True,
    )


def million(count: int, workers: int, home: Path) -> None:
    sizes = write_corpus(home, corpus(count, random.Random(1)), {"tenth": (0, count // 10), "all": (0, count)})
    took = {}
    for name in ("tenth", "all"):
        done = run_stage(home / name, home / f"out-{name}", "--workers", str(workers))
        report(name, *sizes[name], done)
        took[name] = done["took"]
    slope = math.log(took["all"] / took["tenth"]) / math.log(sizes["all"][0] / sizes["tenth"][0])
    print(
        f"ten times the documents take {took['all'] / took['tenth']:.1f} times as long: slope {slope:.2f} (1 is linear)"
    )


def snapshots(count: int, home: Path) -> None:
    half = count // 2
    parts = {"a": (0, half), "b": (half, count), "both": (0, count)}
    sizes = write_corpus(home, corpus(count, random.Random(3)), parts)
    for name in parts:
        options = () if name == "both" else ("--index", str(home / "index"), "--snapshot", name)
        report(name, *sizes[name], run_stage(home / name, home / f"out-{name}", *options))
    of = {name: _drops(home / f"out-{name}") for name in parts}
    restricted = {id: why for id, why in of["both"].items() if id >= f"d{half:08d}"}
    same = sum(of["b"].get(id) == why for id, why in restricted.items())
    print(
        f"of b, dedup of both drops {len(restricted):,}, dedup against the index of a {len(of['b']):,};"
        f" {same:,} are the same"
    )
    size = sum(path.stat().st_size for path in (home / "index").rglob("*") if path.is_file())
    print(f"the index of both snapshots takes {size / 1e9:.2f} GB")


def _drops(out: Path) -> dict[str, tuple[str, str, float]]:
    columns = (load(out, "dropped")[name].to_pylist() for name in ("id", "drop", "drop_kept_id", "drop_similarity"))
    return {id: (why, kept, similarity) for id, why, kept, similarity in zip(*columns, strict=True)}


def templates(count: int, home: Path) -> None:
    rng = random.Random(2)
    base = " ".join(rng.sample(sentences()[:20_000], 40)).split(" ")
    texts = []
    for _ in range(count):
        page = [*base]
        page[len(base) // 3] = rng.choice(base) + str(rng.randrange(10**6))
        page[len(base) // 2] = f"user{''.join(rng.choices('abcdefghij', k=8))}"
        texts.append(" ".join(page))
    from corpuskit.schema import DOCS, rows_to_batch

    rows = rows_to_batch([{"id": f"t{at:06d}", "text": text} for at, text in enumerate(texts)], DOCS)
    (home / "family").mkdir()
    write_table(home / "family", {"docs": pa.Table.from_batches([rows])}, shards=8, batch_rows=1000)
    done = run_stage(home / "family", home / "out-family", "--workers", "2")
    report("one template", count, sum(len(text.encode()) for text in texts), done)


# Brute force


def real_documents(count: int) -> list[str]:
    """Give real documents: paragraphs of WikiText-2, and sentences of 79 languages by tens."""
    text = gzip.decompress((ROOT / "lm/wikitext-2.train.txt.gz").read_bytes()).decode()
    lines = [line.strip() for line in text.split("\n") if len(line) > 200]
    found = ["\n\n".join(lines[at : at + 3]) for at in range(0, len(lines), 3)]
    for path in sorted((ROOT / "langid/lingua-sentences").iterdir()):
        more = path.read_text(encoding="utf-8").split("\n")
        found += ["\n\n".join(more[at : at + 10]) for at in range(0, len(more), 10)]
    return random.Random(5).sample(found, min(count, len(found)))


def planted(texts: Sequence[str], rng: random.Random) -> list[str]:
    """Give every third text edited in one of six ways, and pages of 20 templates."""
    out = []
    for at, text in enumerate(texts[::3]):
        words = text.split(" ")
        share = rng.choice((0.002, 0.005, 0.01, 0.02, 0.03, 0.05))
        kind = ("substitute", "insert", "delete", "move", "append", "copy")[at % 6]
        if kind == "move":
            parts = text.split("\n\n")
            out.append("\n\n".join(rng.sample(parts, len(parts))))
            continue
        if kind == "append":
            out.append(text + " " + " ".join(rng.choice(texts).split(" ")[: int(len(words) * share * 5) + 1]))
            continue
        for _ in range(max(1, int(len(words) * share)) if kind != "copy" else 0):
            place = rng.randrange(len(words))
            new = [] if kind == "delete" else [f"new{''.join(rng.choices('abcdefgh', k=6))}"]
            words[place : place + (kind != "insert")] = new
        out.append((" \n" if kind == "copy" else " ").join(words))
    for text in rng.sample(list(texts), 20):
        for _ in range(20):
            words = text.split(" ")
            for place in rng.sample(range(len(words)), max(1, len(words) // 100)):
                words[place] = f"name{''.join(rng.choices('abcdefgh', k=6))}"
            out.append(" ".join(words))
    return out


def all_pairs(sets: list[frozenset[int]], least: float) -> dict[tuple[int, int], float]:
    """Give the similarity of every pair of at least `least`, by counting shared shingles."""
    holders: dict[int, list[int]] = {}
    for at, each in enumerate(sets):
        for value in each:
            holders.setdefault(value, []).append(at)
    shared: dict[tuple[int, int], int] = {}
    for many in holders.values():
        for pair in itertools.combinations(many, 2):
            shared[pair] = shared.get(pair, 0) + 1
    found = {}
    for (one, two), both in shared.items():
        similarity = both / (len(sets[one]) + len(sets[two]) - both)
        if similarity >= least:
            found[one, two] = similarity
    return found


def apart(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Choose pairs that share no document: pairs of one family would be seen, or not, together."""
    used: set[int] = set()
    chosen = []
    for pair in pairs:
        if used.isdisjoint(pair):
            used.update(pair)
            chosen.append(pair)
    return chosen


def brute(count: int, home: Path) -> None:
    from corpuskit.schema import DOCS, rows_to_batch

    rng = random.Random(4)
    real = real_documents(count)
    texts = [*real, *planted(real, rng)]
    rng.shuffle(texts)
    print(f"{len(real):,} real documents and {len(texts) - len(real):,} planted")
    values, offsets = shingles.shingles(pa.array(texts), 5)
    # The sets themselves come from the normalised text, not from the kernels that are judged.
    sets = []
    for text in texts:
        units = shingles.normalised(text).split(" ")
        sets.append(frozenset(hash(" ".join(units[at : at + 5])) for at in range(len(units) - 4)))
    pairs = all_pairs(sets, 0.4)
    signatures = minhash.signatures(values, offsets, minhash.permutations(112, 1))
    hashed = bands.band_hashes(signatures, 14, 8)
    seen = {pair: bool((hashed[pair[0]] == hashed[pair[1]]).any()) for pair in pairs}
    for low in np.arange(0.4, 1.0, 0.1):
        mine = apart([pair for pair, similarity in pairs.items() if low <= similarity < low + 0.1])
        if mine:
            expected = float(np.mean([bands.chance(pairs[pair], 14, 8) for pair in mine]))
            error = math.sqrt(sum(p * (1 - p) for p in (bands.chance(pairs[pair], 14, 8) for pair in mine))) / len(mine)
            recall = sum(seen[pair] for pair in mine) / len(mine)
            away = abs(recall - expected) / error if error else 0.0
            print(
                f"  similarity {low:.1f} to {low + 0.1:.1f}: {len(mine):,} pairs, recall {recall:.3f},"
                f" S-curve {expected:.3f} +- {error:.3f} ({away:.1f} errors away)"
            )
    rows = rows_to_batch([{"id": f"d{at:06d}", "text": text} for at, text in enumerate(texts)], DOCS)
    (home / "docs").mkdir()
    write_table(home / "docs", {"docs": pa.Table.from_batches([rows])}, shards=3, batch_rows=500)
    for policy in ("first", "longest"):
        out = home / f"out-{policy}"
        run_stage(home / "docs", out, "--keep", policy)
        judge(policy, out, texts, sets, pairs)


def judge(
    policy: str, out: Path, texts: list[str], sets: list[frozenset[int]], pairs: dict[tuple[int, int], float]
) -> None:
    """Count drops that are right, and duplicates that stayed."""
    kept = {int(name[1:]) for name in load(out)["id"].to_pylist()}
    right = wrong = 0
    for row in load(out, "dropped").to_pylist():
        one, two = int(row["id"][1:]), int(row["drop_kept_id"][1:])
        same = texts[one].split() == texts[two].split()
        union = len(sets[one] | sets[two])
        good = two in kept and (same or (union and len(sets[one] & sets[two]) / union >= 0.8))
        right, wrong = right + bool(good), wrong + (not good)
    near = [pair for pair, similarity in pairs.items() if similarity >= 0.8]
    both = [pairs[pair] for pair in near if pair[0] in kept and pair[1] in kept]
    missed = sum(1 - bands.chance(pairs[pair], 14, 8) for pair in near)
    print(
        f"--keep {policy}: {right + wrong:,} dropped, {wrong} of them without a kept document that is similar enough:"
        f" precision {right / max(1, right + wrong):.4f}; of {len(near):,} pairs of at least .8 both stay in"
        f" {len(both)} (not one band in common is expected of {missed:.1f}),"
        f" the most similar of these {max(both, default=0):.3f}"
    )
    parents = list(range(len(texts)))

    def root(each: int) -> int:
        while parents[each] != each:
            parents[each] = parents[parents[each]]
            each = parents[each]
        return each

    for one, two in near:
        parents[root(one)] = root(two)
    clusters = {root(at) for at in range(len(texts))}
    alive = {root(at) for at in kept}
    alike: dict[str, list[int]] = {}
    for at, text in enumerate(texts):
        alike.setdefault(" ".join(text.split()), []).append(at)
    gone = sum(
        1 for cluster in clusters - alive if not any(at in kept for at in alike[" ".join(texts[cluster].split())])
    )
    print(f"  {len(clusters):,} clusters by brute force, {gone} of which vanished")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("million", "snapshots", "templates", "brute"))
    parser.add_argument("--documents", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", help="where to work; by default a temporary folder")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="bench-dedup-", dir=asked.folder))
    try:
        if asked.what == "million":
            million(asked.documents or 1_000_000, asked.workers, home)
        elif asked.what == "snapshots":
            snapshots(asked.documents or 400_000, home)
        elif asked.what == "templates":
            templates(asked.documents or 50_000, home)
        else:
            brute(asked.documents or 5_000, home)
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
