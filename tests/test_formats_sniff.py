from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuskit.formats.sniff import HEAD_BYTES, sniff

WIKI = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">\n<siteinfo>'
TABLE = pa.table({"text": ["a"]})


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink)
    return sink.getvalue()


def arrow(file: bool) -> bytes:
    sink = io.BytesIO()
    with (pa.ipc.new_file if file else pa.ipc.new_stream)(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (WIKI.encode(), "mediawiki"),
        (b'<?xml version="1.0" encoding="utf-8"?>\n<!-- export -->\n' + WIKI.encode(), "mediawiki"),
        (WIKI.encode("utf-16"), "mediawiki"),
        (b"\xef\xbb\xbf" + WIKI.encode(), "mediawiki"),
        (b"WARC/1.0\r\nWARC-Type: warcinfo\r\n", "warc"),
        (b"WARC/0.17\r\n", "warc"),
        (b"filedesc://example.arc 127.0.0.1 20140301000000 text/plain 75\n", "arc"),
        (b"\n<!-- x --><!DOCTYPE html><script>var a = '\0';</script>" + b"<p>text " * 20, "html"),
        (parquet(), "parquet"),
        (arrow(file=True), "arrow_file"),
        (arrow(file=False), "arrow_stream"),
        (b'{"text": "a"}\n{"text": "b"}\n', "jsonl"),
        (b'{"text": "a"}', "jsonl"),
        (b'{"text": "cut in a bad pla\n{"text": "b"}\n', "jsonl"),
        (b'\n  {"id": 1, "text": "a"}\n', "jsonl"),
        ('{"text": "ä"}\n'.encode("utf-16"), "jsonl"),
        (b'{"text": "' + b"x" * HEAD_BYTES, "jsonl"),
        (b"<!DOCTYPE html>\n<title>x</title>", "html"),
        (b"<!-- saved --><HTML lang=en><body>", "html"),
        (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0"><html>', "html"),
        (b"<p>A fragment</p>", "html"),
        (b"Once upon a time.\n", "text"),
        ("Жили-были.\n".encode("cp1251"), "text"),
        ("Once.\n".encode("utf-16"), "text"),
        (b"{{Infobox}} is not JSON", "text"),
        (b"{a, b} is a set", "text"),
        (b"<- an arrow", "text"),
        (b"[1] a footnote", "text"),
    ],
)
def test_a_kind_is_told_from_content(head: bytes, kind: str) -> None:
    assert sniff(head[:HEAD_BYTES]).name == kind


@pytest.mark.parametrize(
    ("head", "detail"),
    [
        (b"%PDF-1.7\n", "binary"),
        (b"\x89PNG\r\n\x1a\n", "binary"),
        (b"text with \x00 bytes", "binary"),
        (bytes(100), "zero"),
        (b'<?xml version="1.0"?><!DOCTYPE mediawiki [<!ENTITY a "b">]><mediawiki>', "DOCTYPE"),
        (b'<?xml version="1.0"?><rss version="2.0">', "<rss>"),
        (b"<page><title>a</title>", "<page>"),
        (b'{\n  "text": "pretty"\n}\n', "JSON"),
        (b'[{"text": "a"}]', "JSON array"),
    ],
)
def test_what_is_not_read_says_what_it_is(head: bytes, detail: str) -> None:
    kind = sniff(head)
    assert kind.name == "unsupported"
    assert detail in kind.detail
