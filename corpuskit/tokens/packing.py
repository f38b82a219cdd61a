"""Order documents by hash, part them into splits, and cut their tokens into blocks of one length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.schema import DROP, REPEATED
from corpuskit.tokens.columns import lists

#: The reason that marks the last block of a split, where tokens do not fill it.
PARTIAL = "partial_block"

#: Held at a time on the way out; what is written does not depend on the size of the input's batches.
OUT_TOKENS = 1 << 22
# The split has a hash of its own: another shuffle does not move documents between train and valid.
_SPLIT_SALT = b"corpuskit split\0"
_STEP = np.uint64(0x9E3779B97F4A7C15)
_Ints = npt.NDArray[np.int64]


def keys(ids: pa.Array, seed: int) -> npt.NDArray[np.uint64]:
    """Hash document ids with a seed (XXH3, 64 bits): sorted by it, documents are shuffled."""
    return _hashes(ids, b"", seed)


def in_valid(ids: pa.Array, fraction: float) -> npt.NDArray[np.bool_]:
    """Tell which documents are of the valid split, by their ids alone.

    No seed, no other document has a say; a larger fraction takes a superset.
    """
    return share(ids, _SPLIT_SALT, 0) < fraction


def share(ids: pa.Array, salt: bytes, seed: int) -> npt.NDArray[np.float64]:
    """Give each id a number in [0, 1), by a hash of its own for each `salt`."""
    high: npt.NDArray[np.float64] = (_hashes(ids, salt, seed) >> np.uint64(11)).astype(np.float64)
    return high * 2.0**-53


def _hashes(ids: pa.Array, salt: bytes, seed: int) -> npt.NDArray[np.uint64]:
    import xxhash

    digest = xxhash.xxh3_64_intdigest
    words = ids.cast(pa.binary()).fill_null(b"").to_pylist()
    return np.fromiter((digest(salt + each, seed) for each in words), np.uint64, len(ids))


def mixed(hashes: npt.NDArray[np.uint64], numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Give the pair of a hash and a number a hash of its own (splitmix64)."""
    state = hashes + _STEP * (numbers.astype(np.uint64) + np.uint64(1))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(state ^ (state >> np.uint64(31)))


def squeezed(hashes: npt.NDArray[np.uint64], fraction: float) -> npt.NDArray[np.uint64]:
    """Bring hashes closer together, in [0, `fraction`) of their range; their order stays.

    A small split then meets in few buckets, and leaves few files and partial blocks.
    """
    factor = np.uint64(min(max(int(np.ceil(fraction * 2**32)), 1), 2**32 - 1))
    low = (hashes & np.uint64(2**32 - 1)) * factor >> np.uint64(32)
    return (hashes >> np.uint64(32)) * factor + low


def order(hashes: npt.NDArray[np.uint64], tie: Callable[[int], Any]) -> npt.NDArray[np.int64]:
    """Give the rows sorted by hash, those of one hash by `tie(row)`."""
    rows = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.diff(hashes[rows], prepend=~hashes[rows[:1]]))
    ends = np.append(starts[1:], len(rows))
    for at in np.flatnonzero(ends - starts > 1):
        run = slice(starts[at], ends[at])
        rows[run] = sorted(rows[run].tolist(), key=tie)
    return rows


def gather(values: npt.NDArray[Any], offsets: _Ints, rows: _Ints) -> tuple[npt.NDArray[Any], _Ints]:
    """Take rows of a flat list column, as (values, offsets)."""
    from corpuskit.tokens import packing_kernels as kernels

    taken = np.zeros(len(rows) + 1, np.int64)
    lengths = offsets[rows + 1] - offsets[rows]
    np.cumsum(lengths, out=taken[1:])
    out = np.empty(taken[-1], values.dtype)
    kernels.copy_runs(values, offsets[rows], lengths, taken[:-1], out)
    return out, taken


