"""Keep one document of each cluster of duplicates, of earlier snapshots too.

Exact duplicates go first: texts that are equal but for white space. Near-duplicates are found by MinHash and
locality-sensitive hashing over shingles of words (characters, in scripts written without spaces; lower case, no
accents, no punctuation, numbers as 0), with the signatures of datasketch. Every candidate is verified: a document
is dropped only if the Jaccard similarity of its shingles with those of a document that is kept is at least
--min-similarity. Documents shorter than a shingle take part in the search for exact duplicates only.

Documents are taken in the order of --keep, those that are equal by their ids, and the first of a cluster stays:
`first` means the smallest id. Dropped ones name it in `drop_kept_id`, and tell their `drop_similarity` to it; kept ones
say in `cluster_size` how many they stand for. `corpuskit show OUT --clusters` shows the largest, `--cluster ID` one.

--bands and --rows say which pairs are looked at: of those of similarity s, the share 1 - (1 - s^rows)^bands. A preset
sets them, and the similarity asked for (with --threshold instead, datasketch chooses bands and rows out of 128
permutations, and the threshold is the least similarity too):

  fineweb  14 x 8, .8   sees 56 % of pairs at .7, 92 % at .8, 99.96 % at .9
  strict   14 x 8, .9   drops what is nearly the same only
  loose    20 x 5, .7   sees 80 % at .6, 98 % at .7

--index DIR remembers. What an earlier run with the same DIR has seen counts as taken before: its documents stay, and
those that repeat them go, naming the snapshot in `drop_snapshot`. This run's documents are added as --snapshot, at
once and whole. Dedup of B against the index of A drops of B what dedup of both together would drop, A taken first.
`corpuskit index DIR` lists the snapshots, and removes one.

    corpuskit dedup clean/2026-09 dedup/2026-09 --index index/ --snapshot 2026-09
    corpuskit dedup clean/2026-10 dedup/2026-10 --index index/ --snapshot 2026-10 --against 2026-09
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit import schema
from corpuskit.errors import CorpuskitError, UsageError
from corpuskit.options import option
from corpuskit.sketch import bands as lsh
from corpuskit.sketch import candidates, clusters, minhash, shingles
from corpuskit.sketch import index as indexes
from corpuskit.stage import Batches, Figures, Input, Stage, Step, Table, Whole, Yield, status
from corpuskit.tokens.columns import lists

#: A document by its place: shard << ROW_BITS | row. It never shows in what is kept.
ROW_BITS = 40
_LARGEST = 10  # clusters that the manifest names
# Measured; see `_needs`.
_BASE_BYTES, _DOCUMENT_BYTES, _BAND_BYTES, _SET_BYTES = 1_200_000_000, 300, 80, 0.75

#: One row for each band of a document, and one for its exact text.
BANDS = pa.schema([pa.field("band", pa.uint64(), nullable=False), pa.field("document", pa.uint64(), nullable=False)])

SKETCHES = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),  # of the text, white space collapsed
        pa.field("variant", pa.uint64(), nullable=False),  # a hash of the text as it is
        pa.field("order", pa.float64(), nullable=False),  # by --keep, the smallest first
        pa.field("shingles", pa.list_(pa.uint32()), nullable=False),
    ]
)

DUPLICATES = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("kept", pa.uint64(), nullable=False),  # its place, or its code in the index
        pa.field("id", pa.string(), nullable=False),
        pa.field("kept_id", pa.string(), nullable=False),
        pa.field("snapshot", pa.string()),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

#: For the index: every document's rank, and what stays for it.
STANDING = pa.schema(
    [
        pa.field("document", pa.uint64(), nullable=False),
        pa.field("rank", pa.uint32(), nullable=False),
        pa.field("stays", pa.uint64(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("copy", pa.bool_(), nullable=False),  # what stays has this very text
    ]
)

#: For each band, the documents that stay for those in it, in the order in which they came.
ENTRIES = pa.schema([pa.field("band", pa.uint64(), nullable=False), pa.field("stays", pa.uint64(), nullable=False)])


@dataclass(frozen=True, slots=True)
class Options:
    """How similar documents are found, how similar they must be, and which of them stays."""

    preset: str = option("fineweb", "bands, rows and least similarity", choices=tuple(lsh.PRESETS))
    threshold: float | None = option(
        None, "choose bands and rows for this similarity, and ask for it", min=0.1, max=0.95
    )
    bands: int | None = option(None, "bands of a signature; more find more pairs", min=1, max=1000)
    rows: int | None = option(None, "rows of a band; more find fewer pairs", min=1, max=100)
    min_similarity: float | None = option(None, "the least similarity to a kept document", min=0.1, max=1)
    shingle_words: int = option(5, "words, or characters of scripts without spaces, of a shingle", min=1, max=100)
    keep: str = option("first", "which of a cluster stays: first, longest, newest, score or score=COLUMN")
    save_signatures: bool = option(False, "give documents a column `signature`, datasketch's bits (affine32, xxh32)")
    snapshot: str | None = option(None, "with --index: the name of this run's documents in it, as 2026-09")
    against: tuple[str, ...] = option((), "with --index: look at this snapshot; without, at all")
    index: str | None = option(None, "a folder that remembers: look at earlier snapshots, add this run's", how=True)

    def __post_init__(self) -> None:
        """Refuse what does not go together before anything runs."""
        if self.threshold is not None and (self.bands, self.rows) != (None, None):
            raise UsageError("dedup", "`threshold` chooses bands and rows", "give either it or them")
        if self.keep.partition("=")[0] not in ("first", "longest", "newest", "score") or self.keep.endswith("="):
            raise UsageError(
                "dedup",
                f'`keep`: expected first, longest, newest, score or score=COLUMN, got "{self.keep}"',
                "its `--help` tells more",
            )
        if self.snapshot is not None:
            indexes.check_name(self.snapshot)
        if self.index is not None and "://" in self.index:
            raise UsageError(
                "--index", f"{self.index} is no local folder", "an index is mapped into memory: copy it here"
            )
        if self.index is None and (self.snapshot or self.against):
            raise UsageError("dedup", "`snapshot` and `against` are names in an index", "give --index DIR too")

    def shape(self) -> lsh.Shape:
        """Give bands, rows and the least similarity, from the preset where nothing else is said."""
        preset = lsh.PRESETS[self.preset]
        bands, rows = self.bands or preset.bands, self.rows or preset.rows
        if self.threshold is not None:
            bands, rows = lsh.choose_bands(self.threshold)
        least = self.min_similarity or self.threshold or preset.min_similarity
        return lsh.Shape(bands, rows, least, self.shingle_words)

    def order(self) -> str:
        """Give `keep` with the column of its score."""
        return "score=score" if self.keep == "score" else self.keep

    def settings(self) -> dict[str, int]:
        """Give what two runs must share to share an index."""
        shape = self.shape()
        return {"bands": shape.bands, "rows": shape.rows, "shingle_words": shape.shingle_words, "version": 1}

    def earlier(self) -> indexes.Index | None:
        """Open the snapshots to look at; None without an index."""
        if self.index is None:
            return None
        return indexes.Index(self.index, self.against, self.settings())


def settle(options: Options, keys: list[str]) -> Options:
    """Name the snapshots that are looked at, with their hashes, and this run's.

    A snapshot that is there already under this run's name is its own, from an earlier attempt: it looks at those that
    it looked at then, and a finished run stays finished.
    """
    if options.index is None:
        return options
    own = options.snapshot or f"docs-{keys[0][:12]}"
    there = indexes.names(options.index)
    if any("@" in each for each in options.against):
        return options  # settled
    if options.against:
        wanted = [indexes.token(options.index, name) for name in options.against if name != own]
    elif own in there:
        seen = indexes.read_meta(options.index, own)["against"]
        wanted = [each for each in seen if each.partition("@")[0] in there]
    else:
        wanted = [indexes.token(options.index, name) for name in there]
    # Workers of a cluster may work in another folder.
    settled = replace(options, snapshot=own, against=tuple(sorted(wanted)), index=os.path.abspath(options.index))
    settled.earlier()  # refuses other settings before anything runs
    return settled


def sign(docs: Batches, options: Options, shard: int = 0) -> Iterator[Yield]:
    """Sketch every document: its exact text, its set of shingles, and the bands of the set's signature."""
    shape = options.shape()
    permuted = minhash.permutations(shape.bands * shape.rows, minhash.SEED)
    row = 0
    for batch in docs:
        texts = batch.column("text")
        places = (np.uint64(shard) << np.uint64(ROW_BITS)) + np.arange(row, row + len(batch), dtype=np.uint64)
        row += len(batch)
        digests, variants = shingles.digests(texts)
        made = shingles.sketch(texts, shape.shingle_words, permuted)
        sizable = np.diff(made.offsets) > 0
        hashed = lsh.band_hashes(made.signatures[sizable], shape.bands, shape.rows)
        exact = np.frombuffer(digests, "<u8")[::2]
        yield pa.record_batch(
            [
                pa.array(np.concatenate([exact, hashed.reshape(-1)])),
                pa.array(np.concatenate([places, np.repeat(places[sizable], shape.bands)])),
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
                    _order(batch, options),
                    lists(made.hashes, made.offsets),
                ],
                schema=SKETCHES,
            ),
        )


