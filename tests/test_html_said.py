"""What a page says of itself: compiled code against the rules in plain Python, and the rules one by one."""

from __future__ import annotations

import html
import random
import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.text.html import about, html_to_text
from corpuskit.text.html.about import META_NAMES, About
from tests import html_fuzz, html_said
from tests.data import shared


def said(page: bytes) -> About:
    found = html_to_text(page)
    return About(found.title, found.date, found.language, found.author)


def expected(page: bytes) -> About:
    """Give what Python makes of the marks that the compiled segmenter leaves."""
    from corpuskit.text.html import extraction
    from corpuskit.text.html.arrays import R_HEADING, R_MARKS

    if not page:
        return About(None, None, None)
    room = extraction.Room()
    extraction.run(page, extraction.shipped(), room)
    marks, heading = (room.view[room.head[name] : room.head[name + 1]] for name in (R_MARKS, R_HEADING))
    numbers = marks.cast("i").tolist()
    rows = list(zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True))
    return html_said.describe(page, rows, str(heading, "utf-8", "replace"))


WHITE = [chr(code) for code in range(sys.maxunicode) if chr(code).isspace()]
REFERENCES = [
    "&amp;", "&amp", "&ampx", "&#50;", "&#x32", "&#1;", "&#0;", "&#128", "&#xD800;", "&#x110000;", "&#99999999999;",
    "&nbsp;", "&ThickSpace;", "&fjlig;", "&nLt;", "&notit;", "&notin;", "&nosuch;", "&", "&#", "&#x", "&;", "&hyphen;",
    "&sol;", "&colon;", "&period;", "&#65534;", "&CounterClockwiseContourIntegral;", "&frac12", "&thornx",
]  # fmt: skip
DIGITS = ["0", "1", "2", "3", "9", "\u0661", "\uff12", "\U0001d7d9"]
SPACE = st.text(st.sampled_from([*WHITE, " ", " "]), max_size=2)
WORDS = st.lists(st.sampled_from(["a", "Bc", "é", "漢", "\U0001f600", " ", *WHITE, *REFERENCES]), max_size=8).map(
    "".join
)
DATES = st.builds(
    "".join,
    st.tuples(
        SPACE,
        st.sampled_from(["2026", "1990", "1989", "2099", "2100", "2024", "1900", "202", "\uff12026", "20&#50;6"]),
        st.sampled_from(["-", "/", ".", "", "_", "&sol;"]),
        st.sampled_from(["01", "1", "12", "13", "2", "02", "0", "123"]),
        st.sampled_from(["-", "/", ".", "", "-"]),
        st.sampled_from(["01", "1", "29", "30", "31", "32", "\u0662", "0", ""]),
        st.sampled_from(["", "T", " ", "T ", "  ", "t", "T\xa0"]),
        st.sampled_from(
            ["", "03:04", "23:59", "24:00", "3:04", "03:60", "03:04:05", "03:04:60", "03:04:5", "03:04:05.6"]
        ),
        SPACE,
        st.sampled_from(["", "Z", "z", "+01:00", "-0330", "+1:00", "+\u0660\u0661:00", "+01", "+0100&#1;", "+010"]),
        WORDS,
    ),
)
LANGUAGES = st.builds(
    "".join,
    st.tuples(SPACE, st.sampled_from(["en", "DE", "zho", "utf", "utf-8", "UTF", "e", "engl", "e&#110;", "é"]), WORDS)
    | st.tuples(SPACE, st.sampled_from(["en", "pt"]), st.sampled_from(["-GB", "_br", ", fr", " x", ".", "&#45;US"])),
)
NAMES = st.builds("".join, st.tuples(st.sampled_from(["", "http:", "HTTPS://", "www.", "Www.a"]), WORDS)) | st.just(
    "x" * 101
)
VALUES = st.one_of(DATES, LANGUAGES, NAMES, WORDS)
QUOTED = st.builds(lambda mark, value: mark + value + mark, st.sampled_from(['"', "'", ""]), VALUES)
ATTRIBUTE = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", " ", "\n", "/", "1", ":", "\xa0"]),
        st.sampled_from(
            ["datetime", "content", "itemprop", "class", "CLASS", "pubdate", "PUBDATE", "x-y", "datetimes"]
        ),
        st.sampled_from(["=", " = ", "", "\xa0=", "=\u2003", "=="]),
        QUOTED | st.sampled_from(["published", "'a entry-date'", '"x&#32;published"', "datePublished", '"', "'"]),
    ),
)
TAG = st.lists(ATTRIBUTE, max_size=4).map(" ".join)
JSON = st.lists(
    st.sampled_from(
        ['"datePublished"', '"author"', '"name"', ":", " : ", "{", "}", "[", "[{", '"', "\\", ",", '"@type"']
    )
    | VALUES.map(lambda value: f'"{value}"')
    | SPACE,
    max_size=12,
).map("".join)
META = st.builds(
    lambda key, name, value: f"<meta {key}={name} content={value}>",
    st.sampled_from(["name", "property", "itemprop", "http-equiv"]), st.sampled_from([*META_NAMES, "other"]), QUOTED,
)  # fmt: skip
PIECES = st.one_of(
    META,
    WORDS.map(lambda text: f"<title>{text}</title>"),
    WORDS.map(lambda text: f"<h1>{text}</h1>"),
    QUOTED.map(lambda value: f"<html lang={value}>"),
    TAG.map(lambda tag: f"<time {tag}>"),
    TAG.map(lambda tag: f"<i itemprop=datePublished {tag}>"),
    JSON.map(lambda text: f'<script type="application/ld+json">{text}</script>'),
    DATES.map(lambda date: f'<script type="application/ld+json">{{"datePublished": "{date}"}}</script>'),
    NAMES.map(lambda name: f'<script type="application/ld+json">{{"author": [{{"name" :"{name}"}}]}}</script>'),
    DATES.map(lambda date: f'<time class="entry-date" datetime="{date}">'),
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_pages_say_what_the_rules_say(page: str) -> None:
    assert said(page.encode()) == expected(page.encode())


@settings(max_examples=700, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=4).map("".join), st.randoms(use_true_random=False))
def test_damaged_pages_say_what_the_rules_say(page: str, random: random.Random) -> None:
    raw = bytearray(page.encode())
    for _ in range(random.randrange(1, 6)):
        at = random.randrange(len(raw) or 1)
        raw[at : at + random.randrange(3)] = random.choice(
            (b"", b"\xff", b"\xe2\x80", b"\xed\xa0\x80", b'"', b"=", b"<")
        )
    assert said(bytes(raw)) == expected(bytes(raw))


