"""Where Common Crawl keeps its crawls, and the lists of their files.

https://index.commoncrawl.org/collinfo.json                         the crawls
https://data.commoncrawl.org/crawl-data/CC-MAIN-2026-21/warc.paths.gz   also wet, wat, cc-index-table
https://data.commoncrawl.org/crawl-data/CC-NEWS/2026/05/warc.paths.gz   news, by month
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from corpuskit.errors import BadData, Unavailable, UsageError

if TYPE_CHECKING:
    from corpuskit.formats.http import Client

DATA = "https://data.commoncrawl.org"
INDEX = "https://index.commoncrawl.org"
HOSTS = ("data.commoncrawl.org", "index.commoncrawl.org")
LICENSE = "LicenseRef-CommonCrawl-ToU"
#: Answers that mean a limit of rate (https://status.commoncrawl.org, "429 and 403"); 503 asks to slow down.
BUSY = (403, 429)

_MAIN = re.compile(r"CC-MAIN-(\d{4})(?:-(\d{2}|\d{4}))?")
_NEWS = re.compile(r"(?:CC-NEWS[-/])?(\d{4})[-/](\d{2})")
_PATH = re.compile(r"[A-Za-z0-9._=-]+(?:/[A-Za-z0-9._=-]+)*")
_MAX_LIST_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Site:
    """Where to ask: Common Crawl itself, or a copy below one base URL."""

    data: str
    index: str

    @classmethod
    def of(cls, base_url: str | None) -> Site:
        """Give the site below a base URL; None is Common Crawl itself."""
        base = base_url.rstrip("/") if base_url else None
        return cls(base or DATA, base or INDEX)

    def url(self, path: str) -> str:
        """Give the address of a file on the data host. Raises BadData for a path that leads elsewhere."""
        if not _PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
            raise BadData(
                self.data, f"lists the file {path[:200]!r}, which is no plain path", "report it to the source"
            )
        return f"{self.data}/{path}"


def check_crawl(crawl: str, kind: str) -> str:
    """Give a crawl's id as the user means it: CC-MAIN-2026-21, CC-NEWS-2026-05, or "latest".

    Raises UsageError for what is no crawl of this kind.
    """
    word = crawl.strip()
    if kind == "news":
        month = _NEWS.fullmatch(word)
        if month and 1 <= int(month[2]) <= 12:
            return f"CC-NEWS-{month[1]}-{month[2]}"
        raise UsageError("--crawl", f"expected a month for `--kind news`, got {crawl!r}", "write CC-NEWS-2026-05")
    if word == "latest" or _MAIN.fullmatch(word):
        return word
    remedy = "pass `--kind news`" if _NEWS.fullmatch(word) or word == "CC-NEWS" else "see index.commoncrawl.org"
    raise UsageError("--crawl", f"expected `latest` or an id such as CC-MAIN-2026-21, got {crawl!r}", remedy)


def resolve(client: Client, site: Site, crawl: str) -> str:
    """Give the id of a crawl; "latest" is asked for. Raises FetchError, Unavailable."""
    if crawl != "latest":
        return crawl
    crawls = list_crawls(client, site)
    if not crawls:
        raise Unavailable(f"{site.index}/collinfo.json", "lists no crawl", "name one: --crawl CC-MAIN-2026-21")
    return crawls[0]


def list_crawls(client: Client, site: Site) -> list[str]:
    """Give the ids of all crawls, the newest first. Raises FetchError, BadData."""
    url = f"{site.index}/collinfo.json"
    data = client.get(url, max_bytes=16 << 20)
    try:
        found = {str(each["id"]) for each in json.loads(data)}
    except (ValueError, TypeError, KeyError):
        raise BadData(url, "expected a JSON array of crawls, got something else", "check the address") from None
    return sorted((crawl for crawl in found if _MAIN.fullmatch(crawl)), reverse=True)


def crawl_date(crawl: str) -> str | None:
    """Give the date that a crawl's id tells: the Monday of its week, or the month of news; else the year."""
    if crawl.startswith("CC-NEWS-"):
        return crawl.removeprefix("CC-NEWS-")
    found = _MAIN.fullmatch(crawl)
    if not found:
        return None
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1).isoformat()
    except (TypeError, ValueError):  # the first crawls: CC-MAIN-2009-2010, CC-MAIN-2012
        return found[1]


