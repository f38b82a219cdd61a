"""What holds for tokens and blocks, checked on values: the first row of each kind that is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.schema import PADDING, REPEATED, token_type
from corpuskit.tokens.bpe import TextTokenizer
from corpuskit.tokens.columns import flatten
from corpuskit.tokens.sequences import is_real

#: A row of the batch, and what is wrong with it: expected, found.
Wrong = tuple[int, str]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]
_CUT_IDS = 32
# White space of all kinds, contractions, marks, scripts, controls: what a tokenizer that loses anything loses first.
_TRIAL = (
    "  A b\t\tc \n\n d\r\n",
    "I'm naïve e\u0301 İı ﬁ ½ 漢字 한국어 हिन्दी عربى",
    "👩\u200d👧 \ufeff\x00\x07 a  .",
    "",
)


def wrong_type(kind: pa.DataType, vocab_size: int) -> str | None:
    """Say what is wrong with the type of a column of ids, for a vocabulary of that size."""
    wanted, found = token_type(vocab_size), kind.value_type
    if found == wanted:
        return None
    return f"expected ids of {wanted} for a vocabulary of {vocab_size:,} entries, found {found}"


def wrong_ids(batch: pa.RecordBatch, vocab_size: int) -> Iterator[Wrong]:
    """Find an id that the vocabulary does not have, or none at all where one should be."""
    values, offsets = _ids(batch)
    column = batch.column("input_ids")
    if column.null_count or column.flatten().null_count:
        missing = [row for row, ids in enumerate(column.to_pylist()) if ids is None or None in ids]
        yield missing[0], "expected ids, found a place without one"
    elif len(values) and int(values.max()) >= vocab_size:
        at = int(np.argmax(values >= vocab_size))
        yield _row(offsets, at), f"expected ids below {vocab_size:,}, found {int(values[at]):,}"


def wrong_documents(batch: pa.RecordBatch, end_id: int) -> Iterator[Wrong]:
    """Find a document that has not exactly one end mark, at its end."""
    values, offsets = _ids(batch)
    ends = np.flatnonzero(values == end_id)
    counts = np.bincount(np.searchsorted(offsets, ends, "right") - 1, minlength=batch.num_rows)
    last = np.zeros(batch.num_rows, np.bool_)
    full = np.diff(offsets) > 0
    last[full] = values[offsets[1:][full] - 1] == end_id
    if not last.all():
        row = int(np.argmin(last))
        found = f"{int(values[offsets[row + 1] - 1])}" if full[row] else "no token"
        yield row, f"expected the end mark (id {end_id}) at the end of the document, found {found}"
    elif (counts != 1).any():
        row = int(np.argmax(counts != 1))
        yield row, f"expected one end mark (id {end_id}) in the document, found {int(counts[row])}"


@dataclass(frozen=True, slots=True)
class Edges:
    """Of the places [blocks, L] of a batch: where documents begin, where they end, and where tokens are."""

    starts: _Bools
    ends: _Bools
    real: _Bools


def wrong_starts(batch: pa.RecordBatch) -> Iterator[Wrong]:
    """Find `document_starts` that do not rise, or lie outside of the block's tokens; or impossible padding."""
    length = batch.column("input_ids").type.list_size
    padding = _padding(batch)
    outside = (padding < 0) | (padding >= length)
    if outside.any():
        row = int(np.argmax(outside))
        yield row, f"expected padding of 0 to {length - 1} places, found {int(padding[row])}"
        return
    starts, offsets = flatten(pa.chunked_array([batch.column("document_starts")]))
    rows = np.repeat(np.arange(batch.num_rows), np.diff(offsets))
    tokens = length - padding[rows]
    rising = np.ones(len(starts), np.bool_)
    rising[1:] = (np.diff(starts) > 0) | (np.diff(rows) > 0)
    bad = ~rising | (starts < 0) | (starts >= tokens)
    if bad.any():
        at = int(np.argmax(bad))
        row = int(rows[at])
        found = starts[offsets[row] : offsets[row + 1]].tolist()
        yield row, f"expected document_starts that rise from 0 to below {int(tokens[at])}, found {found[:12]}"
    if REPEATED in batch.schema.names:
        repeated = batch.column(REPEATED).to_numpy()
        bad = (repeated < 0) | (repeated > length - padding)
        if bad.any():
            row = int(np.argmax(bad))
            yield row, f"expected at most {int(length - padding[row])} repeated tokens, found {int(repeated[row])}"


def edges(batch: pa.RecordBatch, end_id: int) -> Edges:
    """Give where documents begin and end in blocks whose `document_starts` are right."""
    length = batch.column("input_ids").type.list_size
    ids = _ids(batch)[0].reshape(-1, length)
    starts, offsets = flatten(pa.chunked_array([batch.column("document_starts")]))
    begins = np.zeros(ids.shape, np.bool_)
    begins[np.repeat(np.arange(len(ids)), np.diff(offsets)), starts] = True
    real = is_real(_padding(batch), length)
    return Edges(begins, (ids == end_id) & real, real)


