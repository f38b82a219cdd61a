"""Read WARC archives (ISO 28500) and their WET extracts: every record is a row.

The framing is ours: fastwarc 2.0 ends without a word where a file is cut or a record is shorter than it says, and
cannot go on behind a broken record. What holds here: every byte of the decompressed stream belongs to a record or to
a row that says why it could not be read. A file that ends exactly behind a record, and there between two compressed
members, looks whole; nothing in the format tells otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from corpuskit.formats.document import Origin, Reading, Row, json_text
from corpuskit.formats.opening import PROBLEMS, ByteStream
from corpuskit.formats.response import Response, decode_body, header_fields, parse_response
from corpuskit.formats.threads import in_order
from corpuskit.text.charset import Decoded, decode
from corpuskit.text.html import HtmlError
from corpuskit.text.threads import thread_count

_START = re.compile(rb"WARC/\d")
_RESTART = re.compile(rb"\nWARC/\d\.\d+\r?\n")
_HEAD_END = re.compile(rb"\n\r?\n")
_BLANK = re.compile(rb"[\r\n \t]*")
_MAX_HEAD_BYTES = 1 << 20
# How many records, or bytes of them, a thread takes at once.
_HANDFUL, _HANDFUL_BYTES = 16, 1 << 20
_HTML_TYPES = ("text/html", "application/xhtml+xml")
_LOOKS_HTML = re.compile(rb"\s*(?:<!--[^>]*-->\s*)*<(?:!doctype\s+html|html|head|body|title|meta)\b", re.I)


@dataclass(frozen=True, slots=True)
class Record:
    """A WARC record. `fields` has lower-case names; `block` is at most the reader's cap of it."""

    offset: int  # in the decompressed stream
    fields: dict[str, str]
    block: bytes
    length: int  # as declared
    came: int  # bytes of the block that are in the file

    @property
    def id(self) -> str:
        """Its WARC-Record-ID without the wrapping, or ""."""
        return self.fields.get("warc-record-id", "").strip("<> ").removeprefix("urn:").removeprefix("uuid:")

    @property
    def type(self) -> str:
        """Its WARC-Type, lower-case."""
        return self.fields.get("warc-type", "").lower()


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no whole record."""

    offset: int
    reason: str
    detail: str


class RecordReader:
    """Split a stream into records. Blocks of other types than `types` are skipped, not held."""

    _restart = _RESTART
    _restart_bytes = 32

    def __init__(
        self, stream: ByteStream, max_block_bytes: int, types: tuple[str, ...] = ("response", "conversion")
    ) -> None:
        self._stream, self._cap, self._types = stream, max_block_bytes, types
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte

    def __iter__(self) -> Iterator[Record | Damage]:
        while True:
            yield from self._segment()
            if self._stream.problem:
                yield Damage(self._stream.position, self._stream.problem, PROBLEMS[self._stream.problem])
            if not self._stream.resume():
                return
            self._buffer.clear()
            self._offset = self._stream.position

    def _segment(self) -> Iterator[Record | Damage]:
        """Read up to the end, or up to where the compressed data is damaged."""
        while self._skip_newlines():
            at = self._offset
            if not _START.match(self._buffer):
                yield Damage(at, "bad_record", f"{self._skip_to_record()} bytes are no WARC record")
                continue
            end = self._head_end()
            if end is None:
                skipped = self._skip_to_record()
                reason = "bad_record" if self._buffer else "truncated"
                if self._buffer or not self._stream.problem:
                    yield Damage(at, reason, f"{skipped} bytes of a record without the end of its head")
                continue
            fields = header_fields(bytes(self._buffer[: end.start()]))
            self._drop(end.end())
            length = fields.get("content-length", "")
            if not (length.isascii() and length.isdigit()):
                yield Damage(at, "bad_record", f"no Content-Length; {self._skip_to_record()} bytes skipped")
                continue
            record = self._block(at, fields, int(length))
            yield record
            if record.came < record.length and not self._stream.problem:
                yield Damage(at, "truncated", f"{record.came} of {record.length} bytes of record {record.id}")

    def _block(self, at: int, fields: dict[str, str], length: int) -> Record:
        wanted = min(length, self._cap) if fields.get("warc-type", "").lower() in self._types else 0
        self._fill(wanted)
        with memoryview(self._buffer) as view:
            block = bytes(view[:wanted])
        self._drop(len(block))
        came = len(block)
        while came < length and self._fill(1):
            came += self._drop(min(len(self._buffer), length - came))
        return Record(at, fields, block, length, came)

    def _fill(self, size: int) -> bool:
        """Have `size` bytes in the buffer; False where the stream ends before."""
        while len(self._buffer) < size:
            piece = self._stream.read()
            if not piece:
                return False
            self._buffer += piece
        return True

    def _drop(self, size: int) -> int:
        del self._buffer[:size]
        self._offset += size
        return size

    def _skip_newlines(self) -> bool:
        while self._fill(1):
            blank = _BLANK.match(self._buffer)
            self._drop(blank.end() if blank else 0)
            if self._buffer:
                self._fill(16)
                return True
        return False

    def _head_end(self) -> re.Match[bytes] | None:
        size = 4096
        while True:
            more = self._fill(size)
            end = _HEAD_END.search(self._buffer, 0, size)
            if end or not more or size > _MAX_HEAD_BYTES:
                return end
            size *= 4

    def _skip_to_record(self) -> int:
        """Skip to the next line that begins a record, or to the end; tell how many bytes."""
        start = self._offset
        self._drop(1)
        while True:
            found = self._restart.search(self._buffer)
            if found:
                self._drop(found.start() + 1)
                break
            self._drop(
                max(0, len(self._buffer) - self._restart_bytes)
            )  # a line that begins a record may straddle two pieces
            if not self._fill(len(self._buffer) + 1):
                self._drop(len(self._buffer))
                break
        return self._offset - start


def read_warc(stream: ByteStream, origin: Origin, reading: Reading) -> Iterator[Row]:
    """Give a row for every record and every damage: HTML responses of status 200 and WET texts are documents."""
    yield from record_rows(RecordReader(stream, reading.max_record_bytes), origin, reading)


def record_rows(records: Iterable[Record | Damage], origin: Origin, reading: Reading) -> Iterator[Row]:
    """Give a row for every record and every damage, pages being read side by side by the threads that there are."""

    def row(found: Record | Damage) -> Row:
        if isinstance(found, Damage):
            return origin.failed(f"{origin.name}:{found.offset}", found.reason, found.detail)
        return _row(found, origin, reading)

    threads = thread_count()
    if threads > 1 and reading.releases_the_lock:
        # One more than cores: now and then each waits for Python's lock.
        for rows in in_order(lambda some: list(map(row, some)), _handfuls(records), workers=threads + 1):
            yield from rows
    else:
        yield from map(row, records)


def _handfuls(records: Iterable[Record | Damage]) -> Iterator[list[Record | Damage]]:
    """Put records together: threads that hand on one at a time mostly wait for each other."""
    held: list[Record | Damage] = []
    size = 0
    for found in records:
        held.append(found)
        size += len(found.block) if isinstance(found, Record) else 0
        if size >= _HANDFUL_BYTES or len(held) >= _HANDFUL:
            yield held
            held, size = [], 0
    if held:
        yield held


def _row(record: Record, origin: Origin, reading: Reading) -> Row:
    fields = record.fields
    row = origin.row(
        record.id or f"{origin.name}:{record.offset}",
        url=fields.get("warc-target-uri", "").strip("<> ") or None,
        date=fields.get("warc-date") or None,
    )
    if record.type == "conversion":
        return _conversion(record, row, reading)
    if record.type != "response":
        row["drop"] = "revisit" if record.type == "revisit" else "not_a_response"
        return row
    response = parse_response(record.block)
    if response is None:
        declared = fields.get("content-type", "application/http").lower()
        is_http = "http" in declared and fields.get("warc-target-uri", "http").strip("<> ").lower().startswith("http")
        row["error" if is_http else "drop"] = "bad_http" if is_http else "not_http"
        return row
    if response.status != 200:
        row["drop"] = "http_status"
        return row
    return _page(record, response, row, reading)


def _conversion(record: Record, row: Row, reading: Reading) -> Row:
    kind, _, _ = record.fields.get("content-type", "text/plain").partition(";")
    if kind.strip().lower() != "text/plain":
        row["drop"] = "content_type"
    elif record.length > reading.max_record_bytes:
        row["error"] = "too_large"
    else:
        decoded = decode(record.block)
        languages = record.fields.get("warc-identified-content-language", "")
        row |= {"text": decoded.text.strip(), "language": languages.partition(",")[0].strip() or None}
        row["extra"] = _details(record, decoded, None)
    return row


def _page(record: Record, response: Response, row: Row, reading: Reading) -> Row:
    if response.media_type and response.media_type not in _HTML_TYPES:
        row["drop"] = "content_type"
        return row
    body, problem = decode_body(response, reading.max_record_bytes)
    if not response.media_type and not _LOOKS_HTML.match(body[:4096].removeprefix(b"\xef\xbb\xbf")):
        row["drop"] = "content_type"
    elif problem == "too_large" or record.length > reading.max_record_bytes:
        row["error"] = "too_large"
    elif problem == "encoding" and not body:
        row["error"] = "bad_encoding"
    else:
        decoded = decode(body, response.charset, html=True)
        try:
            fields = reading.page_fields(decoded)
        except HtmlError as error:
            row |= {"error": "nested_too_deep", "extra": json_text({"detail": str(error)})}
            return row
        row |= {**fields, "date": fields["date"] or row["date"]}
        row["extra"] = _details(record, decoded, problem)
    return row


def _details(record: Record, decoded: Decoded, problem: str | None) -> str | None:
    """Tell what is not as it should be with a document: a cut body, bytes that its character set does not have."""
    cut = "archive" if record.came < record.length else "body" if problem else record.fields.get("warc-truncated")
    return json_text(
        {
            "truncated": cut,
            "charset": decoded.charset if decoded.replaced else None,
            "replaced": decoded.replaced or None,
        }
    )
