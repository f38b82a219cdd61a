"""Fetch files or single pages of Common Crawl.

Without a query, whole files of a crawl: `warc` (pages as they were sent, about 1 GB a file), `wet` (their plain text),
`wat` (metadata), or of the news crawl (`--kind news --crawl CC-NEWS-2026-05`, one month). `--crawl latest` is the
newest crawl at the time when the download starts; a rerun of an interrupted download goes on with the same one.
`--limit-files N` takes the first N of the list, with `--seed` N at random. There are no published checksums, so
each file is read to its end: every gzip member with its CRC and length, every record whole, digests compared. A file
that is damaged is fetched anew; a digest that differs is told (crawlers write such) and the file kept.

With `--url-match`, `--host`, `--language` or `--mime`, single pages (of status 200) are looked up in the crawl's index
and fetched record by record into WARC files of about 1 GB, the records unchanged. A page must meet every kind of
condition that is given, and of each kind one. `--host example.com` takes the host with or without `www.`,
`--host '*.example.com'` also all below it. A glob is `[SCHEME://]HOST[/PATH]`, where `*` stands for any characters, in
HOST for any but `/`, and every other character for itself: `*.example.com/news/*`, `https://example.com/a*`. As HOST,
`*.example.com` takes example.com too; `www.` counts; without PATH all pages of the host are meant. A language is
the one that was detected first, a media type the detected one, or where there is none the declared one.

The index comes in two shapes: `cdx` is sorted by host and read only where the hosts lie; `table` is Parquet, of which
only a few columns are read. `auto` takes cdx where hosts are fixed, else the table: a query for a language alone
reads columns of the whole table, many GB for a full crawl. `--limit-records N` takes the first N in the order of the
index, and with `--seed` N at random, all being found first.

Please be polite: 4 connections at most. A limit of rate (403, 429) ends the run with exit code 75; run it again later.
Crawls: https://index.commoncrawl.org/. Terms of use: https://commoncrawl.org/terms-of-use; the pages remain their
authors'.

    corpuskit download commoncrawl raw/ --crawl CC-MAIN-2026-21 --kind wet --limit-files 8 --seed 1
    corpuskit download commoncrawl raw/ --host '*.gov.uk' --language en --limit-records 10000
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from corpuskit import network
from corpuskit.errors import Busy, NoInput, Unavailable, UsageError
from corpuskit.network import Network
from corpuskit.options import option
from corpuskit.sources import commoncrawl
from corpuskit.sources.cc_query import Capture, Query, query
from corpuskit.sources.commoncrawl import Site
from corpuskit.stage import Files, Stage, Step, Table, Whole, Written, Yield, event, status, warn

if TYPE_CHECKING:
    from corpuskit.formats.http import Client

_CONNECTIONS = 4


@dataclass(frozen=True, kw_only=True)
class Options(Network):
    """Which crawl, and what of it."""

    connections: int = option(_CONNECTIONS, "Connections at once.", min=1, max=_CONNECTIONS, how=True)
    crawl: str = option("latest", "Id of the crawl, such as CC-MAIN-2026-21, or `latest`; a month for news.")
    kind: str = option("warc", "Pages, their plain text, metadata, or news.", choices=("warc", "wet", "wat", "news"))
    limit_files: int | None = option(None, "Fetch so many files of the list.", min=1)
    url_match: tuple[str, ...] = option((), "Fetch pages whose URL matches this glob.")
    host: tuple[str, ...] = option((), "Fetch pages of this host; `*.example.com` also of all below it.")
    language: tuple[str, ...] = option((), "Fetch pages in this language: `en` or `eng`.")
    mime: tuple[str, ...] = option((), "Fetch pages of this media type, such as text/html or text/*.")
    limit_records: int | None = option(None, "Fetch so many pages of those that match.", min=1)
    seed: int | None = option(None, "Choose what a limit takes at random, by this seed (default: the first).", min=0)
    index: str = option("auto", "Which index to look pages up in.", choices=("auto", "cdx", "table"))
    base_url: str | None = option(None, "Another place that has the files of data.commoncrawl.org and collinfo.json.")


def find(options: Options) -> Iterator[Yield]:
    """List the files of the crawl, or the records that match the query."""
    crawl = commoncrawl.check_crawl(options.crawl, options.kind)
    wanted = _query(options)
    site, client = Site.of(options.base_url), _client(options)
    with _said():
        crawl = commoncrawl.resolve(client, site, crawl)
        if wanted is None:
            kind = "warc" if options.kind == "news" else options.kind
            paths = commoncrawl.list_paths(client, site, crawl, kind)
            yield from _batches(
                commoncrawl.file_listing(commoncrawl.choose(paths, options.limit_files, options.seed), site, crawl)
            )
        else:
            yield from _batches(_records(client, site, crawl, wanted, options))


def fetch(listing: Whole, options: Options, out: Path) -> Iterator[Yield]:
    """Fetch the files, or the records, of the listing."""
    client = _client(options)
    if "offset" in listing.column_names:
        yield from _fetch_records(client, listing, options, out)
        return
    from corpuskit.formats.archive_check import check_archive

    for written in network.fetch(client, listing, out, check=check_archive):
        wrong = written.about.get("digest_mismatches")
        if wrong:
            records = written.about["records"]
            warn(f"{written.name}: {wrong} of {records} records do not have the digest that they name")
        if "damages" in written.about:
            warn(f"{written.name}: {written.about['damages']} places are no WARC records; `extract` tells which")
        yield written


def _records(client: Client, site: Site, crawl: str, wanted: Query, options: Options) -> pa.Table:
    """Look the wanted records up; gives them sorted by file and offset."""
    from corpuskit.formats.http import FetchError
    from corpuskit.sources.record_list import record_listing

    use_cdx = _uses_cdx(wanted, options)

    def look(use_cdx: bool) -> pa.Table:
        found = _captures(client, site, crawl, wanted, options, use_cdx)
        return record_listing(found, site, crawl, limit=options.limit_records, seed=options.seed)

    try:
        listing = look(use_cdx)
    except (FetchError, Unavailable) as error:
        if options.index != "auto" or (isinstance(error, FetchError) and error.kind != "missing"):
            raise
        use_cdx = not use_cdx
        warn(f"{error}; the {_named(use_cdx)} index is read instead")
        try:
            listing = look(use_cdx)
        except (FetchError, Unavailable):
            raise error from None
    if not listing.num_rows:
        problem = f"the {_named(use_cdx)} index holds no page that matches {wanted.words}"
        raise NoInput(f"{site.data} {crawl}", problem, "widen the query, or choose another crawl")
    status(f"index: {listing.num_rows:,} records to fetch")
    return listing


def _captures(
    client: Client, site: Site, crawl: str, wanted: Query, options: Options, use_cdx: bool
) -> Iterator[Capture]:
    from corpuskit.sources import cc_table, cdx

    if use_cdx:
        yield from cdx.captures(client, site, crawl, wanted, workers=options.connections, warn=warn, show=status)
    else:
        yield from cc_table.captures(client, site, crawl, wanted, warn=warn, show=status)


def _named(use_cdx: bool) -> str:
    return "cdx" if use_cdx else "table"


def _fetch_records(client: Client, listing: pa.Table, options: Options, out: Path) -> Iterator[Written]:
    from corpuskit.sources.records import fetch_records

    wanted = _query(options) or Query()
    crawl = listing.column("source")[0].as_py()
    url = f"{Site.of(options.base_url).data}/crawl-data/{crawl}/"
    about = {"source": crawl, "license": commoncrawl.LICENSE, "url": url, "query": wanted.words}
    date = commoncrawl.crawl_date(crawl)

    def show(line: str, facts: dict[str, object]) -> None:
        status(line)
        event("progress", **facts)

    for done in fetch_records(client, listing, out, query=wanted.words, workers=options.connections, show=show):
        told = {**about, **({"date": date} if date else {}), "records": str(done.records)}
        yield Written(done.name, told, done.bytes, done.sha256)


def _uses_cdx(wanted: Query, options: Options) -> bool:
    return options.index == "cdx" or (options.index == "auto" and wanted.is_narrow)


def _query(options: Options) -> Query | None:
    """Give the query; None where whole files are wanted. Raises UsageError for options that do not go together."""
    if not (options.url_match or options.host or options.language or options.mime):
        if options.limit_records is not None:
            raise UsageError("--limit-records", "counts pages of a query, and there is none", "use --limit-files")
        if options.seed is not None and options.limit_files is None:
            raise UsageError("--seed", "chooses what --limit-files takes, which is not given", "give it")
        return None
    if options.kind != "warc":
        raise UsageError("--kind", f"the index has single pages of WARC files only, not {options.kind}", "leave it out")
    if options.limit_files is not None:
        raise UsageError("--limit-files", "counts whole files, and a query takes single pages", "use --limit-records")
    if options.seed is not None and options.limit_records is None:
        raise UsageError("--seed", "chooses what --limit-records takes, which is not given", "give it")
    return query(options.url_match, options.host, options.language, options.mime)


def _client(options: Options) -> Client:
    return network.client(options, base_url=options.base_url, hosts=commoncrawl.HOSTS, busy=commoncrawl.BUSY)


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.to_batches(max_chunksize=1 << 16)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Say in the user's words that a document of the source could not be had."""
    from corpuskit.formats.http import FetchError

    try:
        yield
    except FetchError as error:
        if error.kind == "busy":
            raise Busy(error.url, error.cause, "the source limits the rate; run the same command again later") from None
        raise Unavailable(
            error.url, error.cause, "run the same command again, or check --crawl and --base-url"
        ) from None


STAGE = Stage(
    options=Options,
    inputs=(),
    steps=(
        # Files to fetch have the columns of fetching.LISTING, records those of records.RECORDS.
        Step(find, writes={"listing": Table(pa.schema([("url", pa.string()), ("source", pa.string())]))}),
        Step(fetch, writes={"dump": Files()}, resumes=True),
    ),
)
