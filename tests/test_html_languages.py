from __future__ import annotations

from pathlib import Path

import pytest

from corpuskit.text.html import html_to_text

PAGES = sorted((Path(__file__).parent / "cases" / "html" / "languages").glob("*.html"))


def test_there_are_twenty_pages_in_six_languages() -> None:
    assert len(PAGES) == 20
    assert {page.stem[:2] for page in PAGES} == {"zh", "ja", "ar", "th", "hi", "ru"}


def parts(page: Path) -> tuple[list[str], list[str]]:
    """Give the lines of a page's main text, and phrases around it."""
    wanted, gone = page.with_suffix(".txt").read_text(encoding="utf-8").split("--- gone\n")
    return wanted.splitlines(), gone.splitlines()


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_main_text_is_kept_whole(page: Path) -> None:
    text = flat(html_to_text(page.read_text(encoding="utf-8")).text)
    assert [line for line in parts(page)[0] if flat(line) not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_menus_notices_and_footers_are_gone(page: Path) -> None:
    text = flat(html_to_text(page.read_text(encoding="utf-8")).text)
    assert [phrase for phrase in parts(page)[1] if phrase in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_the_expectation_says_stands_in_the_page(page: Path) -> None:
    source = flat(page.read_text(encoding="utf-8"))
    wanted, gone = parts(page)
    assert [line for line in (*wanted, *gone) if flat(line) not in source] == []
