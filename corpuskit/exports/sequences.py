"""Tokens of tables as flat arrays, for formats that hold nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, UsageError
from corpuskit.exports import Given
from corpuskit.tokens.columns import flatten
from corpuskit.tokens.sequences import of_blocks

Ints = npt.NDArray[np.int64]
_PIECE_TOKENS = 1 << 22


def stream(table: pa.Table) -> Iterator[npt.NDArray[Any]]:
    """Give all tokens in order, without padding, in arrays of a few million; ids as wide as the table has them."""
    for values, _ in pieces(table):
        yield values


def pieces(table: pa.Table) -> Iterator[tuple[npt.NDArray[Any], Ints]]:
    """Give (tokens, starts): the tokens in order, without padding, and where in the array documents begin.

    Of blocks, what begins before an array goes on in it, but for blocks with padding, each of which begins anew; of
    tokens, every row is a document.
    """
    column = table.schema.get_field_index("input_ids")
    fixed = pa.types.is_fixed_size_list(table.schema.field(column).type)
    for batch in table.to_batches():
        for start, rows in _cut(batch, fixed):
            part = batch.slice(start, rows)
            if fixed:
                yield of_blocks(part)
            else:
                values, offsets = flatten(pa.chunked_array([part.column(column)]))
                yield values, offsets[:-1][np.diff(offsets) > 0]


def _cut(batch: pa.RecordBatch, fixed: bool) -> Iterator[tuple[int, int]]:
    """Cut a batch into (first row, rows) of about `_PIECE_TOKENS` tokens."""
    column = batch.column("input_ids")
    if fixed:
        step = max(1, _PIECE_TOKENS // column.type.list_size)
        yield from ((at, min(step, batch.num_rows - at)) for at in range(0, batch.num_rows, step))
        return
    offsets, at = column.offsets.to_numpy().astype(np.int64), 0
    while at < batch.num_rows:
        end = max(at + 1, int(np.searchsorted(offsets, offsets[at] + _PIECE_TOKENS, "right")) - 1)
        yield at, end - at
        at = end


class Documents:
    """Lengths of documents, gathered from `pieces` one after the other."""

    def __init__(self) -> None:
        self._starts: list[Ints] = []
        self.tokens = 0

    def add(self, values: npt.NDArray[Any], starts: Ints) -> None:
        """Take the next array of `pieces`."""
        self._starts.append(starts.astype(np.int64) + self.tokens)
        self.tokens += len(values)

    def lengths(self) -> Ints:
        """Give the tokens of every document; tokens before the first start are one, too."""
        starts = np.concatenate([np.empty(0, np.int64), *self._starts])
        if self.tokens and (not len(starts) or starts[0]):
            starts = np.concatenate([[0], starts])
        return np.diff(starts, append=self.tokens)


def vocab_size(given: Given) -> int:
    """Give the entries of the vocabulary: the tokenizer's, without one what the width of the ids allows."""
    if given.tokenizer is not None:
        from corpuskit.tokens import bpe

        return bpe.load(given.tokenizer).vocab_size
    kind = next(iter(given.splits.values())).schema.field("input_ids").type.value_type
    return 1 << int(kind.bit_width)


def end_id(given: Given) -> int | None:
    """Give the id of the end-of-document mark, where a tokenizer tells it."""
    if given.tokenizer is None:
        return None
    from corpuskit.tokens import bpe

    return bpe.load(given.tokenizer).end_id


def narrow(values: npt.NDArray[Any], dtype: Any) -> npt.NDArray[Any]:
    """Give ids another width. Raises BadData where one does not fit."""
    limit = np.iinfo(dtype).max
    if np.iinfo(values.dtype).max > limit and len(values) and int(values.max()) > limit:
        raise BadData("export", f"id {int(values.max())} does not fit {np.dtype(dtype)}", "run `corpuskit verify`")
    return values.astype(dtype, copy=False)


def need_uint16(given: Given, name: str, instead: str) -> None:
    """Raise UsageError where ids may need more than 16 bits."""
    entries = vocab_size(given)
    if entries > 1 << 16:
        raise UsageError(
            "export", f"--format {name} holds ids of 16 bits, the vocabulary has {entries:,} entries", f"take {instead}"
        )
