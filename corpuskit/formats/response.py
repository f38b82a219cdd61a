"""Read an HTTP response as an archive holds it: head, then a body that may be chunked and compressed.

Archives hold what servers sent, right or wrong, and often a body that was already decoded under headers that say
otherwise. So nothing here raises: a coding that the body does not have is passed over, a body that breaks off is
given as far as it goes, and `Response.problem` says so.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_STATUS = re.compile(rb"(?:HTTP/\d(?:\.\d)?|ICY)[ \t]+(\d{3})(?!\d)", re.I)
_HEAD_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(r"\n[ \t]+")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.I)
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_MAX_HEAD_BYTES = 1 << 20
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. `media_type` is lower-case and without parameters, "" where none is given."""

    status: int
    media_type: str
    charset: str | None
    codings: tuple[str, ...]  # as to be undone: transfer codings first
    body: bytes  # as sent


def parse_response(block: bytes) -> Response | None:
    """Split a response into head and body; None where the bytes do not begin with a status line."""
    status = _STATUS.match(block)
    if not status:
        return None
    end = _HEAD_END.search(block, status.end(), _MAX_HEAD_BYTES)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block, b"")
    fields = header_fields(head)
    kind, _, parameters = fields.get("content-type", "").partition(";")
    charset = _CHARSET.search(parameters)
    codings = [*_words(fields, "transfer-encoding"), *reversed(_words(fields, "content-encoding"))]
    return Response(int(status[1]), kind.strip().lower(), charset[1] if charset else None, tuple(codings), body)


def header_fields(head: bytes) -> dict[str, str]:
    """Read header lines behind a first line, names in lower case; of repeated ones the first counts."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:  # one line need not make the others unreadable
        text = "\n".join(map(_text, head.split(b"\n")))
    lines = text.replace("\r\n", "\n").partition("\n")[2]
    if "\n " in lines or "\n\t" in lines:
        lines = _FOLD.sub(" ", lines)  # obsolete
    fields: dict[str, str] = {}
    for line in lines.split("\n"):
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if colon and name and name not in fields:
            fields[name] = value.strip()
    return fields


def decode_body(response: Response, max_bytes: int) -> tuple[bytes, str | None]:
    """Undo the body's codings; give at most `max_bytes` of it, and what was wrong.

    That is None, "truncated" (the body breaks off: what came is given), "too_large" (cut at `max_bytes`) or
    "encoding" (a coding that is not known, or whose data is damaged: what came is given).
    """
    body, problem = response.body, None
    for coding in response.codings:
        if coding in ("", "identity", "none"):
            continue
        if coding == "chunked":
            body, trouble = _dechunk(body)
        elif coding in ("gzip", "x-gzip", "deflate", "br", "zstd"):
            body, trouble = _inflate(body, coding, max_bytes)
        else:
            return b"", "encoding"
        problem = problem or trouble
    return (body[:max_bytes], problem or "too_large") if len(body) > max_bytes else (body, problem)


def _dechunk(body: bytes) -> tuple[bytes, str | None]:
    if not _CHUNK_SIZE.match(body):
        return body, None  # stored decoded: common
    parts: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(body, at):
        length = int(size[1], 16)
        if length == 0:
            return b"".join(parts), None
        parts.append(body[size.end() : size.end() + length])
        at = size.end() + length
        at += 2 if body[at : at + 2] == b"\r\n" else 1 if body[at : at + 1] == b"\n" else 0
    return b"".join(parts), "truncated" if at >= len(body) else "encoding"


def _inflate(body: bytes, coding: str, max_bytes: int) -> tuple[bytes, str | None]:
    if not body:
        return b"", None
    if coding == "gzip" or coding == "x-gzip":
        if body[:2] != b"\x1f\x8b":
            return body, None  # stored decoded: common
        pieces = _zlib_pieces(body, 31)
    elif coding == "deflate":
        try:  # RFC 9110 says zlib; some servers send it bare
            zlib.decompressobj().decompress(body[:512])
            pieces = _zlib_pieces(body, 15)
        except zlib.error:
            pieces = _zlib_pieces(body, -15)
    else:
        pieces = _fastwarc_pieces(body, coding)
    return _gather(body, pieces, max_bytes)


def _gather(body: bytes, pieces: Iterator[bytes | None], max_bytes: int) -> tuple[bytes, str | None]:
    """Join pieces up to `max_bytes`; None among them says that the data ended too early."""
    got: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            if piece is None:
                return b"".join(got), "truncated"
            got.append(piece)
            size += len(piece)
            if size > max_bytes:
                return b"".join(got)[:max_bytes], "too_large"
    except (zlib.error, OSError, ValueError):
        # Nothing decoded and it reads as text: it was stored decoded.
        if not got and b"\0" not in body[:1024] and body.lstrip()[:1] == b"<":
            return body, None
        return b"".join(got), "encoding"
    return b"".join(got), None


def _zlib_pieces(body: bytes, window_bits: int) -> Iterator[bytes | None]:
    inflater, data = zlib.decompressobj(window_bits), body
    while data and not inflater.eof:
        yield inflater.decompress(data, _PIECE_BYTES)
        data = inflater.unconsumed_tail
        if not data and inflater.eof and inflater.unused_data[:2] == b"\x1f\x8b":  # several members
            data, inflater = inflater.unused_data, zlib.decompressobj(window_bits)
    if not inflater.eof:
        yield None


def _fastwarc_pieces(body: bytes, coding: str) -> Iterator[bytes | None]:
    from fastwarc.stream_io import BrotliReader, ZstdReader

    reader = (BrotliReader if coding == "br" else ZstdReader)(io.BytesIO(body))
    while piece := reader.read(_PIECE_BYTES):
        yield piece


def _words(fields: dict[str, str], name: str) -> list[str]:
    return [word.strip().lower() for word in fields.get(name, "").split(",") if word.strip()]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")
