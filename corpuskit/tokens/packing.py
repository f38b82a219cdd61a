"""Order documents by hash, part them into splits, and cut their tokens into blocks of one length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.schema import DROP
from corpuskit.tokens.columns import lists

#: The reason that marks the last block of a split, where tokens do not fill it.
PARTIAL = "partial_block"

# Held at a time on the way out; what is written does not depend on the size of the input's batches.
_OUT_TOKENS = 1 << 22
# The split has a hash of its own: another shuffle does not move documents between train and valid.
_SPLIT_SALT = b"corpuskit split\0"


def keys(ids: pa.Array, seed: int) -> npt.NDArray[np.uint64]:
    """Hash document ids with a seed (XXH3, 64 bits): sorted by it, documents are shuffled."""
    return _hashes(ids, b"", seed)


def in_valid(ids: pa.Array, fraction: float) -> npt.NDArray[np.bool_]:
    """Tell which documents are of the valid split, by their ids alone.

    No seed, no other document has a say; a larger fraction takes a superset.
    """
    chosen: npt.NDArray[np.bool_] = (_hashes(ids, _SPLIT_SALT, 0) >> np.uint64(11)) * 2.0**-53 < fraction
    return chosen


def _hashes(ids: pa.Array, salt: bytes, seed: int) -> npt.NDArray[np.uint64]:
    import xxhash

    digest = xxhash.xxh3_64_intdigest
    return np.fromiter((digest(salt + (each or "").encode(), seed) for each in ids.to_pylist()), np.uint64, len(ids))


def order(hashes: npt.NDArray[np.uint64], tie: Callable[[int], Any]) -> npt.NDArray[np.int64]:
    """Give the rows sorted by hash, those of one hash by `tie(row)`."""
    rows = np.argsort(hashes, kind="stable")
    starts = np.flatnonzero(np.diff(hashes[rows], prepend=~hashes[rows[:1]]))
    ends = np.append(starts[1:], len(rows))
    for at in np.flatnonzero(ends - starts > 1):
        run = slice(starts[at], ends[at])
        rows[run] = sorted(rows[run].tolist(), key=tie)
    return rows


def gather(
    values: npt.NDArray[Any], offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Take rows of a flat list column, as (values, offsets)."""
    parts = [values[start:end] for start, end in zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True)]
    taken = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(offsets[rows + 1] - offsets[rows], out=taken[1:])
    return np.concatenate([values[:0], *parts]), taken


def stretches(lengths: npt.NDArray[np.int64], out_tokens: int = _OUT_TOKENS) -> Iterator[slice]:
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
    offsets: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    block_tokens: int,
    out_tokens: int = _OUT_TOKENS,
) -> Iterator[pa.RecordBatch]:
    """Cut the concatenation of documents into blocks of `block_tokens`; at least one batch, if only an empty one.

    Columns: `input_ids`; `document_starts`, the offsets in the block at which a document begins; `drop`. Tokens that
    do not fill the last block are in it all the same: it is marked, and its places without a token are null.
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
        yield _batch(stream[skip : skip + high - low], inside, last - first, block_tokens)


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
