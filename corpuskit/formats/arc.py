"""Read ARC archives (the format before WARC, versions 1.0 and 1.1): every record is a row.

A record is one line (`URL IP-address Archive-date Content-type Archive-length`, of later versions with more fields in
between), then as many bytes as the line says: an HTTP response. The framing is the one of `warc.RecordReader` for the
same reason: warcio, which reads ARC, ends with an exception at a length of -1 or a broken line, and says nothing where
a file is cut.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from corpuskit.formats.document import Origin, Reading, Row
from corpuskit.formats.opening import ByteStream
from corpuskit.formats.warc import Damage, Record, RecordReader, record_rows

_LINE = (
    rb"([A-Za-z][A-Za-z0-9+.-]{0,30}:[^\r\n]{0,8192}?) [^\s]{1,255} (\d{8,20})"  # URL, IP-address, date
    rb" (?:[^\r\n]{0,1024} )?(-?\d{1,18})[ \t]*\r?\n"  # type and more, length
)
_HEAD = re.compile(_LINE)
_RESTART = re.compile(rb"\n(?=" + _LINE + rb")")
_MAX_LINE_BYTES = 1 << 14


class ArcReader(RecordReader):
    """Split a stream into records, with the fields that a WARC would have for them."""

    _restart = _RESTART
    _restart_bytes = _MAX_LINE_BYTES

    def __init__(self, stream: ByteStream, max_block_bytes: int) -> None:
        super().__init__(stream, max_block_bytes)

    def _segment(self) -> Iterator[Record | Damage]:
        """Read up to the end, or up to where the compressed data is damaged."""
        while self._skip_newlines():
            at = self._offset
            self._fill_line()
            head = _HEAD.match(self._buffer)
            if not head:
                yield Damage(at, "bad_record", f"{self._skip_to_record()} bytes are no ARC record")
                continue
            url, date, length = (head[group].decode("utf-8", "replace") for group in (1, 2, 3))
            if length.startswith("-"):
                yield Damage(at, "bad_record", f"a length of {length}; {self._skip_to_record()} bytes skipped")
                continue
            self._drop(head.end())
            record = self._block(at, _fields(url, date), int(length))
            yield record
            if record.came < record.length and not self._stream.problem:
                yield Damage(at, "truncated", f"{record.came} of {record.length} bytes of the record of {url}")

    def _fill_line(self) -> None:
        size = 1024
        while b"\n" not in self._buffer and size <= _MAX_LINE_BYTES and self._fill(size):
            size *= 4


def read_arc(stream: ByteStream, origin: Origin, reading: Reading) -> Iterator[Row]:
    """Give a row for every record and every damage: HTML responses of status 200 are documents.

    Ids are the file's name and where in its decompressed bytes the record begins.
    """
    yield from record_rows(ArcReader(stream, reading.max_record_bytes), origin, reading)


def _fields(url: str, date: str) -> dict[str, str]:
    of_file = url.startswith("filedesc:")
    return {
        "warc-type": "warcinfo" if of_file else "response",
        "warc-target-uri": "" if of_file else url,
        "warc-date": iso_time(date) or "",
        "content-type": "application/http",
    }


def iso_time(digits: str) -> str | None:
    """Give `YYYYMMDDhhmmss` in ISO 8601, of shorter digits the day; None for what is no date."""
    whole = digits[:14] if len(digits) >= 14 else digits[:8] + "000000"
    try:
        time = datetime.datetime.strptime(whole, "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return time.isoformat() + "Z" if len(digits) >= 14 else time.date().isoformat()
