"""Write WARC files (ISO 28500:2009, WARC 1.0, as Common Crawl's), each record a gzip member of its own."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
import uuid
import zlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from corpuskit.formats.durable import sync
from corpuskit.formats.http import Visit

Fields = list[tuple[str, str]]
_NOT_IN_URL = re.compile(r"[\x00-\x20\x7f-\x9f]")
_LINE_BREAKS = re.compile(r"[\r\n]+")
MAX_FILE_BYTES = 1 << 30


def record(
    kind: str,
    name: str,
    date: datetime,
    block: bytes,
    content_type: str,
    *,
    url: str = "",
    more: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Give one record as a gzip member. `name` is its WARC-Record-ID; `more` are further header fields."""
    fields = [("WARC-Type", kind), ("WARC-Record-ID", name), ("WARC-Date", iso(date))]
    fields += [("WARC-Target-URI", url)] if url else []
    fields += [*more, ("WARC-Block-Digest", sha1(block)), ("Content-Type", content_type)]
    fields.append(("Content-Length", str(len(block))))
    return gzip_member(b"WARC/1.0\r\n" + header_lines(fields) + b"\r\n" + block + b"\r\n\r\n")


def visit_records(visit: Visit, date: datetime) -> list[bytes]:
    """Give the records of one visit: a response and a request for every redirect hop, and last those of the page."""
    found = []
    for each in (*visit.hops, visit):
        response = f"<urn:uuid:{uuid.uuid4()}>"
        more = [("WARC-IP-Address", each.ip)] if each.ip else []
        beside = [("WARC-Concurrent-To", response), *more]
        more.append(("WARC-Payload-Digest", sha1(each.body)))
        more += [("WARC-Truncated", "length")] if each.cut else []
        url = safe_url(each.url)
        kind = "application/http; msgtype="
        found.append(record("response", response, date, http_message(each), kind + "response", url=url, more=more))
        request = f"<urn:uuid:{uuid.uuid4()}>"
        found.append(record("request", request, date, each.request, kind + "request", url=url, more=beside))
    return found


def http_message(visit: Visit) -> bytes:
    """Give an answer as the block of a response record: head as it came, body as it was coded.

    The transfer coding is undone, so the fields that speak of it, and a length that is not the body's, are renamed to
    `X-Crawler-...`, as Common Crawl does; the right length stands beside them.
    """
    length = str(len(visit.body))
    fields: Fields = []
    for name, value in visit.fields:
        key = name.lower()
        wrong = key in ("transfer-encoding", "trailer") or (key == "content-length" and value.strip() != length)
        fields.append((f"X-Crawler-{name}" if wrong else name, value))
    if not any(name.lower() == "content-length" for name, _ in fields):
        fields.append(("Content-Length", length))
    lines = [f"HTTP/1.1 {visit.status} {visit.reason}".rstrip(), *(f"{name}: {value}" for name, value in fields)]
    head = "\r\n".join(_LINE_BREAKS.sub(" ", line) for line in lines)
    return _as_sent(head) + b"\r\n\r\n" + visit.body


def safe_url(url: str) -> str:
    """Give an address that fits on a header line: white space and control characters percent-encoded."""
    return _NOT_IN_URL.sub(lambda found: quote(found[0]), url)


class WarcFiles:
    """Write records into `STEM-00000.warc.gz`, `STEM-00001.warc.gz`, ... of about 1 GB, each begun by a warcinfo.

    A file is called `....part` until it is full or `finish` comes, which make it durable. What is added is handed to
    the system at once, so that a process that is killed loses nothing of it.
    """

    def __init__(self, out: Path, stem: str, info: Fields, *, max_bytes: int = MAX_FILE_BYTES) -> None:
        self._out, self._stem, self._info, self._max = out, stem, info, max_bytes
        self._file: BinaryIO | None = None
        self._number, self._end = 0, 0
        self._whole: tuple[str, int] | None = None

    def size(self, name: str) -> int:
        """Tell how many bytes of a file are there, finished or not."""
        return max((path.stat().st_size for path in self._both(name) if path.exists()), default=0)

    def resume(self, name: str | None, end: int) -> None:
        """Take what an earlier attempt has left: up to byte `end` of the file `name`; what follows is removed.

        None for nothing at all.
        """
        for later in sorted(self._out.glob(f"{self._stem}-*.warc.gz")):
            if name is None or later.name > name:
                later.unlink()
        self._whole = None if name is None else (name, end)
        if name is not None and (self._out / name).exists() and (self._out / name).stat().st_size > end:
            os.replace(*self._both(name))

    def add(self, records: Sequence[bytes]) -> tuple[str, list[int], int]:
        """Append records side by side; gives the file, the offset of each, and where the last one ends."""
        file = self._file or self._open()
        if self._end >= self._max:
            self._close()
            file = self._open()
        offsets = []
        for each in records:
            offsets.append(self._end)
            file.write(each)
            self._end += len(each)
        file.flush()
        return self._name(), offsets, self._end

    def finish(self) -> list[Path]:
        """Make the last file durable and give it its name; gives all files, at least one."""
        if self._file is None:
            self._skip_finished()
            if self._number == 0 or (self._whole is not None and self._whole[0] == self._name()):
                self._open()
        if self._file is not None:
            self._close()
        return [self._out / self._name(number) for number in range(self._number)]

    def leave(self) -> None:
        """Leave the file as it is; a later `add`, `finish` or attempt goes on with it."""
        if self._file is not None:
            self._file.close()
            self._file, self._whole = None, (self._name(), self._end)

    def _skip_finished(self) -> None:
        while (self._out / self._name()).exists():
            self._number += 1

    def _open(self) -> BinaryIO:
        self._skip_finished()
        part = self._both(self._name())[1]
        if self._whole is not None and self._whole[0] == self._name():
            self._end = self._whole[1]
            self._file = part.open("r+b")
            self._file.truncate(self._end)
            self._file.seek(self._end)
        else:
            self._file = part.open("wb")
            self._end = self._file.write(self._begin())
        self._whole = None
        return self._file

    def _close(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self.leave()
        whole, part = self._both(self._name())
        os.replace(part, whole)
        sync(whole.parent)
        self._number, self._whole = self._number + 1, None

    def _begin(self) -> bytes:
        now, name = datetime.now(timezone.utc), f"<urn:uuid:{uuid.uuid4()}>"
        kind = "application/warc-fields"
        return record("warcinfo", name, now, header_lines(self._info), kind, more=[("WARC-Filename", self._name())])

    def _name(self, number: int | None = None) -> str:
        return f"{self._stem}-{self._number if number is None else number:05d}.warc.gz"

    def _both(self, name: str) -> tuple[Path, Path]:
        return self._out / name, self._out / f"{name}.part"


def gzip_member(data: bytes) -> bytes:
    """Compress into one gzip member that holds no time and no system."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(data) + deflate.flush()
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def header_lines(fields: Iterable[tuple[str, str]]) -> bytes:
    """Give header fields as lines."""
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def sha1(data: bytes) -> str:
    """Give a digest as WARC writes it."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def iso(date: datetime) -> str:
    """Give a moment as WARC writes it."""
    return date.strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_sent(head: str) -> bytes:
    """Undo the reading of header bytes as Latin-1."""
    try:
        return head.encode("latin-1")
    except UnicodeEncodeError:
        return head.encode("utf-8", "replace")
