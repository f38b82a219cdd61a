"""Dedup as the runner runs it: the index of earlier snapshots, any executor, policies, presets, what it tells."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasketch
import numpy as np
import pytest

from corpuskit import dataset
from corpuskit.cli import main
from corpuskit.errors import CannotCreate, CorpuskitError, NoInput, UsageError
from corpuskit.executors.serial import run as serial
from corpuskit.pipeline import Outcome, run_stage
from corpuskit.plan import foresight, plan_stage, state
from corpuskit.schema import DOCS
from corpuskit.sketch import index as indexes
from corpuskit.sketch.minhash import to_datasketch
from corpuskit.verify import problems
from tests.build import hashes, load, reshard, write_docs, write_table
from tests.data import shared
from tests.test_dedup import Row, edited, similarity


def dedup(docs: Path, out: Path, **options: Any) -> Outcome:
    outcome = run_stage(plan_stage("dedup", options, {"docs": [str(docs)]}, str(out)), serial)
    assert list(problems(str(out))) == []
    return outcome


def drops(out: Path) -> dict[str, tuple[Any, ...]]:
    rows = load(out, "dropped").to_pylist()
    return {row["id"]: (row["drop"], row["drop_kept_id"], row["drop_similarity"]) for row in rows}


def kept(out: Path) -> list[str]:
    return sorted(load(out)["id"].to_pylist())


def of(prefix: str, rows: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    return {name: why for name, why in rows.items() if name.startswith(prefix)}


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three snapshots of real articles, "a", "b", "c", with edits and copies of each other; and several together."""
    rng = random.Random(3)
    with gzip.open(shared("lm/wikitext-2.train.txt.gz"), "rt", encoding="utf-8") as file:
        lines = file.read(1_500_000).split("\n")
    texts = ["\n".join(lines[at : at + 12]) for at in range(0, len(lines), 12)][:240]
    parts: dict[str, list[str]] = {"a": texts[:110], "b": texts[90:180], "c": texts[60:100] + texts[170:]}
    for own in parts.values():
        own += [edited(rng.choice(texts), every, rng) for every in (400, 100, 60, 40, 20) for _ in range(14)]
        own += [" \n".join(rng.choice(own).split(" ")) for _ in range(12)] + ["Chapter 1", "Chapter 1", ""]
    rows = {
        name: [{"id": f"{name}{at:03d}", "text": text} for at, text in enumerate(rng.sample(own, len(own)))]
        for name, own in parts.items()
    }
    home = tmp_path_factory.mktemp("snapshots")
    return {
        names: write_docs(home / names, [row for name in names for row in rows[name]], shards=2)
        for names in ("a", "b", "c", "ab", "abc", "bc")
    }


# The index


def test_dedup_against_the_index_of_a_drops_what_dedup_of_both_drops(
    snapshots: dict[str, Path], tmp_path: Path
) -> None:
    dedup(snapshots["a"], tmp_path / "a", index=str(tmp_path / "index"), snapshot="a")
    dedup(snapshots["b"], tmp_path / "b", index=str(tmp_path / "index"), snapshot="b")
    dedup(snapshots["ab"], tmp_path / "ab")
    together = drops(tmp_path / "ab")
    assert drops(tmp_path / "a") == of("a", together)
    assert drops(tmp_path / "b") == of("b", together)
    assert len(of("b", together)) > 60
    assert {why[0] for why in of("b", together).values()} == {"exact_duplicate", "near_duplicate"}


def test_a_third_snapshot_is_deduplicated_as_all_three_together(snapshots: dict[str, Path], tmp_path: Path) -> None:
    for name in "abc":
        dedup(snapshots[name], tmp_path / name, index=str(tmp_path / "index"), snapshot=name)
    dedup(snapshots["abc"], tmp_path / "abc")
    assert drops(tmp_path / "c") == of("c", drops(tmp_path / "abc"))


def test_a_drop_names_the_snapshot_of_what_is_kept(snapshots: dict[str, Path], tmp_path: Path) -> None:
    for name in "abc":
        dedup(snapshots[name], tmp_path / name, index=str(tmp_path / "index"), snapshot=name)
    named = {(row["drop_kept_id"][0], row["drop_snapshot"]) for row in load(tmp_path / "c", "dropped").to_pylist()}
    assert named == {("a", "a"), ("b", "b"), ("c", None)}