def wrong_edges(batch: pa.RecordBatch, found: Edges, end_id: int, ended: bool | None = None) -> Iterator[Wrong]:
    """Find an end mark that no document begins after, a document that no end mark comes before, or odd padding.

    Blocks without padding go on into each other; `ended` tells whether the one before the batch, where there is one,
    ends with a document.
    """
    length = found.real.shape[1]
    lonely = found.starts[:, 1:] & ~found.ends[:, :-1]
    if lonely.any():
        row, at = divmod(int(np.argmax(lonely)), length - 1)
        yield row, f"expected an end mark (id {end_id}) before the document that begins at {at + 1}, found none"
    elif PADDING in batch.schema.names:
        yield from _wrong_padding(_ids(batch)[0].reshape(-1, length), found, end_id)
    else:
        yield from _wrong_seams(found, ended)
    silent = found.ends[:, :-1] & found.real[:, 1:] & ~found.starts[:, 1:]
    if silent.any():
        row, at = divmod(int(np.argmax(silent)), length - 1)
        yield row, f"expected a document to begin at {at + 1}, after an end mark; document_starts do not say so"


def _wrong_padding(ids: npt.NDArray[Any], found: Edges, end_id: int) -> Iterator[Wrong]:
    """Find padding that is no end mark, that cuts a document, or a block that begins with nothing."""
    odd = ~found.real & (ids != end_id)
    cut = ~found.real[:, 1:] & found.real[:, :-1] & ~found.ends[:, :-1]
    if odd.any():
        row, at = divmod(int(np.argmax(odd)), odd.shape[1])
        yield row, f"expected padding with the end mark (id {end_id}), found {int(ids[row, at])} at {at}"
    elif cut.any():
        row, at = divmod(int(np.argmax(cut)), cut.shape[1])
        yield row, f"expected an end mark (id {end_id}) before the padding, found {int(ids[row, at])} at {at}"
    elif not found.starts[:, 0].all():
        yield int(np.argmin(found.starts[:, 0])), "expected a document, or a piece of one, to begin at 0, found none"


def _wrong_seams(found: Edges, ended: bool | None) -> Iterator[Wrong]:
    """Find a block that does not begin as the one before it ends."""
    if not len(found.ends):
        return
    first = found.starts[0, 0] if ended is None else ended
    wrong = np.concatenate([[first], found.ends[:-1, -1]]) != found.starts[:, 0]
    if wrong.any():
        row = int(np.argmax(wrong))
        wanted, got = ("to begin", "goes on") if not found.starts[row, 0] else ("to go on", "begins")
        yield row, f"expected a document {wanted} with the block, as the one before it ends; found that one {got}"


def whole_documents(ids: npt.NDArray[Any], found: Edges, row: int) -> Iterator[npt.NDArray[Any]]:
    """Give the documents that lie in one block from beginning to end mark, without the mark."""
    ends = np.flatnonzero(found.ends[row])
    for start in np.flatnonzero(found.starts[row]):
        at = int(np.searchsorted(ends, start))
        following = found.starts[row, start + 1 : ends[at] + 1].any() if at < len(ends) else True
        if not following:
            yield ids[start : ends[at]]


def is_lossless(tokenizer: TextTokenizer) -> bool:
    """Tell by a trial whether decoding gives back any text, as byte-level tokenizers do."""
    ids, offsets = tokenizer.encode(_TRIAL)
    return all(tokenizer.decode(ids[offsets[at] : offsets[at + 1]]) == text for at, text in enumerate(_TRIAL))


def wrong_text(
    ids: npt.NDArray[Any], tokenizer: TextTokenizer, size: int | None = None, text: str | None = None
) -> str | None:
    """Decode a document of a lossless tokenizer (ids without the end mark) and hold it against all that is known.

    That is its length in UTF-8 bytes and its text, where given, and in any case the ids, which encoding gives again.
    """
    found = tokenizer.decode(ids)
    if text is not None and found != text:
        at = next((at for at, (one, other) in enumerate(zip(found, text, strict=False)) if one != other), len(found))
        return (
            f"expected the document's text, {text[at : at + 40]!r} at character {at:,}, found {found[at : at + 40]!r}"
        )
    n_bytes = len(found.encode("utf-8", "surrogatepass"))
    if size is not None and n_bytes != size:
        return f"expected a text of {size:,} bytes, as the column `bytes` says, found {n_bytes:,}"
    again, _ = tokenizer.encode([found])
    if len(again) != len(ids) or (again != ids).any():
        both = min(len(again), len(ids))
        differ = np.flatnonzero(again[:both] != ids[:both])
        at = int(differ[0]) if len(differ) else both
        shown = [each[at : at + 4].tolist() for each in (again, ids)]
        return f"expected the ids of the text {found[:40]!r}: {shown[0]} at {at:,}, found {shown[1]}"
    return None


def wrong_piece(ids: npt.NDArray[Any], tokenizer: TextTokenizer) -> str | None:
    """Decode and encode what may be the rest of a document that was cut, perhaps inside of a word.

    There the ids of the text may begin otherwise, so up to `_CUT_IDS` of them may be left out at the beginning.
    """
    problem = wrong_text(ids, tokenizer)
    later = range(1, min(_CUT_IDS, len(ids)) + 1) if problem is not None else ()
    return None if any(wrong_text(ids[at:], tokenizer) is None for at in later) else problem


def _ids(batch: pa.RecordBatch) -> tuple[npt.NDArray[Any], _Ints]:
    return flatten(pa.chunked_array([batch.column("input_ids")]))


def _padding(batch: pa.RecordBatch) -> _Ints:
    if PADDING not in batch.schema.names:
        return np.zeros(batch.num_rows, np.int64)
    return np.asarray(batch.column(PADDING).fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def _row(offsets: _Ints, at: int) -> int:
    return int(np.searchsorted(offsets, at, "right")) - 1
