"""Read a file's bytes, decompressed as a stream, and know whether they came whole.

Python's readers and raw decompressor objects are silent about a good part of what can go wrong: bz2 ignores what
follows the last stream, raw objects say nothing about a missing end, python-zstandard's reader returns what it has.
`ByteStream` says it: `problem` is None only when every compressed member ended as its format wants and nothing but
zero padding followed. A file cut exactly between two members looks whole to any reader: only its content can tell.

Behind a damage gzip and bz2 go on at the next member. No bz2 stream is fed bytes from behind the beginning of the
next one, so what comes out of it depends on its own bytes alone: a file read in parts gives what it gives as a whole.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import lzma
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

from isal import isal_zlib

from corpuskit.formats.bz2_blocks import decompressed
from corpuskit.formats.bz2_regions import CHUNK_BYTES, Bz2Regions
from corpuskit.formats.threads import in_order
from corpuskit.text.threads import thread_count

#: A second thread decompresses it, which takes longer than what is done with the bytes, but not for a mere look.
_SLOW, _PIECES_BEFORE_AHEAD = "xz", 4
_PIECE_BYTES = 1 << 20  # the most that one step decompresses (zstd has no such bound: see _Zstd)
_XZ_MEMORY_BYTES = 1 << 29

#: The first bytes of a compressed member.
_MAGIC = {
    "gzip": (b"\x1f\x8b\x08",),
    "bz2": tuple(b"BZh%d" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\x00",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([low]) + b"\x2a\x4d\x18" for low in range(0x50, 0x60))),
}
_LONGEST_MAGIC = 6

#: What `ByteStream.problem` can be.
PROBLEMS = {
    "truncated": "the file ends in the middle: what came before the cut is kept",
    "corrupt": "the compressed data is damaged: what came before the damage is kept",
    "trailing_garbage": "bytes that are no part of the archive follow its end",
}


class _Gzip:
    """ISA-L's object, which inflates at twice zlib's rate, with the manners of bz2's."""

    def __init__(self) -> None:
        self._object = isal_zlib.decompressobj(31)
        self.needs_input = True
        self.fed = b""  # what the last call was given

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self.fed = data or self._object.unconsumed_tail
        piece = self._object.decompress(self.fed, max_length)
        self.needs_input = not self._object.unconsumed_tail
        return piece


class _Zstd:
    """zstandard's object with the manners of bz2's.

    It has no bound on its output, so it is fed little: a block of 4 bytes gives at most 128 KiB, 512 bytes 16 MiB.
    """

    _FEED_BYTES = 512

    def __init__(self) -> None:
        import zstandard

        self._object = zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj()
        self._waiting = memoryview(b"")
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data) + bytes(self._waiting)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._waiting = memoryview(data)
        feed, self._waiting = self._waiting[: self._FEED_BYTES], self._waiting[self._FEED_BYTES :]
        piece: bytes = self._object.decompress(feed)
        self.needs_input = not self._waiting
        return piece


_MEMBERS: dict[str, Callable[[], Any]] = {
    "gzip": _Gzip,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES),
    "zstd": _Zstd,
}


@dataclass(frozen=True, slots=True)
class _Stop:
    """Data that is damaged: which of PROBLEMS, between which bytes of the file, whether reading may go on behind."""

    problem: str
    damage: tuple[int, int] | None = None
    goes_on: bool = False


