"""Time `corpuskit extract` on a multistream dump with one worker and with two.

    python -m tests.bench.bench_multistream [--megabytes 50] [--rounds 3]

The dump is made of the real pages of the development data (English, Latgalian, Ukrainian, Vietnamese and 65 more
Wikipedias), 100 a stream as Wikimedia does, under the head of the English one. They are repeated under new ids and
titles until the dump has the size asked for. Both commands run as whole processes, in turns; wall and CPU time are
medians, and the datasets must have the same bytes.
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
import itertools
import lzma
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data")) / "wikipedia"
NAME = "enwiki-20261001-pages-articles-multistream.xml.bz2"
HEAD = "enwiki-pages-articles1-p10p30302-shortened.xml.bz2"
SOURCES = (
    HEAD,
    "ltgwiki-pages-articles.xml.bz2",
    "ukwiki-20230501-truncated-100k.xml.xz",
    "viwiki-20230501-truncated-100k.xml.xz",
)


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (bz2.decompress(data) if path.suffix == ".bz2" else lzma.decompress(data)).decode()


def real_pages() -> list[str]:
    files = [ROOT / name for name in SOURCES] + sorted((ROOT / "minidumps").glob("*.bz2"))
    return [page for file in files for page in re.findall(r"^ *<page>.*?</page>\n", text_of(file), re.M | re.S)]


def renumbered(pages: list[str]) -> Iterator[tuple[int, str, str]]:
    """Give (id, title, page) without end."""
    number = 0
    for turn in itertools.count():
        for page in pages:
            number += 1
            page = re.sub(r"<id>\d+</id>", f"<id>{number}</id>", page, count=1)
            if turn:
                page = page.replace("</title>", f" ({turn + 1})</title>", 1)
            yield number, page[page.index("<title>") + 7 : page.index("</title>")], page


def write_dump(folder: Path, megabytes: int) -> tuple[int, int]:
    """Write dump and index; gives the number of pages and the bytes of XML."""
    head = text_of(ROOT / HEAD).partition("  <page>")[0]
    lines, count, size = [], 0, 0
    numbered = renumbered(real_pages())
    with (folder / NAME).open("wb") as out:
        out.write(bz2.compress(head.encode()))
        while out.tell() < megabytes * 1_000_000:
            some = list(itertools.islice(numbered, 100))
            lines += [f"{out.tell()}:{id}:{title}\n" for id, title, _ in some]
            data = "".join(page for _, _, page in some).encode()
            out.write(bz2.compress(data))
            count, size = count + len(some), size + len(data)
        out.write(bz2.compress(b"</mediawiki>\n"))
    index = NAME.replace("multistream.xml", "multistream-index.txt")
    (folder / index).write_bytes(bz2.compress("".join(lines).encode()))
    return count, size


def extract(folder: Path, out: Path, workers: int) -> tuple[float, float]:
    """Give the wall and the CPU seconds of one run."""
    shutil.rmtree(out, ignore_errors=True)
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "corpuskit",
        "--quiet",
        "extract",
        str(folder),
        str(out),
        "--workers",
        str(workers),
    ]
    subprocess.run(command, check=True)
    seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=50, help="compressed size of the dump")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-multistream-") as name:
        folder = Path(name)
        (folder / "in").mkdir()
        count, size = write_dump(folder / "in", options.megabytes)
        compressed = (folder / "in" / NAME).stat().st_size
        print(f"{count:,} pages, {compressed / 1e6:.1f} MB compressed, {size / 1e6:.1f} MB of XML")
        runs: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        for _ in range(options.rounds):
            for workers in (1, 2):
                load = os.getloadavg()[0]
                seconds, used = extract(folder / "in", folder / f"out{workers}", workers)
                runs[workers].append((seconds, used))
                print(f"  {workers} workers: {seconds:6.2f} s, {used:6.2f} s of CPU (load {load:.2f})", flush=True)
        wall = {workers: statistics.median(seconds for seconds, _ in each) for workers, each in runs.items()}
        cpu = {workers: statistics.median(used for _, used in each) for workers, each in runs.items()}
        print(f"medians: {wall[1]:.2f} s and {wall[2]:.2f} s, {wall[1] / wall[2]:.2f} times as fast with 2 workers")
        print(f"CPU: {cpu[1]:.2f} s and {cpu[2]:.2f} s; one worker reads {size / 1e6 / wall[1]:.1f} MB of XML a second")
        same = hashes(folder / "out1") == hashes(folder / "out2")
        print(f"the same bytes: {same}, {len(hashes(folder / 'out1'))} files")
        sys.exit(not same)


if __name__ == "__main__":
    main()
