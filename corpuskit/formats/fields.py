"""Read every text field of the rows of a file: what evaluation sets hold, whatever their columns are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpuskit.errors import BadData
from corpuskit.formats import rows
from corpuskit.formats.document import Origin, Reading
from corpuskit.formats.opening import open_bytes
from corpuskit.formats.reading import kind_of, read_rows

_MAX_BYTES = 64 << 20


def read_fields(path: Path, columns: Sequence[str] = ()) -> Iterator[tuple[int, str | None, list[str]]]:
    """Give (number, id, texts) of every row: all strings in it, also those in lists and objects, in their order.

    JSON Lines, Parquet and Arrow have rows; of text, a paragraph is one; of dumps and archives, a document. `columns`
    names the fields to read; without, all. Lines that are no JSON object are left out. Raises BadData for a file of
    another kind, a table that is damaged, and one without the columns.
    """
    some: bool | None = None  # rows with the columns; of no rows nothing is asked
    for number, values in _values(path):
        some = bool(some) or not columns or any(name in values for name in columns)
        wanted = {name: values[name] for name in columns if name in values} if columns else values
        id = values.get("id")
        yield number, None if id is None else str(id), list(_strings(wanted))
    if some is False:
        raise BadData(path.name, f"no row has a column {' or '.join(columns)}", "name other columns by --column")


def read_labelled(path: Path, text: str, label: str) -> Iterator[tuple[str, str] | None]:
    """Give (text, label) of every row of JSON Lines, Parquet or Arrow, labels as words; None where one is missing.

    Raises BadData for a file of another kind, a damaged one, and one in which no row has both columns.
    """
    rows, labelled = 0, 0
    names: list[str] = []
    for _, values in _values(path):
        rows, names = rows + 1, names or list(values)
        words, said = values.get(text), values.get(label)
        if isinstance(words, str) and isinstance(said, (str, int)):
            labelled += 1
            yield words, str(said)
        else:
            yield None
    if rows and not labelled:
        problem = f"no row has a text `{text}` and a label `{label}`; it has {', '.join(names)}"
        raise BadData(path.name, problem, "name the columns by --text and --label")


def _values(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    kind = kind_of(path).name
    try:
        if kind == "jsonl":
            yield from _of_lines(path)
        elif kind in ("parquet", "arrow_file", "arrow_stream"):
            yield from _of_table(path, kind)
        else:
            yield from _of_texts(path)
    except (OSError, ValueError) as error:
        raise BadData(path.name, f"cannot be read: {error}", "give JSON Lines, Parquet, Arrow or text") from None


def _of_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with open_bytes(path) as stream:
        for number, line in rows.read_lines(stream, _MAX_BYTES):
            values = rows.json_object(line)[0] if line and line.strip() else None
            if values is not None:
                yield number, values


def _of_table(path: Path, kind: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0
    for batch in rows.table_batches(path, kind):
        for values in rows.without_nanoseconds(batch).to_pylist():
            number += 1
            yield number, values


def _of_texts(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reading = Reading(text_per="paragraph")
    for number, row in enumerate(read_rows(path, Origin(path.name, {}), reading), 1):
        if row.get("error") == "unsupported_kind":
            raise BadData(path.name, "expected evaluation texts", "give JSON Lines, Parquet, Arrow or text")
        if row.get("error") is None and row.get("drop") is None:
            yield number, {"text": row["text"]}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _strings(each)
