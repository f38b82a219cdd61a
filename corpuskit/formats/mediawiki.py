"""Read MediaWiki exports (schemas 0.3 to 0.11) page by page with expat, in constant memory.

Behind a damage reading goes on at the next `<page>`: text is escaped, so these six characters are nothing else. What
is said of a damage depends on the page that it lies in alone, not on where reading began.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit
from xml.parsers import expat

from corpuskit.formats.document import Origin, Reading, Row
from corpuskit.formats.opening import PROBLEMS, ByteStream
from corpuskit.text.wikitext import Site, WikitextError, wikitext_to_text

_FEED_BYTES = 1 << 18
_MAX_FIELD_CHARS = 10_000
_MAX_DEPTH = 64
_PAGE = b"<page>"
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


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an export at this place."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Head:
    """What an export says of its wiki: the texts of <siteinfo>, and the namespaces by name."""

    site: dict[str, str] = field(default_factory=dict)
    namespaces: dict[str, int] = field(default_factory=dict)


class PageReader:
    """Iterate over the pages of an export, and over what is wrong with it, in their order.

    `head` is filled from <siteinfo> before the first page comes; with a `head` given, the stream begins at a <page>.
    With `more` it ends where another <page> begins, else the export is whole only with its end tag.
    """

    def __init__(
        self, stream: ByteStream, max_text_chars: int, *, head: Head | None = None, more: bool = False
    ) -> None:
        self.head = head or Head()
        self._stream, self._cap, self._more = stream, max_text_chars, more
        self._path: list[str] = []
        self._pages: deque[Page] = deque()
        self._page = Page()
        self._parts: list[str] | None = None  # the text of a wanted element
        self._chars = 0
        self._key = ""
        self._told = head is not None  # <siteinfo> is over
        self._ended = False
        self._error_at = 0
        self._sought: bytes | None = None  # behind a damage: the last bytes, in which a <page> may begin
        self._parser = self._new_parser(inside=self._told)
        self._tail = b""

    def __iter__(self) -> Iterator[Page | Problem]:
        while True:
            piece = self._stream.read(_FEED_BYTES)
            if not piece:
                if problem := self._end_of_stream():
                    yield problem
                if not self._told or self._ended or not self._stream.resume():
                    return
                self._sought = b""
                continue
            while piece := self._from_page(piece):
                problem = self._feed(piece)
                while self._pages:
                    yield self._pages.popleft()
                if problem is None:
                    break
                yield problem
                if not self._told or self._ended:
                    return
                piece = self._from_error(piece)

    def _feed(self, piece: bytes, *, final: bool = False) -> Problem | None:
        try:
            self._parser.Parse(piece, final)
        except _Refused as error:  # the parser has gone on without its handlers
            self._error_at = error.at
            return self._bad_xml(str(error))
        except expat.ExpatError as error:
            self._error_at = self._parser.ErrorByteIndex
            return self._bad_xml(expat.ErrorString(error.code))
        self._fed += len(piece)
        self._tail = piece[-len(_PAGE) :]
        return None

    def _from_page(self, piece: bytes) -> bytes:
        """Give what is to be parsed of a piece: behind a damage, what comes from the next <page> on."""
        if self._sought is None:
            return piece
        piece = self._sought + piece
        at = piece.find(_PAGE)
        if at < 0:
            self._sought = piece[-len(_PAGE) + 1 :]
            return b""
        self._sought = None
        self._parser = self._new_parser(inside=True)
        return piece[at:]

    def _from_error(self, piece: bytes) -> bytes:
        """Give what comes from the error on; the tag that is at fault may begin in the piece before."""
        self._sought = b""
        at = self._error_at - self._fed
        return (self._tail[at:] if at < 0 else b"") + piece[max(0, at) :]

    def _end_of_stream(self) -> Problem | None:
        if self._stream.problem:
            where = " (bytes {:,} to {:,} of the file)".format(*self._stream.damage) if self._stream.damage else ""
            return Problem(self._stream.problem, PROBLEMS[self._stream.problem] + where)
        if self._sought is not None:
            return None
        if self._more:  # another page would come, and is told to be in the wrong place as it would be then
            problem = self._feed(_PAGE)
            inside = self._path == ["mediawiki", "page"]
            return problem or (None if inside else self._bad_xml("unfinished markup"))
        if self._ended:
            return self._feed(b"", final=True)
        return Problem("truncated", "no </mediawiki> at the end")

    def _bad_xml(self, what: str) -> Problem:
        page = self._page.id or self._page.title
        return Problem("bad_xml", f"{what} in page {page}" if page and "page" in self._path else what)

    def _new_parser(self, *, inside: bool) -> expat.XMLParserType:
        """Make a parser; one that is inside has met <mediawiki>."""
        parser = expat.ParserCreate()
        self._path, self._parts, self._fed, self._tail = [], None, 0, b""
        if inside:
            parser.Parse(b"<mediawiki>", False)
            self._path, self._fed = ["mediawiki"], len(b"<mediawiki>")
        parser.buffer_text = True
        parser.buffer_size = _FEED_BYTES
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        return parser

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        parent = self._path[-1] if self._path else ""
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise self._refused(f"elements nested deeper than {_MAX_DEPTH}")
        if name == "page":
            if parent != "mediawiki":
                self._path.pop()
                raise self._refused(f"expected the end of <{parent[:40]}>, got <page>")
            self._page = Page()
        elif name == "redirect" and parent == "page":
            self._page.redirect = True
        elif not parent:
            if name != "mediawiki":
                raise self._refused(f"expected <mediawiki>, got <{name[:40]}>")
            self.head.site["language"] = attributes.get("xml:lang", "")
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
        elif name == "siteinfo":
            self._told = True
        elif name == "mediawiki":
            self._ended = not self._path
        if self._parts is None:
            return
        value, self._parts = "".join(self._parts), None
        parent = self._path[-1]
        if parent == "siteinfo":
            self.head.site[name] = value
        elif parent == "namespaces":
            if re.fullmatch(r"-?\d{1,9}", self._key):
                self.head.namespaces[value] = int(self._key)
        elif name == "text":
            self._page.text, self._page.too_large = value, self._chars > self._cap
        else:
            setattr(self._page, "namespace" if name == "ns" else name, value)

    def _doctype(self, *_: Any) -> None:
        raise self._refused("a DOCTYPE, which no export has")

    def _refused(self, what: str) -> _Refused:
        return _Refused(what, self._parser.CurrentByteIndex)


class _Refused(Exception):
    """XML that an export never holds, and at which byte."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.at = at