def _order(batch: pa.RecordBatch, options: Options) -> pa.Array:
    try:
        return candidates.order_of(batch, options.order())
    except KeyError as error:
        held = ", ".join(batch.schema.names)
        raise UsageError(
            "--keep",
            f"the documents have no column `{error.args[0]}`; they have {held}",
            "name one: --keep score=COLUMN",
        ) from None
    except pa.ArrowInvalid as error:
        raise UsageError("--keep", f"the column is no number: {error}", "name another column") from None


def pair(bands: Batches, options: Options) -> Batches:
    """Give the bands that several documents share, each with its documents; and those in the index with theirs."""
    batches = list(bands)
    hashed, documents = _numbers(batches, "band"), _numbers(batches, "document")
    earlier = options.earlier()
    if earlier is None:
        met = lsh.meeting(hashed, documents)
    else:
        old_bands, old, known = earlier.meet(hashed)
        met_bands, met_documents = lsh.meeting(hashed, documents, known)
        met = np.concatenate([met_bands, old_bands]), np.concatenate([met_documents, old])
    yield pa.record_batch([pa.array(column) for column in met], schema=BANDS)


def cluster(edges: Whole, sketches: Whole, options: Options) -> Iterator[Yield | Figures]:
    """Name the duplicates, each with the document that stays for it."""
    met, least = edges["document"].to_numpy(), options.shape().min_similarity
    those = candidates.Candidates.of(met, sketches, options.earlier())
    ranks, bands = those.ranks(met), edges["band"].to_numpy()
    found = clusters.duplicates(bands, ranks, those.texts, those.sizes, those.shingles_of, least, those.known)
    gone = those.by_place[found.kept[those.by_place] >= 0]  # in the order of the documents' places
    kept, similarity = found.kept[gone], found.similarity[gone].astype(np.float32)
    copies = those.are_copies(gone, kept)
    for part in np.array_split(np.arange(len(gone)), max(1, len(gone) >> 16)):
        yield pa.record_batch(
            [
                pa.array(those.documents[gone[part]]),
                pa.array(those.documents[kept[part]]),
                those.ids.take(pa.array(gone[part])).cast(pa.string()),
                those.ids.take(pa.array(kept[part])).cast(pa.string()),
                those.snapshots_of(kept[part]),
                pa.array(similarity[part]),
                pa.array(np.where(copies[part], "exact_duplicate", "near_duplicate"), pa.string()),
            ],
            schema=DUPLICATES,
        )
    yield _figures(options, those, kept)
    if options.index is not None:
        yield "standing", _standing(sketches, those.documents[gone], those.documents[kept], similarity, copies)


