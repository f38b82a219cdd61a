"""Train and score n-gram models of BPE ids: tokens a second, peak memory, out of core, and KenLM's scorer beside it.

    python -m tests.bench.bench_ngram [--tokens 15000000] [--cache FOLDER] [--slope 1 5 15 50]

The text is what every machine has: Python sources of the installed packages, a 32k byte-level BPE learnt from part of
it. Beyond its end the ids are synthetic: pieces of 8 to 64 ids of the real ones in a random order. Every run is a
process of its own, compiled before the clock starts; memory is the peak of its resident set above what the process
had before, pages of mapped files among it. PyPI's `kenlm` scores but has no lmplz: figures of that are not made here.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ORDER, VOCAB = 5, 32768


def make_ids(tokens: int, cache: Path) -> Path:
    """Give a file of about so many ids; documents end with id 0."""
    from corpuskit.tokens import bpe, learning

    file = cache / f"ids-{tokens}.npy"
    if file.exists():
        return file
    texts, size = [], 0
    for source in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.py")):
        texts.append(source.read_text("utf-8", "replace"))
        size += len(texts[-1])
        if size > 4.5 * tokens:
            break
    rng = np.random.default_rng(0)
    own = learning.learn([texts[at] for at in rng.permutation(len(texts))[: len(texts) // 6]], VOCAB)
    (cache / "tokenizer").mkdir(exist_ok=True)
    bpe.save(own, cache / "tokenizer")
    ready = bpe.load(cache / "tokenizer")
    ids, offsets = ready.encode(texts)
    real = np.insert(ids, offsets[1:], 0)[:tokens]
    parts, have = [real], len(real)
    print(f"{have:,} ids of {size / 1e6:.0f} MB of text", file=sys.stderr)
    while have < tokens:
        at = int(rng.integers(0, len(real) - 64))
        parts.append(real[at : at + int(rng.integers(8, 64))])
        have += len(parts[-1])
    np.save(file, np.concatenate(parts)[:tokens])
    return file


def grown(file: Path, tokens: int, cache: Path) -> Path:
    """Give a file of so many ids: the first ones, or synthetic ones behind them."""
    out = cache / f"slope-{tokens}.npy"
    if not out.exists():
        real, rng = np.load(file, mmap_mode="r"), np.random.default_rng(1)
        made = np.empty(tokens, real.dtype)
        made[: len(real)] = real[:tokens]
        at = len(real)
        while at < tokens:
            start, n = int(rng.integers(0, len(real) - 64)), min(int(rng.integers(8, 64)), tokens - at)
            made[at : at + n] = real[start : start + n]
            at += n
        np.save(out, made)
    return out


def peak() -> float:
    """Give the peak resident set in MB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.split("\n") if line.startswith("VmHWM")).split()[1]) / 1000


def documents(ids: Any) -> Any:
    """Cut after each end mark."""
    ends = np.flatnonzero(ids == 0) + 1
    return np.unique(np.concatenate([[0], ends, [len(ids)]])).astype(np.int64)


def child(file: str, memory_gb: float | None, out: str) -> dict[str, Any]:
    """Train, write, score; what one process measures."""
    from corpuskit.lm import ngram, ngram_counts
    from corpuskit.lm.ngram_tables import Work

    ids = np.load(file, mmap_mode="r")
    folder = Path(out)

    def train(tokens: Any, at: Path, work: Work) -> Any:
        made = ngram_counts.estimate(
            tokens, documents(tokens), order=ORDER, vocab_size=VOCAB, end_id=0, types=VOCAB + 1, work=work
        )
        ngram.save(at, made, vocab_size=VOCAB, end_id=0)
        return made.grams

    with tempfile.TemporaryDirectory() as small:
        train(np.array(ids[:50_000]), Path(small), Work())
    before = peak()
    memory = None if memory_gb is None else int(memory_gb * 1e9)
    with tempfile.TemporaryDirectory(dir=out) as scratch:
        start = time.perf_counter()
        grams = train(ids, folder, Work(None, memory, Path(scratch)))
        seconds = time.perf_counter() - start
    used = peak()
    digest = sha256()
    for name in ("tokens", "probs", "children", "backoffs"):
        with open(folder / f"{name}.npy", "rb") as data:
            while piece := data.read(1 << 24):
                digest.update(piece)
    model, held = ngram.load(folder), np.array(ids[-2_000_000:])
    model.score(held[:50_000], documents(held[:50_000]))
    start = time.perf_counter()
    nats, _ = model.score(held, documents(held))
    scored = time.perf_counter() - start
    return {
        "tokens": len(ids), "seconds": seconds, "peak_mb": used, "before_mb": before, "grams": grams,
        "hash": digest.hexdigest()[:16], "score_per_second": len(held) / scored, "nats": float(nats.sum()),
        "model_mb": sum(each.stat().st_size for each in folder.iterdir() if each.is_file()) / 1e6,
    }  # fmt: skip