def test_against_looks_at_the_snapshots_that_it_names(snapshots: dict[str, Path], tmp_path: Path) -> None:
    for name in "ab":
        dedup(snapshots[name], tmp_path / name, index=str(tmp_path / "index"), snapshot=name, against=[])
    dedup(snapshots["b"], tmp_path / "alone", index=str(tmp_path / "index_b"), snapshot="b")
    dedup(snapshots["c"], tmp_path / "c", index=str(tmp_path / "index"), snapshot="c", against=["a"])
    assert {row["drop_snapshot"] for row in load(tmp_path / "c", "dropped").to_pylist()} == {None, "a"}


def test_what_stood_in_a_removed_snapshot_is_forgotten(snapshots: dict[str, Path], tmp_path: Path) -> None:
    for name in "ab":
        dedup(snapshots[name], tmp_path / name, index=str(tmp_path / "index"), snapshot=name)
    indexes.remove(str(tmp_path / "index"), "a")
    assert indexes.names(str(tmp_path / "index")) == ["b"]
    dedup(snapshots["c"], tmp_path / "c", index=str(tmp_path / "index"), snapshot="c")
    assert {row["drop_snapshot"] for row in load(tmp_path / "c", "dropped").to_pylist()} == {None, "b"}


def test_a_finished_run_stays_finished_when_its_snapshot_is_there(snapshots: dict[str, Path], tmp_path: Path) -> None:
    options = {"index": str(tmp_path / "index")}
    dedup(snapshots["a"], tmp_path / "a", **options)
    dedup(snapshots["b"], tmp_path / "b", **options)
    for name in "ab":
        plan = plan_stage("dedup", options, {"docs": [str(snapshots[name])]}, str(tmp_path / name))
        assert state(plan)[0] == "done"


def test_the_same_snapshot_again_changes_nothing(snapshots: dict[str, Path], tmp_path: Path) -> None:
    options = {"index": str(tmp_path / "index"), "snapshot": "a"}
    dedup(snapshots["a"], tmp_path / "one", **options)
    before = hashes(tmp_path / "index")
    dedup(snapshots["a"], tmp_path / "two", **options)
    assert hashes(tmp_path / "index") == before
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


def test_the_index_has_the_same_bytes_for_any_shards(snapshots: dict[str, Path], tmp_path: Path) -> None:
    for shards in (1, 5):
        docs = reshard(snapshots["b"], tmp_path / f"docs{shards}", shards=shards, batch_rows=9)
        dedup(snapshots["a"], tmp_path / f"a{shards}", index=str(tmp_path / f"index{shards}"), snapshot="a")
        dedup(docs, tmp_path / f"b{shards}", index=str(tmp_path / f"index{shards}"), snapshot="b")
    assert hashes(tmp_path / "index1") == hashes(tmp_path / "index5")


def test_another_snapshot_of_a_name_is_refused_and_leaves_the_index_alone(
    snapshots: dict[str, Path], tmp_path: Path
) -> None:
    dedup(snapshots["a"], tmp_path / "a", index=str(tmp_path / "index"), snapshot="x")
    before = hashes(tmp_path / "index")
    with pytest.raises(CannotCreate, match="another snapshot `x`"):
        dedup(snapshots["b"], tmp_path / "b", index=str(tmp_path / "index"), snapshot="x")
    assert hashes(tmp_path / "index") == before


def test_an_index_of_other_bands_is_refused_before_anything_runs(snapshots: dict[str, Path], tmp_path: Path) -> None:
    dedup(snapshots["a"], tmp_path / "a", index=str(tmp_path / "index"), snapshot="a")
    with pytest.raises(UsageError, match="snapshot `a` was made with bands = 14, not 20"):
        dedup(snapshots["b"], tmp_path / "b", index=str(tmp_path / "index"), preset="loose")
    assert not (tmp_path / "b").exists()


def test_a_snapshot_that_is_not_there_is_named(snapshots: dict[str, Path], tmp_path: Path) -> None:
    dedup(snapshots["a"], tmp_path / "a", index=str(tmp_path / "index"), snapshot="a")
    with pytest.raises(NoInput, match="no snapshot `z`; name one of those that it holds: a"):
        dedup(snapshots["b"], tmp_path / "b", index=str(tmp_path / "index"), against=["z"])


@pytest.mark.parametrize(
    "options", [{"snapshot": "a"}, {"against": ["a"]}, {"index": "x", "snapshot": "../a"}, {"index": "s3://x"}]
)
def test_names_without_an_index_or_with_a_path_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    docs = write_docs(tmp_path / "docs", [{"id": "a", "text": "b"}])
    with pytest.raises(UsageError):
        dedup(docs, tmp_path / "out", **options)


