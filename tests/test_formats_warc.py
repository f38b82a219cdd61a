from __future__ import annotations

import gzip
import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.formats.document import Origin, Reading
from corpuskit.formats.opening import ByteStream, open_bytes
from corpuskit.formats.response import header_fields
from corpuskit.formats.warc import Damage, RecordReader, read_warc
from corpuskit.text.threads import THREADS
from tests.data import shared

PAGE = (
    "<html lang='de-CH'><head><title>Ein  Titel</title></head><body><main><h1>Über uns</h1>"
    "<p>Grüezi mitenand, das isch en ganz normali Syte mit echt vil Text drin.</p></main></body></html>"
)


def record(kind: str, block: bytes, id: str = "1", length: int | None = None, **fields: str) -> bytes:
    head = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{id}>",
        "WARC-Target-URI": "http://example.org/",
        "WARC-Date": "2024-05-18T01:58:10Z",
        **{name.replace("_", "-"): value for name, value in fields.items()},
        "Content-Length": str(len(block) if length is None else length),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
    return f"WARC/1.0\r\n{lines}\r\n".encode() + block + b"\r\n\r\n"


def http(body: bytes | str, *headers: str, status: str = "200 OK") -> bytes:
    body = body.encode() if isinstance(body, str) else body
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def page(body: bytes | str = PAGE, *headers: str, id: str = "1", status: str = "200 OK") -> bytes:
    return record("response", http(body, *(headers or ("Content-Type: text/html",)), status=status), id)


def rows(data: bytes, max_record_bytes: int = 1 << 20, html: str = "corpuskit", **about: str) -> list[dict[str, Any]]:
    reading = Reading(max_record_bytes=max_record_bytes, html=html)
    return list(read_warc(ByteStream(io.BytesIO(data)), Origin("a.warc.gz", about), reading))


def row(data: bytes, max_record_bytes: int = 1 << 20) -> dict[str, Any]:
    (only,) = rows(data, max_record_bytes)
    return only


def test_an_html_response_is_a_document() -> None:
    got = row(page())
    assert 0.5 < float(str(got.pop("html_confidence"))) <= 1
    assert got == {
        "id": "1",
        "text": "Über uns\n\nGrüezi mitenand, das isch en ganz normali Syte mit echt vil Text drin.",
        "source": "a",
        "url": "http://example.org/",
        "title": "Ein Titel",
        "language": "de",
        "license": None,
        "date": "2024-05-18T01:58:10Z",
        "author": None,
        "extra": None,
    }


def test_a_wet_record_is_a_document() -> None:
    block = b"Erste Zeile\nzweite\n"
    got = row(record("conversion", block, Content_Type="text/plain", WARC_Identified_Content_Language="deu,eng"))
    assert (got["text"], got["language"]) == ("Erste Zeile\nzweite", "deu")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (record("warcinfo", b"software: x\r\n"), "not_a_response"),
        (record("request", b"GET / HTTP/1.1\r\n\r\n"), "not_a_response"),
        (record("resource", PAGE.encode(), Content_Type="text/html"), "not_a_response"),
        (record("revisit", http("")), "revisit"),
        (page(status="404 Not Found"), "http_status"),
        (page(b"\xff\xd8\xff", "Content-Type: image/jpeg"), "content_type"),
        (page("plain", "Content-Type: text/plain"), "content_type"),
        (page("no type, and no markup", "Server: x"), "content_type"),
        (record("response", b"20080430\nexample.org. 1 IN A 1.2.3.4\n", Content_Type="text/dns"), "not_http"),
        (record("conversion", b"{}", Content_Type="application/json"), "content_type"),
    ],
)
def test_a_record_that_is_no_page_is_dropped_with_its_reason(data: bytes, reason: str) -> None:
    got = row(data)
    assert (got["drop"], got["text"], got.get("error")) == (reason, "", None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (record("response", b"<html>no status line", Content_Type="application/http"), "bad_http"),
        (page(b"\x01\x02", "Content-Type: text/html", "Content-Encoding: br"), "bad_encoding"),
        (page("<p>x" * 600_000), "too_large"),
        (
            page(gzip.compress(bytes(5_000_000), mtime=0), "Content-Type: text/html", "Content-Encoding: gzip"),
            "too_large",
        ),
        (record("conversion", b"x" * 2_000_000, Content_Type="text/plain"), "too_large"),
        (b"WARC/1.0\r\nWARC-Type: response\r\n\r\nno length", "bad_record"),
    ],
)
def test_a_record_that_cannot_be_read_is_an_error_with_its_reason(data: bytes, reason: str) -> None:
    got = row(data)
    assert (got["error"], got["text"], got.get("drop")) == (reason, "", None)


