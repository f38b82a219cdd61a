from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import threading
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.formats import bz2_blocks, opening
from corpuskit.formats.opening import ByteStream

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
DATA = b"".join(b"line %d of the archive\n" % number for number in range(5_000))


def whole(data: bytes) -> tuple[bytes, str | None]:
    stream = ByteStream(io.BytesIO(data))
    out = b"".join(iter(stream.read, b""))
    return out, stream.problem


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_compression_is_told_from_the_first_bytes(kind: str) -> None:
    assert ByteStream(io.BytesIO(COMPRESSORS[kind](DATA))).compression == kind


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_members_behind_each_other_are_one_stream(kind: str) -> None:
    member = COMPRESSORS[kind](DATA)
    assert whole(member + member) == (DATA + DATA, None)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_cut_inside_a_member_is_truncated_and_gives_what_came(kind: str) -> None:
    member = COMPRESSORS[kind](DATA)
    for cut in (len(member) - 1, len(member) - 9, len(member) // 2, 12):
        out, problem = whole(member[:cut])
        assert (DATA.startswith(out), problem) == (True, "truncated")


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_zero_padding_behind_the_end_is_no_problem(kind: str) -> None:
    assert whole(COMPRESSORS[kind](DATA) + bytes(512)) == (DATA, None)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_other_bytes_behind_the_end_are_trailing_garbage(kind: str) -> None:
    assert whole(COMPRESSORS[kind](DATA) + b"<html>") == (DATA, "trailing_garbage")


@pytest.mark.parametrize(("kind", "at"), [("gzip", -6), ("bz2", 60), ("xz", 60), ("zstd", -1)])
def test_damaged_data_is_corrupt(kind: str, at: int) -> None:
    member = bytearray(COMPRESSORS[kind](DATA))
    member[at] ^= 0xFF
    assert whole(bytes(member))[1] == "corrupt"


@pytest.mark.parametrize("kind", ["gzip", "bz2"])
def test_reading_goes_on_at_the_next_member_behind_a_damage(kind: str) -> None:
    members = [COMPRESSORS[kind](b"record %d " % number * 50) for number in range(20)]
    members[7] = members[7][:15] + b"\xff" * (len(members[7]) - 15)
    stream = ByteStream(io.BytesIO(b"".join(members)))
    before = b"".join(iter(stream.read, b""))
    assert stream.problem == "corrupt"
    assert b"record 6 " in before
    assert stream.resume()
    behind = b"".join(iter(stream.read, b""))
    assert behind.startswith(b"record 8 ")
    assert (behind.count(b"record 19 "), stream.problem, stream.resume()) == (50, None, False)


def test_where_a_bz2_stream_is_damaged_is_told_and_two_in_a_row_are_two_problems() -> None:
    members = [bz2.compress(b"record %d " % number * 50) for number in range(5)]
    for number in (2, 3):
        members[number] = members[number][:20] + b"\xff" * (len(members[number]) - 20)
    places = [sum(map(len, members[:number])) for number in range(6)]
    stream = ByteStream(io.BytesIO(b"".join(members)))
    told, out = [], [b"".join(iter(stream.read, b""))]
    while stream.problem:
        told.append((stream.problem, stream.damage))
        assert stream.resume()
        out.append(b"".join(iter(stream.read, b"")))
    assert told == [("corrupt", (places[2], places[3])), ("corrupt", (places[3], places[4]))]
    assert b"".join(out) == b"".join(b"record %d " % number * 50 for number in (0, 1, 4))


@pytest.mark.parametrize("kind", ["bz2", "xz"])
def test_a_thread_that_decompresses_ahead_tells_all_in_its_place(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(data: bytes, threads: int) -> list[object]:
        monkeypatch.setattr(opening, "thread_count", lambda: threads)
        monkeypatch.setattr(bz2_blocks, "thread_count", lambda: threads)
        found: list[object] = []
        with ByteStream(io.BytesIO(data)) as stream:
            while True:
                while piece := stream.read(1 << 16):
                    found.append((stream.problem, stream.damage, stream.position, piece))
                found.append((stream.problem, stream.damage))
                if not stream.resume():
                    return found

    members = [COMPRESSORS[kind](b"record %d " % number * 5_000) for number in range(40)]
    whole = b"".join(members)
    for number in (9, 10, 31):
        members[number] = members[number][:20] + b"\xff" * (len(members[number]) - 20)
    for data in (whole, whole[:-20], whole + b"garbage", b"".join(members)):
        assert told(data, 2) == told(data, 1)


def test_the_thread_ahead_ends_when_the_file_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bz2_blocks, "thread_count", lambda: 2)
    before = set(threading.enumerate())
    with ByteStream(io.BytesIO(b"".join(bz2.compress(bytes(100_000)) for _ in range(100)))) as stream:
        for _ in range(8):
            stream.read()
        threads = set(threading.enumerate()) - before
    assert len(threads) == 2
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_the_beginning_of_a_bz2_stream_is_found_wherever_the_pieces_of_the_file_end() -> None:
    noise = random.Random(1).randbytes(70_000)
    first, second = bz2.compress(noise), bz2.compress(b"second")
    for size in range(65_526 - 12, 65_536 + 12):
        broken = first[:size] + second
        stream = ByteStream(io.BytesIO(broken))
        assert (stream.read(), stream.problem, stream.damage) == (b"", "corrupt", (0, size))
        assert (stream.resume(), stream.read(), stream.problem) == (True, b"second", None)


def test_plain_bytes_pass_through() -> None:
    assert whole(DATA) == (DATA, None)


def test_an_empty_file_is_whole() -> None:
    assert whole(b"") == (b"", None)


def test_a_skippable_frame_before_the_data_is_zstd() -> None:
    frame = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    assert whole(frame + COMPRESSORS["zstd"](DATA)) == (DATA, None)


@pytest.mark.parametrize("kind", ["gzip", "bz2", "xz"])
def test_one_read_of_a_bomb_is_small(kind: str) -> None:
    stream = ByteStream(io.BytesIO(COMPRESSORS[kind](bytes(50_000_000))))
    assert len(stream.read()) <= 1 << 20


def test_one_read_of_a_zstd_bomb_is_bounded() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(200_000_000))
    stream = ByteStream(io.BytesIO(bomb))
    assert len(stream.read(1 << 30)) <= 1 << 25


def test_peeking_takes_nothing() -> None:
    stream = ByteStream(io.BytesIO(gzip.compress(DATA)))
    assert stream.peek(100) == DATA[:100]
    assert stream.peek(len(DATA) + 1) == DATA
    assert b"".join(iter(lambda: stream.read(1_000), b"")) == DATA


@given(st.binary(max_size=300), st.lists(st.integers(1, 80), max_size=20))
def test_bytes_come_in_order_whatever_the_size_of_reads(data: bytes, sizes: list[int]) -> None:
    stream = ByteStream(io.BytesIO(gzip.compress(data)))
    out = b"".join(stream.read(size) for size in sizes) + b"".join(iter(stream.read, b""))
    assert (out, stream.position) == (data, len(data))
