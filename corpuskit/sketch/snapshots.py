"""Make a snapshot of the index out of the work tables of a dedup run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.sketch import index
from corpuskit.sketch.candidates import Sets, packed

_PART = 4096  # documents written at a time


def add_snapshot(
    folder: str,
    about: Mapping[str, Any],
    earlier: index.Index | None,
    entries: pa.Table,
    standing: pa.Table,
    sketches: pa.Table,
) -> None:
    """Add what a run has kept to the index, in the order in which it was taken, with the bands in which it stands."""
    documents, ranks = standing["document"].to_numpy(), standing["rank"].to_numpy()
    stays = standing["stays"].to_numpy()
    order = np.argsort(ranks)
    kept = order[stays[order] == documents[order]]  # rows of `standing`, and of `sketches`, by rank
    number = np.full(len(documents), 0, np.uint32)
    number[kept] = np.arange(len(kept), dtype=np.uint32)
    foreign = np.unique(stays[stays & index.INDEXED != 0])

    def numbers(codes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
        found = (len(kept) + np.searchsorted(foreign, codes)).astype(np.uint32)
        own = codes & index.INDEXED == 0
        found[own] = number[np.searchsorted(documents, codes[own])]
        return found

    digests = packed(sketches["digest"])
    first = order[np.unique(digests[order], return_index=True)[1]]  # of each text, by rank
    texts = index.Texts(
        digests[first],
        numbers(stays[first]),
        standing["similarity"].to_numpy()[first],
        standing["copy"].to_numpy()[first],
    )
    of = [(earlier.token_of(code), code & int(index.ROWS)) for code in foreign.tolist()] if earlier else []
    pieces = ((batch["band"].to_numpy(), numbers(batch["stays"].to_numpy())) for batch in entries.to_batches())
    index.add(folder, str(about["name"]), about, _kept(sketches, kept), pieces, of, texts)


def _kept(
    sketches: pa.Table, rows: npt.NDArray[np.int64]
) -> Iterator[tuple[pa.Array, npt.NDArray[np.uint32], npt.NDArray[np.int64]]]:
    """Give ids, sets and their sizes of rows, part by part."""
    ends = np.cumsum([len(chunk) for chunk in sketches["id"].chunks])
    begins = np.concatenate([[0], ends])
    sets = Sets(sketches["shingles"])
    for start in range(0, len(rows), _PART):
        part = rows[start : start + _PART]
        chunks = np.searchsorted(ends, part, side="right").astype(np.int32)
        inner = (part - begins[chunks]).astype(np.int32)
        pieces = sets.pieces(chunks, inner)
        sizes = np.array([len(piece) for piece in pieces], np.int64)
        yield sketches["id"].take(pa.array(part)).combine_chunks(), np.concatenate(pieces), sizes
