"""Where Wikimedia keeps the exports of its wikis, and how to tell a complete one.

Content file exports: <base>/other/mediawiki_content_current/<wiki>/<YYYY-MM-DD>/xml/bzip2/ holds
<wiki>-<date>-p<first>p<last>.xml.bz2 (or -p<page>r<first>r<last>), and `SHA256SUMS` and `_SUCCESS` once it is complete.
See https://meta.wikimedia.org/wiki/Data_dumps.

XML dumps: <base>/<wiki>/<YYYYMMDD>/dumpstatus.json tells the state of every job, and of every file of it address,
size, MD5 and SHA-1. A multistream file has an index: which page begins in which of its bz2 streams.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from corpuskit.errors import BadData, Unavailable, UsageError
from corpuskit.formats.http import FetchError

ORIGIN = "https://dumps.wikimedia.org"
HOSTS = ("dumps.wikimedia.org",)
LICENSE = "CC-BY-SA-4.0"
LATEST = "latest"

#: The jobs that write the pages, best first. "recombine" joins the parts of a large wiki in one file.
JOBS = ("articlesmultistreamdump", "articlesmultistreamdumprecombine", "articlesdump", "articlesdumprecombine")
_MAY_STILL_COME = ("in-progress", "waiting")
_PROJECTS = ("wiktionary", "wikibooks", "wikinews", "wikiquote", "wikisource", "wikiversity", "wikivoyage")
_CHECKSUM = re.compile(r"sha1:[0-9a-fA-F]{40}|md5:[0-9a-fA-F]{32}")
_NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]+")
_DATA = re.compile(r".*\.xml(-p\d+p\d+)?\.bz2")
_INDEX = re.compile(r"(.*-multistream)-index(\d*)\.txt(-p\d+p\d+)?\.bz2")
_PAGES = re.compile(r"-p(\d+)[pr]\d+")

Get = Callable[[str], bytes]  # a small document by its URL; raises FetchError


@dataclass(frozen=True, slots=True)
class File:
    """A file of an export, as its site tells of it. `checksum` is "sha256:<hex>", "sha1:<hex>" or "md5:<hex>"."""

    name: str
    url: str
    bytes: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A complete export of one date (YYYY-MM-DD): its data files by their first page, and indexes of some of them."""

    date: str
    kind: str
    data: tuple[File, ...]
    indexes: tuple[tuple[str, File], ...] = ()  # (name of the data file, its index)

    def files(self, limit_files: int | None = None) -> list[File]:
        """Give the first `limit_files` data files, each followed by its index."""
        index = dict(self.indexes)
        return [
            file
            for data in self.data[:limit_files]
            for file in (data, *((index[data.name],) if data.name in index else ()))
        ]


class Incomplete(Exception):
    """Say why an export is not there, or not yet."""


@dataclass(frozen=True, slots=True)
class ContentExports:
    """Content file exports: all namespaces, checksums but no sizes."""

    base: str
    wiki: str
    kind: str = "content file exports"

    @property
    def folder(self) -> str:
        """The page that links to the exports of all dates."""
        return f"{self.base}/other/mediawiki_content_current/{self.wiki}/"

    def dates(self, page: bytes) -> list[str]:
        """Read the dates (YYYY-MM-DD) off that page, newest first."""
        return sorted((name for name in linked(page, self.folder) if _is_date(name, "%Y-%m-%d")), reverse=True)

    def look(self, get: Get, date: str) -> Export:
        """Look at the export of a date: complete once `_SUCCESS` and `SHA256SUMS` are there."""
        leaf = f"{self.folder}{date}/xml/bzip2/"
        try:
            get(leaf + "_SUCCESS")
            sums = get(leaf + "SHA256SUMS")
        except FetchError as error:
            if error.kind == "missing":
                raise Incomplete(f"{error.url} is not there") from None
            raise
        names = read_sums(sums, leaf + "SHA256SUMS")
        files = [File(name, leaf + name, None, f"sha256:{digest}") for name, digest in names.items()]
        data = tuple(sorted((file for file in files if _DATA.fullmatch(file.name)), key=_by_first_page))
        if not data:
            raise Incomplete(f"{leaf}SHA256SUMS names no .xml.bz2 file")
        return Export(date, self.kind, data)