def read_mediawiki(
    stream: ByteStream,
    origin: Origin,
    reading: Reading,
    *,
    head: Head | None = None,
    more: bool = False,
    wanted: Callable[[Page], bool] | None = None,
) -> Iterator[Row]:
    """Give a row for every page that is wanted, and one for every place where the export is cut or damaged.

    Pages of namespace 0 that are no redirects are documents, also where their text comes out empty; the others are
    marked and carry no text. `head` and `more` tell what is read of an export, as for `PageReader`.
    """
    reader = PageReader(stream, reading.max_record_bytes, head=head, more=more)
    site: Site | None = None
    wiki = address = ""
    for page in reader:
        if isinstance(page, Problem):
            yield origin.failed(origin.name, page.reason, page.detail)
            continue
        if wanted is not None and not wanted(page):
            continue
        about = reader.head.site
        if site is None:
            wiki = dbname(about) or origin.name.partition(".")[0]
            address = _address(about.get("base", ""))
            site = Site(about.get("language", ""), reader.head.namespaces)
        row = origin.row(
            f"{wiki}:{page.id or page.title}",
            source=wiki,
            url=address + quote(page.title.replace(" ", "_"), safe=";@$!*(),/~:") if address else None,
            title=page.title,
            language=about.get("language") or None,
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


def _address(base: str) -> str:
    """Give what page addresses begin with, from the address of the main page."""
    if "/wiki/" in base:
        return base.partition("/wiki/")[0] + "/wiki/"
    return base.rpartition("/")[0] + "/" if base.count("/") > 2 else ""


def dbname(site: dict[str, str]) -> str:
    """Give the wiki's name; exports older than schema 0.8 do not say it, but their address does."""
    if site.get("dbname"):
        return site["dbname"]
    found = _WIKIPEDIA.match(urlsplit(site.get("base", "")).hostname or "")
    return found[1].replace("-", "_") + found[2].replace("wikipedia", "wiki") if found else ""
