"""Take bz2 streams apart into their blocks, which decompress by themselves, so that threads can share them.

A stream is `BZh` and a digit, blocks, and an end. A block begins with a mark of 48 bits and the CRC of what it holds;
nothing tells its length, and it may begin at any bit. The end is another mark and a CRC over those of the blocks. So
blocks are found by their marks, and a block with an end put behind it is a stream of its own (as in lbzip2). What looks
like a mark but is data, once in some 10**14 bits, is found out by the block's CRC, and the two parts are joined.

Of a stream that is damaged the whole blocks before the damage are given.
"""

from __future__ import annotations

import bz2
import contextlib
import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from corpuskit.formats.bz2_regions import Bz2Regions
from corpuskit.formats.threads import in_order
from corpuskit.text.threads import thread_count

_BLOCK, _END = 0x314159265359.to_bytes(6, "big"), 0x177245385090.to_bytes(6, "big")
_LEVELS = tuple(b"BZh%d" % level for level in range(1, 10))
_LONGEST_START = 10
# 900,000 symbols of at most 20 bits, and tables.
_MOST_BLOCK_BYTES = 1 << 22
_ITEMS_BEFORE_AHEAD = 6  # a mere look at a file starts no threads


@dataclass(frozen=True, slots=True)
class Block:
    """A block: the first bytes of its stream, the bytes that hold it, its bits there, its CRC.

    A block whose end is missing is `cut`: it may be whole nevertheless.
    """

    level: bytes
    data: bytes
    skipped_bits: int
    bits: int
    cut: bool = False

    @property
    def crc(self) -> int:
        """What it says of itself."""
        return _bits(self.data, self.skipped_bits + 48, 32)

    def decompress(self) -> bytes | None:
        """Give what it holds; None where it is no block. Of a cut one that is not whole, b""."""
        data = np.frombuffer(self.data, np.uint8)
        shift = self.skipped_bits
        if shift:
            following = np.append(data[1:], np.uint8(0))
            data = (data << np.uint8(shift)) | (following >> np.uint8(8 - shift))
        try:
            whole, rest = divmod(self.bits, 8)
            if self.cut:
                member = bz2.BZ2Decompressor()
                found = member.decompress(self.level + data[:whole].tobytes())
                with contextlib.suppress(OSError, EOFError):  # the last bits may be those of a mark
                    found += member.decompress(data[whole:].tobytes()) if rest else b""
                return found
            end = (_bits(data[whole : whole + 1].tobytes(), 0, rest) if rest else 0) << 80
            end = (end | int.from_bytes(_END, "big") << 32 | self.crc) << (-(rest + 80) % 8)
            stream = self.level + data[:whole].tobytes() + end.to_bytes((rest + 87) // 8, "big")
            member = bz2.BZ2Decompressor()
            found = member.decompress(stream)
        except (OSError, ValueError, EOFError):
            return None
        return found if member.eof and not member.unused_data else None

    def joined(self, following: Block) -> Block:
        """Give the block that this one and the next are, if the mark between them is none."""
        bits = self.bits + following.bits
        whole = _bits(self.data, self.skipped_bits, self.bits) << following.bits
        whole |= _bits(following.data, following.skipped_bits, following.bits)
        return Block(self.level, (whole << (-bits % 8)).to_bytes(-(-bits // 8), "big"), 0, bits, following.cut)


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The end of a stream: what it says that the CRC of its blocks is."""

    crc: int


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a region, behind what came of it."""

    problem: str


@dataclass(frozen=True, slots=True)
class RegionEnd:
    """Where in the file a region began and the next one begins, if there are more."""

    start: int
    end: int
    more: bool


Item = Block | StreamEnd | Fault | RegionEnd


@dataclass(slots=True)
class _Region:
    """What is known, so far, to be wrong with a region; the rest of it is not looked at then."""

    problem: str | None = None


def decompressed(regions: Bz2Regions, *, part: bool) -> Generator[bytes | tuple[str, RegionEnd], None, None]:
    """Give what the streams hold, block by block; behind a damaged region what is wrong with it, and where it is.

    With `part`, a stream that breaks off at the end is damaged, since more of the file follows.
    """
    before: Block | None = None  # one that did not decompress
    crc = 0
    with contextlib.closing(_done(_items(regions, part=part))) as done:
        for region, item, found in done:
            if isinstance(item, RegionEnd):
                if region.problem:
                    yield region.problem, item
                before, crc = None, 0
            elif region.problem:
                continue
            elif isinstance(item, Block):
                if before is not None:
                    item = before.joined(item)
                    found = item.decompress()
                    if found is None:
                        region.problem = "corrupt"
                        continue
                before = item if found is None else None
                if found is not None:
                    crc = _combined(crc, item.crc)
                    yield found
            elif before is not None or (isinstance(item, StreamEnd) and item.crc != crc):
                region.problem = "corrupt"
            elif isinstance(item, Fault):
                region.problem = item.problem
            else:
                crc = 0


def _done(items: Iterator[tuple[_Region, Item]]) -> Generator[tuple[_Region, Item, bytes | None], None, None]:
    """Decompress the blocks among the items, several at a time."""

    def do(found: tuple[_Region, Item]) -> tuple[_Region, Item, bytes | None]:
        region, item = found
        return region, item, item.decompress() if isinstance(item, Block) and not region.problem else None

    for found in itertools.islice(items, _ITEMS_BEFORE_AHEAD):
        yield do(found)
    threads = thread_count()
    if threads == 1:
        yield from map(do, items)
        return
    with contextlib.closing(in_order(do, items, workers=threads)) as made:
        yield from made


def _items(regions: Bz2Regions, *, part: bool) -> Iterator[tuple[_Region, Item]]:
    while True:
        region = _Region()
        for item in _region(regions, part=part):
            yield region, item
            if region.problem:
                break
        start, more = regions.start, regions.advance()
        yield region, RegionEnd(start, regions.offset, more)
        if not more:
            return


def _region(regions: Bz2Regions, *, part: bool) -> Generator[Item, None, None]:
    """Take one stream apart, and those without data behind it."""
    data = regions.piece()
    while True:
        rest = yield from _stream(regions, data, part=part)
        if rest is None:
            return
        data = rest.lstrip(b"\0")
        while len(data) < _LONGEST_START and (more := regions.piece()):
            data = (data + more).lstrip(b"\0")
        if not data:
            return
        if not data.startswith(_LEVELS):
            yield Fault("trailing_garbage")
            return


def _stream(regions: Bz2Regions, data: bytes, *, part: bool) -> Generator[Item, None, bytes | None]:
    """Take a stream apart; returns the bytes behind its end, None if it has none."""
    while len(data) < _LONGEST_START and (more := regions.piece()):
        data += more
    level, mark = data[:4], data[4:_LONGEST_START]
    if mark not in (_BLOCK, _END):
        short = len(mark) < len(_END) and (_BLOCK.startswith(mark) or _END.startswith(mark))
        yield _missing_end(regions, part=part) if short else Fault("corrupt")
        return None
    at, ends, crc = 32, mark == _END, 0
    while not ends:
        data, at = data[at >> 3 :], at & 7
        data, stop, ends = _block_end(regions, data, at, crc)
        if stop < 0:
            yield Block(level, data, at, len(data) * 8 - at, cut=True)
            yield _missing_end(regions, part=part) if len(data) < _MOST_BLOCK_BYTES else Fault("corrupt")
            return None
        block = Block(level, data[: (stop + 7) >> 3], at, stop - at)
        crc = _combined(crc, block.crc)
        yield block
        at = stop
    end = (at + 80 + 7) >> 3
    while len(data) < end and (more := regions.piece()):
        data += more
    if len(data) < end:
        yield _missing_end(regions, part=part)
        return None
    yield StreamEnd(_bits(data, at + 48, 32))
    return data[end:]


def _block_end(regions: Bz2Regions, data: bytes, at: int, crc: int) -> tuple[bytes, int, bool]:
    """Find the mark behind the block at bit `at`; give the bytes so far, its bit (-1: none), whether it is an end."""
    from corpuskit.formats.bz2_kernels import find_mark

    start = at + 80
    while True:
        stop, ends = find_mark(np.frombuffer(data, np.uint8), start)
        if stop < 0:
            start = max(start, len(data) * 8 - 47)
            more = regions.piece() if len(data) < _MOST_BLOCK_BYTES else b""
            if not more:
                return data, -1, False
            data += more
            continue
        if not ends:
            return data, stop, False
        while len(data) < (stop >> 3) + 2 * _LONGEST_START and (more := regions.piece()):
            data += more
        behind = data[(stop + 87) >> 3 :].lstrip(b"\0")
        combined = _combined(crc, _bits(data, at + 48, 32))
        if not behind or behind.startswith(b"BZh") or _bits(data, stop + 48, 32) == combined:
            return data, stop, True
        start = stop + 1  # chance, or damage


def _missing_end(regions: Bz2Regions, *, part: bool) -> Fault:
    return Fault("corrupt" if regions.more or part else "truncated")


def _combined(crc: int, of_block: int) -> int:
    return ((crc << 1 | crc >> 31) & 0xFFFFFFFF) ^ of_block


def _bits(data: bytes, start: int, count: int) -> int:
    """Read bits as a number; those behind the end of the data are zero."""
    first, last = start >> 3, (start + count + 7) >> 3
    piece = data[first:last].ljust(last - first, b"\0")
    return int.from_bytes(piece, "big") >> (last * 8 - start - count) & (1 << count) - 1