@dataclass(frozen=True, slots=True)
class Dumps:
    """XML dumps: the jobs that write the pages have sizes, checksums, and most of them indexes."""

    base: str
    wiki: str
    kind: str = "XML dumps"

    @property
    def folder(self) -> str:
        """The page that links to the dumps of all dates."""
        return f"{self.base}/{self.wiki}/"

    def dates(self, page: bytes) -> list[str]:
        """Read the dates (YYYY-MM-DD) off that page, newest first."""
        found = sorted((name for name in linked(page, self.folder) if _is_date(name, "%Y%m%d")), reverse=True)
        return [f"{name[:4]}-{name[4:6]}-{name[6:]}" for name in found]

    def look(self, get: Get, date: str) -> Export:
        """Look at the dump of a date: complete once the best job that it will have is done."""
        leaf = f"{self.folder}{date.replace('-', '')}/"
        url = leaf + "dumpstatus.json"
        try:
            jobs = read_status(get(url), url)
        except FetchError as error:
            if error.kind == "missing":
                raise Incomplete(f"{url} is not there") from None
            raise
        job = best_job(jobs, url)
        files = [_described(name, facts, self.base, leaf, url) for name, facts in jobs[job].get("files", {}).items()]
        data = sorted((file for file in files if _DATA.fullmatch(file.name)), key=_by_first_page)
        if not data:
            raise Incomplete(f"{url}: its job {job} lists no .xml.bz2 file")
        names = {file.name for file in data}
        indexes = ((data_name(file.name), file) for file in files)
        return Export(date, self.kind, tuple(data), tuple((name, file) for name, file in indexes if name in names))


#: One way in which the site lays out exports.
Layout = ContentExports | Dumps


def layouts(base: str, wiki: str, format: str) -> list[Layout]:
    """Give the layouts to look for, in order. `format` is "auto", "content" or "dump"."""
    base = base.rstrip("/")
    known: dict[str, Layout] = {"content": ContentExports(base, wiki), "dump": Dumps(base, wiki)}
    return list(known.values()) if format == "auto" else [known[format]]


def find(get: Get, layouts: Sequence[Layout], date: str | None) -> Export:
    """Find the export of a date (YYYY-MM-DD), or with None the newest complete one, in the first layout that has it.

    Raises UsageError where the site has no such wiki, Unavailable where no export is complete; both tell what was
    looked for and where. Passes FetchError and BadData on.
    """
    passed: list[str] = []
    for layout in layouts:
        try:
            return layout.look(get, date) if date else _newest(get, layout)
        except Incomplete as reason:
            passed.append(f"{layout.kind}: {reason}")
    dates = {layout: _dates(get, layout) for layout in layouts}
    wiki = layouts[0].wiki
    if all(each is None for each in dates.values()):
        looked = " and ".join(layout.folder for layout in layouts)
        raise UsageError("--wiki", f"there is no wiki {wiki} at {looked}", _see_names(layouts[0].base))
    if date is None:
        raise Unavailable(wiki, f"no export is complete: {'; '.join(passed)}", "try again in some days")
    have = [f"{each} ({layout.kind})" for layout in layouts for each in _complete(get, layout, dates[layout] or [])]
    remedy = f"complete are {', '.join(have)}" if have else "no other one is complete either: try again in some days"
    raise Unavailable(f"{wiki} {date}", f"expected a complete export; {'; '.join(passed)}", remedy)


def _newest(get: Get, layout: Layout) -> Export:
    dates = _dates(get, layout)
    if not dates:
        raise Incomplete(f"{layout.folder} {'is not there' if dates is None else 'links to no date'}")
    reasons = []
    for date in dates:
        try:
            return layout.look(get, date)
        except Incomplete as reason:
            reasons.append(f"{date} ({reason})")
    raise Incomplete(", ".join(reasons))


def _dates(get: Get, layout: Layout) -> list[str] | None:
    """Give the dates that a layout has, newest first; None where it has no such wiki."""
    try:
        return layout.dates(get(layout.folder))
    except FetchError as error:
        if error.kind == "missing":
            return None
        raise


def _complete(get: Get, layout: Layout, dates: Sequence[str]) -> list[str]:
    found = []
    for date in dates:
        with contextlib.suppress(Incomplete, BadData):
            layout.look(get, date)
            found.append(date)
    return found


def check_wiki(wiki: str) -> str:
    """Give the name of a wiki. Raises UsageError for what can be none, with a guess at what was meant."""
    if re.fullmatch(r"[a-z0-9_]+wik[a-z]*", wiki):
        return wiki
    word = wiki.strip().lower().removeprefix("https://").removeprefix("http://").removeprefix("www.")
    language, _, rest = word.partition(".")
    project = rest.partition(".")[0]
    guess = language.replace("-", "_")
    if project in _PROJECTS:
        guess += project
    elif not re.fullmatch(r"[a-z0-9_]+wik[a-z]*", guess):
        guess += "wiki"
    meant = len(guess) > len("wiki") and re.fullmatch(r"[a-z0-9_]+", guess)
    remedy = f"did you mean {guess}?" if meant else _see_names(ORIGIN)
    raise UsageError("--wiki", f"expected the name of a wiki such as simplewiki or enwiktionary, got {wiki!r}", remedy)


