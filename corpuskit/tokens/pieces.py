"""Cut long texts where no id changes, and gather ids in memory that grows in place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.text.unicode import decoded, utf8

# Where patterns always end a word, whatever comes before and after: GPT-2's, and those of Llama 3 and its kind, which
# take line feeds to the punctuation before them.
GPT2, LLAMA3 = re.compile(r"(?<=\S)[ \n]"), re.compile(r"(?<=\S) ")
#: Texts of more bytes stay bytes: as one string they would take one to four times as much again.
LONG_BYTES = 1 << 22
_WINDOW = 1 << 16
_FIRST_IDS = 1 << 16

#: A text: a string, or the bytes of its UTF-8.
Text = str | memoryview


def texts_of(column: pa.Array) -> tuple[list[Text], list[int]]:
    """Give the texts of a string column, null as the empty string, and the rows whose bytes are not UTF-8.

    Long ones are views of Arrow's buffer.
    """
    data, offsets = utf8(column)
    long = np.flatnonzero(np.diff(offsets) > LONG_BYTES)
    if not len(long):
        found, bad = decoded(column)
        return list(found), bad
    texts: list[Text] = []
    undecodable: list[int] = []
    start = 0
    for row in [*long.tolist(), len(column)]:
        found, bad = decoded(column.slice(start, row - start))
        texts += found
        undecodable += [start + at for at in bad]
        if row < len(column):
            view = data[offsets[row] : offsets[row + 1]].data
            whole = _valid(column.slice(row, 1))
            undecodable += [] if whole else [row]
            texts.append(view if whole else "")
        start = row + 1
    return texts, undecodable


def _valid(column: pa.Array) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def cut(text: Text, chunk_chars: int, where: re.Pattern[str] | None) -> Iterator[str]:
    """Cut a text into pieces of about `chunk_chars` characters where a pattern ends a word in any case.

    That is before a space (for GPT-2 a line feed too) that follows what is no white space: no word goes over it, and
    patterns never look further ahead than over white space. A text in bytes is cut by its bytes. Without `where` a
    text is one piece.
    """
    if where is None:
        yield text if isinstance(text, str) else str(text, "utf-8")
    elif isinstance(text, str):
        start = 0
        while len(text) - start > chunk_chars:
            found = where.search(text, start + chunk_chars)
            if found is None:
                break
            yield text[start : found.start()]
            start = found.start()
        yield text[start:] if start else text
    else:
        yield from _cut_bytes(text, chunk_chars, where)


def _cut_bytes(text: memoryview, chunk_bytes: int, where: re.Pattern[str]) -> Iterator[str]:
    start, window = 0, _WINDOW
    while len(text) - start > chunk_bytes:
        middle = _boundary(text, start + chunk_bytes)
        end = _boundary(text, middle + window)
        before = _boundary(text, middle - 4) if middle - 4 > start else start  # what the pattern looks back at
        ahead = str(text[before:end], "utf-8")
        found = where.search(ahead, len(str(text[before:middle], "utf-8")))
        if found is None:
            if end == len(text):
                break
            window *= 2
            continue
        stop = before + len(ahead[: found.start()].encode())
        yield str(text[start:stop], "utf-8")
        start, window = stop, _WINDOW
    yield str(text[start:], "utf-8")


def _boundary(text: memoryview, at: int) -> int:
    """Give where the character begins that byte `at` belongs to."""
    if at >= len(text):
        return len(text)
    while text[at] & 0xC0 == 0x80:
        at -= 1
    return at


def grouped(
    texts: Sequence[Text], chunk_chars: int, where: re.Pattern[str] | None
) -> Iterator[tuple[list[str], list[int]]]:
    """Group texts, long ones in pieces, into lists of about `chunk_chars` characters, with the text that each is of."""
    pieces: list[str] = []
    owners: list[int] = []
    chars = 0
    for owner, text in enumerate(texts):
        for piece in cut(text, chunk_chars, where):
            if pieces and chars + len(piece) > chunk_chars:
                yield pieces, owners
                pieces, owners, chars = [], [], 0
            pieces.append(piece)
            owners.append(owner)
            chars += len(piece)
    if pieces:
        yield pieces, owners


class Grown:
    """Ids that are gathered in one array: what it grows by is not copied where the system can map it anew."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._room = np.empty(_FIRST_IDS, dtype)
        self._used = 0

    def append(self, ids: npt.NDArray[Any]) -> None:
        """Put ids at the end."""
        if self._used + len(ids) > len(self._room):
            self._room.resize(max(self._used + len(ids), len(self._room) * 3 // 2), refcheck=False)
        self._room[self._used : self._used + len(ids)] = ids
        self._used += len(ids)

    def taken(self) -> npt.NDArray[Any]:
        """Give all of them; nothing may be put to the end after it."""
        return self._room[: self._used]
