"""Make a corpus out of what every Python installation carries: a wiki export and a web crawl, without a network.

The same Python gives the same bytes, whoever runs it, where and how often: nothing in it comes from the clock, the
environment, the place of the installation, or the packages and optional C modules that are installed. (Another zlib
may compress the same records to other bytes.)
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

from corpuskit.errors import Unavailable
from corpuskit.formats import sample_pydoc
from corpuskit.formats.sample_dump import write_dump
from corpuskit.formats.sample_source import modules
from corpuskit.formats.sample_warc import Crawl, Response
from corpuskit.formats.sample_wiki import NAMESPACES, wiki

WIKI, CRAWL = "python-docs.xml.bz2", "python-pydoc.warc.gz"
LICENSE = "PSF-2.0"
#: Addresses that nobody owns (RFC 2606).
_WIKI_BASE = "https://python-docs.example/wiki/Main_Page"
_CRAWL_BASE = "https://pydoc.example/{}.{}/".format(*sys.version_info[:2])
_MANUAL = "https://docs.python.org/{}.{}/".format(*sys.version_info[:2])
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RELEASED = {10: "2021-10-04", 11: "2022-10-24", 12: "2023-10-02", 13: "2024-10-07", 14: "2025-10-07"}
#: Modules of other systems: links to them lead nowhere.
_MISSING = ("_winapi", "java", "msvcrt", "nt", "winreg", "winsound")
_ROBOTS = b"User-agent: *\nAllow: /\n"
_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Pydoc: {title}</title>
</head><body>
<nav><a href="index.html">Module Index</a>{above}</nav>
<main>
{body}
</main>
<footer><a href="{manual}">Python documentation</a></footer>
</body></html>
"""


def write_sample(out: Path, limit_pages: int | None = None) -> dict[str, dict[str, str]]:
    """Write the wiki export and the crawl into a folder, at most so many pages in each; give what is known of them.

    Raises Unavailable where this Python lacks its sources or cannot run itself.
    """
    date = documentation_date()
    with tempfile.TemporaryFile("w+", encoding="ascii") as lines, _pydoc(lines, limit_pages) as child:
        site = {"sitename": "Python documentation", "dbname": WIKI.partition(".")[0], "base": _WIKI_BASE, "date": date}
        write_dump(out / WIKI, wiki(modules(), sample_pydoc.MODULES, limit_pages), NAMESPACES, site)
        if child.wait():
            raise Unavailable("download sample", f"{sys.executable} could not print its pydoc pages", "see above")
        lines.seek(0)
        with (out / CRAWL).open("wb") as file:
            _crawl(Crawl(file, _midnight(date), _crawl_info()), [json.loads(line) for line in lines])
    return {
        name: {"source": name.partition(".")[0], "url": _MANUAL, "license": LICENSE, "date": date}
        for name in (WIKI, CRAWL)
    }


def documentation_date() -> str:
    """Tell when this Python's documentation was made: the day in the head of its topics, else that of its release.

    Raises Unavailable where this Python has no documentation.
    """
    try:
        from pydoc_data import topics
    except ImportError:
        what = f"{sys.executable} lacks pydoc_data, the topics of the language reference"
        raise Unavailable("download sample", what, "use a complete installation of Python") from None
    path = topics.__file__
    head = Path(path).read_text(encoding="utf-8")[:500] if path and Path(path).is_file() else ""
    found = re.search(rf"Sphinx on \w+ +({'|'.join(_MONTHS)}) +(\d+)[ \d:]* (\d{{4}})", head)
    if found:
        return f"{found[3]}-{_MONTHS.index(found[1]) + 1:02d}-{int(found[2]):02d}"
    return _RELEASED.get(sys.version_info[1], _RELEASED[14])


def _midnight(date: str) -> datetime:
    return datetime.fromisoformat(date).replace(tzinfo=timezone.utc)


def _pydoc(lines: IO[str], limit: int | None) -> subprocess.Popen[bytes]:
    """Start the child that prints pydoc's pages: isolated from the environment, the user and installed packages."""
    command = [sys.executable or "", "-I", "-S", "-B", "-X", "utf8", sample_pydoc.__file__]
    try:
        return subprocess.Popen([*command, *([str(limit)] if limit else [])], stdin=subprocess.DEVNULL, stdout=lines)
    except OSError as error:
        raise Unavailable(
            "download sample", f"cannot start {sys.executable!r}: {error}", "run it by a Python"
        ) from None


def _crawl_info() -> list[tuple[str, str]]:
    return [
        ("software", "corpuskit"),
        ("format", "WARC File Format 1.0"),
        ("isPartOf", "python-pydoc"),
        ("robots", "obey"),
    ]


def _crawl(crawl: Crawl, pages: list[dict[str, str]]) -> None:
    """Write the captures of a site: its furniture, an index, each page, and links that lead nowhere."""
    index = _CRAWL_BASE + "index.html"
    root = _CRAWL_BASE[: _CRAWL_BASE.index("/", 8) + 1]
    crawl.capture(root + "robots.txt", Response("200 OK", "text/plain; charset=utf-8", _ROBOTS))
    crawl.capture(root + "favicon.png", Response("200 OK", "image/png", _png()), index)
    for url, answer in _site(pages):
        crawl.capture(url, answer, None if url == index else index)
    for name in _MISSING:
        body = _html("Error", f"<h1>Error</h1>\n<p>No Python documentation found for {name!r}.</p>")
        crawl.capture(f"{_CRAWL_BASE}{name}.html", Response("404 Not Found", "text/html; charset=utf-8", body), index)


def _site(pages: list[dict[str, str]]) -> Iterator[tuple[str, Response]]:
    """Yield addresses and answers. A few pages come chunked or compressed, as the servers of the web send them."""
    links = (f'<a href="{page["page"]}.html">{page["page"]}</a>' for page in pages if "html" in page)
    body = _html("Index of Modules", "<h1>Index of Modules and Classes</h1>\n" + "<br>\n".join(links))
    yield _CRAWL_BASE + "index.html", Response("200 OK", "text/html; charset=utf-8", body)
    bodies: dict[str, bytes] = {}
    for number, page in enumerate(pages):
        name, first = page["page"], page.get("same", page["page"])
        if "moved" in page:
            to = f"{_CRAWL_BASE}{page['moved']}.html"
            body = _html("Moved", f'<p>Moved to <a href="{to}">{page["moved"]}</a>.</p>')
            answer = Response("301 Moved Permanently", "text/html; charset=utf-8", body, [("Location", to)])
        else:
            if "html" in page:
                bodies[name] = _html(page["title"], page["html"], name.rpartition(".")[0])
            coding = number % 200
            chunked, gzipped = coding in (150, 170), coding in (160, 170)
            answer = Response("200 OK", "text/html; charset=utf-8", bodies[first], [], chunked, gzipped)
        yield f"{_CRAWL_BASE}{name}.html", answer


def _html(title: str, body: str, above: str = "") -> bytes:
    link = f' : <a href="{above}.html">{above}</a>' if above else ""
    return _PAGE.format(title=title, above=link, body=body, manual=_MANUAL).encode()


def _png() -> bytes:
    """Give a picture of one blue pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = (1).to_bytes(4, "big") * 2
    pixel = zlib.compress(b"\0\x37\x76\xab", 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\2\0\0\0") + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
