"""A dataset on disk: a folder with `manifest.json`, written last, and the shards and files that it lists.

Nothing in a manifest depends on clocks, hosts, paths or the number of workers: the same input and options give the
same bytes. What a run leaves while it works lies in `.work/` and is gone when the manifest is there.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

import msgspec
import pyarrow as pa

from corpuskit import storage
from corpuskit.errors import BadData, NoInput
from corpuskit.schema import DROP, ERROR

MANIFEST = "manifest.json"
WORK = ".work"
FORMAT = 1
#: In place of a path: the Arrow IPC stream on standard input.
STDIN = "-"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
#: The tables that hold marked rows, beside the stage's own.
MARKED = {DROP: "dropped", ERROR: "errors"}


class Ledger(msgspec.Struct, frozen=True, omit_defaults=False):
    """Where the rows went: `in` = kept + dropped + errors. Counts rows, or the values of a list column."""

    rows_in: int = msgspec.field(name="in", default=0)
    kept: int = 0
    dropped: dict[str, int] = msgspec.field(default_factory=dict)
    errors: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def adds_up(self) -> bool:
        """Tell whether nothing is lost."""
        return self.rows_in == self.kept + sum(self.dropped.values()) + sum(self.errors.values())

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            self.rows_in + other.rows_in,
            self.kept + other.kept,
            add_counts(self.dropped, other.dropped),
            add_counts(self.errors, other.errors),
        )


def add_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Add two tables of counts; the keys come out sorted."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted({*one, *other})}


class Shard(msgspec.Struct, frozen=True):
    """One file of an artifact.

    `rows` is None for opaque files, which may have an `about`: what their download knows of them.
    """

    file: str
    bytes: int
    sha256: str
    rows: int | None = None
    about: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class Artifact(msgspec.Struct, frozen=True):
    """A table in shards or a set of opaque files, in a sub-folder of the dataset (or in itself)."""

    kind: str
    folder: str
    shards: list[Shard]
    columns: dict[str, str] = msgspec.field(default_factory=dict)
    counts: str | None = None
    counted: bool = False  # its rows are the `kept` of the ledger

    @property
    def rows(self) -> int:
        """The rows of all shards."""
        return sum(shard.rows or 0 for shard in self.shards)

    @property
    def bytes(self) -> int:
        """The bytes of all shards."""
        return sum(shard.bytes for shard in self.shards)


class Ancestor(msgspec.Struct, frozen=True):
    """A stage upstream, as far as a reader of the lineage needs it.

    `inputs` holds the keys of what it read, the main input first; lineages of older manifests lack it.
    """

    stage: str
    version: int
    key: str
    options: dict[str, Any]
    ledger: Ledger
    inputs: dict[str, list[str]] = msgspec.field(default_factory=dict)


class Manifest(msgspec.Struct, frozen=True):
    """What a dataset is, how it came about and what it holds."""

    corpuskit: int
    stage: str
    version: int
    key: str
    options: dict[str, Any]
    inputs: dict[str, list[str]]
    artifacts: dict[str, Artifact]
    ledger: Ledger
    unit: str
    tasks: list[Ledger]
    lineage: list[Ancestor]
    figures: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET  # what the stage found out about all of it

    @property
    def main(self) -> str:
        """The name of the first artifact, the one that the stage is for."""
        return next(iter(self.artifacts))

    def encode(self) -> bytes:
        """Give the manifest as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def key_of(stage: str, version: int, options: Mapping[str, Any], inputs: Mapping[str, Sequence[str]]) -> str:
    """Hash what decides the bytes of a dataset."""
    words = {
        "stage": stage,
        "version": version,
        "options": dict(options),
        "inputs": {n: list(i) for n, i in inputs.items()},
    }
    return hashlib.sha256(msgspec.json.encode(words, order="deterministic")).hexdigest()


def is_dataset(path: str) -> bool:
    """Tell whether a folder holds a finished dataset."""
    return storage.exists(storage.join(path, MANIFEST))


