"""Repeated lines: which go, where one stays, and that every character is counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.dataset import Manifest
from corpuskit.executors.serial import run as serial
from corpuskit.pipeline import run_stage
from corpuskit.plan import plan_stage
from corpuskit.sketch.shingles import normalised
from corpuskit.text.repeated import lines_of, without
from corpuskit.verify import problems
from tests.build import load, prose, write_docs

MENU = "Home | About us | Contact"


def run(tmp_path: Path, texts: list[str], **options: Any) -> tuple[list[dict[str, Any]], Manifest]:
    docs = write_docs(tmp_path / "docs", [{"id": f"{at}", "text": text} for at, text in enumerate(texts)], shards=2)
    plan = plan_stage("dedup-lines", options, {"docs": [str(docs)]}, str(tmp_path / "out"))
    manifest = run_stage(plan, serial).manifest
    assert list(problems(str(tmp_path / "out"))) == []
    rows = load(tmp_path / "out").to_pylist() + load(tmp_path / "out", "dropped").to_pylist()
    return sorted(rows, key=lambda row: int(row["id"])), manifest


def test_a_repeated_line_stays_in_one_document(tmp_path: Path) -> None:
    texts = [f"{MENU}\nText number {word} here." for word in ("one", "two", "three")]
    rows, manifest = run(tmp_path, texts)
    assert sorted(MENU in row["text"] for row in rows) == [False, False, True]
    assert all(row["text"].endswith(text.partition("\n")[2]) for row, text in zip(rows, texts, strict=True))
    assert sorted(row["repeated_chars"] for row in rows) == [0, len(MENU) + 1, len(MENU) + 1]
    assert manifest.figures == {
        "repeated": {"lines": 1, "removed_documents": 2, "removed_lines": 2, "removed_chars": 2 * len(MENU) + 2}
    }


def test_with_keep_none_it_goes_everywhere(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, [f"{word} of a line\n{MENU}" for word in ("first", "second")], keep="none")
    assert [row["text"] for row in rows] == ["first of a line", "second of a line"]


def test_case_numbers_accents_and_punctuation_do_not_tell_lines_apart(tmp_path: Path) -> None:
    rows, _ = run(
        tmp_path, ["a\n© 2019 Société Ünited, all rights", "b\n© 2021 societe united ALL RIGHTS!"], keep="none"
    )
    assert [row["text"] for row in rows] == ["a", "b"]


def test_short_lines_are_left_alone(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, ["See also\nsomething", "See also\nanother"], keep="none")
    assert [row["text"] for row in rows] == ["See also\nsomething", "See also\nanother"]
    rows, _ = run(tmp_path / "two", ["See also\nsomething", "See also\nanother"], keep="none", min_words=2)
    assert [row["text"] for row in rows] == ["something", "another"]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()


def test_a_line_repeated_within_one_document_is_not_repeated(tmp_path: Path) -> None:
    text = f"{MENU}\nx\n{MENU}"
    rows, _ = run(tmp_path, [text, "another"])
    assert rows[0]["text"] == text


def test_enough_documents_must_have_it(tmp_path: Path) -> None:
    rows, _ = run(tmp_path, [f"{MENU}\n{word}" for word in "abc"], min_documents=4, keep="none")
    assert all(MENU in row["text"] for row in rows)


def test_paragraphs_are_what_blank_lines_part(tmp_path: Path) -> None:
    shared = "A notice of two\nlines of text."
    texts = [f"One.\n\n{shared}\n \nMore of one.", f"{shared}\n\n\nTwo.\nlines of text."]
    rows, _ = run(tmp_path, texts, unit="paragraph", keep="none")
    assert [row["text"] for row in rows] == ["One.\n\n \nMore of one.", "Two.\nlines of text."]


def test_a_document_of_repeated_lines_alone_goes_as_it_came(tmp_path: Path) -> None:
    rows, manifest = run(tmp_path, [MENU, f"{MENU}\n\n", f"{MENU}\nand more"], keep="none")
    assert [(row.get("drop"), row["text"]) for row in rows] == [
        ("all_repeated", MENU),
        ("all_repeated", f"{MENU}\n\n"),
        (None, "and more"),
    ]
    assert manifest.ledger.dropped == {"all_repeated": 2}


def test_lines_of_real_prose_are_those_of_plain_python(tmp_path: Path) -> None:
    texts = [row["text"].replace(". ", ".\n") for row in prose(400)]
    held = [[normalised(line) for line in text.split("\n")] for text in texts]
    counts = Counter(line for lines in held for line in set(lines) if line.count(" ") >= 2)
    expected = [
        "\n".join(line for line, words in zip(text.split("\n"), lines, strict=True) if counts[words] < 2)
        for text, lines in zip(texts, held, strict=True)
    ]
    rows, _ = run(tmp_path, texts, keep="none")
    changed = sum(old != new for old, new in zip(texts, expected, strict=True))
    assert changed > 10
    assert [row["text"] if row.get("drop") is None else "" for row in rows] == expected


LINES = st.lists(st.sampled_from(["a b c", "d é f", "東京都", "", " ", "x"]), max_size=8).map("\n".join)


@settings(deadline=None, max_examples=300)
@given(st.lists(LINES, max_size=5), st.booleans(), st.integers(0, 2**8 - 1))
def test_what_is_left_and_what_is_gone_make_the_text(texts: list[str], paragraphs: bool, chosen: int) -> None:
    column = pa.array(texts, pa.string())
    lines = lines_of(column, 1, paragraphs=paragraphs)
    assert len(lines.hashes) == lines.counts.sum()
    nothing = without(column, lines, lines.hashes != lines.hashes, paragraphs=paragraphs)
    assert nothing[0].to_pylist() == texts
    import numpy as np

    gone = (np.arange(len(lines.hashes)) + chosen) % 3 == 0
    left, removed = without(column, lines, gone, paragraphs=paragraphs)
    for text, rest, count in zip(texts, left.to_pylist(), removed.tolist(), strict=True):
        assert len(text) == len(rest) + count
