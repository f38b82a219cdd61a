"""C4's line rules, one by one and against datatrove's filter."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.text.lines import LineRules, edit_column
from tests.data import shared

OFF = LineRules(None, False, False, 0, False, False)
PIECES = st.sampled_from(
    [
        *"aé.!?\"'[1] \n\n\t\x0b\x85\u2028\xa0\r{",
        *["word ", "two words here.", "[12]", "[]", "[edit]", "[citation needed]", "[٣]", "[citation", "..."],
        *["JavaScript", "Privacy Policy", "use cookies", "lorem ipsum", "\r\n", "x" * 1001, "y" * 1000],
    ]
)


def edited(text: str, rules: LineRules) -> str:
    texts, _ = edit_column(pa.array([text]), rules)
    return str(texts[0].as_py())


@pytest.mark.parametrize(
    ("rules", "text", "left"),
    [
        (LineRules(), "One two three.\nNo end\nA b c!", "One two three.\nA b c!"),
        (LineRules(), "One two three...\nSo it is…", ""),
        (LineRules(), 'He said "go now"\nand so on,', 'He said "go now"'),
        (LineRules(), "Two words.\nThese are three.", "These are three."),
        (LineRules(), "Please enable JavaScript here.\nThis one stays here.", "This one stays here."),
        (
            LineRules(),
            "Read our Privacy Policy now.\nThis site uses cookies today.\nThis stays here.",
            "This stays here.",
        ),
        (LineRules(), "As was shown.[12] It is so.[citation needed]", "As was shown. It is so."),
        (LineRules(), "History of it[edit].", "History of it."),
        (LineRules(), "The last one. [1]", ""),  # the space before the citation is then the line's end
        (LineRules(terminal_punctuation=False), "No end to this\n\n  spaces go  ", "No end to this"),
        (LineRules(terminal_punctuation=False, min_words=0), "a\n\n  spaces go  ", "a\n\nspaces go"),
        (LineRules(citations=False), "As was shown [12].", "As was shown [12]."),
        (LineRules(), "A long " + "x" * 1001 + " word.\nNot so long here.", "Not so long here."),
        (LineRules(max_word_chars=None), "A long " + "x" * 1001 + " word.", "A long " + "x" * 1001 + " word."),
        (LineRules(), "", ""),
    ],
)
def test_each_rule_takes_its_lines(rules: LineRules, text: str, left: str) -> None:
    assert edited(text, rules) == left


def test_what_is_removed_is_counted_in_characters() -> None:
    texts, removed = edit_column(pa.array(["Größe ändern\nDas ist ein Satz.", None, "Das ist so."]), LineRules())
    assert texts.to_pylist() == ["Das ist ein Satz.", "", "Das ist so."]
    assert removed.to_pylist() == [13, 0, 0]


def test_the_type_of_the_column_is_kept() -> None:
    column = pa.array(["skipped", "That is so. "], pa.large_string())[1:]
    texts, removed = edit_column(column, LineRules())
    assert texts.type == pa.large_string()
    assert texts.to_pylist() == ["That is so."]
    assert removed.to_pylist() == [1]


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_without_rules_only_white_space_around_lines_goes(text: str) -> None:
    assert edited(text, OFF) == "\n".join(line.strip() for line in text.splitlines()).strip()


@settings(deadline=None, max_examples=400)
@given(st.lists(PIECES, max_size=40).map("".join), st.booleans())
def test_the_text_that_is_left_is_datatroves(text: str, punctuation: bool) -> None:
    check([text], punctuation)


def test_the_text_that_is_left_of_a_real_book_is_datatroves() -> None:
    book = shared("lm/gutenberg-1342-pride-and-prejudice.txt").read_text(encoding="utf-8")
    check([book[at : at + 5000] for at in range(0, 300_000, 5000)], True)


def check(texts: list[str], punctuation: bool) -> None:
    filters = pytest.importorskip("datatrove.pipeline.filters", reason="needs datatrove, whose text this is")
    from datatrove.data import Document

    c4 = filters.C4QualityFilter(
        filter_no_terminal_punct=punctuation,
        min_num_sentences=-1,
        filter_lorem_ipsum=False,
        filter_curly_bracket=False,
    )
    ours, removed = edit_column(pa.array(texts), LineRules(terminal_punctuation=punctuation))
    for text, left, gone in zip(texts, ours.to_pylist(), removed.to_pylist(), strict=True):
        document = Document(text=text, id="")
        assert c4.filter(document)
        assert left == document.text
        assert gone == len(text) - len(left)
