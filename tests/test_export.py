"""`export`: every format, read back as its trainer reads it."""

from __future__ import annotations

import csv
import gzip
import json
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpuskit import exports
from corpuskit.errors import BadData, UsageError
from corpuskit.exports import llmc, mds, olmo
from corpuskit.exports.sequences import Documents, narrow, pieces
from tests.build import load

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(chain: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    from corpuskit.cli import main

    root = tmp_path_factory.mktemp("exports")

    def export(given: str, format: str) -> Path:
        out = root / f"{given}-{format}"
        if not out.exists():
            assert main(["--quiet", "export", str(chain[given]), str(out), "--format", format]) == 0
        return out

    return export


def tokens_of(chain: dict[str, Path], name: str, artifact: str | None = None) -> np.ndarray:
    column = load(chain[name], artifact).column("input_ids")
    return np.concatenate([np.empty(0, np.uint16), *(row.values.to_numpy() for row in column)])


# A trainer's own reader of each format, as its documentation or source has it


def test_nanogpts_memmap_reads_the_tokens(chain: dict[str, Path], run: Run) -> None:
    out = run("blocks", "nanogpt")
    for file, split in (("train.bin", "train"), ("val.bin", "valid")):
        data = np.memmap(out / file, dtype=np.uint16, mode="r")
        assert (data == tokens_of(chain, "blocks", split)).all()


def test_llmcs_header_and_tokens(chain: dict[str, Path], run: Run) -> None:
    with open(run("blocks", "llmc") / "train_000001.bin", "rb") as file:
        header = np.frombuffer(file.read(256 * 4), np.int32)
        tokens = np.frombuffer(file.read(), np.uint16)
    assert header[:4].tolist() == [20240520, 1, len(tokens), 0]
    assert (tokens == tokens_of(chain, "blocks", "train")).all()


def test_llmc_begins_a_new_file_when_one_is_full(
    chain: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llmc, "FILE_TOKENS", 1000)
    exports.write("llmc", exports.Given("tokens", {"train": load(chain["tokens"])}, None, None), tmp_path)
    files = sorted(tmp_path.iterdir())
    heads = [np.fromfile(file, np.int32, 256)[2] for file in files]
    read = np.concatenate([np.fromfile(file, np.uint16, offset=1024) for file in files])
    assert heads[:-1] == [1000] * (len(files) - 1)
    assert (read == tokens_of(chain, "tokens")).all()


def read_megatron(prefix: Path) -> list[np.ndarray]:
    """Read an indexed dataset as `megatron.core.datasets.indexed_dataset._IndexReader` does."""
    with open(prefix.with_suffix(".idx"), "rb") as stream:
        assert stream.read(9) == b"MMIDIDX\x00\x00"
        assert struct.unpack("<Q", stream.read(8)) == (1,)
        dtype = {4: np.int32, 8: np.uint16}[struct.unpack("<B", stream.read(1))[0]]
        sequence_count = struct.unpack("<Q", stream.read(8))[0]
        document_count = struct.unpack("<Q", stream.read(8))[0]
        offset = stream.tell()
    buffer = memoryview(np.memmap(prefix.with_suffix(".idx"), mode="r", order="C"))  # type: ignore[arg-type]
    lengths = np.frombuffer(buffer, np.int32, sequence_count, offset)
    pointers = np.frombuffer(buffer, np.int64, sequence_count, offset + lengths.nbytes)
    documents = np.frombuffer(buffer, np.int64, document_count, offset + lengths.nbytes + pointers.nbytes)
    assert lengths.shape[0] == documents[-1]
    assert documents.tolist() == list(range(sequence_count + 1))
    data = memoryview(np.memmap(prefix.with_suffix(".bin"), mode="r", order="C"))  # type: ignore[arg-type]
    return [np.frombuffer(data, dtype, n, at) for n, at in zip(lengths, pointers, strict=True)]


def test_megatrons_indexed_dataset_has_a_document_a_sequence(chain: dict[str, Path], run: Run) -> None:
    sequences = read_megatron(run("tokens", "megatron") / "train")
    assert [each.tolist() for each in sequences] == load(chain["tokens"]).column("input_ids").to_pylist()


def test_megatrons_documents_are_whole_again_where_blocks_cut_them(chain: dict[str, Path], run: Run) -> None:
    documents = {tuple(ids) for ids in load(chain["tokens"]).column("input_ids").to_pylist()}
    sequences = read_megatron(run("blocks", "megatron") / "train")
    assert len(sequences) > 50
    assert {tuple(each.tolist()) for each in sequences[:-1]} <= documents


def test_olmos_memory_map_and_its_table_of_documents(chain: dict[str, Path], run: Run) -> None:
    folder = run("tokens", "olmo") / "train"
    data = np.memmap(folder / "part-0-00000.npy", dtype=np.uint16, mode="r")
    with gzip.open(folder / "part-0-00000.csv.gz", "rt", newline="") as file:
        lines = list(csv.reader(file))
    table = load(chain["tokens"])
    found = [(data[int(start) : int(end)].tolist(), name) for start, end, name, _, _ in lines]
    assert found == list(zip(table.column("input_ids").to_pylist(), table.column("id").to_pylist(), strict=True))


def test_olmo_cuts_files_between_documents(
    chain: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(olmo, "FILE_TOKENS", 1000)
    monkeypatch.setattr(olmo, "_ROWS", 3)
    exports.write("olmo", exports.Given("tokens", {"train": load(chain["tokens"])}), tmp_path)
    files = sorted(tmp_path.glob("train/*.npy"))
    parts = [np.fromfile(file, np.uint16) for file in files]
    assert len(parts) > 3
    assert all(part[-1] == 0 for part in parts)
    assert (np.concatenate(parts) == tokens_of(chain, "tokens")).all()


def read_mds(folder: Path) -> list[dict[str, Any]]:
    """Read MDS as its specification says; the real reader is asked in tests/interop."""
    rows = []
    for shard in json.loads((folder / "index.json").read_text())["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        (count,) = np.frombuffer(data, np.uint32, 1)
        assert count == shard["samples"]
        edges = np.frombuffer(data, np.uint32, count + 1, 4)
        for start, end in pairwise(edges.tolist()):
            body, row = data[start:end], {}
            sizes = list(shard["column_sizes"])
            variable = sizes.count(None)
            given = iter(np.frombuffer(body, np.uint32, variable).tolist())
            at = 4 * variable
            for name, size in zip(shard["column_names"], sizes, strict=True):
                length = size if size is not None else next(given)
                row[name] = body[at : at + length]
                at += length
            assert at == len(body)
            rows.append(row)
    return rows


def test_mds_has_a_block_a_sample(chain: dict[str, Path], run: Run) -> None:
    rows = read_mds(run("blocks", "mds") / "valid")
    found = [np.frombuffer(row["tokens"], np.uint16).tolist() for row in rows]
    assert found == load(chain["blocks"], "valid").column("input_ids").to_pylist()


def test_mds_begins_a_new_shard_when_one_is_full(
    chain: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mds, "SHARD_BYTES", 4000)
    table = load(chain["tokens"])
    exports.write("mds", exports.Given("tokens", {"train": table}), tmp_path)
    rows = read_mds(tmp_path / "train")
    assert len(list((tmp_path / "train").glob("shard.*.mds"))) > 5
    assert [row["id"].decode() for row in rows] == table.column("id").to_pylist()


def test_litdatas_chunks_hold_whole_blocks(chain: dict[str, Path], run: Run) -> None:
    folder = run("blocks", "litdata") / "train"
    index = json.loads((folder / "index.json").read_text())
    assert index["config"]["data_format"] == ["no_header_tensor:20"]
    read = []
    for chunk in index["chunks"]:
        offset = (1 + chunk["chunk_size"] + 1) * 4  # as litdata's TokensLoader skips the head
        data = np.memmap(folder / chunk["filename"], np.uint16, mode="r", offset=offset)
        assert len(data) == chunk["dim"]
        read.append(data.reshape(-1, 64))
    assert np.concatenate(read).tolist() == load(chain["blocks"], "train").column("input_ids").to_pylist()


@pytest.mark.parametrize("given", ["docs", "tokens", "blocks"])
def test_parquet_and_json_lines_have_every_column(chain: dict[str, Path], run: Run, given: str) -> None:
    table = load(chain[given], "train" if given == "blocks" else None)
    parquet = pq.read_table(run(given, "parquet") / "data" / "train-00000-of-00001.parquet")
    lines = (run(given, "jsonl") / "train-00000-of-00001.jsonl").read_text("utf-8").splitlines()
    assert parquet.to_pylist() == table.to_pylist()
    assert [json.loads(line) for line in lines] == table.to_pylist()


def test_parquet_opens_with_datasets(run: Run, tmp_path: Path) -> None:
    import datasets

    loaded = datasets.load_dataset(str(run("blocks", "parquet")), cache_dir=str(tmp_path))
    assert set(loaded) == {"train", "validation"} or set(loaded) == {"train", "valid"}


# What all formats have in common


@pytest.mark.parametrize("format", [name for name in exports.names() if name not in ("arpa", "transformers")])
def test_the_bytes_do_not_depend_on_how_the_rows_are_cut(chain: dict[str, Path], tmp_path: Path, format: str) -> None:
    kind, table = next(
        (kind, table)
        for kind, table in (("tokens", load(chain["tokens"])), ("blocks", load(chain["blocks"], "train")))
        if kind in exports.load(format).takes
    )
    cut = pa.Table.from_batches(table.combine_chunks().to_batches(max_chunksize=7))
    made = []
    for at, each in enumerate((table.combine_chunks(), cut)):
        out = tmp_path / str(at)
        out.mkdir()
        exports.write(format, exports.Given(kind, {"train": each}), out)
        made.append({file.relative_to(out): file.read_bytes() for file in out.rglob("*") if file.is_file()})
    assert made[0] == made[1]


@pytest.mark.parametrize("format", exports.names())
def test_no_rows_are_no_error(chain: dict[str, Path], tmp_path: Path, format: str) -> None:
    for kind, table in (("tokens", load(chain["tokens"])), ("blocks", load(chain["blocks"], "train"))):
        if kind in exports.load(format).takes:
            (tmp_path / kind).mkdir()
            exports.write(format, exports.Given(kind, {"train": table.slice(0, 0)}), tmp_path / kind)


def test_a_format_that_cannot_hold_the_input_names_those_that_can(chain: dict[str, Path], tmp_path: Path) -> None:
    message = r"--format litdata holds blocks, the input has documents; these fit: jsonl, parquet$"
    with pytest.raises(UsageError, match=message):
        exports.write("litdata", exports.Given("documents", {"train": load(chain["docs"])}), tmp_path)


def test_the_command_names_the_formats(chain: dict[str, Path], tmp_path: Path, corpuskit: Any) -> None:
    result = corpuskit("export", chain["docs"], tmp_path / "out", "--format", "megatron")
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "these fit: jsonl, parquet" in result.err


def test_ids_of_32_bits_do_not_go_into_nanogpt(chain: dict[str, Path], tmp_path: Path) -> None:
    wide = pa.table({"input_ids": pa.array([[70_000]], pa.list_(pa.uint32()))})
    with pytest.raises(UsageError, match="the vocabulary has 4,294,967,296 entries; take olmo"):
        exports.write("nanogpt", exports.Given("tokens", {"train": wide}), tmp_path)


def test_an_id_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(BadData, match="id 70000 does not fit uint16"):
        narrow(np.array([1, 70_000], np.uint32), np.uint16)


def test_padding_is_left_out_of_streams_and_documents() -> None:
    table = pa.table(
        {
            "input_ids": pa.array([[1, 2, 0, 0], [3, 4, 5, 0], [6, 0, 7, 0]], pa.list_(pa.uint16(), 4)),
            "document_starts": pa.array([[0], [0, 2], [0, 2]], pa.list_(pa.int32())),
            "padding": pa.array([2, 0, 1], pa.int32()),
        }
    )
    documents, streams = Documents(), []
    for values, starts in pieces(table):
        documents.add(values, starts)
        streams += values.tolist()
    assert streams == [1, 2, 3, 4, 5, 0, 6, 0, 7]
    assert documents.lengths().tolist() == [2, 2, 2, 2, 1]


def test_the_tokenizer_lies_beside_the_data(chain: dict[str, Path], run: Run) -> None:
    tokenizer = run("blocks", "megatron") / "tokenizer" / "tokenizer.json"
    assert tokenizer.read_bytes() == (chain["tokenizer"] / "tokenizer.json").read_bytes()
