"""Build a small Common Crawl: archives, path lists, and both shapes of the index, in the site's own layout."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from base64 import b32encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from warcio.archiveiterator import ArchiveIterator

CRAWL = "CC-MAIN-2026-21"
SEGMENT = f"crawl-data/{CRAWL}/segments/1779000000000.00"


def page(url: str, body: str, *, status: str = "200 OK", mime: str = "text/html") -> bytes:
    """Make a gzip member with a response record, with true digests."""
    payload = body.encode()
    http = f"HTTP/1.1 {status}\r\nContent-Type: {mime}\r\n\r\n".encode() + payload
    digests = [b32encode(hashlib.sha1(data).digest()).decode() for data in (http, payload)]
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{hashlib.md5(url.encode()).hexdigest()}>\r\n"
        f"WARC-Date: 2026-05-20T01:02:03Z\r\nWARC-Target-URI: {url}\r\nWARC-Block-Digest: sha1:{digests[0]}\r\n"
        f"WARC-Payload-Digest: sha1:{digests[1]}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(http)}\r\n\r\n"
    )
    return gzip.compress(head.encode() + http + b"\r\n\r\n", mtime=0)


def key_of(url: str) -> str:
    """Give the index key of a URL, as https://github.com/internetarchive/surt does for those that tests use."""
    parts = urlsplit(url)
    host = re.sub(r"^www\d*\.", "", (parts.hostname or "").rstrip("."))
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port not in (None, default) else ""
    path = re.sub(r"/+", "/", parts.path.lower()).rstrip("/") or "/"
    query = "&".join(sorted(parts.query.lower().split("&"))) if parts.query else ""
    return ",".join(reversed(host.split("."))) + port + ")" + path + (f"?{query}" if query else "")


@dataclass
class Row:
    """What the index tells of a capture."""

    url: str
    filename: str
    offset: int
    length: int
    status: str = "200"
    mime: str = "text/html"
    detected: str | None = "text/html"
    languages: str | None = None

    @property
    def key(self) -> str:
        return f"{key_of(self.url)} 20260520010203"

    def line(self) -> str:
        told = {
            "url": self.url,
            "mime": self.mime,
            "mime-detected": self.detected,
            "status": self.status,
            "digest": "AAAA",
            "length": str(self.length),
            "offset": str(self.offset),
            "filename": self.filename,
            "languages": self.languages,
        }
        return f"{self.key} {json.dumps({name: value for name, value in told.items() if value is not None})}\n"


@dataclass
class Tree:
    """A site below a folder."""

    root: Path
    rows: list[Row] = field(default_factory=list)

    def put(self, path: str, data: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def lists(self, path: str, names: Iterable[str]) -> None:
        self.put(path, gzip.compress("".join(f"{name}\n" for name in names).encode(), mtime=0))

    def archive(self, name: str, data: bytes, *, folder: str = "warc", languages: Sequence[str | None] = ()) -> None:
        """Put an archive into the crawl, and its responses into the index."""
        path = f"{SEGMENT}/{folder}/{name}"
        self.put(path, data)
        named = iter(languages)
        for uri, status, mime, offset, length in responses(data):
            self.rows.append(Row(uri, path, offset, length, status, mime, mime, next(named, None)))

    def member(self, row: Row) -> bytes:
        """Give the bytes of a capture in its archive."""
        return (self.root / row.filename).read_bytes()[row.offset : row.offset + row.length]

    def index(self, *, block_lines: int = 3, files: int = 2, group_rows: int = 8, filler: int = 0) -> None:
        """Write both indexes of all rows, with `filler` rows more of hosts that nobody asks for."""
        more = [
            Row(f"https://h{at * 7919 % filler:06d}.filler{at % 7}.test/p", f"{SEGMENT}/warc/none.warc.gz", at, 9)
            for at in range(filler)
        ]
        rows = sorted([*self.rows, *more], key=lambda row: row.key)
        self._cdx([rows[len(rows) * at // files : len(rows) * (at + 1) // files] for at in range(files)], block_lines)
        self._table([rows[len(rows) * at // files : len(rows) * (at + 1) // files] for at in range(files)], group_rows)

    def _cdx(self, parts: list[list[Row]], block_lines: int) -> None:
        folder, cluster, number = f"cc-index/collections/{CRAWL}/indexes", [], 0
        for at, part in enumerate(parts):
            data = io.BytesIO()
            for first in range(0, len(part), block_lines):
                block = part[first : first + block_lines]
                member = gzip.compress("".join(row.line() for row in block).encode(), 1, mtime=0)
                number += 1
                cluster.append(f"{block[0].key}\tcdx-{at:05d}.gz\t{data.tell()}\t{len(member)}\t{number}\n")
                data.write(member)
            self.put(f"{folder}/cdx-{at:05d}.gz", data.getvalue())
        self.put(f"{folder}/cluster.idx", "".join(cluster).encode())

    def _table(self, parts: list[list[Row]], group_rows: int) -> None:
        base = f"cc-index/table/cc-main/warc/crawl={CRAWL}"
        names = [f"{base}/subset=crawldiagnostics/part-00000.gz.parquet"]
        self.put(names[0], b"not asked for")
        for at, part in enumerate(parts):
            hosts = [urlsplit(row.url).hostname or "" for row in part]
            columns: dict[str, Any] = {
                "url_surtkey": [key_of(row.url) for row in part],
                "url": [row.url for row in part],
                "url_host_name": hosts,
                "url_host_registered_domain": [".".join(host.split(".")[-2:]) for host in hosts],
                "fetch_status": pa.array([int(row.status) for row in part], pa.int16()),
                "content_mime_type": [row.mime for row in part],
                "content_mime_detected": pa.array([row.detected for row in part], pa.string()),
                "content_languages": pa.array([row.languages for row in part], pa.string()),
                "warc_filename": [row.filename for row in part],
                "warc_record_offset": pa.array([row.offset for row in part], pa.int32()),
                "warc_record_length": pa.array([row.length for row in part], pa.int32()),
            }
            name = f"{base}/subset=warc/part-{at:05d}.gz.parquet"
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), self.root / name, row_group_size=group_rows, compression="gzip")
            names.append(name)
        self.lists(f"crawl-data/{CRAWL}/cc-index-table.paths.gz", names)

    def crawls(self, *names: str) -> None:
        told = [{"id": name, "name": name, "cdx-api": f"https://index.commoncrawl.org/{name}-index"} for name in names]
        self.put("collinfo.json", json.dumps(told).encode())


def responses(data: bytes) -> Iterable[tuple[str, str, str, int, int]]:
    """Give URL, status, media type, offset and length of the responses of an archive, as another reader sees them."""
    archive = ArchiveIterator(io.BytesIO(data))
    for record in archive:
        if record.rec_type == "response":
            uri = record.rec_headers.get_header("WARC-Target-URI")
            status = record.http_headers.get_statuscode()
            mime = (record.http_headers.get_header("Content-Type") or "unk").partition(";")[0].strip()
            offset = archive.get_record_offset()
            yield uri, status, mime, offset, archive.get_record_length()
