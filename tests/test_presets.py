"""Each rule of the presets with a small text, the order of rules, and verdicts against datatrove's filters."""

from __future__ import annotations

import pyarrow as pa
import pytest

from corpuskit.text import lines, presets
from corpuskit.text.signals import SIGNALS, signals
from corpuskit.text.thresholds import rules_of
from tests.data import shared

#: Prose that every preset keeps.
GOOD = (
    "The harbour lies to the north of the old town, and most of the ships that have called there since the war "
    "were small. Fishermen mend their nets beside the sea wall in the evening.\n"
    "Visitors come with the ferry in summer! Few of them stay longer than a day, because there is only one inn to "
    "be found.\n"
    "A lighthouse was built in 1871. It has been empty for twenty years, but its lamp still works.\n"
)


def verdict(text: str, preset: str, language: str | None = None, edit: bool = False) -> tuple[str | None, str | None]:
    texts, languages = pa.array([text]), pa.array([language], pa.string())
    edited = lines.edit_column(texts, presets.LINES[preset])[0] if edit else None
    reasons, details = presets.judge(signals(texts, languages, edited=edited), presets.PRESETS[preset], languages)
    return reasons[0], details[0]


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_preset_keeps_good_prose(preset: str) -> None:
    assert verdict(GOOD, preset, edit=preset in presets.LINES) == (None, None)


@pytest.mark.parametrize(
    ("preset", "text", "reason", "detail"),
    [
        ("gopher", "Only four words here.", "gopher_too_short", "4 words, at least 50"),
        ("gopher", "the of " + "ab " * 60, "gopher_word_length", "2.01613 characters a word, at least 3"),
        ("gopher", "the and " + "abcdefghijkl " * 60, "gopher_word_length", "11.7097 characters a word, at most 10"),
        ("gopher", GOOD + "# " * 20, "gopher_symbols", "0.188679 hash signs a word, at most 0.1"),
        ("gopher", GOOD + "more… " * 30, "gopher_symbols", "0.205479 ellipses a word, at most 0.1"),
        ("gopher", "- " + GOOD.strip().replace("\n", "\n- "), "gopher_bullets", None),
        ("gopher", GOOD.replace(".\n", "...\n"), "gopher_ellipsis", None),
        ("gopher", GOOD + "12 . 34 , " * 12, "gopher_alpha", None),
        ("gopher", "a fine ship sails " * 3 + "every quiet summer evening " * 12, "gopher_stop_words", None),
        ("gopher", GOOD + "Menu\n" * 4, "gopher_dup_lines", None),
        ("gopher", GOOD + GOOD.splitlines()[0] + "\n", "gopher_dup_line_chars", None),
        ("gopher", GOOD + "\n\nMenu\n\nMenu\n\nMenu", "gopher_dup_paragraphs", None),
        ("gopher", GOOD + "\n\n" + GOOD, "gopher_dup_paragraphs", None),
        ("gopher", GOOD + "buy now " * 20, "gopher_top_2gram", None),
        ("c4", GOOD + "Lorem ipsum dolor sit.", "c4_lorem_ipsum", "1 lorem ipsum, at most 0"),
        ("c4", GOOD + "if (a) { return b; }", "c4_curly_bracket", "1 curly brackets, at most 0"),
        ("c4", "One sentence. And two.", "c4_few_sentences", "2 sentences, at least 5"),
        ("fineweb", GOOD.replace(".\n", "\n"), "fineweb_punctuation", None),
        ("fineweb", GOOD + "Home\nAbout us\nContact\nNews\nJobs\nTeam\nPress\n", "fineweb_short_lines", None),
        ("fineweb", GOOD + "A line of the menu\nis here\nA line of the menu\n", "fineweb_dup_lines", None),
        ("fineweb2", "der Hund " * 10, "gopher_too_short", "20 words, at least 50"),
        ("wikipedia", "Too short.", "wikipedia_too_short", "2 words, at least 10"),
    ],
)
def test_each_rule_gives_its_reason(preset: str, text: str, reason: str, detail: str | None) -> None:
    found = verdict(text, preset)
    assert found[0] == reason, found
    assert detail is None or found[1] == detail


