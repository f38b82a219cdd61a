from __future__ import annotations

import datetime
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpuskit.errors import UsageError
from corpuskit.formats.document import Origin, Reading
from corpuskit.formats.opening import ByteStream
from corpuskit.formats.rows import read_html, read_jsonl, read_lines, read_table, read_text

Rows = list[dict[str, Any]]


def stream(data: bytes) -> ByteStream:
    return ByteStream(io.BytesIO(data))


def jsonl(data: bytes, reading: Reading | None = None, encoding: str | None = None) -> Rows:
    return list(read_jsonl(stream(data), Origin("a.jsonl", {}), reading or Reading(), encoding))


def text(data: bytes, per: str, cap: int = 1_000) -> list[tuple[str, str]]:
    reading = Reading(text_per=per, max_record_bytes=cap)
    got = read_text(stream(data), Origin("a.txt", {}), reading)
    return [(str(row["id"]), str(row.get("error") or row["text"])) for row in got]


def test_a_line_is_a_document_and_other_keys_go_to_extra() -> None:
    (got,) = jsonl('{"id": 7, "text": "Grüße", "url": "u", "score": 0.5, "tags": ["a"], "none": null}\n'.encode())
    assert (got["id"], got["text"], got["url"]) == ("a.jsonl:7", "Grüße", "u")
    assert got["extra"] == '{"score":0.5,"tags":["a"]}'


def test_text_and_id_have_the_names_that_the_options_say() -> None:
    (got,) = jsonl(b'{"key": "k", "content": "c", "text": 1}', Reading(text_column="content", id_column="key"))
    assert (got["id"], got["text"], got["extra"]) == ("k", "c", '{"text":1}')


def test_an_id_falls_back_to_file_and_line() -> None:
    assert [row["id"] for row in jsonl(b'{"text":"a"}\n\n{"text":"b","id":null}')] == ["a.jsonl:1", "a.jsonl:3"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{bad", "bad_json"),
        (b"[1, 2]", "bad_json"),
        (b'"text"', "bad_json"),
        (b"[" * 900, "bad_json"),
        (b'{"text": null}', "no_text_column"),
        (b'{"text": 5}', "no_text_column"),
        (b'{"title": "a"}', "no_text_column"),
        (b'{"text": "' + b"x" * 1_000 + b'"}', "too_large"),
    ],
)
def test_a_bad_line_is_an_error_and_the_rest_goes_on(line: bytes, reason: str) -> None:
    before, bad, after = jsonl(b'{"text":"a"}\n' + line + b'\n{"text":"b"}', Reading(max_record_bytes=1_000))
    assert (before["text"], bad["error"], after["text"]) == ("a", reason, "b")
    assert bad["id"] == "a.jsonl:2"


@pytest.mark.parametrize(
    ("line", "text", "extra"),
    [
        (b'{"text": "a\xffb"}', "a\ufffdb", '{"replaced":1}'),
        (b'{"text": "a\\ud800b"}', "a\ufffdb", None),
        (b'{"text": "\\ud83d\\ude00"}', "😀", None),
        (b'{"text": "a", "x": NaN}', "a", '{"x":null}'),
        (b'{"text": "a", "x": 123456789012345678901234567890}', "a", '{"x":123456789012345678901234567890}'),
        (b'\xef\xbb\xbf{"text": "a"}\r', "a", None),
    ],
)
def test_what_some_writers_write_is_read(line: bytes, text: str, extra: str | None) -> None:
    (got,) = jsonl(line)
    assert (got["text"], got["extra"]) == (text, extra)


def test_a_cut_file_gives_its_whole_lines_and_an_error() -> None:
    data = gzip.compress(b'{"text":"a"}\n' * 50)
    *rows, last = jsonl(data[:-8])
    assert (len(rows), last["error"]) == (50, "truncated")


def test_lines_in_utf_16_are_read() -> None:
    (got,) = jsonl('{"text":"Ä€"}\n'.encode("utf-16"), encoding="utf-16")
    assert got["text"] == "Ä€"


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=20))
def test_lines_are_those_of_the_file(lines: list[bytes]) -> None:
    expected = [line.removesuffix(b"\r") for line in lines]
    data = b"".join(line + b"\n" for line in lines)
    got = list(read_lines(stream(gzip.compress(data)), 100))
    assert got == [(number, line) for number, line in enumerate(expected, 1)]


TABLE = pa.table(
    {
        "id": pa.array([1, 2, None]),
        "text": pa.array(["a", None, "ü"]),
        "date": pa.array([datetime.date(2024, 1, 2), None, None]),
        "seen": pa.array([1, 2, 3], pa.timestamp("ns")),
        "score": pa.array([0.5, 1.0, None]),
    }
)


