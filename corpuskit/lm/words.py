"""Plain text as word ids: one sentence a line, words by white space, as KenLM reads it.

White space is NUL, tab, carriage return and blank; nothing else (no Unicode spaces). A blank line is a sentence
without words. `<s>`, `</s>` and `<unk>` in the text are words like any other, where lmplz refuses them: the marks of
the model are ids that no word has. The text need not be valid UTF-8.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, NoInput

#: The id of the end mark of a line; words are numbered from 1 by first appearance.
END_ID = 0
_CHUNK_BYTES = 1 << 24
_LONGEST_WORD_BYTES = 1 << 26
_SPACES = b"\n\0\t\r "
_IS_SPACE = np.isin(np.arange(256, dtype=np.uint8), np.frombuffer(_SPACES, np.uint8))


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines as ids: line i is tokens[offsets[i]:offsets[i + 1]], END_ID included, and has line_bytes[i] bytes."""

    tokens: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.int64]
    line_bytes: npt.NDArray[np.int64]


def learn_lines(path: Path, chunk_bytes: int = _CHUNK_BYTES) -> tuple[Lines, list[bytes]]:
    """Read a text file, plain or gzipped, or a folder of them by name. Gives the words too; words[i] has id i + 1.

    Raises NoInput where there is none, BadData where a gzip file is damaged.
    """
    known: dict[bytes, int] = {}
    lines = _encode(_chunks(path, chunk_bytes), known, unknown=None, max_lines=None)
    return lines, list(known)


def encode_lines(path: Path, words: list[bytes], unknown: int, max_lines: int | None = None) -> Lines:
    """Read the text with known words; others get the id `unknown`. At most `max_lines` lines are read."""
    known = {word: at + 1 for at, word in enumerate(words)}
    return _encode(_chunks(path), known, unknown, max_lines)


def text_chunks(path: Path, line_bytes: npt.NDArray[np.int64]) -> Iterator[bytes]:
    """Give the text of the first len(line_bytes) lines again, joined by newlines, in chunks."""
    left = int(line_bytes.sum()) + len(line_bytes) - 1
    for chunk in _chunks(path):
        if left <= 0:
            return
        yield chunk[:left]
        left -= len(chunk)


def _encode(chunks: Iterator[bytes], known: dict[bytes, int], unknown: int | None, max_lines: int | None) -> Lines:
    tokens, lengths, sizes = [], [], []
    words_before = bytes_before = n_lines = 0  # of the line that a chunk begins in
    for chunk in chunks:
        if max_lines is not None and n_lines >= max_lines:
            break
        split, words_to, newlines = _split(chunk)
        ids = _ids(split, known, unknown)
        tokens.append(np.insert(ids, words_to, np.uint32(END_ID)))
        if len(newlines):
            counts = np.diff(words_to, prepend=-words_before) + 1
            lengths.append(counts)
            sizes.append(np.diff(newlines, prepend=-bytes_before - 1) - 1)
            words_before, bytes_before = len(ids) - int(words_to[-1]), len(chunk) - int(newlines[-1]) - 1
        else:
            words_before, bytes_before = words_before + len(ids), bytes_before + len(chunk)
        n_lines += len(newlines)
    offsets = np.zeros(n_lines + 1, np.int64)
    np.cumsum(np.concatenate([np.empty(0, np.int64), *lengths]), out=offsets[1:])
    offsets = offsets[: None if max_lines is None else max_lines + 1]
    flat = np.concatenate([np.empty(0, np.uint32), *tokens])[: offsets[-1]]
    return Lines(flat, offsets, np.concatenate([np.empty(0, np.int64), *sizes])[: len(offsets) - 1])


def _split(chunk: bytes) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Give the words of a chunk, how many come before each newline, and where the newlines are."""
    data = np.frombuffer(chunk, np.uint8)
    inside = ~_IS_SPACE[data]
    before = np.concatenate([[False], inside[:-1]])
    starts = np.flatnonzero(inside & ~before)
    ends = np.flatnonzero(before & ~inside)  # a chunk ends with white space
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    words = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(data[inside])]
    )
    newlines = np.flatnonzero(data == ord("\n"))
    return words, np.searchsorted(starts, newlines), newlines


def _ids(words: pa.Array, known: dict[bytes, int], unknown: int | None) -> npt.NDArray[np.uint32]:
    """Look words up; without an `unknown` id, new words get the next one."""
    encoded = words.dictionary_encode()
    if unknown is None:
        ids = [known.setdefault(word, len(known) + 1) for word in encoded.dictionary.to_pylist()]
    else:
        ids = [known.get(word, unknown) for word in encoded.dictionary.to_pylist()]
    found: npt.NDArray[np.uint32] = np.array(ids, np.uint32)[encoded.indices.to_numpy()]
    return found


def _chunks(path: Path, chunk_bytes: int = _CHUNK_BYTES) -> Iterator[bytes]:
    """Give the bytes of all files in chunks that end with white space; every file ends with a newline."""
    for file in _files(path):
        rest, last = b"", b"\n"
        for piece in _pieces(file, chunk_bytes):
            chunk = rest + piece
            cut = max(chunk.rfind(space) for space in _SPACES) + 1
            chunk, rest = chunk[:cut], chunk[cut:]
            if len(rest) > _LONGEST_WORD_BYTES:
                raise BadData(str(file), f"expected text, found a word of {len(rest):,} bytes", "check the file")
            if chunk:
                last = chunk[-1:]
                yield chunk
        if rest or last != b"\n":
            yield rest + b"\n"


def _pieces(file: Path, chunk_bytes: int) -> Iterator[bytes]:
    """Read a file, unpacked if it is gzip."""
    try:
        with open(file, "rb") as plain:
            zipped = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            source = gzip.GzipFile(fileobj=plain) if zipped else plain
            while piece := source.read(chunk_bytes):
                yield piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadData(str(file), f"the gzip file is damaged: {error}", "get the file anew") from None


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not files:
        raise NoInput(str(path), "expected a text file or a folder of them, found none", "check the path")
    return files
