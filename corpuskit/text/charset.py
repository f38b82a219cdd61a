"""Decode bytes of an unknown or wrongly declared character set, and count what could not be decoded."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Encodings whose bytes are ASCII, so that valid UTF-8 proves nothing.
_SEVEN_BIT = ("iso2022", "hz", "utf-16", "utf-32")
_META = re.compile(rb"<(?:meta|\?xml)\b[^>]{0,512}?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.I)
_META_BYTES = 4_096
#: Declared encodings are believed up to this share of undecodable among the bytes outside ASCII.
_MAX_BAD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, the encoding it was read as, and how many U+FFFD stand for bytes that this encoding does not have."""

    decoded: str | None  # None where it came in UTF-8: not everybody wants it as a string
    charset: str
    replaced: int
    data: bytes = b""

    @property
    def text(self) -> str:
        """Give the text as a string."""
        return self.data.decode() if self.decoded is None else self.decoded

    def utf8(self) -> bytes:
        """Give the text in UTF-8."""
        return self.data if self.decoded is None else self.decoded.encode()


def decode(data: bytes, declared: str | None = None, *, html: bool = False) -> Decoded:
    """Decode by byte-order mark, then as UTF-8 if valid, then as `declared`, then (`html`) as <meta> says, then as
    detected.

    Valid UTF-8 with bytes outside ASCII is practically never anything else, whatever is declared. A declared encoding
    that fits badly (over a tenth of what is not ASCII) is passed over for one that fits better. Undecodable bytes
    become U+FFFD. Labels mean what they mean on the web (WHATWG: iso-8859-1 is windows-1252).
    """
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return _replacing(data[len(mark) :], charset)
    known = _codec(declared)
    if not (known or "").startswith(_SEVEN_BIT) and is_utf8(data):
        return Decoded(None, "utf-8", 0, data)
    outside = len(data) - len(data.translate(None, bytes(range(128, 256))))
    best: Decoded | None = None
    for charset in _candidates(data, known, html):
        got = _replacing(data, charset)
        if got.replaced <= _MAX_BAD_SHARE * outside:
            return got
        if best is None or got.replaced < best.replaced:
            best = got
    return best or _replacing(data, "utf-8")


def is_utf8(data: bytes) -> bool:
    """Tell whether bytes are UTF-8: at 10 times the rate at which Python makes a string of them."""
    if data.isascii():
        return True
    import pyarrow as pa

    places = pa.py_buffer(len(data).to_bytes(8, sys.byteorder).rjust(16, b"\0"))
    try:
        pa.LargeStringArray.from_buffers(1, places, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _candidates(data: bytes, known: str | None, html: bool) -> Iterator[str]:
    from resiliparse.parse.encoding import detect_encoding

    if known:
        yield known
    if html and (found := _META.search(data[:_META_BYTES])):
        in_meta = _codec(found[1].decode("ascii", "replace"))
        # The declaration was read as ASCII, so it cannot be true of UTF-16.
        if in_meta and in_meta != known and not in_meta.startswith("utf-16"):
            yield in_meta
    yield detect_encoding(data) or "utf-8"


def _codec(label: str | None) -> str | None:
    """Give the codec of a label as the web means it, or None for a label that means nothing."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    cleaned = (label or "").strip(" \t\r\n\"';,")
    if not cleaned:
        return None
    name: str | None = map_encoding_to_html5(cleaned, fallback_utf8=False)
    return name


def _replacing(data: bytes, charset: str) -> Decoded:
    try:
        return Decoded(data.decode(charset), charset, 0)
    except UnicodeDecodeError:
        text = data.decode(charset, "replace")
    except LookupError:
        return _replacing(data, "utf-8")
    return Decoded(text, charset, text.count("\ufffd"))
