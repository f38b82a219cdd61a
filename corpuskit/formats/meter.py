"""How much has come, how fast, and how long the rest will take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Show = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch."""

    name: str
    url: str
    bytes: int | None = None
    checksum: str | None = None
    about: tuple[tuple[str, str], ...] = ()


class Pace:
    """Tell how fast something that is counted goes on, and how long the rest will take."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._before = 0

    def skip(self, count: int) -> None:
        """Take note of what was there before: it says nothing of the rate."""
        self._before += count

    def words(self, done: int, total: int, what: str) -> str:
        """Give such as "12 records/s, 3 min 05 s left"."""
        rate = (done - self._before) / max(time.monotonic() - self._start, 1e-9)
        left = f", {clock((total - done) / rate)} left" if rate > 0 else ""
        return f"{rate:,.0f} {what}/s{left}" if rate >= 10 or rate == 0 else f"{rate:.1f} {what}/s{left}"


class Meter:
    """Tell how much has come, how fast, and how long the rest will take; at most five times a second."""

    _EVERY_SECONDS, _WINDOW_SECONDS = 0.2, 15.0

    def __init__(self, wanted: list[Wanted], show: Show | None) -> None:
        self._show = show
        self._sizes = {each.name: each.bytes for each in wanted}
        self._done = 0
        self._lock = threading.Lock()
        self._marks: list[tuple[float, int]] = [(time.monotonic(), 0)]

    def expect(self, wanted: Wanted, size: int | None) -> None:
        """Take note of the size of a file."""
        self._sizes[wanted.name] = size

    def skip(self, wanted: Wanted, size: int) -> None:
        """Take note of what was there before: it says nothing of the rate."""
        with self._lock:
            self._done += size
            self._marks = [(at, done + size) for at, done in self._marks]

    def add(self, size: int) -> None:
        """Take note of bytes that came."""
        with self._lock:
            self._done += size
            now = time.monotonic()
            if self._show is None or now - self._marks[-1][0] < self._EVERY_SECONDS:
                return
            self._marks = [mark for mark in self._marks if now - mark[0] < self._WINDOW_SECONDS] or self._marks[-1:]
            first = self._marks[0]
            self._marks.append((now, self._done))
            rate = max(0.0, (self._done - first[1]) / max(now - first[0], 1e-9))
            line, facts = self._words(rate)
            show = self._show
        show(line, facts)

    def _words(self, rate: float) -> tuple[str, dict[str, Any]]:
        sizes = list(self._sizes.values())
        total = sum(size for size in sizes if size is not None)
        whole = None not in sizes
        left = (total - self._done) / rate if whole and rate > 0 else None
        amount = f"{human(self._done)} of {human(total)}" if whole else human(self._done)
        line = f"download: {amount}, {human(rate)}/s" + (f", {clock(left)} left" if left is not None else "")
        facts = {
            "bytes": self._done,
            "total_bytes": total if whole else None,
            "bytes_per_second": round(rate),
            "seconds_left": round(left) if left is not None else None,
        }
        return line, facts


def human(size: float) -> str:
    """Write a size in bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def clock(seconds: float) -> str:
    """Write a time for people."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