def _figures(options: Options, those: candidates.Candidates, kept: npt.NDArray[np.int64]) -> Figures:
    """Tell what the choice of bands sees, and how large the clusters are."""
    shape = options.shape()
    stay, sizes = np.unique(kept[kept >= those.known.fixed], return_counts=True)
    sizes = sizes + 1
    largest = np.argsort(-sizes, kind="stable")[:_LARGEST]
    ids = those.ids.take(pa.array(stay[largest])).to_pylist()
    repeats = len(kept) - int(sizes.sum() - len(sizes))
    status(f"{len(kept):,} duplicates; {len(sizes):,} clusters, the largest of {sizes.max(initial=0):,} documents")
    return Figures(
        {
            "bands": shape.bands,
            "rows": shape.rows,
            "min_similarity": shape.min_similarity,
            "s_curve": lsh.s_curve(shape.bands, shape.rows),
            "clusters": {
                "count": len(sizes),
                "documents": int(sizes.sum()),
                "histogram": candidates.histogram(sizes),
                "largest": [{"id": id, "size": int(size)} for id, size in zip(ids, sizes[largest], strict=True)],
                "repeats_of_earlier_snapshots": repeats,
            },
        }
    )


def _standing(sketches: pa.Table, gone: Any, kept: Any, similarity: Any, copies: Any) -> pa.RecordBatch:
    """Give for every document its rank, and what stays for it."""
    order = candidates.ranked(sketches, None)[0]["document"].to_numpy()
    documents = sketches["document"].to_numpy()
    at = np.searchsorted(documents, order)
    ranks = np.empty(len(documents), np.uint32)
    ranks[at] = np.arange(len(documents), dtype=np.uint32)
    stays, alike = documents.copy(), np.ones(len(documents), np.float32)
    same = np.ones(len(documents), np.bool_)
    rows = np.searchsorted(documents, gone)
    stays[rows], alike[rows], same[rows] = kept, similarity, copies
    return pa.record_batch([pa.array(each) for each in (documents, ranks, stays, alike, same)], schema=STANDING)