def stretches(lengths: npt.NDArray[np.int64], out_tokens: int = OUT_TOKENS) -> Iterator[slice]:
    """Part documents into runs of about `out_tokens` tokens: at least one run, if only an empty one."""
    ends = np.cumsum(lengths)
    start = 0
    while True:
        before = ends[start - 1] if start else 0
        end = min(len(lengths), int(np.searchsorted(ends, before + out_tokens, "left")) + 1)
        yield slice(start, end)
        start = end
        if start >= len(lengths):
            return


def blocks(
    values: npt.NDArray[Any],
    offsets: _Ints,
    rows: _Ints,
    block_tokens: int,
    out_tokens: int = OUT_TOKENS,
    repeated: npt.NDArray[np.bool_] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Cut the concatenation of documents into blocks of `block_tokens`; at least one batch, if only an empty one.

    Columns: `input_ids`; `document_starts`, the offsets in the block at which a document begins; `drop`; with
    `repeated` (of each row) the tokens of repeated documents. Tokens that do not fill the last block are in it all the
    same: it is marked, and its places without a token are null.
    """
    ends = np.cumsum(offsets[rows + 1] - offsets[rows])
    starts = ends - (offsets[rows + 1] - offsets[rows])
    begins = starts[ends > starts]  # a document without tokens begins nowhere
    total = int(ends[-1]) if len(rows) else 0
    count = -(-total // block_tokens)
    step = max(1, out_tokens // block_tokens)
    for first in range(0, max(count, 1), step):
        last = min(first + step, count)
        low, high = first * block_tokens, min(last * block_tokens, total)
        documents = slice(np.searchsorted(ends, low, "right"), np.searchsorted(starts, high, "left"))
        stream, _ = gather(values, offsets, rows[documents])
        skip = low - int(starts[documents][0]) if high > low else 0
        inside = begins[np.searchsorted(begins, low) : np.searchsorted(begins, high)] - low
        batch = _batch(stream[skip : skip + high - low], inside, last - first, block_tokens)
        if repeated is not None:
            edges = np.minimum(np.arange(first, last + 1) * block_tokens, total)
            counts = np.diff(_before(edges, starts, ends, repeated[rows]))
            batch = batch.append_column(REPEATED, pa.array(counts.astype(np.int32)))
        yield batch


def _before(places: _Ints, starts: _Ints, ends: _Ints, repeated: npt.NDArray[np.bool_]) -> _Ints:
    """Count the tokens of repeated documents before some places of the stream."""
    if not len(ends):
        return np.zeros(len(places), np.int64)
    running = np.concatenate([[0], np.cumsum((ends - starts) * repeated)])
    at = np.searchsorted(ends, places, "left")  # the document that a place ends or lies in
    at = np.minimum(at, len(ends) - 1)
    return np.asarray(running[at] + repeated[at] * (places - starts[at]))


def cut_by_blocks(lengths: _Ints, block_tokens: int) -> int:
    """Count the documents that are cut when documents of these lengths, end to end, become blocks."""
    ends = np.cumsum(lengths)
    starts = ends - lengths
    return int(((starts // block_tokens != (ends - 1) // block_tokens) & (lengths > 0)).sum())


def _batch(stream: npt.NDArray[Any], begins: npt.NDArray[np.int64], count: int, block_tokens: int) -> pa.RecordBatch:
    """Fold a stretch of tokens into `count` blocks, the last one filled up with nulls."""
    places = count * block_tokens
    if len(stream) == places:
        ids, drop = pa.array(stream), pa.nulls(count, pa.string())
    else:
        padded = np.zeros(places, stream.dtype)
        padded[: len(stream)] = stream
        ids = pa.array(padded, mask=np.arange(places) >= len(stream))
        drop = pa.array([None] * (count - 1) + [PARTIAL], pa.string())
    edges = np.searchsorted(begins, np.arange(count + 1) * block_tokens)
    inside = (begins % block_tokens).astype(np.int32)
    return pa.RecordBatch.from_arrays(
        [pa.FixedSizeListArray.from_arrays(ids, block_tokens), lists(inside, edges), drop],
        names=["input_ids", "document_starts", DROP],
    )
