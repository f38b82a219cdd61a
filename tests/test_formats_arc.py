from __future__ import annotations

import gzip
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.formats.arc import iso_time, read_arc
from corpuskit.formats.document import Origin, Reading
from corpuskit.formats.opening import ByteStream, open_bytes
from tests.data import shared

PAGE = b"<html><title>T</title><body><main><p>A page with quite some text in it, as pages have.</p></main>"
ABOUT = b"1 0 Maker\nURL IP-address Archive-date Content-type Archive-length\n"
HEAD = b"filedesc://a.arc 0.0.0.0 20140216050221 text/plain %d\n%s\n" % (len(ABOUT), ABOUT)


def http(body: bytes = PAGE, status: str = "200 OK", kind: str = "text/html") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n\r\n".encode() + body


def record(block: bytes, url: str = "http://example.org/", length: int | None = None, more: str = "") -> bytes:
    size = len(block) if length is None else length
    return f"{url} 1.2.3.4 20140216050221 text/html {more}{size}\n".encode() + block + b"\n"


def rows(data: bytes, max_record_bytes: int = 1 << 20) -> list[dict[str, Any]]:
    reading = Reading(max_record_bytes=max_record_bytes)
    return list(read_arc(ByteStream(io.BytesIO(data)), Origin("a.arc", {}), reading))


def marks(data: bytes) -> list[str]:
    return [row.get("drop") or row.get("error") or "document" for row in rows(data)]


def test_a_page_is_a_document_with_address_and_time() -> None:
    head, page = rows(HEAD + record(http()))
    assert head["drop"] == "not_a_response"
    assert (page["id"], page["url"], page["date"]) == (
        f"a.arc:{len(HEAD)}",
        "http://example.org/",
        "2014-02-16T05:02:21Z",
    )
    assert (page["text"], page["title"]) == ("A page with quite some text in it, as pages have.", "T")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (record(http(status="404 Not Found")), "http_status"),
        (record(http(b"GIF89a", kind="image/gif")), "content_type"),
        (record(b"20140216\nexample.org. 1 IN A 1.2.3.4", "dns:example.org"), "not_http"),
        (record(b"no status line"), "bad_http"),
        (record(http(PAGE + b"x" * (2 << 20))), "too_large"),
        (record(http(), length=-1), "bad_record"),
        (b"nothing of the kind\n", "bad_record"),
    ],
)
def test_what_is_no_page_has_its_reason_and_the_next_one_is_read(data: bytes, reason: str) -> None:
    assert marks(HEAD + data + record(http())) == ["not_a_response", reason, "document"]


def test_a_record_that_is_cut_is_a_document_and_an_error() -> None:
    *_, page, error = rows(HEAD + record(http())[:-20])
    assert (page["extra"], error["error"]) == ('{"truncated":"archive"}', "truncated")


def test_lines_of_version_2_have_more_fields() -> None:
    assert marks(record(http(), more="200 checksum - 0 a.arc ")) == ["document"]


def test_members_of_a_compressed_archive_are_read() -> None:
    assert marks(gzip.compress(HEAD) + gzip.compress(record(http()))) == ["not_a_response", "document"]


def test_a_damaged_member_costs_only_itself() -> None:
    bad = bytearray(gzip.compress(record(http())))
    bad[40] ^= 255
    got = marks(gzip.compress(HEAD) + bytes(bad) + gzip.compress(record(http())))
    assert got[0] == "not_a_response"
    assert "corrupt" in got
    assert got[-1] == "document"


@pytest.mark.parametrize(
    ("digits", "time"),
    [
        ("20140216050221", "2014-02-16T05:02:21Z"),
        ("201402160502210000", "2014-02-16T05:02:21Z"),
        ("20140216", "2014-02-16"),
        ("20141301000000", None),
        ("00000000", None),
    ],
)
def test_fourteen_digits_are_a_time(digits: str, time: str | None) -> None:
    assert iso_time(digits) == time


@given(
    st.lists(st.sampled_from([HEAD, record(http()), record(b""), record(http(), length=-1), b"\n\n", b"x y\n", b"\0"]))
)
def test_nothing_raises_and_every_page_is_found(parts: list[bytes]) -> None:
    assert all(row["id"].startswith("a.arc:") for row in rows(b"".join(parts)))


@given(st.binary(max_size=300))
def test_any_bytes_give_rows(data: bytes) -> None:
    assert len(rows(HEAD + data)) >= 1


@pytest.mark.parametrize("name", ["example.arc", "example.arc.gz", "example-space-in-url.arc"])
def test_the_addresses_are_those_that_warcio_reads(name: str) -> None:
    from warcio.archiveiterator import ArchiveIterator

    path = shared(f"warc/warcio/{name}")
    with path.open("rb") as file:
        expected = [record.rec_headers.get_header("uri") for record in ArchiveIterator(file)][1:]
    with open_bytes(path) as stream:
        pages = [
            row for row in read_arc(stream, Origin(name, {}), Reading()) if row.get("url") and not row.get("error")
        ]
    assert [page["url"] for page in pages] == expected
    assert all("This domain is established" in str(page["text"]) for page in pages)


def test_a_bad_archive_gives_reasons() -> None:
    with open_bytes(shared("warc/warcio/bad.arc")) as stream:
        reasons = [row["error"] for row in read_arc(stream, Origin("bad.arc", {}), Reading())]
    assert reasons == ["bad_record", "bad_record", "bad_http", "bad_record"]
