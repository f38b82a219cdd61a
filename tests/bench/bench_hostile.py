"""Measure the extractor of HTML on pages that are made to be slow: 64 MB each, of one kind (`html_fuzz.bombs`).

    python -m tests.bench.bench_hostile [--bytes 67108864] [--only NAME ...]

Prints for each kind the seconds a quarter of the page takes and the whole, how much longer the whole takes (4 is
linear, some 9 where only the quarter fits the caches, 16 the square), and the most memory that was resident, the page
included, as a multiple of the page. Ends with 1 where the whole takes over 12 times as long as the quarter, or memory
is over 8 times the page. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.html_fuzz import bombs

_MOST_RATIO, _MOST_MEMORY = 12.0, 8.0
_LEAST_SECONDS = 0.02  # below, a ratio is noise


def _seconds(page: bytes) -> float:
    from corpuskit.text.html import html_to_text

    start = time.process_time()
    html_to_text(page)
    return time.process_time() - start


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    """Give a figure of this process's memory in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise ValueError(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bytes", type=int, default=1 << 26)
    parser.add_argument("--only", nargs="*", default=())
    options = parser.parse_args()
    _seconds(b"<p>compiles")
    quarters = {name: _seconds(page) for name, page in bombs(options.bytes // 4)}
    idle = _status("VmRSS")
    failed: list[str] = []
    worst_seconds, worst_memory = 0.0, 0.0
    print(f"load {os.getloadavg()[0]:.2f}")
    for name, page in bombs(options.bytes):
        if options.only and name not in options.only:
            continue
        _forget_peak()
        seconds = _seconds(page)
        memory = 1 + (_status("VmHWM") - idle - len(page)) / len(page)
        ratio = seconds / max(quarters[name], _LEAST_SECONDS)
        print(f"{name!r:32} {quarters[name]:7.3f} s  {seconds:7.3f} s  x{ratio:5.2f}  {memory:5.2f} pages", flush=True)
        worst_seconds, worst_memory = max(worst_seconds, seconds), max(worst_memory, memory)
        if ratio > _MOST_RATIO or memory > _MOST_MEMORY:
            failed.append(name)
    print(f"at most {worst_seconds:.2f} s and {worst_memory:.1f} times the page; over the bounds: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
