"""Time `repair.fix_column` and `repair.repair_column` against ftfy itself, single-threaded, on the same texts.

    python -m tests.bench.bench_repair [--megabytes 4] [--rounds 3]

Texts are those of the development data: what is ASCII of WikiText-2, a novel with its quotes curled, the Ukrainian and
Vietnamese Wikipedias as `extract` gives them, and the sentences of 79 languages. Both ways to repair are timed: the
defaults of corpuskit and those of ftfy. Every result must be ftfy's. ftfy gets str, as it is made for; corpuskit an
Arrow column. Rates are medians, in MB of UTF-8 a second; `repaired` is `repair_column`: ftfy, then white space.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ftfy
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.dataset import read_table
from corpuskit.text import repair

ROOT = Path(os.environ.get("CORPUSKIT_DATA", Path(__file__).parents[3] / "shared" / "data"))
WAYS = {"corpuskit's settings": repair.Repair(), "ftfy's settings": repair.FTFY_DEFAULTS}
PROMISED = {"ASCII English": 50, "Ukrainian Wikipedia": 20, "Vietnamese Wikipedia": 20, "79 languages": 10}


def grouped(lines: Iterable[str], size: int) -> list[str]:
    lines = list(lines)
    return ["\n".join(lines[at : at + size]) for at in range(0, len(lines), size)]


def english() -> list[str]:
    lines = gzip.decompress((ROOT / "lm" / "wikitext-2.train.txt.gz").read_bytes()).decode().split("\n")
    return grouped(filter(str.isascii, lines), 20)


def curly() -> list[str]:
    text = (ROOT / "lm" / "gutenberg-1342-pride-and-prejudice.txt").read_text(encoding="utf-8")
    text = re.sub(r'"([^"]*)"', "\u201c\\1\u201d", text).replace("'", "\u2019")
    return grouped(text.split("\n"), 50)


def sentences() -> list[str]:
    files = sorted((ROOT / "langid" / "lingua-sentences").iterdir())
    found = [text for file in files for text in grouped(file.read_text(encoding="utf-8").split("\n"), 20)]
    return found[::7] + found[1::7] + found[2::7] + found[3::7] + found[4::7] + found[5::7] + found[6::7]


def wikipedia(name: str) -> list[str]:
    (dump,) = (ROOT / "wikipedia").glob(f"{name}*")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        subprocess.run([sys.executable, "-m", "corpuskit", "extract", dump, out], check=False, capture_output=True)
        texts = read_table([str(shard) for shard in sorted(out.glob("docs-*.arrow"))]).column("text")
        return [text for text in texts.to_pylist() if text]


def cut(texts: list[str], megabytes: float) -> list[str]:
    """Take texts up to a size, and again from the first where there are too few."""
    taken: list[str] = []
    left = megabytes * 1e6
    while left > 0:
        for text in texts:
            taken.append(text)
            left -= len(text.encode())
            if left <= 0:
                break
    return taken


def seconds(work: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    sources = {
        "ASCII English": english(),
        "English, curly quotes": curly(),
        "Ukrainian Wikipedia": wikipedia("ukwiki"),
        "Vietnamese Wikipedia": wikipedia("viwiki"),
        "79 languages": sentences(),
    }
    for how in WAYS.values():  # compile
        repair.repair_column(pa.array(["a\u201d\u0301 &amp;\n\xa0", "schÃ¶n"]), how)
    print(f"load {os.getloadavg()[0]:.1f}, ftfy {ftfy.__version__}")
    print(f"{'':24} {'':21} {'ftfy':>6} {'fixed':>7} {'times':>6} {'repaired':>9}   promised")
    for name, texts in sources.items():
        texts = cut(texts, asked.megabytes)
        column = pa.array(texts, pa.string())
        size = pc.sum(pc.binary_length(column)).as_py() / 1e6
        for way, how in WAYS.items():
            config = repair.ftfy_config(how)
            expected = [ftfy.fix_text(text, config) for text in texts]
            assert repair.fix_column(column, how).to_pylist() == expected, f"{name}: not what ftfy gives"
            theirs = seconds(lambda: [ftfy.fix_text(text, config) for text in texts], asked.rounds)  # noqa: B023
            ours = seconds(lambda: repair.fix_column(column, how), 3 * asked.rounds)  # noqa: B023
            whole = seconds(lambda: repair.repair_column(column, how), 3 * asked.rounds)  # noqa: B023
            print(
                f"{name:24} {way:21} {size / theirs:6.2f} {size / ours:7.1f} {theirs / ours:6.1f} {size / whole:9.1f}"
                f"   {PROMISED.get(name, '')}",
                flush=True,
            )


if __name__ == "__main__":
    main()
