"""Fetch single records of archives by Range requests, and keep them, byte for byte, as WARC files.

Which bytes go where is known before the first request: a file is a warcinfo member of ours and then the members of
the listing, in its order, each of the length that the index tells. So what an interrupted run has left is looked at
member by member, those that hold are kept, and only the others are asked for.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from corpuskit.errors import BadData, Busy, CannotWrite, CorpuskitError, Unavailable
from corpuskit.formats.durable import check_room, size_and_sha256, sync
from corpuskit.formats.meter import Meter, Show, Wanted
from corpuskit.formats.response import header_fields
from corpuskit.formats.threads import in_order
from corpuskit.sources.commoncrawl import crawl_date

if TYPE_CHECKING:
    from corpuskit.formats.http import Client, FetchError

#: The records to fetch, sorted by file and offset. `page` is the URL of the page, `url` that of the archive.
RECORDS = pa.schema(
    [
        ("file", pa.string()),
        ("url", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("page", pa.string()),
        ("source", pa.string()),
    ]
)
_FILE_BYTES = 1_000_000_000
_MAX_RECORD_BYTES = 1 << 30  # unpacked
_PIECE_BYTES = 1 << 20
_ROWS = 1024
_TRIES = 2
_FAILED_IN_A_ROW = 10


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file of records that is there, whole."""

    name: str
    bytes: int
    sha256: str
    records: int


@dataclass(frozen=True, slots=True)
class Member:
    """A record to fetch: where it lies, and where it goes."""

    url: str
    offset: int
    length: int
    page: str
    place: int


class _Bad(Exception):
    """Bytes that are not the record that the index promised."""


def fetch_records(
    client: Client,
    listing: pa.Table,
    out: Path,
    *,
    query: str,
    workers: int,
    show: Show | None = None,
    file_bytes: int = _FILE_BYTES,
) -> Iterator[RecordFile]:
    """Fetch the records of a listing (`RECORDS`) into files of about `file_bytes` in `out`.

    The bytes of the files depend on listing and query alone. A record that cannot be had does not stop the others, and
    its file gets no name; at the end an error names it: Busy, BadData or Unavailable. Raises CannotWrite.
    """
    crawl = listing.column("source")[0].as_py()
    lengths = listing.column("length").to_numpy()
    whole = Wanted("records", "", int(lengths.sum()))
    here = sum(path.stat().st_size for path in out.iterdir() if path.is_file())
    check_room(out, int(lengths.sum()) - here)
    work = _Work(client, workers, whole, Meter([whole], show), len(lengths))
    start = number = 0
    while start < len(lengths):
        end = start + max(1, int(np.searchsorted(np.cumsum(lengths[start:]), file_bytes, "right")))
        name = f"{crawl}-records-{number:05d}.warc.gz"
        rows = listing.slice(start, end - start)
        # Not only the query: samples of one query are other files.
        about = f"{number} {len(rows)} {lengths[start:end].sum()} {rows.column('page')[0].as_py()}"
        file = _File(out / name, _warcinfo(crawl, query, number, about), rows)
        done = file.run(work)
        if done is not None:
            yield done
        start, number = end, number + 1
    if work.failed:
        raise _failure(work.failed, work.records)


@dataclass(slots=True)
class _Work:
    """What all files of a run share."""

    client: Client
    workers: int
    whole: Wanted
    meter: Meter
    records: int
    failed: list[FetchError] = field(default_factory=list)


