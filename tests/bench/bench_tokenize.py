"""Hold `tokenize` against `tokenizers` and datatrove: the same ids, and how fast the stage is.

    python -m tests.bench.bench_tokenize exact
    python -m tests.bench.bench_tokenize speed [--peers PYTHON] [--megabytes 400] [--rounds 3]

The text is all that the development data holds, unpacked and decoded: dumps, archives, web pages, sentences of 79
languages, books; cut at line feeds into documents of some 4,000 characters.

`exact` trains BPE tokenizers of 32,768 entries with the patterns of GPT-2 and Llama 3 and compares every id with
those of `tokenizers`, for all of the text and for 60,000 made-up strings. Takes minutes: `tokenizers` is the slow one.

`speed` runs the whole stage (read shards, encode, write shards; start and end of the process included) with one worker
on one core and with two on two, on --megabytes of documents in 16 shards; `tokenizers`' encode_batch_fast and
encode_batch encode 20 MB of them, on one core and on two, batches of 1,000, nothing read or written, the ids taken out
of the Encodings, which are let go of; datatrove's DocumentTokenizer reads JSON Lines of the same 20 MB. Every round all
take their turn. Also the stage's largest resident set (anonymous pages, all processes together), and that of runs on
one document of 200 MB each: real text, and noise that gives most ids.
"""

from __future__ import annotations

import argparse
import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path

import numpy as np

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
VOCAB, CHARS, PEERS_MB = 32768, 4000, 20
STAGE, FAST = "tokenize, {} worker{}", "tokenizers encode_batch_fast, {} thread{}"
BITS = [
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "\xa0",
    "\u3000",
    "'s",
    "'S",
    "'re",
    "'ſ",
    "ſ",
    "ı",
    "K",
    "é",
    "é",
    "中",
    "文",
    "🙂",
    "👩\u200d👩",
    "\u200d",
    "١٢",
    "12345",
    "½",
    "²",
    "Ⅷ",
    "ﷺ",
    "\x00",
    "\x85",
    "\u2028",
    "\x1c",
    "\x1f",
    "a",
    "B",
    "zz",
    "_",
    "__",
    "--",
    "...",
    "!?",
    "\ufeff",
    "🇦",
    "ไทย",
    "한",
    "नि",
    "̀",
    "⃝",
    "ǅ",
    "ß",
    "\U0010ffff",
    "\ue000",
    "\u180e",
]


def unpacked() -> Iterator[bytes]:
    """Give the bytes of every file, those of packed ones unpacked."""
    for path in sorted(path for path in ROOT.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.name.endswith(".tar.xz"):
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                yield from (tar.extractfile(each).read() for each in tar if each.isfile())  # type: ignore[union-attr]
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as packed:
                yield from (packed.read(name) for name in packed.namelist())
        else:
            opener = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}.get(path.suffix)
            with contextlib.suppress(OSError, EOFError, lzma.LZMAError):  # some are broken on purpose
                yield opener(data) if opener else data


def texts() -> Iterator[str]:
    """Give all text in documents of some CHARS characters."""
    for data in unpacked():
        text = data.decode("utf-8", "replace")
        start = 0
        while start < len(text):
            end = text.find("\n", start + CHARS)
            yield text[start : end + 1 if end >= 0 else len(text)]
            start = end + 1 if end >= 0 else len(text)


def made_up(count: int = 30_000) -> list[str]:
    rng = random.Random(1)
    found = ["".join(rng.choices(BITS, k=rng.randint(0, 30))) for _ in range(count)]
    codes = [code for code in range(32, 0x110000) if not 0xD800 <= code < 0xE000]
    for _ in range(count):
        found.append(
            "".join(chr(rng.choice(codes if rng.random() < 0.5 else codes[:0x3000])) for _ in range(rng.randint(1, 30)))
        )
    return [
        *found,
        "a" * 100_000,
        " " * 100_000,
        "\n" * 50_000 + "x",
        "ab" * 60_000,
        "1" * 50_000,
        "'" * 3_000,
        "",
        "x",
    ]


