"""Time `extract` + `clean` over WARC against datatrove's chain on the same files, in one run.

    python -m tests.bench.bench_chain --datatrove PYTHON [--copies 6] [--rounds 3]

PYTHON is that of an environment with datatrove (see datatrove_chain.py). The archives are the pages of Trafilatura's
evaluation set, in four WARC files, each page so many times. Both name the language of every page and judge
pages of all languages by Gopher's rules, in two processes; corpuskit by two commands, and by a recipe of two stages.
Prints pages a second, the ratios, the CPU seconds of corpuskit with its workers (which tell more on a machine that
others use too; datatrove's are nobody's children), and the peak memory of the largest process of corpuskit.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tests.data import shared

_FILES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description="extract + clean against datatrove")
    parser.add_argument("--datatrove", required=True, help="a Python that has datatrove")
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        pages = write_archives(home / "warc", options.copies)
        size = sum(path.stat().st_size for path in (home / "warc").iterdir())
        print(f"{pages} pages in {_FILES} WARC files of {size / 1e6:.0f} MB together", flush=True)
        ours: dict[str, list[Took]] = {way.__name__: [] for way in (by_commands, by_recipe)}
        theirs, peak = [], 0
        for round_ in range(options.rounds + 1):  # the first one compiles and fills the page cache
            for way in (by_commands, by_recipe):
                for name in ("docs", "clean", "root"):
                    shutil.rmtree(home / name, ignore_errors=True)
                took, memory = way(home)
                peak = max(peak, memory)
                if round_:
                    ours[way.__name__].append(took)
            if round_:
                theirs.append(with_datatrove(home, options.datatrove))
                told = [f"{name} {took[-1].seconds:.2f} s (CPU {took[-1].cpu:.2f})" for name, took in ours.items()]
                print(f"  {', '.join(told)}, datatrove {theirs[-1]:.2f} s, load {os.getloadavg()[0]:.2f}", flush=True)
        other = statistics.median(theirs)
        print(f"datatrove: {pages / other:.0f} pages/s; largest process of corpuskit {peak / 1e6:.0f} MB")
        for name, took in ours.items():
            mine = statistics.median(each.seconds for each in took)
            print(f"extract + clean {name}: {pages / mine:.0f} pages/s, ratio {other / mine:.1f}")


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of CPU, of a run with all its processes."""

    seconds: float
    cpu: float


def _run(command: list[str]) -> tuple[Took, int]:
    """Run a command; gives what it took, and the memory of its largest process in bytes."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as problems:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=problems)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            problems.seek(0)
            sys.exit(f"{' '.join(command)}: status {status}\n{problems.read()[-2_000:].decode(errors='replace')}")
    return Took(time.perf_counter() - start, usage.ru_utime + usage.ru_stime), usage.ru_maxrss * 1024


def write_archives(folder: Path, copies: int) -> int:
    """Write the evaluation pages as WARC files; gives the number of pages."""
    folder.mkdir()
    files = [gzip_writer(folder / f"pages-{at}.warc.gz") for at in range(_FILES)]
    count = 0
    with tarfile.open(shared("html_gold/trafilatura-eval.tar.xz")) as archive:
        for member in archive:
            if not member.name.endswith(".html"):
                continue
            found = archive.extractfile(member)
            body = found.read() if found else b""
            for copy in range(copies):
                headers = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.1")
                writer = files[count % _FILES][0]
                uri = f"https://pages.test/{copy}/{Path(member.name).name}"
                payload = io.BytesIO(body)
                writer.write_record(writer.create_warc_record(uri, "response", payload=payload, http_headers=headers))
                count += 1
    for _, file in files:
        file.close()
    return count


def gzip_writer(path: Path) -> tuple[WARCWriter, io.BufferedWriter]:
    file = path.open("wb")
    return WARCWriter(file, gzip=True), file


def by_commands(home: Path) -> tuple[Took, int]:
    """Run `extract`, then `clean`; gives what both took, and the memory of the larger one."""
    runs = [
        _run(_corpuskit(*words))
        for words in (
            ["extract", str(home / "warc"), str(home / "docs")],
            ["clean", str(home / "docs"), str(home / "clean"), "--preset", "gopher"],
        )
    ]
    both = Took(sum(took.seconds for took, _ in runs), sum(took.cpu for took, _ in runs))
    return both, max(memory for _, memory in runs)


def by_recipe(home: Path) -> tuple[Took, int]:
    """Run both as the stages of a recipe."""
    recipe = home / "chain.toml"
    extract = {"use": "extract", "inputs": str(home / "warc")}
    stages = [extract, {"use": "clean", "preset": "gopher"}]
    tables = ["".join(f"{key} = {json.dumps(value)}\n" for key, value in stage.items()) for stage in stages]
    recipe.write_text("".join(f"[[stage]]\n{table}" for table in tables))
    return _run(_corpuskit("run", str(recipe), "--root", str(home / "root")))


def _corpuskit(*words: str) -> list[str]:
    return [sys.executable, "-m", "corpuskit", "--quiet", *words, "--workers", "2"]


def with_datatrove(home: Path, python: str) -> float:
    shutil.rmtree(home / "out", ignore_errors=True)
    script = Path(__file__).with_name("datatrove_chain.py")
    took, _ = _run([python, str(script), str(home / "warc"), str(home / "out"), "2"])
    kept = sum(gzip.decompress(path.read_bytes()).count(b"\n") for path in (home / "out" / "docs").iterdir())
    assert kept, "datatrove kept nothing"
    return took.seconds


if __name__ == "__main__":
    main()
