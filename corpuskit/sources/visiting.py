"""Visit many pages politely, keep them in WARC files, and know after any interruption which ones are done.

A journal holds a line for every address that is done, written after its records. An attempt that goes on reads it,
cuts the WARC file back to the last line, and visits what has no line, or one that says that a visit failed.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

import msgspec
import pyarrow as pa

from corpuskit.errors import Busy, CannotWrite, CorpuskitError, Unavailable
from corpuskit.formats.http import Client, FetchError, Visit, host_of
from corpuskit.formats.warc_writer import WarcFiles, safe_url, visit_records
from corpuskit.sources.robots import Robots, Rules

KEPT = "kept"
#: Outcomes of a visit that another one may mend.
FAILURES = ("unreachable", "robots_unreachable", "busy")

_WORKERS = 16
_AHEAD = 256  # addresses that may be done before the one whose turn it is to be written
_HELD_BYTES = 256 << 20  # of pages that wait for their turn
_KNOWN_HOSTS = 10_000
_SHOW_SECONDS = 1.0

#: Hears how many of how many are done, and the number of each outcome.
Show = Callable[[int, int, Counter[str]], None]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one address: a line of the journal. `end` is where its records end in `file`."""

    row: int
    outcome: str
    cause: str | None = None
    final_url: str | None = None
    status: int | None = None
    bytes: int | None = None
    file: str | None = None
    offset: int | None = None
    end: int = 0


@dataclass(frozen=True, slots=True)
class Manner:
    """How pages are visited."""

    robots: bool = True
    gap_seconds: float = 1.0
    max_body_bytes: int = 16 << 20


class Journal:
    """The lines of all attempts, in the order in which addresses were done; of two about one address the later holds.

    Reading stops at a line that is torn, or whose records are not all there (`fits`): the rest is cut off.
    """

    def __init__(self, path: Path, fits: Callable[[str, int], bool]) -> None:
        self._path = path
        self.last = -1  # the furthest row that is done
        self.failed: dict[int, Entry] = {}
        self.place: tuple[str, int] | None = None
        self.counts: Counter[str] = Counter()
        self._again: dict[int, Entry] = {}  # rows that a later attempt visited anew
        path.touch()
        size = 0
        for line, entry in self._lines():
            if entry is None or (entry.file is not None and not fits(entry.file, entry.end)):
                break
            self._take(entry)
            size += len(line)
        os.truncate(path, size)
        self._file: IO[bytes] = path.open("ab")

    def add(self, entry: Entry) -> None:
        """Write a line, handed to the system at once."""
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()
        self._take(entry)

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()

    def entries(self) -> Iterator[Entry]:
        """Give the last word on every address that is done, in the order of the list."""
        last = -1
        for _, entry in self._lines():
            if entry is not None and entry.row > last:
                last = entry.row
                yield self._again.get(entry.row, entry)

    def _take(self, entry: Entry) -> None:
        if entry.row > self.last:
            self.last = entry.row
        else:
            self._again[entry.row] = entry
            before = self.failed.pop(entry.row, None)
            self.counts[before.outcome if before else KEPT] -= 1
        self.counts[entry.outcome] += 1
        if entry.outcome in FAILURES:
            self.failed[entry.row] = entry
        if entry.file is not None:
            self.place = entry.file, entry.end

    def _lines(self) -> Iterator[tuple[bytes, Entry | None]]:
        with self._path.open("rb") as file:
            for line in file:
                try:
                    yield line, msgspec.json.decode(line, type=Entry) if line.endswith(b"\n") else None
                except (msgspec.DecodeError, UnicodeDecodeError):
                    yield line, None


@dataclass(slots=True, eq=False)
class _Job:
    """One address on its way."""

    row: int
    url: str
    host: str
    done: bool = False
    entry: Entry | None = None
    records: list[bytes] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def bytes(self) -> int:
        return sum(map(len, self.records))