def tokenizer(folder: Path, pattern: str) -> Path:
    """Train one on a sample of the text."""
    from corpuskit.tokens import bpe, learning

    out = folder / pattern
    out.mkdir()
    sample = [text for at, text in enumerate(texts()) if at % 8 == 0]
    bpe.save(learning.learn(sample, VOCAB, pattern=pattern), out)
    return out


def exact(folder: Path) -> None:
    from corpuskit.tokens import bpe

    for pattern in ("gpt2", "llama3"):
        loaded = bpe.load(tokenizer(folder, pattern), fast=True)
        assert loaded.fast is not None, "fastokens does not take it"
        count = wrong = size = 0
        for batch in batches(chain(texts(), made_up()), 2_000):
            ids, offsets = loaded.encode(batch)
            wanted = loaded.backend.encode_batch_fast(batch, add_special_tokens=False)
            for text, (start, end), each in zip(batch, pairwise(offsets.tolist()), wanted, strict=True):
                count, size = count + 1, size + len(text.encode())
                if ids[start:end].tolist() != each.ids:
                    wrong += 1
                    print(f"  differs: {text[:80]!r}")
        print(f"{pattern}: {count:,} texts, {size / 1e6:.1f} MB, {wrong} with other ids than tokenizers'", flush=True)


def batches(each: Iterator[str], size: int) -> Iterator[list[str]]:
    held: list[str] = []
    for one in each:
        held.append(one)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def write_docs(folder: Path, documents: Sequence[str], shards: int) -> float:
    """Write a dataset of `shards` shards; give its text in MB."""
    from tests.build import write_docs as write

    rows = [{"id": f"d{at}", "text": text, "source": "here"} for at, text in enumerate(documents)]
    write(folder, rows, shards=shards)
    return sum(len(text.encode()) for text in documents) / 1e6


