from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.text.wikitext import Site, WikitextError, wikitext_to_text

SITE = Site("de", {"Datei": 6, "Kategorie": 14, "Wikipedia": 4, "": 0})
CASES = sorted((Path(__file__).parent / "cases" / "wikitext").glob("*.txt"))
PIECES = [
    *("{{", "}}", "[[", "]]", "{|", "\n|}", "\n|-", "\n|", "||", "\n!", "!!", "|", "=", "\n", "\n\n", "==", "<ref>"),
    *(
        "</ref>",
        "<nowiki>",
        "</nowiki>",
        "<math>",
        "<!--",
        "-->",
        "''",
        "'''",
        "[http://a ",
        "]",
        "{{{",
        "}}}",
        "<table>",
    ),
    *(
        "<td>",
        "<tr>",
        "</table>",
        "<br>",
        "<sup>2</sup>",
        "&amp;",
        "__TOC__",
        "File:a.jpg",
        "lang",
        "convert",
        "1",
        "a b",
        "*",
    ),
    *("\x01", "\x02", "0", "\x03", "(", ")", ",", "é", "漢"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_wikitext_is_rendered_as_its_case_says(case: Path) -> None:
    source, _, expected = case.read_text().partition("----\n")
    assert wikitext_to_text(source, SITE) == expected.rstrip("\n")


def test_a_wiki_names_its_own_files_and_categories() -> None:
    site = Site("xx", {"Bestandje": 6, "Image": 100})
    assert wikitext_to_text("[[Bestandje:a]] [[Image:b]] [[Kategorie:c]]", site) == "Image:b"


def test_the_page_name_is_its_title() -> None:
    assert wikitext_to_text("{{PAGENAME}} ist", title="Bern") == "Bern ist"


def test_chinese_variants_show_one() -> None:
    assert wikitext_to_text("-{zh-hans:软件; zh-hant:軟體}-和-{字}-", Site("zh")) == "软件和字"


def test_nesting_is_capped() -> None:
    assert wikitext_to_text("{{nowrap|" * 90 + "x" + "}}" * 90) == "x"
    with pytest.raises(WikitextError, match="nested deeper"):
        wikitext_to_text("{{nowrap|" * 120 + "x" + "}}" * 120)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_no_input_raises_anything_else_and_no_mark_of_the_renderer_shows(pieces: list[str]) -> None:
    try:
        text = wikitext_to_text("".join(pieces), SITE)
    except WikitextError:
        return
    assert not set(text) & set("\x01\x02\x03\x04")
    assert text == text.strip()


@given(st.text(alphabet=st.characters(whitelist_categories=["L", "N"]), min_size=1, max_size=100))
def test_text_without_markup_stays_as_it_is(text: str) -> None:
    assert wikitext_to_text(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        *("[[", "<div>", "<ref>", "<ref>a", "<ref name=a>x", "[http://a ", "[//a b", "\n* ", "\n==a", "<!--", "'''a\n"),
        *(
            "{{zz}}",
            "({{zz}}",
            "{{a|b}}",
            "[[a|b]]",
            "{|\n|a||b|c\n|}",
            "\n|",
            "<pre>x</pre>",
            "<nowiki>",
            "}}]]",
            "\t ",
        ),
    ],
)
def test_time_grows_with_the_size_of_a_hostile_page(unit: str) -> None:
    def seconds(chars: int) -> float:
        source = unit * (chars // len(unit))
        start = time.process_time()
        wikitext_to_text(source, SITE)
        return time.process_time() - start

    seconds(1_000)
    small = min(seconds(20_000) for _ in range(3))
    assert min(seconds(160_000) for _ in range(2)) < 8 * 3 * small + 0.02
