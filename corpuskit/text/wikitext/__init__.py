"""Render wikitext as plain text: what a reader of the page sees as running text, lists and tables.

Compiled: one scan over the bytes with a stack of what is open; every construct is rendered when it closes, on the
buffer that it stands in. Time and memory grow linearly with the page, and nesting is capped, so that no page can hold
up a run. Unmatched openers and stray closers vanish, their content stays.

Kept: paragraphs, headings that head something, list items, table rows as `cell | cell`, the text of links, formulas
and code as written, and templates that carry words or values (`templates.txt`). Removed: other templates, references,
files, categories, links to other languages, galleries, comments, magic words. Where something was removed within a
line, the hole is closed: empty parentheses, `(,` and ` ,` go, but only there.
"""

from __future__ import annotations

from corpuskit.text.wikitext.render import Site, WikitextError, wikitext_to_text

__all__ = ["Site", "WikitextError", "wikitext_to_text"]