class _Part:
    """The unfinished file. Threads may be at it still when it is closed: what they bring then is let go."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._lock, self.closed = threading.Lock(), False
        self._had = os.fstat(self._handle).st_size

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self.closed = True
            os.close(self._handle)

    def read(self, place: int, length: int) -> bytes:
        """Give what an earlier run left at a place; b"" where it did not come so far."""
        with self._lock:
            return os.pread(self._handle, length, place) if place + length <= self._had and not self.closed else b""

    def write(self, data: bytes, place: int) -> None:
        """Put bytes at their place."""
        view = memoryview(data)
        with self._lock:
            while view and not self.closed:
                written = os.pwrite(self._handle, view, place)
                view, place = view[written:], place + written

    def finish(self, size: int) -> None:
        """Cut off what does not belong to the file, and make it durable."""
        os.ftruncate(self._handle, size)
        os.fsync(self._handle)


class _File:
    """One file of records on its way."""

    def __init__(self, final: Path, warcinfo: bytes, rows: pa.Table) -> None:
        self._final, self._part = final, final.with_name(final.name + ".part")
        self._warcinfo, self._rows = warcinfo, rows
        self._size = len(warcinfo) + int(rows.column("length").to_numpy().sum())

    def run(self, work: _Work) -> RecordFile | None:
        """Bring the file to its end; None where a record of it failed."""
        if self._final.exists():  # whole, by an earlier attempt
            if self._final.stat().st_size == self._size:
                work.meter.skip(work.whole, self._size - len(self._warcinfo))
                return self._told(size_and_sha256(self._final)[1])
            self._final.unlink()
        try:
            with _Part(self._part) as part:
                digest = self._fill(part, work)
                if digest is None:
                    return None
                part.finish(self._size)
            os.replace(self._part, self._final)
            sync(self._final.parent)
        except OSError as error:
            problem = f"cannot write: {error.strerror or error}"
            raise CannotWrite(str(self._part), problem, "free space or choose another folder") from None
        return self._told(digest)

    def _told(self, digest: str) -> RecordFile:
        return RecordFile(self._final.name, self._size, digest, self._rows.num_rows)

    def _fill(self, part: _Part, work: _Work) -> str | None:
        """Put every record into its place; gives the SHA-256 of all, None where one failed."""
        from corpuskit.formats.http import FetchError

        def one(member: Member) -> bytes | FetchError:
            held = part.read(member.place, member.length)
            if held and not problem_of(held, member.page):
                work.meter.skip(work.whole, len(held))
                return held
            try:
                if part.closed:
                    raise FetchError(member.url, "not tried", "busy")
                got = fetch_record(work.client, member)
            except FetchError as error:
                return error
            # Written when it comes and not when its turn comes: what has come is never asked for again.
            part.write(got, member.place)
            work.meter.add(len(got))
            return got

        digest = hashlib.sha256(self._warcinfo)
        part.write(self._warcinfo, 0)
        failures = in_a_row = 0
        for got in in_order(one, self._members(), workers=work.workers, ahead=4 * work.workers):
            if not isinstance(got, FetchError):
                in_a_row = 0
                digest.update(got)
                continue
            failures, in_a_row = failures + 1, in_a_row + 1
            work.failed.append(got)
            work.client.tell("failed", url=got.url, cause=got.cause)
            if got.kind == "busy" or in_a_row >= _FAILED_IN_A_ROW:
                raise _failure(work.failed, work.records, stopped=True)
        return None if failures else digest.hexdigest()

    def _members(self) -> Iterator[Member]:
        place = len(self._warcinfo)
        for at in range(0, self._rows.num_rows, _ROWS):
            for row in self._rows.slice(at, _ROWS).to_pylist():
                yield Member(row["url"], row["offset"], row["length"], row["page"], place)
                place += row["length"]


def fetch_record(client: Client, member: Member) -> bytes:
    """Fetch one record, twice where the bytes do not hold at first. Raises FetchError."""
    from corpuskit.formats.http import FetchError

    problem: str | None = None
    for _ in range(_TRIES):
        data = client.get_range(member.url, member.offset, member.length)
        problem = problem_of(data, member.page)
        if problem is None:
            return data
        client.tell("retry", url=member.url, cause=problem, wait_seconds=0, tries=1)
    where = f"{member.url} (bytes {member.offset}-{member.offset + member.length - 1}, {member.page})"
    raise FetchError(where, str(problem), "mismatch")


def problem_of(member: bytes, page: str) -> str | None:
    """Say why bytes are not exactly one gzip member with the whole response record of a page; None where they are."""
    try:
        head = _unpack(member)
    except _Bad as problem:
        return str(problem)
    except zlib.error as error:
        return f"no sound gzip member: {error}"
    first, _, length = head
    if not first.startswith(b"WARC/"):
        return "no WARC record"
    fields = header_fields(first)
    declared = fields.get("content-length", "")
    if not (declared.isascii() and declared.isdigit()) or len(first) + 4 + int(declared) + 4 != length:
        return f"a WARC record whose Content-Length {declared or 'is missing and'} is not that of its block"
    if fields.get("warc-type", "").lower() != "response":
        return f"expected a response, found a record of type {fields.get('warc-type')}"
    if fields.get("warc-target-uri", "").strip("<> ") != page:
        return f"expected the page {page}, found {fields.get('warc-target-uri')}"
    return None


def _unpack(member: bytes) -> tuple[bytes, bytes, int]:
    """Unpack one member to its end; gives the record's head, its last bytes and its length. Raises _Bad, zlib.error."""
    inflater = zlib.decompressobj(31)
    start, tail, length, data = b"", b"", 0, member
    while not inflater.eof:
        piece = inflater.decompress(data, _PIECE_BYTES)
        data = inflater.unconsumed_tail
        if not piece and not data and not inflater.eof:
            raise _Bad("a gzip member that is cut")
        if b"\r\n\r\n" not in start and len(start) < _PIECE_BYTES:
            start += piece
        tail = (tail + piece)[-4:]
        length += len(piece)
        if length > _MAX_RECORD_BYTES:
            raise _Bad(f"a record of more than {_MAX_RECORD_BYTES} bytes")
    if inflater.unused_data:
        raise _Bad("more than one gzip member")
    if tail != b"\r\n\r\n":
        raise _Bad("a WARC record that does not end as one")
    return start.partition(b"\r\n\r\n")[0], tail, length


