"""`compare`: the same budget, no learning from what is held out, and a verdict that is as sure as it says."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from corpuskit.errors import UsageError
from corpuskit.schema import DOCS, rows_to_batch
from corpuskit.stage import Apart
from corpuskit.stages import compare as stage
from tests.build import prose, write_docs

pytest.importorskip("torch", reason="needs the extra `train`")
ablation = pytest.importorskip("corpuskit.lm.ablation")

BOILERPLATE = "click here to accept all cookies and subscribe to our newsletter now share this page on all networks "


def docs(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_batches([rows_to_batch(rows, DOCS)])


def good(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Documents of a little language of its own, in which words follow words by rules."""
    rng = random.Random(seed)
    follows = {at: [(7 * at + k * k + 3) % 240 for k in range(6)] for at in range(240)}
    rows = []
    for number in range(count):
        at, words = rng.randrange(240), []
        for _ in range(rng.randint(60, 140)):
            words.append("".join("bdfgklmnprst"[at // d % 12] + "aeiou"[at // d % 5] for d in (1, 12)))
            at = rng.choice(follows[at])
        rows.append({"id": f"doc-{seed}-{number}", "text": " ".join(words)})
    return rows


def damaged(rows: list[dict[str, Any]], seed: int = 1) -> list[dict[str, Any]]:
    """Plant copies (30 % of the pages) and boilerplate (20 %)."""
    rng = random.Random(seed)
    found = [dict(row) for row in rows]
    for row in rng.sample(found, len(found) // 5):
        row["text"] = BOILERPLATE * 4 + row["text"]
    some = rng.sample(rows, len(rows) // 20)
    copies = [{"id": f"copy-{at}", "text": rng.choice(some)["text"]} for at in range(round(len(rows) * 0.3 / 0.7))]
    return found + copies


def compared(out: Path, heldout: pa.Table | None = None, **corpora: pa.Table) -> Any:
    def run(**options: Any) -> dict[str, Any]:
        out.mkdir(exist_ok=True)
        stage.compare(Apart(corpora), heldout, stage.Options(**options), out)
        return dict(json.loads((out / "report.json").read_text(), parse_constant=pytest.fail))

    return run


SMALL = {"tokens": 30_000, "vocab_size": 400, "block_tokens": 64, "size": "layers=1,width=32", "order": 3}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    rows = good(1200)
    run = compared(
        tmp_path_factory.mktemp("compare"), docs(good(60, seed=9)), damaged=docs(damaged(rows)), clean=docs(rows)
    )
    return dict(run(**SMALL | {"tokens": 60_000, "size": "layers=1,width=64"}))


def test_clean_text_is_ranked_above_the_same_with_copies_and_boilerplate(report: dict[str, Any]) -> None:
    assert [each["model"] for each in report["differences"]] == ["ngram", "transformer"]
    for each in report["differences"]:
        assert each["corpora"] == ["damaged", "clean"]
        assert each["better"] == "clean"
        assert 0 < each["interval"][0] < each["bits_per_byte"] < each["interval"][1]


def test_every_model_reads_as_much(report: dict[str, Any]) -> None:
    assert (report["tokens"], report["seeds"]) == (60_000, 3)
    assert all(each["passes"] <= 1 for each in report["corpora"].values())
    for by_corpus in report["models"].values():
        for each in by_corpus.values():
            assert each["bits_per_byte"] == pytest.approx(np.mean(each["each"]))
            assert each["spread"] == pytest.approx(np.std(each["each"], ddof=1))


def test_halves_of_one_corpus_are_told_apart_by_nothing(tmp_path: Path) -> None:
    rows = good(600)
    run = compared(tmp_path, docs(good(60, seed=9)), one=docs(rows[::2]), other=docs(rows[1::2]))
    found = run(**SMALL, models="ngram")
    assert [each["better"] for each in found["differences"]] == [None]


def test_what_is_held_out_and_its_copies_are_not_learnt_from(tmp_path: Path) -> None:
    held = good(30, seed=9)
    copies = [{"id": f"copy-{at}", "text": row["text"] + " and more"} for at, row in enumerate(held)]
    rows = good(200)
    run = compared(tmp_path, docs(held), plain=docs(rows), leaking=docs(rows + copies + held))
    found = run(**SMALL | {"tokens": 60_000}, models="ngram", seeds=2)
    assert found["corpora"]["plain"]["left_out"] == [0, 0]
    assert min(found["corpora"]["leaking"]["left_out"]) > 20
    assert abs(found["differences"][0]["bits_per_byte"]) < 0.05


def test_without_heldout_a_part_of_the_last_corpus_is_held_out_of_all(tmp_path: Path) -> None:
    rows = good(300)
    found = compared(tmp_path, raw=docs(damaged(rows)), clean=docs(rows))(**SMALL, models="ngram", seeds=2)
    assert 10 < found["heldout"]["documents"] < 60
    assert all(max(each["left_out"]) > 0 for each in found["corpora"].values())


def test_an_interrupted_comparison_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = good(200)
    corpora = {"raw": docs(damaged(rows)), "clean": docs(rows)}
    held = docs(good(20, seed=9))
    whole = compared(tmp_path / "whole", held, **corpora)(**SMALL, seeds=2)
    trained = []

    def count(name: str) -> Any:
        train = getattr(ablation, name)

        def counted(*words: Any) -> Any:
            trained.append(name)
            if len(trained) == 4:
                raise KeyboardInterrupt
            return train(*words)

        return counted

    for name in ("train_ngram", "train_transformer"):
        monkeypatch.setattr(ablation, name, count(name))
    run = compared(tmp_path / "cut", held, **corpora)
    with pytest.raises(KeyboardInterrupt):
        run(**SMALL, seeds=2)
    assert run(**SMALL, seeds=2) == whole
    assert len(trained) == 4 + 5  # three were done; the fourth and the four of the second seed came after
    assert sorted(path.name for path in (tmp_path / "cut").rglob("*") if path.is_file()) == sorted(
        path.name for path in (tmp_path / "whole").rglob("*") if path.is_file()
    )


def test_a_corpus_that_is_too_small_is_read_again_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = compared(tmp_path, docs(good(20, seed=9)), few=docs(good(30)), many=docs(good(300)))
    found = run(**SMALL, models="ngram", seeds=2)
    assert found["corpora"]["few"]["passes"] > 1
    assert "`few` has fewer tokens" in caplog.text


@pytest.mark.parametrize(
    ("corpora", "options", "says"),
    [
        (2, {"name": ("a",)}, "expected 2 different names"),
        (2, {"name": ("a", "a")}, "expected 2 different names"),
        (2, {"name": ("a", "b/c")}, "can be a file's name"),
    ],
)
def test_what_cannot_be_compared_is_refused(corpora: int, options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        compared(tmp_path, **{f"c{at}": docs(good(20)) for at in range(corpora)})(**options)


def test_the_interval_of_a_difference_holds_seeds_and_documents() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(400, 600, 2000)
    records = [
        {
            "model": "ngram",
            "corpus": name,
            "seed": seed,
            "nats": (sizes * (level + shift + rng.normal(0, 0.1, 2000))).tolist(),
        }
        for seed, shift in enumerate((0.0, 0.3, -0.3))
        for name, level in (("a", 0.70), ("b", 0.75))
    ]
    (found,) = ablation.differences(records, sizes)
    assert found["bits_per_byte"] == pytest.approx(-0.05 / math.log(2), abs=0.01)
    assert found["better"] == "a"  # what a seed does to both is no difference between them
    for record in records:
        if record["corpus"] == "b":
            record["nats"] = (np.array(record["nats"]) + sizes * 0.2 * record["seed"]).tolist()
    assert ablation.differences(records, sizes)[0]["better"] is None


def test_the_command_draws_the_table_and_names_corpora_by_their_stages(tmp_path: Path, corpuskit: Any) -> None:
    write_docs(tmp_path / "raw", prose(200))
    assert corpuskit("clean", tmp_path / "raw", tmp_path / "clean", "--preset", "none").code == 0
    words = ("--tokens", 3000, "--vocab-size", 300, "--models", "ngram", "--seeds", 2)
    result = corpuskit("compare", tmp_path / "raw", tmp_path / "clean", tmp_path / "clean", tmp_path / "out", *words)
    assert result.code == 0, result.err
    assert [line.split(" ")[0] for line in result.out.splitlines()[2:5]] == ["test", "clean", "clean-2"]
    assert "clean - clean-2" in result.out
    assert "no difference is shown" in result.out
    assert corpuskit("show", tmp_path / "out").code == 0
