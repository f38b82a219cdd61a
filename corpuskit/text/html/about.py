"""Read what an HTML page says of itself: title, date of publication, language."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_LANGUAGE = re.compile(r"(?!utf)[A-Za-z]{2,3}(?=$|[-_,\s])")
ISO = re.compile(
    r"\s*(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?!\d)"
    r"(?:[T ]\s?(\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s*(Z|[+-]\d{2}:?\d{2})?)?"
)
JSON_DATE = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')
LONGEST_JSON = 1 << 20
FIRST_YEAR, LAST_YEAR = 1990, 2099
DATE_NAMES = (
    *("article:published_time", "datepublished", "dc.date.issued", "dcterms.issued", "dcterms.created", "dc.date"),
    *("date", "pubdate", "publishdate", "publish_date", "publication_date", "parsely-pub-date", "sailthru.date"),
    *("og:published_time", "dcterms.date", "citation_publication_date", "citation_date", "article:published"),
)
AUTHOR_NAMES = ("author", "article:author", "parsely-author", "dc.creator", "sailthru.author", "byl", "citation_author")
#: The names of all <meta> that are read.
META_NAMES = (*DATE_NAMES, *AUTHOR_NAMES, "og:title", "content-language", "og:locale")


@dataclass(frozen=True, slots=True)
class About:
    """What a page says of itself. `language` is the primary subtag, `date` ISO 8601."""

    title: str | None
    date: str | None
    language: str | None
    author: str | None = None


def describe(tree: Any, html: str) -> About:
    """Read a page and its tree (resiliparse's `HTMLTree`); what it does not say is None.

    Title: og:title, <title>, the first <h1>. Date: article:published_time and its like, JSON-LD datePublished,
    microdata, the only <time datetime>. Language: <html lang>, content-language, og:locale.
    """
    if not tree.document:
        return About(None, None, None)
    metas = _metas(tree.head or tree.document)
    return About(_title(tree, metas), _date(tree.document, metas, html), _language(tree.document, metas))


def _metas(head: Any) -> dict[str, str]:
    """Give the contents of <meta> by lower-case name, property, itemprop or http-equiv; the first one counts."""
    found: dict[str, str] = {}
    for meta in head.get_elements_by_tag_name("meta").values():
        content = meta.getattr("content")
        if content and content.strip():
            for key in ("property", "name", "itemprop", "http-equiv"):
                name = meta.getattr(key)
                if name:
                    found.setdefault(name.strip().lower(), content)
                    break
    return found


def _title(tree: Any, metas: dict[str, str]) -> str | None:
    for title in (metas.get("og:title"), tree.title):
        if title and title.strip():
            return " ".join(title.split())
    heading = tree.document.query_selector("h1")
    return " ".join(heading.text.split()) or None if heading else None


def _language(document: Any, metas: dict[str, str]) -> str | None:
    root = document.query_selector("html")
    declared = root.getattr("lang") or root.getattr("xml:lang") if root else None
    return first_language(declared, metas.get("content-language"), metas.get("og:locale"))


def first_language(*labels: str | None) -> str | None:
    """Give the primary subtag of the first label that is one of a language."""
    for label in labels:
        found = _LANGUAGE.match((label or "").strip())
        if found:
            return found[0].lower()
    return None


def _date(document: Any, metas: dict[str, str], html: str) -> str | None:
    return first_date(_dates(document, metas, html))


def first_date(values: Iterable[str]) -> str | None:
    """Give the first of these that is a date, in ISO 8601."""
    return next((date for date in map(iso_date, values) if date), None)


def _dates(document: Any, metas: dict[str, str], html: str) -> Iterator[str]:
    for name in DATE_NAMES:
        if name in metas:
            yield metas[name]
    scripts = document.get_elements_by_tag_name("script").values() if '"datePublished"' in html else ()
    for script in scripts:
        if "ld+json" in (script.getattr("type") or ""):
            found = JSON_DATE.search(script.text[:LONGEST_JSON])
            if found:
                yield found[1]
    if "=datePublished" in html or '="datePublished' in html:
        for part in document.query_selector_all("[itemprop=datePublished]").values():
            yield part.getattr("datetime") or part.getattr("content") or ""
    if "<time" in html:
        times = document.get_elements_by_tag_name("time").values()
        yield from (time.getattr("datetime") or "" for time in times if _is_publication(time))
        all_dates = {time.getattr("datetime") or "" for time in times}
        if len(all_dates) == 1:
            yield from all_dates


def _is_publication(time: Any) -> bool:
    names = (time.getattr("class") or "").split()
    return time.hasattr("pubdate") or "published" in names or "entry-date" in names


def iso_date(value: str) -> str | None:
    """Give a date, or date and time, in ISO 8601; None for what is no date of 1990 to 2099, or may mean two."""
    found = ISO.match(value)
    if not found:
        return None
    year, month, day = int(found[1]), int(found[3]), int(found[4])
    try:
        date = datetime.date(year, month, day).isoformat()
        clock = datetime.time(int(found[5]), int(found[6]), int(found[7] or 0)).isoformat() if found[5] else ""
    except ValueError:
        return None
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    zone = found[8] or ""
    if zone not in ("", "Z"):
        zone = f"{zone[:3]}:{zone[-2:]}"
    return f"{date}T{clock}{zone}" if clock else date
