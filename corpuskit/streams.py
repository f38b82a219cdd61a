"""`-` on the command line: Arrow IPC or JSON Lines on standard input and output."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from corpuskit import catalog, dataset, storage
from corpuskit.cutting import Made, cut
from corpuskit.dataset import STDIN, Artifact, Ledger, Manifest
from corpuskit.errors import BadData, UsageError
from corpuskit.plan import Source, final_artifacts, plan_stage
from corpuskit.schema import DOCS
from corpuskit.shardfile import ShardWriter
from corpuskit.stage import Figures, Input, Stage, Table, Written
from corpuskit.tally import Tally, split_marked
from corpuskit.task import run_into

_LINES = 1000


class StdoutOutput:
    """Write the rows that a step keeps to standard output, as they come."""

    def __init__(self, words: str, stage: Stage, at: int, format: str) -> None:
        self.tally = Tally(stage.steps[at], stage.reasons, words)
        self.files = 0
        self.out: Path | None = None
        self._main = next(name for name, what in stage.steps[at].writes.items() if isinstance(what, Table))
        self._schema = stage.steps[at].writes[self._main].schema  # type: ignore[union-attr]
        self._writer = BatchWriter(format)

    def write(self, artifact: str, batch: pa.RecordBatch) -> None:
        """Count a batch and write what is kept of it."""
        parts = split_marked(batch)
        self.tally.writing(artifact, parts)
        if artifact == self._main:
            self._writer.write(parts[""])

    def next_file(self, artifact: str) -> None:
        """Take note of a new file: a stream has none."""

    def keep(self, written: Written) -> None:
        """Take note of a file: none goes to a stream."""

    def note(self, figures: Figures) -> None:
        """Take note of figures: a stream has no manifest."""

    def finish(self) -> None:
        """Leave the end to the last task."""

    def close(self) -> None:
        """Write the end mark."""
        self._writer.close(self._schema)


class BatchWriter:
    """Write batches to standard output as an Arrow IPC stream or as JSON Lines."""

    def __init__(self, format: str) -> None:
        self._file = sys.stdout.buffer
        self._format = format
        self._arrow: Any = None
        if format == "arrow" and self._file.isatty():
            raise UsageError(
                "OUT",
                "standard output is a terminal, and Arrow is no text",
                "pipe it on, or pass --format jsonl",
            )

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch at once, so that a reader further down can go on."""
        if self._format == "jsonl":
            self._file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in batch.to_pylist()))
        else:
            if self._arrow is None:
                self._arrow = pa.ipc.new_stream(self._file, batch.schema)
            self._arrow.write_batch(batch)
        self._file.flush()

    def close(self, schema: pa.Schema) -> None:
        """Write the end mark; a stream without batches gets `schema`."""
        if self._format == "arrow":
            if self._arrow is None:
                self._arrow = pa.ipc.new_stream(self._file, schema)
            self._arrow.close()
        self._file.flush()


def has_rows(stage: Stage) -> bool:
    """Tell whether a stage's output is a table, rows of which a stream can hold."""
    return isinstance(next(iter(final_artifacts(stage).values())), Table)


def reads_or_writes_rows(stage: Stage) -> bool:
    """Tell whether a stream of rows can be a stage's input or its output."""
    return has_rows(stage) or any({"docs", "tokens"} & set(each.artifacts) for each in stage.inputs)


def can_stream(stage: Stage) -> bool:
    """Tell whether a stage can hand its rows on while it reads: one step makes its table, row by row."""
    if not has_rows(stage):
        return False
    tables = [step for step in stage.steps if any(isinstance(what, Table) for what in step.writes.values())]
    return len(tables) == 1 and any(isinstance(what, Table) and not what.folder for what in tables[0].writes.values())