class Crawl:
    """Visits the addresses of a list (a table with `url`, and `problem` where there is nothing to visit)."""

    def __init__(
        self, client: Client, listing: pa.Table, files: WarcFiles, journal: Path, manner: Manner, show: Show
    ) -> None:
        self._client, self._listing, self._files, self._manner, self._show = client, listing, files, manner, show
        self.journal = Journal(journal, lambda name, end: files.size(name) >= end)
        files.resume(*(self.journal.place or (None, 0)))
        self._robots = Robots(client)
        self._turns = _Turns(self._do, client.manners.connections, manner.gap_seconds)
        self._busy: set[str] = set()

    def run(self) -> list[Path]:
        """Visit what is not done yet, and give the files. What fails is left in `journal.failed`."""
        total = self._listing.num_rows
        shown = time.monotonic()
        try:
            for job in self._turns.in_order(self._todo()):
                self._keep(job)
                if time.monotonic() - shown > _SHOW_SECONDS:
                    shown = time.monotonic()
                    self._show(self.journal.counts.total(), total, self.journal.counts)
            return self._files.finish() if not self.journal.failed else []
        finally:
            self._files.leave()

    def finish(self) -> list[Path]:
        """Give the files although some visits failed."""
        return self._files.finish()

    def _keep(self, job: _Job) -> None:
        """Write an address's records, then its line. Raises CannotWrite."""
        assert job.entry is not None
        entry = job.entry
        try:
            if job.records:
                name, offsets, end = self._files.add(job.records)
                # Of every answer there are two records, and those of the page come last.
                entry = msgspec.structs.replace(entry, file=name, offset=offsets[-2], end=end)
            self.journal.add(entry)
        except OSError as error:
            remedy = "make room, then run the same command again: it goes on"
            raise CannotWrite(str(error.filename or "the WARC file"), error.strerror or str(error), remedy) from None

    def _todo(self) -> Iterator[_Job]:
        """Give what failed in earlier attempts, then what is new, each in the order of the list."""
        urls = self._listing.column("url")
        first = self.journal.last + 1
        for row in sorted(self.journal.failed):
            yield _job(row, urls[row].as_py())
        row = first
        for batch in self._listing.slice(first).to_batches():
            pairs = zip(batch.column("url").to_pylist(), batch.column("problem").to_pylist(), strict=True)
            for url, problem in pairs:
                if problem is None:
                    yield _job(row, url)
                row += 1

    def _do(self, job: _Job) -> bool:
        """Visit an address; False where it is to wait because its site's rules had to be asked for first."""
        if self._manner.robots and not self._robots.knows(job.url):
            self._turns.slow(job.host, self._robots.of(job.url).delay_seconds)
            return False
        try:
            job.entry = self._visited(job)
        except FetchError as error:
            outcome = {"busy": "busy", "refused": "forbidden"}.get(error.kind, "unreachable")
            if outcome == "busy":
                self._busy.add(job.host)
            job.entry = Entry(job.row, outcome, error.cause, safe_url(error.url), error.status)
        return True

    def _visited(self, job: _Job) -> Entry:
        rules = self._rules(job.url)
        if rules.failure is not None:
            return _without_rules(job.row, rules.failure)
        if not rules.allows(job.url):
            return Entry(job.row, "robots_disallowed", "its site's robots.txt disallows it")
        if job.host in self._busy:
            return Entry(job.row, "busy", "not tried, because the host limits the rate")
        self._turns.slow(job.host, rules.delay_seconds)
        stopped: list[Entry] = []

        def may_follow(url: str) -> bool:
            if entry := self._hindrance(job.row, url):
                stopped[:] = [entry]
            return not stopped

        date = datetime.now(timezone.utc)
        visit = self._client.visit(job.url, max_bytes=self._manner.max_body_bytes, may_follow=may_follow)
        if stopped:
            return stopped[0]
        return self._judged(job, visit, date)

    def _hindrance(self, row: int, url: str) -> Entry | None:
        """Say why a redirect may not be followed, or wait as long as its site asks for."""
        rules = self._rules(url)
        if rules.failure is not None:
            return _without_rules(row, rules.failure, url)
        if not rules.allows(url):
            cause = f"redirects to {url}, which its site's robots.txt disallows"
            return Entry(row, "robots_disallowed", cause, safe_url(url))
        if rules.delay_seconds:
            self._turns.slow(host_of(url) or "", rules.delay_seconds, times=2)
            time.sleep(rules.delay_seconds)
        return None

    def _judged(self, job: _Job, visit: Visit, date: datetime) -> Entry:
        url, size = safe_url(visit.url), len(visit.body)
        if visit.status == 200:
            job.records = visit_records(visit, date)
            return Entry(job.row, KEPT, None, url, 200, size)
        outcome = "unreachable" if visit.status >= 500 else "http_status"
        return Entry(job.row, outcome, f"status {visit.status} {visit.reason}".rstrip(), url, visit.status, size)

    def _rules(self, url: str) -> Rules:
        return self._robots.of(url) if self._manner.robots and host_of(url) is not None else Rules()


