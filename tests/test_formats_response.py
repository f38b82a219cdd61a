from __future__ import annotations

import gzip
import zlib

import pytest
import zstandard

from corpuskit.formats.response import decode_body, parse_response

HTML = b"<html><body>" + b"<p>hello world" * 200
CAP = 1 << 20


def response(body: bytes, *headers: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join([status, *headers, "", ""]).encode("latin-1") + body


def chunked(body: bytes, size: int = 700) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def bare_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


def decoded(block: bytes, cap: int = CAP) -> tuple[bytes, str | None]:
    parsed = parse_response(block)
    assert parsed is not None
    return decode_body(parsed, cap)


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the clock would make it other bytes, and another test


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (HTML, []),
        (chunked(HTML), ["Transfer-Encoding: chunked"]),
        (chunked(gzipped(HTML), 40), ["Content-Encoding: gzip", "Transfer-Encoding: chunked"]),
        (gzipped(HTML), ["content-encoding: x-gzip"]),
        (zlib.compress(HTML), ["Content-Encoding: deflate"]),
        (bare_deflate(HTML), ["Content-Encoding: deflate"]),
        (zstandard.ZstdCompressor().compress(HTML), ["Content-Encoding: zstd"]),
        (gzipped(gzipped(HTML)), ["Content-Encoding: gzip, gzip"]),
        (HTML, ["Content-Encoding: identity"]),
    ],
    ids=lambda value: " and ".join(value) if isinstance(value, list) else "body",
)
def test_codings_of_a_body_are_undone(body: bytes, headers: list[str]) -> None:
    assert decoded(response(body, *headers)) == (HTML, None)


def test_a_brotli_body_is_decoded() -> None:
    body = bytes.fromhex("1b1d00f81da9519f3ba692070d2ed940decaa7ac04d1a70e78e6ad1c07")
    assert decoded(response(body, "Content-Encoding: br")) == (b"<p>hello hello hello hello</p>", None)


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", "Content-Encoding: gzip", "Content-Encoding: br"])
def test_a_body_that_was_stored_decoded_is_taken_as_it_is(header: str) -> None:
    assert decoded(response(HTML, header)) == (HTML, None)


def test_a_cut_body_gives_what_came() -> None:
    body, problem = decoded(response(gzip.compress(HTML)[:-20], "Content-Encoding: gzip"))
    assert (HTML.startswith(body), problem) == (True, "truncated")
    assert decoded(response(chunked(HTML)[:1_000], "Transfer-Encoding: chunked"))[1] == "truncated"


def test_a_bomb_is_cut_at_the_cap() -> None:
    body, problem = decoded(response(gzip.compress(bytes(10_000_000)), "Content-Encoding: gzip"), cap=10_000)
    assert (len(body), problem) == (10_000, "too_large")


def test_an_unknown_coding_is_a_problem_of_encoding() -> None:
    assert decoded(response(HTML, "Content-Encoding: pack200")) == (b"", "encoding")


def test_the_head_is_read_whatever_its_line_ends() -> None:
    parsed = parse_response(b'HTTP/1.0 404 Not Found\nContent-Type: Text/HTML; charset="windows-1251"\n\nbody')
    assert parsed is not None
    assert (parsed.status, parsed.media_type, parsed.charset, parsed.body) == (
        404,
        "text/html",
        "windows-1251",
        b"body",
    )


def test_a_head_without_fields_is_read() -> None:
    parsed = parse_response(b"HTTP/1.1 200 OK\r\n\r\nbody")
    assert parsed is not None
    assert (parsed.status, parsed.media_type, parsed.body) == (200, "", b"body")


@pytest.mark.parametrize("block", [b"", b"<html>", b"20080430204825\nwww.archive.org. 589 IN A 207.241.229.39\n"])
def test_bytes_without_a_status_line_are_no_response(block: bytes) -> None:
    assert parse_response(block) is None
