"""Take the main text out of an HTML page.

`corpuskit`, the default, parts a page into blocks in one pass over its bytes and has two stages of trees judge them.
`resiliparse` (Bevendorff et al. 2018) and `trafilatura` (Barbaresi 2021) are libraries of that name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

EXTRACTORS = ("corpuskit", "resiliparse", "trafilatura")
FALLBACKS = ("none", "trafilatura")
#: Pages under this confidence are read by the fallback, if there is one: less than half is to be expected of the text.
UNSURE = 0.5


class HtmlError(ValueError):
    """A page that cannot be rendered in reasonable time."""


@dataclass(frozen=True, slots=True)
class HtmlText:
    """The main text of a page, and what the page says of itself.

    `language` is the primary subtag of the declared language, `date` that of publication, in ISO 8601. `confidence` is
    the F1 that is to be expected of the text, from 0 to 1; None where the extractor does not say.
    """

    text: str
    title: str | None
    language: str | None
    date: str | None = None
    author: str | None = None
    confidence: float | None = None


def html_to_text(
    page: str | bytes, extractor: str = "corpuskit", fallback: str = "none", *, comments: bool = False
) -> HtmlText:
    """Give a page's main content as plain text, and what the page says of itself. Bytes are UTF-8.

    Headings and paragraphs stand between blank lines, items of lists behind `- ` or their number, nested ones
    indented, rows of tables as `cell | cell`, code as it stands; no links, forms, comments. A page without main
    content gives an empty text. The text depends on the page alone. `extractor` is one of EXTRACTORS; pages of which
    `corpuskit` is unsure go to `fallback`, one of FALLBACKS; with `comments` it keeps those of readers. Raises
    HtmlError for pages that would take the libraries more than linear time, ImportError without the library.
    """
    if extractor == "resiliparse":
        from corpuskit.text.html.by_resiliparse import extract

        return extract(_text(page))
    if extractor == "trafilatura":
        from corpuskit.text.html.by_trafilatura import extract

        return extract(_text(page))
    found = _judged(page if isinstance(page, bytes) else page.encode("utf-8", "replace"), comments)
    if fallback == "trafilatura" and (found.confidence or 0.0) < UNSURE:
        return _by_fallback(page, found)
    return found


def _text(page: str | bytes) -> str:
    return page if isinstance(page, str) else page.decode("utf-8", "replace")


def _judged(page: bytes, comments: bool) -> HtmlText:
    if not page:
        return HtmlText("", None, None)
    extract, known = _compiled()
    return extract(page, known, comments)


@functools.cache
def _compiled() -> tuple[Callable[..., HtmlText], object]:
    """Give the compiled extractor, and what it knows: an import statement for every page would take its time."""
    from corpuskit.text.html import extraction

    return extraction.extract, extraction.shipped()


def _by_fallback(page: str | bytes, found: HtmlText) -> HtmlText:
    from corpuskit.text.html.by_trafilatura import main_text

    try:
        text = main_text(_text(page))
    except (ValueError, RecursionError):  # it gives up; the text that is there is better than none
        return found
    return replace(found, text=text) if text else found
