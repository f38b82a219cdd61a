"""Languages of texts: the model of py3langid, run by loops of our own."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import unicodedata
import zipfile
from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import UsageError
from corpuskit.text import language
from tests.data import shared

ENGLISH = "The committee will meet again in the spring, when the new members have taken their seats."
GERMAN = "Der Ausschuss wird im Frühjahr wieder tagen, sobald die neuen Mitglieder ihre Sitze eingenommen haben."
RUSSIAN = "Комитет снова соберётся весной, когда новые члены займут свои места."
SENTENCES = {
    "en": ENGLISH,
    "de": GERMAN,
    "ru": RUSSIAN,
    "fr": "Le comité se réunira de nouveau au printemps, quand les nouveaux membres auront pris leurs sièges.",
    "zh": "新成员就职后，委员会将于春季再次开会。",
    "ja": "新しい委員が就任した後、委員会は春に再び開かれます。",
    "ltg": "Latgalīšu volūda ir vīna nu baļtu volūdu, kurā runoj Latgolā i cytur.",
}


def identify(*texts: str | None) -> list[tuple[str, float, float]]:
    found = language.identify(pa.array(texts, pa.string()))
    return list(zip(*(each.to_pylist() for each in found), strict=True))


@pytest.fixture(scope="module")
def library() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def agrees(library: Any, text: str) -> None:
    label, score = library.classify(text)
    ((ours, our_score, _),) = identify(text)
    if ours == language.UNDETERMINED:
        assert our_score == 0
        assert score < 0.02  # no feature at all: to the library all are as likely
    else:
        assert our_score == pytest.approx(score, abs=2e-5)
        ranks = dict(library.rank(text))
        assert ours == language.shorter(label) or ranks[label] - ranks[ours] < 2e-5


@pytest.mark.parametrize(("label", "text"), SENTENCES.items())
def test_a_sentence_is_named_by_its_language(label: str, text: str) -> None:
    ((found, score, share),) = identify(text)
    assert (found, share) == (label, 1.0)
    assert score > 0.6  # the shortest, Chinese, is shared with Wu and Cantonese


def test_empty_and_null_texts_and_texts_that_say_nothing_are_undetermined() -> None:
    assert identify("", None, " ") == [("und", 0.0, 0.0)] * 3


def test_capitals_are_read_as_small_letters() -> None:
    assert identify(GERMAN.upper())[0][:2] == identify(GERMAN.lower())[0][:2]


def test_letters_and_marks_apart_are_read_as_letters_with_marks() -> None:
    text = SENTENCES["fr"]
    assert unicodedata.normalize("NFD", text) != text
    assert identify(unicodedata.normalize("NFD", text)) == identify(text)


def test_each_language_of_a_mixed_page_has_its_share() -> None:
    page = "\n".join([GERMAN, GERMAN, ENGLISH, GERMAN])
    ((label, _, share),) = identify(page)
    assert label == "de"
    assert share == pytest.approx(1 - (len(ENGLISH) + 1) / len(page))


def test_lines_spread_over_a_long_page_tell_what_all_of_its_lines_would() -> None:
    page = "\n".join([GERMAN, GERMAN, ENGLISH, GERMAN] * 60)
    assert len(page) > 4 * language.JUDGED_BYTES
    ((label, score, share),) = identify(page)
    assert label == "de"
    assert score > 0.9
    assert share == pytest.approx(1 - (len(ENGLISH) + 1) / (len(GERMAN) * 3 + len(ENGLISH) + 4), abs=0.15)


def test_a_foreign_tail_of_a_long_page_is_seen() -> None:
    page = "\n".join([ENGLISH] * 100 + [RUSSIAN] * 100)
    ((_, _, share),) = identify(page)
    assert 0.4 < share < 0.7


def test_short_lines_are_in_the_language_of_the_line_before_them() -> None:
    page = "\n".join([GERMAN, "OK", "see you", GERMAN])
    assert identify(page)[0][2] == 1.0


def test_short_lines_at_the_start_are_in_the_language_of_the_line_after_them() -> None:
    page = "\n".join(["Home", "News", RUSSIAN, RUSSIAN])
    assert identify(page)[0][2] == 1.0


def test_a_page_of_short_lines_is_all_in_its_language() -> None:
    label, _, share = identify("\n".join(GERMAN.split()))[0]
    assert (label, share) == ("de", 1.0)


def test_neighbours_and_slices_change_nothing() -> None:
    texts = pa.array([*SENTENCES.values(), None, "", f"{ENGLISH}\n{RUSSIAN}"])
    whole = language.identify(texts)
    for start, stop in itertools.combinations(range(len(texts) + 1), 2):
        part = language.identify(texts.slice(start, stop - start))
        assert all(mine.equals(all_.slice(start, stop - start)) for mine, all_ in zip(part, whole, strict=True))


def test_large_strings_are_read_as_strings_are() -> None:
    texts = [*SENTENCES.values(), None]
    small, large = (language.identify(pa.array(texts, kind)) for kind in (pa.string(), pa.large_string()))
    assert small.labels.equals(large.labels)
    assert small.scores.equals(large.scores)


words = st.sampled_from(
    [word for text in SENTENCES.values() for word in text.split()] + ["\n", "A", "É", "e\u0301", "ǅ"]
)
letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.lists(words, max_size=40).map(" ".join) | letters | letters.map(str.upper))
def test_labels_and_scores_are_those_of_py3langid(library: Any, text: str) -> None:
    agrees(library, text)


def test_real_sentences_of_79_languages_get_the_labels_of_py3langid(library: Any) -> None:
    files = sorted(shared("langid/lingua-sentences").glob("*.txt"))
    texts = [line for file in files for line in file.read_text(encoding="utf-8").split("\n")[::25] if line.strip()]
    theirs = [library.classify(text) for text in texts]
    found = language.identify(pa.array(texts))
    for (label, score), ours, our_score in zip(theirs, found.labels.to_pylist(), found.scores.to_pylist(), strict=True):
        if ours != language.UNDETERMINED:
            assert language.shorter(label) == ours
            assert our_score == pytest.approx(score, abs=1e-5)
    assert len(texts) > 1500


def test_nine_of_ten_real_sentences_are_named_right() -> None:
    right = Counter[bool]()
    for file in sorted(shared("langid/lingua-sentences").glob("*.txt")):
        lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line]
        truth = {"nb": "no"}.get(file.stem, file.stem)
        right.update(label == truth for label in language.identify(pa.array(lines)).labels.to_pylist())
    assert right[True] / right.total() >= 0.90


def test_a_whole_document_is_in_its_language() -> None:
    names = {
        "eng": "en",
        "deu": "de",
        "fra": "fr",
        "spa": "es",
        "rus": "ru",
        "vie": "vi",
        "jpn": "ja",
        "fin": "fi",
    }
    with zipfile.ZipFile(shared("langid/udhr2.zip")) as archive:
        texts = {label: archive.read(f"udhr2/{name}.txt").decode() for name, label in names.items()}
    for label, text in texts.items():
        found, score, share = identify(text)[0]
        assert found == label
        assert score > 0.99
        assert share > 0.95, label


def test_the_languages_named_are_those_of_the_model() -> None:
    _, names = language._model()
    assert set(language.LANGUAGES) == set(names)
    assert tuple(sorted(language.LANGUAGES)) == language.LANGUAGES


def test_thresholds_are_languages_with_scores() -> None:
    assert language.thresholds(["en=0.65", "fr = .8", "*=0.5"]) == {"en": 0.65, "fr": 0.8, "*": 0.5}
    assert language.thresholds([]) == {}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("en", "expected LANGUAGE=SCORE, got 'en'; write it like en=0.65"),
        ("en=high", "expected LANGUAGE=SCORE, got 'en=high'"),
        ("en=65", "expected a score from 0 to 1, got 65 for en"),
        ("en=nan", "expected a score from 0 to 1, got nan for en"),
        ("english=0.5", "no language 'english' is known"),
        ("nb=0.5", "Norwegian is no"),
    ],
)
def test_a_wrong_threshold_is_an_error_that_says_why(word: str, expected: str) -> None:
    with pytest.raises(UsageError) as error:
        language.thresholds([word])
    assert expected in str(error.value)


def test_a_language_that_is_named_twice_is_an_error() -> None:
    with pytest.raises(UsageError, match="en is named twice"):
        language.thresholds(["en=0.5", "en=0.6"])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 4096), st.randoms(use_true_random=False), st.sampled_from([ENGLISH, RUSSIAN, SENTENCES["ja"]]))
def test_a_text_is_walked_in_parts_as_byte_after_byte(size: int, random: Random, sentence: str) -> None:
    from corpuskit.text import language_kernels as kernels

    model, _ = language._model()
    odd = bytes(random.randrange(256) for _ in range(random.choice([0, 40])))
    data = np.frombuffer((odd + sentence.encode()) * (size // len(sentence.encode()) + 1), np.uint8)[:size]
    states, parts = np.zeros(4096, np.uint32), kernels._PARTS
    automaton = (model.moves, model.rows, states, np.zeros(parts, np.uint64), np.zeros(parts, np.uint64))
    kernels._walk(data, 0, size, np.uint64(0), automaton)
    state, expected = 0, []
    for byte in data.tolist():
        state = int(model.moves[int(model.rows[state]) * 256 + byte])
        expected.append(state)
    assert states[:size].tolist() == expected


@pytest.mark.parametrize("processor", ["native", "generic"])
def test_float16_is_widened_exactly_whatever_the_processor_can_do(processor: str) -> None:
    code = """if True:
        import numpy as np
        from numba import njit
        from corpuskit.text.half_kernels import add_four, add_one

        @njit
        def run(sums, more, table):
            for row in range(len(table)):
                add_one(sums[row], table, row, np.float32(0.7))
                other = len(table) - 1 - row
                weights = (np.float32(0.1), np.float32(2.5), np.float32(3.0), np.float32(0.3))
                add_four(more[row], table, (row, other, row, other), weights)

        halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        table = halves[np.isfinite(halves)].reshape(-1, 64)
        wide = table.astype(np.float32)
        sums, more = np.ones_like(wide), np.ones_like(wide)
        run(sums, more, table.view(np.uint16))
        a, b, c, d = map(np.float32, (0.1, 2.5, 3.0, 0.3))
        assert (sums == 1 + np.float32(0.7) * wide).all()
        assert (more == 1 + ((a * wide + b * wide[::-1]) + (c * wide + d * wide[::-1]))).all()
    """
    environment = os.environ if processor == "native" else {**os.environ, "NUMBA_CPU_NAME": processor}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=120)
