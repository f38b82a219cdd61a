"""Read what a page says of itself from the places that the segmenter has marked: no tree, no second pass.

The rules are those of `about`; the author besides.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from corpuskit.text.html.about import (
    AUTHOR_NAMES,
    DATE_NAMES,
    JSON_DATE,
    LONGEST_JSON,
    About,
    first_date,
    first_language,
)
from corpuskit.text.html.arrays import HTML, JSON, META, TIME, TITLE

_ATTRIBUTE = re.compile(r"""([A-Za-z][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_MICRODATA = b"datePublished"
_MOST_MICRODATA, _LONGEST_TAG = 8, 600
_JSON_AUTHOR = re.compile(r'"author"\s*:\s*(?:\[\s*)?(?:\{[^{}]*?"name"\s*:\s*)?"([^"\\]{2,100})"')
_KEYS = ("property", "name", "itemprop", "http-equiv")
_LONGEST_NAME = 100


def describe(page: bytes, marks: Sequence[tuple[int, int, int]], heading: str) -> About:
    """Give title, date, language and author of a page; `heading` is the text of its first h1.

    marks: (kind, start, stop) for each place page[start:stop] that tells something, see `arrays`.
    """
    metas: dict[str, str] = {}
    titles, roots, times, scripts = [], [], [], []
    for kind, start, stop in marks:
        if kind == META:
            _add(metas, _attributes(page[start:stop]))
        elif kind == TITLE:
            titles.append(_text(page[start:stop]))
        elif kind == HTML:
            roots.append(_attributes(page[start:stop]))
        elif kind == TIME:
            times.append(_attributes(page[start:stop]))
        elif kind == JSON:
            scripts.append(page[start : min(stop, start + LONGEST_JSON)].decode("utf-8", "replace"))
    root = roots[0] if roots else {}
    candidates = (metas.get("og:title", ""), *titles[:1], heading)
    title = next((" ".join(each.split()) for each in candidates if each.strip()), None)
    language = first_language(
        root.get("lang") or root.get("xml:lang"), metas.get("content-language"), metas.get("og:locale")
    )
    return About(title, first_date(_dates(page, metas, scripts, times)), language, _author(metas, scripts))


def _attributes(tag: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    text = tag.decode("utf-8", "replace")
    for name, *values in _ATTRIBUTE.findall(text):
        found.setdefault(name.lower(), html.unescape("".join(values)))
    if "pubdate" in text:
        found.setdefault("pubdate", "")
    return found


def _add(metas: dict[str, str], attributes: dict[str, str]) -> None:
    content = attributes.get("content", "")
    if content.strip():
        for key in _KEYS:
            name = attributes.get(key)
            if name:
                metas.setdefault(name.strip().lower(), content)
                return


def _text(raw: bytes) -> str:
    return html.unescape(raw.decode("utf-8", "replace"))


def _dates(
    page: bytes, metas: dict[str, str], scripts: Sequence[str], times: Sequence[dict[str, str]]
) -> Iterator[str]:
    yield from (metas[name] for name in DATE_NAMES if name in metas)
    for script in scripts:
        if found := JSON_DATE.search(script):
            yield found[1]
    for tag in _microdata(page):
        yield tag.get("datetime") or tag.get("content") or ""
    yield from (time.get("datetime", "") for time in times if _is_publication(time))
    all_dates = {time.get("datetime", "") for time in times}
    if len(all_dates) == 1:
        yield from all_dates


def _microdata(page: bytes) -> Iterator[dict[str, str]]:
    """Give the attributes of the first tags with itemprop=datePublished."""
    at = page.find(_MICRODATA)
    for _ in range(_MOST_MICRODATA):
        if at < 0:
            return
        start = page.rfind(b"<", max(0, at - _LONGEST_TAG), at)
        stop = page.find(b">", at, at + _LONGEST_TAG)
        if start >= 0 and stop >= 0 and page.rfind(b">", start, at) < 0:
            tag = _attributes(page[start:stop])
            if tag.get("itemprop", "").startswith("datePublished"):
                yield tag
        at = page.find(_MICRODATA, at + 1)


def _is_publication(time: dict[str, str]) -> bool:
    names = time.get("class", "").split()
    return "pubdate" in time or "published" in names or "entry-date" in names


def _author(metas: dict[str, str], scripts: Sequence[str]) -> str | None:
    named = [metas.get(name, "") for name in AUTHOR_NAMES]
    named += [found[1] for script in scripts if (found := _JSON_AUTHOR.search(script))]
    for each in named:
        author = " ".join(each.split())
        if author and len(author) <= _LONGEST_NAME and not author.lower().startswith(("http:", "https:", "www.")):
            return author
    return None