def test_html_is_seen_where_no_type_is_given() -> None:
    assert row(page("\n<!DOCTYPE html>" + PAGE, "Server: x"))["title"] == "Ein Titel"


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (PAGE.encode("utf-8"), "Content-Type: text/html; charset=iso-8859-1"),  # wrong, and seen to be
        (PAGE.encode("cp1252"), "Content-Type: text/html; charset=ISO-8859-1"),
        (PAGE.replace("<head>", "<head><meta charset=windows-1252>").encode("cp1252"), "Content-Type: text/html"),
        (PAGE.encode("utf-16"), "Content-Type: text/html; charset=utf-16"),
        (PAGE.encode("cp1252"), "Content-Type: text/html"),
    ],
)
def test_the_charset_comes_from_the_bytes_the_header_or_the_page(body: bytes, header: str) -> None:
    assert row(page(body, header))["text"].startswith("Über uns\n\nGrüezi")


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-A:b:c\r", {"content-type": "text/html", "x-a": "b:c"}),
        (b"HTTP/1.1 200 OK\nA: one\nB: two", {"a": "one", "b": "two"}),
        (b"WARC/1.0\r\nA: one\r\n\t two\r\n three\r\nB: x", {"a": "one two three", "b": "x"}),
        (b"WARC/1.0\r\nA: first\r\na: second\r\n folded", {"a": "first"}),
        (b"WARC/1.0\r\nA: caf\xe9\r\nB: caf\xc3\xa9\r\nno colon\r\n: no name", {"a": "caf\xe9", "b": "caf\xe9"}),
        (b"HTTP/1.1 200 OK", {}),
    ],
    ids=["crlf", "lf", "folded", "repeated", "charsets", "none"],
)
def test_header_lines_are_read_as_servers_write_them(head: bytes, fields: dict[str, str]) -> None:
    assert header_fields(head) == fields


def test_bytes_that_do_not_decode_are_replaced_and_counted() -> None:
    got = row(page(PAGE.encode() * 3 + b"\xff\xfe", "Content-Type: text/html; charset=utf-8"))
    assert got["extra"] == '{"charset":"utf-8","replaced":2}'


def test_threads_give_the_same_rows_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [page(PAGE.replace("Titel", f"Titel {at}"), id=str(at)) for at in range(100)]
    data = b"".join([*pages[:50], b"garbage\r\n", record("request", b"", "r"), *pages[50:]])
    monkeypatch.setenv(THREADS, "1")
    one = rows(data)
    monkeypatch.setenv(THREADS, "4")
    assert rows(data) == one
    assert [each["title"] for each in one if "title" in each] == [f"Ein Titel {at}" for at in range(100)]


def test_an_id_falls_back_to_file_and_offset() -> None:
    _, second = rows(page() + record("request", b"x", id="").replace(b"WARC-Record-ID: <urn:uuid:>\r\n", b""))
    assert second["id"] == f"a.warc.gz:{len(page())}"


def test_source_and_license_come_from_the_download() -> None:
    (got,) = rows(page(), source="commoncrawl", license="LicenseRef-CommonCrawl-ToU")
    assert (got["source"], got["license"]) == ("commoncrawl", "LicenseRef-CommonCrawl-ToU")


def test_a_cut_record_gives_what_came_and_an_error() -> None:
    cut = page()[:-40]
    kept, error = rows(cut)
    assert kept["text"].startswith("Über uns")
    assert kept["extra"] == '{"truncated":"archive"}'
    assert error["error"] == "truncated"


def test_a_record_shorter_than_it_says_does_not_hide_the_next_ones() -> None:
    block = http(PAGE, "Content-Type: text/html")
    data = record("response", block, "short", length=len(block) + 10) + page(id="hidden") + page(id="next")
    assert [(got["id"], got.get("error")) for got in rows(data)][-1] == ("next", None)
    assert [got["error"] for got in rows(data) if got.get("error")] == ["bad_record"]


def test_garbage_between_records_is_counted_and_skipped() -> None:
    first, garbage, second = rows(page(id="1") + b"garbage\nmore garbage\n" + page(id="2"))
    assert (first["id"], garbage["error"], second["id"]) == ("1", "bad_record", "2")
    assert "21 bytes" in garbage["extra"]


def test_a_damaged_gzip_member_costs_only_its_record() -> None:
    members = [gzip.compress(page(id=str(number))) for number in range(6)]
    members[2] = members[2][:40] + b"\xff" * 30 + members[2][70:]
    got = rows(b"".join(members))
    errors = [each["error"] for each in got if each.get("error")]
    assert "corrupt" in errors
    assert [each["id"] for each in got if not each.get("error")][-3:] == ["3", "4", "5"]


