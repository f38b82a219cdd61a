"""Get a text set of the Hugging Face Hub as Parquet files.

NAME is a set of the hub, such as `stanfordnlp/imdb`, or a folder of data files laid out like one (CSV, JSON Lines,
Parquet, Arrow, text; a README.md with its card). It is streamed: nothing else is kept on disk. The commit of
`--revision` is asked for once, when the download starts, and recorded, with the licence of the card as SPDX, in the
manifest; an interrupted download goes on with the same commit, behind its last whole file. A folder has a hash of its
files for a revision. An OUT that is finished stays as it is: for a newer commit, or a folder that has changed since,
choose another. Memory holds at least one row group of the set's Parquet files.

Files are `NAME-CONFIG-SPLIT-00000.parquet` and so on, each of at most 100,000 rows and about 64 MiB of text. Their
first column is `text`, made of the text columns; it is null in rows that have none, which `extract` sets aside as
`no_text_column`. The other columns follow as they are; one that is called `text` without being the text becomes
`text_original`. Pictures, sound and video are left out. Sets that only a script of their own can make are refused.

    corpuskit download hub data/imdb --dataset stanfordnlp/imdb --split all
    corpuskit download hub data/sst2 --dataset nyu-mll/glue --config sst2 --text-column sentence
    corpuskit download hub data/mrpc --dataset nyu-mll/glue --config mrpc \\
        --text-column sentence1 --text-column sentence2
    corpuskit download hub data/web --dataset HuggingFaceFW/fineweb --config sample-10BT --limit-rows 100000

Sets that ask for consent, and private ones: set HF_TOKEN, or log in by `hf auth login`. HF_ENDPOINT names a mirror,
HF_HUB_OFFLINE=1 keeps from the network.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit.errors import BadData, CorpuskitError
from corpuskit.formats.durable import size_and_sha256, sync
from corpuskit.options import option
from corpuskit.schema import rows_to_batch
from corpuskit.stage import Files, Stage, Step, Table, Whole, Written, Yield, event, status, warn

if TYPE_CHECKING:
    from corpuskit.sources.hub import Columns, Opened
    from corpuskit.sources.hub_library import Pinned

LISTING = pa.schema(
    [
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("folder", pa.string()),
        pa.field("revision", pa.string(), nullable=False),
        pa.field("license", pa.string()),
        pa.field("url", pa.string()),
        pa.field("config", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)
_FILE_ROWS, _FILE_BYTES = 100_000, 64 << 20
_GROUP_ROWS, _GROUP_BYTES = 10_000, 8 << 20  # of text, held in memory until they are a row group
_PROGRESS = "progress.part.json"  # JSON Lines; the runner leaves behind what is called so


@dataclass(frozen=True)
class Options:
    """What to get, and what is the text in it."""

    dataset: str = option(..., "Name of the set on the hub, or path of a folder that is laid out like one.")
    config: str | None = option(None, "Config (subset) of it  (default: its only or default one).")
    split: str = option("train", 'Split to get, or "all".')
    revision: str | None = option(None, "Branch, tag or commit  (default: main).")
    text_column: tuple[str, ...] = option(("text",), "Column that holds the text; several are joined by a blank line.")
    license: str | None = option(None, "SPDX license of the text  (default: what the card says).")
    limit_rows: int | None = option(None, "Stop each split after so many rows.", min=1)
    tries: int = option(3, "Rounds of tries before the hub is given up.", min=1, max=100, how=True)
    timeout_seconds: float = option(60.0, "Longest silence of the hub before a try ends.", min=0.1, how=True)


def find(options: Options) -> Iterator[Yield]:
    """Give a row for every split to get, with the commit that the whole download is pinned to."""
    from corpuskit.sources import hub
    from corpuskit.sources.hub_library import library

    with library(tries=options.tries, timeout_seconds=options.timeout_seconds, status=status, warn=warn) as cache:
        pinned = hub.pin(options.dataset, options.revision, options.tries)
        opened = hub.open_set(pinned, options.config, cache)
        columns = hub.columns_of(opened, options.text_column)
        splits = list(opened.splits)
    if options.split not in (*splits, "all"):
        raise hub.unknown("--split", options.split, [*splits, "all"], pinned)
    if columns.left_out:
        warn(f"{pinned.dataset}: columns that hold no text are left out: {', '.join(columns.left_out)}")
    license = options.license or pinned.license
    if license is None:
        warn(f"{pinned.dataset}: its card names no license; name one by --license")
    shared = {
        "dataset": pinned.dataset,
        "folder": str(pinned.folder) if pinned.folder else None,
        "revision": pinned.revision,
        "license": license,
        "url": pinned.url,
        "config": opened.config,
    }
    wanted = splits if options.split == "all" else [options.split]
    yield rows_to_batch([{**shared, "split": split} for split in wanted], LISTING)


def fetch(listing: Whole, options: Options, out: Path) -> Iterator[Written]:
    """Write the splits of the listing as Parquet files into `out`, behind what an earlier attempt left there."""
    from corpuskit.sources import hub
    from corpuskit.sources.hub_library import Pinned, library

    rows = listing.to_pylist()
    folder = Path(rows[0]["folder"]) if rows[0]["folder"] else None
    pinned = Pinned(rows[0]["dataset"], folder, rows[0]["revision"], rows[0]["license"], rows[0]["url"])
    progress = _Progress(out)
    if folder and progress.files and hub.folder_revision(folder) != pinned.revision:
        raise BadData(
            f"dataset {pinned.dataset}", "its files are no longer those that the download began with", "start a new one"
        )
    with library(tries=options.tries, timeout_seconds=options.timeout_seconds, status=status, warn=warn) as cache:
        opened = hub.open_set(pinned, rows[0]["config"], cache)
        columns = hub.columns_of(opened, options.text_column)
        for row in rows:
            yield from _Split(pinned, opened, columns, row["split"], out, progress).fetch(options.limit_rows)


@dataclass(frozen=True, slots=True)
class _File:
    """A whole file, and where in its split the next one begins: a source file, and rows of it to skip."""

    split: str
    name: str
    rows: int
    bytes: int
    sha256: str
    shard: int
    skip: int
    last: bool


class _Progress:
    """The whole files of a download, on disk beside them, so that a rerun goes on behind the last."""

    def __init__(self, out: Path) -> None:
        self._out, self.files = out, list[_File]()
        broken: set[str] = set()
        for each in self._noted():
            path = out / each.name
            if each.split in broken or not path.is_file() or size_and_sha256(path) != (each.bytes, each.sha256):
                broken.add(each.split)  # the files behind it are made again, to the same bytes
            else:
                self.files.append(each)
        self._write("".join(map(_line, self.files)), "w")

    def _noted(self) -> list[_File]:
        try:
            lines = (self._out / _PROGRESS).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        files = []
        for line in lines:
            try:
                files.append(_File(**json.loads(line)))
            except (ValueError, TypeError):  # cut off while it was written
                break
        return files

    def of(self, split: str) -> list[_File]:
        """Give the whole files of a split in order."""
        return [each for each in self.files if each.split == split]

    def add(self, file: _File) -> None:
        """Note a whole file, durably."""
        self.files.append(file)
        self._write(_line(file), "a")

    def _write(self, lines: str, mode: str) -> None:
        with (self._out / _PROGRESS).open(mode, encoding="utf-8") as out:
            out.write(lines)
            out.flush()
            os.fsync(out.fileno())


def _line(file: _File) -> str:
    return json.dumps(asdict(file)) + "\n"


class _Split:
    """One split on its way into files."""

    def __init__(
        self, pinned: Pinned, opened: Opened, columns: Columns, split: str, out: Path, progress: _Progress
    ) -> None:
        self._opened, self._columns, self._split = opened, columns, split
        self._out, self._progress = out, progress
        self._stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{pinned.name}-{opened.config}-{split}").lstrip(".-")
        about = {"source": pinned.name, "url": pinned.url, "license": pinned.license, "revision": pinned.revision}
        self._about = {name: value for name, value in about.items() if value is not None}
        self._about |= {"config": opened.config, "split": split}

    def fetch(self, limit_rows: int | None) -> Iterator[Written]:
        """Write the files that are not there yet; tells of all."""
        done = self._progress.of(self._split)
        for file in done:
            yield self._told(file)
        rows, number = sum(file.rows for file in done), len(done)
        if done and done[-1].last:
            return
        shard, skip = (done[-1].shard, done[-1].skip) if done else (0, 0)
        started, before = time.monotonic(), rows
        writer: _Writer | None = None
        for at, first, batch in self._tables(shard, skip, rows, limit_rows):
            shard, skip, table = at, first, batch
            while table.num_rows:
                if writer is None:
                    writer = _Writer(self._out / self._name(number), self._columns.schema)
                took = writer.take(table)
                table, skip, rows = table.slice(took), skip + took, rows + took
                if writer.full:
                    yield self._keep(writer, shard, skip, last=False)
                    writer, number = None, number + 1
            rate = (rows - before) / max(time.monotonic() - started, 1e-9)
            status(f"{self._stem}: {rows:,} rows, {rate:,.0f} a second")
            event("progress", split=self._split, rows=rows, files=number)
        if writer is not None or number == 0:
            writer = writer or _Writer(self._out / self._name(0), self._columns.schema)
            yield self._keep(writer, shard, skip, last=True)
        self._check(rows, limit_rows)

    def _tables(self, shard: int, skip: int, rows: int, limit_rows: int | None) -> Iterator[tuple[int, int, pa.Table]]:
        for at, before, table in self._opened.batches(self._split, shard, skip):
            if limit_rows is not None and rows + table.num_rows >= limit_rows:
                if limit_rows > rows:
                    yield at, before, self._columns.arrange(table.slice(0, limit_rows - rows))
                return
            rows += table.num_rows
            yield at, before, self._columns.arrange(table)

    def _keep(self, writer: _Writer, shard: int, skip: int, *, last: bool) -> Written:
        rows, size, digest = writer.close()
        file = _File(self._split, writer.name, rows, size, digest, shard, skip, last)
        self._progress.add(file)
        return self._told(file)

    def _told(self, file: _File) -> Written:
        return Written(file.name, {**self._about, "rows": str(file.rows)}, file.bytes, file.sha256)

    def _name(self, number: int) -> str:
        return f"{self._stem}-{number:05d}.parquet"

    def _check(self, rows: int, limit_rows: int | None) -> None:
        expected = self._opened.expected.get(self._split)
        if expected is not None and rows != expected and not (limit_rows and rows == min(limit_rows, expected)):
            warn(f"{self._stem}: the card tells of {expected:,} rows, the files hold {rows:,}")


class _Writer:
    """One Parquet file. Where it ends, and where its row groups do, depends on its rows alone."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.name, self._path = path.name, path
        self._part = path.with_name(path.name + ".part")
        self._schema = schema
        self._file = pq.ParquetWriter(self._part, schema, compression="zstd")
        self._held: list[pa.Table] = []
        self._rows = self._bytes = self._group_rows = self._group_bytes = 0

    @property
    def full(self) -> bool:
        """Tell whether it takes no further row."""
        return self._rows >= _FILE_ROWS or self._bytes >= _FILE_BYTES

    def take(self, table: pa.Table) -> int:
        """Take rows up to the end of a row group or of the file; tells how many."""
        sizes = np.cumsum(pc.fill_null(pc.binary_length(table.column(0)), 0).to_numpy().astype(np.int64))
        left = min(_FILE_BYTES - self._bytes, _GROUP_BYTES - self._group_bytes)
        fits: int = min(
            int(np.searchsorted(sizes, left)) + 1,  # the row that reaches the bound is the last
            _FILE_ROWS - self._rows,
            _GROUP_ROWS - self._group_rows,
            table.num_rows,
        )
        self._held.append(table.slice(0, fits))
        self._rows, self._group_rows = self._rows + fits, self._group_rows + fits
        self._bytes, self._group_bytes = self._bytes + int(sizes[fits - 1]), self._group_bytes + int(sizes[fits - 1])
        if self.full or self._group_rows >= _GROUP_ROWS or self._group_bytes >= _GROUP_BYTES:
            self._flush()
        return fits

    def close(self) -> tuple[int, int, str]:
        """Make the file whole, durable and named; gives its rows, bytes and sha256."""
        import pyarrow.parquet as pq

        self._flush()
        self._file.close()
        rows = pq.read_metadata(self._part).num_rows
        if rows != self._rows:
            raise CorpuskitError(self.name, f"{self._rows} rows went in, {rows} are there", "report this fault")
        size, digest = size_and_sha256(self._part)
        with self._part.open("rb") as file:
            os.fsync(file.fileno())
        self._part.replace(self._path)
        sync(self._path.parent)
        return rows, size, digest

    def _flush(self) -> None:
        if self._group_rows:
            # As one piece, for pages end where pieces do.
            table = pa.concat_tables(self._held).combine_chunks()
            self._file.write_table(table, row_group_size=self._group_rows)
        self._held, self._group_rows, self._group_bytes = [], 0, 0


STAGE = Stage(
    options=Options,
    inputs=(),
    steps=(
        Step(find, writes={"listing": Table(LISTING)}),
        Step(fetch, writes={"dump": Files()}, resumes=True),
    ),
)