def folder_of(crawl: str) -> str:
    """Give the path of a crawl's path lists."""
    if crawl.startswith("CC-NEWS-"):
        year, month = crawl.removeprefix("CC-NEWS-").split("-")
        return f"crawl-data/CC-NEWS/{year}/{month}"
    return f"crawl-data/{crawl}"


def list_paths(client: Client, site: Site, crawl: str, kind: str) -> list[str]:
    """Give the paths that a list names (warc, wet, wat, cc-index-table), in its order.

    Raises FetchError, BadData for a list that does not hold, and Unavailable where there is none, with the names of
    crawls that there are.
    """
    from corpuskit.formats.http import FetchError

    url = f"{site.data}/{folder_of(crawl)}/{kind}.paths.gz"
    try:
        data = client.get(url)
    except FetchError as error:
        if error.kind != "missing":
            raise
        problem = f"there is no such list ({error.cause})"
        raise Unavailable(url, problem, _other_crawls(client, site, crawl)) from None
    paths = [line for line in _unzipped(data, url).splitlines() if line]
    if not paths:
        raise BadData(url, "expected a list of files, found an empty one", "choose another crawl")
    twice = len(paths) - len(set(paths))
    if twice:
        raise BadData(url, f"lists {twice} files more than once", "report it to the source")
    return paths


def file_listing(paths: Sequence[str], site: Site, crawl: str) -> pa.Table:
    """Give the listing of files to fetch. A name is the last part of a path, or all of it where that is not enough."""
    from corpuskit.formats.fetching import LISTING

    names = [path.rpartition("/")[2] for path in paths]
    if len(set(names)) < len(names):
        names = [path.replace("/", "-") for path in paths]
    count = len(paths)
    columns: dict[str, list[Any]] = {
        "name": names,
        "url": [site.url(path) for path in paths],
        "bytes": [None] * count,
        "checksum": [None] * count,
        "source": [crawl] * count,
        "license": [LICENSE] * count,
        "date": [crawl_date(crawl)] * count,
    }
    return pa.table(columns, schema=LISTING)


def choose(paths: Sequence[str], limit: int | None, seed: int | None) -> list[str]:
    """Take the first `limit` paths, or with a seed some at random; a larger limit takes more, never others."""
    if limit is None or seed is None:
        return list(paths[:limit])
    chosen = set(sorted(paths, key=lambda path: lot(seed, path))[:limit])
    return [path for path in paths if path in chosen]


def lot(seed: int, name: str) -> int:
    """Draw a number for a name: the smallest win. The same on every machine."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest(), "big")


def _unzipped(data: bytes, url: str) -> str:
    inflater = zlib.decompressobj(31)
    try:
        text = inflater.decompress(data, _MAX_LIST_BYTES)
    except zlib.error as error:
        raise BadData(url, f"expected a gzip file: {error}", "try again, or check the address") from None
    if not inflater.eof:
        raise BadData(url, "the gzip file is cut, or larger than 256 MiB", "try again")
    return text.decode("utf-8", "replace")


def _other_crawls(client: Client, site: Site, crawl: str) -> str:
    """Say which crawls there are, where that can be had."""
    from corpuskit.formats.http import FetchError

    if crawl.startswith("CC-NEWS-"):
        return "news are kept by month, from CC-NEWS-2016-08 on"
    try:
        crawls = list_crawls(client, site)
    except (FetchError, BadData):
        return f"see {site.index} for the crawls that there are"
    if crawl in crawls:
        return "the crawl is there, but publishes no such files"
    close = difflib.get_close_matches(crawl, crawls, 3, 0.8)
    words = f"close to it: {', '.join(close)}; " if close else ""
    return f"{words}the newest: {', '.join(crawls[:3])}"