def read_manifest(path: str) -> Manifest:
    """Read a dataset's manifest. Raises NoInput where there is none, BadData where it cannot be read."""
    file = storage.join(path, MANIFEST)
    if not storage.exists(file):
        unfinished = storage.exists(storage.join(path, WORK))
        remedy = "its run was interrupted: run the same command again" if unfinished else "check the path"
        raise NoInput(path, f"expected a dataset, found no {MANIFEST}", remedy)
    try:
        manifest = msgspec.json.decode(storage.read_bytes(file), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadData(file, f"expected a manifest: {error}", "make the dataset anew") from None
    if manifest.corpuskit != FORMAT:
        raise BadData(file, f"expected format {FORMAT}, found {manifest.corpuskit}", "use the corpuskit that wrote it")
    return manifest


def shard_paths(path: str, artifact: Artifact) -> list[str]:
    """List the paths of an artifact's files, in order."""
    return [storage.join(path, artifact.folder, shard.file) for shard in artifact.shards]


def damaged(path: str, manifest: Manifest) -> str | None:
    """Name the first file that is missing or has another size than the manifest says; `verify` looks closer."""
    for artifact in manifest.artifacts.values():
        for shard, file in zip(artifact.shards, shard_paths(path, artifact), strict=True):
            if storage.size(file) != shard.bytes:
                return file
    return None


def read_stream(path: str) -> Iterator[pa.RecordBatch]:
    """Stream the record batches of an Arrow IPC stream file; an empty batch where it holds none.

    Raises NoInput where the file is gone, BadData where it cannot be read.
    """
    if path == STDIN:
        yield from _read_stdin()
        return
    try:
        with storage.source(path) as file, pa.ipc.open_stream(file) as reader:
            seen = False
            for batch in reader:
                seen = True
                yield batch
            if not seen:
                yield empty_batch(reader.schema)
    except FileNotFoundError:
        raise NoInput(path, "expected a shard, found none", "run `corpuskit verify` on the dataset") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise BadData(path, f"expected an Arrow IPC stream: {error}", "run `corpuskit verify` on the dataset") from None


class _Tail(io.RawIOBase):
    """A pipe that remembers its last eight bytes."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__()
        self._pipe, self.tail = pipe, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._pipe.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self.tail = (self.tail + chunk)[-8:]
        return len(chunk)


def _read_stdin() -> Iterator[pa.RecordBatch]:
    """Stream record batches from standard input.

    Arrow takes a stream that breaks off between two batches for a whole one. Its end mark tells the difference:
    without it, the command before this one has failed. Raises BadData then.
    """
    pipe = _Tail(sys.stdin.buffer)
    seen = False
    try:
        reader = pa.ipc.open_stream(pa.PythonFile(pipe, mode="r"))
        for batch in reader:
            seen = True
            yield batch
    except (pa.ArrowInvalid, OSError) as error:
        raise BadData(
            "standard input",
            f"expected an Arrow IPC stream: {error}",
            "pipe a corpuskit command into this one, or give --format jsonl",
        ) from None
    if pipe.tail != _END_OF_STREAM:
        raise BadData(
            "standard input",
            "the stream breaks off before its end mark",
            "the command before this one failed; see its message",
        )
    if not seen:
        yield empty_batch(reader.schema)


def read_bucket(path: str, bucket: int, buckets: int) -> list[pa.RecordBatch]:
    """Read one of the buckets of an exchange file, a batch of each round. Raises BadData where it cannot be read."""
    try:
        with storage.source(path) as file, pa.ipc.open_file(file) as reader:
            return [reader.get_batch(at) for at in range(bucket, reader.num_record_batches, buckets)]
    except (pa.ArrowInvalid, OSError) as error:
        raise BadData(path, f"expected an Arrow IPC file: {error}", "remove the .work folder and run again") from None


def read_table(paths: Sequence[str]) -> pa.Table:
    """Give several stream files as one table, memory-mapped where they are local."""
    return pa.Table.from_batches([batch for path in paths for batch in read_stream(path)])


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """Make a batch without rows."""
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)
