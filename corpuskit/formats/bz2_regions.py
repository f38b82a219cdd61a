"""Find where bz2 streams begin, which is where reading may go on behind a damage."""

from __future__ import annotations

from typing import BinaryIO

CHUNK_BYTES = 65_536
BZ2_MAGIC_BYTES = 10


class Bz2Regions:
    """The raw bytes of a bz2 file, in regions that begin where a stream with data begins.

    The pieces of a region are of one size, counted from its beginning, and never reach into the next one.
    """

    def __init__(self, raw: BinaryIO, head: bytes, base: int) -> None:
        self._raw, self._data, self._at = raw, head, 0
        self._base = base  # where in the file `_data` begins
        self._fresh = True  # at the beginning of a region
        self._over = False
        self.start = base
        self.more = False  # another region follows

    @property
    def offset(self) -> int:
        """Where in the file the next piece begins."""
        return self._base + self._at

    def piece(self) -> bytes:
        """Give the next piece of the region; b"" at its end."""
        if self.more:
            return b""
        while not self._over and len(self._data) - self._at < CHUNK_BYTES + BZ2_MAGIC_BYTES:
            more = self._raw.read(CHUNK_BYTES)
            self._over = not more
            self._base += self._at
            self._data, self._at = self._data[self._at :] + more, 0
        bound = min(self._at + CHUNK_BYTES, len(self._data))
        end = find_bz2(self._data, self._at + self._fresh, bound)
        self.more = end is not None
        piece = self._data[self._at : bound if end is None else end]
        self._at += len(piece)
        self._fresh = False
        return piece

    def advance(self) -> bool:
        """Go to the next region, from wherever in this one; False at the end of the file."""
        while not self.more and self.piece():
            pass
        if not self.more:
            return False
        self.more, self._fresh, self.start = False, True, self.offset
        return True


def find_bz2(data: bytes, start: int = 0, stop: int | None = None) -> int | None:
    """Find where a bz2 stream with data begins, in front of `stop`: `BZh`, a digit, and the mark of a block."""
    limit = len(data) if stop is None else min(len(data), stop + BZ2_MAGIC_BYTES - 1)
    at = start + 3
    while (at := data.find(b"1AY&SY", at + 1, limit)) >= 0:
        if data[at - 4 : at - 1] == b"BZh" and data[at - 1] in b"123456789":
            return at - 4
    return None
