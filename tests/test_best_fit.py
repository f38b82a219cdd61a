"""`shard --pack best-fit`: no document that fits a block is cut, no token is lost, and padding is no token."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit import dataset
from corpuskit.lm.blocks import NO_TOKEN, Blocks
from corpuskit.schema import PADDING
from corpuskit.tokens import best_fit, packing, sequences
from corpuskit.tokens.columns import flatten
from tests.build import load
from tests.data import shared
from tests.test_shard import END, documents_of_any_kind, run, table_of, tokens, whole

lengths_of_documents = st.lists(st.integers(0, 40), max_size=60)


def planned(lengths: list[int], block_tokens: int) -> best_fit.Pieces:
    hashes = packing.mixed(np.zeros(len(lengths), np.uint64), np.arange(len(lengths)))
    return best_fit.plan(np.array(lengths, np.int64), hashes, block_tokens)


def rooms(lengths: list[int], block_tokens: int) -> list[int]:
    """Pack by the book: the longest first, each into the fullest block that holds it; give what is left of each."""
    left: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [at for at, room in enumerate(left) if room >= length]
        if fitting:
            left[min(fitting, key=lambda at: left[at])] -= length
        else:
            left.append(block_tokens - length)
    return sorted(left)


# Laws


@given(lengths_of_documents, st.integers(2, 12))
@settings(max_examples=150, deadline=None)
def test_pieces_are_all_tokens_once_and_no_block_overflows(lengths: list[int], block_tokens: int) -> None:
    pieces = planned(lengths, block_tokens)
    covered = Counter(
        (int(row), at)
        for row, start, length in zip(pieces.row, pieces.start, pieces.length, strict=True)
        for at in range(start, start + length)
    )
    assert covered == Counter((row, at) for row, length in enumerate(lengths) for at in range(length))
    filled = np.bincount(pieces.block, pieces.length, pieces.blocks)
    assert (filled <= block_tokens).all()
    assert (filled > 0).all()


@given(lengths_of_documents, st.integers(2, 12))
@settings(max_examples=150, deadline=None)
def test_only_documents_longer_than_a_block_are_cut_into_full_blocks_and_a_rest(
    lengths: list[int], block_tokens: int
) -> None:
    pieces = planned(lengths, block_tokens)
    cut = {row for row, count in Counter(pieces.row.tolist()).items() if count > 1}
    assert cut == {row for row, length in enumerate(lengths) if length > block_tokens}
    ends = pieces.start + pieces.length == np.array(lengths, np.int64)[pieces.row]
    assert (pieces.length[~ends] == block_tokens).all()
    assert (pieces.start % block_tokens == 0).all()


@given(st.lists(st.integers(1, 12), max_size=60), st.integers(12, 16))
@settings(max_examples=150, deadline=None)
def test_blocks_are_as_full_as_best_fit_makes_them(lengths: list[int], block_tokens: int) -> None:
    pieces = planned(lengths, block_tokens)
    filled = np.bincount(pieces.block, pieces.length, pieces.blocks)
    assert sorted((block_tokens - filled).astype(int).tolist()) == rooms(lengths, block_tokens)


@given(documents_of_any_kind, st.integers(2, 9), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_every_token_ends_in_a_block_and_padding_is_the_end_mark(
    rows: list[tuple[str, list[int]]], block_tokens: int, valid_fraction: float, buckets: int
) -> None:
    out = run([[table_of(rows)]], buckets, block_tokens=block_tokens, valid_fraction=valid_fraction, pack="best-fit")
    went: list[int] = []
    for split in ("train", "valid"):
        for row in whole(out[split]).to_pylist():
            real = block_tokens - row[PADDING]
            went += row["input_ids"][:real]
            assert set(row["input_ids"][real:]) <= {END}
    assert Counter(went) == Counter(id for _, ids in rows for id in [*ids, END])


@given(documents_of_any_kind, st.integers(2, 9))
@settings(max_examples=80, deadline=None)
def test_document_starts_are_where_pieces_begin_and_end_marks_end_them(
    rows: list[tuple[str, list[int]]], block_tokens: int
) -> None:
    out = run([[table_of(rows)]], block_tokens=block_tokens, valid_fraction=0.3, pack="best-fit")
    documents = [[*ids, END] for _, ids in rows]
    found: list[tuple[int, ...]] = []
    for split in ("train", "valid"):
        for row in whole(out[split]).to_pylist():
            edges = [*row["document_starts"], block_tokens - row[PADDING]]
            assert edges[0] == 0
            pieces = [tuple(row["input_ids"][a:b]) for a, b in itertools.pairwise(edges)]
            assert all(piece[-1] == END for piece in pieces) or len(pieces[0]) == block_tokens
            found += pieces
    cut = [tuple(each[at : at + block_tokens]) for each in documents for at in range(0, len(each), block_tokens)]
    assert Counter(found) == Counter(cut)


@given(documents_of_any_kind, st.integers(1, 7), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_same_blocks_for_any_batches_and_order(
    rows: list[tuple[str, list[int]]], batch_rows: int, random: Any
) -> None:
    options: dict[str, Any] = {"buckets": 2, "block_tokens": 4, "valid_fraction": 0.4, "pack": "best-fit"}
    shuffled = list(rows)
    random.shuffle(shuffled)
    batch = table_of(shuffled)
    cut = [batch.slice(at, batch_rows) for at in range(0, len(rows), batch_rows)]
    other, once = run([[*cut, batch.slice(0, 0)]], **options), run([[table_of(rows)]], **options)
    for name, batches in once.items():
        assert whole(batches).equals(whole(other[name]))


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(2, 9), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_blocks_do_not_depend_on_how_much_goes_out_at_a_time(
    lengths: list[int], block_tokens: int, out_tokens: int
) -> None:
    values, offsets = np.arange(sum(lengths), dtype=np.uint16), np.cumsum([0, *lengths])
    pieces = planned(lengths, block_tokens)
    repeated = np.arange(len(lengths)) % 3 == 0
    once, parts = (
        list(best_fit.batches(values, offsets[:-1], pieces, block_tokens, 7, size, repeated))
        for size in (1 << 20, out_tokens)
    )
    assert whole(parts).equals(whole(once))
    assert all(part.num_rows <= max(1, out_tokens // block_tokens) for part in parts)


# By hand


def test_blocks_worked_by_hand() -> None:
    lengths = np.array([3, 2, 6], np.int64)  # of the third, 4 tokens make a block and 2 are packed
    values, begins = np.array([10, 11, 0, 20, 0, 30, 31, 32, 33, 34, 0], np.uint16), np.array([0, 3, 5])
    pieces = best_fit.plan(lengths, np.array([1, 2, 3], np.uint64), 4)
    (batch,) = best_fit.batches(values, begins, pieces, 4, 0, 1 << 20)
    rows = sorted(batch.to_pylist(), key=lambda row: row["input_ids"][0])
    assert rows == [
        {"input_ids": [10, 11, 0, 0], "document_starts": [0], "padding": 1},
        {"input_ids": [20, 0, 34, 0], "document_starts": [0, 2], "padding": 0},
        {"input_ids": [30, 31, 32, 33], "document_starts": [0], "padding": 0},
    ]


def test_what_packing_does_is_counted() -> None:
    out = run([[tokens({"a": [1] * 2, "b": [2], "c": [3] * 5})]], block_tokens=4, valid_fraction=0.0, pack="best-fit")
    (train, valid) = whole(out["packed"]).to_pylist()
    assert (train["blocks"], train["padding"], train["documents_cut"]) == (3, 1, 1)
    assert train["documents_cut_by_concat"] >= 1
    assert valid["documents"] == 0


# Who reads the blocks


@pytest.fixture
def padded() -> pa.Table:
    return pa.table(
        {
            "input_ids": pa.array([[5, 6, 0, 0], [7, 8, 9, 4], [1, 0, 2, 0]], pa.list_(pa.uint16(), 4)),
            "document_starts": pa.array([[0], [0], [0, 2]], pa.list_(pa.int32())),
            "padding": pa.array([1, 0, 0], pa.int32()),
        }
    )


def test_sequences_of_padded_blocks_stand_alone(padded: pa.Table) -> None:
    values, offsets = sequences.joined(padded.to_batches(max_chunksize=2))
    parts = [values[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert parts == [[5, 6, 0], [7, 8, 9, 4], [1, 0], [2, 0]]
    assert sequences.joined([])[1].tolist() == [0]


def test_padding_is_no_token_to_predict(padded: pa.Table) -> None:
    taken = Blocks.of(padded).take(np.array([2, 0]))
    assert taken.tolist() == [[1, 0, 2, 0], [5, 6, 0, NO_TOKEN]]


def test_the_loss_is_not_taken_on_padding(padded: pa.Table) -> None:
    torch = pytest.importorskip("torch")
    from corpuskit.lm.device import Lanes
    from corpuskit.lm.recipe import recipe_of, shape_of
    from corpuskit.lm.trainer import Trainer

    other = padded.set_column(
        0, "input_ids", pa.array([[5, 6, 0, 9], [7, 8, 9, 4], [1, 0, 2, 0]], pa.list_(pa.uint16(), 4))
    )
    shape = shape_of("tiny", 16, 4, 0, 0)
    found = []
    for table in (padded, other):
        blocks = Blocks.of(table)
        trainer = Trainer(shape, recipe_of("tiny", shape, 3, 1, 12, None), blocks, blocks, torch.device("cpu"))
        with Lanes(trainer.device) as lanes:
            found.append((trainer.step(lanes), trainer.progress.rows[0]["valid_nats"]))
    assert found[0] == found[1]
    assert abs(found[0][0] - np.log(16)) < 0.5  # a mean over 8 predicted tokens, not over 9 places


# Through the command


def packed(corpuskit: Any, chain: dict[str, Path], out: Path, *more: object) -> dict[str, Any]:
    words = ["shard", chain["tokens"], out, "--block-tokens", 64, "--valid-fraction", 0.1, "--pack", "best-fit"]
    result = corpuskit(*words, "--executor", "serial", *more)
    assert result.code == 0, result.err
    figures = dataset.read_manifest(str(out)).figures
    assert isinstance(figures, dict)
    return figures


def test_the_ledger_counts_no_padding_and_the_figures_tell_it(
    corpuskit: Any, chain: dict[str, Path], tmp_path: Path
) -> None:
    figures = packed(corpuskit, chain, tmp_path / "out")
    manifest = dataset.read_manifest(str(tmp_path / "out"))
    came = len(flatten(load(chain["tokens"]).column("input_ids"))[0])
    assert manifest.ledger.rows_in == manifest.ledger.kept == came
    train = load(tmp_path / "out", "train")
    assert sum(train.column("padding").to_pylist()) == figures["packing"]["train"]["padding"]
    assert train.num_rows == figures["packing"]["train"]["blocks"]
    assert corpuskit("verify", tmp_path / "out").code == 0
    assert "padding" in corpuskit("show", tmp_path / "out").out
    again = corpuskit("--verbose", "shard", chain["tokens"], tmp_path / "again", "--block-tokens", 64)
    assert "% of" in again.err
    assert "documents cut (concatenation cuts" in again.err


def test_exports_and_models_read_padded_blocks(corpuskit: Any, chain: dict[str, Path], tmp_path: Path) -> None:
    packed(corpuskit, chain, tmp_path / "out")
    assert corpuskit("export", tmp_path / "out", tmp_path / "bin", "--format", "nanogpt").code == 0
    table = load(tmp_path / "out", "train")
    real = sequences.joined(table.to_batches())[0]
    assert np.fromfile(tmp_path / "bin" / "train.bin", np.uint16).tolist() == real.tolist()
    assert corpuskit("train", "ngram", tmp_path / "out", tmp_path / "ngram", "--order", 2).code == 0
    assert corpuskit("evaluate", tmp_path / "ngram", tmp_path / "out", "--json").code == 0


def test_padding_of_wikipedia_is_under_one_percent_at_1024_tokens(corpuskit: Any, tmp_path: Path) -> None:
    dump = shared("wikipedia/ukwiki-20230501-truncated-100k.xml.xz")
    for words in (
        ["extract", dump, tmp_path / "docs"],
        ["train", "tokenizer", tmp_path / "docs", tmp_path / "tok", "--vocab-size", 4096],
        ["tokenize", tmp_path / "docs", tmp_path / "tokens", "--tokenizer", tmp_path / "tok"],
        ["shard", tmp_path / "tokens", tmp_path / "out", "--pack", "best-fit", "--valid-fraction", 0],
    ):
        assert corpuskit(*words, "--executor", "serial").code == 0
    figures = dataset.read_manifest(str(tmp_path / "out")).figures
    assert isinstance(figures, dict)
    train = figures["packing"]["train"]
    assert train["padding"] < 0.01 * train["tokens"]
    longer = np.diff(flatten(load(tmp_path / "tokens").column("input_ids"))[1]) > 1024
    assert train["documents_cut"] == longer.sum()
    assert train["documents_cut_by_concat"] > 1.2 * train["documents_cut"]
