"""One step on one shard: the unit that executors run. A task is words and paths only, and so is its report.

The report's file is the completion mark: a rerun skips a task whose report is there and whose outputs still have the
recorded hashes.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from corpuskit import catalog, storage
from corpuskit.dataset import MARKED, Ledger, Shard, empty_batch, read_bucket, read_stream, read_table
from corpuskit.errors import BadData, CorpuskitError, Unavailable
from corpuskit.options import build
from corpuskit.schema import DETAIL_PREFIX, DROP, ERROR
from corpuskit.shardfile import ExchangeWriter, ShardWriter
from corpuskit.stage import Files, OneFile, Stage, Step, Table


class Read(msgspec.Struct, frozen=True):
    """How a task gets one parameter. `how`: batches, bucket, whole, files, folder, nothing."""

    how: str
    paths: list[str] = []
    abouts: list[dict[str, str]] = []
    bucket: int = 0
    artifact: str = ""


class Task(msgspec.Struct, frozen=True):
    """One step on one shard: names, options and paths."""

    stage: str
    step: int
    index: int
    options: dict[str, Any]
    reads: dict[str, Read]
    work: str
    buckets: int = 1

    @property
    def report_path(self) -> str:
        """Where its completion mark lies."""
        return storage.join(self.work, f"task-{self.index:05d}.json")


class TaskReport(msgspec.Struct, frozen=True):
    """What a task did: the shards of every artifact, the columns, the ledger, and how long it took."""

    step: int
    index: int
    shards: dict[str, list[Shard]]
    columns: dict[str, dict[str, str]]
    ledger: Ledger
    warnings: list[str]
    seconds: float

    @property
    def rows(self) -> int:
        """The rows that the task wrote."""
        return sum(shard.rows or 0 for shards in self.shards.values() for shard in shards)


def execute(task: Task) -> TaskReport:
    """Run a task and leave its outputs and its report on disk; the only thing that an executor ever runs.

    Two attempts at one task write equal bytes. Raises CorpuskitError for what the user can mend.
    """
    started = time.perf_counter()
    stage = catalog.load(task.stage)
    step = stage.steps[task.step]
    output = _Output(task, stage, step)
    with _kept_warnings() as warnings, output:
        run_into(task, output)
    report = TaskReport(
        task.step,
        task.index,
        output.shards,
        output.columns,
        output.ledger,
        warnings,
        time.perf_counter() - started,
    )
    storage.write_bytes(task.report_path, msgspec.json.encode(report))
    return report


class Output(Protocol):
    """Where a task's batches go."""

    tally: Tally
    files: int
    out: Path | None

    def write(self, artifact: str, batch: pa.RecordBatch) -> None:
        """Take a batch of an artifact."""
        ...

    def finish(self) -> None:
        """Take the end of the step."""
        ...


def run_into(task: Task, output: Output) -> None:
    """Run a task's step, its batches into `output`. Raises CorpuskitError for what the user can mend."""
    stage = catalog.load(task.stage)
    step = stage.steps[task.step]
    options = build(stage.options, task.options, task.stage)
    with contextlib.ExitStack() as stack, _naming_extra(stage, task.stage):
        for arguments in _calls(task, step, output, stack):
            for artifact, batch in _flow(step, options, arguments):
                output.write(artifact, batch)
        output.finish()


def finished(task: Task) -> TaskReport | None:
    """Give the report of an earlier attempt, if its outputs are still what it says."""
    if not storage.exists(task.report_path):
        return None
    try:
        report = msgspec.json.decode(storage.read_bytes(task.report_path), type=TaskReport)
    except msgspec.DecodeError:
        return None
    for artifact, shards in report.shards.items():
        for shard in shards:
            path = storage.join(task.work, files_folder(task, artifact, report), shard.file)
            if storage.size(path) != shard.bytes or storage.sha256(path) != shard.sha256:
                return None
    return report


def files_folder(task: Task, artifact: str, report: TaskReport) -> str:
    """Tell where below `work` an artifact's outputs lie: opaque files have a folder of their own."""
    return f"{artifact}-{task.index:05d}" if artifact not in report.columns else ""


