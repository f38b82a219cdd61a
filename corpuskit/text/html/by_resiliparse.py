"""Take the main text out of an HTML page by Resiliparse's rules (Bevendorff et al. 2018), with a second look."""

from __future__ import annotations

from typing import Any

from corpuskit.text.html import HtmlError, HtmlText

#: Blocks and lists nested deeper take a reader time and memory that grow with the square of the depth; 512 is where
#: browsers stop to nest.
MAX_DEPTH = 512
#: Attributes of one tag: a parser compares each with all before.
MAX_ATTRIBUTES = 8_192
#: From how many tags to how many blocks around each a reader may walk.
_MAX_STEPS = 1 << 25
#: What the indentation of nested lists may come to.
_MAX_INDENT_BYTES = 64 << 20
#: Under this share of the page's text, the main text is looked for again in what is called comments.
_SMALL_SHARE = 0.2
_MANY = 500
#: Under this one the rules have missed it, and all is taken but what is no text on any page.
_LOST_SHARE = 0.1
_FURNITURE = [
    *("nav", "header", "footer", "aside", "button", "select", "dialog", "[role=navigation]", "[role=banner]"),
    *("[role=contentinfo]", "[role=search]", "[class*=cookie]", "[id*=cookie]", "[class*=breadcrumb]"),
]


def extract(html: str) -> HtmlText:
    """Give a page's main content, and what the page says of itself.

    Raises HtmlError for pages that would take Resiliparse more than linear time.
    """
    check(html)
    from resiliparse.parse.html import HTMLTree

    from corpuskit.text.html.about import describe
    from corpuskit.text.html.layout import guard, mark

    tree = HTMLTree.parse(guard(html))
    if not tree.document:
        return HtmlText("", None, None)
    about = describe(tree, html)
    mark(tree)
    return HtmlText(_main_text(tree, "omment" in html), about.title, about.language, about.date)


def check(html: str) -> None:
    """Refuse pages that parsers of trees take more than linear time for. Raises HtmlError."""
    import numpy as np

    from corpuskit.text.html.guard_kernels import measure

    page = np.frombuffer(html.encode("utf-8", "replace"), np.uint8)
    attributes, blocks, lists, items, tags = measure(page)
    if attributes > MAX_ATTRIBUTES:
        raise HtmlError(f"a tag with more than {MAX_ATTRIBUTES} attributes")
    if max(blocks, lists) > MAX_DEPTH:
        raise HtmlError(f"blocks nested deeper than {MAX_DEPTH}")
    if (blocks + lists) * tags > _MAX_STEPS:
        raise HtmlError("many blocks nested deeply")
    if 2 * lists * items > _MAX_INDENT_BYTES:
        raise HtmlError("long lists nested deeply")


def _main_text(tree: Any, commented: bool) -> str:
    """Extract by rules; where these leave little of a page, take comments for text, then all but the furniture."""
    from corpuskit.text.html.layout import render

    text = _extract(tree, main_content=True, comments=False)
    whole = _visible_chars(tree, len(text) / (_SMALL_SHARE if commented else _LOST_SHARE))
    if commented and len(text) < _SMALL_SHARE * whole and len(text) < _comment_chars(tree):
        more = _extract(tree, main_content=True, comments=True)
        if len(text) < _SMALL_SHARE * len(more):
            text = more
    if len(text) < _LOST_SHARE * whole:
        more = _extract(tree, main_content=False, skip_elements=_FURNITURE)
        if len(text) < _LOST_SHARE * len(more):
            text = more
    return render(text)


def _extract(tree: Any, **choices: Any) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(
        tree, preserve_formatting=True, list_bullets=True, alt_texts=False, links=False, form_fields=False,
        noscript=False, **choices,
    )  # fmt: skip


def _visible_chars(tree: Any, enough: float) -> int:
    """Give the length of the page's text, scripts and styles apart; 0 where all text is not longer than `enough`."""
    from corpuskit.text.html.layout import all_named

    whole = len(tree.body.text) if tree.body else 0
    if enough >= whole:
        return 0
    return whole - sum(len(node.text) for node in all_named(tree.body, "script", "style", "noscript"))


def _comment_chars(tree: Any) -> int:
    """Give at least how long the text is in what is called comments."""
    found = tree.document.query_selector_all("[class*=omment], [id*=omment]")
    if len(found) > _MANY:
        return len(tree.body.text)
    return sum(len(node.text) for node in found.values())