class _Turns:
    """Let many hosts be visited side by side, each at most so often, and give the results in order."""

    def __init__(self, do: Callable[[_Job], bool], connections: int, gap_seconds: float) -> None:
        self._do, self._connections, self._gap = do, connections, gap_seconds
        self._changed = threading.Condition()
        self._waiting: list[_Job] = []
        self._order: deque[_Job] = deque()
        self._active: Counter[str] = Counter()
        self._next_at: dict[str, float] = {}
        self._delays: dict[str, float] = {}  # of hosts that ask for more than the gap
        self._known: set[str] = set()  # hosts that were visited: of others one address is visited first
        self._held_bytes = 0
        self._stopped = False

    def slow(self, host: str, delay_seconds: float, *, times: int = 1) -> None:
        """Let so much time lie between two visits to a host, and before the next one so many `times` of it."""
        with self._changed:
            delay = max(delay_seconds, self._gap)
            if delay > self._gap:
                self._delays[host] = delay
            self._next_at[host] = max(self._next_at.get(host, 0.0), time.monotonic() + times * delay)

    def in_order(self, jobs: Iterable[_Job]) -> Iterator[_Job]:
        """Do all jobs and give them in their order. What one raises is raised in its place.

        Threads are daemons: a process that is told to end does not wait for a server's answer.
        """
        for _ in range(_WORKERS):
            threading.Thread(target=self._work, daemon=True).start()
        try:
            for job in jobs:
                with self._changed:
                    self._waiting.append(job)
                    self._order.append(job)
                    self._changed.notify()
                while len(self._order) >= _AHEAD or (self._order and self._order[0].done):
                    yield self._first()
            while self._order:
                yield self._first()
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()

    def _first(self) -> _Job:
        with self._changed:
            job = self._order[0]
            while not job.done:
                self._changed.wait()
            self._order.popleft()
            self._held_bytes -= job.bytes
            self._changed.notify_all()
        if job.error is not None:
            raise job.error
        return job

    def _work(self) -> None:
        while (job := self._next()) is not None:
            done = True
            try:
                done = self._do(job)
            except BaseException as error:
                job.error = error
            with self._changed:
                self._active[job.host] -= 1
                self._known.add(job.host)
                if done:
                    job.done = True
                    self._held_bytes += job.bytes
                else:
                    self._waiting.append(job)
                    self._waiting.sort(key=lambda each: each.row)  # rows come in order: see _todo
                self._changed.notify_all()

    def _next(self) -> _Job | None:
        """Wait for the first job whose host may be asked."""
        with self._changed:
            while not self._stopped:
                now, soonest = time.monotonic(), None
                for job in self._waiting:
                    at = self._free_at(job)
                    if at is not None and at <= now:
                        self._waiting.remove(job)
                        self._active[job.host] += 1
                        self._next_at[job.host] = now + self._delays.get(job.host, self._gap)
                        self._forget(now)
                        return job
                    soonest = at if soonest is None or (at is not None and at < soonest) else soonest
                self._changed.wait(None if soonest is None else max(soonest - now, 0.001))
        return None

    def _free_at(self, job: _Job) -> float | None:
        """Tell when a job's host may be asked; None where that hangs on something else than time."""
        if self._active[job.host] >= (self._connections if job.host in self._known else 1):
            return None
        if self._held_bytes > _HELD_BYTES and job is not self._order[0]:
            return None
        return self._next_at.get(job.host, 0.0)

    def _forget(self, now: float) -> None:
        """Keep in mind only hosts that are to be left alone."""
        if len(self._next_at) > _KNOWN_HOSTS:
            self._next_at = {host: at for host, at in self._next_at.items() if at > now}
            self._active = +self._active
            self._delays = {host: delay for host, delay in self._delays.items() if host in self._next_at}
            self._known &= self._next_at.keys() | self._active.keys()


def _job(row: int, url: str) -> _Job:
    return _Job(row, url, host_of(url) or "")


def _without_rules(row: int, failure: FetchError, redirect: str | None = None) -> Entry:
    outcome = "busy" if failure.kind == "busy" else "robots_unreachable"
    via = f"redirects to {redirect}; " if redirect else ""
    return Entry(row, outcome, f"{via}{failure}", safe_url(redirect) if redirect else None, failure.status)


def failure(failed: Iterable[Entry], url_of: Callable[[int], str], of: int) -> CorpuskitError:
    """Give the error that names every address that could not be visited, with its last cause."""
    entries = sorted(failed, key=lambda entry: entry.row)
    named = ", ".join(f"{url_of(entry.row)} ({entry.cause})" for entry in entries)
    problem = f"{len(entries):,} of {of:,} URLs failed: {named}"
    remedy = "run the same command again: only these are tried; or pass --accept-failures to do without them"
    kind = Busy if all(entry.outcome == "busy" for entry in entries) else Unavailable
    return kind("download urls", problem, remedy)