def write(path: Path, kind: str, table: pa.Table = TABLE) -> Path:
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        with (pa.ipc.new_file if kind == "arrow_file" else pa.ipc.new_stream)(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


def table_rows(path: Path, kind: str, reading: Reading | None = None) -> Rows:
    return list(read_table(path, kind, Origin("t.parquet", {}), reading or Reading()))


@pytest.mark.parametrize("kind", ["parquet", "arrow_file", "arrow_stream"])
def test_a_row_of_a_table_is_a_document(tmp_path: Path, kind: str) -> None:
    first, second, third = table_rows(write(tmp_path / "t", kind), kind)
    assert (first["id"], first["text"], first["date"]) == ("t.parquet:1", "a", "2024-01-02")
    assert json.loads(first["extra"])["score"] == 0.5
    assert (second["id"], second["error"]) == ("t.parquet:2", "no_text_column")
    assert (third["id"], third["text"]) == ("t.parquet:3", "ü")


@pytest.mark.parametrize("kind", ["parquet", "arrow_file", "arrow_stream"])
def test_a_missing_text_column_names_those_that_are_there(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UsageError, match="no column `content`; it has: id, text, date, seen, score"):
        table_rows(write(tmp_path / "t", kind), kind, Reading(text_column="content"))


@pytest.mark.parametrize("kind", ["parquet", "arrow_file", "arrow_stream"])
def test_a_cut_table_is_an_error(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "t", kind, pa.concat_tables([TABLE] * 500))
    path.write_bytes(path.read_bytes()[:-100])
    assert table_rows(path, kind)[-1]["error"] in ("corrupt", "truncated")


def test_an_arrow_stream_cut_between_batches_is_truncated(tmp_path: Path) -> None:
    path = write(tmp_path / "t", "arrow_stream")
    path.write_bytes(path.read_bytes()[:-8])
    assert [row.get("error") for row in table_rows(path, "arrow_stream")] == [None, "no_text_column", None, "truncated"]


def test_a_table_larger_than_a_batch_keeps_its_order(tmp_path: Path) -> None:
    path = write(tmp_path / "t", "parquet", pa.table({"text": [f"row {at}" for at in range(3_000)]}))
    assert [row["text"] for row in table_rows(path, "parquet")] == [f"row {at}" for at in range(3_000)]


@pytest.mark.parametrize(
    ("id", "expected"), [('"x5"', "x5"), ('"5"', "5"), ("5", "a.jsonl:5"), ("-1", "a.jsonl:-1"), ("0", "a.jsonl:0")]
)
def test_an_id_that_is_a_number_gets_the_name_of_its_file(id: str, expected: str) -> None:
    (got,) = jsonl(b'{"id": %s, "text": "a"}' % id.encode())
    assert got["id"] == expected


def test_an_html_file_is_one_document() -> None:
    data = "<html lang=fr><title>T</title><body><main><p>Un été assez long pour un texte.</p></main>".encode("cp1252")
    (got,) = read_html(stream(data), Origin("a.html", {"url": "http://x"}), Reading())
    assert (got["id"], got["text"], got["title"]) == ("a.html", "Un été assez long pour un texte.", "T")
    assert (got["url"], got["language"]) == ("http://x", "fr")


TEXT = b"One.\nStill one.\n\n \nTwo.\r\n\n\nThree."


def test_a_text_file_is_one_document_as_it_stands() -> None:
    assert text(TEXT, "file") == [("a.txt", TEXT.decode())]


def test_a_text_file_gives_a_document_per_line() -> None:
    lines = [("a.txt:1", "One."), ("a.txt:2", "Still one."), ("a.txt:5", "Two."), ("a.txt:8", "Three.")]
    assert text(TEXT, "line") == lines


def test_a_text_file_gives_a_document_per_paragraph() -> None:
    assert text(TEXT, "paragraph") == [("a.txt:1", "One.\nStill one."), ("a.txt:5", "Two."), ("a.txt:8", "Three.")]


@pytest.mark.parametrize(
    ("data", "per", "expected"),
    [
        (b"x" * 30, "file", [("a.txt", "too_large")]),
        (b"a\n" + b"x" * 30 + b"\nb", "line", [("a.txt:1", "a"), ("a.txt:2", "too_large"), ("a.txt:3", "b")]),
        (b"a\n" * 30 + b"\nb", "paragraph", [("a.txt:1", "too_large"), ("a.txt:32", "b")]),
        (b"a\n" + b"x" * 30 + b"\nc\n\nb", "paragraph", [("a.txt:1", "too_large"), ("a.txt:5", "b")]),
    ],
)
def test_text_over_the_cap_is_an_error_where_it_begins(data: bytes, per: str, expected: object) -> None:
    assert text(data, per, cap=20) == expected


def test_text_in_another_charset_is_decoded() -> None:
    data = ("Съешь ещё этих мягких французских булок. " * 5).encode("cp1251")
    assert text(data, "file")[0][1].startswith("Съешь ещё")