def stream(words: str, given: Mapping[str, Any], inputs: Mapping[str, Sequence[str]], format: str) -> Ledger:
    """Run a stage from its inputs (one of which may be `-`) to standard output, in this process.

    Marked rows are counted, not kept. Gives the ledger.
    """
    stage = catalog.load(words)
    at = next(n for n, step in enumerate(stage.steps) if any(isinstance(w, Table) for w in step.writes.values()))
    bound: dict[str, Sequence[str | Source]] = dict(inputs)
    made: dict[str, Made] = {}
    for each in stage.inputs:
        if list(inputs.get(each.name, ())) == [STDIN]:
            bound[each.name] = [Source(STDIN, "stdin", each.artifacts)]
            made[each.name] = Made(each.artifacts[0], (STDIN,), 0)
    plan = plan_stage(words, given, bound, "-")
    output = StdoutOutput(words, stage, at, format)
    for task in cut(plan, at, made):
        run_into(task, output)
    output.close()
    return output.tally.ledger(files=0)


def copy_out(path: str, format: str) -> None:
    """Write the main table of a dataset to standard output."""
    manifest = dataset.read_manifest(path)
    artifact = manifest.artifacts[manifest.main]
    if artifact.kind != "table":
        raise UsageError("OUT", f"`{manifest.stage}` writes files, not rows", "give a folder")
    writer = BatchWriter(format)
    schema = None
    for shard in dataset.shard_paths(path, artifact):
        for batch in dataset.read_stream(shard):
            schema = batch.schema
            writer.write(batch)
    assert schema is not None
    writer.close(schema)


def spool(wanted: Input, folder: str, format: str) -> str:
    """Put standard input on disk, so that a stage can cut it into tasks: a dataset, or a raw file."""
    if wanted.raw and not set(wanted.artifacts) & {"docs", "tokens"}:
        path = os.path.join(folder, "stdin")
        with open(path, "wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
        return path
    name = wanted.artifacts[0]
    batches = _read_lines(sys.stdin.buffer) if format == "jsonl" else dataset.read_stream(STDIN)
    with ShardWriter(folder, name) as writer:
        for batch in batches:
            writer.write(batch)
        shards = writer.close(at_least_one=True)
    columns = {field.name: str(field.type) for field in writer.schema or ()}
    rows = sum(shard.rows or 0 for shard in shards)
    ledger = Ledger(rows, rows)
    key = dataset.key_of("stdin", 1, {}, {name: [shard.sha256 for shard in shards]})
    artifact = Artifact("table", "", shards, columns, None, True)
    manifest = Manifest(dataset.FORMAT, "stdin", 1, key, {}, {}, {name: artifact}, ledger, "rows", [ledger], [])
    storage.write_bytes(storage.join(folder, dataset.MANIFEST), manifest.encode())
    return folder


def _read_lines(file: Any) -> Iterator[pa.RecordBatch]:
    """Read JSON Lines of documents. Raises BadData that names the line."""
    schema: pa.Schema | None = None
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise BadData(
                f"standard input, line {number}",
                f"expected a JSON object: {error}",
                "mend the line, or read it with `extract`",
            ) from None
        for column in ("id", "text"):
            if not isinstance(row.get(column), str):
                raise BadData(
                    f"standard input, line {number}",
                    f"expected a string `{column}`",
                    "read it with `extract`, which makes documents",
                )
        rows.append(row)
        if len(rows) == _LINES:
            schema = schema or _schema(rows)
            yield _batch(rows, schema, number)
            rows = []
    schema = schema or _schema(rows)
    yield _batch(rows, schema, -1)


def _schema(rows: list[dict[str, Any]]) -> pa.Schema:
    """Take the columns of documents, and further ones as the first rows have them."""
    inferred = pa.Table.from_pylist(rows).schema if rows else pa.schema([])
    further = [field for field in inferred if field.name not in DOCS.names and not pa.types.is_null(field.type)]
    return pa.schema([*DOCS, *further])


def _batch(rows: list[dict[str, Any]], schema: pa.Schema, number: int) -> pa.RecordBatch:
    try:
        return pa.RecordBatch.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise BadData(
            f"standard input, before line {number}",
            f"a value has another type than in the first rows: {error}",
            "read it with `extract`",
        ) from None
