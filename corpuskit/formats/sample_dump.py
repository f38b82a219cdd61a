"""Write a MediaWiki export: https://www.mediawiki.org/xml/export-0.11.xsd."""

from __future__ import annotations

import bz2
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from corpuskit.formats.sample_wiki import Page

_NAMESPACE = "http://www.mediawiki.org/xml/export-0.11/"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def write_dump(path: Path, pages: Iterable[Page], namespaces: Mapping[int, str], site: Mapping[str, str]) -> None:
    """Write pages, numbered from 1 in their order, as a `.xml.bz2`.

    `site` has sitename, dbname, base (the address of the main page) and date (ISO, that of every revision).
    """
    with bz2.open(path, "wt", encoding="utf-8", newline="\n") as out:
        out.write(_head(namespaces, site))
        for number, page in enumerate(pages, start=1):
            out.write(_page(page, number, site["date"]))
        out.write("</mediawiki>\n")


def _head(namespaces: Mapping[int, str], site: Mapping[str, str]) -> str:
    spaces = "".join(
        f'      <namespace key="{key}" case="case-sensitive"{f">{name}</namespace>" if name else " />"}\n'
        for key, name in sorted(namespaces.items())
    )
    return (
        f'<mediawiki xmlns="{_NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:schemaLocation="{_NAMESPACE} http://www.mediawiki.org/xml/export-0.11.xsd"'
        ' version="0.11" xml:lang="en">\n  <siteinfo>\n'
        f"    <sitename>{escape(site['sitename'])}</sitename>\n    <dbname>{escape(site['dbname'])}</dbname>\n"
        f"    <base>{escape(site['base'])}</base>\n    <generator>corpuskit</generator>\n"
        f"    <case>case-sensitive</case>\n    <namespaces>\n{spaces}    </namespaces>\n  </siteinfo>\n"
    )


def _page(page: Page, number: int, date: str) -> str:
    text = _NOT_XML.sub("\ufffd", page.text)
    size, sha1 = len(text.encode()), _base36(hashlib.sha1(text.encode()).digest())
    redirect = f"    <redirect title={quoteattr(page.redirect)} />\n" if page.redirect else ""
    return (
        f"  <page>\n    <title>{escape(page.title)}</title>\n    <ns>{page.namespace}</ns>\n    <id>{number}</id>\n"
        f"{redirect}    <revision>\n      <id>{number}</id>\n      <timestamp>{date}T00:00:00Z</timestamp>\n"
        "      <contributor>\n        <username>Python documentation</username>\n        <id>1</id>\n"
        f"      </contributor>\n      <origin>{number}</origin>\n      <model>wikitext</model>\n"
        f'      <format>text/x-wiki</format>\n      <text bytes="{size}" sha1="{sha1}" xml:space="preserve">'
        f"{escape(text)}</text>\n      <sha1>{sha1}</sha1>\n    </revision>\n  </page>\n"
    )


def _base36(digest: bytes) -> str:
    """Write a SHA-1 as MediaWiki does: 31 digits in base 36."""
    number, digits = int.from_bytes(digest, "big"), ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(31, "0")
