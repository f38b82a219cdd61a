"""The work tables of dedup: what is known of documents that met in a band, and in which order they are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.sketch.clusters import Known
from corpuskit.sketch.index import INDEXED, Index
from corpuskit.tokens.columns import flatten

#: What a sketch says beside its shingles; `order` comes first when documents are put in order, the smallest first.
HEADS = ("document", "id", "digest", "variant", "order")
_BY_RANK = [(name, "ascending") for name in ("order", "id", "digest", "variant", "document")]


def ranked(sketches: pa.Table, documents: npt.NDArray[np.uint64] | None = None) -> tuple[pa.Table, Any, Any]:
    """Give HEADS and `size` of the sketches of some documents (of all: None) by their rank, and where each lies.

    That is, the chunk of `sketches` and the row in it. The shingles stay on disk.
    """
    tables, chunks, rows = [], [], []
    for number, batch in enumerate(sketches.to_batches()):
        here = _among(batch.column("document").to_numpy(), documents)
        picked = batch.select(HEADS).take(pa.array(here))
        # All ids together may be larger than offsets of 32 bits can tell.
        picked = picked.set_column(1, "id", picked.column("id").cast(pa.large_string()))
        sizes = np.diff(batch.column("shingles").offsets.to_numpy())[here].astype(np.int64)
        tables.append(picked.append_column("size", pa.array(sizes, pa.int64())))
        chunks.append(np.full(len(here), number, np.int32))
        rows.append(here.astype(np.int32))
    fields = pa.schema([*[sketches.schema.field(name) for name in HEADS], pa.field("size", pa.int64())])
    fields = fields.set(1, pa.field("id", pa.large_string()))
    table = pa.Table.from_batches(tables, tables[0].schema if tables else fields)
    order = pc.sort_indices(table, _BY_RANK).to_numpy()
    empty = np.empty(0, np.int32)
    return table.take(pa.array(order)), np.concatenate([empty, *chunks])[order], np.concatenate([empty, *rows])[order]


def _among(documents: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64] | None) -> npt.NDArray[np.int64]:
    if wanted is None:
        return np.arange(len(documents))
    if not len(wanted):
        return np.empty(0, np.int64)
    at = np.minimum(np.searchsorted(wanted, documents), len(wanted) - 1)
    return np.flatnonzero(wanted[at] == documents)


class Sets:
    """The shingle sets of a table of sketches, copied as they are asked for."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column
        self._views: dict[int, tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]] = {}

    def gather(self, chunks: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> npt.NDArray[np.uint32]:
        """Give the sets of some rows, one after another."""
        return np.concatenate([np.empty(0, np.uint32), *self.pieces(chunks, rows)])

    def pieces(self, chunks: npt.NDArray[np.int32], rows: npt.NDArray[np.int32]) -> list[npt.NDArray[np.uint32]]:
        """Give the sets of some rows."""
        return list(map(self._one, chunks.tolist(), rows.tolist()))

    def _one(self, chunk: int, row: int) -> npt.NDArray[np.uint32]:
        if chunk not in self._views:
            self._views[chunk] = flatten(pa.chunked_array([self._column.chunk(chunk)]))
        values, offsets = self._views[chunk]
        return values[offsets[row] : offsets[row + 1]]


@dataclass(frozen=True)
class Candidates:
    """The documents that met others, by rank: the first `known.fixed` are the index's, the rest the run's own."""

    documents: npt.NDArray[np.uint64]  # codes of the index, then places
    ids: pa.Array
    texts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    copies: npt.NDArray[np.bool_]  # which have the very text of one that stays in the index
    known: Known
    by_place: npt.NDArray[np.int64]
    _rows: tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]
    _sets: Sets
    _index: Index | None

    @classmethod
    def of(cls, met: npt.NDArray[np.uint64], sketches: pa.Table, index: Index | None) -> Candidates:
        """Gather what is known of the documents that met, and of those of the index that have the same texts."""
        table, chunks, rows = ranked(sketches, np.unique(met[met & INDEXED == 0]))
        count = len(table)
        codes, similarity, copies = np.zeros(count, np.uint64), np.zeros(count), np.zeros(count, np.bool_)
        if index is not None:
            codes, similarity, copies = index.texts(packed(table["digest"]))
        old = np.unique(np.concatenate([met[met & INDEXED != 0], codes[codes != 0]]))
        texts = table["digest"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        known = Known(len(old), np.full(count, -1, np.int64), np.zeros(count))
        there = codes != 0
        known.kept[texts[there]] = np.searchsorted(old, codes[there])
        known.similarity[texts[there]] = similarity[there]
        documents = np.concatenate([old, table["document"].to_numpy()])
        old_sizes = index.sizes(old) if index is not None else np.empty(0, np.int64)
        old_ids = index.ids(old) if index is not None else pa.array([], pa.large_string())
        return cls(
            documents,
            pa.concat_arrays([old_ids, *table["id"].chunks]),
            np.concatenate([np.full(len(old), -1), texts]),
            np.concatenate([old_sizes, table["size"].to_numpy()]),
            np.concatenate([np.zeros(len(old), np.bool_), copies]),
            known,
            np.argsort(documents),
            (chunks, rows),
            Sets(sketches["shingles"]),
            index,
        )

    def ranks(self, documents: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Give the ranks of documents."""
        if not len(documents):
            return np.empty(0, np.int64)
        return self.by_place[np.searchsorted(self.documents, documents, sorter=self.by_place)]

    def shingles_of(self, ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        """Give the sets of some documents, one after another."""
        fixed = self.known.fixed
        pieces = [np.empty(0, np.uint32)]
        for rank in ranks[ranks < fixed].tolist():  # those of the index come first
            assert self._index is not None
            pieces.append(self._index.shingles(int(self.documents[rank])))
        own = ranks[ranks >= fixed] - fixed
        return np.concatenate([*pieces, self._sets.gather(self._rows[0][own], self._rows[1][own])])

    def snapshots_of(self, ranks: npt.NDArray[np.int64]) -> pa.Array:
        """Give the snapshots of documents, null for the run's own."""
        if self._index is None:
            return pa.nulls(len(ranks), pa.string())
        return self._index.names(self.documents[ranks])

    def are_copies(self, gone: npt.NDArray[np.int64], kept: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell of documents whether they have the very text of those that stay for them."""
        of_own: npt.NDArray[np.bool_] = (self.texts[gone] == self.texts[kept]) | self.copies[gone]
        return of_own


def order_of(batch: pa.RecordBatch, keep: str) -> pa.Array:
    """Give the place of documents in the order in which they are taken, as a float64: the smallest is kept.

    keep: `first` (all equal: the id decides), `longest` in characters, `newest` by `date` as far as the second, or
    `score=COLUMN`, the highest; without a date or a score comes last. Raises KeyError that names a missing column.
    """
    count = batch.num_rows
    if keep == "first":
        return pa.array(np.zeros(count))
    if keep == "longest":
        return pc.negate(pc.utf8_length(batch.column("text"))).cast(pa.float64())
    name = "date" if keep == "newest" else keep.partition("=")[2]
    if name not in batch.schema.names:
        raise KeyError(name)
    column = batch.column(name)
    if keep == "newest":
        # The digits of an ISO date to the second, as one number: all that is left out counts as the earliest.
        digits = pc.replace_substring_regex(pc.utf8_slice_codeunits(column.cast(pa.string()), 0, 19), r"[^0-9]", "")
        digits = pc.utf8_rpad(digits.fill_null(""), 14, "0")
        numbers = pc.utf8_slice_codeunits(digits, 0, 14).cast(pa.int64())
        return pc.negate(numbers).cast(pa.float64())
    scores = pc.negate(column.cast(pa.float64())).fill_null(np.inf)
    return pc.if_else(pc.is_nan(scores), np.inf, scores)


def packed(digests: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Give binary(16) values as strings of 32 hexadecimal digits, which numpy sorts and searches."""
    chunks = [_bytes(chunk) for chunk in digests.chunks if len(chunk)]
    data = b"".join(chunks)
    return np.frombuffer(data.hex().encode(), "S32") if data else np.empty(0, "S32")


def _bytes(digests: pa.Array) -> bytes:
    _, data = digests.buffers()
    return bytes(data[16 * digests.offset : 16 * (digests.offset + len(digests))])


def histogram(sizes: npt.NDArray[np.int64]) -> dict[str, int]:
    """Count clusters by their size, in powers of two: {"2": n, "3-4": n, "5-8": n, ...}; a size of 1 is no cluster."""
    counts: dict[str, int] = {}
    low, high = 2, 2
    while low <= int(sizes.max(initial=0)):
        count = int(np.count_nonzero((sizes >= low) & (sizes <= high)))
        if count:
            counts[f"{low:,}" if low == high else f"{low:,}-{high:,}"] = count
        low, high = high + 1, high * 2
    return counts
