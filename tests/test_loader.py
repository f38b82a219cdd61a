"""`corpuskit.load_blocks`: every block once, in an order that can be gone on with, wherever it is read."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corpuskit as package
from corpuskit.errors import BadData, NoInput, UsageError
from corpuskit.lm.shuffle import shuffled
from corpuskit.tokens.features import folder_files
from tests.build import load

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader  # noqa: E402 (after the skip)

LENGTH = 8


def write(folder: Path, table: pa.Table, files: int = 3, batch_rows: int = 5) -> Path:
    """Write blocks as `shard` does."""
    folder.mkdir(parents=True)
    names = [f"data-{at:05d}-of-{files:05d}.arrow" for at in range(files)]
    for at, name in enumerate(names):
        part = table.slice(
            table.num_rows * at // files, table.num_rows * (at + 1) // files - table.num_rows * at // files
        )
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            for batch in part.combine_chunks().to_batches(max_chunksize=batch_rows):
                stream.write_batch(batch)
    for name, text in folder_files(table.schema, names, "0123456789abcdef").items():
        (folder / name).write_text(text)
    return folder.parent


def numbered(count: int, kind: pa.DataType | None = None) -> pa.Table:
    """Give blocks whose first id is their number."""
    ids = np.arange(count)[:, None] + np.arange(LENGTH) * 1000
    column = pa.FixedSizeListArray.from_arrays(pa.array(ids.ravel()).cast(kind or pa.uint16()), LENGTH)
    return pa.table({"input_ids": column, "document_starts": pa.array([[0]] * count, pa.list_(pa.int32()))})


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """57 blocks in three files."""
    return write(tmp_path_factory.mktemp("blocks") / "train", numbered(57))


def firsts(samples: Any) -> list[int]:
    """Give the numbers of the blocks of samples or batches."""
    return [number for sample in samples for number in sample["input_ids"].reshape(-1, LENGTH)[:, 0].tolist()]


def opened(path: Path, **how: Any) -> Any:
    return package.load_blocks(path, **how)


# Order


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("world_size", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_every_block_comes_once_over_ranks_and_workers(
    blocks: Path, seed: int | None, batch_size: int | None, world_size: int, workers: int
) -> None:
    found = []
    for rank in range(world_size):
        stream = opened(blocks, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size)
        mine = firsts(DataLoader(stream, batch_size=None, num_workers=workers))
        assert mine == firsts(stream)  # the same order for any number of workers
        found += mine
    assert Counter(found) == Counter(range(57))


@given(st.integers(1, 300), st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_shuffled_is_a_permutation(count: int, seed: int, epoch: int) -> None:
    places = shuffled(np.arange(count), count, seed, epoch)
    assert sorted(places.tolist()) == list(range(count))
    some = np.arange(count)[::3]
    assert shuffled(some, count, seed, epoch).tolist() == places[::3].tolist()


def test_shuffled_blocks_are_far_from_where_they_were() -> None:
    places = shuffled(np.arange(100_000), 100_000, 0, 0)
    assert abs(np.corrcoef(np.arange(100_000), places)[0, 1]) < 0.02
    assert (np.abs(np.diff(places)) < 10).mean() < 0.001


def test_an_epoch_has_an_order_of_its_own_and_no_seed_that_of_the_files(blocks: Path) -> None:
    stream = opened(blocks, seed=1)
    first = firsts(stream)
    stream.set_epoch(1)
    assert firsts(stream) != first
    stream.set_epoch(0)
    assert firsts(stream) == first
    assert firsts(opened(blocks)) == list(range(57))


def test_even_ranks_have_as_many_full_batches(blocks: Path) -> None:
    streams = [opened(blocks, batch_size=4, rank=rank, world_size=3, even=True) for rank in range(3)]
    batches = [list(stream) for stream in streams]
    assert [len(each) for each in batches] == [len(stream) for stream in streams] == [4, 4, 4]
    assert all(len(batch["input_ids"]) == 4 for each in batches for batch in each)
    assert max(Counter(number for each in batches for number in firsts(each)).values()) == 1


def test_ranks_are_those_that_torchrun_has_set(blocks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert firsts(opened(blocks)) == list(range(1, 57, 2))


def test_ranks_are_those_of_the_process_group_in_workers_too(
    blocks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    stream = pickle.loads(pickle.dumps(opened(blocks)))
    monkeypatch.undo()
    assert firsts(stream) == list(range(2, 57, 3))


# Going on


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("batch_size", [None, 4])
@pytest.mark.parametrize("stop", [0, 1, 7, 14])
def test_a_resume_in_the_middle_gives_exactly_the_rest(
    blocks: Path, seed: int | None, batch_size: int | None, stop: int
) -> None:
    how: dict[str, Any] = {"batch_size": batch_size, "seed": seed, "rank": 1, "world_size": 2}
    stream = opened(blocks, **how)
    stream.set_epoch(5)
    reading = iter(stream)
    seen = [next(reading) for _ in range(min(stop, 7 if batch_size else 28))]
    state = stream.state_dict()
    rest = firsts(reading)
    again = opened(blocks, **how)
    again.load_state_dict(state)
    assert firsts(again) == rest
    assert len(firsts(seen)) + len(rest) == 28
    assert len(firsts(again)) == 28  # the pass after it is a whole one


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_plain_loader_goes_on_after_the_batches_that_came_out(blocks: Path, workers: int) -> None:
    stream = opened(blocks, batch_size=4, seed=1)
    whole = firsts(stream)
    stream.load_state_dict(stream.state_after(6))
    assert firsts(DataLoader(stream, batch_size=None, num_workers=workers)) == whole[24:]


@pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_goes_on_by_itself(blocks: Path, workers: int) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader")

    def loader() -> Any:
        return stateful.StatefulDataLoader(opened(blocks, batch_size=4, seed=1), batch_size=None, num_workers=workers)

    one = loader()
    reading = iter(one)
    seen = [next(reading) for _ in range(5)]
    state = one.state_dict()
    rest = firsts(reading)
    other = loader()
    other.load_state_dict(state)
    assert firsts(other) == rest
    assert firsts(seen) + rest == firsts(opened(blocks, batch_size=4, seed=1))


def test_a_state_of_other_settings_is_refused(blocks: Path) -> None:
    state = opened(blocks, seed=1).state_dict()
    with pytest.raises(UsageError, match="seed 1, here it is 2"):
        opened(blocks, seed=2).load_state_dict(state)


# Samples


def test_samples_have_ids_and_labels_as_transformers_wants_them(blocks: Path) -> None:
    sample = next(iter(opened(blocks)))
    assert sample["input_ids"].dtype == torch.int64
    assert sample["input_ids"].tolist() == [at * 1000 for at in range(LENGTH)]
    assert sample["labels"].tolist() == sample["input_ids"].tolist()


@pytest.mark.parametrize(("kind", "dtype"), [(pa.uint16(), "uint16"), (pa.uint32(), "uint32")])
def test_raw_ids_are_those_on_disk_and_views_of_it(tmp_path: Path, kind: pa.DataType, dtype: str) -> None:
    path = write(tmp_path / "train", numbered(20, kind), files=1, batch_rows=20)
    stream = opened(path, batch_size=5, raw=True)
    batches = list(stream)
    assert batches[0]["input_ids"].dtype == getattr(torch, dtype)
    assert [int(each) for batch in batches for each in batch["input_ids"][:, 0]] == list(range(20))
    begin, size = stream.blocks._files[0].ctypes.data, stream.blocks._files[0].nbytes
    assert all(begin <= batch["input_ids"].data_ptr() < begin + size for batch in batches)


def test_writing_to_a_sample_does_not_reach_the_disk(blocks: Path) -> None:
    next(iter(opened(blocks, raw=True)))["input_ids"].numpy()[:] = 7
    assert firsts(opened(blocks))[0] == 0


def test_padding_has_no_label(tmp_path: Path) -> None:
    table = numbered(4).append_column("padding", pa.array([0, 3, 0, 7], pa.int32()))
    path = write(tmp_path / "train", table, files=2)
    labels = [sample["labels"].tolist() for sample in opened(path)]
    assert [each.count(-100) for each in labels] == [0, 3, 0, 7]
    assert labels[1][:5] == [1 + at * 1000 for at in range(5)]
    (batch,) = opened(path, batch_size=4)
    assert batch["labels"].tolist() == labels


def test_blocks_by_number_are_a_map_style_dataset(blocks: Path) -> None:
    found = opened(blocks, by_number=True)
    assert len(found) == 57
    assert found[56]["input_ids"][0] == found[-1]["input_ids"][0] == 56
    loader = DataLoader(found, batch_size=8, shuffle=True)
    assert sorted(firsts(loader)) == list(range(57))
    with pytest.raises(IndexError):
        found[57]


def test_a_split_without_blocks_gives_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "train", numbered(0), files=1)
    assert list(opened(path, seed=1, batch_size=4)) == []
    assert len(opened(path)) == 0
    assert len(opened(path, by_number=True)) == 0


@pytest.mark.parametrize("pack", ["concat", "best-fit"])
def test_blocks_of_shard_are_read_as_they_are(
    corpuskit: Any, chain: dict[str, Path], tmp_path: Path, pack: str
) -> None:
    words = ["shard", chain["tokens"], tmp_path / "out", "--block-tokens", 64, "--pack", pack, "--shard-bytes", 4096]
    assert corpuskit(*words, "--valid-fraction", 0.1).code == 0
    for split in ("train", "valid"):
        wanted = load(tmp_path / "out", split).column("input_ids").to_pylist()
        assert [sample["input_ids"].tolist() for sample in opened(tmp_path / "out", split=split)] == wanted
        assert [sample["input_ids"].tolist() for sample in opened(tmp_path / "out" / split)] == wanted


def test_a_trainer_of_transformers_learns_from_the_blocks(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    transformers = pytest.importorskip("transformers")
    path = write(tmp_path / "train", numbered(24), files=2)
    config = transformers.LlamaConfig(
        vocab_size=9000, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    settings = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=2, per_device_train_batch_size=4, report_to=[], use_cpu=True
    )
    model = transformers.LlamaForCausalLM(config)
    trainer = transformers.Trainer(model, settings, train_dataset=opened(path, by_number=True))
    assert trainer.train().global_step == 2


# Faults


def test_what_is_no_output_of_shard_is_told(tmp_path: Path, blocks: Path) -> None:
    with pytest.raises(NoInput, match="expected blocks with a split 'train'"):
        opened(tmp_path)
    with pytest.raises(NoInput, match="split 'valid'"):
        opened(blocks, split="valid")


def test_documents_are_no_blocks(tmp_path: Path) -> None:
    table = pa.table({"input_ids": pa.array([[1, 2], [3]], pa.list_(pa.uint16()))})
    path = write(tmp_path / "train", table, files=1)
    with pytest.raises(BadData, match="expected blocks of one length"):
        opened(path)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "train", numbered(20), files=1)
    file = path / "train" / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(BadData, match="data-00000"):
        opened(path)
    file.unlink()
    with pytest.raises(NoInput, match="found none"):
        opened(path)


@pytest.mark.parametrize("how", [{"rank": 1}, {"rank": 2, "world_size": 2}, {"batch_size": 0}])
def test_wrong_settings_are_told(blocks: Path, how: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        opened(blocks, **how)


def test_the_package_imports_torch_for_the_loader_only() -> None:
    import subprocess
    import sys

    script = (
        "import sys, corpuskit; assert 'torch' not in sys.modules; corpuskit.load_blocks; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError):
        package.no_such_thing  # noqa: B018
