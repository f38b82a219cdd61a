from __future__ import annotations

import bz2
import io
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.formats.document import Origin, Reading
from corpuskit.formats.mediawiki import read_mediawiki
from corpuskit.formats.opening import ByteStream, open_bytes
from tests.data import shared

SITE = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>dewiki</dbname>
    <base>https://de.wikipedia.org/wiki/Wikipedia:Hauptseite</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">Datei</namespace>
      <namespace key="14" case="first-letter">Kategorie</namespace>
    </namespaces>
  </siteinfo>
"""


def page(id: int, text: str, *, title: str = "Ein Ort", ns: int = 0, more: str = "", model: str = "wikitext") -> str:
    return (
        f"  <page><title>{title}</title><ns>{ns}</ns><id>{id}</id>{more}<revision><id>9{id}</id>"
        f"<timestamp>2024-01-0{id}T00:00:00Z</timestamp><contributor><username>x</username><id>77</id></contributor>"
        f'<model>{model}</model><format>text/x-wiki</format><text bytes="1" xml:space="preserve">{text}</text>'
        f"<sha1>abc</sha1></revision></page>\n"
    )


def dump(*pages: str) -> bytes:
    return (SITE + "".join(pages) + "</mediawiki>\n").encode()


def rows(data: bytes, max_record_bytes: int = 1 << 20, **about: str) -> list[dict[str, Any]]:
    reading = Reading(max_record_bytes=max_record_bytes)
    return list(read_mediawiki(ByteStream(io.BytesIO(data)), Origin("wiki.xml.bz2", about), reading))


def test_a_page_is_a_document() -> None:
    (got,) = rows(
        dump(page(1, "'''Ort''' an der Aare &amp; [[Kategorie:Ort]]", title="Ort / Fluß")), license="CC-BY-SA-4.0"
    )
    assert got == {
        "id": "dewiki:1",
        "text": "Ort an der Aare &",
        "source": "dewiki",
        "url": "https://de.wikipedia.org/wiki/Ort_/_Flu%C3%9F",
        "title": "Ort / Fluß",
        "language": "de",
        "license": "CC-BY-SA-4.0",
        "date": "2024-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (page(1, "x", ns=10), "not_namespace_0"),
        (page(1, "x", ns=10, more='<redirect title="y" />'), "not_namespace_0"),
        (page(1, "#WEITERLEITUNG [[y]]", more='<redirect title="y" />'), "redirect"),
        (page(1, "{}", model="json"), "not_wikitext"),
    ],
)
def test_other_pages_are_dropped_with_their_reason(data: str, reason: str) -> None:
    (got,) = rows(dump(data))
    assert (got["drop"], got["text"]) == (reason, "")


def test_a_page_whose_text_comes_out_empty_is_a_document() -> None:
    (got,) = rows(dump(page(1, "{{Infobox}}")))
    assert (got["text"], got.get("drop"), got.get("error")) == ("", None, None)


def test_a_page_nested_too_deeply_is_an_error_and_the_rest_goes_on() -> None:
    bad, good = rows(dump(page(1, "{{a|" * 500), page(2, "gut")))
    assert (bad["error"], good["text"]) == ("nested_too_deep", "gut")


def test_a_page_over_the_cap_is_an_error_and_the_rest_goes_on() -> None:
    bad, good = rows(dump(page(1, "x" * 5_000), page(2, "gut")), max_record_bytes=2_000)
    assert (bad["error"], bad["text"], good["text"]) == ("too_large", "", "gut")


def test_of_several_revisions_the_last_counts() -> None:
    one = page(1, "alt").replace("</page>\n", "")
    two = page(2, "neu")
    (got,) = rows(dump(one + two[two.index("<revision>") :]))
    assert (got["text"], got["date"]) == ("neu", "2024-01-02T00:00:00Z")


def test_the_text_of_the_main_slot_counts_in_exports_with_several() -> None:
    slot = "<content><role>sources</role><model>json</model><text>{}</text></content></revision>"
    (got,) = rows(dump(page(1, "haupt").replace("</revision>", slot)))
    assert got["text"] == "haupt"


def test_utf_16_without_a_declaration_is_read() -> None:
    (got,) = rows((SITE + page(1, "Süß") + "</mediawiki>").encode("utf-16"))
    assert got["text"] == "Süß"


def test_the_wiki_of_an_old_export_is_told_from_its_address() -> None:
    (got,) = rows(dump(page(1, "x")).replace(b"<dbname>dewiki</dbname>", b""))
    assert got["id"] == "dewiki:1"


@pytest.mark.parametrize("ending", ["", page(2, "halb")[:-30], "  <page><title>x"])
def test_a_cut_export_gives_its_whole_pages_and_an_error(ending: str) -> None:
    good, error = rows((SITE + page(1, "ganz") + ending).encode())
    assert (good["text"], error["error"], error["id"]) == ("ganz", "truncated", "wiki.xml.bz2")


def test_an_export_cut_between_two_bz2_streams_is_truncated() -> None:
    streams = [bz2.compress(part.encode()) for part in (SITE, page(1, "a"), page(2, "b"), "</mediawiki>")]
    assert [got.get("error") for got in rows(b"".join(streams))] == [None, None]
    assert [got.get("error") for got in rows(b"".join(streams[:2]))] == [None, "truncated"]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_wherever_an_export_is_cut_the_cut_is_told(data: st.DataObject) -> None:
    whole = bz2.compress(dump(*(page(number, "text " * 50) for number in range(1, 6))))
    cut = data.draw(st.integers(1, len(whole) - 1))
    assert [got["error"] for got in rows(whole[:cut]) if got.get("error")] == ["truncated"]


def test_xml_that_is_not_well_formed_costs_the_page_that_it_is_in() -> None:
    good, error, behind = rows(dump(page(1, "a"), "<page><id>7</id><title>x</page>", page(2, "b")))
    assert (good["text"], error["error"], behind["text"]) == ("a", "bad_xml", "b")
    assert error["extra"] == '{"detail":"mismatched tag in page 7"}'


def test_a_page_without_its_end_costs_no_other_page() -> None:
    for torn in (page(7, "x")[:-9], page(7, "x" * 400_000)[:-40], "<page><title>" + "x" * 70, "<page", "</page>"):
        good, error, behind = rows(dump(page(1, "a"), torn, page(2, "b")))
        assert (good["text"], error["error"], behind["text"]) == ("a", "bad_xml", "b"), torn[-40:]


@pytest.mark.parametrize(
    "data",
    [
        b'<!DOCTYPE mediawiki [<!ENTITY a "aaaa">]>' + dump(page(1, "&a;")),
        b'<!DOCTYPE mediawiki SYSTEM "file:///etc/passwd">' + dump(page(1, "a")),
        b"<mediawiki>" + b"<a>" * 100_000,
        b"<html></html>",
    ],
)
def test_xml_that_no_export_holds_is_refused(data: bytes) -> None:
    (got,) = rows(data)
    assert got["error"] == "bad_xml"


def test_a_complete_small_wiki_has_903_articles() -> None:
    path = shared("wikipedia/ltgwiki-pages-articles.xml.bz2")
    got = list(read_mediawiki(open_bytes(path), Origin(path.name, {}), Reading()))
    assert Counter(each.get("drop") for each in got) == {None: 903, "redirect": 147, "not_namespace_0": 954}
    assert len({each["id"] for each in got}) == 2_004


@pytest.mark.parametrize(("wiki", "pages"), [("ukwiki", 532), ("viwiki", 970)])
def test_the_whole_pages_of_a_cut_dump_come_out(wiki: str, pages: int) -> None:
    path = shared(f"wikipedia/{wiki}-20230501-truncated-100k.xml.xz")
    *got, last = read_mediawiki(open_bytes(path), Origin(path.name, {}), Reading())
    assert (len(got), last["error"]) == (pages, "truncated")
    assert not any(each.get("error") for each in got)


def test_articles_of_many_languages_hold_no_markup() -> None:
    found: Counter[str] = Counter()
    folder = shared("wikipedia/minidumps")
    for path in sorted(folder.glob("*.bz2")):
        for got in read_mediawiki(open_bytes(path), Origin(path.name, {}), Reading()):
            assert not got.get("error")
            found.update(re.findall(r"\[\[|\]\]|\{\{|\}\}|\{\||<ref|\( \)|\(,", got["text"] or ""))
    assert sum(found.values()) <= 3, found
