"""Rendered pages of real wikis: no markup is left, and no hole that the source does not have."""

from __future__ import annotations

import bz2
import re
from collections.abc import Iterator

import pytest

from corpuskit.formats.mediawiki import Page, PageReader
from corpuskit.text.wikitext import Site, wikitext_to_text
from tests.build import Whole
from tests.data import shared

LEFTOVER = re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|<ref")
VERBATIM = re.compile(r"<(math|nowiki|pre|source|syntaxhighlight|code|chem)[ >]", re.I)
HOLE = re.compile(r"\( *\)|\(,| ,(?= )")


def rendered(names: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        reader = PageReader(Whole(bz2.decompress(shared(name).read_bytes())), 1 << 26)  # type: ignore[arg-type]
        for page in reader:
            if isinstance(page, Page) and page.namespace == "0" and not page.redirect:
                site = Site(reader.head.site.get("language", ""), reader.head.namespaces)
                yield page.text, wikitext_to_text(page.text, site, page.title)


WIKIS = {
    "ltg": ["wikipedia/ltgwiki-pages-articles.xml.bz2"],
    "en": ["wikipedia/enwiki-pages-articles1-p10p30302-shortened.xml.bz2"],
    "minidumps": [f"wikipedia/minidumps/{name}.wiki.xml.bz2" for name in ("de", "fr", "ja", "ru", "zh", "ar", "he")],
}


@pytest.mark.parametrize("wiki", WIKIS)
def test_no_markup_is_left_and_hardly_a_hole(wiki: str) -> None:
    pages = list(rendered(WIKIS[wiki]))
    left = [text for source, text in pages if LEFTOVER.search(text) and not VERBATIM.search(source)]
    holes = sum(max(0, len(HOLE.findall(text)) - len(HOLE.findall(source))) for source, text in pages)
    assert pages
    assert len(left) <= 0.005 * len(pages)
    assert holes <= 10e-6 * sum(len(text) for _, text in pages)