class ByteStream:
    """The decompressed bytes of a file: gzip, bz2, xz and zstd are told by their first bytes.

    `compression` names the format or is None, `position` counts the bytes handed out. `problem` is one of
    `PROBLEMS` or None; it is final once `read` has returned b"" and `resume` False. Of bz2 `damage` tells between
    which bytes of the file the last problem lies. `base` is where in the file `raw` begins; with `part`, `raw` ends
    where another bz2 stream begins.
    """

    def __init__(self, raw: BinaryIO, *, base: int = 0, part: bool = False) -> None:
        self._raw = raw
        self._base, self._part = base, part
        self._head = raw.read(CHUNK_BYTES)
        self.compression = next((name for name, magic in _MAGIC.items() if self._head.startswith(magic)), None)
        self.problem: str | None = None
        self.damage: tuple[int, int] | None = None
        self.position = 0
        self._held, self._at = b"", 0
        self._broken = False
        self._taken = 0
        self._pieces: Iterator[bytes | _Stop]
        if self.compression is None:
            self._pieces = self._plain()
        elif self.compression == "bz2":
            self._pieces = self._bz2_streams()
        else:
            self._pieces = self._members(self.compression)

    def read(self, size: int = _PIECE_BYTES) -> bytes:
        """Give the next bytes, at most `size`; b"" at the end, or where the data is damaged (see `resume`)."""
        if self._at == len(self._held) and not self._broken:
            self._held, self._at = self._next(), 0
        piece = self._held[self._at : self._at + size]
        self._at += len(piece)
        self.position += len(piece)
        return piece

    def peek(self, size: int) -> bytes:
        """Give the first `size` bytes without taking them, or fewer where the file is shorter."""
        pieces = [self._held[self._at :]]
        have = len(pieces[0])
        while have < size and not self._broken:
            piece = self._next()
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        self._held, self._at = b"".join(pieces), 0
        return self._held[:size]

    def resume(self) -> bool:
        """Go on behind a damage, at the next gzip member or bz2 stream; False where there is nothing to go on with.

        The bytes before and after do not join. `problem` is then about what comes, which may be damaged at once.
        """
        if not self._broken:
            return False
        self._broken, self.problem = False, None
        self._held, self._at = self._next(), 0
        return bool(self._held) or self.problem is not None

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._pieces, Generator):
            self._pieces.close()
        self._raw.close()

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self) -> bytes:
        """Give the next non-empty piece; b"" at the end and at a break."""
        if self._taken == _PIECES_BEFORE_AHEAD and self.compression == _SLOW and thread_count() > 1:
            self._pieces = _ahead_of(self._pieces)
        self._taken += 1
        for piece in self._pieces:
            if isinstance(piece, _Stop):
                self.problem, self.damage, self._broken = piece.problem, piece.damage, piece.goes_on
                return b""
            if piece:
                return piece
        return b""

    def _plain(self) -> Iterator[bytes | _Stop]:
        yield self._head
        while data := self._raw.read(CHUNK_BYTES):
            yield data

    def _members(self, compression: str) -> Iterator[bytes | _Stop]:
        """Decompress member after member."""
        data, member = self._head, _MEMBERS[compression]()
        errors = _errors()
        while True:
            while not member.eof:
                if member.needs_input and not data and not (data := self._raw.read(CHUNK_BYTES)):
                    yield _Stop("truncated")
                    return
                try:
                    piece = member.decompress(data, _PIECE_BYTES)
                except errors:
                    break
                data = b""
                yield piece
            if member.eof:
                data = member.unused_data
            else:
                yield _Stop("corrupt", goes_on=compression == "gzip")
                if compression != "gzip":
                    return
                data = self._next_member(member.fed[1:])
            data = self._behind_padding(data)
            if not data:
                return
            if not data.startswith(_MAGIC[compression]):
                yield _Stop("trailing_garbage")
                return
            member = _MEMBERS[compression]()

    def _bz2_streams(self) -> Generator[bytes | _Stop, None, None]:
        """Decompress stream after stream, each by its blocks."""
        made = decompressed(Bz2Regions(self._raw, self._head, self._base), part=self._part)
        with contextlib.closing(made):
            for piece in made:
                if isinstance(piece, bytes):
                    yield piece
                else:
                    problem, region = piece
                    yield _Stop(problem, (region.start, region.end), goes_on=region.more)

    def _behind_padding(self, data: bytes) -> bytes:
        """Skip zero bytes, which tapes and xz leave between members; give what follows, enough of it to be told."""
        data = data.lstrip(b"\0")
        while len(data) < _LONGEST_MAGIC and (more := self._raw.read(CHUNK_BYTES)):
            data = (data + more).lstrip(b"\0")
        return data

    def _next_member(self, data: bytes) -> bytes:
        """Find the next gzip member that decompresses at all; give the bytes from there on."""
        while True:
            at = data.find(b"\x1f\x8b\x08")
            if at < 0:
                more = self._raw.read(CHUNK_BYTES)
                if not more:
                    return b""
                data = data[-2:] + more
                continue
            data = data[at:]
            if len(data) < 4096:
                data += self._raw.read(CHUNK_BYTES)
            try:
                if zlib.decompressobj(31).decompress(data[:4096], 4096):
                    return data
            except zlib.error:
                pass
            data = data[1:]


def _ahead_of(pieces: Iterator[bytes | _Stop]) -> Generator[bytes | _Stop, None, None]:
    made = in_order(lambda _: next(pieces, None), itertools.repeat(0), workers=1, ahead=4)
    with contextlib.closing(made):
        for piece in made:
            if piece is None:
                return
            yield piece


def _errors() -> tuple[type[BaseException], ...]:
    import sys

    zstandard = sys.modules.get("zstandard")  # imported only where a zstd file was met
    extra = (zstandard.ZstdError,) if zstandard else ()
    return (zlib.error, isal_zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, *extra)


class _Section(io.RawIOBase):
    """A file from its present position up to `end`."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._end - self._file.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def close(self) -> None:
        self._file.close()
        super().close()


def open_bytes(path: Path, start: int = 0, end: int | None = None) -> ByteStream:
    """Open a file as a stream of decompressed bytes. Raises OSError where it cannot be opened.

    `start` and `end` cut a part out of it, which begins and ends where bz2 streams begin; without `end` it reaches to
    the end of the file.
    """
    file = path.open("rb")
    file.seek(start)
    if end is None:
        return ByteStream(file, base=start)
    return ByteStream(cast("BinaryIO", _Section(file, end)), base=start, part=True)
