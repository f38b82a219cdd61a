"""Keep the layout of a page through Resiliparse's extraction: mark the tree before, read the marks in the text after.

Marks are noncharacters, which no text holds (Unicode 23.7): they travel with the text around them, and a part that is
no main content takes its marks along. None stands alone: a text node of three bytes that are not ASCII is lost in the
main content of Resiliparse 2.0, be it a mark, a dash or a Chinese word, so there are always two.
"""

from __future__ import annotations

import re
from typing import Any

_ALL = tuple(map(chr, range(0xFDD0, 0xFDD8)))
_PRE, _PRE_END, _ROW, _BULLET, _NUMBER, _NUMBER_END, _BREAK, _JOIN = _ALL
_MARKS = re.compile("[\ufdd0-\ufdd7]")
_PRE_TEXT = re.compile(f"[^\\S\n]*{_PRE}(.*?){_PRE_END}", re.S)
_ROW_LINE = re.compile(f"^[^\\S\n]*{_ROW}.*$", re.M)
_LISTED = re.compile(r"^( *)(?:• |(\d+\. ))(.*)$", re.M)
_TRAILING = re.compile(r"[ \t]+$", re.M)
_BLANKS = re.compile(r"\n{3,}")
#: Text nodes of three bytes, which would be lost.
_LONE = re.compile(
    "(>\\s?(?:[\u0800-\ufdcf\ufdf0-\uffff]|[!-;=?-~][\x80-\u07ff]|[\x80-\u07ff][!-;=?-~]"
    "|&(?!nbsp|#160|#x[aA]0)#?\\w{2,8};))(?=\\s?<)"
)
#: A table with one of these is there for the layout of the page: its cells are blocks of text, not values.
_BLOCKS_IN_TABLE = "table, ul, ol, dl, pre, h1, h2, h3, h4, form, blockquote, textarea, article, section"
_MAX_CELL_CHARS = 500
#: Pages with more to mark, and tables with more cells, are left as they are: each step on the tree costs some time.
_MAX_MARKED = 20_000
_NAVIGATION = re.compile(r"nav|menu|foot|head|side|crumb|share|social|tags?\b|related|pagin|widget", re.I)
_VOID = frozenset(("#text", "#comment", "img", "br", "input", "hr", "wbr", "script", "style"))
_MAX_LINKED = 0.4
#: What is marked; lists as shallow as these are taken for navigation, whatever they hold.
_MARKED = (
    "pre, listing, table, ol[start], summary, legend, rp, rt,"
    "body > ul, body > * > ul, body > * > * > ul, body > * > * > * > ul"
)


def guard(html: str) -> str:
    """Prepare a page's source: no noncharacters of its own, and marks on what would be lost."""
    if html.isascii() and "&" not in html:
        return html
    if any(mark in html for mark in _ALL):
        html = _MARKS.sub("", html)
    return _LONE.sub("\\1" + _JOIN, html)


def mark(tree: Any) -> None:
    """Mark preformatted text, rows of data tables, numbers of lists; take shallow lists of text out of suspicion."""
    found = tree.document.query_selector_all(_MARKED)
    if len(found) > _MAX_MARKED:
        return
    for node in found.values():
        tag = node.tag
        if tag == "table":
            if _is_data(node):
                _mark_table(tree, node)
        elif tag == "ul":
            if _is_text(node):
                _as_text(tree, node)
        elif tag == "ol":
            _mark_numbers(tree, node)
        elif tag in ("rp", "rt"):
            node.decompose()
        elif tag in ("summary", "legend"):
            node.append_child(tree.create_text_node(_BREAK))
        else:
            _wrap(tree, node, _PRE, _PRE_END)


def all_named(node: Any, *names: str) -> list[Any]:
    """Give the elements of these names below a node. (To iterate over a collection takes the square of its length.)"""
    return [found for name in names for found in node.get_elements_by_tag_name(name).values()]


def _wrap(tree: Any, node: Any, before: str, after: str) -> None:
    first = node.first_child
    if first:
        node.insert_before(tree.create_text_node(before + _JOIN), first)
        node.append_child(tree.create_text_node(_JOIN + after))


def _is_data(table: Any) -> bool:
    """Tell a table of values from one that lays out the page."""
    if len(table.get_elements_by_tag_name("td")) > _MAX_MARKED or table.query_selector(_BLOCKS_IN_TABLE):
        return False
    cells = all_named(table, "td")
    return bool(cells) and all(len(cell.text) <= _MAX_CELL_CHARS for cell in cells)


