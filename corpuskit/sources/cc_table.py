"""Find captures in the columnar index of a crawl: Parquet files, of which only the columns and rows needed are read.

`crawl-data/<crawl>/cc-index-table.paths.gz` lists the files of all subsets; the pages are in `subset=warc`. Columns:
https://github.com/commoncrawl/cc-index-table. The files are sorted by `url_surtkey`, so that the statistics of a
row group tell whether a host can be in it.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import BadData, Unavailable
from corpuskit.sources.cc_query import Capture, Query, Ranges
from corpuskit.sources.commoncrawl import Site, list_paths

if TYPE_CHECKING:
    from corpuskit.formats.http import Client

_SUBSET = "/subset=warc/"
_PLACE = ("url", "fetch_status", "warc_filename", "warc_record_offset", "warc_record_length")
_MIME = ("content_mime_detected", "content_mime_type")
_LANGUAGES = "content_languages"
_READ_AHEAD_BYTES = 64 << 10
_CACHE_BYTES = 16 << 20
_COLUMN_PIECE_BYTES = 4 << 20
_BATCH_ROWS = 1 << 16


class RangeFile(io.RawIOBase):
    """A file on a server as a seekable file: every read is a Range request of 64 KiB at least; 16 MiB are kept."""

    def __init__(self, client: Client, url: str) -> None:
        super().__init__()
        self._client, self._url = client, url
        self._size = client.size(url)
        self._at = 0
        self._held: OrderedDict[int, bytes] = OrderedDict()  # pieces by their offsets, the last used at the end
        self._held_bytes = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Give the place of the next read."""
        return self._at

    def size(self) -> int:
        """Give the size of the file in bytes."""
        return self._size

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the place of the next read."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Give the bytes from here on, as many as were asked for, or all. Raises FetchError."""
        rest = max(0, self._size - self._at)
        wanted = rest if size is None or size < 0 else min(size, rest)
        data = self._piece(self._at, wanted) if wanted else b""
        self._at += len(data)
        return data

    def _piece(self, offset: int, size: int) -> bytes:
        for start, data in self._held.items():
            if start <= offset and offset + size <= start + len(data):
                self._held.move_to_end(start)
                return data[offset - start : offset - start + size]
        # Parquet is read from its end: what precedes the footer's length is the footer.
        start = max(0, offset + size - _READ_AHEAD_BYTES) if offset + size == self._size else offset
        length = min(max(size, _READ_AHEAD_BYTES), self._size - start)
        length = max(length, offset + size - start)
        data = self._client.get_range(self._url, start, length)
        if len(data) <= _CACHE_BYTES:
            self._held_bytes += len(data) - len(self._held.pop(start, b""))
            self._held[start] = data
            while self._held_bytes > _CACHE_BYTES:
                self._held_bytes -= len(self._held.popitem(last=False)[1])
        return data[offset - start : offset - start + size]


def captures(
    client: Client,
    site: Site,
    crawl: str,
    query: Query,
    *,
    warn: Callable[[str], None],
    show: Callable[[str], None],
) -> Iterator[Capture]:
    """Give the wanted captures in the order of the table: pages of status 200, in the crawl's `/warc/` archives.

    Raises FetchError, BadData, Unavailable.
    """
    paths = [path for path in list_paths(client, site, crawl, "cc-index-table") if _SUBSET in f"/{path}"]
    if not paths:
        remedy = "use `--index cdx`, or another crawl"
        raise Unavailable(f"{site.data}/crawl-data/{crawl}", "its index table lists no files of subset=warc", remedy)
    if not query.is_narrow:
        warn(f"{crawl}: the query fixes no host, so columns of all {len(paths)} files of the index table are read")
    found = 0
    for at, path in enumerate(paths):
        for capture in _read_file(client, site.url(path), query):
            found += 1
            yield capture
        show(f"index: {found:,} records in {at + 1} of {len(paths)} files of the table")


def _read_file(client: Client, url: str, query: Query) -> Iterator[Capture]:
    import pyarrow.parquet as pq

    with pa.PythonFile(RangeFile(client, url), mode="r") as source:
        try:
            table = pq.ParquetFile(source, pre_buffer=False, buffer_size=_COLUMN_PIECE_BYTES)
            columns = _columns(table.schema_arrow, query, url)
            groups = [
                at for at in range(table.num_row_groups) if _may_hold(table.metadata.row_group(at), query.column_ranges)
            ]
            for batch in table.iter_batches(_BATCH_ROWS, row_groups=groups, columns=columns) if groups else ():
                yield from _wanted(batch, query)
        except (pa.ArrowInvalid, OSError) as error:  # Arrow's way to tell of damaged pages is OSError
            raise BadData(url, f"is no Parquet file that can be read: {error}", "use `--index cdx`") from None


def _columns(schema: pa.Schema, query: Query, url: str) -> list[str]:
    """Name the columns to read. Raises BadData where the table lacks one that the query needs."""
    needed = [*_PLACE, *([_LANGUAGES] if query.languages else [])]
    kinds = [name for name in _MIME if name in schema.names] if query.mimes else []
    missing = [name for name in needed if name not in schema.names] + ([_MIME[0]] if query.mimes and not kinds else [])
    if missing:
        remedy = "use `--index cdx`" if query.is_narrow else "choose another crawl: older tables have fewer columns"
        raise BadData(url, f"has no column {', '.join(missing)}", remedy)
    return [*needed, *kinds]


def _may_hold(group: Any, ranges: dict[str, Ranges]) -> bool:
    """Tell whether a row group can hold wanted rows, as far as its statistics tell."""
    for at in range(group.num_columns):
        column = group.column(at)
        wanted = ranges.get(column.path_in_schema)
        known = column.statistics
        if wanted is None or known is None or not known.has_min_max:
            continue
        low, high = _text(known.min), _text(known.max)
        if not any(first <= high and low < behind for first, behind in wanted):
            return False
    return True


def _wanted(batch: pa.RecordBatch, query: Query) -> Iterator[Capture]:
    """Give the wanted rows: columns are filtered as a whole first, what is left one by one."""
    keep = pc.equal(batch.column("fetch_status"), 200)
    keep = pc.and_(keep, pc.match_substring(batch.column("warc_filename"), "/warc/"))
    if query.languages:
        first = rf"^\s*(?:{'|'.join(query.languages)})\s*(?:,|$)"
        keep = pc.and_(keep, pc.match_substring_regex(batch.column(_LANGUAGES), first))
    if query.url_words:
        url = batch.column("url")
        holds = [pc.match_substring(url, word, ignore_case=True) for word in query.url_words[:64]]
        if len(query.url_words) == len(holds):
            either = holds[0]
            for other in holds[1:]:
                either = pc.or_(either, other)
            keep = pc.and_(keep, either)
    rows = batch.filter(keep)
    for row in rows.to_pylist():
        if query.wants_url(row["url"]) and query.wants_mime(*(row.get(name) for name in _MIME)):
            yield Capture(row["warc_filename"], row["warc_record_offset"], row["warc_record_length"], row["url"])


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
