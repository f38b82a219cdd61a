"""Signals against datatrove's own functions on the same words, and each trap with the smallest text that shows it."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.text import stopwords, word_cases
from corpuskit.text.signals import EDITED, POLICIES, SIGNALS, signals, words
from tests.data import shared

PIECES = st.sampled_from(
    [
        *"aZé.,!?'\"’“…#{}-–—•~<>=/:+*^()[]0 7$%°کم。\n\n\n \t\x0b\x1c\x85\u2028\xa0\u3000\r",
        *["...", "the", "that", "don't", "e.g.", "U.S.", "end.Start", "10km", "www.a-b.org/x-y", "me@x.org", "\r\n"],
        *["lorem IPSUM", "JavaScript", "Use Cookies", "one two three four five. ", "ok:)", "Mr.", "co-op", "١٢"],
    ]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


def one(text: str, language: str | None = None) -> dict[str, Any]:
    columns = signals(pa.array([text]), pa.array([language], pa.string()))
    return {name: values[0].as_py() for name, values in columns.items()}


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def gopher_quality(text: str, words: list[str]) -> dict[str, float]:
    """The expressions of datatrove's GopherQualityFilter."""
    from datatrove.utils.text import PUNCTUATION_SET

    counted = [word for word in words if any(char not in PUNCTUATION_SET for char in word)]
    lines = text.splitlines()
    return {
        "words": len(counted),
        "words_and_signs": len(words),
        "mean_word_length": share(sum(map(len, counted)), len(counted)),
        "hash_ratio": share(text.count("#"), len(words)),
        "ellipsis_ratio": share(text.count("...") + text.count("…"), len(words)),
        "bullet_lines": share(sum(line.lstrip().startswith(("•", "-")) for line in lines), len(lines)),
        "ellipsis_lines": share(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "alpha_words": share(sum(any(char.isalpha() for char in word) for word in words), len(words)),
        "stop_words": len(set(stopwords.ENGLISH) & set(words)),
    }


def gopher_repetition(text: str, words: list[str]) -> dict[str, float]:
    from datatrove.pipeline.filters import gopher_repetition_filter as repetition

    found: dict[str, float] = {}
    for name, pieces in (
        ("paragraph", re.split(r"\n{2,}", text.strip()) if text else []),
        ("line", re.split(r"\n+", text) if text else []),
    ):
        duplicates, chars = repetition.find_duplicates(pieces)
        found[f"dup_{name}s"] = share(duplicates, len(pieces))
        found[f"dup_{name}_chars"] = share(chars, len(text))
    for width in range(2, 5):
        ngrams = repetition.get_n_grams(words, width)
        found[f"top_{width}gram_chars"] = repetition.find_top_duplicate(ngrams) / len(text) if ngrams else 0.0
    for width in range(5, 11):
        found[f"dup_{width}gram_chars"] = share(repetition.find_all_duplicate(words, width), len(text))
    return found


def fineweb(text: str, words: list[str]) -> dict[str, float]:
    from datatrove.pipeline.filters.gopher_repetition_filter import find_duplicates
    from datatrove.utils.text import TERMINAL_PUNCTUATION

    lines = [line for line in text.split("\n") if line.strip()]
    return {
        "punct_lines": share(sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines), len(lines)),
        "short_lines": share(sum(len(line) <= 30 for line in lines), len(lines)),
        "dup_chars": share(find_duplicates(lines)[1], len(text.replace("\n", ""))),
        "newlines_per_word": share(text.count("\n"), len(words)),
    }


def c4(text: str) -> dict[str, float]:
    lines = [line.lower() for line in text.splitlines()]
    return {
        "curly_brackets": text.count("{"),
        "lorem_ipsum": text.lower().count("lorem ipsum"),
        "javascript_lines": share(sum("javascript" in line for line in lines), len(lines)),
        "policy_lines": share(sum(any(phrase in line for phrase in POLICIES) for line in lines), len(lines)),
    }


def expected(text: str, parted: list[str]) -> dict[str, float]:
    """What datatrove's functions give for a text and its words; where it divides by zero, 0."""
    return gopher_quality(text, parted) | gopher_repetition(text, parted) | fineweb(text, parted) | c4(text)


@pytest.fixture(scope="module")
def datatrove() -> None:
    pytest.importorskip("datatrove", reason="needs datatrove, the library whose values these are")


def check(texts: list[str]) -> None:
    found = {name: values.to_pylist() for name, values in signals(pa.array(texts)).items()}
    for row, text in enumerate(texts):
        for name, value in expected(text, words(text)).items():
            assert found[name][row] == pytest.approx(value, abs=1e-6), (name, text[:200])


# Against datatrove


@settings(deadline=None, max_examples=600)
@given(TEXTS)
def test_the_signals_are_what_datatrove_computes_from_the_same_words(datatrove: None, text: str) -> None:
    check([text])


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from("ab b c\n\n d"), max_size=80).map("".join))
def test_repeated_ngrams_are_counted_as_datatrove_counts_them(datatrove: None, text: str) -> None:
    check([text])