def stage(docs: Path, out: Path, tokenizer: Path, workers: int) -> tuple[float, float]:
    """Run the stage; give seconds and the largest resident set in MB, of all its processes together."""
    command = [sys.executable, "-m", "corpuskit", "--quiet", "tokenize", str(docs), str(out)]
    command += ["--tokenizer", str(tokenizer), "--workers", str(workers)]
    shutil.rmtree(out, ignore_errors=True)  # a finished one would be skipped
    start = time.perf_counter()
    child = subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, cores(workers)))
    largest = 0.0
    over = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not over.wait(0.05):
            largest = max(largest, sum(map(resident, family(child.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert child.wait() == 0
    seconds = time.perf_counter() - start
    over.set()
    watcher.join()
    return seconds, largest


def cores(count: int) -> list[int]:
    return sorted(os.sched_getaffinity(0))[:count]


def family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def resident(pid: int) -> float:
    """Give the memory of a process that is its own: not the pages of mapped files."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1e3 if found else 0.0


def of_tokenizers(folder: Path, documents: list[str], how: str, threads: int) -> float:
    """Encode in a process of its own; give seconds."""
    file = folder / "peer.json"
    file.write_text(json.dumps(documents), encoding="utf-8")
    env = os.environ | {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    command = [sys.executable, __file__, "--peer", how, str(folder / "gpt2" / "tokenizer.json"), str(file)]
    pinned = lambda: os.sched_setaffinity(0, cores(threads))  # noqa: E731
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=env, preexec_fn=pinned)
    return float(found.stdout)


def of_datatrove(python: str, folder: Path, documents: list[str]) -> float:
    """Run datatrove's step in its own environment; give seconds, without imports."""
    (folder / "jsonl").mkdir(exist_ok=True)
    with (folder / "jsonl" / "docs.jsonl").open("w", encoding="utf-8") as out:
        out.writelines(json.dumps({"id": str(at), "text": text}) + "\n" for at, text in enumerate(documents))
    command = [python, __file__, "--peer", "datatrove", str(folder / "gpt2" / "tokenizer.json"), str(folder / "jsonl")]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(found.stdout.split("\n")[-2])


def peer(how: str, tokenizer: str, given: str) -> None:
    if how == "datatrove":
        from datatrove.executor import LocalPipelineExecutor
        from datatrove.pipeline.readers import JsonlReader
        from datatrove.pipeline.tokens import DocumentTokenizer

        with tempfile.TemporaryDirectory() as out:
            step = DocumentTokenizer(
                f"{out}/tokens", tokenizer_name_or_path=tokenizer, eos_token="<|endoftext|>", shuffle_documents=False
            )
            start = time.perf_counter()
            LocalPipelineExecutor([JsonlReader(given), step], tasks=1, logging_dir=f"{out}/logs").run()
        print(time.perf_counter() - start)
        return
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(tokenizer)
    documents = json.loads(Path(given).read_text(encoding="utf-8"))
    encode = getattr(loaded, how)
    start = time.perf_counter()
    for at in range(0, len(documents), 1_000):
        for each in encode(documents[at : at + 1_000], add_special_tokens=False):
            np.array(each.ids, np.uint16)
    print(time.perf_counter() - start)


def speed(folder: Path, asked: argparse.Namespace) -> None:
    own = tokenizer(folder, "gpt2")
    documents = list(texts())
    random.Random(0).shuffle(documents)
    size = sum(len(text.encode()) for text in documents) / 1e6
    repeated = documents * max(1, round(asked.megabytes / size))
    megabytes = write_docs(folder / "docs", repeated, 16)
    some = documents[: int(len(documents) * PEERS_MB / size)]
    some_mb = sum(len(text.encode()) for text in some) / 1e6
    print(
        f"{len(repeated):,} documents, {megabytes:.0f} MB ({size:.0f} MB that differ); peers: {some_mb:.1f} MB of them"
    )
    del repeated, documents
    rates: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    for _ in range(asked.rounds):
        for workers in (1, 2):
            name = STAGE.format(workers, "s" * (workers > 1))
            seconds, largest = stage(folder / "docs", folder / "out", own, workers)
            rates.setdefault(name, []).append(megabytes / seconds)
            memory[name] = max(largest, memory.get(name, 0))
        for how in ("encode_batch_fast", "encode_batch"):
            for threads in (1, 2):
                name = f"tokenizers {how}, {threads} thread{'s' * (threads > 1)}"
                rates.setdefault(name, []).append(some_mb / of_tokenizers(folder, some, how, threads))
        if asked.peers:
            rates.setdefault("datatrove DocumentTokenizer", []).append(
                some_mb / of_datatrove(asked.peers, folder, some)
            )
    for name, found in rates.items():
        used = f", {memory[name]:,.0f} MB of memory" if name in memory else ""
        print(f"{name:<42} {statistics.median(found):7.1f} MB/s ({min(found):.1f} to {max(found):.1f}){used}")
    for cores in (1, 2):
        ours, theirs = (rates[name.format(cores, "s" * (cores > 1))] for name in (STAGE, FAST))
        ratios = [left / right for left, right in zip(ours, theirs, strict=True)]
        span = f"{min(ratios):.1f} to {max(ratios):.1f}"
        print(f"on {cores}: {statistics.median(ratios):.1f} times encode_batch_fast in the same round ({span})")
    noise = random.Random(1)
    noisy = "".join(chr(noise.randrange(33, 0x3000)) if noise.random() < 0.9 else " " for _ in range(1_000_000))
    for kind, unit in {"real text": "".join(some), "noise of all scripts to U+3000": noisy}.items():
        size = len(unit.encode())
        write_docs(folder / "long", [unit * (200_000_000 // size)], 1)
        seconds, largest = stage(folder / "long", folder / "out", own, 1)
        megabytes = size * (200_000_000 // size) / 1e6
        print(f"one document of {megabytes:.0f} MB, {kind}: {seconds:.1f} s, {largest:,.0f} MB of memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("exact", "speed"), default="speed")
    parser.add_argument("--peers", help="the Python that has datatrove[processing]")
    parser.add_argument("--megabytes", type=float, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peer:
        peer(*asked.peer)
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.part == "exact":
            exact(Path(folder))
        else:
            speed(Path(folder), asked)


if __name__ == "__main__":
    sys.exit(main())
