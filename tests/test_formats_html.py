from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from corpuskit.text.charset import decode
from corpuskit.text.html import HtmlError, html_to_text
from corpuskit.text.html.about import iso_date

CASES = sorted((Path(__file__).parent / "cases" / "html").glob("*.html"))

ARTICLE = """<!doctype html><html lang="pt_BR"><head><title>
  Um título </title><style>p {color: red}</style></head><body>
<nav><a href=/a>Início</a> <a href=/b>Contato</a></nav>
<article><h1>Manchete</h1><p>O primeiro parágrafo tem <b>palavras</b> suficientes para ser um texto de verdade.</p>
<ul><li>um</li><li>dois</li></ul><pre>a
  b</pre><p>O segundo parágrafo também é longo o bastante, com <a href=/c>um link</a> no meio.</p></article>
<form><input value=Buscar></form><script>var x = 1;</script><footer>Copyright</footer></body></html>"""


def test_a_page_gives_its_main_text_title_and_language() -> None:
    page = html_to_text(ARTICLE)
    assert (page.title, page.language) == ("Um título", "pt")
    assert page.text.startswith("Manchete\n\nO primeiro parágrafo tem palavras suficientes")
    assert page.text.endswith("com um link no meio.")
    assert "a\n  b" in page.text
    for furniture in ("Início", "Buscar", "var x", "Copyright", "color"):
        assert furniture not in page.text


@pytest.mark.parametrize("html", ["", "<html>", "<p>", "<html lang=''>", "<html lang=x><title></title>", "text", "<"])
def test_next_to_nothing_is_no_error(html: str) -> None:
    page = html_to_text(html)
    assert (page.title, page.language) == (None, None)


@pytest.mark.parametrize("html", ["<div>" * 600 + "x", "<DIV>" * 600 + "x" + "</DIV>" * 600])
def test_divisions_nested_too_deeply_are_refused(html: str) -> None:
    with pytest.raises(HtmlError, match="deeper than 512"):
        html_to_text(html, "resiliparse")


def test_many_divisions_side_by_side_are_read() -> None:
    assert "last" in html_to_text("<div>" + "<div>some words of a text</div>" * 5_000 + "<p>last</p></div>").text


RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю. "


@pytest.mark.parametrize(
    ("data", "declared", "charset"),
    [
        (RUSSIAN.encode(), None, "utf-8"),
        (RUSSIAN.encode(), "windows-1251", "utf-8"),
        (b"\xef\xbb\xbf" + RUSSIAN.encode(), "koi8-r", "utf-8"),
        (RUSSIAN.encode("utf-16"), None, "utf-16-le"),
        (RUSSIAN.encode("cp1251"), "windows-1251", "cp1251"),
        (RUSSIAN.encode("cp1251"), "'Windows-1251';", "cp1251"),
        (RUSSIAN.encode("koi8-r"), "KOI8-R", "koi8-r"),
        (RUSSIAN.encode("cp1251") * 5, None, "cp1251"),
        (RUSSIAN.encode("cp1251") * 5, "utf-8", "cp1251"),
        (RUSSIAN.encode("cp1251") * 5, "no-such-charset", "cp1251"),
        ("日本語の文字".encode("iso-2022-jp"), "iso-2022-jp", "iso2022_jp"),
    ],
)
def test_bytes_are_decoded_as_what_they_are(data: bytes, declared: str | None, charset: str) -> None:
    got = decode(data, declared)
    assert (got.charset, got.replaced) == (charset, 0)
    assert got.text.startswith(("Съешь ещё этих", "日本語"))


def test_a_declaration_in_the_page_counts_where_the_header_has_none() -> None:
    data = b'<html><head><meta http-equiv=Content-Type content="text/html; charset=koi8-r">' + RUSSIAN.encode("koi8-r")
    assert decode(data, html=True).charset == "koi8-r"


def test_a_few_bad_bytes_do_not_change_the_charset() -> None:
    got = decode(RUSSIAN.encode() * 3 + b"\xff" + b"\xd0", "utf-8")
    assert (got.charset, got.replaced, got.text[-2:]) == ("utf-8", 2, "\ufffd\ufffd")


def test_no_bytes_are_an_empty_text() -> None:
    assert decode(b"").text == ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_page_keeps_its_layout(case: Path) -> None:
    expected = case.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")
    assert html_to_text(case.read_text(encoding="utf-8"), "resiliparse").text == expected


