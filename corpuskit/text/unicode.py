"""Look at UTF-8 columns as bytes, and decode what may be none."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

#: One more than the largest code point.
CODE_POINTS = 0x110000


def utf8(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Give a string column as (data, offsets): text i is data[offsets[i]:offsets[i + 1]]; null reads as empty.

    The data is Arrow's own buffer, marked as not to be written to whether it could be or not: loops are compiled, and
    loaded, for one type.
    """
    if column.null_count:
        column = column.fill_null("")
    if not pa.types.is_large_string(column.type):
        column = column.cast(pa.string())
    wide = pa.types.is_large_string(column.type)
    _, offsets, data = column.buffers()
    nothing = np.empty(0, np.uint8)
    nothing.flags.writeable = False
    if offsets is None or not len(column):
        return nothing, np.zeros(len(column) + 1, np.int64)
    all_offsets = np.frombuffer(offsets, np.int64 if wide else np.int32)
    found = all_offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)
    if data is None or not data.size:
        return nothing, found
    seen = np.frombuffer(data, np.uint8)
    seen.flags.writeable = False
    return seen, found


def decoded(column: pa.Array) -> tuple[list[str], list[int]]:
    """Give the texts of a column, null as the empty string, and the rows whose bytes are not UTF-8.

    In those rows U+FFFD stands for what cannot be decoded.
    """
    try:
        return [text or "" for text in column.to_pylist()], []
    except UnicodeDecodeError:
        pass
    texts, bad = [], []
    data, offsets = utf8(column)
    for row, (start, stop) in enumerate(itertools.pairwise(offsets)):
        raw = data[start:stop].tobytes()
        text = raw.decode(errors="replace")
        if text.encode() != raw:
            bad.append(row)
        texts.append(text)
    return texts, bad


def not_utf8(column: pa.Array) -> list[int]:
    """Give the rows whose bytes are not UTF-8; fast where there are none."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return decoded(column)[1]
    return []
