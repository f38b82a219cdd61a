"""Decontamination: what counts as shared, what becomes of it, and who is named."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.dataset import Manifest
from corpuskit.errors import CorpuskitError
from corpuskit.executors.serial import run as serial
from corpuskit.pipeline import run_stage
from corpuskit.plan import plan_stage
from corpuskit.text.grams import Grams, grams, spans
from corpuskit.verify import problems
from tests.build import load, write_docs
from tests.data import shared
from tests.test_sketch import TEXTS

QUESTION = "Which of these planets of the solar system has the largest number of moons in 2023?"
PASSAGE = "the quick brown fox jumps over the lazy dog while seven wizards make toxic brew for the evil queen"


def run(tmp_path: Path, texts: list[str], against: list[Path], **options: Any) -> tuple[list[dict[str, Any]], Manifest]:
    """Decontaminate some texts; gives all rows in their order, and the manifest."""
    docs = write_docs(tmp_path / "docs", [{"id": f"{at}", "text": text} for at, text in enumerate(texts)], shards=2)
    inputs = {"docs": [str(docs)], "against": [str(path) for path in against]}
    manifest = run_stage(plan_stage("decontaminate", options, inputs, str(tmp_path / "out")), serial).manifest
    assert list(problems(str(tmp_path / "out"))) == []
    rows = load(tmp_path / "out").to_pylist() + load(tmp_path / "out", "dropped").to_pylist()
    return sorted(rows, key=lambda row: int(row["id"])), manifest


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def words_of(text: str) -> list[str]:
    """Normalise ASCII text as it is compared."""
    return "".join(char.lower() if char.isalnum() or char.isspace() else "" for char in text).split()


def test_a_document_that_holds_a_run_of_13_words_is_dropped_and_the_item_named(tmp_path: Path) -> None:
    held = "Quiz! " + QUESTION.upper() + " Jupiter."
    rows, manifest = run(
        tmp_path,
        ["nothing of the kind", held, "which of these planets of the solar system has the largest cows in 2023"],
        [jsonl(tmp_path / "quiz.jsonl", {"q": "Short?", "label": 1}, {"q": QUESTION, "choices": ["a", "b"]})],
    )
    assert [row.get("drop") for row in rows] == [None, "contaminated", None]
    assert (rows[1]["drop_set"], rows[1]["drop_item"]) == ("quiz.jsonl", "quiz.jsonl:2")
    assert rows[1]["drop_match"] == QUESTION.upper()[:-1]
    assert manifest.figures == {
        "hits": {"quiz.jsonl": {"items": 2, "items_too_short": 1, "items_found": 1, "documents": 1}}
    }


@pytest.mark.parametrize(
    ("shared_words", "reason"), [(12, None), (13, "contaminated"), (14, "contaminated"), (19, "contaminated")]
)
def test_12_words_are_not_enough(tmp_path: Path, shared_words: int, reason: str | None) -> None:
    text = " ".join(["before", *PASSAGE.split()[:shared_words], "behind"])
    rows, _ = run(tmp_path, [text], [jsonl(tmp_path / "a.jsonl", {"text": PASSAGE})])
    assert rows[0].get("drop") == reason


@pytest.mark.parametrize(("count", "reason"), [(7, None), (8, "contaminated"), (12, "contaminated")])
def test_a_short_item_counts_if_it_has_8_words_and_is_held_whole(
    tmp_path: Path, count: int, reason: str | None
) -> None:
    short = " ".join(PASSAGE.split()[:count])
    file = jsonl(tmp_path / "a.jsonl", {"text": short})
    rows, _ = run(tmp_path, [f"well, {short}!", f"well, {short.rpartition(' ')[0]} not"], [file])
    assert [row.get("drop") for row in rows] == [reason, None]


def test_digits_tell_texts_apart(tmp_path: Path) -> None:
    text = "Tom has {} apples and buys {} more so how many apples has he got now in all?"
    rows, _ = run(
        tmp_path, [text.format(3, 5), text.format(4, 6)], [jsonl(tmp_path / "a.jsonl", {"q": text.format(3, 5)})]
    )
    assert [row.get("drop") for row in rows] == ["contaminated", None]


def test_cutting_takes_out_what_is_shared_and_counts_it(tmp_path: Path) -> None:
    text = f"Før: «{PASSAGE.title()}», and after. Then {QUESTION} The end."
    file = jsonl(tmp_path / "a.jsonl", {"text": PASSAGE}, {"text": QUESTION})
    rows, manifest = run(tmp_path, ["clean", text, PASSAGE + "!"], [file], action="cut")
    assert rows[1]["text"] == "Før: «», and after. Then ? The end."
    assert rows[1]["cut_chars"] == len(text) - len(rows[1]["text"])
    assert [row["cut_item"] for row in rows] == [None, "a.jsonl:1", "a.jsonl:1"]
    assert [row["cut_chars"] for row in rows] == [0, rows[1]["cut_chars"], 0]
    assert (rows[2]["drop"], rows[2]["text"]) == ("contaminated", PASSAGE + "!")
    assert manifest.ledger.kept == 2


def test_items_say_in_how_many_documents_they_were_found(tmp_path: Path) -> None:
    one, two = jsonl(tmp_path / "one.jsonl", {"text": PASSAGE}), jsonl(tmp_path / "two.jsonl", {"t": QUESTION})
    rows, manifest = run(tmp_path, [PASSAGE, f"{PASSAGE} {QUESTION}", "x", PASSAGE], [one, two])
    assert load(tmp_path / "out", "items").to_pylist() == [
        {"set": "one.jsonl", "item": "one.jsonl:1", "documents": 3},
        {"set": "two.jsonl", "item": "two.jsonl:1", "documents": 1},
    ]
    figures: Any = manifest.figures
    assert {name: each["documents"] for name, each in figures["hits"].items()} == {"one.jsonl": 3, "two.jsonl": 1}
    assert rows[1]["drop_item"] == "one.jsonl:1"


@pytest.mark.parametrize("kind", ["parquet", "text", "gzip", "nested", "documents", "folder"])
def test_evaluation_texts_come_in_many_forms(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "eval"
    if kind == "parquet":
        pq.write_table(pa.table({"idx": [1, 2], "sentence": ["x", PASSAGE]}), path)
    elif kind == "text":
        path.write_text("One paragraph.\n\n" + PASSAGE.replace(" jumps", "\njumps") + "\n\nAnother.\n")
    elif kind == "gzip":
        path.write_bytes(gzip.compress(json.dumps({"text": PASSAGE}).encode()))
    elif kind == "nested":
        jsonl(path, {"answers": {"text": ["no", PASSAGE]}, "more": [{"deep": "x"}]})
    elif kind == "documents":
        write_docs(path, [{"id": "doc-7", "text": PASSAGE}])
    else:
        path.mkdir()
        jsonl(path / "a.jsonl", {"text": "y"})
        jsonl(path / "b.jsonl", {"text": PASSAGE})
    rows, _ = run(tmp_path, [f"See: {PASSAGE}."], [path])
    assert rows[0]["drop"] == "contaminated"
    names = {"parquet": "eval:2", "text": "eval:2", "documents": "doc-7", "folder": "b.jsonl:1"}
    assert rows[0]["drop_item"] == names.get(kind, "eval:1")


def test_columns_are_those_that_are_named(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", {"question": QUESTION, "context": PASSAGE})
    rows, _ = run(tmp_path, [QUESTION, PASSAGE], [file], column=["question"])
    assert [row.get("drop") for row in rows] == ["contaminated", None]


def test_a_column_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpuskitError, match="no row has a column answer"):
        run(tmp_path, ["x"], [jsonl(tmp_path / "a.jsonl", {"question": QUESTION})], column=["answer"])


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_a_file_without_items_is_an_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "eval").write_bytes(data)
    with pytest.raises(CorpuskitError, match=r"eval: expected evaluation texts|hold no items"):
        run(tmp_path, ["x"], [tmp_path / "eval"])


def test_real_documents_with_planted_items_are_found_and_no_others(tmp_path: Path) -> None:
    """Against brute force over the words of WikiText-2."""
    text = gzip.decompress(shared("lm/wikitext-2.valid.txt.gz").read_bytes()).decode()
    lines = [line for line in text.split("\n") if len(line) > 300]
    rng = random.Random(1)
    items = [" ".join(line.split()[5 : 5 + rng.choice((6, 9, 13, 20, 40))]) for line in lines[:200]]
    documents = lines[300:500] + [line.replace(" the ", f" the {rng.choice(items)} ", 1) for line in lines[500:600]]
    file = jsonl(tmp_path / "eval.jsonl", *({"text": item} for item in items))
    rows, _ = run(tmp_path, documents, [file])

    def runs(words: list[str], size: int) -> set[tuple[str, ...]]:
        return {tuple(words[at : at + size]) for at in range(len(words) - size + 1)}

    from corpuskit.sketch.shingles import normalised

    def parted(text: str) -> list[str]:  # digits stay: letters stand for them
        return normalised("".join(f"ⅹ{chr(97 + int(c))}" if c.isdecimal() else c for c in text)).split()

    known = [(min(13, len(words)), words) for words in map(parted, items) if len(words) >= 8]
    wanted = {size: set().union(*(runs(words, size) for s, words in known if s == size)) for size, _ in known}
    expected = [any(runs(parted(text), size) & each for size, each in wanted.items()) for text in documents]
    assert [row.get("drop") is not None for row in rows] == expected
    assert 60 < sum(expected) < 200


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.integers(2, 6))
def test_every_run_of_a_text_is_found_in_it(texts: list[str], length: int) -> None:
    known, lengths = grams(texts, length, 2)
    hits = Grams(known, lengths.tolist()).find(pa.array(texts, pa.string()))
    assert set(hits.places.tolist()) == set(range(len(known)))


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.integers(2, 5))
def test_what_is_cut_out_is_what_is_shared(text: str, length: int) -> None:
    known, lengths = grams([text], length, length)
    hits = Grams(known, lengths.tolist()).find(pa.array([text], pa.string()))
    if not len(known):
        return
    data = text.encode()
    places = spans(text, hits.units, hits.lengths)
    assert all(begin < end for begin, end in places)
    left = data[: places[0][0]] + data[places[-1][1] :]
    assert len(places) == 1
    again = Grams(known, lengths.tolist()).find(pa.array([left.decode()], pa.string()))
    assert not len(again.texts)


def test_a_set_that_was_downloaded_from_the_hub_is_read_and_named(tmp_path: Path, corpuskit: Any) -> None:
    home = tmp_path / "glue"
    home.mkdir()
    pq.write_table(pa.table({"sentence1": ["a"], "sentence2": [PASSAGE], "label": [1]}), home / "train.parquet")
    assert corpuskit("download", "hub", tmp_path / "set", "--dataset", home, "--text-column", "sentence2").code == 0
    docs = write_docs(tmp_path / "docs", [{"id": "a", "text": f"So {PASSAGE}."}, {"id": "b", "text": "x"}])
    done = corpuskit("decontaminate", docs, tmp_path / "out", "--against", tmp_path / "set")
    assert (done.code, done.err) == (0, "")
    (row,) = load(tmp_path / "out", "dropped").to_pylist()
    assert row["drop_item"] == "glue/glue-default-train-00000.parquet:1"
    assert "found" in corpuskit("show", tmp_path / "out").out


@pytest.mark.parametrize("words", ["{docs} {out} --against {a} {b}", "{docs} {out} --against {a} --against {b}"])
def test_several_files_follow_one_flag_or_have_one_each(words: str, tmp_path: Path, corpuskit: Any) -> None:
    one, two = jsonl(tmp_path / "a.jsonl", {"text": PASSAGE}), jsonl(tmp_path / "b.jsonl", {"text": QUESTION})
    docs = write_docs(tmp_path / "docs", [{"id": "a", "text": PASSAGE}, {"id": "b", "text": QUESTION}])
    given = words.format(docs=docs, out=tmp_path / "out", a=one, b=two).split()
    assert corpuskit("decontaminate", *given, "--words", 12).code == 0
    assert load(tmp_path / "out", "items").num_rows == 2


def test_a_flag_before_the_folders_takes_one_file(tmp_path: Path, corpuskit: Any) -> None:
    one = jsonl(tmp_path / "a.jsonl", {"text": PASSAGE})
    docs = write_docs(tmp_path / "docs", [{"id": "a", "text": PASSAGE}])
    assert corpuskit("decontaminate", "--against", one, docs, tmp_path / "out").code == 0
