"""Find documents that hold evaluation texts, and drop them or cut the texts out.

A document is contaminated if it shares a run of --words words with a text of --against (13, as for GPT-3: Brown 2020,
appendix C). Words are compared in lower case, without accents and punctuation; in scripts written without spaces,
characters. An evaluation text of fewer words, but --min-words, counts if the document holds it whole; shorter ones are
left out and counted.

--against takes files (JSON Lines, Parquet, Arrow, text; compressed too), folders of them, what `download hub` has
fetched, and documents of another stage, as many as you like. Of rows, all texts are read, whatever their
columns are called, or those of --column. Of text, a paragraph is an item.

    corpuskit download hub data/sst2 --dataset nyu-mll/glue --config sst2 --text-column sentence --split all
    corpuskit decontaminate clean/ decontaminated/ --against data/sst2 questions.jsonl
    corpuskit show decontaminated/               # a table of hits by evaluation set
    corpuskit show decontaminated/ --dropped     # `drop_item` names the item, `drop_match` shows what is shared

With --action cut, what is shared is cut out and the rest of the document stays: `cut_chars` counts what is gone, and
`cut_item` names the first item. The output holds a table `items` with the documents that each item was found in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit import schema
from corpuskit.errors import BadData
from corpuskit.options import option
from corpuskit.stage import Batches, Figures, Input, OneFile, Stage, Step, Table, Whole, Yield, status, warn
from corpuskit.text.grams import Grams, Hits, grams, spans

_ROWS = 4096
_SHOWN_CHARS = 300
_SHARD = re.compile(r"docs-\d{5,}-of-\d{5,}\.arrow")

#: One row for each item of an evaluation set, in the order of the files.
EVALUATION = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("grams", pa.list_(pa.uint64()), nullable=False),
        pa.field("lengths", pa.list_(pa.int64()), nullable=False),  # the numbers of words that they have
    ]
)

#: How many documents of a batch hold an item (by its row), or any item of a set (-1).
FOUND = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
    ]
)

ITEMS = pa.schema(
    [
        pa.field("set", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Options:
    """What counts as shared, and what becomes of it."""

    words: int = option(13, "words of a run that must be shared", min=2, max=200)
    min_words: int = option(8, "words of an evaluation text that is shorter than a run, and must be held whole", min=2)
    action: str = option("drop", "drop the document, or cut out what is shared", choices=("drop", "cut"))
    column: tuple[str, ...] = option((), "read this column of the evaluation sets only")


def read(against: OneFile, options: Options) -> Iterator[Yield]:
    """Read the items of one evaluation file, each with its runs of words."""
    from corpuskit.formats.fields import read_fields

    ours = _SHARD.fullmatch(against.path.name) is not None  # its name means nothing, but its documents have ids
    name = "documents" if ours else against.path.name
    if against.about.get("source"):
        name = f"{against.about['source']}/{name}"
    held: list[tuple[str, str, Any, Any]] = []
    for number, id, texts in read_fields(against.path, ("text",) if ours else options.column):
        hashes, lengths = grams(texts, options.words, min(options.min_words, options.words))
        held.append((name, id if ours and id is not None else f"{name}:{number}", hashes, lengths))
        if len(held) == _ROWS:
            yield _items(held)
            held = []
    yield _items(held)


def _items(held: list[tuple[str, str, Any, Any]]) -> pa.RecordBatch:
    columns = list(zip(*held, strict=True)) if held else [(), (), (), ()]
    return pa.record_batch(
        [pa.array(list(each), kind.type) for each, kind in zip(columns, EVALUATION, strict=True)], EVALUATION
    )


@dataclass(frozen=True)
class _Known:
    """All evaluation sets, ready to be looked up."""

    grams: Grams
    owners: npt.NDArray[np.int64]  # rows of items by gram, see `starts`
    starts: npt.NDArray[np.int64]
    sets: list[str] = field(default_factory=list)  # by item
    items: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, evaluation: pa.Table) -> _Known:
        column = evaluation["grams"].combine_chunks()
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        hashes = column.flatten().to_numpy()
        counts = np.diff(column.offsets.to_numpy())
        rows = np.repeat(np.arange(len(counts)), counts)
        order = np.lexsort((rows, hashes))
        known, starts = np.unique(hashes[order], return_index=True)
        lengths = {each for many in evaluation["lengths"].to_pylist() for each in many}
        return cls(
            Grams(known, sorted(lengths)),
            rows[order],
            np.append(starts, len(rows)),
            evaluation["set"].to_pylist(),
            evaluation["item"].to_pylist(),
        )

    def pairs(self, hits: Hits) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Give (text, item) for every hit and every item that has the run, each once, ascending."""
        counts = self.starts[hits.places + 1] - self.starts[hits.places]
        begins = np.repeat(self.starts[hits.places] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        rows = self.owners[begins + np.arange(len(begins))]
        both = np.unique(np.stack([np.repeat(hits.texts, counts), rows], axis=1), axis=0)
        return both[:, 0], both[:, 1]


def mark(docs: Batches, evaluation: Whole, options: Options) -> Iterator[Yield]:
    """Mark contaminated documents, or cut what they share."""
    known = _Known.of(evaluation)
    for batch in docs:
        hits = known.grams.find(batch.column("text"))
        texts, items = known.pairs(hits)
        yield "found", _found(known, texts, items)
        first = dict(zip(texts[::-1].tolist(), items[::-1].tolist(), strict=True))  # of each text, the first item
        shared = _shared(batch, hits)
        yield (_cut if options.action == "cut" else _drop)(batch, known, first, shared)


def _shared(batch: pa.RecordBatch, hits: Hits) -> dict[int, tuple[bytes, list[tuple[int, int]]]]:
    """Give for every text with hits its UTF-8, and where what it shares lies in it."""
    rows, begins = np.unique(hits.texts, return_index=True)
    ends = np.append(begins, len(hits.texts))[1:]
    column = batch.column("text")
    out = {}
    for row, begin, end in zip(rows.tolist(), begins.tolist(), ends.tolist(), strict=True):
        text = column[row].as_py() or ""
        out[row] = (text.encode(), spans(text, hits.units[begin:end], hits.lengths[begin:end]))
    return out


def _drop(batch: pa.RecordBatch, known: _Known, first: dict[int, int], shared: dict[int, Any]) -> pa.RecordBatch:
    count = batch.num_rows
    reasons: list[str | None] = [None] * count
    sets, items, matches = [list[str | None]([None] * count) for _ in range(3)]
    for row, item in first.items():
        data, places = shared[row]
        begin, end = places[0]
        reasons[row], sets[row], items[row] = "contaminated", known.sets[item], known.items[item]
        matches[row] = data[begin:end].decode()[:_SHOWN_CHARS]
    details = {"set": sets, "item": items, "match": matches}
    return schema.mark(batch, reasons, **{name: pa.array(each, pa.string()) for name, each in details.items()})


def _cut(batch: pa.RecordBatch, known: _Known, first: dict[int, int], shared: dict[int, Any]) -> pa.RecordBatch:
    count = batch.num_rows
    texts = batch.column("text").to_pylist()
    reasons: list[str | None] = [None] * count
    named: list[str | None] = [None] * count
    gone = np.zeros(count, np.int64)
    for row, item in first.items():
        data, places = shared[row]
        bounds = [0, *(at for place in places for at in place), len(data)]
        left = b"".join(data[begin:end] for begin, end in zip(bounds[::2], bounds[1::2], strict=True)).decode()
        named[row] = known.items[item]
        if any(char.isalnum() for char in left):
            texts[row], gone[row] = left, len(texts[row]) - len(left)
        else:
            reasons[row] = "contaminated"  # nothing is left: the document goes as it came
    batch = schema.with_column(batch, "text", pa.array(texts, pa.string()))
    batch = schema.with_column(batch, "cut_chars", pa.array(gone))
    return schema.mark(schema.with_column(batch, "cut_item", pa.array(named, pa.string())), reasons)


def _found(known: _Known, texts: npt.NDArray[np.int64], items: npt.NDArray[np.int64]) -> pa.RecordBatch:
    rows, counts = np.unique(items, return_counts=True)
    out = [(known.sets[row], row, count) for row, count in zip(rows.tolist(), counts.tolist(), strict=True)]
    by_set: dict[str, set[int]] = {}
    for text, item in zip(texts.tolist(), items.tolist(), strict=True):
        by_set.setdefault(known.sets[item], set()).add(text)
    out += [(name, -1, len(each)) for name, each in sorted(by_set.items())]
    columns = list(zip(*out, strict=True)) if out else [(), (), ()]
    return pa.record_batch([pa.array(list(each), kind.type) for each, kind in zip(columns, FOUND, strict=True)], FOUND)


def count(found: Whole, evaluation: Whole, options: Options) -> Iterator[Yield | Figures]:
    """Count the documents that hold each item, and the hits of each evaluation set."""
    sets, rows, documents = (found[name].to_numpy() for name in ("set", "row", "documents"))
    totals = np.zeros(len(evaluation), np.int64)
    np.add.at(totals, rows[rows >= 0], documents[rows >= 0])
    names, items = evaluation["set"].to_pylist(), evaluation["item"].to_pylist()
    sizes = np.concatenate(
        [np.empty(0, np.int64), *[np.diff(c.offsets.to_numpy()) for c in evaluation["grams"].chunks]]
    )
    hits: dict[str, dict[str, int]] = {}
    for name, total, size in zip(names, totals.tolist(), sizes.tolist(), strict=True):
        mine = hits.setdefault(name, {"items": 0, "items_too_short": 0, "items_found": 0, "documents": 0})
        mine["items"] += 1
        mine["items_too_short"] += size == 0
        mine["items_found"] += total > 0
    for name, many in zip(sets[rows < 0].tolist(), documents[rows < 0].tolist(), strict=True):
        hits[name]["documents"] += many
    if not hits:
        raise BadData("--against", "the evaluation files hold no items", "give JSON Lines, Parquet, Arrow or text")
    for name, mine in hits.items():
        if mine["items"] == mine["items_too_short"]:
            warn(f"{name}: all items are shorter than {options.min_words} words; nothing was compared with them")
    status(f"{sum(mine['items_found'] for mine in hits.values()):,} evaluation items found")
    yield Figures({"hits": hits})
    there = np.flatnonzero(totals).tolist()
    columns = [[names[at] for at in there], [items[at] for at in there], totals[there]]
    yield pa.record_batch([pa.array(each, kind.type) for each, kind in zip(columns, ITEMS, strict=True)], ITEMS)


STAGE = Stage(
    options=Options,
    inputs=(
        Input("docs", "documents: a dataset"),
        Input(
            "against",
            "Evaluation texts: files, folders, downloads, documents.",
            accepts=("docs", "dump"),
            flag=True,
            raw=True,
            many=True,
        ),
    ),
    steps=(
        Step(read, {"evaluation": Table(EVALUATION)}),
        Step(mark, {"docs": Table(schema.DOCS, conserves="docs"), "found": Table(FOUND)}),
        Step(count, {"items": Table(ITEMS)}),
    ),
    reasons={
        "contaminated": "holds an evaluation text: `drop_item` names it (with --action cut, nothing else was left)"
    },
)