def check_date(date: str) -> str | None:
    """Give a date as YYYY-MM-DD, None for "latest". Raises UsageError for what is no date."""
    if date == LATEST:
        return None
    text = date.strip()
    if re.fullmatch(r"\d{8}", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if not _is_date(text, "%Y-%m-%d"):
        raise UsageError("--date", f"expected {LATEST}, YYYY-MM-DD or YYYYMMDD, got {date!r}", "for example 2026-09-01")
    return text


def on_mirror(url: str, base: str, mirror: str) -> str:
    """Give the address of a file of `base` on a mirror of it."""
    base = base.rstrip("/")
    path = url[len(base) :] if url.startswith(base + "/") else urlsplit(url).path
    return mirror.rstrip("/") + path


def linked(page: bytes, url: str) -> list[str]:
    """List the names that the directory page at `url` links to, of what lies right below it, each once."""
    links = _Links()
    links.feed(page.decode("utf-8", "replace"))
    links.close()
    folder = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    names = []
    for href in links.found:
        try:
            path = unquote(urlsplit(urljoin(url, href)).path).rstrip("/")
        except ValueError:
            continue
        above, _, name = path.rpartition("/")
        # A proxy may give the folder another path, so only its last part is compared.
        if above.rpartition("/")[2] == folder:
            names.append(name)
    return list(dict.fromkeys(names))


def read_sums(data: bytes, url: str) -> dict[str, str]:
    """Read a SHA256SUMS file: name -> hex digest, in its order. Raises BadData that names the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+?)\s*", line)
        if match is None or not _NAME.fullmatch(match[2]) or match[2] in found:
            problem = "expected a SHA-256, two characters and a plain name that no other line has"
            raise BadData(f"{url}: line {number}", f"{problem}, got {line[:200]!r}", "tell the site")
        found[match[2]] = match[1].lower()
    return found


def read_status(data: bytes, url: str) -> dict[str, dict[str, Any]]:
    """Read the jobs of a dumpstatus.json. Raises BadData."""
    try:
        jobs = json.loads(data)["jobs"]
        files = [job.get("files", {}) for job in jobs.values()]
        sound = all(isinstance(facts, dict) for each in files for facts in each.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound = False
    if not sound:
        raise BadData(url, "expected a JSON object with jobs and their files, found something else", "tell the site")
    return dict(jobs)


def best_job(jobs: dict[str, dict[str, Any]], url: str) -> str:
    """Name the best job that is done. Raises Incomplete where a better one may still come, or none is done."""
    told = [(job, str(jobs[job].get("status"))) for job in JOBS if job in jobs]
    for job, status in told:
        if status == "done":
            return job
        if status in _MAY_STILL_COME:
            raise Incomplete(f"{url}: its job {job} is {status}")
    states = ", ".join(f"{job} is {status}" for job, status in told)
    raise Incomplete(f"{url}: " + (states or f"it has no job {' or '.join(JOBS)}"))


def data_name(name: str) -> str | None:
    """Name the data file that an index belongs to; None for what is no index."""
    match = _INDEX.fullmatch(name)
    return f"{match[1]}{match[2]}.xml{match[3] or ''}.bz2" if match else None


def _described(name: str, facts: dict[str, Any], base: str, leaf: str, listing: str) -> File:
    """Read what a dumpstatus.json tells of a file. Raises BadData that names it."""
    address, size = facts.get("url") or leaf + name, facts.get("size")
    checksum = next((f"{kind}:{facts[kind]}" for kind in ("sha1", "md5") if facts.get(kind)), None)
    sound = (
        bool(_NAME.fullmatch(name))
        and isinstance(address, str)
        and address.rpartition("/")[2] == name
        and (size is None or (isinstance(size, int) and size >= 0))
        and (checksum is None or bool(_CHECKSUM.fullmatch(checksum)))
    )
    if not sound:
        told = json.dumps({name: facts})[:300]
        raise BadData(listing, f"expected a plain file name, its url, size, sha1 and md5, got {told}", "tell the site")
    full = urljoin(base + "/", address) if urlsplit(address).netloc else f"{base}/{address.lstrip('/')}"
    return replace(File(name, full), bytes=size, checksum=checksum and checksum.lower())


def _by_first_page(file: File) -> tuple[int, list[tuple[int, str]]]:
    pages = _PAGES.search(file.name)
    natural = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", file.name)]
    return (int(pages[1]) if pages else 0), natural


def _is_date(text: str, pattern: str) -> bool:
    try:
        return datetime.datetime.strptime(text, pattern).strftime(pattern) == text
    except ValueError:
        return False


def _see_names(base: str) -> str:
    return f"the names are at {base}/backup-index.html"


class _Links(HTMLParser):
    """Collect the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for key, value in attrs if key == "href" and value]