def test_mutated_pages_say_what_the_rules_say() -> None:
    pages = html_fuzz.seeds()
    made = [html_fuzz.mutated(number, 5, pages) for number in range(400)]
    assert [number for number, page in enumerate(made) if said(page) != expected(page)] == []


def test_real_pages_say_what_the_rules_say() -> None:
    import tarfile

    with tarfile.open(shared("html_gold/trafilatura-eval.tar.xz")) as tar:
        files = (tar.extractfile(member) for member in tar if member.isfile() and "html" in member.name)
        pages = [file.read().decode("utf-8", "replace").encode() for file in files if file]
    assert len(pages) > 900
    assert [page[:200] for page in pages if page and said(page) != expected(page)] == []


@settings(max_examples=500, deadline=None)
@given(st.from_regex(about.ISO, fullmatch=True), WORDS)
def test_dates_are_those_of_the_rule(date: str, more: str) -> None:
    page = f'<meta name=date content="{html.escape(date)}{more}">'
    assert html_to_text(page).date == about.iso_date(date + html.unescape(more))


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from([*REFERENCES, "&", "#", "x", ";", "a", "1", " "])
        | st.sampled_from([*html.entities.html5]).map("&{}".format)
    )
)
def test_references_of_a_title_are_those_of_the_library(parts: list[str]) -> None:
    text = "".join(parts)
    assert html_to_text(f"<title>{text}</title>").title == (" ".join(html.unescape(text).split()) or None)


def test_all_references_of_a_title_are_those_of_the_library() -> None:
    for name in html.entities.html5:
        for text in (f"x&{name}", f"x&{name}y;", f"x&{name[:-1]}"):
            assert html_to_text(f"<title>{text}</title>").title == " ".join(html.unescape(text).split())
    for number in [
        *range(300),
        *range(0xD7FE, 0xE002),
        *range(0xFDCE, 0xFDF2),
        *range(0xFFFD, 0x1FFFF, 0xFFFE),
        0x10FFFF,
    ]:
        for text in (f"x&#{number};", f"x&#{number}y", f"x&#x{number:x}z"):
            assert html_to_text(f"<title>{text}</title>").title == " ".join(html.unescape(text).split())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=12).filter(lambda raw: not set(raw) & {*b"<&"}))