def keep(docs: Batches, duplicates: Whole, options: Options, shard: int = 0) -> Batches:
    """Mark the duplicates."""
    places, kept = duplicates["document"].to_numpy(), duplicates["kept"].to_numpy()
    shape = options.shape()
    permuted = minhash.permutations(shape.bands * shape.rows, minhash.SEED) if options.save_signatures else None
    row = shard << ROW_BITS
    mine = (kept >= np.uint64(row)) & (kept < np.uint64(row + (1 << ROW_BITS)))
    stay, copies = np.unique(kept[mine], return_counts=True)
    for batch in docs:
        first, last = np.searchsorted(places, np.array([row, row + len(batch)], np.uint64))
        found = duplicates.slice(first, last - first)
        at = np.full(len(batch), -1, np.int64)
        at[(places[first:last] - np.uint64(row)).astype(np.int64)] = np.arange(last - first)
        if not found["id"].equals(
            pa.chunked_array([batch.column("id").cast(pa.string()).filter(pa.array(at >= 0))], pa.string())
        ):
            raise CorpuskitError(
                "dedup", "the documents are not those that were compared", "remove the output and run again"
            )
        sizes = np.ones(len(batch), np.int32)
        low, high = np.searchsorted(stay, np.array([row, row + len(batch)], np.uint64))
        sizes[(stay[low:high] - np.uint64(row)).astype(np.int64)] += copies[low:high].astype(np.int32)
        row += len(batch)
        batch = schema.with_column(batch, "cluster_size", pa.array(sizes, mask=at >= 0))
        if permuted is not None:
            batch = schema.with_column(batch, "signature", _signatures(batch.column("text"), options, permuted))
        wanted = pa.array(at, mask=at < 0)
        names = ("reason", "kept_id", "similarity", "snapshot")
        columns = {name: found[name].combine_chunks().take(wanted) for name in names}
        reasons = columns.pop("reason").to_pylist()
        if options.index is None:
            del columns["snapshot"]
        yield schema.mark(batch, reasons, **columns)


