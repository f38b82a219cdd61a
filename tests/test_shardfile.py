"""Shards whose bytes depend on their rows alone."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit import storage
from corpuskit.dataset import read_bucket, read_stream
from corpuskit.shardfile import EXCHANGE, ExchangeWriter, Rebatcher, ShardWriter, bucket_of, row_bytes

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.list_(pa.uint16())), ("score", pa.float32()), ("flag", pa.bool_())])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.none() | st.text(max_size=20),
            "n": st.none() | st.lists(st.integers(0, 65535), max_size=5),
            "score": st.none() | st.floats(width=32, allow_nan=False),
            "flag": st.none() | st.booleans(),
        }
    ),
    max_size=60,
)


def written(rows: list[dict], cuts: list[int], max_bytes: int = 1 << 20) -> list[str]:
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    with tempfile.TemporaryDirectory() as folder, ShardWriter(folder, "part", max_bytes) as writer:
        bounds = sorted({0, *[cut % (len(rows) + 1) for cut in cuts], len(rows)})
        for start, stop in itertools.pairwise(bounds):
            writer.write(batch.slice(start, stop - start))
        if not rows:
            writer.write(batch)
        shards = writer.close(at_least_one=True)
        assert [hashlib.sha256((Path(folder) / s.file).read_bytes()).hexdigest() for s in shards] == [
            s.sha256 for s in shards
        ]
        back = [row for s in shards for b in read_stream(f"{folder}/{s.file}") for row in b.to_pylist()]
    assert back == batch.to_pylist()
    return [shard.sha256 for shard in shards]


@given(ROWS, st.lists(st.integers(0, 100), max_size=6))
@settings(max_examples=150, deadline=None)
def test_the_bytes_of_a_shard_do_not_depend_on_the_batches_that_its_rows_came_in(
    rows: list[dict], cuts: list[int]
) -> None:
    assert written(rows, cuts) == written(rows, [])


def test_a_batch_never_holds_more_rows_or_bytes_than_its_limits_but_for_a_single_large_row() -> None:
    rebatcher = Rebatcher(max_rows=10, max_bytes=100)
    texts = ["x" * size for size in (5, 90, 300, 1, *[3] * 40)]
    batch = pa.record_batch({"text": texts})
    out = [*rebatcher.push(batch), *rebatcher.rest()]
    assert [text for each in out for text in each.column("text").to_pylist()] == texts
    assert all(each.num_rows <= 10 for each in out)
    assert all(row_bytes(each).sum() <= 100 or each.num_rows == 1 for each in out)


def test_a_shard_is_closed_when_it_is_full() -> None:
    rows = [{"id": "x" * 1000, "n": [], "score": 0.0, "flag": True}] * 30_000
    assert len(written(rows, [], max_bytes=4 << 20)) > 1


def test_columns_that_differ_from_the_first_batch_are_refused(tmp_path: Path) -> None:
    with ShardWriter(str(tmp_path), "part") as writer:
        writer.write(pa.record_batch({"a": [1]}))
        with pytest.raises(ValueError, match="column"):
            writer.write(pa.record_batch({"b": [1]}))
        writer.close(at_least_one=True)


def test_an_abandoned_shard_leaves_no_file(tmp_path: Path) -> None:
    def abandon() -> None:
        with ShardWriter(str(tmp_path), "part") as writer:
            writer.write(pa.record_batch({"a": list(range(10_000))}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        abandon()
    assert not list(tmp_path.iterdir())


def test_the_hash_of_an_exchange_is_the_one_that_a_rerun_looks_at(tmp_path: Path) -> None:
    writer = ExchangeWriter(str(tmp_path), "part", "key", 2)
    writer.write(pa.record_batch({"key": pa.array(range(9), pa.uint64())}))
    shard = writer.close()
    file = tmp_path / shard.file
    assert shard.file.endswith(EXCHANGE)
    assert (shard.bytes, shard.sha256) == (file.stat().st_size, storage.passing_hash(str(file)))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert storage.passing_hash(str(file)) != shard.sha256


def test_an_abandoned_exchange_leaves_no_file(tmp_path: Path) -> None:
    def abandon() -> None:
        with ExchangeWriter(str(tmp_path), "part", "key", 2, round_bytes=8) as writer:
            writer.write(pa.record_batch({"key": pa.array(range(9), pa.uint64())}))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        abandon()
    assert not list(tmp_path.iterdir())


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(1, 9), st.sampled_from([0, 100, 1 << 20]))
@settings(max_examples=60, deadline=None)
def test_rows_of_one_hash_meet_in_one_bucket_and_buckets_keep_the_order_of_hashes(
    hashes: list[int], buckets: int, round_bytes: int
) -> None:
    batch = pa.record_batch({"key": pa.array(hashes, pa.uint64()), "at": pa.array(range(len(hashes)), pa.int64())})
    with tempfile.TemporaryDirectory() as folder:
        with ExchangeWriter(folder, "part", "key", buckets, round_bytes) as writer:
            for start in range(0, max(len(hashes), 1), 7):
                writer.write(batch.slice(start, 7))
            shard = writer.close()
        path = f"{folder}/{shard.file}"
        read = [pa.Table.from_batches(read_bucket(path, bucket, buckets)) for bucket in range(buckets)]
    assert shard.rows == len(hashes)
    assert all(each.column("at").to_pylist() == sorted(each.column("at").to_pylist()) for each in read)
    assert sorted(at for each in read for at in each.column("at").to_pylist()) == list(range(len(hashes)))
    tops = [(min(keys), max(keys)) for each in read if (keys := each.column("key").to_pylist())]
    assert all(before[1] < after[0] for before, after in itertools.pairwise(tops))
    expected = np.array([hash_ * buckets >> 64 for hash_ in hashes], np.int64)
    assert np.abs(bucket_of(np.array(hashes, np.uint64), buckets) - expected).max(initial=0) <= 1
