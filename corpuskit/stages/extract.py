"""Turn raw archives and files into documents.

Reads MediaWiki exports (Wikipedia dumps), WARC, WET and ARC archives, JSON Lines, Parquet, Arrow, HTML and plain text,
compressed with gzip, bz2, xz, zstd or not at all. What a file is, is told from its content, not from its name.

Everything in a file becomes a row: a document, or a row that is dropped or set aside with a reason. Documents are the
pages of a wiki's main namespace that are no redirects, the HTML pages that an archive holds with status 200, WET
texts, and the rows, lines or files of the other kinds. Dropped rows carry no text. An empty text is still a document:
whether it is worth keeping is for `clean` to say. A file that is cut or damaged gives what is readable, and an error
row that says so; dumps and WARCs go on behind a damage, with the next page or record. An export without its end tag is
told as cut wherever the cut is; a WARC, JSON Lines or text file cut exactly behind a record or line, and there between
two compressed members, looks whole.

The pages of one multistream Wikipedia dump are read by several workers at once. Its index, given beside it, is no
document. With the index, single pages are read without the rest of the dump:

    corpuskit download wikipedia dumps --wiki simplewiki --format dump
    corpuskit extract dumps some --pages 12 --pages "Alan Turing" --pages @titles.txt
    corpuskit extract dumps thousand --sample 1000 --seed 1

`--pages` takes page ids and exact titles, or @FILE with one of them a line; a colon in front makes a title of a number
(`:1984`). A page that no dump holds is an error row; dumps whose index is not given are read whole, and then nothing
tells what they lack. `--sample` picks pages of the main namespace by a hash of seed and page id: a larger sample holds
the smaller one, the same pages come out of every run, and redirects among them are dropped as always. It needs dumps
on this machine, each with its index.

Ids are stable: wiki name and page id, WARC-Record-ID, the place in an ARC file, the id column (of numbers, which other
files have too, with the file's name in front), else the file's name and the row's number.
Columns that a document does not have are kept together as JSON in `extra`. Undecodable bytes become U+FFFD; `extra`
tells how many.

The main text of HTML keeps headings, lists, tables, code and line breaks as readable text; title, language, date and
author are what the page says of itself, where it says nothing the date is the capture's. `corpuskit`, the default,
parts a page into blocks and has boosted trees judge each; `html_confidence` is the F1 that it expects of the whole,
which `clean --threshold html_confidence>=0.5` can ask for. `--html-fallback trafilatura` (Barbaresi 2021, an extra) has
pages below that read by Trafilatura. `--html resiliparse` (Bevendorff et al. 2018) and `--html trafilatura` use these
libraries throughout. `corpuskit show --html PAGE` shows what is kept of a page; docs/extraction.md tells how good and
fast they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from corpuskit.errors import NoInput, UsageError
from corpuskit.formats.document import EXTRACTED, MARKED, Origin, Reading, Row
from corpuskit.formats.reading import REASONS, read_rows
from corpuskit.options import option
from corpuskit.schema import rows_to_batch
from corpuskit.stage import Input, OneFile, Stage, Step, Table, Yield, group, group_bytes, status, warn
from corpuskit.text.html import EXTRACTORS, FALLBACKS

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
    id_column: str = option(
        "id", "Column or key of the id: words as they stand, numbers behind the file's name; else that and the row."
    )
    text_per: str = option("file", "What of a plain text file is a document.", choices=("file", "line", "paragraph"))
    html: str = option("corpuskit", "What takes the main text out of HTML pages.", choices=EXTRACTORS)
    html_fallback: str = option("none", "What reads the pages that `corpuskit` is unsure of.", choices=FALLBACKS)
    comments: bool = option(False, "Keep what readers have written below the text of HTML pages.")
    max_record_bytes: int = option(
        64 << 20, "Largest page, record, line or text file that is read, decompressed.", min=1 << 10, max=1 << 30
    )
    pages: tuple[str, ...] = option(
        (), "Read only this page of a Wikipedia dump: its id or exact title, or @FILE with one a line."
    )
    sample: int | None = option(None, "Read so many random pages of multistream Wikipedia dumps.", min=1)
    seed: int = option(0, "Which random pages.", min=0)

    def __post_init__(self) -> None:
        """Read what @FILE names, so that the pages themselves are the option."""
        if self.pages and self.sample is not None:
            raise UsageError("--sample", "expected either --pages or --sample, got both", "leave out one of them")
        words = [line for word in self.pages for line in _words(word)]
        if self.pages and not words:
            raise UsageError("--pages", "expected page ids or titles, found none", "leave it out to read all pages")
        object.__setattr__(self, "pages", tuple(dict.fromkeys(words)))


def _words(word: str) -> list[str]:
    if not word.startswith("@"):
        return [word.strip()] if word.strip() else []
    path = Path(word[1:])
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        problem = f"{path}: {error.strerror}"
        raise NoInput("--pages", problem, "name a file with one page a line; `:@` begins a title with @") from None
    except UnicodeDecodeError:
        raise UsageError("--pages", f"{path}: expected UTF-8 text", "write it as UTF-8, one page a line") from None
    lines = [line.strip() for line in lines]
    return [f":{line}" if line.startswith("@") else line for line in lines if line]


def read(dump: OneFile, options: Options) -> Iterator[Yield]:
    """Read one file as batches of at most 1,000 rows or about 16 MiB of text."""
    origin = Origin(dump.path.name, dump.about, options.source, options.license)
    reading = Reading(
        options.text_column,
        options.id_column,
        options.text_per,
        options.max_record_bytes,
        options.html,
        options.html_fallback,
        options.comments,
    )
    if options.sample is not None and not dump.part:
        raise UsageError(dump.path.name, "--sample needs local files", "copy the dump and its index to this machine")
    if dump.part:
        from corpuskit.formats.multistream import Part

        for note in Part.decode(dump.part).notes:
            warn(note)
    yield from _batches(read_rows(dump.path, origin, reading, part=dump.part, pages=options.pages))


def _batches(rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
    held: list[Row] = []
    chars, some = 0, False
    for row in rows:
        held.append(row)
        chars += len(str(row["text"] or "")) + len(str(row.get("extra") or ""))
        if len(held) >= _BATCH_ROWS or chars >= _BATCH_CHARS:
            yield rows_to_batch(held, MARKED)
            held, chars, some = [], 0, True
    if held or not some:
        yield rows_to_batch(held, MARKED)


def cut(files: Sequence[OneFile], options: Options) -> list[list[OneFile]]:
    """Make tasks of files: multistream dumps in parts or by the pages asked for, small files grouped."""
    from corpuskit.formats.multistream import Part
    from corpuskit.formats.multistream_units import asked, sampled, wholes, with_indexes

    if options.pages or options.sample is not None:
        status("looking for the pages in the indexes")
    dumps = with_indexes([file.path for file in files])
    bound = group_bytes(sum(dump.size for dump in dumps))
    if options.sample is not None:
        units = sampled(dumps, options.sample, options.seed)
    elif options.pages:
        units = asked(dumps, options.pages, bound)
    else:
        units = wholes(dumps, bound)
    tasks = []
    for places in group([unit.bytes for unit in units]):
        parts: dict[int, Part] = {}
        for unit in (units[place] for place in places):
            parts[unit.file] = parts[unit.file] + unit.part if unit.file in parts else unit.part
        tasks.append([replace(files[at], part=part.encode()) for at, part in parts.items()])
    return tasks


STAGE = Stage(
    options=Options,
    inputs=(
        Input(
            "dump",
            "Raw files, folders of them, downloads: MediaWiki dumps, WARC, WET, ARC, JSON Lines, Parquet, HTML, text.",
            raw=True,
            many=True,
        ),
    ),
    steps=(Step(read, writes={"docs": Table(EXTRACTED)}, cut=cut),),
    reasons=REASONS,
    version=5,
    some_extra="html",
)
