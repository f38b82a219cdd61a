"""Read what a page says of itself from the places that the segmenter has marked, in plain Python: an oracle."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from corpuskit.text.html.about import (
    AUTHOR_NAMES,
    DATE_NAMES,
    JSON_DATE,
    LONGEST_JSON,
    META_NAMES,
    About,
    first_date,
    first_language,
)
from corpuskit.text.html.arrays import HTML, JSON, META, MICRODATA, TIME, TITLE

_ATTRIBUTE = re.compile(r"""([A-Za-z][\w:.-]*)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_MICRODATA = b"datePublished"
_MOST_MICRODATA, _LONGEST_TAG = 8, 600
_JSON_AUTHOR = re.compile(r'"author"\s*:\s*(?:\[\s*)?(?:\{[^{}]*?"name"\s*:\s*)?"([^"\\]{2,100})"')
_LONGEST_NAME = 100


def describe(page: bytes, marks: Sequence[tuple[int, int, int]], heading: str) -> About:
    """Give title, date, language and author of a page; `heading` is the text of its first h1.

    marks: (kind, start, stop) for each place page[start:stop] that tells something, see `arrays`.
    """
    metas: dict[str, str] = {}
    spans: dict[int, list[tuple[int, int]]] = {}
    for kind, start, stop in marks:
        if kind < META:
            spans.setdefault(kind, []).append((start, stop))
        elif (name := META_NAMES[kind - META]) not in metas and (content := _text(page[start:stop])).strip():
            metas[name] = content
    titles = [_text(page[start:stop]) for start, stop in spans.get(TITLE, ())[:1]]
    candidates = (metas.get("og:title", ""), *titles, heading)
    title = next((" ".join(each.split()) for each in candidates if each.strip()), None)
    roots = [_text(page[start:stop]) for start, stop in spans.get(HTML, ())[:1]]
    language = first_language(*roots, metas.get("content-language"), metas.get("og:locale"))
    scripts = [
        page[start : min(stop, start + LONGEST_JSON)].decode("utf-8", "replace") for start, stop in spans.get(JSON, ())
    ]
    return About(title, first_date(_dates(page, metas, scripts, spans)), language, _author(metas, scripts))


def _attributes(tag: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    text = tag.decode("utf-8", "replace")
    for name, *values in _ATTRIBUTE.findall(text):
        found.setdefault(name.lower(), html.unescape("".join(values)))
    if "pubdate" in text:
        found.setdefault("pubdate", "")
    return found


def _text(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return html.unescape(text) if "&" in text else text


def _dates(
    page: bytes, metas: dict[str, str], scripts: Sequence[str], spans: dict[int, list[tuple[int, int]]]
) -> Iterator[str]:
    yield from (metas[name] for name in DATE_NAMES if name in metas)
    for script in scripts:
        if found := JSON_DATE.search(script):
            yield found[1]
    for start, _ in spans.get(MICRODATA, ()):
        for tag in _microdata(page, start):
            yield tag.get("datetime") or tag.get("content") or ""
    times = [_attributes(page[start:stop]) for start, stop in spans.get(TIME, ())]
    yield from (time.get("datetime", "") for time in times if _is_publication(time))
    all_dates = {time.get("datetime", "") for time in times}
    if len(all_dates) == 1:
        yield from all_dates


def _microdata(page: bytes, at: int) -> Iterator[dict[str, str]]:
    """Give the attributes of the first tags with itemprop=datePublished; the first such word stands at `at`."""
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
