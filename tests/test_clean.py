"""Repair against ftfy itself, signals against plain Python, and each rule of the presets with the smallest text."""

from __future__ import annotations

import itertools
import unicodedata

import ftfy
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.schema import DOCS, rows_to_batch
from corpuskit.stages.clean import STAGE, Options, clean
from corpuskit.text import quality
from corpuskit.text.unicode import Repair, fix, ftfy_config, repair, tidy, utf8
from tests.data import shared

WAYS = [
    Repair(),
    Repair(unescape_html=True, straight_quotes=True),
    Repair("NFKC", unescape_html=True),
    Repair("NFKC", straight_quotes=True),
]

# What the fixers look for, so that generated texts hit them.
NASTY = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *"aZ .\n\n\r\t\x0b\x0c\x1b[m&;<\x7f\x80\x85\x9d\xa0\xad…’“”éèàñÂÃâ€œ™˜ŠŸÐÑØÙŒ×²√±Вв‚Äβā",
                *"\u0301\u0327ﬁ\ufeff\u2028\u3000，한\u1100\u1161\u00ad\u200b\u206a\ufffc😀",
                "schÃ¶n",
                "â€™",
                "Ã  la mode",
                "Â ",
                "&eacute;",
                "&lt;b&gt;",
                " plain words here ",
                "\x1b[36;44m",
                "вЂњ",
                "ê\u0327",
            ]
        ),
        st.text(max_size=3),
    ),
    max_size=30,
).map("".join)


def docs(*texts: str | None, language: str | None = None, **columns: list[object]) -> pa.RecordBatch:
    batch = rows_to_batch(
        [{"id": str(at), "text": text or "", "language": language} for at, text in enumerate(texts)], DOCS
    )
    if None in texts:
        batch = batch.set_column(1, "text", pa.array(texts, pa.string()))
    for name, values in columns.items():
        batch = batch.append_column(name, pa.array(values))
    return batch


def cleaned(batch: pa.RecordBatch, options: Options = Options()) -> pa.RecordBatch:  # noqa: B008
    (out,) = clean(iter([batch]), options)
    return out


def reason(text: str, language: str | None = None, **options: object) -> tuple[str | None, str | None]:
    row = cleaned(docs(text, language=language), Options(**options)).to_pylist()[0]  # type: ignore[arg-type]
    return row["drop"], row["drop_detail"]


def plain_signals(text: str) -> list[float]:
    """The definitions of datatrove's GopherQualityFilter over words by white space, as one would write them."""
    words = text.split()
    counted = [word for word in words if any(char not in quality.SYMBOLS for char in word)]
    lines = text.splitlines()
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    trailing = sum(line.rstrip().endswith(("...", "…")) for line in lines)
    symbols = max(text.count("#"), text.count("...") + text.count("…"))
    return [
        len(counted),
        sum(map(len, counted)) / max(1, len(counted)),
        symbols / max(1, len(words)) if words else 0,
        bullets / max(1, len(lines)),
        trailing / max(1, len(lines)),
        sum(any(char.isalpha() for char in word) for word in words) / max(1, len(words)),
        len(set(quality.STOP_WORDS) & set(words)),
    ]


@pytest.fixture(scope="module")
def sentences() -> list[str]:
    """Real sentences of 79 languages, 20 lines a text."""
    lines = [
        line
        for path in sorted(shared("langid/lingua-sentences").iterdir())
        for line in path.read_text(encoding="utf-8").split("\n")[:100]
    ]
    return ["\n".join(lines[at : at + 20]) for at in range(0, len(lines), 20)]


# Repair


@settings(deadline=None, max_examples=1500)
@given(NASTY, st.sampled_from(WAYS))
def test_fix_gives_what_ftfy_gives(text: str, how: Repair) -> None:
    assert fix(text, how) == ftfy.fix_text(text, ftfy_config(how))


@settings(deadline=None, max_examples=1500)
@given(NASTY, st.sampled_from(WAYS))
def test_repairing_twice_changes_nothing(text: str, how: Repair) -> None:
    once = repair(text, how)
    assert repair(once, how) == once


@settings(deadline=None, max_examples=500)
@given(NASTY)
def test_repaired_text_is_normal_and_tidy(text: str) -> None:
    repaired = repair(text)
    assert unicodedata.is_normalized("NFC", repaired)
    assert repaired == tidy(repaired)
    assert not any(char in repaired for char in "\r\x00\x1b\x0c\xa0\u2028")


def test_fix_gives_what_ftfy_gives_on_79_languages(sentences: list[str]) -> None:
    config = ftfy_config(Repair())
    for text in sentences[::2]:
        assert fix(text) == ftfy.fix_text(text, config)


