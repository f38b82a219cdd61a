"""Download lists of URLs, as WARC archives or as files.

The way WebText was made (Radford et al. 2019): a list of addresses, one a line, each visited once. Blank lines and
lines that begin with `#` are passed over, a list may be compressed, and lines that name no host are resolved against
--base-url. Of addresses that are the same but for their spelling the first counts.

With `--store warc`, the default, pages are visited in the order of the list and kept in `urls-00000.warc.gz`, a new
file about every 1 GB, as they came: one `response` record a page, before it those of the redirects that led to it,
beside each the `request`. Pages with another status than 200 are not kept. robots.txt is honoured (RFC 9309; our name
there is `corpuskit`), of redirects too, and a crawl-delay up to a minute. Many hosts are visited side by side, one
host at most by --connections at once and --gap-seconds apart. A body that is longer than --max-body-bytes is cut,
and its record says so. The table `visited` tells what became of every address.

With `--store files`, the addresses are files to be fetched as they are, resumed and verified; a line may be
`SHA256HEX  URL`, as sha256sum writes it. robots.txt, which is for crawlers, is not asked.

An interrupted download goes on where it stopped: no page that is done is asked for again, only the robots.txt of a
site that is still to be visited. If addresses fail (no answer, 5xx, a limit of rate, after all tries), the download
ends with an exit code other than 0 and names them. The same command then tries only these again;
--accept-failures does without them.

    corpuskit download urls crawl/ --list urls.txt --contact you@example.org
    corpuskit extract crawl/ docs/

A set --license is what the pages are said to be under; without it none is, for pages remain their authors'. Private
addresses are refused, but for the host of --base-url.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit import network
from corpuskit.errors import NoInput
from corpuskit.formats.durable import size_and_sha256
from corpuskit.options import option
from corpuskit.schema import rows_to_batch
from corpuskit.stage import Files, Input, Stage, Step, Table, Whole, Written, Yield, event, status, warn

_BATCH_ROWS = 10_000
_STEM = "urls"
_JOURNAL = "urls.journal.part.json"  # a name by which it stays behind
_NAMED_FORBIDDEN = 5

LISTING = pa.schema(
    [
        ("line", pa.int64()),
        ("url", pa.string()),
        ("name", pa.string()),
        ("checksum", pa.string()),
        ("problem", pa.string()),
        ("cause", pa.string()),
    ]
)
VISITED = pa.schema(
    [
        ("line", pa.int64()),
        ("url", pa.string()),
        ("final_url", pa.string()),
        ("status", pa.int32()),
        ("bytes", pa.int64()),
        ("file", pa.string()),
        ("offset", pa.int64()),
    ]
)
_MARKED = pa.schema([*VISITED, *(pa.field(name, pa.string()) for name in ("drop", "error", "drop_cause"))])
_DROPS = ("duplicate", "robots_disallowed", "http_status")
REASONS = {
    "duplicate": "an address that stands further up in the list, perhaps in another spelling",
    "robots_disallowed": "a page that its site's robots.txt disallows, or one that redirects to such a page",
    "http_status": "a page whose status is neither 200 nor one that another try may mend: it is not kept",
    "bad_url": "a line that is no http or https address",
    "forbidden": "an address that may not be asked: a private one, or one that redirects there, or without end",
    "unreachable": "no whole answer, or only 5xx, after all tries (with --accept-failures)",
    "robots_unreachable": "a page whose site did not give its robots.txt after all tries (with --accept-failures)",
    "busy": "a page whose host limits the rate, after all tries (with --accept-failures)",
}


@dataclass(frozen=True, kw_only=True)
class Options(network.Network):
    """How lists are fetched."""

    store: str = option(
        "warc", "What to keep: pages in WARC archives, or the files as they are.", choices=("warc", "files")
    )
    base_url: str | None = option(
        None, "Address against which relative lines are resolved; its host may be a private one."
    )
    robots: bool = option(True, "Honour robots.txt (of --store warc).")
    max_body_bytes: int = option(16 << 20, "Cut longer pages (of --store warc).", min=1 << 10, max=1 << 30)
    license: str | None = option(None, "SPDX license of what is fetched (default: none is said).")
    source: str = option("urls", "Name of the source, for every document.")
    gap_seconds: float = option(1.0, "Seconds between two requests to one host.", min=0.0, max=3600.0, how=True)
    accept_failures: bool = option(
        False, "End well although addresses failed, and count them as errors (of --store warc).", how=True
    )


def find(list: Path, options: Options) -> Iterator[Yield]:
    """Read the list: a row for every line that holds something, marked where there is nothing to fetch."""
    from corpuskit.sources.urls import Names, Repeats, read_list

    if list.is_dir():
        raise NoInput("--list", f"{list}: expected a file, found a folder", "give one list")
    network.client(options, base_url=options.base_url)  # tells of a base URL that is none
    files = options.store == "files"
    repeats, bad = Repeats(), ""
    for each in read_list(list, base_url=options.base_url, sums=files):
        if each.cause is None:
            repeats.add(each.url)
        else:
            bad = bad or f"; line {each.line} {each.cause}"
    if not repeats.count:
        remedy = "check the list; --base-url resolves lines that name no host"
        raise NoInput("--list", f"{list}: expected URLs, one a line, found none{bad}", remedy)
    repeated, names = iter(repeats.find()), Names()

    def rows() -> Iterator[dict[str, Any]]:
        for each in read_list(list, base_url=options.base_url, sums=files):
            problem = "bad_url" if each.cause else "duplicate" if next(repeated) else None
            name = names.name(each.url) if files and not problem else None
            yield {
                "line": each.line,
                "url": each.url,
                "name": name,
                "checksum": each.checksum,
                "problem": problem,
                "cause": each.cause or ("stands further up in the list" if problem else None),
            }

    yield from _batches(rows(), LISTING)


def fetch(listing: Whole, options: Options, out: Path) -> Iterator[Yield]:
    """Fetch what the list names into `out`, and tell what became of every line."""
    yield from (_files if options.store == "files" else _pages)(listing, options, out)


def _files(listing: Whole, options: Options, out: Path) -> Iterator[Yield]:
    from corpuskit.formats.fetching import LISTING as FILES

    client = network.client(options, base_url=options.base_url, gap_seconds=options.gap_seconds)
    wanted = listing.filter(listing.column("problem").is_null())
    said = {"source": options.source, "license": options.license}
    columns = {name: wanted.column(name) for name in ("name", "url", "checksum")}
    table = pa.table(
        [
            columns[field.name] if field.name in columns else pa.array([said.get(field.name)] * len(wanted), field.type)
            for field in FILES
        ],
        schema=FILES,
    )
    sizes: dict[str, int | None] = {}
    for written in network.fetch(client, table, out):
        sizes[written.name] = written.bytes
        yield written

    def rows() -> Iterator[dict[str, Any]]:
        for row in _rows(listing):
            if row["problem"]:
                yield _refused(row)
            else:
                yield {**_plain(row), "status": 200, "file": row["name"], "bytes": sizes[row["name"]]}

    yield from _batches(rows(), _MARKED)


def _pages(listing: Whole, options: Options, out: Path) -> Iterator[Yield]:
    from corpuskit.formats.warc_writer import WarcFiles
    from corpuskit.sources import visiting

    client = network.client(options, base_url=options.base_url, gap_seconds=options.gap_seconds)
    info = [
        ("software", client.agent.partition(" ")[0]),
        ("format", "WARC File Format 1.0"),
        ("isPartOf", options.source),
        ("http-header-user-agent", client.agent),
        ("robots", "obey" if options.robots else "ignore"),
    ]
    manner = visiting.Manner(options.robots, options.gap_seconds, options.max_body_bytes)
    crawl = visiting.Crawl(client, listing, WarcFiles(out, _STEM, info), out / _JOURNAL, manner, _shower())
    files = crawl.run()
    _warn_of_forbidden(crawl, listing)
    if crawl.journal.failed:
        if not options.accept_failures:
            urls = listing.column("url")
            raise visiting.failure(crawl.journal.failed.values(), lambda row: str(urls[row].as_py()), len(listing))
        files = crawl.finish()
    about = {"source": options.source, **({"license": options.license} if options.license else {})}
    for path in files:
        yield Written(path.name, about, *size_and_sha256(path))
    yield from _batches(_visited(listing, crawl), _MARKED)


def _visited(listing: Whole, crawl: Any) -> Iterator[dict[str, Any]]:
    """Give what became of every line, in the order of the list."""
    entries = crawl.journal.entries()
    for row in _rows(listing):
        if row["problem"]:
            yield _refused(row)
            continue
        entry = next(entries)
        told = {name: getattr(entry, name) for name in ("final_url", "status", "bytes", "file", "offset")}
        if entry.outcome != "kept":
            told[_mark(entry.outcome)] = entry.outcome
        yield {**_plain(row), **told, "drop_cause": entry.cause}


def _refused(row: dict[str, Any]) -> dict[str, Any]:
    return {**_plain(row), _mark(row["problem"]): row["problem"], "drop_cause": row["cause"]}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {"line": row["line"], "url": row["url"]}


def _mark(reason: str) -> str:
    return "drop" if reason in _DROPS else "error"


def _rows(listing: Whole) -> Iterator[dict[str, Any]]:
    for batch in listing.to_batches(_BATCH_ROWS):
        yield from batch.to_pylist()


def _batches(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    held: list[dict[str, Any]] = []
    for row in rows:
        held.append(row)
        if len(held) == _BATCH_ROWS:
            yield rows_to_batch(held, schema)
            held = []
    if held:
        yield rows_to_batch(held, schema)


def _shower() -> Callable[[int, int, Counter[str]], None]:
    """Give what shows the progress of the visits."""
    from corpuskit.formats.meter import Pace
    from corpuskit.sources.visiting import FAILURES, KEPT

    pace = Pace()
    begun = False

    def show(done: int, total: int, counts: Counter[str]) -> None:
        nonlocal begun
        if not begun:  # what an earlier run visited
            pace.skip(max(0, done - 1))
            begun = True
        failed = sum(counts[each] for each in FAILURES)
        shown = f"{done:,} of {total:,} URLs, {counts[KEPT]:,} kept, {failed:,} failed"
        status(f"{shown}, {pace.words(done, total, 'URLs')}")
        event("progress", urls=done, urls_in_all=total, kept=counts[KEPT], failed=failed)

    return show


def _warn_of_forbidden(crawl: Any, listing: Whole) -> None:
    """Name a few addresses that may not be asked, and say what to do."""
    count = crawl.journal.counts["forbidden"]
    if not count:
        return
    urls = listing.column("url")
    forbidden = (entry for entry in crawl.journal.entries() if entry.outcome == "forbidden")
    named = [f"{urls[entry.row].as_py()} ({entry.cause})" for entry in itertools.islice(forbidden, _NAMED_FORBIDDEN)]
    more = ", ..." if count > len(named) else ""
    warn(f"{count:,} of {len(listing):,} URLs may not be asked: {', '.join(named)}{more}")


STAGE = Stage(
    options=Options,
    inputs=(Input("list", "Addresses, one a line.", flag=True, raw=True),),
    steps=(
        Step(find, writes={"listing": Table(LISTING)}),
        Step(fetch, writes={"dump": Files(), "visited": Table(VISITED, conserves="listing")}, resumes=True),
    ),
    reasons=REASONS,
)
