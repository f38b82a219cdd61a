"""Keep one document of each cluster of duplicates.

Exact duplicates go first: texts that are equal but for white space. Near-duplicates are found by MinHash and
locality-sensitive hashing over shingles of five words (characters, in scripts written without spaces; lower case,
no accents, no punctuation, numbers as 0), with the signatures of datasketch. Every candidate is verified: a document
is dropped only if the Jaccard similarity of its shingles with those of a document that is kept is at least
--min-similarity. Documents shorter than a shingle take part in the search for exact duplicates only.

The document with the smallest id stays. Documents that were dropped name it in `drop_kept_id`, and tell their
`drop_similarity` to it.

--bands and --rows say which pairs are looked at: of those of similarity s, the share 1 - (1 - s^rows)^bands. The
default of 14 x 8, FineWeb's, sees 92 % of pairs at .8 and 99.96 % at .9. With --threshold instead, datasketch chooses
bands and rows out of 128 permutations, and the threshold is the least similarity too. Work files take 4 bytes for
each shingle and 16 for each band of a document; memory holds the sketches of one family of candidates at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import schema
from corpuskit.errors import CorpuskitError, UsageError
from corpuskit.options import option
from corpuskit.sketch import bands as lsh
from corpuskit.sketch import clusters, minhash, shingles
from corpuskit.stage import Batches, Input, Stage, Step, Table, Whole, Yield, status
from corpuskit.tokens.columns import flatten, lists

#: A document by its place: shard << ROW_BITS | row. It never shows in what is kept.
ROW_BITS = 40

#: One row for each band of a document, and one for its exact text.
BANDS = pa.schema([pa.field("band", pa.uint64(), nullable=False), pa.field("document", pa.uint64(), nullable=False)])

SKETCHES = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),  # of the text, white space collapsed
        pa.field("variant", pa.uint64(), nullable=False),  # a hash of the text as it is
        pa.field("shingles", pa.list_(pa.uint32()), nullable=False),
    ]
)

DUPLICATES = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("kept_id", pa.string(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Options:
    """How similar documents are found, and how similar they must be."""

    threshold: float | None = option(
        None, "choose bands and rows for this similarity, and ask for it", min=0.1, max=0.95
    )
    bands: int = option(14, "bands of a signature; more find more pairs", min=1, max=1000)
    rows: int = option(8, "rows of a band; more find fewer pairs", min=1, max=100)
    min_similarity: float | None = option(
        None, "the least similarity to a kept document (default: the threshold, else 0.8)", min=0.1, max=1
    )
    shingle_words: int = option(5, "words, or characters of scripts without spaces, of a shingle", min=1, max=100)
    seed: int = option(1, "seed of the permutations", min=0, max=2**32 - 1)
    keep: str = option("first", "which document of a cluster stays: the one with the smallest id", choices=("first",))

    def __post_init__(self) -> None:
        if self.threshold is not None and (self.bands, self.rows) != (14, 8):
            raise UsageError("dedup", "`threshold` chooses bands and rows", "give either it or them")

    def shape(self) -> tuple[int, int]:
        """Give bands and rows."""
        return (self.bands, self.rows) if self.threshold is None else lsh.choose_bands(self.threshold)

    def least(self) -> float:
        """Give the least similarity of a duplicate to the document that is kept."""
        return self.min_similarity or self.threshold or 0.8


def sign(docs: Batches, options: Options, shard: int = 0) -> Iterator[Yield]:
    """Sketch every document: its exact text, its set of shingles, and the bands of the set's signature."""
    bands, rows = options.shape()
    permuted = minhash.permutations(bands * rows, options.seed)
    row = 0
    for batch in docs:
        texts = batch.column("text")
        places = (np.uint64(shard) << np.uint64(ROW_BITS)) + np.arange(row, row + len(batch), dtype=np.uint64)
        row += len(batch)
        digests, variants = shingles.digests(texts)
        hashes, offsets = shingles.shingles(texts, options.shingle_words)
        signatures = minhash.signatures(hashes, offsets, permuted)
        sizable = np.diff(offsets) > 0
        hashed = lsh.band_hashes(signatures[sizable], bands, rows)
        exact = np.frombuffer(digests, "<u8")[::2]
        yield pa.record_batch(
            [
                pa.array(np.concatenate([exact, hashed.reshape(-1)])),
                pa.array(np.concatenate([places, np.repeat(places[sizable], bands)])),
            ],
            schema=BANDS,
        )
        yield (
            "sketches",
            pa.record_batch(
                [
                    pa.array(places),
                    batch.column("id").cast(pa.string()),
                    pa.Array.from_buffers(pa.binary(16), len(batch), [None, pa.py_buffer(digests)]),
                    pa.array(variants),
                    lists(hashes, offsets),
                ],
                schema=SKETCHES,
            ),
        )


def pair(bands: Batches, options: Options) -> Batches:
    """Give the bands that several documents share, each with its documents."""
    batches = list(bands)
    met = lsh.meeting(_numbers(batches, "band"), _numbers(batches, "document"))
    yield pa.record_batch([pa.array(column) for column in met], schema=BANDS)