def _signatures(texts: pa.Array, options: Options, permuted: npt.NDArray[np.uint32]) -> pa.Array:
    made = shingles.sketch(texts, options.shingle_words, permuted, sets=False).signatures
    return pa.FixedSizeListArray.from_arrays(pa.array(made.reshape(-1)), made.shape[1])


def entries(bands: Batches, standing: Whole, options: Options) -> Batches:
    """Give for each band the documents that stay for those in it, for the index."""
    from corpuskit.sketch import cluster_kernels

    if options.index is None:
        return
    batches = list(bands)
    hashed, documents = _numbers(batches, "band"), _numbers(batches, "document")
    rows = np.searchsorted(standing["document"].to_numpy(), documents)
    ranks, stays = standing["rank"].to_numpy()[rows], standing["stays"].to_numpy()[rows]
    order = np.lexsort((ranks, hashed))
    hashed, stays = hashed[order], stays[order]
    taken = np.zeros(len(hashed), np.bool_)
    cluster_kernels.first_of_bands(hashed, stays, clusters.COMPARED_PER_BAND, taken)
    yield pa.record_batch([pa.array(hashed[taken]), pa.array(stays[taken])], schema=ENTRIES)


def remember(entries: Whole, standing: Whole, sketches: Whole, options: Options) -> None:
    """Add this run's documents to the index."""
    if options.index is None or options.snapshot is None:
        return
    from corpuskit.sketch.snapshots import add_snapshot

    about = {"name": options.snapshot, "against": list(options.against), "settings": options.settings()}
    add_snapshot(options.index, about, options.earlier(), entries, standing, sketches)


def foresee(options: Options, documents: int | None, size: int | None) -> list[str]:
    """Say what the choice of bands sees, and what a run will need."""
    shape = options.shape()
    curve = lsh.s_curve(shape.bands, shape.rows)
    shown = ", ".join(
        f"{100 * curve[at]:.4g} % at {at[1:3].rstrip('0')}" for at in ("0.50", "0.60", "0.70", "0.80", "0.90")
    )
    lines = [f"{shape.bands} bands of {shape.rows} rows see {shown}; a duplicate has at least {shape.min_similarity:g}"]
    if documents is not None and size is not None:
        lines.append(_needs(shape, documents, size, indexed=options.index is not None))
    return lines


def _needs(shape: lsh.Shape, documents: int, size: int, *, indexed: bool) -> str:
    """Estimate memory (of two workers together) and disk; measured by tests/bench/bench_dedup.py."""
    bands = documents * (shape.bands + 1)
    work = size * _SET_BYTES + bands * 2 * 16
    memory = _BASE_BYTES + documents * _DOCUMENT_BYTES + bands * _BAND_BYTES
    words = f"{documents:,} documents, {_in_words(size)}: up to {_in_words(memory)} of memory with two workers"
    disk = f"{_in_words(work + size)} of disk while it runs, at most {_in_words(size)} of which stay"
    more = f"; at most {_in_words(size * _SET_BYTES + bands * 12)} more in the index" if indexed else ""
    return f"{words}; {disk}{more}"


def _in_words(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _numbers(batches: list[pa.RecordBatch], name: str) -> npt.NDArray[np.uint64]:
    return np.concatenate([np.empty(0, np.uint64), *[batch.column(name).to_numpy() for batch in batches]])


STAGE = Stage(
    options=Options,
    inputs=(Input("docs", "documents: a dataset"),),
    steps=(
        Step(sign, {"bands": Table(BANDS, by="band"), "sketches": Table(SKETCHES)}),
        Step(pair, {"edges": Table(BANDS)}),
        Step(cluster, {"duplicates": Table(DUPLICATES), "standing": Table(STANDING)}),
        Step(keep, {"docs": Table(schema.DOCS, conserves="docs")}),
        Step(entries, {"entries": Table(ENTRIES)}),
        Step(remember, {}),
    ),
    reasons={
        "exact_duplicate": "the text of another document, but for white space; `drop_kept_id` stays",
        "near_duplicate": "shares --min-similarity of its shingles with `drop_kept_id`, which stays",
    },
    version=3,
    settle=settle,
    foresee=foresee,
)
