"""Take the main text out of an HTML page with Trafilatura (Barbaresi 2021), an optional library."""

from __future__ import annotations

import logging

from corpuskit.text.html import HtmlError, HtmlText

_MAX_CHARS = 4 << 20  # it takes a second for some 5 MB of ordinary pages, and refuses 20 MB itself


def extract(html: str) -> HtmlText:
    """Give a page's main content, and what the page says of itself.

    Raises HtmlError for pages that would take too long, ImportError where Trafilatura is not installed.
    """
    from resiliparse.parse.html import HTMLTree

    from corpuskit.text.html.about import describe
    from corpuskit.text.html.by_resiliparse import check

    check(html)
    about = describe(HTMLTree.parse(html), html)
    try:
        return HtmlText(main_text(html), about.title, about.language, about.date)
    except (ValueError, RecursionError) as error:
        raise HtmlError(str(error)) from None


def main_text(html: str) -> str:
    """Give a page's main content with its tables and without comments; "" where there is none.

    Nothing is remembered from one page to the next: duplicates are not looked for. Raises ImportError where
    Trafilatura is not installed, ValueError for a page that would take it minutes.
    """
    import trafilatura

    if len(html) > _MAX_CHARS:
        raise ValueError(f"a page of more than {_MAX_CHARS} characters, too large for Trafilatura")
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it warns of every page without text
    text = trafilatura.extract(html, fast=True, include_comments=False, include_tables=True, deduplicate=False)
    return (text or "").strip()