def _mark_table(tree: Any, table: Any) -> None:
    for row in all_named(table, "tr"):
        if row.first_element_child:
            _put_first(tree, row.first_element_child, _ROW)
    for line_break in all_named(table, "br"):
        line_break.parent.replace_child(tree.create_text_node(" "), line_break)
    for block in table.query_selector_all("td p, td div, th p, th div").values():
        parent = block.parent
        parent.insert_before(tree.create_text_node(" "), block)
        while block.first_child:
            parent.insert_before(block.first_child, block)
        parent.insert_before(tree.create_text_node(" "), block)
        block.decompose()


def _put_first(tree: Any, node: Any, mark: str) -> None:
    """Put a mark in front of a node's text, as deep as the text lies: a link stays all there is beside it."""
    while (child := node.first_child) and child.tag and child.tag not in _VOID:
        node = child
    if child:
        node.insert_before(tree.create_text_node(mark + _JOIN), child)
    else:
        node.append_child(tree.create_text_node(mark + _JOIN))


def _mark_numbers(tree: Any, ordered: Any) -> None:
    start = (ordered.getattr("start") or "").strip()
    if not (start.isascii() and start.isdigit() and len(start) < 10):
        return
    number, item = int(start), ordered.first_element_child
    while item:
        if item.tag == "li":
            _put_first(tree, item, f"{_NUMBER}{number}{_NUMBER_END}")
            number += 1
        item = item.next_element_sibling


def _is_text(unordered: Any) -> bool:
    """Tell a list of text from one of links: by its names, those around it, and how much of it is links."""
    node = unordered
    while node and node.tag not in (None, "body"):
        names = f"{node.getattr('class') or ''} {node.getattr('id') or ''} {node.getattr('role') or ''}"
        if node.tag in ("nav", "header", "footer", "aside", "form") or _NAVIGATION.search(names):
            return False
        node = node.parent
    whole = len(unordered.text)
    linked = sum(len(link.text) for link in all_named(unordered, "a"))
    return whole > 0 and linked <= _MAX_LINKED * whole


def _as_text(tree: Any, unordered: Any) -> None:
    """Make an <ol> of a <ul>, with marks that keep its bullets."""
    ordered = tree.create_element("ol")
    item = unordered.first_element_child
    while item:
        if item.tag == "li":
            _put_first(tree, item, _BULLET)
        item = item.next_element_sibling
    while unordered.first_child:
        ordered.append_child(unordered.first_child)
    unordered.parent.replace_child(ordered, unordered)


def render(text: str) -> str:
    """Read the marks: rows as `cell | cell`, lists with `- ` or numbers, two spaces a level, code as it stands."""
    pieces, at = [], 0
    for code in _PRE_TEXT.finditer(text) if _PRE in text else ():
        pieces.append(_prose(text[at : code.start()]).strip("\n"))
        pieces.append(_MARKS.sub("", code[1]).strip("\n").rstrip())
        at = code.end()
    pieces.append(_prose(text[at:]).strip("\n"))
    return "\n\n".join(piece for piece in pieces if piece.strip()).strip()


def _prose(text: str) -> str:
    if _ROW in text:
        text = _ROW_LINE.sub(_row, text)
    if "\t\t" in text:
        text = text.replace("\t\t", "\n")
    text = text.replace(_BREAK, "\n")
    if "• " in text or ". " in text:
        text = _LISTED.sub(_item, text)
    text = _MARKS.sub("", text)
    if " \n" in text or "\t\n" in text or text.endswith((" ", "\t")):
        text = _TRAILING.sub("", text)
    return _BLANKS.sub("\n\n", text)


def _row(line: re.Match[str]) -> str:
    cells = [" ".join(cell.split()) for cell in _MARKS.sub("", line[0]).split("\t\t")]
    return " | ".join(cells) if any(cells) else ""


def _item(line: re.Match[str]) -> str:
    indent, number, text = line[1][2:], line[2] or "", line[3]
    if text.startswith(_BULLET) or not number:
        return f"{indent}- {text.lstrip(_BULLET + _JOIN + ' ')}"
    if text.startswith(_NUMBER):
        own, _, text = text[1:].partition(_NUMBER_END)
        return f"{indent}{own}. {text.lstrip(_JOIN + ' ')}"
    return f"{indent}{number}{text}"
