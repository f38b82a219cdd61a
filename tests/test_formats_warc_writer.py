"""WARC files that we write: every reader takes them, every digest holds, and a cut one can go on."""

from __future__ import annotations

import gzip
import io
from argparse import Namespace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from corpuskit.formats.http import Visit
from corpuskit.formats.opening import ByteStream, open_bytes
from corpuskit.formats.warc import Record, RecordReader
from corpuskit.formats.warc_writer import WarcFiles, gzip_member, http_message, safe_url, visit_records

DATE = datetime(2026, 10, 1, 12, 30, 5, tzinfo=timezone.utc)
REQUEST = b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
INFO = [("software", "corpuskit")]


def visit(
    *fields: tuple[str, str],
    body: bytes = b"<p>Hi</p>",
    status: int = 200,
    cut: bool = False,
    hops: tuple[Visit, ...] = (),
) -> Visit:
    return Visit("http://a.example/a", status, "OK", list(fields), body, cut, "192.0.2.1", REQUEST, hops)


def records(data: bytes) -> list[Record]:
    found = list(RecordReader(ByteStream(io.BytesIO(data)), 1 << 20, ("response", "request", "warcinfo")))
    assert all(isinstance(each, Record) for each in found)
    return [each for each in found if isinstance(each, Record)]


def check(path: Path) -> None:
    """Let warcio check all digests and lengths."""
    assert Checker(Namespace(inputs=[str(path)], verbose=False)).process_all() == 0


def test_a_visit_becomes_a_response_and_a_request_with_address_and_digests() -> None:
    response, request = records(b"".join(visit_records(visit(("Content-Length", "9")), DATE)))
    assert response.type == "response"
    assert response.fields["warc-target-uri"] == "http://a.example/a"
    assert response.fields["warc-date"] == "2026-10-01T12:30:05Z"
    assert response.fields["warc-ip-address"] == "192.0.2.1"
    assert response.fields["warc-payload-digest"] == "sha1:ATQOZ6T6XGEIMQ42R6F7IMXCTVKIZL3O"
    assert response.block == b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<p>Hi</p>"
    assert request.type == "request"
    assert request.block == REQUEST
    assert request.fields["warc-concurrent-to"] == response.fields["warc-record-id"]


def test_redirects_stand_before_the_page_to_which_they_led() -> None:
    hop = visit(("Location", "/a"), body=b"", status=301)
    found = records(b"".join(visit_records(visit(hops=(hop,)), DATE)))
    assert [each.type for each in found] == ["response", "request", "response", "request"]
    assert found[0].block == b"HTTP/1.1 301 OK\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n"


def test_fields_of_a_transfer_that_was_undone_are_renamed() -> None:
    message = http_message(visit(("Content-Type", "text/html"), ("transfer-encoding", "chunked"), ("X", "1")))
    assert message == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Crawler-transfer-encoding: chunked\r\nX: 1\r\n"
        b"Content-Length: 9\r\n\r\n<p>Hi</p>"
    )


def test_a_length_that_is_not_the_bodys_is_renamed() -> None:
    message = http_message(visit(("Content-Length", "1000"), cut=True))
    assert message.startswith(b"HTTP/1.1 200 OK\r\nX-Crawler-Content-Length: 1000\r\nContent-Length: 9\r\n\r\n")


def test_a_body_that_was_cut_says_so() -> None:
    response, _ = records(b"".join(visit_records(visit(cut=True), DATE)))
    assert response.fields["warc-truncated"] == "length"


def test_header_bytes_of_another_character_set_are_kept_as_they_came() -> None:
    sent = "Grüße".encode().decode("latin-1")
    assert b"X-Title: Gr\xc3\xbc\xc3\x9fe\r\n" in http_message(visit(("X-Title", sent)))


def test_a_line_break_inside_a_field_cannot_begin_another_one() -> None:
    assert b"A: b Content-Length: 5\r\n" in http_message(visit(("A", "b\r\nContent-Length: 5")))


def test_an_address_with_white_space_cannot_break_the_head_of_a_record() -> None:
    assert safe_url("http://a.example/b c\r\nWARC-Type: x") == "http://a.example/b%20c%0D%0AWARC-Type:%20x"