def test_a_title_that_is_no_utf8_is_decoded_as_python_decodes_it(raw: bytes) -> None:
    assert html_to_text(b"<title>" + raw).title == (" ".join(raw.decode("utf-8", "replace").split()) or None)


def test_digits_are_those_of_all_scripts() -> None:
    from corpuskit.text.html.char_kernels import ZEROS

    zeros = {code for code in range(128, sys.maxunicode) if unicodedata.decimal(chr(code), None) == 0}
    assert zeros <= set(ZEROS.tolist())  # newer editions of Unicode have more
    assert all(not unicodedata.name(chr(code), "") for code in set(ZEROS.tolist()) - zeros)


def test_white_space_is_that_of_python() -> None:
    from corpuskit.text.html.char_kernels import white

    assert [chr(code) for code in range(0x11000) if white(code)] == WHITE


@pytest.mark.parametrize(
    ("page", "name", "value"),
    [
        ("<title> a\n b </title><h1>c</h1>", "title", "a b"),
        ("<title> &nbsp; </title><h1>c &amp; d</h1>", "title", "c & d"),
        ("<title>a</title><meta property='og:title' content='b &amp;amp; c'>", "title", "b &amp; c"),
        ("<title>a</title><title>b</title>", "title", "a"),
        ("<title></title>", "title", None),
        ("<html lang='pt-BR'><meta property=og:locale content=en>", "language", "pt"),
        ("<html lang='portuguese'><meta property=og:locale content=en_GB>", "language", "en"),
        ("<html lang=utf-8>", "language", None),
        ("<meta name=date content='2026-02-30'><meta name=pubdate content='2026-02-28'>", "date", "2026-02-28"),
        ("<meta name=date content='20260102'>", "date", "2026-01-02"),
        ("<meta name=date content='2026-1-2 3:04'>", "date", "2026-01-02"),
        ("<meta name=date content='2026/01/02T03:04:05.678 +0130'>", "date", "2026-01-02T03:04:05+01:30"),
        ("<meta name=date content='01.02.2026'>", "date", None),
        ("<meta name=date content='2026-01-02T25:00'>", "date", None),
        ("<time datetime=2026-01-02>x</time>", "date", "2026-01-02"),
        ("<time datetime=2026-01-02></time><time datetime='2026-01-0&#50;'></time>", "date", "2026-01-02"),
        ("<time datetime=2026-01-02></time><time datetime=2026-01-03></time>", "date", None),
        ("<time datetime=2026-01-02></time><time datetime=2026-01-03 class='a entry-date'>", "date", "2026-01-03"),
        ("<time datetime=2026-01-02></time><time datetime=2026-01-03 pubdate>", "date", "2026-01-03"),
        ("<span itemprop=datePublished content=2026-01-02>", "date", "2026-01-02"),
        ("<script type=application/ld+json>{\"datePublished\" : \"2026-01-02\"}</script>", "date", "2026-01-02"),
        ("<script>{\"datePublished\": \"2026-01-02\"}</script>", "date", None),
        ("<meta name=author content='https://example.org/a'><meta name=byl content='Ada  B'>", "author", "Ada B"),
        ("<meta name=author content=' '><meta name=author content=Ada>", "author", "Ada"),
        (f"<meta name=author content={'x' * 101}>", "author", None),
        ('<script type=ld+json>{"author": [{"@type": "P", "name": "Ada"}, {"name": "Bo"}]}</script>', "author", "Ada"),
        ('<script type=ld+json>{"author": {"of": {}, "name": "Ada"}, "author": "Bo"}</script>', "author", "Bo"),
    ],
)  # fmt: skip
def test_a_page_says(page: str, name: str, value: Any) -> None:
    assert getattr(html_to_text(page), name) == value


def test_a_number_that_python_would_not_read_is_no_character() -> None:
    assert html_to_text(f"<title>a&#{'9' * 5000};").title == "a\ufffd"