def test_fix_gives_what_ftfy_gives_on_the_same_text_misdecoded(sentences: list[str]) -> None:
    config = ftfy_config(Repair())
    for text in sentences[::16]:
        wrong = text.encode().decode("cp1252", "replace")
        assert fix(wrong) == ftfy.fix_text(wrong, config)


def test_a_line_longer_than_ftfy_treats_at_once_is_cut_as_ftfy_cuts_it() -> None:
    text = "Ã©" * 300_000 + " â€™ " * 150_000
    assert len(text) > 1_000_000
    assert fix(text) == ftfy.fix_text(text, ftfy_config(Repair()))


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("schÃ¶n", "schön"),
        ("It\u2019s \u201cfine\u201d", "It\u2019s \u201cfine\u201d"),
        ("中文，标点。", "中文，标点。"),
        ("e\u0301", "é"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a  \nb\t\n", "a\nb"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("10\xa0000\u2009km", "10 000 km"),
        ("    indented\n    too", "indented\n    too"),
        ("a\x00b\x07c\ufeffd", "abcd"),
        ("ﬁn", "fin"),
        ("&amp;", "&amp;"),
        (" \n ", ""),
    ],
)
def test_repair(broken: str, whole: str) -> None:
    assert repair(broken) == whole


def test_entities_are_resolved_where_asked_for() -> None:
    assert repair("a &amp; b", Repair(unescape_html=True)) == "a & b"


def test_quotes_are_straightened_where_asked_for() -> None:
    assert repair("\u201cit\u2019s\u201d", Repair(straight_quotes=True)) == '"it\'s"'


def test_a_slice_of_a_column_is_read_in_its_bounds() -> None:
    data, offsets = utf8(pa.array(["aa", None, "bcd", "é"]).slice(1, 2))
    assert [data[start:stop].tobytes() for start, stop in itertools.pairwise(offsets)] == [b"", b"bcd"]


# Signals


@settings(deadline=None, max_examples=1500)
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*"a1#.-•…’、 \n\r\t\x0b\x1c\x85\u2028\u3000", "\r\n", "...", " the ", " with ", "— "]),
            st.text(max_size=4),
        ),
        max_size=40,
    ).map("".join)
)
def test_signals_are_those_of_plain_python(text: str) -> None:
    found = quality.signals(pa.array([text]))
    np.testing.assert_array_equal(
        np.float32([column[0].as_py() for column in found.values()]), np.float32(plain_signals(text))
    )


def test_signals_are_those_of_plain_python_on_79_languages(sentences: list[str]) -> None:
    found = quality.signals(pa.array(sentences))
    expected = np.float32([plain_signals(text) for text in sentences]).T
    for column, values in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(column.to_numpy(), values)


def test_texts_that_are_no_utf8_are_measured_within_their_bounds() -> None:
    raw = pa.py_buffer(b"\xf0\xe0\xc3\xff")
    column = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 4], np.int32)), raw])
    assert quality.signals(column)["words"].to_pylist() == [1, 1]


# Rules. Fifty words, that of the English ones among them.

FINE = "the quick brown foxes have jumped over " * 8
CODES = "the have " + "ab12cd34ef56gh78 " * 60


@pytest.mark.parametrize(
    ("text", "expected", "detail"),
    [
        (FINE, None, None),
        ("", "empty", None),
        (" \n\t", "empty", None),
        ("word " * 31, "too_few_words", "31 words, at least 50"),
        ("the word with " * 33_334, "too_many_words", "100002 words, at most 100000"),
        ("a b the of " * 20, "mean_word_length", "1.75 characters a word, at least 3"),
        (CODES, "mean_word_length", "15.5968 characters a word, at most 10"),
        (FINE + "#" * 8, "symbol_ratio", "0.140351 symbols a word, at most 0.1"),
        (FINE + "... " * 8, "symbol_ratio", "0.125 symbols a word, at most 0.1"),
        ("- the foxes have\n" * 20, "bullet_lines", "1 of the lines start with a bullet, at most 0.9"),
        ("• the foxes have\n" * 20, "bullet_lines", "1 of the lines start with a bullet, at most 0.9"),
        ((FINE + "…\n") * 3, "ellipsis_lines", "1 of the lines end with an ellipsis, at most 0.3"),
        (FINE + "1234 " * 20, "few_alphabetic_words", "0.736842 of the words have a letter, at least 0.8"),
        ("brown foxes jumped the " * 20, "few_stop_words", "1 stop words, at least 2"),
    ],
)
def test_gopher_drops_for_the_first_rule_that_fails(text: str, expected: str | None, detail: str | None) -> None:
    assert reason(text) == (expected, detail)


