"""One step on one shard: the unit that executors run. A task is words and paths only, and so is its report.

The report's file is the completion mark: a rerun skips a task whose report is there and whose outputs still have the
recorded hashes.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import msgspec
import pyarrow as pa

from corpuskit import catalog, storage
from corpuskit.dataset import MARKED, Ledger, Shard, empty_batch, read_bucket, read_stream, read_table
from corpuskit.errors import BadData, CorpuskitError, Unavailable
from corpuskit.options import build
from corpuskit.shardfile import EXCHANGE, ExchangeWriter, ShardWriter
from corpuskit.stage import Apart, Figures, Files, NextFile, OneFile, Stage, Step, Table, Written
from corpuskit.tally import Tally, split_marked

#: Names that a step gives to what it has not finished: these stay behind.
PARTIAL = (".part", ".part.json")


class Read(msgspec.Struct, frozen=True):
    """How a task gets one parameter. `how`: batches, bucket, whole, apart, files, folder, nothing."""

    how: str
    paths: list[str] = []
    abouts: list[dict[str, str]] = []
    parts: list[str] = []
    bucket: int = 0
    buckets: int = 1
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
    figures: dict[str, Any] = {}

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
        output.figures,
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

    def next_file(self, artifact: str) -> None:
        """Take it that what follows of an artifact goes into a new file."""
        ...

    def keep(self, written: Written) -> None:
        """Take what is known of a file that the step has left."""
        ...

    def note(self, figures: Figures) -> None:
        """Take what the step has found out about its output."""
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
            for each in _flow(step, options, arguments):
                if isinstance(each, Written):
                    output.keep(each)
                elif isinstance(each, Figures):
                    output.note(each)
                elif isinstance(each, NextFile):
                    output.next_file(each.table)
                else:
                    output.write(*each)
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
            if storage.size(path) != shard.bytes:
                return None
            digest = storage.passing_hash if shard.file.endswith(EXCHANGE) else storage.sha256
            if digest(path) != shard.sha256:
                return None
    return report


def files_folder(task: Task, artifact: str, report: TaskReport) -> str:
    """Tell where below `work` an artifact's outputs lie: opaque files have a folder of their own."""
    return f"{artifact}-{task.index:05d}" if artifact not in report.columns else ""


def _flow(
    step: Step, options: Any, arguments: Mapping[str, Any]
) -> Iterator[tuple[str, pa.RecordBatch] | Written | Figures | NextFile]:
    """Call a step and give what it yields, batches as (artifact, batch)."""
    wanted = inspect.signature(step.run).parameters
    out = step.run(**{name: value for name, value in {**arguments, "options": options}.items() if name in wanted})
    first = next((name for name, what in step.writes.items() if isinstance(what, Table)), "")
    for each in out if isinstance(out, Iterator) else ():
        if isinstance(each, Written | Figures | NextFile):
            yield each
            continue
        artifact, batch = each if isinstance(each, tuple) else (first, each)
        if not isinstance(step.writes.get(artifact), Table):
            raise CorpuskitError(
                step.run.__name__,
                f"yields `{artifact}`, which its step does not declare",
                "declare it in `writes`",
            )
        yield artifact, batch


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
        self._known: dict[str, Written] = {}
        self.figures: dict[str, Any] = {}

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

    def next_file(self, artifact: str) -> None:
        writer = self._writer(artifact, cast("Table", self._step.writes[artifact]))
        cast("ShardWriter", writer).next_file()

    def keep(self, written: Written) -> None:
        if self.out is None or not (self.out / written.name).is_file():
            raise CorpuskitError(
                self._task.stage, f"tells of `{written.name}`, which it did not write", "this is a fault of the stage"
            )
        self._known[written.name] = written

    def note(self, figures: Figures) -> None:
        self.figures.update(figures.values)

    def _writer(self, artifact: str, table: Table | None) -> ShardWriter | ExchangeWriter:
        if artifact not in self._writers:
            stem = f"{artifact}-{self._task.index:05d}"
            if table is not None and table.by is not None:
                exchange = ExchangeWriter(self._task.work, stem, table.by, self._task.buckets)
                self._writers[artifact] = self._stack.enter_context(exchange)
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
        """Give what the step left in `out` its place, hashed and durable."""
        assert self.out is not None
        artifact = next(name for name, what in self._step.writes.items() if isinstance(what, Files))
        folder = storage.join(self._task.work, f"{artifact}-{self._task.index:05d}")
        storage.remove_folder(folder)
        shards = []
        for name in storage.tree(str(self.out)):
            if name.endswith(PARTIAL):
                continue
            known = self._known.get(name, Written(name))
            target = storage.join(folder, name)
            if known.sha256 is None or known.bytes is None or storage.is_remote(target):
                size, digest = storage.adopt(self.out / name, target)
            else:  # hashed and made durable by the step: a link is enough
                storage.place(str(self.out / name), target)
                size, digest = known.bytes, known.sha256
            shards.append(Shard(name, size, digest, about=dict(known.about) or msgspec.UNSET))
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
    for path, about, part in zip(read.paths, read.abouts, read.parts, strict=True):
        with storage.local_copy(path) as local:
            yield {**fixed, name: OneFile(local, about, part)}


def _argument(name: str, read: Read, output: Output, stack: contextlib.ExitStack) -> Any:
    if read.how == "batches":
        return output.tally.reading(name, (batch for path in read.paths for batch in read_stream(path)))
    if read.how == "bucket":
        return output.tally.reading(
            name, (batch for path in read.paths for batch in read_bucket(path, read.bucket, read.buckets))
        )
    if read.how == "whole":
        table = read_table(read.paths)
        for _ in output.tally.reading(name, iter(table.to_batches())):
            pass
        return table
    if read.how == "apart":
        names = list(dict.fromkeys(read.parts))
        paths = {
            name: [path for path, part in zip(read.paths, read.parts, strict=True) if part == name] for name in names
        }
        return Apart({name: read_table(each) for name, each in paths.items()})
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
            record.kept = True

    logger, handler = logging.getLogger("corpuskit"), Keeper(logging.WARNING)
    before = logger.propagate
    logger.handlers.insert(0, handler)  # before those that print what nobody keeps
    logger.propagate = False  # printed by whoever gets the report
    try:
        yield kept
    finally:
        logger.propagate = before
        logger.removeHandler(handler)
