"""Shuffle tokens, split off valid, and cut blocks of one length.

Documents are ordered by a hash of their ids and `--seed`, over the whole corpus. Those of `--valid-fraction` make the
valid split: whole documents, chosen by another hash of the id alone, so neither a seed nor documents that are added
later move a document from one split to the other. The documents of a split are put end to end, each with the mark that
ends it, and cut into blocks of `--block-tokens`. `document_starts` tells where in a block documents begin. Labels are
the ids shifted by one, and not stored. The tokens that do not fill a last block, in each split of each part of the
corpus, are dropped and counted as `partial_block`.

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
from corpuskit.schema import tokens_schema
from corpuskit.stage import Batches, Files, Input, Stage, Step, Table, Yield
from corpuskit.tokens import packing
from corpuskit.tokens.columns import flatten, lists, pick

REASONS = {
    packing.PARTIAL: "the tokens that are left at the end of a split and do not fill a block",
}
_TOKENS = tokens_schema(0)
_SCALARS = ["id", "bytes", "source", "language"]


@dataclass(frozen=True, slots=True)
class Options:
    """How long the blocks are, what is held out, and in what order."""

    block_tokens: int = option(1024, "The length of a block.", min=2, max=1 << 20)
    valid_fraction: float = option(0.01, "The part of the documents to hold out.", min=0, max=1)
    seed: int = option(0, "The order of documents.", min=0, max=2**63 - 1)


def spread(tokens: Batches, options: Options) -> Iterator[pa.RecordBatch]:
    """Give every document the hash that orders it, and its split."""
    for batch in tokens:
        ids = batch.column("id")
        split = pc.if_else(pa.array(packing.in_valid(ids, options.valid_fraction)), "valid", "train")
        columns = [*pick(batch, _TOKENS.names), pa.array(packing.keys(ids, options.seed)), split]
        yield pa.RecordBatch.from_arrays(columns, names=[*_TOKENS.names, "key", "split"])


def pack(pieces: Batches, options: Options) -> Iterator[Yield]:
    """Sort a bucket's documents and cut their tokens, split by split; then give the documents held out."""
    table = pa.Table.from_batches(list(pieces))
    values, offsets = flatten(table.column("input_ids"))
    scalars = table.select(_SCALARS).combine_chunks()
    rows = packing.order(table.column("key").to_numpy(), _tie(scalars, values, offsets))
    valid = pc.equal(table.column("split"), "valid").to_numpy()[rows]
    del table  # its tokens are in `values`
    for split, members in (("train", rows[~valid]), ("valid", rows[valid])):
        for batch in packing.blocks(values, offsets, members, options.block_tokens):
            yield split, batch
    held = rows[valid]
    for part in packing.stretches((offsets[1:] - offsets[:-1])[held]):
        yield "heldout", _documents(scalars, values, offsets, held[part])


def attach(tokenizer: Path | None, out: Path) -> None:
    """Keep the tokenizer, where the tokens came with one, beside the blocks."""
    if tokenizer is not None:
        shutil.copytree(tokenizer, out, dirs_exist_ok=True)


def _tie(scalars: pa.Table, values: npt.NDArray[Any], offsets: npt.NDArray[np.int64]) -> Any:
    """Order documents of one hash by id, then content, so that the order of the input has no say."""

    def content(row: int) -> tuple[str, bytes, str]:
        words = [scalars.column(name)[row].as_py() for name in _SCALARS]
        return words[0] or "", values[offsets[row] : offsets[row + 1]].tobytes(), repr(words)

    return content


def _documents(
    scalars: pa.Table, values: npt.NDArray[Any], offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> pa.RecordBatch:
    ids = lists(*packing.gather(values, offsets, rows))
    taken = scalars.take(pa.array(rows)).combine_chunks()
    columns = [ids if name == "input_ids" else taken.column(name).combine_chunks() for name in _TOKENS.names]
    return pa.RecordBatch.from_arrays(columns, names=_TOKENS.names)


def _blocks(block_tokens: int) -> pa.Schema:
    return pa.schema({"input_ids": pa.list_(pa.uint16(), block_tokens), "document_starts": pa.list_(pa.int32())})


_PIECES = pa.schema([*_TOKENS, pa.field("key", pa.uint64()), pa.field("split", pa.string())])
_SPLIT = Table(_blocks(1024), conserves="pieces", counts="input_ids", folder=True)

STAGE = Stage(
    options=Options,
    inputs=(Input("tokens", "tokens: a dataset of `tokenize`"),),
    steps=(
        Step(spread, {"pieces": Table(_PIECES, by="key", conserves="tokens", counts="input_ids")}),
        Step(pack, {"train": _SPLIT, "valid": _SPLIT, "heldout": Table(_TOKENS)}),
        Step(attach, {"tokenizer": Files()}),
    ),
    reasons=REASONS,
)
