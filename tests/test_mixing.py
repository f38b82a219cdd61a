"""`shard --weight` and `--shard-bytes`: how often documents are taken, what the books say, and how large files are."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit import dataset
from corpuskit.dataset import Manifest
from corpuskit.errors import UsageError
from corpuskit.schema import tokens_schema
from corpuskit.tokens import mixing, packing
from corpuskit.tokens.columns import flatten
from tests.build import hashes, load, reshard, write_table
from tests.test_shard import END

SOURCES = ["books", "web", None]


def table(count: int = 3000) -> pa.Table:
    """Give documents whose first token is their number, in turn of books, of the web, and of nobody."""
    rows = [
        {"id": f"doc-{at}", "input_ids": [1 + at, 7, END], "bytes": 2, "source": SOURCES[at % 3], "language": None}
        for at in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=tokens_schema(60_000))


def taken(out: Path, split: str) -> Counter[int]:
    """Count how often each document is in a split, blocks being of 3 tokens: a document each."""
    ids = flatten(load(out, split).column("input_ids"))[0].reshape(-1, 3)
    return Counter((ids[:, 0].astype(int) - 1).tolist())


@pytest.fixture
def mix(corpuskit: Any, tmp_path: Path) -> Any:
    """Run `shard` with weights; gives the folder and its manifest."""
    write_table(tmp_path / "tokens", {"tokens": table()}, shards=3, batch_rows=100)

    def run(name: str, *words: object, source: Path | None = None) -> tuple[Path, Manifest]:
        given = ["--block-tokens", 3, "--valid-fraction", 0.2, *words]
        result = corpuskit("shard", source or tmp_path / "tokens", tmp_path / name, *given)
        assert result.code == 0, result.err
        return tmp_path / name, dataset.read_manifest(str(tmp_path / name))

    return run


def test_a_weight_leaves_a_share_out_and_repeats_others(mix: Any) -> None:
    out, _ = mix("out", "--weight", "books=0.25", "--weight", "web=2.5")
    train = taken(out, "train")
    books, web, others = ([train[at] for at in train if at % 3 == source] for source in range(3))
    assert 150 < len(books) < 250
    assert set(books) == {1}
    assert set(web) == {2, 3}
    assert 320 < web.count(3) < 480
    assert set(others) == {1}


def test_held_out_documents_are_there_once_and_never_in_train(mix: Any) -> None:
    plain, _ = mix("plain")
    mixed, _ = mix("mixed", "--weight", "books=0", "--weight", "web=3")
    assert taken(mixed, "valid") == taken(plain, "valid")
    assert set(taken(mixed, "valid").values()) == {1}
    assert not set(taken(mixed, "valid")) & set(taken(mixed, "train"))


@pytest.mark.parametrize("pack", ["concat", "best-fit"])
def test_the_ledger_adds_up_and_tells_what_is_left_out(mix: Any, corpuskit: Any, pack: str) -> None:
    out, manifest = mix("out", "--weight", "books=0.5", "--weight", "web=2.5", "--pack", pack)
    ledger = manifest.ledger
    assert ledger.rows_in == 9000
    assert ledger.adds_up
    train = load(out, "train")
    repeated = sum(train.column("repeated").to_pylist())
    padding = sum(train.column("padding").to_pylist()) if pack == "best-fit" else 0
    places = 3 * (train.num_rows + load(out, "valid").num_rows)
    assert places - padding - repeated == ledger.kept
    web = manifest.figures["sources"]["web"]["train"]
    assert repeated == web["tokens"] - web["tokens_in"]
    books = manifest.figures["sources"]["books"]["train"]
    assert ledger.dropped["weight"] == books["tokens_in"] - books["tokens"] > 0
    assert corpuskit("verify", out).code == 0


def test_a_block_across_documents_counts_the_repeated_tokens_in_it(mix: Any, corpuskit: Any) -> None:
    out, manifest = mix("out", "--weight", "web=2", "--block-tokens", 7)
    assert manifest.ledger.adds_up
    assert manifest.ledger.dropped["partial_block"] < 14
    assert corpuskit("verify", out).code == 0


def test_figures_tell_documents_and_tokens_by_source(mix: Any, corpuskit: Any) -> None:
    out, manifest = mix("out", "--weight", "books=0.5")
    figures = manifest.figures["sources"]
    train = taken(out, "train")
    for source, name in enumerate(["books", "web", ""]):
        there = [count for at, count in train.items() if at % 3 == source]
        assert figures[name]["train"]["documents"] == len(there)
        assert figures[name]["train"]["tokens"] == 3 * sum(there)
        assert figures[name]["train"]["documents_in"] + figures[name]["valid"]["documents_in"] == 1000
    assert "books" in corpuskit("show", out).out
    assert json.loads(corpuskit("show", out, "--json").out)["figures"]["sources"]["books"]["weight"] == 0.5


def test_a_source_that_no_document_has_is_told_with_those_that_are_there(corpuskit: Any, tmp_path: Path) -> None:
    write_table(tmp_path / "tokens", {"tokens": table(30)}, shards=1, batch_rows=100)
    result = corpuskit("shard", tmp_path / "tokens", tmp_path / "out", "--weight", "bokos=2")
    assert result.code == 0
    assert "'bokos'" in result.err
    assert "'books'" in result.err


@given(st.floats(0, 4), st.floats(0, 4), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_a_larger_weight_takes_no_document_less_often(one: float, other: float, seed: int) -> None:
    ids, sources = pa.array([f"{at}" for at in range(50)]), pa.array(["s"] * 50)
    few, many = (mixing.copies(ids, sources, {"s": each}, seed) for each in sorted((one, other)))
    assert (few <= many).all()


def test_which_documents_a_weight_takes_hangs_on_id_and_seed_alone() -> None:
    ids = pa.array([f"{at}" for at in range(100)])
    sources = pa.array(["s"] * 100)
    counts = mixing.copies(ids, sources, {"s": 0.5}, 1)
    assert counts[40:60].tolist() == mixing.copies(ids[40:60], sources[40:60], {"s": 0.5}, 1).tolist()
    assert counts.tolist() != mixing.copies(ids, sources, {"s": 0.5}, 2).tolist()


@pytest.mark.parametrize("word", ["books", "books=", "books=x", "books=-1", "books=17", "books=nan"])
def test_what_is_no_weight_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="expected SOURCE=FACTOR"):
        mixing.parse([word])


def test_a_source_has_one_weight_and_may_have_a_sign_of_equality_in_its_name() -> None:
    assert mixing.parse(["a=b=2"]) == {"a=b": 2.0}
    with pytest.raises(UsageError, match="two factors"):
        mixing.parse(["a=1", "a=2"])


def test_a_wrong_weight_is_a_fault_of_usage(corpuskit: Any, chain: dict[str, Path], tmp_path: Path) -> None:
    result = corpuskit("shard", chain["tokens"], tmp_path / "out", "--weight", "books")
    assert result.code == 2
    assert "SOURCE=FACTOR" in result.err


@pytest.mark.parametrize("pack", ["concat", "best-fit"])
def test_the_same_bytes_for_any_shards_and_workers(mix: Any, tmp_path: Path, pack: str) -> None:
    words = ["--weight", "web=2.5", "--weight", "books=0.5", "--pack", pack, "--shard-bytes", 2048]
    first, _ = mix("first", *words, "--executor", "serial")
    other = reshard(tmp_path / "tokens", tmp_path / "again", shards=7, batch_rows=11)
    second, _ = mix("second", *words, "--workers", 2, source=other)
    one, two = hashes(first), hashes(second)
    for name in {*one, *two}:
        if not name.startswith(("dropped", "manifest")):
            assert one[name] == two[name], name


# Files


def test_files_have_about_the_bytes_asked_for_and_an_even_share_of_blocks(mix: Any) -> None:
    _, manifest = mix("out", "--shard-bytes", 2048)
    shards = manifest.artifacts["train"].shards
    rows = [shard.rows for shard in shards]
    assert len(shards) == round(sum(rows) * 6 / 2048)
    assert max(rows) - min(rows[:-1]) == 0
    assert rows[-1] > 0.9 * rows[0]
    assert [shard.file for shard in shards] == [f"data-{at:05d}-of-{len(rows):05d}.arrow" for at in range(len(rows))]


def test_datasets_opens_all_files(mix: Any) -> None:
    import datasets

    out, manifest = mix("out", "--shard-bytes", 2048)
    opened = datasets.load_from_disk(str(out / "train"))
    assert len(opened) == manifest.artifacts["train"].rows
    assert opened["input_ids"][:] == load(out, "train").column("input_ids").to_pylist()


def test_a_small_split_meets_in_few_files(mix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpuskit.stages.shard._MIN_BUCKET_BYTES", 10_000)
    _, manifest = mix("out", "--valid-fraction", 0.01, "--executor", "serial", "--shard-bytes", 10_000)
    assert len(manifest.artifacts["train"].shards) > 5
    assert len(manifest.artifacts["valid"].shards) == 1
    assert len(manifest.artifacts["heldout"].shards) == 1
    assert sum(shard.rows for shard in manifest.artifacts["valid"].shards) > 10
    assert all(shard.rows for shard in manifest.artifacts["train"].shards)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=20), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_squeezed_hashes_keep_their_order_and_their_part(keys: list[int], fraction: float) -> None:
    import numpy as np

    squeezed = packing.squeezed(np.sort(np.array(keys, np.uint64)), fraction)
    assert (np.diff(squeezed.astype(object)) >= 0).all()
    assert int(squeezed[-1]) <= fraction * 2**64 + 2**32
