"""The stage `clean`: repair, language, lines, personal data, signals, presets, lists and perplexity, together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpuskit.errors import NoInput, UsageError
from corpuskit.schema import DOCS, rows_to_batch
from corpuskit.stages.clean import STAGE, Options, clean
from corpuskit.text import presets, thresholds
from corpuskit.text.signals import SIGNALS
from tests.build import load, prose, write_docs
from tests.conftest import Result
from tests.data import shared

Run = Callable[..., Result]

FINE = (
    "The quick brown foxes have jumped over a lazy dog, and nobody was there to see them. Some of the people that "
    "lived near the old mill said that they had heard a noise in the evening, but they would not be sure of it. "
    "When the morning came, two children walked along the river with their father and found the marks of small feet."
)
GERMAN = (
    "Der schnelle braune Fuchs ist über den faulen Hund gesprungen, und niemand hat es gesehen. Einige der Leute, die "
    "in der Nähe der alten Mühle wohnten, sagten, dass sie am Abend ein Geräusch gehört hätten, aber sie waren sich "
    "nicht sicher. Als der Morgen kam, gingen zwei Kinder mit ihrem Vater am Fluss entlang und fanden kleine Spuren."
)


def docs(*texts: str | None, language: str | None = None, **columns: list[object]) -> pa.RecordBatch:
    batch = rows_to_batch(
        [{"id": str(at), "text": text or "", "language": language} for at, text in enumerate(texts)], DOCS
    )
    if None in texts:
        batch = batch.set_column(1, "text", pa.array(texts, pa.string()))
    for name, values in columns.items():
        batch = batch.append_column(name, pa.array(values))
    return batch


def cleaned(batch: pa.RecordBatch, **options: Any) -> pa.RecordBatch:
    (out,) = clean(iter([batch]), Options(**options))
    return out


def reason(text: str, language: str | None = None, **options: Any) -> tuple[str | None, str | None]:
    out = cleaned(docs(text, language=language), **options)
    return out["drop"][0].as_py(), out["drop_detail"][0].as_py()


# What is dropped


@pytest.mark.parametrize(
    ("text", "expected", "detail"),
    [
        (FINE, None, None),
        ("", "empty", None),
        (" \n\t", "empty", None),
        ("word " * 31, "gopher_too_short", "31 words, at least 50"),
        ("a b the of " * 20, "gopher_word_length", "1.75 characters a word, at least 3"),
        ("- the foxes have\n" * 20, "gopher_bullets", "1 of the lines start with a bullet, at most 0.9"),
    ],
)
def test_gopher_drops_for_the_first_rule_that_fails(text: str, expected: str | None, detail: str | None) -> None:
    assert reason(text) == (expected, detail)


def test_the_same_paragraph_again_and_again_is_a_repetition() -> None:
    assert str(reason("\n\n".join([FINE] * 6))[0]).startswith("gopher_dup_")


def test_wikipedia_keeps_stubs_and_lists() -> None:
    assert reason("Soltan is a village in Iran, with a population of 52.", preset="wikipedia")[0] is None
    assert reason("- Riga, Latvia\n- Tallinn\n" * 5, preset="wikipedia")[0] is None


def test_none_drops_empty_texts_alone() -> None:
    assert reason("!", preset="none")[0] is None
    assert reason("\ufeff\r\n", preset="none")[0] == "empty"


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        ("words=5", None),
        ("words>=5", None),
        ("words >= 6", "wikipedia_too_short"),
        ("words=7", "wikipedia_too_short"),
        ("words<=4", "too_high"),
        ("language_share>=2", "too_low"),
        ("top_2gram_chars<=0.01", "too_high"),
    ],
)
def test_a_threshold_moves_a_bound_or_adds_one(threshold: str, expected: str | None) -> None:
    options = {"preset": "wikipedia", "threshold": ("words=5", threshold)}
    assert reason("five words of the text", **options)[0] == expected


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("words", "expected SIGNAL>=VALUE"),
        ("words=many", "expected SIGNAL>=VALUE"),
        ("wrods>=3", "did you mean words?"),
        ("dup_lines=0.2", "the preset has no bound on dup_lines; say dup_lines>= or dup_lines<="),
    ],
)
def test_a_threshold_that_makes_no_sense_is_a_mistake(word: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        Options(preset="wikipedia", threshold=(word,))
    assert problem in str(caught.value)


def test_every_reason_is_explained() -> None:
    assert {rule.reason for rules in presets.PRESETS.values() for rule in rules} <= set(STAGE.reasons)


def test_every_further_signal_may_have_a_bound() -> None:
    for signal in thresholds.FURTHER:
        assert thresholds.rules_of("none", [f"{signal}>=1"])[0].signal == signal


# Language


def test_the_language_of_a_text_is_named_where_its_source_says_none() -> None:
    out = cleaned(docs(FINE, GERMAN), preset="none")
    assert out["language"].to_pylist() == ["en", "de"]
    assert min(out["language_score"].to_pylist()) > 0.9
    assert out["language_share"].to_pylist() == [1.0, 1.0]


def test_a_page_that_declares_another_language_than_it_is_in_has_the_one_found() -> None:
    assert cleaned(docs(GERMAN, language="en"), preset="none")["language"].to_pylist() == ["de"]


def test_a_declared_language_that_the_model_does_not_know_stays() -> None:
    assert cleaned(docs(FINE, language="sco"), preset="none")["language"].to_pylist() == ["sco"]


def test_a_declared_language_stays_where_the_text_is_too_short_to_tell() -> None:
    assert cleaned(docs("OK", language="de-AT"), preset="none")["language"].to_pylist() == ["de-AT"]


@pytest.mark.parametrize("wanted", [("en",), ("en=0.7",), ("fr,en",), ("fr", "en")])
def test_language_keeps_documents_in_it(wanted: tuple[str, ...]) -> None:
    out = cleaned(docs(FINE, GERMAN), language=wanted)
    assert out["drop"].to_pylist() == [None, "other_language"]
    assert out["drop_detail"][1].as_py().startswith("de, score 1.0")


def test_a_score_below_the_one_asked_for_is_a_reason_of_its_own() -> None:
    out = cleaned(docs(FINE + "\n" + GERMAN), language=("en=1.0", "de=1.0"))
    assert out["drop"].to_pylist() == ["unsure_language"]


@pytest.mark.parametrize("word", ["en=2", "en=much", "English", "en=0.5,en=0.6"])
def test_a_language_that_makes_no_sense_is_a_mistake(word: str) -> None:
    with pytest.raises(UsageError, match="--language"):
        Options(language=(word,))


# Lines, personal data, lists


def test_c4_cuts_lines_and_counts_the_characters() -> None:
    out = cleaned(docs(FINE + "\nHome | About\n" + FINE), preset="c4")
    assert out["text"].to_pylist() == [FINE + "\n" + FINE]
    assert out["removed_chars"].to_pylist() == [13]


def test_lines_are_edited_or_not_as_the_user_says() -> None:
    text = FINE + "\nHome"
    assert cleaned(docs(text), preset="c4", edit_lines=False)["text"].to_pylist() == [text]
    assert cleaned(docs(text), preset="none", edit_lines=True)["text"].to_pylist() == [FINE]


def test_personal_data_is_counted_and_stays_unless_asked_for() -> None:
    text = FINE + " Write to jane.roe@mail.test.org or call +44 20 7946 0958."
    kept = cleaned(docs(text), preset="none")
    assert (kept["text"][0].as_py(), kept["pii_email"][0].as_py(), kept["pii_phone"][0].as_py()) == (text, 1, 1)
    redacted = cleaned(docs(text), preset="none", redact_pii=True)
    assert "jane" not in redacted["text"][0].as_py()
    assert "7946" not in redacted["text"][0].as_py()
    assert redacted["pii_email"].to_pylist() == [1]


def test_a_blocklist_drops_by_domain_and_by_url(tmp_path: Path, corpuskit: Run) -> None:
    urls = ["https://bad.test/x", "https://sub.bad.test/", "https://fine.test/a/b", "https://fine.test/", None]
    rows = [{"id": str(at), "text": FINE, "url": url} for at, url in enumerate(urls)]
    write_docs(tmp_path / "docs", rows)
    (tmp_path / "list").write_text("bad.test\nfine.test/a # a part of it\n")
    result = corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--blocklist", tmp_path / "list")
    assert result.code == 0
    assert load(tmp_path / "out").column("id").to_pylist() == ["3", "4"]
    dropped = load(tmp_path / "out", "dropped")
    assert dropped.column("drop").to_pylist() == ["blocked_domain", "blocked_domain", "blocked_url"]


def test_another_blocklist_is_another_dataset(tmp_path: Path, corpuskit: Run) -> None:
    write_docs(tmp_path / "docs", prose(5))
    (tmp_path / "list").write_text("bad.test\n")
    words = ["clean", tmp_path / "docs", tmp_path / "out", "--blocklist", tmp_path / "list"]
    assert corpuskit(*words).code == 0
    (tmp_path / "list").write_text("worse.test\n")
    assert corpuskit(*words).code == 73


def test_a_blocklist_that_is_not_there_is_named(tmp_path: Path, corpuskit: Run) -> None:
    write_docs(tmp_path / "docs", prose(5))
    result = corpuskit("clean", tmp_path / "docs", tmp_path / "out", "--blocklist", tmp_path / "none")
    assert (result.code, "none" in result.err) == (NoInput.exit_code, True)


def test_perplexity_under_a_model_of_ours_is_a_signal(chain: dict[str, Path], tmp_path: Path, corpuskit: Run) -> None:
    rows = [{"id": "known", "text": prose(1)[0]["text"]}, {"id": "noise", "text": "zqx vbn kjh " * 60}]
    write_docs(tmp_path / "docs", rows)
    words = ["clean", tmp_path / "docs", tmp_path / "out", "--preset", "none", "--perplexity-model", chain["ngram"]]
    assert corpuskit(*words).code == 0
    known, noise = load(tmp_path / "out").column("perplexity").to_pylist()
    assert known < noise
    bounded = [*words[:2], tmp_path / "bounded", *words[3:], "--threshold", f"perplexity<={(known + noise) / 2}"]
    assert corpuskit(*bounded).code == 0
    assert load(tmp_path / "bounded").column("id").to_pylist() == ["known"]


# What other bounds would keep


def test_show_says_what_another_threshold_would_keep_as_a_rerun_does(tmp_path: Path, corpuskit: Run) -> None:
    rows = [{"id": str(at), "text": " ".join(FINE.split()[: 10 * at])} for at in range(1, 7)]
    write_docs(tmp_path / "docs", rows)
    assert corpuskit("clean", tmp_path / "docs", tmp_path / "out").code == 0
    shown = json.loads(corpuskit("show", tmp_path / "out", "--threshold", "words=25", "--json").out)
    assert corpuskit("clean", tmp_path / "docs", tmp_path / "again", "--threshold", "words=25").code == 0
    again = json.loads(corpuskit("show", tmp_path / "again", "--json").out)
    assert (shown["kept"], shown["would_keep"]) == (load(tmp_path / "out").num_rows, again["rows"])
    assert shown["would_drop"] == again["ledger"]["dropped"]
    lines = corpuskit("show", tmp_path / "out", "--threshold", "words=25").out
    assert "with gopher_too_short: words >= 25" in lines
    assert f"{again['rows']} would be" in lines


@pytest.mark.parametrize("words", ["wrods=3", "words", "perplexity<=3"])
def test_show_refuses_thresholds_that_make_no_sense(words: str, tmp_path: Path, corpuskit: Run) -> None:
    write_docs(tmp_path / "docs", prose(3))
    corpuskit("clean", tmp_path / "docs", tmp_path / "out")
    assert corpuskit("show", tmp_path / "out", "--threshold", words).code == 2
    assert corpuskit("show", tmp_path / "docs", "--threshold", "words=3").code == 2


def test_show_dropped_gives_a_sample_of_every_reason(tmp_path: Path, corpuskit: Run) -> None:
    rows = [{"id": f"short-{at}", "text": "a few words"} for at in range(20)]
    write_docs(tmp_path / "docs", [*rows, {"id": "empty", "text": ""}])
    corpuskit("clean", tmp_path / "docs", tmp_path / "out")
    out = corpuskit("show", tmp_path / "out", "--dropped").out
    assert "dropped: gopher_too_short, 3 of 20" in out
    assert "dropped: empty, 1 of 1" in out
    assert out == corpuskit("show", tmp_path / "out", "--dropped").out
    assert "dropped: gopher_too_short, 5 of 20" in corpuskit("show", tmp_path / "out", "--dropped", "--rows", 5).out


# Columns and batches


def test_signals_become_columns_and_others_pass_through() -> None:
    out = cleaned(docs(FINE, score=[0.5]))
    assert out.schema.names[: len(DOCS.names) + 1] == [*DOCS.names, "score"]
    assert set(SIGNALS) <= set(out.schema.names)
    assert out["score"].to_pylist() == [0.5]


def test_cleaning_again_changes_nothing() -> None:
    once = cleaned(docs(FINE + "\r\n\r\nschÃ¶n", language="en"))
    assert cleaned(once).equals(once)


def test_an_empty_batch_comes_out_empty_with_the_columns() -> None:
    out = cleaned(docs())
    assert out.num_rows == 0
    assert set(SIGNALS) <= set(out.schema.names)


def test_a_text_that_is_null_is_empty() -> None:
    assert cleaned(docs(None, FINE))["drop"].to_pylist() == ["empty", None]


def test_bytes_that_are_no_utf8_are_an_error() -> None:
    data = pa.py_buffer(b"fine\xff\xfe")
    bad = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(np.array([0, 4, 6], np.int32)), data])
    out = cleaned(docs("", "").set_column(1, DOCS.field("text"), bad), preset="none")
    assert out["error"].to_pylist() == [None, "not_utf8"]
    assert out["text"].to_pylist() == ["fine", "\ufffd\ufffd"]


@pytest.mark.parametrize("preset", sorted(presets.PRESETS))
def test_rows_do_not_depend_on_batches(preset: str) -> None:
    lines = shared("langid/lingua-sentences").glob("*.txt")
    texts = [file.read_text(encoding="utf-8")[:1500] for file in sorted(lines)]
    whole = docs(*texts)
    one = pa.Table.from_batches(clean(iter([whole]), Options(preset=preset)))
    many = pa.Table.from_batches(clean((whole.slice(at, 7) for at in range(0, len(texts), 7)), Options(preset=preset)))
    assert one.combine_chunks().equals(many.combine_chunks())


@pytest.mark.parametrize(
    ("title", "repaired"),
    [
        ("schÃ¶n", "schön"),
        ("e\u0301te\u0301", "été"),
        ("a\x00b\x7f c", "ab c"),
        ("one\r\n two\n", "one two"),
        ("as it is", "as it is"),
        (None, None),
        ("", ""),
    ],
)
def test_a_title_is_repaired_as_its_text_is(title: str | None, repaired: str | None) -> None:
    batch = rows_to_batch([{"id": "1", "text": FINE, "title": title}], DOCS)
    out = cleaned(batch, preset="none")
    assert out["title"].to_pylist() == [repaired]
    assert cleaned(out, preset="none")["title"].to_pylist() == [repaired]


def test_a_title_that_is_no_utf8_is_no_error() -> None:
    data = pa.py_buffer(b"a\xff")
    bad = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), data])
    batch = docs(FINE)
    out = cleaned(batch.set_column(batch.schema.get_field_index("title"), DOCS.field("title"), bad), preset="none")
    assert out["title"].to_pylist() == ["a\ufffd"]


def test_inputs_are_left_as_they_were() -> None:
    batch = docs("schÃ¶n")
    before = batch.to_pylist()
    cleaned(batch, preset="none", redact_pii=True)
    assert batch.to_pylist() == before
