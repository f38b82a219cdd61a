"""Read multistream Wikipedia dumps in parts.

Such a dump is many bz2 streams behind each other: the first holds `<mediawiki>` and <siteinfo>, the others 100 pages
each, the last `</mediawiki>` (https://meta.wikimedia.org/wiki/Data_dumps/Dump_format). A part is some of these streams,
read with what the first one says. The rows of all parts are those of the whole file, damages included.

Places to cut at are found by scanning from each wanted position on for the first bytes of a stream, which costs one
read of 64 KiB or so; the index is not needed for it. Files whose streams begin elsewhere than at a page, as parallel
compressors write them, are never cut. Several exports behind each other in one file are no export: the whole ends at
the second one with an error, parts behind it would not know.
"""

from __future__ import annotations

import bz2
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from corpuskit.formats.bz2_regions import BZ2_MAGIC_BYTES, find_bz2
from corpuskit.formats.document import Origin, Reading, Row
from corpuskit.formats.mediawiki import Head, Page, PageReader, read_mediawiki
from corpuskit.formats.opening import ByteStream, open_bytes
from corpuskit.formats.sniff import sniff

#: Where a part of a file begins, and ends; None is the end of the file.
Range = tuple[int, int | None]

_MAX_HEAD_BYTES = 1 << 20
_SCAN_BYTES = 1 << 16
_MAX_MISSES = 8  # streams that do not begin at a page, before no more cuts are looked for


@dataclass(frozen=True, slots=True)
class Part:
    """What of a dump is read: streams, and of them all pages or those with these ids.

    `missing` are pages that the user asked for and no dump holds; `notes` are for the user, told by whoever reads it.
    """

    ranges: tuple[Range, ...] = ((0, None),)
    pages: tuple[int, ...] | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, other: Part) -> Part:
        pages = None if self.pages is None or other.pages is None else self.pages + other.pages
        return Part(self.ranges + other.ranges, pages, self.missing + other.missing, self.notes + other.notes)

    def encode(self) -> str:
        """Write it as words; "" for the whole file."""
        import msgspec

        return "" if self == Part() else msgspec.json.encode(self).decode()

    @staticmethod
    def decode(words: str) -> Part:
        """Read what `encode` has written."""
        import msgspec

        return msgspec.json.decode(words, type=Part) if words else Part()


def read_part(
    path: Path, part: Part, origin: Origin, reading: Reading, wanted: Callable[[Page], bool] | None = None
) -> Iterator[Row]:
    """Give the rows of a part: those that reading the whole file gives for its streams, of the pages that are wanted.

    A page of `part.pages` that the streams do not hold, and everything that is `missing`, is an error row.
    """
    left = dict.fromkeys(map(str, part.pages or ()))
    if part.pages is not None:

        def wanted(page: Page) -> bool:
            return left.pop(page.id, page) is None

    head: Head | None = None
    for start, end in part.ranges:
        if start and head is None:
            head = (read_head(path) or (Head(), 0))[0]
        with open_bytes(path, start, end) as stream:
            yield from read_mediawiki(
                stream, origin, reading, head=head if start else None, more=end is not None, wanted=wanted
            )
    for page in left:
        yield origin.failed(f"{origin.name}:{page}", "page_not_found", "its index says that this dump holds it")
    for word in part.missing:
        yield origin.failed(word, "page_not_found", "none of the dumps holds it")


def read_head(path: Path) -> tuple[Head, int] | None:
    """Give what the first stream of a multistream dump says, and where it ends; None for any other file."""
    with path.open("rb") as file:
        data = file.read(_MAX_HEAD_BYTES)
    if find_bz2(data, 0, 1) is None:
        return None
    member = bz2.BZ2Decompressor()
    try:
        text = member.decompress(data, _MAX_HEAD_BYTES)
    except OSError:
        return None
    if not member.eof or not text.rstrip().endswith(b"</siteinfo>") or sniff(text).name != "mediawiki":
        return None
    reader = PageReader(ByteStream(io.BytesIO(text)), _MAX_HEAD_BYTES)
    problems = [getattr(each, "reason", "a page") for each in reader]
    return (reader.head, len(data) - len(member.unused_data)) if problems == ["truncated"] else None


def cut(path: Path, every: int) -> list[Range]:
    """Cut a dump where streams of pages begin, about every so many bytes; any other file stays whole."""
    size = path.stat().st_size
    head = read_head(path) if size > every else None
    if head is None:
        return [(0, None)]
    starts = [0]
    with path.open("rb") as file:
        while starts[-1] + every + every // 2 <= size:
            found = _next_pages(file, max(starts[-1] + every, head[1] + 1))
            if found is None:
                break
            starts.append(found)
    return list(zip(starts, [*starts[1:], None], strict=True))


def stream_begins(path: Path, offsets: list[int]) -> bool:
    """Tell whether bz2 streams begin at all of these places."""
    with path.open("rb") as file:
        for offset in offsets:
            file.seek(offset)
            if find_bz2(file.read(BZ2_MAGIC_BYTES), 0, 1) is None:
                return False
    return True


def _next_pages(file: BinaryIO, start: int) -> int | None:
    """Find the next stream that begins at a page; None where there is none, or too many others come before."""
    misses = 0
    while misses < _MAX_MISSES:
        file.seek(start)
        data = file.read(_SCAN_BYTES)
        at = find_bz2(data)
        if at is None:
            if len(data) < _SCAN_BYTES:
                return None
            start += len(data) - BZ2_MAGIC_BYTES + 1
            continue
        start += at
        if _begins_with_page(file, start):
            return start
        start += 1
        misses += 1
    return None


def _begins_with_page(file: BinaryIO, start: int) -> bool:
    """Tell whether a stream decompresses to a <page>; its first block has at most 900,000 bytes of text."""
    file.seek(start)
    member = bz2.BZ2Decompressor()
    for _ in range(_MAX_HEAD_BYTES // _SCAN_BYTES):
        try:
            text = member.decompress(file.read(_SCAN_BYTES), 1024)
        except (OSError, EOFError):
            return False
        if text or member.eof:
            return text.lstrip().startswith(b"<page>")
    return False
