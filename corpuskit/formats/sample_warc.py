"""Write a crawl as a WARC file, each record a gzip member (ISO 28500:2009, WARC 1.0, as Common Crawl's)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import BinaryIO
from urllib.parse import urljoin

from corpuskit.formats.warc_writer import Fields, gzip_member, header_lines, iso, record, sha1

_REVISIT = "http://netpreserve.org/warc/1.0/revisit/identical-payload-digest"
_AGENT = "corpuskit"
_LINK = re.compile(r'<a href="([^"#]+)"')


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answers: status line, content type, further headers, body; how it sends it."""

    status: str
    content_type: str
    body: bytes
    headers: Fields = field(default_factory=list)
    chunked: bool = False
    gzipped: bool = False

    def http(self, date: datetime) -> tuple[bytes, bytes]:
        """Give the HTTP message, and its payload: the body as coded (RFC 2616's entity), without its transfer."""
        body = gzip_member(self.body) if self.gzipped else self.body
        headers = [("Date", format_datetime(date, usegmt=True)), ("Content-Type", self.content_type), *self.headers]
        headers += [("Content-Encoding", "gzip")] if self.gzipped else []
        if self.chunked:
            sent = b"".join(_chunks(body))
            headers.append(("Transfer-Encoding", "chunked"))
        else:
            sent = body
            headers.append(("Content-Length", str(len(body))))
        return f"HTTP/1.1 {self.status}\r\n".encode() + header_lines(headers) + b"\r\n" + sent, body


class Crawl:
    """Writes captures one after the other, a second apart from each other, beginning at `date`."""

    def __init__(self, out: BinaryIO, date: datetime, about: Fields) -> None:
        self.out, self.date = out, date
        self.first: dict[bytes, tuple[str, str, datetime]] = {}  # what a revisit refers to, by payload digest
        self.info = self._record("warcinfo", "", "application/warc-fields", header_lines(about), [])

    def capture(self, url: str, answer: Response, via: str | None = None) -> None:
        """Write the records of one capture: request, response (a revisit where its payload came before), metadata."""
        self.date += timedelta(seconds=1)
        host, _, path = url.partition("://")[2].partition("/")
        asked = [("Host", host), ("User-Agent", _AGENT), ("Accept", "text/html, */*;q=0.5"), ("Connection", "close")]
        request = f"GET /{path} HTTP/1.1\r\n".encode() + header_lines(asked) + b"\r\n"
        message, payload = answer.http(self.date)
        named = [("WARC-Warcinfo-ID", self.info)]
        # Readers disagree whether the payload of a chunked message is chunked: it gets no digest.
        digest = [] if answer.chunked else [("WARC-Payload-Digest", sha1(payload))]
        known = self.first.get(payload) if answer.status.startswith("200") else None
        if known is None:
            response = self._record("response", url, "application/http; msgtype=response", message, [*named, *digest])
            if digest:
                self.first.setdefault(payload, (response, url, self.date))
        else:
            before, its_url, its_date = known
            head = message[: message.index(b"\r\n\r\n") + 4]
            refers = [("WARC-Profile", _REVISIT), ("WARC-Refers-To", before), ("WARC-Refers-To-Target-URI", its_url)]
            refers += [("WARC-Refers-To-Date", iso(its_date)), *named, *digest]
            response = self._record("revisit", url, "application/http; msgtype=response", head, refers)
        beside = [("WARC-Concurrent-To", response), *named]
        self._record("request", url, "application/http; msgtype=request", request, beside)
        found = [("via", via)] if via else []
        found += [("outlink", urljoin(url, link)) for link in _LINK.findall(answer.body.decode("utf-8", "ignore"))]
        self._record("metadata", url, "application/warc-fields", header_lines(found), beside)

    def _record(self, kind: str, url: str, content_type: str, block: bytes, more: Fields) -> str:
        name = f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {url} {sha1(block)}')}>"
        self.out.write(record(kind, name, self.date, block, content_type, url=url, more=more))
        return name


def _chunks(body: bytes, size: int = 4096) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        part = body[start : start + size]
        yield f"{len(part):x}\r\n".encode() + part + b"\r\n"
    yield b"0\r\n\r\n"
