"""Find captures in the CDXJ index of a crawl, without reading more of it than the query needs.

`cc-index/collections/<crawl>/indexes/cdx-NNNNN.gz` hold lines `key timestamp {json}`, sorted by key, as gzip members
of 3,000 lines ("ZipNum"); `cluster.idx` has a line for each member: `key timestamp\\tfile\\toffset\\tlength\\tnumber`,
the key being that of its first line. So a binary search in cluster.idx finds the members that a range of keys needs.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from corpuskit.errors import BadData
from corpuskit.formats.threads import in_order
from corpuskit.sources.cc_query import EVERYTHING, Capture, Query
from corpuskit.sources.commoncrawl import Site

if TYPE_CHECKING:
    from corpuskit.formats.http import Client

_PROBE_BYTES = 4 << 10
_NEAR_BYTES = 64 << 10  # what is left of a search is read from here on
_SCAN_BYTES = 1 << 20
_MAX_LINE_BYTES = 1 << 20
_MAX_BLOCK_BYTES = 64 << 20
_JOIN_BYTES = 2 << 20  # members that lie together are asked for together, up to so many bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Members of a cdx file that lie together."""

    file: str
    offset: int
    length: int


class ClusterIndex:
    """A crawl's cluster.idx, searched by ranges of bytes. Raises FetchError, BadData."""

    def __init__(self, client: Client, site: Site, crawl: str) -> None:
        self._client = client
        self.folder = f"cc-index/collections/{crawl}/indexes"
        self.url = site.url(f"{self.folder}/cluster.idx")
        self.size = client.size(self.url)
        self._probes: dict[int, tuple[int, str] | None] = {}

    def blocks(self, ranges: tuple[tuple[str, str], ...]) -> Iterator[Block]:
        """Give the members that may hold keys in these ranges, each once, in their order."""
        behind = -1  # of the last line that was given
        held: Block | None = None
        for first, end in ranges:
            for at, line in self._lines_for(first, end):
                if at <= behind:
                    continue
                behind = at
                block = self._parse(line, at)
                if held and _joins(held, block):
                    held = Block(held.file, held.offset, held.length + block.length)
                    continue
                if held:
                    yield held
                held = block
        if held:
            yield held

    def total_bytes(self, site: Site) -> tuple[int, int]:
        """Tell how many cdx files there are, and about how many bytes they have in all."""
        tail_at = max(0, self.size - _NEAR_BYTES)
        tail = self._client.get_range(self.url, tail_at, self.size - tail_at).rstrip(b"\n")
        last = self._parse(tail.rpartition(b"\n")[2].decode("utf-8", "replace"), tail_at)
        digits = "".join(letter for letter in last.file if letter.isdigit())
        files = int(digits or 0) + 1
        return files, files * self._client.size(site.url(f"{self.folder}/{last.file}"))

    def _lines_for(self, first: str, end: str) -> Iterator[tuple[int, str]]:
        """Give the lines with keys from `first` to before `end`, and the one before them."""
        held: tuple[int, str] | None = None
        for at, line in self._scan(self._search(first)):
            if _key(line) < first:
                held = at, line
                continue
            if held:
                yield held
                held = None
            if _key(line) >= end:
                return
            yield at, line
        if held:
            yield held

    def _search(self, first: str) -> int:
        """Give the beginning of a line that is before `first`, at most some 64 KiB before the last such line."""
        low, high = 0, self.size  # the last line before `first`, or the file's first, begins in [low, high)
        while high - low > _NEAR_BYTES:
            middle = (low + high) // 2
            found = self._line_behind(middle)
            if found is not None and found[0] < high and _key(found[1]) < first:
                low = found[0]
            else:
                high = middle + 1
        return low

    def _line_behind(self, offset: int) -> tuple[int, str] | None:
        """Give the first line that begins behind an offset, with its place."""
        if offset not in self._probes:
            self._probes[offset] = self._read_line_behind(offset)
        return self._probes[offset]

    def _read_line_behind(self, offset: int) -> tuple[int, str] | None:
        length = _PROBE_BYTES
        while True:
            data = self._client.get_range(self.url, offset, min(length, self.size - offset))
            start = data.find(b"\n") + 1
            end = data.find(b"\n", start)
            whole = offset + len(data) >= self.size
            if start and end < 0 and whole:
                end = len(data)
            if start and start < end:
                return offset + start, data[start:end].decode("utf-8", "replace")
            if whole:
                return None
            if length > _MAX_LINE_BYTES:
                raise BadData(self.url, f"has a line of more than 1 MiB at byte {offset}", "report it to the source")
            length *= 4

    def _scan(self, offset: int) -> Iterator[tuple[int, str]]:
        """Give the lines from an offset on, with their places, read piece by piece."""
        rest, at, length = b"", offset, _NEAR_BYTES
        while at + len(rest) < self.size:
            come = at + len(rest)
            lines = (rest + self._client.get_range(self.url, come, min(length, self.size - come))).split(b"\n")
            rest = lines.pop()
            for line in lines:
                if line:
                    yield at, line.decode("utf-8", "replace")
                at += len(line) + 1
            if len(rest) > _MAX_LINE_BYTES:
                raise BadData(self.url, f"has a line of more than 1 MiB at byte {at}", "report it to the source")
            length = min(2 * length, _SCAN_BYTES)
        if rest:
            yield at, rest.decode("utf-8", "replace")

    def _parse(self, line: str, at: int) -> Block:
        fields = line.split("\t")
        if len(fields) < 4 or not all(field.isascii() and field.isdigit() for field in fields[2:4]):
            raise BadData(self.url, f"expected key, file, offset and length at byte {at}", "report it to the source")
        length = int(fields[3])
        if not 0 < length <= _MAX_BLOCK_BYTES:
            raise BadData(self.url, f"tells of a block of {length} bytes at byte {at}", "report it to the source")
        return Block(fields[1], int(fields[2]), length)


