"""Shuffle tokens, split off valid, mix sources, and pack blocks of one length.

Documents are ordered by a hash of their ids and `--seed`, over the whole corpus. Those of `--valid-fraction` make the
valid split: whole documents, chosen by another hash of the id alone, so neither a seed nor documents that are added
later move a document from one split to the other. Labels are the ids shifted by one, and not stored.

`--pack concat` puts the documents of a split end to end, each with the mark that ends it, and cuts blocks of
`--block-tokens`. The tokens that do not fill a last block, in each split of each part of the corpus, are dropped and
counted as `partial_block`. `--pack best-fit` cuts no document that fits a block (Ding et al. 2024): it drops nothing,
and fills what is left of a block with the end mark; `padding` tells how many of a block's last ids are none.
`document_starts` tells where in a block documents begin, and with best-fit pieces of those that are cut. The figures
tell how many documents are cut, and how many concatenation cuts.

`--weight SOURCE=FACTOR` takes documents of a source (their column `source`) more or less often in train: 0.25 keeps a
quarter, 2.5 takes all twice and half of them a third time. Valid is not weighted. The ledger counts a document's tokens
once; `repeated` of a block tells how many of its tokens come from further copies. The figures tell what came out.

`train` and `valid` are folders that `datasets.load_from_disk` opens; `heldout` has the documents of valid one by one,
for `corpuskit evaluate`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.options import option
from corpuskit.schema import DROP, REPEATED, tokens_schema
from corpuskit.stage import Batches, Figures, Files, Input, NextFile, Stage, Step, Table, Whole, Yield, status, warn
from corpuskit.tokens import best_fit, mixing, packing, packing_figures
from corpuskit.tokens.columns import flatten, lists, pick

REASONS = {
    packing.PARTIAL: "the tokens that are left at the end of a split and do not fill a block",
    mixing.WEIGHT: "a weight below 1 leaves the document out",
}
_TOKENS = tokens_schema(0)
_SCALARS = ["id", "bytes", "source", "language"]
_Ints = npt.NDArray[np.int64]
_MIN_BUCKET_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """How long the blocks are, what is held out, in what order, and how often."""

    block_tokens: int = option(1024, "The length of a block.", min=2, max=1 << 20)
    pack: str = option(
        "concat", "Cut documents put end to end, or cut as few as can be.", choices=("concat", "best-fit")
    )
    valid_fraction: float = option(0.01, "The part of the documents to hold out.", min=0, max=1)
    weight: tuple[str, ...] = option((), "SOURCE=FACTOR: take documents of a source more or less often in train.")
    seed: int = option(0, "The order of documents, and which of them a weight takes.", min=0, max=2**63 - 1)
    shard_bytes: int = option(
        64 << 20, "About how many bytes of ids a file has; memory grows with it.", min=1 << 10, max=1 << 30
    )


def spread(tokens: Batches, options: Options) -> Iterator[Yield]:
    """Give every document the hash that orders it, its split, and as many rows as its weight says; count by source."""
    weights = mixing.parse(options.weight)
    for batch in tokens:
        ids, source = batch.column("id"), pick(batch, ["source"])[0]
        valid = packing.in_valid(ids, options.valid_fraction)
        copies = np.where(valid, 1, mixing.copies(ids, source, weights, options.seed))
        hashes = packing.keys(ids, options.seed)
        hashes[valid] = packing.squeezed(hashes[valid], options.valid_fraction)
        lengths = np.diff(flatten(pa.chunked_array([batch.column("input_ids")]))[1])
        yield "sources", packing_figures.by_source(source, valid, lengths, copies)
        columns = pick(batch, _TOKENS.names)
        split = pc.if_else(pa.array(valid), "valid", "train")
        for copy in range(int(copies.max(initial=1))):
            key = hashes if copy == 0 else packing.mixed(hashes, np.full(len(hashes), copy))
            again = lengths if copy else np.zeros_like(lengths)
            drop = pc.if_else(pa.array(copies == 0), mixing.WEIGHT, pa.scalar(None, pa.string()))
            rows = pa.RecordBatch.from_arrays(
                [*columns, pa.array(key), split, pa.array(again), drop], names=[*_PIECES.names, DROP]
            )
            yield "pieces", rows if copy == 0 else rows.filter(pa.array(copies > copy))


def pack(pieces: Batches, options: Options) -> Iterator[Yield]:
    """Sort a bucket's documents and pack their tokens, split by split; then give the documents held out."""
    table = pa.Table.from_batches(list(pieces))
    values, offsets = flatten(table.column("input_ids"))
    scalars = table.select(_SCALARS).combine_chunks()
    keys = table.column("key").to_numpy()
    rows = packing.order(keys, _tie(scalars, values, offsets))
    valid = pc.equal(table.column("split"), "valid").to_numpy()[rows]
    repeated = table.column(REPEATED).to_numpy() > 0
    del table  # its tokens are in `values`
    for split, members in (("train", rows[~valid]), ("valid", rows[valid])):
        lengths = (offsets[1:] - offsets[:-1])[members]
        again = repeated if options.weight else None
        if options.pack == "best-fit":
            plan = best_fit.plan(lengths, keys[members], options.block_tokens)
            pad_id = int(values[offsets[members + 1][lengths > 0][0] - 1]) if plan.blocks else 0
            again = None if again is None else again[members]
            blocks = plan.blocks
            batches = best_fit.batches(
                values, offsets[members], plan, options.block_tokens, pad_id, packing.OUT_TOKENS, again
            )
        else:
            blocks = -(-int(lengths.sum()) // options.block_tokens)
            batches = packing.blocks(values, offsets, members, options.block_tokens, packing.OUT_TOKENS, again)
        yield "packed", packing_figures.of_split(split, lengths, options.block_tokens, blocks, options.pack)
        yield from _files(split, batches, blocks, options.block_tokens * values.itemsize, options.shard_bytes)
    held = rows[valid]
    for part in packing.stretches((offsets[1:] - offsets[:-1])[held]):
        yield "heldout", _documents(scalars, values, offsets, held[part])


def _files(
    split: str, batches: Iterator[pa.RecordBatch], blocks: int, block_bytes: int, shard_bytes: int
) -> Iterator[Yield]:
    """Share the blocks out evenly among files of about `shard_bytes`."""
    files = max(1, round(blocks * block_bytes / shard_bytes))
    most = max(1, -(-blocks // files))
    filled = 0
    yield NextFile(split)
    for batch in batches:
        start = 0
        while filled + batch.num_rows - start > most:
            yield split, batch.slice(start, most - filled)
            yield NextFile(split)
            start, filled = start + most - filled, 0
        filled += batch.num_rows - start
        yield split, batch.slice(start)


def attach(tokenizer: Path | None, sources: Whole, packed: Whole, options: Options, out: Path) -> Iterator[Figures]:
    """Keep the tokenizer, where the tokens came with one, beside the blocks; add up the figures."""
    weights = mixing.parse(options.weight)
    found = packing_figures.total(sources, packed, weights, options.pack)
    missing = sorted(set(weights) - set(found["sources"]))
    if missing:
        names = ", ".join(map(repr, list(found["sources"])[:20])) or "none"
        warn(f"--weight: no document is of the source {', '.join(map(repr, missing))}; the sources are {names}")
    for line in packing_figures.lines(found):
        status(line)
    if tokenizer is not None:
        shutil.copytree(tokenizer, out, dirs_exist_ok=True)
    yield Figures(found)


def _tie(scalars: pa.Table, values: npt.NDArray[Any], offsets: _Ints) -> Any:
    """Order documents of one hash by id, then content, so that the order of the input has no say."""

    def content(row: int) -> tuple[str, bytes, str]:
        words = [scalars.column(name)[row].as_py() for name in _SCALARS]
        return words[0] or "", values[offsets[row] : offsets[row + 1]].tobytes(), repr(words)

    return content


def _documents(scalars: pa.Table, values: npt.NDArray[Any], offsets: _Ints, rows: _Ints) -> pa.RecordBatch:
    ids = lists(*packing.gather(values, offsets, rows))
    taken = scalars.take(pa.array(rows)).combine_chunks()
    columns = [ids if name == "input_ids" else taken.column(name).combine_chunks() for name in _TOKENS.names]
    return pa.RecordBatch.from_arrays(columns, names=_TOKENS.names)


def _bucket_bytes(options: Options) -> int:
    """Let a bucket make a file, and no weight make it larger."""
    return int(max(_MIN_BUCKET_BYTES, options.shard_bytes) / max([1.0, *mixing.parse(options.weight).values()]))


def _blocks(block_tokens: int) -> pa.Schema:
    return pa.schema({"input_ids": pa.list_(pa.uint16(), block_tokens), "document_starts": pa.list_(pa.int32())})


_PIECES = pa.schema(
    [*_TOKENS, pa.field("key", pa.uint64()), pa.field("split", pa.string()), pa.field(REPEATED, pa.int64())]
)
_SPLIT = Table(_blocks(1024), conserves="pieces", counts="input_ids", folder=True, sparse=True)

STAGE = Stage(
    options=Options,
    inputs=(Input("tokens", "tokens: a dataset of `tokenize`"),),
    version=3,
    steps=(
        Step(
            spread,
            {
                "pieces": Table(_PIECES, by="key", conserves="tokens", counts="input_ids"),
                "sources": Table(packing_figures.SOURCES),
            },
            bucket_bytes=_bucket_bytes,
        ),
        Step(
            pack,
            {
                "train": _SPLIT,
                "valid": _SPLIT,
                "heldout": Table(_TOKENS, sparse=True),
                "packed": Table(packing_figures.PACKED),
            },
        ),
        Step(attach, {"tokenizer": Files()}),
    ),
    reasons=REASONS,
)
