"""Render wikitext as plain text: what a reader of the page sees as running text, lists and tables.

One scan with one regular expression over the markup tokens, and a stack of what is open; every construct is rendered
when it closes. Time and memory grow linearly with the page, and nesting is capped, so that no page can hold up a run.
(mwparserfromhell 0.7, tried first, is quadratic in unclosed openers: 48 kB of `{{a|` take it 34 s, and it reads
ordinary articles at a seventh of this speed.) Unmatched openers and stray closers vanish, their content stays.

Kept: paragraphs, headings that head something, list items, table rows as `cell | cell`, the text of links, formulas
and code as written, and templates that carry words or values (`wiki_templates`). Removed: other templates,
references, files, categories, links to other languages, galleries, comments, magic words. Where something was removed
within a line, the hole is closed: empty parentheses, `(,` and ` ,` go, but only there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from corpuskit.text import wiki_names as names
from corpuskit.text.wiki_lines import tidy
from corpuskit.text.wiki_render import Renderer
from corpuskit.text.wiki_render import WikitextError as WikitextError

_MARKS = re.compile("[\x00-\x08]")  # no XML can hold them; other input is freed of them
_CONVERTER = re.compile(r"-\{([^{}]{0,2000})\}-")


@dataclass(frozen=True)
class Site:
    """What a wiki's own names are: its language and its namespaces by name (`{"Kategorie": 14}`)."""

    language: str = ""
    namespaces: Mapping[str, int] = field(default_factory=dict)
    #: Prefixes, in lower case, of links that show nothing.
    dropped: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = {name.lower(): key for name, key in self.namespaces.items() if name}
        dropped = {name for name, key in own.items() if key in (6, 14, -2)}
        kept = {name for name, key in own.items() if key not in (6, 14, -2)}
        object.__setattr__(
            self, "dropped", (names.FILE_NAMES | names.CATEGORY_NAMES | names.LANGUAGES | dropped) - kept
        )


def wikitext_to_text(source: str, site: Site = Site(), title: str = "") -> str:
    """Render wikitext as plain text, blocks apart by a blank line. Raises WikitextError for nesting over MAX_DEPTH."""
    if "\r" in source:
        source = source.replace("\r\n", "\n").replace("\r", "\n")
    if _MARKS.search(source):
        source = _MARKS.sub("", source)
    if "-{" in source and site.language.partition("-")[0] in ("zh", "sr", "kk", "gan", "iu", "ku", "tg", "uz"):
        source = _CONVERTER.sub(_converted, source)
    renderer = Renderer(source, site.dropped, title)
    return tidy(renderer.render(), renderer.verbatim)


def _converted(found: re.Match[str]) -> str:
    """-{zh-cn:A;zh-tw:B}- shows A; -{text}- shows the text."""
    content = found[1].rpartition("|")[2]
    first = content.split(";")[0]
    variant, colon, text = first.partition(":")
    return text.strip() if colon and re.fullmatch(r"[a-z-]{2,12}", variant.strip()) else content
