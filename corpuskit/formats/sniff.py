"""Tell what a file is from its first bytes, not from its name."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

#: How much of the (decompressed) beginning is looked at.
HEAD_BYTES = 65_536

_ARROW_STREAM = b"\xff\xff\xff\xff"
_BINARY = (
    *(b"%PDF-", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf"),
    *(b"\x7fELF", b"RIFF", b"OggS", b"ID3", b"SQLite format 3"),
)
_PROLOGUE = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.S)
_ROOT = re.compile(r"<(!DOCTYPE\s+)?([A-Za-z_][\w:.-]*)", re.I)
_INDEX_LINE = re.compile(r"([0-9]{3,19}):([0-9]{1,19}):.+", re.S)
_HTML = (
    *(
        "html",
        "head",
        "body",
        "title",
        "meta",
        "link",
        "script",
        "style",
        "div",
        "p",
        "span",
        "table",
        "h1",
        "h2",
        "h3",
    ),
    *("ul", "ol", "a", "br", "article", "section", "main", "header", "nav", "img", "b", "i", "center", "font"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b")) + b"\x7f"
_MAX_CONTROL_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is. `name` is one of mediawiki, multistream_index, warc, arc, parquet, arrow_file, arrow_stream,
    jsonl, html, text, empty, or `unsupported`, with `detail` in words. `encoding` is set where a byte-order mark tells
    UTF-16."""

    name: str
    detail: str = ""
    encoding: str | None = None


def sniff(head: bytes) -> Kind:
    """Tell the kind of a file from its decompressed beginning (`HEAD_BYTES`, or all of a shorter file)."""
    if not head.strip(b"\0"):
        return Kind("empty") if not head else Kind("unsupported", "nothing but zero bytes")
    if head.startswith(b"PAR1"):
        return Kind("parquet")
    if head.startswith(b"ARROW1\0\0"):
        return Kind("arrow_file")
    if head.startswith(_ARROW_STREAM) and int.from_bytes(head[4:8], "little") < 1 << 28:
        return Kind("arrow_stream")
    if re.match(rb"\s*WARC/\d", head):
        return Kind("warc")
    if head.startswith(b"filedesc://"):
        return Kind("arc")
    if head.startswith(_BINARY):
        return Kind("unsupported", "a binary file")
    return _text_kind(head)


def _text_kind(head: bytes) -> Kind:
    encoding = None
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
        text = head[: len(head) & ~1].decode(encoding, "replace")
    else:
        plain = head.removeprefix(codecs.BOM_UTF8)
        if len(plain) - len(plain.translate(None, _CONTROLS)) > _MAX_CONTROL_SHARE * len(plain):
            return Kind("unsupported", "a binary file")
        text = plain.decode("utf-8", "replace")
        if b"\0" in plain and not _begins_as_html(text):  # pages have some in their scripts; browsers pass over them
            return Kind("unsupported", "a binary file")
    start = _PROLOGUE.match(text)
    begin = text[start.end() if start else 0 :]
    if not begin:
        return Kind("text", encoding=encoding)
    if begin[0] == "<":
        return _markup_kind(begin, text.lstrip().startswith("<?xml"), encoding)
    if begin[0] == "{" and begin[1:].lstrip()[:1] in ('"', "}"):
        whole = len(head) < HEAD_BYTES
        if _has_object_line(begin, whole):
            return Kind("jsonl", encoding=encoding)
        return Kind("unsupported", "JSON that is not one object a line")
    if begin[0] == "[" and begin[1:].lstrip()[:1] == "{":
        return Kind("unsupported", "a JSON array; JSON Lines has one object a line")
    if begin[0].isdigit() and _is_index(begin, len(head) < HEAD_BYTES):
        return Kind("multistream_index")
    return Kind("text", encoding=encoding)


def _markup_kind(begin: str, declared: bool, encoding: str | None) -> Kind:
    root = _ROOT.match(begin)
    if not root:
        return Kind("unsupported", "XML") if declared else Kind("text", encoding=encoding)
    name = root[2].lower()
    if root[1]:
        return Kind("html", encoding=encoding) if name == "html" else Kind("unsupported", "XML with a DOCTYPE")
    if name == "mediawiki":
        return Kind("mediawiki", encoding=encoding)
    if name in _HTML:
        return Kind("html", encoding=encoding)
    return Kind("unsupported", f"XML of another kind (<{root[2][:40]}>)")


def _begins_as_html(text: str) -> bool:
    start = _PROLOGUE.match(text)
    begin = text[start.end() if start else 0 :]
    return begin[:1] == "<" and _markup_kind(begin, False, None).name == "html"


def begins_as_index(head: bytes) -> bool:
    """Tell whether a file that has the name of an index begins as one."""
    return _INDEX_LINE.match(head.partition(b"\n")[0].decode("utf-8", "replace")) is not None


def _is_index(text: str, whole: bool) -> bool:
    """Tell whether all lines are `offset:page id:title`, offsets and ids rising as in a dump.

    The first stream of a dump is longer than 100 bytes, which keeps out logs that begin with the time.
    """
    lines = text.split("\n")
    if not whole or not lines[-1]:
        lines.pop()
    offset, page = 100, -1
    for line in lines:
        found = _INDEX_LINE.fullmatch(line)
        if not found or int(found[1]) < offset or int(found[2]) <= page:
            return False
        offset, page = int(found[1]), int(found[2])
    return bool(lines)


def _has_object_line(text: str, whole: bool) -> bool:
    """Tell whether some line is a JSON object; a first line longer than what is looked at is taken for one."""
    import msgspec

    lines = text.split("\n")
    if len(lines) == 1 and not whole:
        return True
    for line in lines if whole else lines[:-1]:
        try:
            if isinstance(msgspec.json.decode(line), dict):
                return True
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
    return False
