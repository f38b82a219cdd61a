"""Take out lines that many documents share: menus, footers, notices.

A line (with --unit paragraph, what blank lines part) is repeated if at least --min-documents documents have it, however
often each: after normalisation, as CCNet does it (Wenzek et al. 2020): lower case, no accents, no punctuation, numbers
as 0. All documents lose their repeated lines but one, in which the line stays; with --keep none, that one too. Lines of
fewer than --min-words words are left alone: headings are such.

`repeated_chars` counts the characters that a document has lost. One that has nothing left but white space is dropped,
as it came. `corpuskit show OUT` tells the totals; the table `shared` counts lines by how many documents have them.

    corpuskit dedup-lines dedup/ lines/ --min-documents 10
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import schema
from corpuskit.options import option
from corpuskit.stage import Batches, Figures, Input, Stage, Step, Table, Whole, Yield, status
from corpuskit.text.repeated import Lines, lines_of, without

#: One row for each different line of a document; `document` is a hash of its id.
LINES = pa.schema([pa.field("line", pa.uint64(), nullable=False), pa.field("document", pa.uint64(), nullable=False)])

REPEATED = pa.schema(
    [
        pa.field("line", pa.uint64(), nullable=False),
        pa.field("keeper", pa.uint64(), nullable=False),  # the document in which it stays
        pa.field("documents", pa.int64(), nullable=False),
    ]
)

REMOVED = pa.schema([pa.field(name, pa.int64(), nullable=False) for name in ("documents", "lines", "chars")])


@dataclass(frozen=True, slots=True)
class Options:
    """What counts as repeated."""

    unit: str = option("line", "what is compared, and taken out", choices=("line", "paragraph"))
    min_documents: int = option(2, "documents that have a line which is repeated", min=2)
    min_words: int = option(3, "words of a line; shorter ones are left alone", min=1)
    keep: str = option("first", "where a repeated line stays: in one document, or in none", choices=("first", "none"))

    def lines(self, batch: pa.RecordBatch) -> Lines:
        """Hash the lines of a batch."""
        return lines_of(batch.column("text"), self.min_words, paragraphs=self.unit == "paragraph")


def split(docs: Batches, options: Options) -> Batches:
    """Hash the lines of every document."""
    for batch in docs:
        lines = options.lines(batch)
        owners = np.repeat(_hashed(batch), lines.counts)
        counted = lines.hashes != 0
        both = np.unique(np.stack([lines.hashes[counted], owners[counted]], axis=1), axis=0)
        yield pa.record_batch([pa.array(both[:, 0]), pa.array(both[:, 1])], schema=LINES)


def find(lines: Batches, options: Options) -> Batches:
    """Give the lines that enough documents have, each with the document in which it stays, in ascending order.

    That is the document with the smallest hash of its id: another one for each neighbourhood of the collection, and
    the same whatever the shards.
    """
    batches = list(lines)
    empty = np.empty(0, np.uint64)
    hashed = np.concatenate([empty, *[batch.column("line").to_numpy() for batch in batches]])
    documents = np.concatenate([empty, *[batch.column("document").to_numpy() for batch in batches]])
    order = np.lexsort((documents, hashed))
    hashed, documents = hashed[order], documents[order]
    found, first, counts = np.unique(hashed, return_index=True, return_counts=True)
    many = counts >= options.min_documents
    columns = (found[many], documents[first[many]], counts[many].astype(np.int64))
    yield pa.record_batch([pa.array(each) for each in columns], schema=REPEATED)


def edit(docs: Batches, repeated: Whole, options: Options) -> Iterator[Yield]:
    """Take the repeated lines out."""
    known, keepers = repeated["line"].to_numpy(), repeated["keeper"].to_numpy()
    for batch in docs:
        lines = options.lines(batch)
        gone = _gone(lines, _hashed(batch), known, keepers, options)
        texts, removed = without(batch.column("text"), lines, gone, paragraphs=options.unit == "paragraph")
        empty = pc.and_(pa.array(removed > 0), pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0))
        whole = empty.to_numpy(zero_copy_only=False)  # these are dropped, and lose nothing
        lost = np.where(whole, 0, removed)
        cut = int(np.count_nonzero(gone & ~np.repeat(whole, lines.counts)))
        yield (
            "removed",
            pa.record_batch(
                [pa.array([int(each)]) for each in (np.count_nonzero(lost), cut, lost.sum())],
                schema=REMOVED,
            ),
        )
        batch = schema.with_column(batch, "text", pc.if_else(empty, batch.column("text"), texts))
        batch = schema.with_column(batch, "repeated_chars", pa.array(lost))
        yield schema.mark(batch, pc.if_else(empty, "all_repeated", pa.scalar(None, pa.string())))


def _gone(
    lines: Lines,
    documents: npt.NDArray[np.uint64],
    known: npt.NDArray[np.uint64],
    keepers: npt.NDArray[np.uint64],
    options: Options,
) -> npt.NDArray[np.bool_]:
    """Tell which lines go: in the document in which a line stays, all but its first occurrence."""
    gone = np.zeros(len(lines.hashes), np.bool_)
    if not len(known):
        return gone
    place = np.minimum(np.searchsorted(known, lines.hashes), len(known) - 1)
    gone |= (known[place] == lines.hashes) & (lines.hashes != 0)
    if options.keep == "first":
        rows = np.repeat(np.arange(len(documents)), lines.counts)
        stays = np.flatnonzero(gone & (keepers[place] == documents[rows]))
        first = np.unique(
            np.stack([rows[stays].astype(np.uint64), lines.hashes[stays]], axis=1), axis=0, return_index=True
        )
        gone[stays[first[1]]] = False
    return gone


def _hashed(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    import xxhash

    ids = batch.column("id").to_pylist()
    return np.array([xxhash.xxh3_64_intdigest(str(id).encode()) for id in ids], np.uint64)


def count(removed: Whole, repeated: Whole, options: Options) -> Iterator[Yield | Figures]:
    """Add up what is gone, and count the repeated lines by how many documents have them."""
    totals = {name: int(pc.sum(removed[name]).as_py() or 0) for name in REMOVED.names}
    documents = repeated["documents"].to_numpy()
    status(f"{totals['chars']:,} characters of {totals['lines']:,} repeated lines are gone")
    yield Figures({"repeated": {"lines": len(documents), **{f"removed_{name}": n for name, n in totals.items()}}})
    sizes, counts = np.unique(documents, return_counts=True)
    yield pa.record_batch([pa.array(sizes), pa.array(counts.astype(np.int64))], schema=SHARED)


#: How many lines so many documents have.
SHARED = pa.schema([pa.field("documents", pa.int64(), nullable=False), pa.field("lines", pa.int64(), nullable=False)])

STAGE = Stage(
    options=Options,
    inputs=(Input("docs", "documents: a dataset"),),
    steps=(
        Step(split, {"lines": Table(LINES, by="line")}),
        Step(find, {"repeated": Table(REPEATED)}),
        Step(edit, {"docs": Table(schema.DOCS, conserves="docs"), "removed": Table(REMOVED)}),
        Step(count, {"shared": Table(SHARED)}),
    ),
    reasons={"all_repeated": "every line of it is repeated in other documents"},
)