def test_damage_to_a_snapshot_is_found(snapshots: dict[str, Path], tmp_path: Path) -> None:
    folder = str(tmp_path / "index")
    dedup(snapshots["a"], tmp_path / "a", index=folder, snapshot="a")
    assert indexes.damage(folder, "a") == []
    file = tmp_path / "index" / "a" / "bands.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert indexes.damage(folder, "a") == [str(file)]
    file.write_bytes(data[:-8])
    with pytest.raises(CorpuskitError, match="another size"):
        dedup(snapshots["b"], tmp_path / "b", index=folder)


@pytest.mark.parametrize("seed", range(8))
def test_random_texts_are_deduplicated_against_an_index_as_together(seed: int, tmp_path: Path) -> None:
    """Few words and bands of one row: all meet, many are kept, bands are full, sets are equal under other texts."""
    rng = random.Random(seed)
    rows = {
        name: [
            {"id": f"{name}{at}", "text": " ".join(rng.choices("abcdefgh", k=rng.choice((0, 1, 4, 7, 9, 12))))}
            for at in range(70)
        ]
        for name in "abc"
    }
    options: dict[str, Any] = {"bands": 30, "rows": 1, "shingle_words": 2, "min_similarity": 0.5}
    for name in "abc":
        docs = write_docs(tmp_path / f"docs-{name}", rows[name], shards=2)
        dedup(docs, tmp_path / name, index=str(tmp_path / "index"), snapshot=name, **options)
    docs = write_docs(tmp_path / "docs", [row for name in "abc" for row in rows[name]], shards=3)
    dedup(docs, tmp_path / "all", **options)
    together = drops(tmp_path / "all")
    for name in "abc":
        assert drops(tmp_path / name) == of(name, together)


def test_snapshots_without_documents_are_snapshots_too(tmp_path: Path) -> None:
    options = {"index": str(tmp_path / "index")}
    for name, texts in (("a", []), ("b", ["", "x"]), ("c", []), ("d", ["x ", "y"])):
        docs = write_docs(tmp_path / f"docs-{name}", [{"id": f"{name}{at}", "text": t} for at, t in enumerate(texts)])
        dedup(docs, tmp_path / name, snapshot=name, **options)
    assert indexes.names(str(tmp_path / "index")) == ["a", "b", "c", "d"]
    assert drops(tmp_path / "d") == {"d0": ("exact_duplicate", "b1", 1.0)}


# Any executor, any interruption


def run_b(snapshots: dict[str, Path], root: Path, *how: object) -> None:
    """Deduplicate b against the index of a, by the command line; a is deduplicated in this process."""
    dedup(snapshots["a"], root / "a", index=str(root / "index"), snapshot="a")
    words = ["dedup", snapshots["b"], root / "b", "--index", root / "index", "--snapshot", "b", *how]
    assert main(["--quiet", *map(str, words)]) == 0


def test_serial_pool_and_ray_write_the_same_bytes(snapshots: dict[str, Path], tmp_path: Path) -> None:
    run_b(snapshots, tmp_path / "serial", "--executor", "serial")
    for workers in (2, 3):
        run_b(snapshots, tmp_path / f"pool{workers}", "--workers", workers)
        assert hashes(tmp_path / f"pool{workers}") == hashes(tmp_path / "serial")
    pytest.importorskip("ray", reason="needs the extra `ray`")
    run_b(snapshots, tmp_path / "ray", "--executor", "ray", "--workers", 2)
    assert hashes(tmp_path / "ray") == hashes(tmp_path / "serial")


def test_after_kill_9_at_random_points_a_rerun_ends_with_the_same_bytes(
    snapshots: dict[str, Path], tmp_path: Path
) -> None:
    run_b(snapshots, tmp_path / "whole", "--executor", "serial")
    dedup(snapshots["a"], tmp_path / "cut" / "a", index=str(tmp_path / "cut" / "index"), snapshot="a")
    words = ["dedup", snapshots["b"], tmp_path / "cut" / "b", "--index", tmp_path / "cut" / "index", "--snapshot", "b"]
    rng, kills = random.Random(5), 0
    while True:
        child = subprocess.Popen([sys.executable, "-m", "corpuskit", *map(str, words), "--workers", "2"])
        try:
            assert child.wait(timeout=rng.uniform(0.5, 2.5) if kills < 6 else None) == 0
            if kills >= 3:
                break
            shutil.rmtree(tmp_path / "cut" / "b")  # done sooner than expected: again, its snapshot is there
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            kills += 1
            assert indexes.names(str(tmp_path / "cut" / "index")) in (["a"], ["a", "b"])
    assert hashes(tmp_path / "cut") == hashes(tmp_path / "whole")


