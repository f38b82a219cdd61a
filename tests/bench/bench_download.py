"""Time a download of one large file against `curl | tee FILE | sha256sum`, from the same nginx, in one run.

    python -m tests.bench.bench_download [--megabytes 1000] [--runs 5] [--folder DIR]

Both write the file and hash it; corpuskit also makes it durable (fsync) and writes its manifest. Runs alternate. Prints
the median of each, the ratio of the rates, and the peak memory of corpuskit's process.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.servers import Server, run_nginx


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", help="where to work (default: the temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        home = Path(scratch)
        (home / "site").mkdir()
        with open(home / "site" / "big.bin", "wb") as file:
            for _ in range(options.megabytes):
                file.write(os.urandom(1_000_000))
        os.sync()
        with run_nginx(home / "site", home / "nginx") as server:
            measure(server, home, options.megabytes, options.runs)


def measure(server: Server, home: Path, megabytes: int, runs: int) -> None:
    curl_seconds, our_seconds, peaks = [], [], []
    for run in range(runs + 1):  # the first one warms the page cache and does not count
        first = with_curl(server, home)
        second, peak = with_corpuskit(server, home)
        if run:
            curl_seconds.append(first)
            our_seconds.append(second)
            peaks.append(peak)
    curl, ours = statistics.median(curl_seconds), statistics.median(our_seconds)
    print(f"curl | tee | sha256sum   median {curl:.2f} s   {megabytes / curl:.0f} MB/s   {shown(curl_seconds)}")
    print(f"corpuskit download urls  median {ours:.2f} s   {megabytes / ours:.0f} MB/s   {shown(our_seconds)}")
    print(f"rate of corpuskit / rate of curl: {curl / ours:.2f} (at least 0.7 is promised)")
    print(f"peak memory of corpuskit: {max(peaks) / 1e6:.0f} MB (under 100 MB is promised)")


def with_curl(server: Server, home: Path) -> float:
    target = home / "curl.bin"
    start = time.perf_counter()
    subprocess.run(
        ["bash", "-c", f"set -o pipefail; curl -sf {server.url}/big.bin | tee {target} | sha256sum"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    took = time.perf_counter() - start
    target.unlink()
    os.sync()
    return took


def with_corpuskit(server: Server, home: Path) -> tuple[float, int]:
    (home / "list").write_text(f"{server.url}/big.bin\n")
    out = home / "out"
    command = [sys.executable, "-m", "corpuskit", "--quiet", "download", "urls", str(out), "--list", str(home / "list")]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--store", "files", "--base-url", server.url])
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - start
    assert status == 0, f"corpuskit ended with {status}"
    assert (out / "big.bin").stat().st_size == (home / "site" / "big.bin").stat().st_size
    shutil.rmtree(out)
    os.sync()
    return took, usage.ru_maxrss * 1024


def shown(seconds: list[float]) -> str:
    return "(" + ", ".join(f"{each:.2f}" for each in seconds) + ")"


if __name__ == "__main__":
    main()
