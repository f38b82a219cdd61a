"""Take the main text out of an HTML page."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Resiliparse's time grows with the product of the depth of nested <div> and the blocks within: 100,000 take minutes.
#: 512 is where browsers stop to nest.
MAX_DEPTH = 512
_DIV = re.compile(r"<(/?)div\b", re.I)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?=$|[-_])")


class HtmlError(ValueError):
    """A page that cannot be rendered in reasonable time."""


@dataclass(frozen=True, slots=True)
class HtmlText:
    """The main text of a page, its title and the primary subtag of its declared language."""

    text: str
    title: str | None
    language: str | None


def html_to_text(html: str) -> HtmlText:
    """Give a page's main content as plain text: paragraphs, headings, lists with bullets; no links, forms, comments.

    Resiliparse's rule-based extraction (Bevendorff et al. 2018). A page without main content gives an empty text.
    Raises HtmlError for <div> nested deeper than `MAX_DEPTH`.
    """
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.html import HTMLTree

    if html.lower().count("<div") > MAX_DEPTH and _depth(html) > MAX_DEPTH:
        raise HtmlError(f"<div> nested deeper than {MAX_DEPTH}")
    tree = HTMLTree.parse(html)
    text = extract_plain_text(
        tree, preserve_formatting=True, main_content=True, list_bullets=True, alt_texts=False, links=False,
        form_fields=False, noscript=False, comments=False,
    )  # fmt: skip
    root = tree.document.query_selector("html") if tree.document else None
    language = _LANGUAGE.match(((root.getattr("lang") if root else None) or "").strip())
    title = " ".join((tree.title or "").split())
    return HtmlText(text.strip(), title or None, language[0].lower() if language else None)


def _depth(html: str) -> int:
    depth = deepest = 0
    for tag in _DIV.finditer(html):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest
