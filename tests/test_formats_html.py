from __future__ import annotations

import pytest

from corpuskit.text.charset import decode
from corpuskit.text.html import HtmlError, html_to_text

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
        html_to_text(html)


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