def _warcinfo(crawl: str, query: str, number: int, about: str) -> bytes:
    """Give the first member of a file, stored and not compressed, so that it is the same wherever it is made."""
    block = (
        "software: corpuskit\r\nformat: WARC File Format 1.0\r\n"
        f"isPartOf: {crawl}\r\ndescription: records of {crawl} that match {' '.join(query.split())[:4096]}\r\n"
    ).encode()
    day = f"{crawl_date(crawl) or 1970}-01-01"[:10]
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"corpuskit {crawl} {query} {about}")
    record = (
        (
            f"WARC/1.0\r\nWARC-Type: warcinfo\r\nWARC-Record-ID: <urn:uuid:{name}>\r\n"
            f"WARC-Date: {day}T00:00:00Z\r\n"
            f"WARC-Filename: {crawl}-records-{number:05d}.warc.gz\r\n"
            f"Content-Type: application/warc-fields\r\nContent-Length: {len(block)}\r\n\r\n"
        ).encode()
        + block
        + b"\r\n\r\n"
    )
    size = len(record)
    stored = b"\x01" + struct.pack("<HH", size, size ^ 0xFFFF) + record  # one stored block, RFC 1951, 3.2.4
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + stored + struct.pack("<II", zlib.crc32(record), size)


def _failure(failed: list[FetchError], of: int, *, stopped: bool = False) -> CorpuskitError:
    """Give the error that names the records that failed, with their causes."""
    named = ", ".join(f"{each.url} ({each.cause})" for each in failed)
    problem = f"{len(failed)} of {of} records failed{', the rest was not tried' if stopped else ''}: {named}"
    if failed[-1].kind == "busy":
        return Busy("download", problem, "run the same command again later; it goes on with what is missing")
    if all(each.kind == "mismatch" for each in failed):
        return BadData("download", problem, "the index and the archive do not agree; run it again, or report it")
    return Unavailable("download", problem, "run the same command again; what has come is kept")