def test_the_first_rule_that_fails_gives_the_reason() -> None:
    assert verdict("{ lorem ipsum", "c4")[0] == "c4_lorem_ipsum"
    assert verdict("{ #", "fineweb")[0] == "gopher_too_short"


def test_an_empty_text_fails_where_words_are_asked_for() -> None:
    assert verdict("", "gopher")[0] == "gopher_too_short"
    assert verdict("", "none") == (None, None)


def test_a_language_without_spaces_is_not_judged_by_its_words() -> None:
    text = "".join(f"第{n}章写的是{chr(0x6000 + n)}港口。" for n in range(40)).replace("。", "。 ")
    assert verdict(text, "gopher")[0] == "gopher_too_short"
    assert verdict(text, "gopher", "zh-Hans") == (None, None)


def test_stop_words_judge_only_languages_that_have_a_list() -> None:
    text = " ".join(f"sa{n}mo kelu{n}ta" for n in range(40))
    assert verdict(text, "gopher")[0] == "gopher_stop_words"
    assert verdict(text, "gopher", "de")[0] == "gopher_stop_words"
    assert verdict(text, "gopher", "tlh") == (None, None)


def test_other_bounds_replace_those_of_the_preset() -> None:
    columns = signals(pa.array(["Only four words here.", GOOD]))
    assert presets.judge(columns, rules_of("gopher", ["words=4"]))[0][0] == "gopher_stop_words"
    rules = rules_of("gopher", ["words=1000"])
    assert presets.judge(columns, rules)[1][1] == "77 words, at least 1000"


def test_a_bound_that_the_preset_has_not_comes_first() -> None:
    columns = signals(pa.array([GOOD]))
    rules = rules_of("none", ["sentences<=3"])
    assert presets.judge(columns, rules) == (["too_high"], ["6 (sentences), at most 3"])


def test_a_ratio_that_equals_the_bound_is_within_it() -> None:
    columns = signals(pa.array([GOOD])) | {"dup_lines": pa.array([0.3])}
    assert presets.judge(columns, presets.PRESETS["gopher"]) == ([None], [None])


def test_every_reason_is_explained_and_every_signal_known() -> None:
    used = {rule.reason for rules in presets.PRESETS.values() for rule in rules} | {"too_low", "too_high"}
    assert used == set(presets.REASONS)
    assert {rule.signal for rules in presets.PRESETS.values() for rule in rules} <= set(SIGNALS)
    assert set(presets.VERSIONS) == set(presets.PRESETS) >= set(presets.LINES)


def test_verdicts_are_those_of_datatroves_filters_with_its_own_words() -> None:
    pytest.importorskip("spacy", reason="needs spacy, with whose words datatrove counts")
    filters = pytest.importorskip("datatrove.pipeline.filters", reason="needs datatrove, whose verdicts these are")
    from datatrove.data import Document

    book = shared("lm/gutenberg-1342-pride-and-prejudice.txt").read_text(encoding="utf-8")
    texts = [book[at : at + 1500] for at in range(0, 300_000, 3000)]
    for path in sorted(shared("langid/lingua-sentences").iterdir()):
        sentences = path.read_text(encoding="utf-8").splitlines()
        texts += [" ".join(sentences[:10]), "\n".join(sentences[10:22])]
    columns = signals(pa.array(texts))
    rules = [rule for rule in presets.PRESETS["fineweb"] if not rule.reason.startswith("c4")]
    for chain, prefix in (
        ((filters.GopherQualityFilter(), filters.GopherRepetitionFilter()), "gopher"),
        ((filters.FineWebQualityFilter(),), "fineweb"),
    ):
        reasons, _ = presets.judge(columns, [rule for rule in rules if rule.reason.startswith(prefix)])
        theirs = [all(each.filter(Document(text=text, id="")) is True for each in chain) for text in texts]
        agreed = sum(kept == (reason is None) for kept, reason in zip(theirs, reasons, strict=True))
        assert agreed >= 0.98 * len(texts)