def test_a_page_says_its_title_date_and_language() -> None:
    page = html_to_text(CASES[0].read_text(encoding="utf-8"))
    assert (page.title, page.date, page.language) == ("Paper & ink", "2021-03-04T05:06:07+01:00", "en")


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ('<meta name="date" content="2020-01-02">', "2020-01-02"),
        ('<meta name="DC.date.issued" content="2020/1/2">', "2020-01-02"),
        (
            '<script type="application/ld+json">{"datePublished": "2020-01-02T03:04:05Z"}</script>',
            "2020-01-02T03:04:05Z",
        ),
        ('<script>{"datePublished": "2020-01-02"}</script>', None),
        ('<body><time datetime="2020-01-02">today</time>', "2020-01-02"),
        ('<body><time datetime="2020-01-02">a</time><time datetime="2020-01-03">b</time>', None),
        (
            '<body><time datetime="2020-01-02">a</time><time class="entry-date" datetime="2020-01-03">b</time>',
            "2020-01-03",
        ),
        ('<body><span itemprop="datePublished" content="2020-01-02">a</span>', "2020-01-02"),
        ('<meta name="date" content="yesterday">', None),
    ],
)
def test_the_date_is_the_one_of_publication(head: str, date: str | None) -> None:
    assert html_to_text(f"<html>{head}<p>x").date == date


@pytest.mark.parametrize("value", ["03/04/2020", "2020-13-01", "1066-10-14", "20200", "2020-1-2T25:00", ""])
def test_what_may_mean_two_days_is_no_date(value: str) -> None:
    assert iso_date(value) is None


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<html><meta http-equiv=content-language content='sv, en'>", "sv"),
        ("<html><meta property=og:locale content=pt_BR>", "pt"),
        ("<html xml:lang=fi>", "fi"),
        ("<html><meta http-equiv=content-language content=utf-8>", None),
    ],
)
def test_the_language_is_the_declared_one(html: str, language: str | None) -> None:
    assert html_to_text(html).language == language


@pytest.mark.parametrize("word", ["漢", "—", "où", "&mdash;", " 是 "])
def test_a_short_word_alone_in_its_tag_is_not_lost(word: str) -> None:
    text = html_to_text(f"<body><div><div><p>before <b>{word}</b> after</p></div></div>").text
    assert text == f"before {word.strip().replace('&mdash;', '—')} after"


def test_marks_of_our_own_in_a_page_do_no_harm() -> None:
    html = "<body><main><p>\ufdd0 a &#xfdd2; b \ufdd4 c &#64977;</p><p>and a second paragraph</p></main>"
    text = html_to_text(html, "resiliparse").text
    assert not any("\ufdd0" <= char <= "\ufdef" for char in text)
    assert all(char in text for char in "abc")


@pytest.mark.parametrize(
    "html",
    [
        "<ol><li>x" * 2_000,
        "<article>x" * 2_000,
        "<p " + " ".join(f"a{number}=1" for number in range(10_000)) + ">x",
        "<p " + " ".join(f"a{number}='>'" for number in range(10_000)) + ">x",
        "<div>" * 500 + "<p>x</p>" * 100_000,
        "<section>" * 300 + "<ul>" * 300 + "<li>x" * 200_000,
    ],
)
def test_pages_that_would_take_the_square_of_their_size_are_refused(html: str) -> None:
    with pytest.raises(HtmlError):
        html_to_text(html, "resiliparse")


@pytest.mark.parametrize("tag", ["span", "table", "pre", "p", "b", "td", "svg", "select", "<", "!--", "script", "rt"])
def test_pages_of_one_tag_are_read(tag: str) -> None:
    assert len(html_to_text(f"<{tag}>x" * 5_000).text) <= 20_000


def test_tags_in_scripts_and_comments_are_none() -> None:
    html = f"<script>{'<div>' * 1000}</script><!-- {'<div>' * 1000} --><p>The text of the page</p>"
    assert html_to_text(html).text == "The text of the page"


def test_trafilatura_gives_its_own_text_whatever_came_before() -> None:
    trafilatura = pytest.importorskip("trafilatura")
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    pages = [case.read_text(encoding="utf-8") for case in CASES]
    expected = [trafilatura.extract(page, fast=True, include_comments=False) or "" for page in pages]
    for _ in range(3):
        assert [html_to_text(page, "trafilatura").text for page in pages] == [text.strip() for text in expected]


def test_trafilatura_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(ImportError, match="trafilatura"):
        html_to_text("<p>x", "trafilatura")
