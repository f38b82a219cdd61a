"""The row that every reader of raw files gives: a document, or a mark that says why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from corpuskit.schema import DOCS, DROP, ERROR
from corpuskit.text.charset import Decoded

Row = dict[str, str | float | None]

#: Documents as they come out of raw files. `extra` is a JSON object: columns of the input that a document does not
#: have, or details of how it was read; null where there are none. `html_confidence` is the F1 that is to be expected of
#: the main text of a web page.
EXTRACTED = pa.schema(
    [
        *DOCS,
        pa.field("author", pa.string()),
        pa.field("html_confidence", pa.float32()),
        pa.field("extra", pa.string()),
    ]
)
#: The same with the marks.
MARKED = EXTRACTED.append(pa.field(DROP, pa.string())).append(pa.field(ERROR, pa.string()))


@dataclass(frozen=True, slots=True)
class Reading:
    """How raw files are read."""

    text_column: str = "text"
    id_column: str = "id"
    text_per: str = "file"  # file, line or paragraph
    max_record_bytes: int = 64 << 20
    html: str = "corpuskit"  # or one of the libraries
    html_fallback: str = "none"
    comments: bool = False

    @property
    def releases_the_lock(self) -> bool:
        """Tell whether pages are read without Python's lock, so that threads help."""
        return self.html == "corpuskit" and self.html_fallback == "none"

    def page_fields(self, page: Decoded) -> dict[str, str | float | None]:
        """Take the main text out of an HTML page: text, title, language, date, author, html_confidence.

        Raises HtmlError for a page that would take a library more than linear time.
        """
        from corpuskit.text.html import html_to_text

        found = html_to_text(page.utf8(), self.html, self.html_fallback, comments=self.comments)
        return {
            "text": found.text,
            "title": found.title,
            "language": found.language,
            "date": found.date,
            "author": found.author,
            "html_confidence": found.confidence,
        }


@dataclass(frozen=True, slots=True)
class Origin:
    """What holds for every row of one file: its base name, what its download told, and what the user said.

    `source` and `license` are the user's and win over everything; `about` has the last word where nothing else is
    known. Without any, the source is the file's name without its suffixes.
    """

    name: str
    about: Mapping[str, str]
    source: str | None = None
    license: str | None = None

    def row(self, id: str, text: str = "", **fields: str | float | None) -> Row:
        """Build a row; absent fields are null."""
        row: Row = {"id": id, "text": text, **fields}
        about = self.about
        row["source"] = (
            self.source or row.get("source") or about.get("source") or self.name.partition(".")[0] or self.name
        )
        row["license"] = self.license or row.get("license") or about.get("license")
        row["date"] = row.get("date") or about.get("date")
        return row

    def failed(self, id: str, reason: str, detail: str = "", **fields: str | None) -> Row:
        """Build a row that stands for what could not be read."""
        row = self.row(id, "", **fields)
        row["error"] = reason
        row["extra"] = json_text({"detail": detail or None})
        return row


def json_text(values: Mapping[str, Any]) -> str | None:
    """Write a JSON object without its nulls, keys in the given order; None for nothing at all."""
    import msgspec

    kept = {name: value for name, value in values.items() if value is not None}
    if not kept:
        return None
    try:
        return msgspec.json.encode(kept, enc_hook=str).decode()
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):  # whole numbers of more than 64 bits, say
        return json.dumps(kept, ensure_ascii=True, separators=(",", ":"), default=str)
