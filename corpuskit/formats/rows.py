"""Read JSON Lines, Parquet, Arrow, HTML and plain text as documents."""

from __future__ import annotations

import codecs
import datetime
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from corpuskit.errors import UsageError
from corpuskit.formats.document import Origin, Reading, Row, json_text
from corpuskit.formats.opening import PROBLEMS, ByteStream
from corpuskit.schema import DOCS
from corpuskit.text.charset import decode
from corpuskit.text.html import HtmlError

_FIELDS = frozenset(DOCS.names) - {"id", "text"}
_TABLE_ROWS = 256  # read at once: rows may be large
_ARROW_END = b"\xff\xff\xff\xff\0\0\0\0"


def read_lines(
    stream: ByteStream, max_line_bytes: int, encoding: str | None = None
) -> Iterator[tuple[int, bytes | None]]:
    """Give (number from 1, line without its end) for every line; None for one longer than `max_line_bytes`.

    Lines end at `\\n` alone, a `\\r` before it goes. With `encoding`, lines are transcoded to UTF-8.
    """
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    number, held, size = 1, [b""], 0
    while piece := stream.read():
        if decoder:
            piece = decoder.decode(piece).encode("utf-8", "replace")
        *lines, rest = piece.split(b"\n")
        for line in lines:
            size += len(line)
            if size <= max_line_bytes:
                held.append(line)
                yield number, b"".join(held).removesuffix(b"\r")
            else:
                yield number, None
            number, held, size = number + 1, [], 0
        size += len(rest)
        if size <= max_line_bytes:
            held.append(rest)
        else:
            held.clear()
    if size:
        yield number, b"".join(held) if size <= max_line_bytes else None


def read_jsonl(stream: ByteStream, origin: Origin, reading: Reading, encoding: str | None = None) -> Iterator[Row]:
    """Give a document for every line that is a JSON object with a text; other lines become error rows.

    Blank lines are no rows. NaN, Infinity and halves of surrogate pairs, which no JSON has but some writers write,
    are read.
    """
    for number, line in read_lines(stream, reading.max_record_bytes, encoding):
        where = f"{origin.name}:{number}"
        if line is None:
            yield origin.failed(where, "too_large")
            continue
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if not line.strip():
            continue
        values, replaced = json_object(line)
        if values is None:
            yield origin.failed(where, "bad_json")
        else:
            yield _row(values, where, origin, reading, replaced)
    yield from _ending(stream, origin)


def read_table(path: Path, kind: str, origin: Origin, reading: Reading) -> Iterator[Row]:
    """Give a document for every row of a Parquet file, an Arrow file or an Arrow stream, batch after batch.

    Raises UsageError where the text column is missing; a file that does not hold ends in an error row.
    """
    import pyarrow as pa

    number = 0
    try:
        for batch in table_batches(path, kind):
            if reading.text_column not in batch.schema.names:
                raise UsageError(
                    f"extract {origin.name}",
                    f"no column `{reading.text_column}`; it has: {', '.join(batch.schema.names)}",
                    "name the column of the text by --text-column",
                )
            for start in range(0, batch.num_rows, _TABLE_ROWS):
                for values in without_nanoseconds(batch.slice(start, _TABLE_ROWS)).to_pylist():
                    number += 1
                    yield _row(values, f"{origin.name}:{number}", origin, reading, 0)
        if kind == "arrow_stream" and not _ends(path):
            yield origin.failed(origin.name, "truncated", PROBLEMS["truncated"])
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        yield origin.failed(origin.name, "corrupt", f"{type(error).__name__} behind row {number}")


def read_html(stream: ByteStream, origin: Origin, reading: Reading) -> Iterator[Row]:
    """Give the file as one document: the main text of the page."""
    data = _all(stream, reading.max_record_bytes)
    if data is None:
        yield origin.failed(origin.name, "too_large")
        return
    decoded = decode(data, html=True)
    about = {"charset": decoded.charset, "replaced": decoded.replaced} if decoded.replaced else {}
    try:
        fields = reading.page_fields(decoded)
    except HtmlError as error:
        yield origin.failed(origin.name, "nested_too_deep", str(error))
        return
    row = origin.row(origin.name, url=origin.about.get("url"))
    yield {**row, **fields, "date": fields["date"] or row["date"], "extra": json_text(about)}
    yield from _ending(stream, origin)


def read_text(stream: ByteStream, origin: Origin, reading: Reading, encoding: str | None = None) -> Iterator[Row]:
    """Give plain text as one document, or one a line, or one a paragraph (lines up to a blank one)."""
    if reading.text_per == "file":
        data = _all(stream, reading.max_record_bytes)
        if data is None:
            yield origin.failed(origin.name, "too_large")
            return
        yield _text_row(origin.name, data, origin, url=origin.about.get("url"))
    else:
        for number, block in _blocks(read_lines(stream, reading.max_record_bytes, encoding), reading):
            where = f"{origin.name}:{number}"
            yield origin.failed(where, "too_large") if block is None else _text_row(where, block, origin)
    yield from _ending(stream, origin)