def measure(file: Path, memory_gb: float | None = None) -> dict[str, Any]:
    """Run `child` in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "tests.bench.bench_ngram", "--child", str(file), str(memory_gb or 0), out]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found: dict[str, Any] = json.loads(done.stdout)
    return found


def say(name: str, found: dict[str, Any]) -> None:
    """Print one line."""
    rate = found["tokens"] / found["seconds"] / 1e6
    print(
        f"{name:<24} {found['tokens'] / 1e6:6.1f} M tokens  {found['seconds']:6.2f} s  {rate:5.2f} M tokens/s  "
        f"peak {found['peak_mb']:,.0f} MB ({found['before_mb']:,.0f} before)  model {found['model_mb']:,.0f} MB  "
        f"{found['hash']}  scores {found['score_per_second'] / 1e6:.2f} M tokens/s",
        flush=True,
    )


def kenlm_scores(file: Path) -> None:
    """Let KenLM score the same ids as words of an ARPA file of a small model, and ours beside it on both cores."""
    try:
        import kenlm
    except ImportError:
        print("kenlm is not installed: nothing to compare scoring with")
        return
    from corpuskit.lm import arpa, ngram, ngram_counts

    ids = np.array(np.load(file, mmap_mode="r")[:1_000_000])
    with tempfile.TemporaryDirectory() as folder:
        made = ngram_counts.estimate(ids, documents(ids), order=ORDER, vocab_size=VOCAB, end_id=0, types=VOCAB + 1)
        ngram.save(Path(folder), made, vocab_size=VOCAB, end_id=0)
        model = ngram.load(Path(folder))
        arpa.write(model, Path(folder) / "arpa")
        theirs = kenlm.Model(str(Path(folder) / "arpa"))
        cuts = documents(ids)
        lines = [" ".join(map(str, ids[a : b - 1])) for a, b in pairwise(cuts)]
        model.score(ids, cuts)  # compiled, and in memory
        start = time.perf_counter()
        theirs_nats = sum(theirs.score(line) for line in lines)
        middle = time.perf_counter()
        ours_nats = model.score(ids, cuts)[0].sum()
        ours = time.perf_counter() - middle
    print(
        f"scoring 1 M ids: kenlm (one core, strings) {len(ids) / (middle - start) / 1e6:.2f} M tokens/s, "
        f"ours {len(ids) / ours / 1e6:.2f}; nats differ by {abs(ours_nats / (-theirs_nats * np.log(10)) - 1):.1e}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int, default=15_000_000)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "corpuskit-bench-ngram")
    parser.add_argument("--slope", type=float, nargs="*", default=[1, 5, 50])
    parser.add_argument("--child", nargs=3)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child[0], float(options.child[1]) or None, options.child[2])))
        return
    options.cache.mkdir(parents=True, exist_ok=True)
    file = make_ids(options.tokens, options.cache)
    whole = measure(file)
    say("in memory", whole)
    quarter = (whole["peak_mb"] - whole["before_mb"]) / 4000
    apart = measure(file, quarter)
    say(f"--memory-gb {quarter:.3f}", apart)
    print("the same bytes" if whole["hash"] == apart["hash"] else "OTHER BYTES")
    for millions in options.slope:
        say("slope", measure(grown(file, int(millions * 1e6), options.cache)))
    kenlm_scores(file)


if __name__ == "__main__":
    main()
