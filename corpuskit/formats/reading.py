"""Read any raw file as rows: the kind is told from its content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from corpuskit.errors import UsageError
from corpuskit.formats.document import Origin, Reading, Row
from corpuskit.formats.opening import open_bytes
from corpuskit.formats.sniff import HEAD_BYTES, Kind, sniff


def read_rows(
    path: Path, origin: Origin, reading: Reading, *, part: str = "", pages: Sequence[str] = ()
) -> Iterator[Row]:
    """Give a row for everything in the file: documents, and rows marked with `drop` or `error` (see `REASONS`).

    `part` is a `multistream.Part` in words; of a MediaWiki export only the `pages` asked for are read, if any.
    Memory is bounded by a few records of `reading.max_record_bytes`, whatever the size of the file. Raises OSError
    where the file cannot be opened, UsageError for a table without the text column, or pages of another kind of file.
    """
    if part or pages:
        yield from _read_pages(path, origin, reading, part, pages)
    else:
        yield from _read_all(path, origin, reading)


def _read_pages(path: Path, origin: Origin, reading: Reading, part: str, pages: Sequence[str]) -> Iterator[Row]:
    from corpuskit.formats.multistream import Part, read_part
    from corpuskit.formats.multistream_index import Wanted

    if not part and (kind := kind_of(path)).name != "mediawiki":
        raise not_mediawiki(path.name, kind)
    yield from read_part(path, Part.decode(part), origin, reading, Wanted(tuple(pages)) if pages else None)


def kind_of(path: Path) -> Kind:
    """Tell what a file is. Raises OSError where it cannot be opened."""
    with open_bytes(path) as stream:
        return sniff(stream.peek(HEAD_BYTES))


def not_mediawiki(name: str, kind: Kind) -> UsageError:
    """Give the error for pages that are asked of another kind of file."""
    found = kind.detail or kind.name.replace("_", " ")
    return UsageError(name, f"expected a MediaWiki export, whose pages can be picked, found {found}", "leave it out")


def _read_all(path: Path, origin: Origin, reading: Reading) -> Iterator[Row]:
    with open_bytes(path) as stream:
        kind = sniff(stream.peek(HEAD_BYTES))
        if kind.name == "empty":
            if stream.problem:
                yield origin.failed(origin.name, stream.problem)
        elif kind.name == "unsupported":
            yield origin.failed(origin.name, "unsupported_kind", kind.detail)
        elif kind.name == "multistream_index":
            detail = "the index of a multistream dump holds no text; give it together with its dump"
            yield origin.failed(origin.name, "unsupported_kind", detail)
        elif kind.name == "mediawiki":
            from corpuskit.formats.mediawiki import read_mediawiki

            yield from read_mediawiki(stream, origin, reading)
        elif kind.name == "warc":
            from corpuskit.formats.warc import read_warc

            yield from read_warc(stream, origin, reading)
        elif kind.name == "arc":
            from corpuskit.formats.arc import read_arc

            yield from read_arc(stream, origin, reading)
        else:
            from corpuskit.formats import rows

            if kind.name == "jsonl":
                yield from rows.read_jsonl(stream, origin, reading, kind.encoding)
            elif kind.name == "html":
                yield from rows.read_html(stream, origin, reading)
            elif kind.name == "text":
                yield from rows.read_text(stream, origin, reading, kind.encoding)
            elif stream.compression:
                yield origin.failed(origin.name, "unsupported_kind", f"{kind.name} inside {stream.compression}")
            else:
                yield from rows.read_table(path, kind.name, origin, reading)


#: What the marks mean.
REASONS = {
    "not_namespace_0": "a wiki page outside the main namespace: talk, template, category, ...",
    "redirect": "a wiki page that only points to another",
    "not_wikitext": "a wiki page of another content model: JSON, CSS, a module, ...",
    "not_a_response": "a record of an archive that holds no page: request, metadata, warcinfo, resource, ...",
    "revisit": "a WARC record that says the page had not changed since an earlier capture",
    "not_http": "a response of another protocol, such as a DNS answer",
    "http_status": "a response whose HTTP status is not 200",
    "content_type": "a response that is no HTML, or a conversion that is no plain text",
    "truncated": "the file, or a WARC record, ends in the middle; whole pages and records before are kept",
    "corrupt": "compressed or columnar data is damaged; what comes before is kept, of WARCs and dumps also the rest",
    "trailing_garbage": "bytes that are no part of the archive follow its end",
    "bad_record": "bytes of a WARC or ARC file that are no record, or one without a length",
    "bad_http": "a response without an HTTP status line",
    "bad_encoding": "an HTTP body whose compression is unknown or damaged from its beginning",
    "bad_xml": "the export is not well-formed here, or holds a DOCTYPE; the other pages are kept",
    "bad_json": "a line that is no JSON object",
    "no_text_column": "a row without a text: the text column is absent, null or no string",
    "nested_too_deep": "markup nested so deeply, or a tag of so many attributes, that no reader of pages would show it",
    "too_large": "a record, page, line or file larger than max_record_bytes",
    "page_not_found": "a page that --pages or --sample asked for, and that no dump holds",
    "unsupported_kind": "a file of a kind that is not read: images, archives, JSON arrays, other XML, ...",
}
