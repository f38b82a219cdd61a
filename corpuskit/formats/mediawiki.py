"""Read MediaWiki exports (schemas 0.3 to 0.11) page by page with expat, in constant memory."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from xml.parsers import expat

from corpuskit.formats.document import Origin, Reading, Row
from corpuskit.formats.opening import PROBLEMS, ByteStream
from corpuskit.text.wikitext import Site, WikitextError, wikitext_to_text

_FEED_BYTES = 1 << 18
_MAX_FIELD_CHARS = 10_000
_MAX_DEPTH = 64
#: (parent, element) whose text is wanted.
_WANTED = {
    ("siteinfo", "sitename"),
    ("siteinfo", "dbname"),
    ("siteinfo", "base"),
    ("namespaces", "namespace"),
    ("page", "title"),
    ("page", "ns"),
    ("page", "id"),
    ("revision", "timestamp"),
    ("revision", "model"),
    ("revision", "text"),
}
_WIKIPEDIA = re.compile(r"([a-z][a-z-]*)\.(wikipedia|wik[a-z]+)\.org$")


@dataclass(slots=True)
class Page:
    """One page; of several revisions the last in the file counts."""

    title: str = ""
    namespace: str = "0"
    id: str = ""
    redirect: bool = False
    timestamp: str = ""
    model: str = "wikitext"
    text: str = ""
    too_large: bool = False


class PageReader:
    """Iterate over the pages of an export.

    `site` is filled from <siteinfo> before the first page comes. `problem` is (reason, detail) once the iteration
    is over, or None where the export came whole: well-formed, with its end tag, and nothing damaged behind it.
    """

    def __init__(self, stream: ByteStream, max_text_chars: int) -> None:
        self.site: dict[str, str] = {}
        self.namespaces: dict[str, int] = {}
        self.problem: tuple[str, str] | None = None
        self._stream, self._cap = stream, max_text_chars
        self._path: list[str] = []
        self._pages: deque[Page] = deque()
        self._page = Page()
        self._parts: list[str] | None = None  # the text of a wanted element
        self._chars = 0
        self._key = ""
        self._ended = False

    def __iter__(self) -> Iterator[Page]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = _FEED_BYTES
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        try:
            while piece := self._stream.read(_FEED_BYTES):
                parser.Parse(piece, False)
                while self._pages:
                    yield self._pages.popleft()
            if not self._stream.problem and self._ended:
                parser.Parse(b"", True)
        except (expat.ExpatError, _Refused) as error:
            yield from self._pages
            self.problem = ("bad_xml", str(error))
            return
        if self._stream.problem:
            self.problem = (self._stream.problem, PROBLEMS[self._stream.problem])
        elif not self._ended:
            self.problem = ("truncated", "no </mediawiki> at the end")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise _Refused(f"elements nested deeper than {_MAX_DEPTH}")
        if name == "page":
            self._page = Page()
        elif name == "redirect" and parent == "page":
            self._page.redirect = True
        elif not parent:
            if name != "mediawiki":
                raise _Refused(f"expected <mediawiki>, got <{name[:40]}>")
            self.site["language"] = attributes.get("xml:lang", "")
        elif name == "namespace":
            self._key = attributes.get("key", "")
        self._parts = [] if (parent, name) in _WANTED else None
        self._chars = 0

    def _text(self, data: str) -> None:
        if self._parts is None:
            return
        self._chars += len(data)
        if self._chars <= (self._cap if self._path[-1] == "text" else _MAX_FIELD_CHARS):
            self._parts.append(data)

    def _end(self, name: str) -> None:
        self._path.pop()
        if name == "page":
            self._pages.append(self._page)
        if name == "mediawiki":
            self._ended = not self._path
        if self._parts is None:
            return
        value, self._parts = "".join(self._parts), None
        parent = self._path[-1]
        if parent == "siteinfo":
            self.site[name] = value
        elif parent == "namespaces":
            if re.fullmatch(r"-?\d{1,9}", self._key):
                self.namespaces[value] = int(self._key)
        elif name == "text":
            self._page.text, self._page.too_large = value, self._chars > self._cap
        else:
            setattr(self._page, "namespace" if name == "ns" else name, value)

    def _doctype(self, *_: Any) -> None:
        raise _Refused("a DOCTYPE, which no export has")


class _Refused(Exception):
    """XML that an export never holds."""


def read_mediawiki(stream: ByteStream, origin: Origin, reading: Reading) -> Iterator[Row]:
    """Give a row for every page, and a last one where the export is cut or damaged.

    Pages of namespace 0 that are no redirects are documents, also where their text comes out empty; the others are
    marked and carry no text.
    """
    reader = PageReader(stream, reading.max_record_bytes)
    site: Site | None = None
    wiki = address = ""
    for page in reader:
        if site is None:
            wiki = _dbname(reader.site) or origin.name.partition(".")[0]
            address = _address(reader.site.get("base", ""))
            site = Site(reader.site.get("language", ""), reader.namespaces)
        row = origin.row(
            f"{wiki}:{page.id or page.title}",
            source=wiki,
            url=address + quote(page.title.replace(" ", "_"), safe=";@$!*(),/~:") if address else None,
            title=page.title,
            language=reader.site.get("language") or None,
            date=page.timestamp or None,
        )
        if page.namespace != "0":
            row["drop"] = "not_namespace_0"
        elif page.redirect:
            row["drop"] = "redirect"
        elif page.model != "wikitext":
            row["drop"] = "not_wikitext"
        elif page.too_large:
            row["error"] = "too_large"
        else:
            try:
                row["text"] = wikitext_to_text(page.text, site, page.title)
            except WikitextError:
                row["error"] = "nested_too_deep"
        yield row
    if reader.problem:
        yield origin.failed(origin.name, *reader.problem)


def _address(base: str) -> str:
    """Give what page addresses begin with, from the address of the main page."""
    if "/wiki/" in base:
        return base.partition("/wiki/")[0] + "/wiki/"
    return base.rpartition("/")[0] + "/" if base.count("/") > 2 else ""


def _dbname(site: dict[str, str]) -> str:
    """Give the wiki's name; exports older than schema 0.8 do not say it, but their address does."""
    if site.get("dbname"):
        return site["dbname"]
    found = _WIKIPEDIA.match(urlsplit(site.get("base", "")).hostname or "")
    return found[1].replace("-", "_") + found[2].replace("wikipedia", "wiki") if found else ""