def cluster(edges: Whole, sketches: Whole, options: Options) -> Batches:
    """Name the duplicates, each with the document that stays for it."""
    table, chunks, rows = _candidates(edges, sketches)
    order = pc.sort_indices(table, [(name, "ascending") for name in ("id", "digest", "variant", "document")]).to_numpy()
    table = table.take(pa.array(order))
    chunks, rows = chunks[order], rows[order]
    documents = table["document"].to_numpy()
    by_place = np.argsort(documents)
    met = edges["document"].to_numpy()
    ranks = by_place[np.searchsorted(documents, met, sorter=by_place)] if len(met) else np.empty(0, np.int64)
    texts = table["digest"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)

    def shingles_of(members: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
        return _gather(sketches["shingles"], chunks[members], rows[members])

    found = clusters.duplicates(
        edges["band"].to_numpy(),
        ranks,
        texts,
        table["size"].to_numpy(),
        shingles_of,
        options.least(),
    )
    gone = by_place[found.kept[by_place] >= 0]  # in the order of the documents' places
    kept = found.kept[gone]
    copies = np.unique(kept, return_counts=True)[1]
    status(f"{len(gone):,} duplicates of {len(copies):,} documents, up to {copies.max(initial=0):,} of one")
    same = texts[gone] == texts[kept]
    for part in np.array_split(np.arange(len(gone)), max(1, len(gone) >> 16)):
        yield pa.record_batch(
            [
                pa.array(documents[gone[part]]),
                table["id"].take(pa.array(gone[part])).combine_chunks(),
                table["id"].take(pa.array(kept[part])).combine_chunks(),
                pa.array(found.similarity[gone[part]].astype(np.float32)),
                pa.array(np.where(same[part], "exact_duplicate", "near_duplicate"), pa.string()),
            ],
            schema=DUPLICATES,
        )


def keep(docs: Batches, duplicates: Whole, options: Options, shard: int = 0) -> Batches:
    """Mark the duplicates."""
    places = duplicates["document"].to_numpy()
    row = shard << ROW_BITS
    for batch in docs:
        first, last = np.searchsorted(places, np.array([row, row + len(batch)], np.uint64))
        found = duplicates.slice(first, last - first)
        at = np.full(len(batch), -1, np.int64)
        at[(places[first:last] - np.uint64(row)).astype(np.int64)] = np.arange(last - first)
        row += len(batch)
        if not found["id"].equals(
            pa.chunked_array([batch.column("id").cast(pa.string()).filter(pa.array(at >= 0))], pa.string())
        ):
            raise CorpuskitError(
                "dedup", "the documents are not those that were compared", "remove the output and run again"
            )
        wanted = pa.array(at, mask=at < 0)
        columns = {name: found[name].combine_chunks().take(wanted) for name in ("reason", "kept_id", "similarity")}
        yield schema.mark(
            batch, columns["reason"].to_pylist(), kept_id=columns["kept_id"], similarity=columns["similarity"]
        )


def _numbers(batches: list[pa.RecordBatch], name: str) -> npt.NDArray[np.uint64]:
    return np.concatenate([np.empty(0, np.uint64), *[batch.column(name).to_numpy() for batch in batches]])


def _candidates(edges: pa.Table, sketches: pa.Table) -> tuple[pa.Table, Any, Any]:
    """Give what `sketches` knows of the documents in `edges` but for the shingles, of which it gives the number.

    And where each is: the chunk of `sketches`, and the row in it. The rest of `sketches` stays on disk.
    """
    wanted = np.unique(edges["document"].to_numpy())
    tables, chunks, rows = [], [], []
    for number, batch in enumerate(sketches.to_batches()):
        documents = batch.column("document").to_numpy()
        at = np.searchsorted(wanted, documents)
        here = (
            np.flatnonzero(wanted[np.minimum(at, len(wanted) - 1)] == documents) if len(wanted) else wanted.astype(int)
        )
        picked = batch.select(["document", "id", "digest", "variant"]).take(pa.array(here))
        sizes = np.diff(batch.column("shingles").offsets.to_numpy())[here].astype(np.int64)
        tables.append(picked.append_column("size", pa.array(sizes, pa.int64())))
        chunks.append(np.full(len(here), number))
        rows.append(here)
    empty = np.empty(0, np.int64)
    fields = pa.schema([*[SKETCHES.field(at) for at in range(4)], pa.field("size", pa.int64())])
    table = pa.Table.from_batches(tables, tables[0].schema if tables else fields)
    return table, np.concatenate([empty, *chunks]), np.concatenate([empty, *rows])


def _gather(
    column: pa.ChunkedArray, chunks: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    """Give the values of some rows of a list column, one after another, with a copy of these alone."""
    views: dict[int, tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]] = {}
    pieces = [np.empty(0, np.uint32)]
    for chunk, row in zip(chunks.tolist(), rows.tolist(), strict=True):
        if chunk not in views:
            views[chunk] = flatten(pa.chunked_array([column.chunk(chunk)]))
        values, offsets = views[chunk]
        pieces.append(values[offsets[row] : offsets[row + 1]])
    return np.concatenate(pieces)


STAGE = Stage(
    options=Options,
    inputs=(Input("docs", "documents: a dataset"),),
    steps=(
        Step(sign, {"bands": Table(BANDS, by="band"), "sketches": Table(SKETCHES)}),
        Step(pair, {"edges": Table(BANDS)}),
        Step(cluster, {"duplicates": Table(DUPLICATES)}),
        Step(keep, {"docs": Table(schema.DOCS, conserves="docs")}),
    ),
    reasons={
        "exact_duplicate": "the text of another document, but for white space; `drop_kept_id` stays",
        "near_duplicate": "shares --min-similarity of its shingles with `drop_kept_id`, which stays",
    },
    version=2,
)