# Policies


def near(*more: dict[str, Any]) -> list[Row]:
    """Give near-duplicates, each with one word more than the one before, and columns of their own."""
    base = [f"{'abcdefghij'[at // 26]}{chr(97 + at % 26)}x" for at in range(200)]
    return [{"id": f"d{at}", "text": " ".join([*base, *["more"] * at]), **each} for at, each in enumerate(more)]


@pytest.mark.parametrize(
    ("keep", "stays"),
    [("first", "d0"), ("longest", "d2"), ("newest", "d1"), ("score", "d1"), ("score=language_score", "d2")],
)
def test_the_document_of_the_policy_stays(keep: str, stays: str, tmp_path: Path) -> None:
    import pyarrow as pa

    rows = near(
        {"date": "2026-01-31T10:00:00Z", "score": 0.5, "language_score": None},
        {"date": "2026-02-01", "score": 0.75, "language_score": float("nan")},
        {"date": None, "score": None, "language_score": -1.0},
    )
    docs = tmp_path / "docs"
    schema = pa.schema([*DOCS, ("score", pa.float64()), ("language_score", pa.float64())])
    write_table(docs, {"docs": pa.Table.from_pylist(rows, schema=schema)}, shards=2, batch_rows=1)
    dedup(docs, tmp_path / "out", keep=keep)
    assert kept(tmp_path / "out") == [stays]
    assert {why[1] for why in drops(tmp_path / "out").values()} == {stays}


@pytest.mark.parametrize("keep", ["longest", "newest"])
def test_every_drop_is_similar_enough_to_a_kept_document_with_any_policy(
    keep: str, snapshots: dict[str, Path], tmp_path: Path
) -> None:
    dedup(snapshots["ab"], tmp_path / "out", keep=keep)
    texts = {row["id"]: row["text"] for row in load(snapshots["ab"]).to_pylist()}
    stay = set(kept(tmp_path / "out"))
    assert len(drops(tmp_path / "out")) > 100
    for name, (why, other, told) in drops(tmp_path / "out").items():
        assert other in stay
        if why == "near_duplicate":
            assert told == pytest.approx(similarity(texts[name], texts[other]), abs=1e-6)
            assert told >= 0.8


def test_a_policy_without_its_column_is_refused(tmp_path: Path) -> None:
    docs = write_docs(tmp_path / "docs", near({}, {}))
    with pytest.raises(UsageError, match="no column `quality`"):
        dedup(docs, tmp_path / "out", keep="score=quality")
    with pytest.raises(UsageError, match="expected first, longest, newest"):
        dedup(docs, tmp_path / "out", keep="oldest")


# What it tells


def test_the_manifest_tells_the_s_curve_and_the_clusters(tmp_path: Path) -> None:
    docs = write_docs(tmp_path / "docs", [*near({}, {}, {}), {"id": "x", "text": "two"}, {"id": "y", "text": "two"}])
    figures: Any = dedup(docs, tmp_path / "out").manifest.figures
    assert figures["s_curve"]["0.80"] == 0.9235
    assert figures["clusters"] == {
        "count": 2,
        "documents": 5,
        "histogram": {"2": 1, "3-4": 1},
        "largest": [{"id": "d0", "size": 3}, {"id": "x", "size": 2}],
        "repeats_of_earlier_snapshots": 0,
    }


def test_kept_documents_say_for_how_many_they_stand(tmp_path: Path) -> None:
    docs = write_docs(tmp_path / "docs", [{"id": "w", "text": "one"}, *near({}, {}, {})], shards=2)
    dedup(docs, tmp_path / "out")
    assert {row["id"]: row["cluster_size"] for row in load(tmp_path / "out").to_pylist()} == {"w": 1, "d0": 3}