def captures(
    client: Client,
    site: Site,
    crawl: str,
    query: Query,
    *,
    workers: int,
    warn: Callable[[str], None],
    show: Callable[[str], None],
) -> Iterator[Capture]:
    """Give the wanted captures in the order of the index: pages of status 200, in the crawl's `/warc/` archives.

    Raises FetchError, BadData. Warns of lines that cannot be read, and of a query that needs all of the index.
    """
    cluster = ClusterIndex(client, site, crawl)
    if query.ranges == EVERYTHING:
        files, size = cluster.total_bytes(site)
        amount = f"{files} files, about {size / 1e9:,.1f} GB"
        warn(f"{cluster.url}: the query fixes no part of a host, so the whole index is read: {amount}")

    def read(block: Block) -> list[Capture | None]:
        url = site.url(f"{cluster.folder}/{block.file}")
        data = client.get_range(url, block.offset, block.length)
        try:
            lines = gzip.decompress(data).split(b"\n")
        except (OSError, EOFError, zlib.error) as error:
            raise BadData(
                url, f"bytes {block.offset}+{block.length} are no gzip members: {error}", "try later"
            ) from None
        return [found for line in lines if line for found in _wanted(line, query)]

    seen = Counter[str]()
    for found in in_order(read, cluster.blocks(query.ranges), workers=workers):
        seen["blocks"] += 1
        for capture in found:
            if capture is None:
                seen["bad"] += 1
            else:
                seen["found"] += 1
                yield capture
        show(f"index: {seen['found']:,} records in {seen['blocks']:,} blocks")
    if seen["bad"]:
        warn(f"{cluster.url}: {seen['bad']} lines of the index cannot be read; they are left out")


def _wanted(line: bytes, query: Query) -> Iterator[Capture | None]:
    """Read a line: a capture where it is wanted, None where it cannot be read."""
    brace = line.find(b"{")
    try:
        told: dict[str, Any] = json.loads(line[brace:]) if brace > 0 else {}
        file, url = str(told["filename"]), str(told["url"])
        if str(told.get("status")) != "200" or "/warc/" not in file or not query.wants_url(url):
            return
        if not query.wants_languages(told.get("languages")):
            return
        if query.wants_mime(told.get("mime-detected"), told.get("mime")):
            yield Capture(file, int(told["offset"]), int(told["length"]), url)
    except (ValueError, KeyError, TypeError, AttributeError):
        yield None


def _joins(left: Block, right: Block) -> bool:
    near = left.file == right.file and left.offset + left.length == right.offset
    return near and left.length + right.length <= _JOIN_BYTES


def _key(line: str) -> str:
    return line.partition("\t")[0]