@given(
    st.lists(st.tuples(st.sampled_from(["A", "Content-Length", "Transfer-Encoding"]), st.text(max_size=9))), st.binary()
)
def test_any_answer_makes_records_that_hold(fields: list[tuple[str, str]], body: bytes) -> None:
    data = b"".join(visit_records(visit(*fields, body=body), DATE))
    for record in ArchiveIterator(io.BytesIO(data), check_digests=True):
        raw = record.content_stream().read()
        assert record.digest_checker.passed
        assert record.rec_type == "request" or raw == body


def test_each_record_is_a_gzip_member_of_its_own(tmp_path: Path) -> None:
    files = WarcFiles(tmp_path, "urls", INFO)
    name, offsets, end = files.add(visit_records(visit(), DATE))
    [path] = files.finish()
    data = path.read_bytes()
    assert path.name == name == "urls-00000.warc.gz"
    assert end == len(data)
    assert gzip.decompress(data[offsets[0] : offsets[1]]).startswith(b"WARC/1.0\r\nWARC-Type: response\r\n")
    assert gzip.decompress(data[: offsets[0]]).startswith(b"WARC/1.0\r\nWARC-Type: warcinfo\r\n")
    check(path)


def test_a_file_that_is_full_is_followed_by_another_with_its_own_warcinfo(tmp_path: Path) -> None:
    files = WarcFiles(tmp_path, "urls", INFO, max_bytes=1_500)
    names = [files.add(visit_records(visit(), DATE))[0] for _ in range(5)]
    paths = files.finish()
    assert [path.name for path in paths] == list(dict.fromkeys(names))
    assert len(paths) > 1
    for path in paths:
        assert records(path.read_bytes())[0].type == "warcinfo"
        check(path)


def test_an_unfinished_file_has_no_final_name(tmp_path: Path) -> None:
    files = WarcFiles(tmp_path, "urls", INFO)
    files.add(visit_records(visit(), DATE))
    files.leave()
    assert [path.name for path in tmp_path.iterdir()] == ["urls-00000.warc.gz.part"]


def test_what_follows_the_last_good_record_is_cut_off_before_a_file_goes_on(tmp_path: Path) -> None:
    files = WarcFiles(tmp_path, "urls", INFO)
    name, _, end = files.add(visit_records(visit(), DATE))
    files.add([gzip_member(b"half a record")[:-9]])
    files.leave()
    later = WarcFiles(tmp_path, "urls", INFO)
    assert later.size(name) > end
    later.resume(name, end)
    later.add(visit_records(visit(), DATE))
    [path] = later.finish()
    assert [each.type for each in records(path.read_bytes())] == ["warcinfo", *["response", "request"] * 2]
    check(path)


def test_a_file_that_was_left_is_finished_with_all_that_was_in_it(tmp_path: Path) -> None:
    files = WarcFiles(tmp_path, "urls", INFO)
    _, _, end = files.add(visit_records(visit(), DATE))
    files.leave()
    [path] = files.finish()
    assert path.stat().st_size == end


def test_finished_files_are_left_alone_by_a_later_attempt(tmp_path: Path) -> None:
    files = WarcFiles(tmp_path, "urls", INFO)
    name, _, end = files.add(visit_records(visit(), DATE))
    [first] = files.finish()
    before = first.read_bytes()
    later = WarcFiles(tmp_path, "urls", INFO)
    later.resume(name, end)
    assert later.finish() == [first]
    assert first.read_bytes() == before
    more = WarcFiles(tmp_path, "urls", INFO)
    more.resume(name, end)
    more.add(visit_records(visit(), DATE))
    assert [path.name for path in more.finish()] == ["urls-00000.warc.gz", "urls-00001.warc.gz"]


def test_a_crawl_that_kept_nothing_is_still_an_archive(tmp_path: Path) -> None:
    [path] = WarcFiles(tmp_path, "urls", INFO).finish()
    with open_bytes(path) as stream:
        assert stream.read().startswith(b"WARC/1.0\r\nWARC-Type: warcinfo\r\n")
        assert stream.read() == b""
        assert stream.problem is None


@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_a_gzip_member_is_read_back_as_it_was(size: int) -> None:
    assert gzip.decompress(gzip_member(b"x" * size)) == b"x" * size