def test_bounds_are_inclusive() -> None:
    exact = [("ab cd the of a " * 10), "\n".join([FINE] * 7 + [FINE + "..."] * 3)]
    assert quality.signals(pa.array(exact))["ellipsis_lines"][1].as_py() == pytest.approx(0.3)
    assert reason("the word with you " * 12 + "and have")[0] is None
    assert reason(exact[1])[0] is None


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "few_stop_words"), ("en-GB", "few_stop_words"), (None, "few_stop_words"), ("de", None)],
)
def test_stop_words_are_asked_of_english_and_unknown_languages_alone(
    language: str | None, expected: str | None
) -> None:
    assert reason("der schnelle braune Fuchs springt " * 12, language=language)[0] == expected


def test_wikipedia_keeps_stubs_and_lists() -> None:
    stub = "Soltan is a village in Iran, with a population of 52."
    assert reason(stub, preset="wikipedia")[0] is None
    assert reason("- Riga, Latvia\n- Tallinn\n" * 5, preset="wikipedia")[0] is None


def test_wikipedia_drops_what_has_no_prose() -> None:
    assert reason("1 2 3 4 5 6 7 8 9 10 eleven", preset="wikipedia")[0] == "few_alphabetic_words"
    assert reason("See also: Riga", preset="wikipedia") == ("too_few_words", "3 words, at least 10")


def test_none_drops_empty_texts_alone() -> None:
    assert reason("!", preset="none")[0] is None
    assert reason("\ufeff\r\n", preset="none")[0] == "empty"


@pytest.mark.parametrize("preset", ["gopher", "wikipedia", "none"])
def test_min_and_max_words_overrule_a_preset(preset: str) -> None:
    assert reason("five words of the text", preset=preset, min_words=6)[0] == "too_few_words"
    assert reason("five words with the text", preset=preset, min_words=5)[0] is None
    assert reason(FINE, preset=preset, max_words=50)[0] == "too_many_words"


def test_every_reason_is_explained() -> None:
    assert {rule.reason for rules in quality.PRESETS.values() for rule in rules} <= set(STAGE.reasons)


# The stage


def test_signals_become_columns_and_others_pass_through() -> None:
    out = cleaned(docs(FINE, score=[0.5]))
    assert out.schema.names == [*DOCS.names, "score", *quality.SIGNALS, "drop", "drop_detail"]
    assert out["score"].to_pylist() == [0.5]
    assert out["words"].to_pylist() == [56]


def test_cleaning_again_replaces_the_signals() -> None:
    once = cleaned(docs(FINE))
    assert cleaned(once).equals(once)


def test_an_empty_batch_comes_out_empty_with_the_columns() -> None:
    out = cleaned(docs())
    assert out.num_rows == 0
    assert set(quality.SIGNALS) <= set(out.schema.names)


def test_a_text_that_is_null_is_empty() -> None:
    assert cleaned(docs(None, FINE))["drop"].to_pylist() == ["empty", None]


def test_bytes_that_are_no_utf8_are_an_error() -> None:
    data = pa.py_buffer(b"fine\xff\xfe")
    bad = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(np.array([0, 4, 6], np.int32)), data])
    out = cleaned(docs("", "").set_column(1, DOCS.field("text"), bad), Options(preset="none"))
    assert out["error"].to_pylist() == [None, "not_utf8"]
    assert out["text"].to_pylist() == ["fine", "\ufffd\ufffd"]


def test_rows_do_not_depend_on_batches(sentences: list[str]) -> None:
    whole = docs(*sentences[:60], language="de")
    one = pa.Table.from_batches(clean(iter([whole]), Options()))
    many = pa.Table.from_batches(clean((whole.slice(at, 7) for at in range(0, 60, 7)), Options()))
    assert one.combine_chunks().equals(many.combine_chunks())


def test_inputs_are_left_as_they_were() -> None:
    batch = docs("schÃ¶n")
    before = batch.to_pylist()
    cleaned(batch)
    assert batch.to_pylist() == before


def test_gopher_keeps_a_novel_whole() -> None:
    text = shared("lm/gutenberg-1342-pride-and-prejudice.txt").read_text(encoding="utf-8")
    lines = text[text.index("It is a truth") : text.index("End of the Project Gutenberg EBook")].split("\n")
    texts = ["\n".join(lines[at : at + 50]) for at in range(0, len(lines) - 50, 50)]
    assert len(texts) > 200
    assert cleaned(docs(*texts))["drop"].null_count == len(texts)
