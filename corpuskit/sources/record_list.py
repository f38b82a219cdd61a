"""Gather the captures that an index query finds into a listing of records to fetch."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator

import pyarrow as pa

from corpuskit.errors import BadData
from corpuskit.sources.cc_query import Capture
from corpuskit.sources.commoncrawl import Site, lot
from corpuskit.sources.records import RECORDS

_ROWS = 1 << 16
_MAX_MEMBER_BYTES = 1 << 30


def record_listing(
    found: Iterable[Capture], site: Site, crawl: str, *, limit: int | None, seed: int | None
) -> pa.Table:
    """Give the listing (`RECORDS`) of captures, sorted by file and offset.

    With `limit`, of the first so many; with `seed` too, of so many that are chosen by lot, the same for whatever order
    they are found in. Raises BadData for a place that cannot be one.
    """
    chosen = found
    if limit is not None:
        chosen = itertools.islice(found, limit) if seed is None else _drawn(found, limit, seed)
    batches = [_batch(part, site, crawl) for part in _parts(chosen)]
    table = pa.Table.from_batches(batches, RECORDS)
    return table.sort_by([("file", "ascending"), ("offset", "ascending")])


def _drawn(found: Iterable[Capture], limit: int, seed: int) -> Iterator[Capture]:
    """Choose those with the smallest lots, holding no more than `limit` of them."""
    held: list[tuple[int, str, int, Capture]] = []
    for capture in found:
        entry = (-lot(seed, f"{capture.file}\0{capture.offset}"), capture.file, capture.offset, capture)
        if len(held) < limit:
            heapq.heappush(held, entry)
        elif entry[0] > held[0][0]:
            heapq.heapreplace(held, entry)
    return (entry[-1] for entry in held)


def _parts(found: Iterable[Capture]) -> Iterator[list[Capture]]:
    rest = iter(found)
    while part := list(itertools.islice(rest, _ROWS)):
        yield part


def _batch(part: list[Capture], site: Site, crawl: str) -> pa.RecordBatch:
    urls = {file: site.url(file) for file in {capture.file for capture in part}}
    for capture in part:
        if capture.offset < 0 or not 0 < capture.length <= _MAX_MEMBER_BYTES:
            where = f"bytes {capture.offset}+{capture.length} of {capture.file}"
            raise BadData(site.data, f"its index places {capture.page} at {where}", "report it to the source")
    columns = [
        [capture.file for capture in part],
        [urls[capture.file] for capture in part],
        [capture.offset for capture in part],
        [capture.length for capture in part],
        [capture.page for capture in part],
        [crawl] * len(part),
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, RECORDS, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RECORDS)