def test_the_signals_of_real_books_and_sentences_are_datatroves(datatrove: None) -> None:
    book = shared("lm/gutenberg-1342-pride-and-prejudice.txt").read_text(encoding="utf-8")
    texts = [book[at : at + 4000] for at in range(0, 400_000, 8000)]
    for path in sorted(shared("langid/lingua-sentences").iterdir()):
        texts.append("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:15]))
    check(texts)


# Words


@pytest.mark.parametrize(
    ("text", "parted"),
    [
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("I don't (really) know.", ["I", "do", "n't", "(", "really", ")", "know", "."]),
        ("It’s John's", ["It", "’s", "John", "'s"]),
        ("Mr. Smith of the U.S. said e.g. this.", ["Mr.", "Smith", "of", "the", "U.S.", "said", "e.g.", "this", "."]),
        ("Is it end.Start or well-known?", ["Is", "it", "end", ".", "Start", "or", "well", "-", "known", "?"]),
        ("see http://x.org/a-b, or me@x.org.", ["see", "http://x.org/a-b", ",", "or", "me@x.org", "."]),
        ("10km at 7pm for $5.", ["10", "km", "at", "7", "pm", "for", "$", "5", "."]),
        ("wait... what……", ["wait", "...", "what", "……"]),
        ("“Quoted”—so", ["“", "Quoted”—so"]),
        ("日本語。です", ["日本語。です"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_signs_part_from_words(text: str, parted: list[str]) -> None:
    assert words(text) == parted


def test_words_are_those_of_spacys_english_tokenizer_nearly_always() -> None:
    spacy = pytest.importorskip("spacy", reason="needs spacy, with whose words datatrove counts")
    tokenizer = spacy.blank("en").tokenizer
    text = shared("lm/gutenberg-1342-pride-and-prejudice.txt").read_text(encoding="utf-8")[:200_000]
    theirs = [token.text for token in tokenizer(text) if token.text.strip()]
    ours = words(text)
    assert len(set(ours) ^ set(theirs)) < 0.001 * len(set(theirs))


@settings(deadline=None, max_examples=500)
@given(TEXTS)
def test_words_leave_nothing_out_but_white_space(text: str) -> None:
    assert "".join(words(text)) == "".join(text.split())


@settings(deadline=None, max_examples=1000)
@given(TEXTS | st.lists(st.sampled_from(list(word_cases.cases()) + list(' \n.,:()[]"!?8éИA'))).map("".join))
def test_plain_words_part_at_the_end_of_the_data_as_amid_it(text: str) -> None:
    behind = "z" * 64  # near the end words are parted character by character
    assert words(f"{text}\n{behind}") == [*words(text), behind]


# Traps, each with the smallest text


def test_a_text_without_words_has_no_ratio_to_divide_by() -> None:
    assert all(value == 0 for value in one("").values())
    found = one(" \n ")
    assert found["words"] == found["mean_word_length"] == found["short_lines"] == found["newlines_per_word"] == 0


def test_a_null_text_reads_as_empty() -> None:
    columns = signals(pa.array([None, "a b"], pa.string()))
    assert columns["words"].to_pylist() == [0, 2]


def test_the_top_ngram_of_a_text_without_repetition_is_its_first() -> None:
    assert one("ab cd ef")["top_2gram_chars"] == 5 / 8


def top_and_duplicates(parted: list[str]) -> dict[str, int]:
    """The characters of repeated n-grams by their definition."""
    found = {}
    for width in range(2, 5):
        grams = [tuple(parted[at : at + width]) for at in range(len(parted) - width + 1)]
        top = max(grams, key=lambda gram: (grams.count(gram), -grams.index(gram)), default=())
        found[f"top_{width}gram_chars"] = len(" ".join(top)) * grams.count(top)
    for width in range(5, 11):
        seen, at, chars = set(), 0, 0
        while at + width <= len(parted):
            gram = "".join(parted[at : at + width])
            again = gram in seen
            seen.add(gram)
            chars += len(gram) * again
            at += width if again else 1
        found[f"dup_{width}gram_chars"] = chars
    return found


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from(["a", "aa", "é", "ab", "abab", "Привет", "longer", "a" * 17, "the", "of"]), max_size=30),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_repeated_ngrams_are_those_of_their_definition(vocabulary: list[str], places: list[int]) -> None:
    parted = [f"word{'x' * (at % 7)}{at}" for at in range(400)]
    for place in places:
        parted[place:place] = vocabulary
    text = " ".join(parted)
    assert parted == words(text)
    found = one(text)
    expected_chars = top_and_duplicates(parted)
    assert {name: found[name] * len(text) for name in expected_chars} == pytest.approx(expected_chars)


def test_of_two_commonest_ngrams_the_one_met_first_counts() -> None:
    assert one("a b x ccc ddd y a b z ccc ddd")["top_2gram_chars"] == 2 * len("a b") / 29


def test_an_ngram_is_a_duplicate_however_its_letters_are_parted() -> None:
    assert one("a b c d ef ab cd e f g")["dup_5gram_chars"] == 0
    assert one("a b c d ef xyz a bc d e f")["dup_5gram_chars"] == 6 / 25


def test_a_counted_ngram_is_not_read_again() -> None:
    assert one("a a a a a a a a a a a")["dup_5gram_chars"] == 10 / 21


def test_line_feeds_at_both_ends_are_two_equal_empty_lines() -> None:
    assert one("\na\n")["dup_lines"] == 1 / 3
    assert one("\na")["dup_lines"] == 0


def test_paragraphs_are_those_of_the_stripped_text() -> None:
    assert one("\n\na\n\n\na\n\n")["dup_paragraphs"] == 1 / 2


def test_a_space_after_a_full_stop_hides_it_from_fineweb() -> None:
    assert one("An end.\nNo end. \n")["punct_lines"] == 1 / 2


def test_stop_words_are_distinct_and_in_lower_case() -> None:
    assert one("the the The of")["stop_words"] == 2


def test_ellipses_do_not_overlap() -> None:
    assert one("a .....")["ellipsis_ratio"] == 1 / 2
    assert one("a ......")["ellipsis_ratio"] == 2 / 2


def test_lines_of_gopher_end_at_every_break_of_unicode() -> None:
    assert one("- a\x0bb\u2028- c\x85d")["bullet_lines"] == 1 / 2


@pytest.mark.parametrize("before", range(70))
def test_signs_and_lines_are_counted_wherever_they_stand(before: int) -> None:
    text = "x" * before + " # { .... … Lorem ipsum\r\n- JavaScript\u2028of cookies use cookies...\x85\u2022 end…\n\n"
    found = one(text)
    count = found["words_and_signs"]
    assert found["hash_ratio"] == 1 / count
    assert found["ellipsis_ratio"] == 4 / count
    assert (found["curly_brackets"], found["lorem_ipsum"]) == (1, 1)
    assert found["bullet_lines"] == 2 / 5
    assert found["ellipsis_lines"] == 2 / 5
    assert found["javascript_lines"] == found["policy_lines"] == 1 / 5


def test_a_sentence_starts_after_terminal_punctuation_and_on_every_line() -> None:
    assert one("One. Two! “Three?” four\nFive")["sentences"] == 5
    assert one("Of 3.5 percent (e.g. in the U.S. alone)...")["sentences"] == 1


# Stop words


def test_stop_words_are_those_of_the_language() -> None:
    text = "Der Hund und die Katze gehen mit dem Kind."
    assert one(text, "de")["stop_words"] == 3
    assert one(text, "deu-Latn")["stop_words"] == one(text, "DE_at")["stop_words"] == one(text, "de")["stop_words"]
    assert one(text)["stop_words"] == one(text, "en")["stop_words"] == 0


def test_a_language_without_a_list_has_no_stop_words_to_count() -> None:
    assert one("the be to", "tlh")["stop_words"] is None
    assert one("the be to", "zh")["stop_words"] is None


def test_every_list_has_eight_words_or_more_and_no_word_twice() -> None:
    for code, listed in stopwords.lists().items():
        assert 8 <= len(listed) == len(set(listed)) <= 15, code


@pytest.mark.parametrize("code", ["de", "fr", "ru", "ar", "fi", "vi", "tr", "hi"])
def test_real_text_of_a_language_has_its_stop_words(code: str) -> None:
    lines = shared(f"langid/lingua-sentences/{code}.txt").read_text(encoding="utf-8").splitlines()
    texts = ["\n".join(lines[at : at + 8]) for at in range(0, len(lines) - 8, 8)]
    found = signals(pa.array(texts), pa.array([code] * len(texts)))["stop_words"].to_pylist()
    assert sum(count >= 2 for count in found) > 0.97 * len(found)


# The column


@settings(deadline=None, max_examples=100)
@given(st.lists(TEXTS, max_size=6), st.integers(0, 6))
def test_the_signals_of_a_text_do_not_depend_on_its_neighbours(texts: list[str], cut: int) -> None:
    whole = signals(pa.array(texts, pa.string()))
    parts = [signals(pa.array(part, pa.string())) for part in (texts[:cut], texts[cut:])]
    for name in SIGNALS:
        assert whole[name].to_pylist() == [value for part in parts for value in part[name].to_pylist()]


def test_slices_and_large_strings_give_the_same() -> None:
    texts = pa.array(["skipped", "One two. Three!", None, "- a...\n# b"])
    assert signals(texts[1:]) == signals(texts.cast(pa.large_string())[1:])


def test_a_text_of_signs_alone_and_one_very_long_word_find_room() -> None:
    found = signals(pa.array(["." * 5 + "(" * 50_000, "a" * 300_000, "! " * 40_000]))
    assert found["words_and_signs"].to_pylist() == [50_001, 1, 40_000]


def test_the_columns_have_the_types_that_are_declared() -> None:
    found = signals(pa.array(["a"]))
    assert {name: values.type for name, values in found.items()} == dict(SIGNALS)


def test_signals_of_edited_lines_come_from_the_edited_text() -> None:
    texts, edited = pa.array(["One two three.\n\nx\n\nx\n"]), pa.array(["One two three."])
    found, before, after = signals(texts, edited=edited), signals(texts), signals(edited)
    for name in SIGNALS:
        assert found[name] == (after if name in EDITED else before)[name]