ARCHIVE = b"".join(gzip.compress(page(PAGE * (1 + number % 3), id=str(number)), mtime=0) for number in range(5))
ENDS = [sum(len(gzip.compress(page(PAGE * (1 + n % 3), id=str(n)), mtime=0)) for n in range(k)) for k in range(6)]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, len(ARCHIVE)))
def test_whatever_is_cut_off_whole_records_stay_and_the_cut_is_told(cut: int) -> None:
    got = rows(ARCHIVE[:cut])
    whole = sum(end <= cut for end in ENDS[1:])
    kept = [each["id"] for each in got if not each.get("error")]
    assert kept[:whole] == [str(number) for number in range(whole)]
    assert any(each.get("error") for each in got) == (cut not in ENDS)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, len(gzip.decompress(ARCHIVE))), st.binary(min_size=1, max_size=4))
def test_whatever_is_overwritten_records_and_damages_come_in_order_from_the_first_byte_on(
    at: int, patch: bytes
) -> None:
    data = bytearray(gzip.decompress(ARCHIVE))
    data[at : at + len(patch)] = patch
    reader = RecordReader(ByteStream(io.BytesIO(bytes(data))), 1 << 20)
    offsets = [found.offset for found in reader]
    assert offsets == sorted(offsets)
    assert offsets[0] == 0


@pytest.mark.parametrize(
    ("name", "documents"),
    [
        ("whirlwind.warc.gz", 1),
        ("whirlwind.warc.wet.gz", 1),
        ("whirlwind.warc.wat.gz", 0),
        ("dolma-sample-0000.warc.gz", 22),
        ("resiliparse-warcfile.warc.gz", 16),
        ("resiliparse-clipped.warc.gz", 1),
        ("commoncrawlscalatools-filter_test_1.wet.gz", 25),
        ("aut-example.warc.gz", 94),
        ("nodewarc-books.toscrape.warc", 1),
    ],
)
def test_real_archives_give_their_pages(name: str, documents: int) -> None:
    got = list(read_warc(open_bytes(shared(f"warc/{name}")), Origin(name, {}), Reading()))
    assert sum(not each.get("drop") and not each.get("error") for each in got) == documents


def test_a_heritrix_crawl_is_accounted_for_record_by_record() -> None:
    got = read_warc(open_bytes(shared("warc/aut-example.warc.gz")), Origin("aut", {}), Reading())
    assert Counter(each.get("drop") or "kept" for each in got) == {
        "not_a_response": 523,
        "content_type": 120,
        "kept": 94,
        "http_status": 47,
        "not_http": 38,
    }


@pytest.mark.parametrize(
    ("name", "errors"),
    [
        ("resiliparse-clipped.warc.gz", ["truncated"]),
        ("warcio/example-trunc.warc", ["bad_record"]),
        ("warcio/example-bad.warc.gz.bad", []),
        ("warcio/example-wrong-chunks.warc.gz", []),
        ("warcio/example-bad-non-chunked.warc.gz", []),
    ],
)
def test_broken_archives_say_what_is_broken(name: str, errors: list[str]) -> None:
    got = read_warc(open_bytes(shared(f"warc/{name}")), Origin(name, {}), Reading())
    assert [each["error"] for each in got if each.get("error")] == errors


@pytest.mark.parametrize(
    "name",
    [
        "aut-example.warc.gz",
        "dolma-sample-0000.warc.gz",
        "pywb-dupes.warc.gz",
        "resiliparse-warcfile.warc.gz",
        "commoncrawlscalatools-filter_test_1.wet.gz",
        "nodewarc-books.toscrape.warc",
        "warcio/post-test.warc.gz",
        "warcio/example-space-in-target-uri.warc.gz",
    ],
)
def test_records_are_those_that_fastwarc_reads(name: str) -> None:
    from fastwarc.warc import ArchiveIterator

    path: Path = shared(f"warc/{name}")
    theirs = [
        (record.headers["WARC-Record-ID"].strip("<>").removeprefix("urn:uuid:"), record.reader.read())
        for record in ArchiveIterator(path.open("rb"), parse_http=False)
    ]
    every = ("response", "conversion", "request", "metadata", "warcinfo", "resource", "revisit")
    ours = []
    for found in RecordReader(open_bytes(path), 1 << 26, every):
        assert not isinstance(found, Damage)
        ours.append((found.id, found.block))
    assert ours == theirs


def test_the_date_of_publication_counts_before_that_of_the_capture() -> None:
    html = PAGE.replace("<head>", '<head><meta property="article:published_time" content="2020-01-02">')
    assert row(page(html))["date"] == "2020-01-02"


def test_a_page_that_would_take_too_long_is_kept_aside_with_its_reason() -> None:
    (got,) = rows(page("<article>x" * 1_000), html="resiliparse")
    assert (got["error"], got["text"]) == ("nested_too_deep", "")
    assert "deeper than 512" in str(got["extra"])