def test_saved_signatures_are_datasketchs(snapshots: dict[str, Path], tmp_path: Path) -> None:
    dedup(snapshots["a"], tmp_path / "out", save_signatures=True)
    column = load(tmp_path / "out")["signature"].combine_chunks()
    index = datasketch.MinHashLSH(num_perm=112, params=(14, 8))
    for name, sketch in zip(load(tmp_path / "out")["id"].to_pylist(), to_datasketch(column), strict=True):
        index.insert(name, sketch)
    assert np.asarray(column[0].as_py()).shape == (112,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "14 bands of 8 rows see 5.33 % at .5, 21.11 % at .6, 56.45 % at .7, 92.35 % at .8, 99.96 % at .9"),
        ({"preset": "loose"}, "20 bands of 5 rows see"),
        ({"preset": "strict"}, "a duplicate has at least 0.9"),
        ({"threshold": 0.7}, "a duplicate has at least 0.7"),
        ({"bands": 5, "rows": 3, "min_similarity": 0.6}, "5 bands of 3 rows see"),
    ],
)
def test_a_plan_tells_the_s_curve_and_the_needs(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    docs = write_docs(tmp_path / "docs", near({}, {}))
    curve, needs = foresight(plan_stage("dedup", options, {"docs": [str(docs)]}, str(tmp_path / "out")))
    assert words in curve
    assert needs.startswith("2 documents, 0 MB: up to ")
    assert " of disk while it runs" in needs


def test_the_manifest_is_read_without_figures_too(snapshots: dict[str, Path]) -> None:
    text = json.loads((snapshots["a"] / "manifest.json").read_text())
    assert "figures" not in text
    assert dataset.read_manifest(str(snapshots["a"])).figures is not None


# What a person sees


def test_show_tells_the_s_curve_and_the_clusters(tmp_path: Path, corpuskit: Any) -> None:
    docs = write_docs(tmp_path / "docs", near({}, {}, {}))
    dedup(docs, tmp_path / "out")
    shown = corpuskit("show", tmp_path / "out")
    assert "14 x 8, at least 0.8; pairs seen: .40 0.9%" in shown.out
    assert "clusters:  1 of 3 documents, by size 3-4: 1" in shown.out


def test_show_prints_the_largest_clusters_with_a_sample(tmp_path: Path, corpuskit: Any) -> None:
    docs = write_docs(tmp_path / "docs", [*near({}, {}, {}), {"id": "x", "text": "two"}, {"id": "y", "text": "two "}])
    dedup(docs, tmp_path / "out")
    shown = corpuskit("show", tmp_path / "out", "--clusters").out
    assert "3 documents, d0 stays: aax abx" in shown
    assert "2 documents, x stays: two\n  1.000 y: two\n" in shown
    told = json.loads(corpuskit("show", tmp_path / "out", "--clusters", "--json").out)
    assert [(each["id"], each["size"], each["dropped"]["id"]) for each in told["largest"]] == [
        ("d0", 3, "d2"),
        ("x", 2, "y"),
    ]


@pytest.mark.parametrize("id", ["d0", "d2"])
def test_show_prints_the_cluster_of_any_of_its_documents(id: str, tmp_path: Path, corpuskit: Any) -> None:
    docs = write_docs(tmp_path / "docs", [*near({}, {}, {}), {"id": "x", "text": "two"}])
    dedup(docs, tmp_path / "out")
    rows = json.loads(corpuskit("show", tmp_path / "out", "--cluster", id, "--json").out)
    assert [(row["id"], row.get("drop_kept_id")) for row in rows] == [("d0", None), ("d1", "d0"), ("d2", "d0")]
    assert corpuskit("show", tmp_path / "out", "--cluster", id).out.count("\n\n") >= 2


def test_a_cluster_that_is_not_there_is_an_error(tmp_path: Path, corpuskit: Any) -> None:
    dedup(write_docs(tmp_path / "docs", near({}, {})), tmp_path / "out")
    shown = corpuskit("show", tmp_path / "out", "--cluster", "nobody")
    assert (shown.code, "no document `nobody`" in shown.err) == (66, True)
    shown = corpuskit("show", tmp_path / "docs", "--clusters")
    assert (shown.code, "written by `test`, not by `dedup`" in shown.err) == (2, True)


def test_the_index_is_listed_and_a_snapshot_removed(tmp_path: Path, corpuskit: Any) -> None:
    docs = write_docs(tmp_path / "docs", near({}, {}))
    for name in ("2026-08", "2026-09"):
        dedup(docs, tmp_path / name, index=str(tmp_path / "index"), snapshot=name)
    listed = corpuskit("index", tmp_path / "index", "--check").out.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["2026-08", "1"], ["2026-09", "0"]]
    assert listed[2].endswith("2026-08")
    assert corpuskit("index", tmp_path / "index", "--remove", "2026-08").out.splitlines()[1:] == [listed[2]]
    gone = corpuskit("index", tmp_path / "index", "--remove", "2026-08")
    assert (gone.code, "holds no snapshot `2026-08`" in gone.err) == (66, True)
