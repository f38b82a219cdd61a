"""Fetch the pages of a Wikipedia, or of another wiki of Wikimedia.

Finds the newest complete export of a wiki at dumps.wikimedia.org, or that of a date, and fetches its files: each is
checked against its published checksum, and what a cut left unfinished is gone on with by the next run. A finished
download asks the site for nothing any more: `latest` is looked up once, when a download starts; for a newer export
take a new folder, or --overwrite.

Wikis have names such as enwiki, simplewiki, zh_min_nanwiki, enwiktionary: language, then project. Two layouts are
known, and looked for in this order:

* content: content file exports, monthly, all namespaces (`extract` keeps the articles), with SHA-256 sums;
* dump: the XML dumps, articles and templates, with SHA-1 sums; multistream files come with their index.

--limit-files N takes the N files with the lowest page numbers, enough for a try. --mirror takes the files from a
mirror (https://dumps.wikimedia.org/mirrors.html), which is faster and kinder to the site; what is complete and which
checksum it has is still asked at the site itself. Wikimedia caps connections for each address: leave them at 2, and
give a --contact. The text is under CC-BY-SA-4.0 (and GFDL-1.3-or-later).

    corpuskit download wikipedia data/simple --wiki simplewiki
    corpuskit download wikipedia data/en --wiki enwiki --limit-files 2 --contact me@example.org
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from corpuskit import network
from corpuskit.errors import Busy, CorpuskitError, Unavailable, UsageError
from corpuskit.formats.fetching import LISTING
from corpuskit.formats.http import FetchError, host_of
from corpuskit.options import option
from corpuskit.schema import rows_to_batch
from corpuskit.sources import wikimedia
from corpuskit.stage import Files, Stage, Step, Table, Whole, Written, Yield, event, status


@dataclass(frozen=True, kw_only=True)
class Options(network.Network):
    """What to fetch, and from where."""

    wiki: str = option(..., "Name of the wiki, such as simplewiki, enwiki or dewiktionary.")
    date: str = option("latest", "Date of the export (YYYY-MM-DD or YYYYMMDD), or latest: the newest complete one.")
    format: str = option("auto", "Which layout; auto: content, else dump.", choices=("auto", "content", "dump"))
    limit_files: int | None = option(None, "Only so many files, those with the lowest page numbers.", min=1)
    base_url: str = option(wikimedia.ORIGIN, "Where the site is: the folder that holds `other/` and the wikis.")
    mirror: str | None = option(
        None, "Take the files from this copy of the site; listings and checksums stay the site's.", how=True
    )


def find(options: Options) -> Iterator[Yield]:
    """List the files of the export."""
    wiki, date = wikimedia.check_wiki(options.wiki), wikimedia.check_date(options.date)
    _check_mirror(options)
    own = None if options.base_url == wikimedia.ORIGIN else options.base_url
    client = network.client(options, base_url=own, hosts=wikimedia.HOSTS)
    status(f"looking for {wiki} at {options.base_url}")
    try:
        export = wikimedia.find(client.get, wikimedia.layouts(options.base_url, wiki, options.format), date)
    except FetchError as error:
        raise _told(error) from None
    files = export.files(options.limit_files)
    event("found", wiki=wiki, date=export.date, layout=export.kind, files=len(files))
    about = {"source": wiki, "license": wikimedia.LICENSE, "date": export.date}
    rows = [
        {"name": file.name, "url": file.url, "bytes": file.bytes, "checksum": file.checksum, **about} for file in files
    ]
    yield rows_to_batch(rows, LISTING)


def fetch(listing: Whole, options: Options, out: Path) -> Iterator[Written]:
    """Fetch the files, and name each by its address at the site, also where a mirror gave it."""
    _check_mirror(options)
    urls = dict(zip(listing.column("name").to_pylist(), listing.column("url").to_pylist(), strict=True))
    own = None if options.base_url == wikimedia.ORIGIN else options.base_url
    if options.mirror:
        own = options.mirror
        there = [wikimedia.on_mirror(url, options.base_url, own) for url in urls.values()]
        at = listing.schema.get_field_index("url")
        listing = listing.set_column(at, LISTING.field("url"), pa.array(there, pa.string()))
    client = network.client(options, base_url=own, hosts=wikimedia.HOSTS)
    try:
        for got in network.fetch(client, listing, out, check=_check(listing)):
            yield replace(got, about={**got.about, "url": urls[got.name]})
    except Unavailable as error:
        if options.mirror is None:
            raise
        remedy = "the mirror may lack them: run the same command with another --mirror or none; what has come is kept"
        raise Unavailable(error.where, error.problem, remedy) from None


def _check(listing: Whole) -> Callable[[Path], dict[str, str]]:
    """Give a check for the files that have no published checksum: their bz2 streams carry their own."""
    unsure = {row["name"]: row["url"] for row in listing.to_pylist() if row["checksum"] is None}

    def check(path: Path) -> dict[str, str]:
        from corpuskit.formats.opening import open_bytes

        url = unsure.get(path.name.removesuffix(".part"))
        if url is None:
            return {}
        with open_bytes(path) as stream:
            while stream.read():
                pass
        problem = stream.problem or (None if stream.compression == "bz2" else "not a bz2 file")
        if problem:
            raise FetchError(url, f"has no published checksum, and is {problem}", "mismatch")
        return {}

    return check


def _check_mirror(options: Options) -> None:
    if options.mirror is not None and host_of(options.mirror) is None:
        raise UsageError("--mirror", f"expected http://HOST/ or https://HOST/, got {options.mirror}", "mend it")


def _told(error: FetchError) -> CorpuskitError:
    """Say it as an error that the user can act on."""
    if error.kind == "busy":
        return Busy(error.url, error.cause, "run the same command again later")
    return Unavailable(error.url, error.cause, "check --base-url and the network, then run the same command again")


STAGE = Stage(
    options=Options,
    inputs=(),
    steps=(Step(find, writes={"listing": Table(LISTING)}), Step(fetch, writes={"dump": Files()}, resumes=True)),
)
