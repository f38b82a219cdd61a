"""Turn raw archives and files into documents.

Reads MediaWiki exports (Wikipedia dumps), WARC and WET archives, JSON Lines, Parquet, Arrow, HTML and plain text,
compressed with gzip, bz2, xz, zstd or not at all. What a file is, is told from its content, not from its name.

Everything in a file becomes a row: a document, or a row that is dropped or set aside with a reason. Documents are the
pages of a wiki's main namespace that are no redirects, the HTML pages that an archive holds with status 200, WET
texts, and the rows, lines or files of the other kinds. Dropped rows carry no text. An empty text is still a document:
whether it is worth keeping is for `clean` to say. A file that is cut or damaged gives what is readable, and an error
row that says so. An export without its end tag is told as cut wherever the cut is; a WARC, JSON Lines or text file cut
exactly behind a record or line, and there between two compressed members, looks whole.

Ids are stable: wiki name and page id, WARC-Record-ID, the id column, else the file's name and the row's number.
Columns that a document does not have are kept together as JSON in `extra`. Main text of HTML: Resiliparse (Bevendorff
et al. 2018). Undecodable bytes become U+FFFD; `extra` tells how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from corpuskit.formats.document import EXTRACTED, MARKED, Origin, Reading, Row
from corpuskit.formats.reading import REASONS, read_rows
from corpuskit.options import option
from corpuskit.schema import rows_to_batch
from corpuskit.stage import Input, OneFile, Stage, Step, Table, Yield

_BATCH_ROWS = 1_000
_BATCH_CHARS = 16 << 20


@dataclass(frozen=True)
class Options:
    """How raw files are read."""

    source: str | None = option(None, "Name of the source, for every document (default: wiki, download or file name).")
    license: str | None = option(
        None, "SPDX license of the text, for every document (default: what the download says)."
    )
    text_column: str = option("text", "Column of a table or key of JSON Lines that holds the text.")
    id_column: str = option("id", "Column or key that holds the id; where it is absent, file name and row number.")
    text_per: str = option("file", "What of a plain text file is a document.", choices=("file", "line", "paragraph"))
    max_record_bytes: int = option(
        64 << 20, "Largest page, record, line or text file that is read, decompressed.", min=1 << 10, max=1 << 30
    )


def read(dump: OneFile, options: Options) -> Iterator[Yield]:
    """Read one file as batches of at most 1,000 rows or about 16 MiB of text."""
    origin = Origin(dump.path.name, dump.about, options.source, options.license)
    reading = Reading(options.text_column, options.id_column, options.text_per, options.max_record_bytes)
    yield from _batches(read_rows(dump.path, origin, reading))


def _batches(rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
    held: list[Row] = []
    chars, some = 0, False
    for row in rows:
        held.append(row)
        chars += len(row["text"] or "") + len(row.get("extra") or "")
        if len(held) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield rows_to_batch(held, MARKED)
            held, chars, some = [], 0, True
    if held or not some:
        yield rows_to_batch(held, MARKED)


STAGE = Stage(
    options=Options,
    inputs=(
        Input(
            "dump",
            "Raw files, folders of them, or downloads: MediaWiki exports, WARC, WET, JSON Lines, Parquet, HTML, text.",
            raw=True,
            many=True,
        ),
    ),
    steps=(Step(read, writes={"docs": Table(EXTRACTED)}),),
    reasons=REASONS,
)
