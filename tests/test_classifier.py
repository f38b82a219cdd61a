"""`train classifier`: it learns what can be learnt, says how well, and names what is wrong with its texts."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from corpuskit.cli import main  # noqa: E402
from corpuskit.errors import BadData  # noqa: E402
from corpuskit.lm import classifier, network  # noqa: E402
from corpuskit.stages.train import classifier as stage  # noqa: E402
from tests.build import write_docs  # noqa: E402

GOOD = ["fine", "lovely", "warm", "bright", "kind", "happy"]
BAD = ["dull", "sad", "cold", "grim", "poor", "broken"]
PLAIN = ["the", "a", "film", "story", "actor", "scene", "music", "plot", "was", "is", "very", "and", "with", "long"]


def reviews(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Sentences in which one word in five is of the label's kind, whose order tells nothing."""
    rng, rows = random.Random(seed), []
    for _ in range(count):
        label = rng.randrange(2)
        words = [rng.choice((BAD, GOOD)[label]) if rng.random() < 0.2 else rng.choice(PLAIN) for _ in range(25)]
        rows.append({"text": " ".join(words), "label": label})
    return rows


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    write_docs(root / "docs", [{"id": str(at), "text": row["text"]} for at, row in enumerate(reviews(300, seed=5))])
    for words in (
        ["train", "tokenizer", root / "docs", root / "tokenizer", "--vocab-size", 400],
        ["tokenize", root / "docs", root / "tokens", "--tokenizer", root / "tokenizer"],
        ["shard", root / "tokens", root / "blocks", "--block-tokens", 64],
        ["train", "transformer", root / "blocks", root / "model", "--size", "layers=1,width=32", "--steps", 60],
    ):
        assert main(["--quiet", *map(str, words), "--executor", "serial"]) == 0
    return root / "model"


def trained(model: Path, texts: Path, out: Path, valid: Path | None = None, **options: Any) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    stage.train(model, texts, valid, stage.Options(**options), out)
    return dict(json.loads((out / "report.json").read_text(), parse_constant=pytest.fail))


@pytest.mark.parametrize("frozen", [True, False])
def test_it_tells_the_kinds_apart(model: Path, tmp_path: Path, frozen: bool) -> None:
    texts = written(tmp_path / "texts.jsonl", reviews(600))
    found = trained(model, texts, tmp_path / "out", frozen=frozen)
    assert found["accuracy"] > 0.93 > 0.65 > found["majority"]
    assert found["interval"][0] < found["accuracy"] < found["interval"][1] or found["accuracy"] == 1.0
    assert found["learnt_from"] + found["texts"] == 600
    assert 30 < found["texts"] < 90


def test_frozen_leaves_the_network_as_it_is(model: Path, tmp_path: Path) -> None:
    from corpuskit.lm import checkpoint

    texts = written(tmp_path / "texts.jsonl", reviews(100))
    before = network.load_net(model).state_dict()
    for name, frozen in (("frozen", True), ("tuned", False)):
        trained(model, texts, tmp_path / name, frozen=frozen)
        after, _ = checkpoint.load_tensors(tmp_path / name / "model.safetensors")
        same = all(torch.equal(after[f"net.{key}"], value) for key, value in before.items())
        assert same == frozen


def test_the_same_bytes_for_any_number_of_cores(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from corpuskit.lm import device

    texts = written(tmp_path / "texts.jsonl", reviews(100))
    for cores in (1, 2):
        monkeypatch.setattr(device, "_cores", lambda cores=cores: cores)
        trained(model, texts, tmp_path / str(cores), epochs=1)
    for name in ("model.safetensors", "report.json", "model.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_valid_texts_are_measured_on_and_not_learnt_from(model: Path, tmp_path: Path) -> None:
    texts, valid = written(tmp_path / "a.jsonl", reviews(200)), written(tmp_path / "b.jsonl", reviews(80, seed=3))
    found = trained(model, texts, tmp_path / "out", valid, frozen=True)
    assert (found["learnt_from"], found["texts"]) == (200, 80)


def test_a_folder_of_tables_with_other_columns_is_read(model: Path, tmp_path: Path) -> None:
    rows = reviews(120)
    (tmp_path / "set").mkdir()
    table = pa.table({"sentence": [row["text"] for row in rows], "kind": [("no", "yes")[row["label"]] for row in rows]})
    pq.write_table(table.slice(0, 60), tmp_path / "set" / "train-0.parquet")
    pq.write_table(table.slice(60), tmp_path / "set" / "train-1.parquet")
    found = trained(model, tmp_path / "set", tmp_path / "out", text="sentence", label="kind", frozen=True)
    assert list(found["classes"]) == ["no", "yes"]
    assert found["learnt_from"] + found["texts"] == 120


def test_rows_without_a_label_are_counted_and_left_out(
    model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [*reviews(60), {"text": "a"}, {"label": 1}, {"text": None, "label": 0}]
    found = trained(model, written(tmp_path / "texts.jsonl", rows), tmp_path / "out", frozen=True)
    assert found["learnt_from"] + found["texts"] == 60
    assert "3 rows have no text or no label" in caplog.text


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"text": "a", "label": 1}] * 9, "at least two labels to learn from, found 1"),
        ([], "at least two labels to learn from, found none"),
        ([{"sentence": "a", "kind": 1}], "no row has a text `text` and a label `label`; it has sentence, kind"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(
    model: Path, tmp_path: Path, rows: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(BadData, match=says):
        trained(model, written(tmp_path / "texts.jsonl", rows), tmp_path / "out")


def test_labels_that_only_valid_has_are_refused(model: Path, tmp_path: Path) -> None:
    texts = written(tmp_path / "a.jsonl", reviews(50))
    valid = written(tmp_path / "b.jsonl", [{"text": "x", "label": "odd"}])
    with pytest.raises(BadData, match="labels that TEXTS has not: odd"):
        trained(model, texts, tmp_path / "out", valid)


def test_padding_has_no_say(model: Path) -> None:
    made = classifier.Classifier(network.load_net(model), 2)
    texts = [np.arange(5, 25), np.arange(7, 10), np.empty(0, np.int64)]
    together = made.vectors(*classifier._padded(made, texts, torch.device("cpu")))
    for row, text in enumerate(texts):
        alone = made.vectors(*classifier._padded(made, [text], torch.device("cpu")))
        assert torch.allclose(together[row], alone[0], atol=1e-5)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_measures_are_those_of_their_definitions(pairs: list[tuple[int, int]]) -> None:
    wanted, found = np.array(pairs).T
    report = classifier.measure(wanted, found, ["a", "b", "c"])
    assert report["accuracy"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    for at, name in enumerate("abc"):
        true = sum(a == b == at for a, b in pairs)
        precision = true / max(1, sum(b == at for _, b in pairs))
        recall = true / max(1, sum(a == at for a, _ in pairs))
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        mine = report["classes"][name]
        assert (mine["precision"], mine["recall"]) == (pytest.approx(precision), pytest.approx(recall))
        assert mine["f1"] == pytest.approx(f1)
    assert report["macro"]["f1"] == pytest.approx(np.mean([each["f1"] for each in report["classes"].values()]))


def test_the_command_draws_the_classes(model: Path, tmp_path: Path, corpuskit: Any) -> None:
    texts = written(tmp_path / "texts.jsonl", reviews(80))
    result = corpuskit("train", "classifier", model, texts, tmp_path / "out", "--frozen")
    assert result.code == 0, result.err
    assert "accuracy" in result.out
    assert "macro" in result.out
    assert corpuskit("show", tmp_path / "out").code == 0
    assert corpuskit("verify", tmp_path / "out").code == 0