def _flow(step: Step, options: Any, arguments: Mapping[str, Any]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Call a step and give what it yields as (artifact, batch)."""
    wanted = inspect.signature(step.run).parameters
    out = step.run(**{name: value for name, value in {**arguments, "options": options}.items() if name in wanted})
    first = next((name for name, what in step.writes.items() if isinstance(what, Table)), "")
    for each in out if isinstance(out, Iterator) else ():
        artifact, batch = each if isinstance(each, tuple) else (first, each)
        if not isinstance(step.writes.get(artifact), Table):
            raise CorpuskitError(
                step.run.__name__,
                f"yields `{artifact}`, which its step does not declare",
                "declare it in `writes`",
            )
        yield artifact, batch


def split_marked(batch: pa.RecordBatch) -> dict[str, pa.RecordBatch]:
    """Part a batch into {"": kept, "drop": dropped, "error": errors}; kept rows lose the reserved columns."""
    names = batch.schema.names
    reserved = [name for name in names if name in MARKED or name.startswith(DETAIL_PREFIX)]
    plain = [name for name in names if name not in reserved]
    parts = {"": batch}
    if ERROR in names:
        parts[""], parts[ERROR] = _part(batch, ERROR)
    if DROP in names:
        parts[""], parts[DROP] = _part(parts[""], DROP)
    out = {"": parts[""].select(plain)}
    for column in MARKED:
        if column in parts and parts[column].num_rows:
            other = {*MARKED} - {column}
            out[column] = parts[column].select([name for name in names if name not in other])
    return out


def _part(batch: pa.RecordBatch, column: str) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    keep = pc.is_null(batch.column(column))
    if pc.all(keep, min_count=0).as_py():
        return batch, batch.slice(0, 0)
    return batch.filter(keep), batch.filter(pc.invert(keep))


def weigh(batch: pa.RecordBatch, counts: str | None) -> int:
    """Count a batch's rows, or the values of a list column that are not null."""
    if counts is None:
        return int(batch.num_rows)
    values = batch.column(counts).flatten()
    return len(values) - int(values.null_count)


class Tally:
    """Count where rows go while a step runs."""

    def __init__(self, step: Step, reasons: Mapping[str, str], where: str) -> None:
        tables = {name: what for name, what in step.writes.items() if isinstance(what, Table)}
        conserving = {name: what for name, what in tables.items() if what.conserves}
        self.param = next((what.conserves for what in conserving.values()), None)
        # A step that makes opaque files accounts for what it read; one that reads them is a source: all that it
        # yields came in.
        makes_files = any(isinstance(what, Files) for what in step.writes.values())
        self._counted = conserving or ({} if makes_files else dict(list(tables.items())[:1]))
        self._reasons, self._where = reasons, where
        self._in = self._kept = 0
        self._marked: dict[str, Counter[str]] = {DROP: Counter(), ERROR: Counter()}

    def reading(self, param: str, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Count the input, if it is the one to account for."""
        counts = next((what.counts for what in self._counted.values()), None)
        for batch in batches:
            if param == self.param or self.param is None:
                self._in += weigh(batch, counts)
            yield batch

    def writing(self, artifact: str, parts: Mapping[str, pa.RecordBatch]) -> None:
        """Count one batch of the output. Raises CorpuskitError for a reason that the stage does not declare."""
        if artifact not in self._counted:
            return
        counts = self._counted[artifact].counts
        self._kept += weigh(parts[""], counts)
        for column in MARKED:
            if column in parts:
                reasons = parts[column].column(column).to_pylist()
                if counts is None:
                    self._marked[column].update(reasons)
                else:
                    for at, reason in enumerate(reasons):
                        self._marked[column][reason] += weigh(parts[column].slice(at, 1), counts)
                for reason in set(reasons) - set(self._reasons):
                    raise CorpuskitError(
                        self._where,
                        f"marks rows with `{reason}`, which is not declared",
                        "explain it in the stage's `reasons`",
                    )

    def ledger(self, *, files: int) -> Ledger:
        """Close the books. Raises CorpuskitError where rows are lost."""
        marked = {column: dict(sorted(counter.items())) for column, counter in self._marked.items()}
        gone = sum(sum(reasons.values()) for reasons in marked.values())
        if not self._counted:  # only opaque files come out: what went in was used
            rows = self._in or files
            return Ledger(rows, rows)
        if self.param is None:
            return Ledger(self._kept + gone, self._kept, marked[DROP], marked[ERROR])
        ledger = Ledger(self._in, self._kept, marked[DROP], marked[ERROR])
        if not ledger.adds_up:
            raise CorpuskitError(
                self._where,
                f"{ledger.rows_in} came in, but {ledger.kept} were kept and {gone} marked",
                "this is a fault of the stage: it must mark rows, not remove them",
            )
        return ledger


class _Output:
    """Everything that a task writes."""

    def __init__(self, task: Task, stage: Stage, step: Step) -> None:
        self._task, self._step = task, step
        self.tally = Tally(step, stage.reasons, task.stage)
        self._writers: dict[str, ShardWriter | ExchangeWriter] = {}
        self._stack = contextlib.ExitStack()
        self.shards: dict[str, list[Shard]] = {}
        self.columns: dict[str, dict[str, str]] = {}
        self.ledger = Ledger()
        self.files = 0
        self.out: Path | None = None

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def write(self, artifact: str, batch: pa.RecordBatch) -> None:
        table = cast("Table", self._step.writes[artifact])
        missing = [name for name in table.schema.names if name not in batch.schema.names]
        if missing:
            raise CorpuskitError(
                self._task.stage,
                f"yields `{artifact}` without its columns {', '.join(missing)}",
                "this is a fault of the stage",
            )
        parts = split_marked(batch)
        self.tally.writing(artifact, parts)
        self._writer(artifact, table).write(parts[""])
        for column, name in MARKED.items():
            if column in parts:
                self._writer(name, None).write(parts[column])

    def _writer(self, artifact: str, table: Table | None) -> ShardWriter | ExchangeWriter:
        if artifact not in self._writers:
            stem = f"{artifact}-{self._task.index:05d}"
            if table is not None and table.by is not None:
                self._writers[artifact] = ExchangeWriter(self._task.work, stem, table.by, self._task.buckets)
            else:
                self._writers[artifact] = self._stack.enter_context(ShardWriter(self._task.work, stem))
        return self._writers[artifact]

    def finish(self) -> None:
        for artifact, what in self._step.writes.items():
            if isinstance(what, Table) and artifact not in self._writers:
                self._writer(artifact, what).write(empty_batch(what.schema))
        for artifact, writer in self._writers.items():
            if isinstance(writer, ExchangeWriter):
                self.shards[artifact] = [writer.close()]
                self.columns[artifact] = {}
            else:
                self.shards[artifact] = writer.close(at_least_one=artifact not in MARKED.values())
                self.columns[artifact] = {field.name: str(field.type) for field in writer.schema or ()}
        if self.out is not None:
            self._keep_files()
        self.ledger = self.tally.ledger(files=self.files or sum(map(len, self.shards.values())))

    def _keep_files(self) -> None:
        """Move what the step left in `out` to its place, hashed and durable."""
        assert self.out is not None
        artifact = next(name for name, what in self._step.writes.items() if isinstance(what, Files))
        folder = storage.join(self._task.work, f"{artifact}-{self._task.index:05d}")
        storage.remove_folder(folder)
        shards = []
        for name in storage.tree(str(self.out)):
            made = self.out / name

            def fill(sink: storage.Sink, made: Path = made) -> None:
                with open(made, "rb") as file:
                    while chunk := file.read(1 << 20):
                        sink.write(chunk)

            written, digest = storage.write(storage.join(folder, name), fill)
            shards.append(Shard(name, written, digest))
            if not self._step.resumes:
                made.unlink()
        self.shards[artifact] = shards


def _calls(task: Task, step: Step, output: Output, stack: contextlib.ExitStack) -> Iterator[dict[str, Any]]:
    """Give the keyword arguments of every call of the step: one call, or one for each opaque file."""
    fixed: dict[str, Any] = {
        "shard": task.index,
        "artifacts": {name: read.artifact for name, read in task.reads.items()},
    }
    each: tuple[str, Read] | None = None
    for name, read in task.reads.items():
        output.files += len(read.paths) if read.how in ("files", "folder") else 0
        if read.how == "files":
            each = (name, read)
        else:
            fixed[name] = _argument(name, read, output, stack)
    if any(isinstance(what, Files) for what in step.writes.values()):
        fixed["out"] = output.out = _out_folder(task, step, stack)
    if each is None:
        yield fixed
        return
    name, read = each
    for path, about in zip(read.paths, read.abouts, strict=True):
        with storage.local_copy(path) as local:
            yield {**fixed, name: OneFile(local, about)}


def _argument(name: str, read: Read, output: Output, stack: contextlib.ExitStack) -> Any:
    if read.how == "batches":
        return output.tally.reading(name, (batch for path in read.paths for batch in read_stream(path)))
    if read.how == "bucket":
        return output.tally.reading(name, (read_bucket(path, read.bucket) for path in read.paths))
    if read.how == "whole":
        table = read_table(read.paths)
        for _ in output.tally.reading(name, iter(table.to_batches())):
            pass
        return table
    if read.how == "folder":
        return stack.enter_context(storage.local_copy(read.paths[0]))
    return None


def _out_folder(task: Task, step: Step, stack: contextlib.ExitStack) -> Path:
    if storage.is_remote(task.work):
        import tempfile

        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="corpuskit-")))
    out = Path(task.work) / f"out-{task.index:05d}.tmp"
    if not step.resumes:
        storage.remove_folder(str(out))
    with storage.cannot_write(str(out)):
        out.mkdir(parents=True, exist_ok=True)
    return out


def missing_extra(where: str, package: str, extra: str) -> Unavailable:
    """Give the error that names a missing package and the extra that brings it."""
    return Unavailable(
        where,
        f"needs `{package}`, which is not installed",
        f"pip install 'corpuskit-pipeline[{extra}]' (or '.[{extra}]' in its source)",
    )


@contextlib.contextmanager
def _naming_extra(stage: Stage, words: str) -> Iterator[None]:
    """Turn a missing optional package, or data that Arrow refuses, into an error that says what to do."""
    try:
        yield
    except ImportError as error:
        extra = stage.extra or stage.some_extra
        if extra is None:
            raise
        raise missing_extra(words, error.name or str(error), extra) from None
    except pa.ArrowInvalid as error:
        raise BadData(words, f"Arrow refuses the data: {error}", "run `corpuskit verify` on the input") from error


@contextlib.contextmanager
def _kept_warnings() -> Iterator[list[str]]:
    """Collect what a step warns of, so that it reaches the user from any process."""
    kept: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record.getMessage())

    logger, handler = logging.getLogger("corpuskit"), Keeper(logging.WARNING)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False  # printed by whoever gets the report
    try:
        yield kept
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
