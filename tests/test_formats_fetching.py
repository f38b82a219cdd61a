"""Files that can be trusted: resumed, verified, under their names only when they are whole, and honest when not."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from corpuskit.errors import BadData, Busy, CannotWrite, CorpuskitError, Unavailable
from corpuskit.formats.fetching import LISTING, Fetched, fetch_all
from corpuskit.formats.http import Client, Manners, host_of
from corpuskit.formats.meter import Meter, Pace, Wanted, clock, human
from tests.servers import Asked, Rude, Server

Serve = Callable[[Callable[[Asked], None]], Rude]
DATA = random.Random(7).randbytes(300_000)
SHA1 = "sha1:" + hashlib.sha1(DATA).hexdigest()
ETAG = '"abc-1"'


def fetch(
    server: Rude | Server, out: Path, *files: dict[str, Any], told: list[dict[str, Any]] | None = None, **more: Any
) -> list[Fetched]:
    manners: dict[str, Any] = {"timeout_seconds": 0.6, "tries": 3, "backoff_seconds": (0.01, 0.02)}
    manners |= {"busy_seconds": (0.01, 0.02), "own_hosts": frozenset({str(host_of(server.url))})}
    check = more.pop("check", None)
    client = Client(
        Manners(**{**manners, **more}),
        tell=lambda name, **facts: told.append({"event": name, **facts}) if told is not None else None,
    )
    rows = [{"url": f"{server.url}/{file['name']}", **file} for file in (files or ({"name": "a.bin"},))]
    out.mkdir(exist_ok=True)
    return list(fetch_all(client, pa.Table.from_pylist(rows, schema=LISTING), out, check=check))


def names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


def leave_part(out: Path, server: Rude | Server, data: bytes, **known: Any) -> None:
    """Leave what an interrupted attempt leaves."""
    out.mkdir(exist_ok=True)
    (out / "a.bin.part").write_bytes(data)
    facts = {"url": f"{server.url}/a.bin", "checksum": None, "etag": None, "last_modified": None, "size": len(DATA)}
    (out / "a.bin.part.json").write_text(json.dumps({**facts, **known}))


@pytest.fixture
def site(tmp_path: Path, nginx: Callable[..., Server]) -> Server:
    root = tmp_path / "site"
    root.mkdir()
    (root / "a.bin").write_bytes(DATA)
    return nginx(root)


def test_a_file_comes_with_its_size_its_hash_and_what_the_listing_knows(site: Server, tmp_path: Path) -> None:
    about = {"source": "x", "license": "CC0-1.0", "date": "2026-01-01"}
    got = fetch(site, tmp_path / "out", {"name": "a.bin", **about})
    told = {**about, "url": f"{site.url}/a.bin"}
    assert got == [Fetched("a.bin", len(DATA), hashlib.sha256(DATA).hexdigest(), told)]
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA
    assert names(tmp_path / "out") == ["a.bin"]


def test_a_file_that_is_there_is_not_asked_for_again(site: Server, tmp_path: Path) -> None:
    first = fetch(site, tmp_path / "out", {"name": "a.bin", "checksum": SHA1})
    site.forget()
    assert fetch(site, tmp_path / "out", {"name": "a.bin", "checksum": SHA1}) == first
    assert site.log() == []


def test_a_part_is_gone_on_with_from_a_real_server(site: Server, tmp_path: Path) -> None:
    fetch(site, tmp_path / "other")
    etag = next(value for value in [_etag(site)] if value)
    leave_part(tmp_path / "out", site, DATA[:123_456], etag=etag)
    site.forget()
    fetch(site, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA
    assert [(each.status, each.range, each.bytes) for each in site.log()] == [(206, "bytes=123456-", 176_544)]


def _etag(site: Server) -> str | None:
    client = Client(Manners(own_hosts=frozenset({str(host_of(site.url))})))
    with client.open(f"{site.url}/a.bin", method="HEAD") as answer:
        return answer.get("etag")


def test_a_whole_part_that_was_not_yet_renamed_is_verified_without_a_request(site: Server, tmp_path: Path) -> None:
    leave_part(tmp_path / "out", site, DATA, checksum=SHA1)
    fetch(site, tmp_path / "out", {"name": "a.bin", "checksum": SHA1})
    assert names(tmp_path / "out") == ["a.bin"]
    assert site.log() == []


def test_a_connection_that_is_cut_twenty_times_ends_in_the_right_bytes(rude: Serve, tmp_path: Path) -> None:
    chance = random.Random(3)

    def handler(asked: Asked) -> None:
        at = asked.offset()
        stop = at + chance.randrange(2_000, 25_000) if asked.number < 20 else len(DATA)
        status = "206 Partial Content" if at else "200 OK"
        span = f"Content-Range: bytes {at}-{len(DATA) - 1}/{len(DATA)}\r\n" if at else ""
        asked.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(DATA) - at}\r\n{span}ETag: {ETAG}\r\n\r\n")
        asked.send(DATA[at:stop])

    server = rude(handler)
    fetch(server, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA
    offsets = [asked.offset() for asked in server.asked]
    assert len(offsets) > 10
    assert offsets == sorted(set(offsets)), "every try goes on where the one before was cut"
    assert all(asked.fields["if-range"] == ETAG for asked in server.asked[1:])


def test_a_connection_that_is_cut_for_ever_ends_in_an_error(rude: Serve, tmp_path: Path) -> None:
    server = rude(lambda asked: asked.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    with pytest.raises(Unavailable, match=r"/a\.bin \(the connection was cut with \d+ bytes to come \(3 tries\)\)"):
        fetch(server, tmp_path / "out")
    assert "a.bin" not in names(tmp_path / "out")


def test_a_file_that_changes_on_the_way_comes_whole_and_new(rude: Serve, tmp_path: Path) -> None:
    old = bytes(len(DATA))

    def handler(asked: Asked) -> None:
        if asked.number == 0:
            asked.send(f'HTTP/1.1 200 OK\r\nContent-Length: {len(old)}\r\nETag: "old"\r\n\r\n')
            asked.send(old[:50_000])
        else:  # If-Range does not hold, so that the whole comes
            assert asked.fields["if-range"] == '"old"'
            asked.answer("200 OK", DATA, ETag='"new"')

    fetch(rude(handler), tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA


@pytest.mark.parametrize("total", [len(DATA), len(DATA) + 5])
def test_a_file_that_changes_under_a_server_without_if_range_is_begun_anew(
    rude: Serve, tmp_path: Path, total: int
) -> None:
    new = DATA + b"x" * (total - len(DATA))

    def handler(asked: Asked) -> None:
        if asked.number == 0:
            asked.send(f'HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\nETag: "old"\r\n\r\n')
            asked.send(bytes(50_000))
        else:
            asked.rest(new, '"new"')

    server = rude(handler)
    fetch(server, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == new
    assert [asked.offset() for asked in server.asked] == [0, 50_000, 0]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_etag_and_a_checksum_it_begins_anew(rude: Serve, tmp_path: Path, etag: str | None) -> None:
    def handler(asked: Asked) -> None:
        if asked.number == 0:
            asked.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n")
            asked.send(DATA[:50_000])
        else:
            asked.rest(DATA, etag)

    server = rude(handler)
    fetch(server, tmp_path / "out")
    assert [asked.offset() for asked in server.asked] == [0, 0]


def test_without_an_etag_a_checksum_allows_to_go_on(rude: Serve, tmp_path: Path) -> None:
    def handler(asked: Asked) -> None:
        if asked.number == 0:
            asked.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n")
            asked.send(DATA[:50_000])
        else:
            asked.rest(DATA)

    server = rude(handler)
    fetch(server, tmp_path / "out", {"name": "a.bin", "checksum": SHA1})
    assert [asked.offset() for asked in server.asked] == [0, 50_000]


def test_pieces_that_do_not_belong_together_are_fetched_whole(rude: Serve, tmp_path: Path) -> None:
    server = rude(lambda asked: asked.rest(DATA))
    leave_part(tmp_path / "out", server, bytes(1000), checksum=SHA1)
    fetch(server, tmp_path / "out", {"name": "a.bin", "checksum": SHA1})
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA
    assert [asked.offset() for asked in server.asked] == [1000, 0]


def test_a_part_of_another_address_is_not_gone_on_with(site: Server, tmp_path: Path) -> None:
    leave_part(tmp_path / "out", site, bytes(1000), url="http://other/a.bin", etag='"x"')
    fetch(site, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA
    assert [each.range for each in site.log()] == [""]


def test_a_part_from_a_mirror_is_gone_on_with_where_a_checksum_is_published(site: Server, tmp_path: Path) -> None:
    leave_part(tmp_path / "out", site, DATA[:1000], url="http://mirror/a.bin", etag='"x"', checksum=SHA1)
    fetch(site, tmp_path / "out", {"name": "a.bin", "checksum": SHA1})
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA
    assert [each.range for each in site.log()] == ["bytes=1000-"]


def test_a_part_longer_than_the_file_begins_anew(site: Server, tmp_path: Path) -> None:
    leave_part(tmp_path / "out", site, DATA + b"x", etag='"x"')
    fetch(site, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA


@pytest.mark.parametrize("sidecar", ["", "{", "[]", '{"url": 3}', "null"])
def test_a_sidecar_that_makes_no_sense_begins_anew(site: Server, tmp_path: Path, sidecar: str) -> None:
    leave_part(tmp_path / "out", site, bytes(1000))
    (tmp_path / "out" / "a.bin.part.json").write_text(sidecar)
    fetch(site, tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_every_kind_of_checksum_is_compared(site: Server, tmp_path: Path, algorithm: str) -> None:
    right = hashlib.new(algorithm, DATA).hexdigest()
    fetch(site, tmp_path / "right", {"name": "a.bin", "checksum": f"{algorithm}:{right.upper()}"})
    with pytest.raises(BadData, match=f"expected {algorithm} 00.*, got {right}"):
        fetch(site, tmp_path / "wrong", {"name": "a.bin", "checksum": f"{algorithm}:{'00' * (len(right) // 2)}"})
    assert names(tmp_path / "wrong") == []


def test_a_file_under_its_name_that_does_not_hold_is_fetched_anew(site: Server, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.bin").write_bytes(b"damaged")
    fetch(site, out, {"name": "a.bin", "checksum": SHA1})
    assert (out / "a.bin").read_bytes() == DATA


def test_a_size_that_is_not_the_published_one_is_an_error(site: Server, tmp_path: Path) -> None:
    with pytest.raises(CorpuskitError, match=r"a\.bin \(expected 5 bytes, the server announces 300000 \(3 tries\)\)"):
        fetch(site, tmp_path / "out", {"name": "a.bin", "bytes": 5})
    assert "a.bin" not in names(tmp_path / "out")


@pytest.mark.parametrize("announced", [len(DATA) + 1000, len(DATA) - 1000])
def test_a_wrong_content_length_never_ends_in_a_wrong_file(rude: Serve, tmp_path: Path, announced: int) -> None:
    server = rude(lambda asked: asked.answer("200 OK", DATA, Content_Length=announced, ETag=ETAG))
    with pytest.raises(CorpuskitError, match=r"http://.*/a\.bin \("):
        fetch(server, tmp_path / "out", {"name": "a.bin", "checksum": SHA1})
    assert "a.bin" not in names(tmp_path / "out")


def test_a_body_without_an_end_that_can_be_told_is_refused_unless_a_checksum_tells(rude: Serve, tmp_path: Path) -> None:
    server = rude(lambda asked: asked.answer("200 OK", DATA, Content_Length=None))
    with pytest.raises(Unavailable, match="does not say how long it is"):
        fetch(server, tmp_path / "out")
    fetch(server, tmp_path / "out", {"name": "a.bin", "checksum": SHA1})
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA


def test_a_chunked_body_needs_no_length(rude: Serve, tmp_path: Path) -> None:
    def handler(asked: Asked) -> None:
        asked.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(DATA), 70_000):
            piece = DATA[at : at + 70_000]
            asked.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        asked.send("0\r\n\r\n")

    fetch(rude(handler), tmp_path / "out")
    assert (tmp_path / "out" / "a.bin").read_bytes() == DATA


def test_a_chunked_body_that_is_cut_is_no_file(rude: Serve, tmp_path: Path) -> None:
    server = rude(lambda asked: asked.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
    with pytest.raises(Unavailable, match="connection was cut"):
        fetch(server, tmp_path / "out")
    assert "a.bin" not in names(tmp_path / "out")


def test_a_check_of_the_content_is_made_before_the_file_gets_its_name(site: Server, tmp_path: Path) -> None:
    def check(path: Path) -> dict[str, str]:
        assert path.name == "a.bin.part"
        return {"records": "3"}

    assert fetch(site, tmp_path / "out", check=check)[0].about["records"] == "3"


def test_every_file_that_failed_is_named_and_the_others_are_there(site: Server, tmp_path: Path) -> None:
    (site.root / "c.bin").write_bytes(b"c")
    files = [{"name": name} for name in ("b.bin", "a.bin", "d.bin", "c.bin")]
    with pytest.raises(Unavailable) as caught:
        fetch(site, tmp_path / "out", *files)
    message = str(caught.value)
    assert "2 of 4 files failed" in message
    for name in ("b.bin", "d.bin"):
        assert f"{site.url}/{name} (status 404 Not Found)" in message
    assert names(tmp_path / "out") == ["a.bin", "c.bin"]
    site.forget()
    (site.root / "b.bin").write_bytes(b"b")
    (site.root / "d.bin").write_bytes(b"d")
    assert [got.name for got in fetch(site, tmp_path / "out", *files)] == ["b.bin", "a.bin", "d.bin", "c.bin"]
    assert sorted(site.paths()) == ["/b.bin", "/d.bin"]


def test_a_limit_of_rate_stops_everything_with_try_later(rude: Serve, tmp_path: Path) -> None:
    server = rude(lambda asked: asked.answer("429 Too Many Requests"))
    with pytest.raises(Busy, match=r"a\.bin \(status 429 Too Many Requests \(2 tries\)\).*not tried"):
        fetch(server, tmp_path / "out", {"name": "a.bin"}, {"name": "b.bin"}, connections=1, tries=2)
    assert {asked.path for asked in server.asked} == {"/a.bin"}


def test_what_does_not_fit_on_the_disk_is_not_begun(site: Server, tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match=r"are to come, .* are free"):
        fetch(site, tmp_path / "out", {"name": "a.bin", "bytes": 1 << 60})
    assert site.log() == []


def test_a_file_that_announces_more_than_fits_is_not_begun(rude: Serve, tmp_path: Path) -> None:
    server = rude(lambda asked: asked.answer("200 OK", b"x", Content_Length=1 << 60))
    with pytest.raises(CannotWrite, match="are free"):
        fetch(server, tmp_path / "out")


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "x y", "", "x.part", "x.part.json", "a\n"])
def test_names_that_could_lead_elsewhere_are_refused(site: Server, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadData, match="lists a file of the name"):
        fetch(site, tmp_path / "out", {"name": name, "url": f"{site.url}/a.bin"})


def test_events_tell_of_tries_resumption_and_files(rude: Serve, tmp_path: Path) -> None:
    def handler(asked: Asked) -> None:
        if asked.number == 0:
            asked.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\nETag: {ETAG}\r\n\r\n")
            asked.send(DATA[:60_000])
        else:
            asked.rest(DATA, ETAG)

    told: list[dict[str, Any]] = []
    fetch(rude(handler), tmp_path / "out", told=told)
    assert [each["event"] for each in told] == ["retry", "resume", "fetched"]
    assert told[1]["offset"] == 60_000
    assert told[2]["sha256"] == hashlib.sha256(DATA).hexdigest()


def test_the_meter_tells_rate_and_time_left() -> None:
    lines: list[str] = []
    meter = Meter([Wanted("a", "u", 10_000_000)], lambda line, facts: lines.append(line))
    meter._marks = [(meter._marks[0][0] - 2.0, 0)]
    meter.add(4_000_000)
    assert lines
    assert lines[0].startswith("download: 4.0 MB of 10.0 MB, ")
    assert lines[0].endswith("3 s left")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (46_400_000_000, "46.4 GB"), (2.5e12, "2.5 TB")]
)
def test_sizes_are_written_for_people(size: float, text: str) -> None:
    assert human(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (65, "1 min 05 s"), (7260, "2 h 01 min")])
def test_times_are_written_for_people(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_pace_leaves_out_what_was_there_before() -> None:
    pace = Pace()
    pace._start -= 10.0
    pace.skip(100)
    assert pace.words(300, 500, "records") == "20 records/s, 10 s left"
