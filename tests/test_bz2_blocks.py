from __future__ import annotations

import bz2
import io
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.formats import bz2_blocks, bz2_kernels
from corpuskit.formats.bz2_blocks import decompressed
from corpuskit.formats.bz2_regions import Bz2Regions

BLOCK_BYTES = 100_000  # of level 1


def read(data: bytes) -> tuple[bytes, list[str]]:
    """Give all that comes of the bytes of a file, and what is wrong with them."""
    made = list(decompressed(Bz2Regions(io.BytesIO(data), b"", 0), part=False))
    pieces = [piece for piece in made if isinstance(piece, bytes)]
    return b"".join(pieces), [piece[0] for piece in made if not isinstance(piece, bytes)]


def words(seed: int, size: int) -> bytes:
    some = random.Random(seed)
    return b" ".join(some.choice([b"alpha", b"beta", b"gamma", b"%d" % some.randrange(999)]) for _ in range(size // 5))


@pytest.fixture(params=[1, 2], ids=["one thread", "two"], autouse=True)
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bz2_blocks, "thread_count", lambda: request.param)


@pytest.mark.parametrize("level", [1, 5, 9])
def test_streams_of_many_blocks_give_what_bz2_gives(level: int) -> None:
    texts = [words(level, 1_500_000), b"", random.Random(level).randbytes(350_000), bytes(3_000_000), b"a"]
    whole = b"".join(bz2.compress(text, level) + bytes(zeros) for zeros, text in enumerate(texts))
    assert read(whole) == (b"".join(texts), [])


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=9), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_small_streams_give_what_bz2_gives(texts: list[bytes], level: int) -> None:
    assert read(b"".join(bz2.compress(text, level) for text in texts)) == (b"".join(texts), [])


def test_a_cut_stream_gives_its_whole_blocks() -> None:
    text = words(3, 3 * BLOCK_BYTES)
    packed = bz2.compress(text, 1)
    reference = bz2.BZ2Decompressor()
    given_so_far = 0
    for end in [*range(10, len(packed) - 20, 997), *range(len(packed) - 20, len(packed))]:
        reference = bz2.BZ2Decompressor()
        expected = reference.decompress(packed[:end])
        assert read(packed[:end]) == (expected, ["truncated"]), end
        given_so_far = max(given_so_far, len(expected))
    assert given_so_far == len(text)


def test_of_a_damaged_stream_the_whole_blocks_before_the_damage_are_given_and_the_next_stream() -> None:
    first, second = words(4, 4 * BLOCK_BYTES), words(5, BLOCK_BYTES)
    packed = bz2.compress(first, 1)
    some = random.Random(6)
    for _ in range(40):
        at = some.randrange(14, len(packed) - 10)
        broken = bytearray(packed)
        broken[at] ^= 1 << some.randrange(8)
        found, problems = read(bytes(broken) + bz2.compress(second))
        assert found.endswith(second), at
        rest = found[: -len(second)]
        assert first.startswith(rest), at
        assert len(first) - len(rest) > 0, at
        assert problems == ["corrupt"], at


@pytest.mark.parametrize("where", ["level", "mark", "end crc", "garbage"])
def test_what_frames_the_blocks_is_checked(where: str) -> None:
    text = words(7, 2 * BLOCK_BYTES)
    packed = bytearray(bz2.compress(text, 1))
    if where == "level":
        packed[3] = ord("0")
    elif where == "mark":
        packed[6] ^= 1
    elif where == "end crc":
        packed[-3] ^= 1
    else:
        packed += b"garbage"
    found, problems = read(bytes(packed))
    assert found == (b"" if where in ("level", "mark") else text)
    assert problems == ["trailing_garbage" if where == "garbage" else "corrupt"]


def test_a_mark_that_is_data_splits_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    text = words(8, 5 * BLOCK_BYTES)
    packed = bz2.compress(text, 1)
    real = bz2_kernels.find_mark
    split = [False]

    def find(data: Any, start: int) -> tuple[int, bool]:
        """Find a mark some 5,000 bits after every block begins, too, where there is none."""
        at, ends = real(data, start)
        chance = 5_003 + start % 8
        if start < 1_000 and not split[-1] and len(data) * 8 > chance + 1_000:
            split.append(True)
            return chance, False
        if at >= 0:
            split.append(False)
        return at, ends

    monkeypatch.setattr(bz2_kernels, "find_mark", find)
    assert read(packed) == (text, [])
    assert sum(split) > 3


def test_what_never_ends_is_not_held_whole() -> None:
    packed = bz2.compress(words(9, BLOCK_BYTES), 1)[:-10] + random.Random(9).randbytes(6_000_000)
    regions = Bz2Regions(io.BytesIO(packed), b"", 0)
    longest = max(
        len(item.data) for _, item in bz2_blocks._items(regions, part=False) if isinstance(item, bz2_blocks.Block)
    )
    assert longest <= bz2_blocks._MOST_BLOCK_BYTES + 65_536
    assert read(packed)[1] == ["corrupt"]
