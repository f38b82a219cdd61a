from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.text.wikitext import Site, WikitextError, tables, wikitext_to_text

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


@pytest.mark.parametrize(
    ("language", "source", "shown"),
    [
        (
            "fr",
            "au début du {{XXe siècle}}, du {{IIIe siècle av. J.-C.}}",
            "au début du XXe siècle, du IIIe siècle av. J.-C.",
        ),
        ("fr", "écoles{{etc.}} et {{1re}} éd.", "écoles etc. et 1re éd."),
        ("es", "unos 45{{esd}}km", "unos 45 km"),
        ("en", "Berlin ({{IPA|de|bɛʁˈliːn|lang}})", "Berlin ([bɛʁˈliːn])"),
        (
            "uk",
            "Він ({{н}} {{ДН|29|02|1924}} — {{ДС|||2003}}) {{не перекладено|є=a|треба=б}}",
            "Він (нар. 29.02.1924 — 2003) б",
        ),
        ("vi", "chữ ({{hn|hn=𥔦化}}), {{Lang-vi|Anh}}, {{Tính đến|2014|lc=y}}", "chữ (𥔦化), Anh, Tính đến 2014"),
        ("sr", "град -{Abgeordnetenhaus}- ({{јез-нем|Berlin}})", "град Abgeordnetenhaus (Berlin)"),
        ("ca", "de {{unitat|5|km}} i {{romanes|XX}}", "de 5 km i XX"),
        ("fr", "le {{Date-|2|mai|1950}}, {{date|3 juin}}, {{date||mai|1950}}", "le 2 mai 1950, 3 juin, mai 1950"),
        ("fr", "dit-il<ref>a</ref>{{,}}<ref>b</ref>.", "dit-il."),
        ("en", "le {{date|2|mai|1950}} à {{date-|mai|1951}}", "le 2 mai 1950 à mai 1951"),
        ("uk", "Він ({{МФА-всі|a|МФА|x.ogg}}) і {{fact|вона}}, {{fact|1|2|2003}}.\n{{-}}", "Він (a) і вона."),
        ("vi", "{{bài cùng tên|A (định hướng)}}\nTa", "Ta"),
        ("ko", "{{범례|#f00|가}} {{언어링크|en}} 나", "가 나"),
        ("tr", "{{kardeş şehir|Lima|Peru}}", "Lima, Peru"),
        ("yi", "{{flag|Peru|[[Lima]]}}", "Lima"),
    ],
)
def test_a_wiki_has_templates_of_its_own(language: str, source: str, shown: str) -> None:
    assert wikitext_to_text(source, Site(language)) == shown


def read_program(program: str, given: list[str]) -> str:
    """Read a program of templates.txt anew: its groups, then its arguments."""
    marks = re.compile(r"\$[\^_]?(?:\{([^}]+)\}|([\d-]))|\$[*,](?:\{[^}]*\})?")

    def shown(found: re.Match[str]) -> str:
        if found[0][1] in "*,":
            names = re.findall(r"[^{}|]+", found[0][2:]) or [str(i) for i in range(1, len(given) + 1)]
            return (", " if found[0][1] == "," else "").join(filter(None, (argument(name) for name in names)))
        names = found[1].split("|") if found[1] else [found[2]]
        return next(filter(None, (argument(name) for name in names)), "")

    def argument(name: str) -> str:
        if name == "-":
            return given[-1] if given else ""
        return given[int(name) - 1] if name.isdigit() and int(name) <= len(given) else ""

    program = program.replace("$$", "\x7f")
    program = re.sub(r"\[\[(.*?)\]\]", lambda m: m[1] if marks.sub(shown, m[1]) != marks.sub("", m[1]) else "", program)
    if marks.search(program) and marks.sub(shown, program) == marks.sub("", program):
        return ""
    return marks.sub(shown, program).replace("\x7f", "$")


def test_every_row_of_the_template_table_shows_what_it_says() -> None:
    languages = {language for section, _, _ in tables._lines() for language in section.split()}
    checked = 0
    for language in sorted(languages - {"ranges", "units", "subunits", "countries"}):
        rows = [row for row in tables.lines_for(language) if row[0] not in ("ranges", "units", "subunits", "countries")]
        programs = {name: program for _, program, names in rows for name in names}
        site = Site(language)
        for _, _, name in ((0, 0, name) for row in rows if language in row[0].split() for name in row[2]):
            bare, slash, count = name.rpartition("/")
            counted = bool(slash and bare and count.isdigit())
            given = list("vwxyzabcd"[: int(count) if counted else 6])
            if programs[name].endswith("()") or programs.get(bare) == "drop()" or set(name) & set("*{}[]=|!"):
                continue
            if not counted and f"{name}/{len(given)}" in programs:
                continue
            text = wikitext_to_text("m {{" + "|".join([bare if counted else name, *given]) + "}} n", site)
            wanted = read_program(programs[name], given)
            assert text.replace("\n", " ").split() == f"m {wanted} n".split(), (language, name)
            checked += 1
    assert checked > 900
