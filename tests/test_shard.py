"""`shard`: split, shuffle, pack; and folders that `datasets` opens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.dataset import read_bucket
from corpuskit.schema import tokens_schema
from corpuskit.shardfile import ExchangeWriter
from corpuskit.stages import shard
from corpuskit.tokens import bpe, columns, learning, packing, packing_figures
from corpuskit.tokens.columns import flatten, lists
from corpuskit.tokens.features import features, folder_files
from tests.data import shared

END = 0


def tokens(documents: dict[str, list[int]], vocab_size: int = 300) -> pa.RecordBatch:
    rows = [
        {"id": name, "input_ids": [*ids, END], "bytes": 2 * len(ids), "source": "here", "language": None}
        for name, ids in documents.items()
    ]
    return pa.RecordBatch.from_pylist(rows, schema=tokens_schema(vocab_size))


def numbered(count: int, length: int = 3) -> dict[str, list[int]]:
    return {f"doc-{at}": [1 + at % 200] * (length + at % 4) for at in range(count)}


def spread(batches: Iterable[pa.RecordBatch], **options: Any) -> list[pa.RecordBatch]:
    """Give what `spread` keeps of each batch."""
    parts = shard.spread(tokens=iter(batches), options=shard.Options(**options))
    pieces = [each[1] for each in parts if isinstance(each, tuple) and each[0] == "pieces"]
    return [each.filter(each.column("drop").is_null()).drop_columns(["drop"]) for each in pieces]


def run(shards: list[list[pa.RecordBatch]], buckets: int = 1, **options: Any) -> dict[str, list[pa.RecordBatch]]:
    """Run the steps on shards of batches, with an exchange between them: buckets are ranges of the key."""
    chosen = shard.Options(**options)
    pieces = [piece for batches in shards for piece in spread(batches, **options)]
    out: dict[str, list[pa.RecordBatch]] = {"train": [], "valid": [], "heldout": [], "packed": []}
    for bucket in range(buckets):
        inside = []
        for piece in pieces:
            at = [int(key) * buckets >> 64 for key in piece.column("key").to_pylist()]
            inside.append(piece.filter(pa.array([each == bucket for each in at], pa.bool_())))
        for each in shard.pack(pieces=iter(inside), options=chosen):
            if isinstance(each, tuple):
                out[each[0]].append(each[1])
    return out


def whole(batches: list[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches)


def unpacked(batches: list[pa.RecordBatch]) -> list[tuple[int, ...]]:
    """Cut the blocks of one split of one bucket back into documents, by `document_starts` alone."""
    table = whole(batches)
    stream, offsets = flatten(table.column("input_ids"))
    starts = [
        int(offsets[block]) + start
        for block, inside in enumerate(table.column("document_starts").to_pylist())
        for start in inside
    ]
    return [tuple(stream[a:b].tolist()) for a, b in pairwise([*starts, len(stream)])]


documents_of_any_kind = st.lists(
    st.tuples(st.sampled_from(["a", "b", "", "ē"]) | st.text(max_size=3), st.lists(st.integers(1, 299), max_size=9)),
    max_size=25,
)


def table_of(rows: list[tuple[str, list[int]]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"id": name, "input_ids": [*ids, END], "bytes": len(ids)} for name, ids in rows], schema=tokens_schema(300)
    )


# Laws


@given(documents_of_any_kind, st.integers(2, 9), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_every_token_ends_in_a_block(
    rows: list[tuple[str, list[int]]], block_tokens: int, valid_fraction: float, buckets: int
) -> None:
    batch = table_of(rows)
    out = run([[batch]], buckets, block_tokens=block_tokens, valid_fraction=valid_fraction)
    came = flatten(pa.chunked_array([batch.column("input_ids")]))[0]
    went = [flatten(whole(out[split]).column("input_ids"))[0] for split in ("train", "valid")]
    assert Counter(came.tolist()) == Counter(np.concatenate(went).tolist())


@given(documents_of_any_kind, st.integers(2, 9), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=80, deadline=None)
def test_blocks_are_the_documents_end_to_end(
    rows: list[tuple[str, list[int]]], block_tokens: int, valid_fraction: float
) -> None:
    out = run([[table_of(rows)]], block_tokens=block_tokens, valid_fraction=valid_fraction)
    documents = unpacked(out["train"]) + unpacked(out["valid"])
    assert Counter(documents) == Counter((*ids, END) for _, ids in rows)


@given(documents_of_any_kind, st.lists(st.integers(0, 25), max_size=4), st.integers(1, 7), st.randoms())
@settings(max_examples=80, deadline=None)
def test_the_same_blocks_for_any_shards_batches_and_order(
    rows: list[tuple[str, list[int]]], cuts: list[int], batch_rows: int, random: Any
) -> None:
    options: dict[str, Any] = {"buckets": 2, "block_tokens": 4, "valid_fraction": 0.4}
    shuffled = list(rows)
    random.shuffle(shuffled)
    batch = table_of(shuffled)
    edges = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    shards = [
        [batch.slice(at, min(batch_rows, end - at)) for at in range(start, end, batch_rows)]
        for start, end in pairwise(edges)
    ]
    other = run([*shards, [batch.slice(0, 0)]], **options)
    once = run([[table_of(rows)]], **options)
    for name, batches in once.items():
        assert [each.num_rows for each in batches] == [each.num_rows for each in other[name]]
        assert whole(batches).equals(whole(other[name]))


@given(documents_of_any_kind, st.integers(2, 9), st.integers(1, 30))
@settings(max_examples=80, deadline=None)
def test_blocks_do_not_depend_on_how_much_goes_out_at_a_time(
    rows: list[tuple[str, list[int]]], block_tokens: int, out_tokens: int
) -> None:
    values, offsets = flatten(pa.chunked_array([table_of(rows).column("input_ids")]))
    order = np.arange(len(rows))[::-1]
    once = list(packing.blocks(values, offsets, order, block_tokens))
    parts = list(packing.blocks(values, offsets, order, block_tokens, out_tokens))
    assert whole(parts).equals(whole(once))
    assert all(part.num_rows <= max(1, out_tokens // block_tokens) for part in parts)


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 12))
def test_stretches_are_all_documents_in_order(lengths: list[int], out_tokens: int) -> None:
    found = list(packing.stretches(np.array(lengths, np.int64), out_tokens))
    assert [at for part in found for at in range(part.start, part.stop)] == list(range(len(lengths)))
    assert all(sum(lengths[part]) - lengths[part][-1] < out_tokens for part in found if lengths)
    assert len(found) >= 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=20))
def test_order_is_by_hash_then_by_the_tie(rows: list[tuple[int, int]]) -> None:
    hashes = np.array([row[0] for row in rows], np.uint64)
    order = packing.order(hashes, lambda at: rows[at][1])
    assert [rows[at] for at in order] == sorted(rows)


# By hand


def test_blocks_worked_by_hand() -> None:
    values, offsets = np.array([7, 8, 0, 5, 0, 1, 2, 3, 4, 0], np.uint16), np.array([0, 3, 5, 10])
    (batch,) = packing.blocks(values, offsets, np.array([1, 2, 0]), 4)
    assert batch.to_pylist() == [
        {"input_ids": [5, 0, 1, 2], "document_starts": [0, 2], "drop": None},
        {"input_ids": [3, 4, 0, 7], "document_starts": [3], "drop": None},
        {"input_ids": [8, 0, None, None], "document_starts": [], "drop": "partial_block"},
    ]


def test_a_split_that_fills_its_blocks_has_no_partial_one() -> None:
    out = run([[tokens({"a": [1, 2, 3], "b": [4, 5, 6]})]], block_tokens=4, valid_fraction=0.0)
    assert whole(out["train"]).column("drop").to_pylist() == [None, None]


def test_a_document_of_no_tokens_begins_nowhere() -> None:
    values, offsets = np.array([1, 0], np.uint16), np.array([0, 0, 2, 2])
    (batch,) = packing.blocks(values, offsets, np.array([0, 1, 2]), 2)
    assert batch.to_pylist() == [{"input_ids": [1, 0], "document_starts": [0], "drop": None}]


def test_documents_keep_their_end_mark() -> None:
    out = run([[tokens(numbered(50))]], block_tokens=8)
    for batches in (out["train"], out["valid"]):
        assert all(document[-1] == END for document in unpacked(batches))


# Types and empty input


@pytest.mark.parametrize(("vocab_size", "kind"), [(65_536, pa.uint16()), (65_537, pa.uint32())])
@pytest.mark.parametrize("count", [0, 9])
def test_blocks_and_documents_have_the_ids_type_of_the_tokens(vocab_size: int, kind: pa.DataType, count: int) -> None:
    out = run([[tokens(numbered(count), vocab_size)]], block_tokens=16)
    for split in ("train", "valid"):
        schema = whole(out[split]).schema
        assert schema.field("input_ids").type == pa.list_(kind, 16)
        assert schema.field("document_starts").type == pa.list_(pa.int32())
    assert whole(out["heldout"]).schema.field("input_ids").type == pa.list_(kind)


def test_tables_come_as_train_valid_heldout() -> None:
    chosen = shard.Options(block_tokens=4)
    pieces = spread([tokens(numbered(20))], block_tokens=4)
    parts = list(shard.pack(pieces=iter(pieces), options=chosen))
    names = [each[0] for each in parts if isinstance(each, tuple) and each[0] != "packed"]
    assert list(dict.fromkeys(names)) == ["train", "valid", "heldout"]


def test_a_key_is_uint64_and_every_column_of_the_tokens_is_there() -> None:
    (piece,) = spread([tokens(numbered(3))])
    assert piece.schema.names == ["id", "input_ids", "bytes", "source", "language", "key", "split", "repeated"]
    assert piece.schema.field("key").type == pa.uint64()


# Splits


def split_of(documents: dict[str, list[int]], **options: Any) -> dict[str, str]:
    (piece,) = spread([tokens(documents)], **options)
    return dict(zip(piece.column("id").to_pylist(), piece.column("split").to_pylist(), strict=True))


@pytest.mark.parametrize(("fraction", "split"), [(0.0, "train"), (1.0, "valid")])
def test_nothing_or_everything_can_be_held_out(fraction: float, split: str) -> None:
    assert set(split_of(numbered(500), valid_fraction=fraction).values()) == {split}


def test_about_the_fraction_is_held_out() -> None:
    found = Counter(split_of(numbered(20_000), valid_fraction=0.1).values())
    assert 1_850 < found["valid"] < 2_150


def test_more_documents_move_none_between_splits() -> None:
    few, many = split_of(numbered(100), valid_fraction=0.2), split_of(numbered(1000), valid_fraction=0.2)
    assert few == {name: many[name] for name in few}


def test_another_seed_moves_no_document_between_splits() -> None:
    assert split_of(numbered(300), valid_fraction=0.2) == split_of(numbered(300), valid_fraction=0.2, seed=7)


def test_a_larger_fraction_holds_out_the_same_documents_and_more() -> None:
    small, large = split_of(numbered(500), valid_fraction=0.1), split_of(numbered(500), valid_fraction=0.4)
    assert all(large[name] == "valid" for name, split in small.items() if split == "valid")


def test_another_seed_gives_another_order() -> None:
    first, second = (unpacked(run([[tokens(numbered(50))]], seed=seed)["train"]) for seed in (0, 1))
    assert first != second
    assert Counter(first) == Counter(second)


def test_an_id_that_comes_twice_is_in_one_split() -> None:
    rows = [("same", [at]) for at in range(1, 200)]
    out = run([[table_of(rows)]], block_tokens=2, valid_fraction=0.5)
    assert 0 in (whole(out["train"]).num_rows, whole(out["valid"]).num_rows)


def test_heldout_has_the_whole_documents_of_valid_in_their_order() -> None:
    out = run([[tokens(numbered(200))]], block_tokens=8, valid_fraction=0.2)
    held = whole(out["heldout"]).to_pylist()
    assert [tuple(row["input_ids"]) for row in held] == unpacked(out["valid"])
    expected = {row["id"]: row for row in tokens(numbered(200)).to_pylist()}
    assert held == [expected[row["id"]] for row in held]
    assert {row["id"] for row in held} == {
        name for name, split in split_of(numbered(200), valid_fraction=0.2).items() if split == "valid"
    }


# With real text


def test_the_documents_held_out_of_shakespeare_decode_to_their_text() -> None:
    speeches = shared("lm/tinyshakespeare.txt").read_text("utf-8")[:150_000].split("\n\n")
    trained = bpe.TextTokenizer(learning.learn(speeches, 1000), 1000, bpe.END_OF_TEXT, 0, None)
    ids, _ = zip(*(trained.encode([speech]) for speech in speeches), strict=True)
    batch = tokens({f"speech-{at}": each.tolist() for at, each in enumerate(ids)}, 1000)
    out = run([[batch]], buckets=3, block_tokens=64, valid_fraction=0.1)
    held = whole(out["heldout"]).to_pylist()
    assert 50 < len(held) < 200
    for row in held:
        assert trained.decode(row["input_ids"]) == speeches[int(row["id"].removeprefix("speech-"))]


# What travels, and what `datasets` makes of it


def attach(tokenizer: Path | None, out: Path) -> None:
    none = [schema.empty_table() for schema in (packing_figures.SOURCES, packing_figures.PACKED)]
    list(shard.attach(tokenizer, *none, options=shard.Options(), out=out))


def test_the_tokenizer_travels_with_the_blocks(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    (source / "tokenizer.json").write_text("{}")
    attach(source, out)
    assert (out / "tokenizer.json").read_text() == "{}"


def test_tokens_without_a_tokenizer_leave_its_place_empty(tmp_path: Path) -> None:
    attach(None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_every_reason_is_explained() -> None:
    assert set(shard.STAGE.reasons) == {"partial_block", "weight"}


KINDS = pa.schema(
    [
        pa.field("blocks", pa.list_(pa.uint16(), 8), nullable=False),
        pa.field("starts", pa.list_(pa.int32())),
        pa.field("text", pa.string(), nullable=False),
        pa.field("long_text", pa.large_string()),
        pa.field("raw", pa.binary()),
        pa.field("score", pa.float64()),
        pa.field("single", pa.float32()),
        pa.field("half", pa.float16()),
        pa.field("flag", pa.bool_()),
        pa.field("count", pa.int64()),
        pa.field("key", pa.uint64()),
        pa.field("nothing", pa.null()),
        pa.field("nested", pa.list_(pa.list_(pa.string()))),
        pa.field("long_list", pa.large_list(pa.int8())),
        pa.field("about", pa.struct([("x", pa.int8()), ("y", pa.list_(pa.string()))])),
    ]
)


def test_features_are_those_that_datasets_writes(tmp_path: Path) -> None:
    import datasets

    datasets.Dataset(KINDS.empty_table()).save_to_disk(tmp_path)
    assert features(KINDS) == json.loads((tmp_path / "dataset_info.json").read_text())["features"]


def test_a_type_that_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match=r"no feature of `datasets` for the Arrow type timestamp\[us\]"):
        features(pa.schema([("when", pa.timestamp("us"))]))


def test_folder_files_are_the_same_text_each_time() -> None:
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    first, second = folder_files(KINDS, names, "abc"), folder_files(KINDS, names, "abc")
    assert first == second
    assert json.loads(first["state.json"])["_data_files"] == [{"filename": name} for name in names]


def written(folder: Path, batches: list[pa.RecordBatch]) -> None:
    """Write each batch as a stream of its own, and the two JSON files."""
    names = [f"data-{at:05d}-of-{len(batches):05d}.arrow" for at in range(len(batches))]
    for name, batch in zip(names, batches, strict=True):
        with pa.ipc.new_stream(folder / name, batch.schema) as stream:
            stream.write_batch(batch)
    for name, text in folder_files(batches[0].schema, names, "0123456789abcdef").items():
        (folder / name).write_text(text)


@pytest.fixture
def train(tmp_path: Path) -> tuple[Path, list[list[int]]]:
    """A folder of blocks of 256 in two files, and the blocks."""
    blocks = run([[tokens(numbered(2000))]], buckets=2, block_tokens=256)["train"]
    full = [batch.filter(batch.column("drop").is_null()).drop_columns(["drop"]) for batch in blocks]
    written(tmp_path, full)
    return tmp_path, whole(full).column("input_ids").to_pylist()


def test_datasets_opens_the_folder(train: tuple[Path, list[list[int]]]) -> None:
    import datasets

    opened = datasets.load_from_disk(str(train[0]))
    assert len(opened[0]["input_ids"]) == 256
    assert opened["input_ids"][:] == train[1]
    assert opened.features["input_ids"] == datasets.List(datasets.Value("uint16"), length=256)
    assert opened.features["document_starts"] == datasets.List(datasets.Value("int32"))


def test_torch_reads_the_blocks(train: tuple[Path, list[list[int]]]) -> None:
    torch = pytest.importorskip("torch")
    import datasets

    block = datasets.load_from_disk(str(train[0])).with_format("torch")[1]["input_ids"]
    assert block.dtype == torch.int64
    assert block.tolist() == train[1][1]


def test_datasets_opens_a_folder_without_rows(tmp_path: Path) -> None:
    import datasets

    (batch,) = run([[tokens({})]], block_tokens=256)["train"]
    written(tmp_path, [batch.drop_columns(["drop"])])
    assert len(datasets.load_from_disk(str(tmp_path))) == 0


# Flat columns


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=8))
def test_lists_and_flatten_are_inverses(rows: list[list[int]]) -> None:
    column = pa.chunked_array([pa.array(rows, pa.list_(pa.uint16()))])
    assert lists(*flatten(column)).to_pylist() == rows


@given(st.lists(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6), max_size=4), st.randoms(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_rows_are_taken_as_arrow_takes_them(chunks: list[list[list[int]]], random: Any, cut: bool) -> None:
    kind = pa.list_(pa.field("item", pa.uint16()))
    parts = [pa.array([*chunk, [7]], kind).slice(1 if cut and chunk else 0) for chunk in chunks]
    column = pa.chunked_array(parts, kind)
    rows = list(range(len(column)))
    random.shuffle(rows)
    order = np.array(rows, np.int64)
    expected = column.take(pa.array(order)).to_pylist()
    assert columns.taken(column, order).to_pylist() == expected
    if len(column):
        assert columns._scattered(column, order).to_pylist() == expected


def test_long_lists_leave_the_exchange_as_short_ones_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (piece,) = spread([tokens(numbered(300))])
    files = []
    for many in (0, 1 << 40):
        monkeypatch.setattr(columns, "_MANY_VALUES", many)
        writer = ExchangeWriter(str(tmp_path), f"pieces-{many}", "key", 4)
        for at in range(0, 300, 70):
            writer.write(piece.slice(at, 70))
        writer.close()
        path = str(tmp_path / f"pieces-{many}.exchange")
        files.append([read_bucket(path, bucket, 4)[0] for bucket in range(4)])
    assert all(one.equals(other) for one, other in zip(*files, strict=True))