def _blocks(lines: Iterable[tuple[int, bytes | None]], reading: Reading) -> Iterator[tuple[int, bytes | None]]:
    """Give (number of its first line, text) of every line or paragraph that is not blank; None for one too long."""
    cap = reading.max_record_bytes
    held: list[bytes] = []
    first, size = 0, 0
    for number, line in lines:
        if reading.text_per == "line":
            if line is None or line.strip():
                yield number, line
        elif line is None or line.strip():
            first = first or number
            size += cap + 1 if line is None else len(line) + 1
            if line is not None and size <= cap:
                held.append(line)
        elif first:
            yield first, b"\n".join(held) if size <= cap else None
            held, first, size = [], 0, 0
    if first:
        yield first, b"\n".join(held) if size <= cap else None


def _text_row(id: str, data: bytes, origin: Origin, **fields: str | None) -> Row:
    decoded = decode(data)
    about = {"charset": decoded.charset, "replaced": decoded.replaced} if decoded.replaced else {}
    return origin.row(id, decoded.text, extra=json_text(about), **fields)


def _ending(stream: ByteStream, origin: Origin) -> Iterator[Row]:
    if stream.problem:
        yield origin.failed(origin.name, stream.problem, PROBLEMS[stream.problem])


def _all(stream: ByteStream, max_bytes: int) -> bytes | None:
    pieces, size = [], 0
    while piece := stream.read():
        size += len(piece)
        if size > max_bytes:
            return None
        pieces.append(piece)
    return b"".join(pieces)


def json_object(line: bytes) -> tuple[dict[str, Any] | None, int]:
    """Decode a JSON object; tell how many characters stand for bytes that are no UTF-8. None where it is none."""
    import json

    import msgspec

    replaced = 0
    try:
        values = msgspec.json.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        text = line.decode("utf-8", "replace")
        replaced = text.count("\ufffd") - line.count("\ufffd".encode())
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            return None, 0
    return (values, replaced) if isinstance(values, dict) else (None, 0)


def _row(values: Mapping[str, Any], where: str, origin: Origin, reading: Reading, replaced: int) -> Row:
    """Build a row of named values: those that a document has are taken over, the others go to `extra`."""
    text = _text_of(values.get(reading.text_column))
    id = _id_of(values.get(reading.id_column), origin) or where
    fields = {name: found for name in _FIELDS if (found := _text_of(values.get(name))) is not None}
    taken = {reading.text_column, reading.id_column, *fields}
    rest = {name: value for name, value in values.items() if name not in taken}
    if replaced:
        rest["replaced"] = replaced
    if not isinstance(values.get(reading.text_column), (str, bytes)) or text is None:
        return origin.failed(id, "no_text_column", **fields)
    if len(text) > reading.max_record_bytes:
        return origin.failed(id, "too_large", **fields)
    return origin.row(id, text, extra=_well_formed(json_text(rest)), **fields)


def _id_of(value: Any, origin: Origin) -> str | None:
    """Give an id as text; a number, which another file has too, with the file's name in front."""
    text = _text_of(value)
    return f"{origin.name}:{text}" if text and isinstance(value, (int, float)) else text


def _text_of(value: Any) -> str | None:
    """Give a plain value as text; None for null and for what has parts."""
    if isinstance(value, str):
        return _well_formed(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return None


def _well_formed(text: str | None) -> str | None:
    """Replace halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    if text is None or text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def table_batches(path: Path, kind: str) -> Iterator[Any]:
    """Give the batches of a Parquet file, an Arrow file or an Arrow stream."""
    import pyarrow as pa

    if kind == "parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, buffer_size=1 << 20) as file:
            yield from file.iter_batches(batch_size=_TABLE_ROWS)
        return
    with pa.memory_map(str(path)) as source:
        if kind == "arrow_stream":
            yield from pa.ipc.open_stream(source)
        else:
            reader = pa.ipc.open_file(source)
            for at in range(reader.num_record_batches):
                yield reader.get_batch(at)


def without_nanoseconds(batch: Any) -> Any:
    """Give a batch without nanoseconds, which Python's datetimes do not have."""
    import pyarrow as pa

    for at, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
            to = pa.timestamp("us", field.type.tz)
        elif pa.types.is_time64(field.type) and field.type.unit == "ns":
            to = pa.time64("us")
        elif pa.types.is_duration(field.type) and field.type.unit == "ns":
            to = pa.duration("us")
        else:
            continue
        batch = batch.set_column(at, field.name, batch.column(at).cast(to, safe=False))
    return batch


def _ends(path: Path) -> bool:
    """Tell whether an Arrow stream has its end mark; a reader takes a file cut between batches for whole."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 8))
        return file.read().endswith(_ARROW_END)
