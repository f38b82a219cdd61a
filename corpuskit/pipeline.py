"""Run planned stages: steps through an executor, then the commit that makes a dataset of what they left."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from corpuskit import dataset, storage
from corpuskit.cutting import Made, cut
from corpuskit.dataset import MARKED, Ancestor, Artifact, Ledger, Manifest, Shard
from corpuskit.errors import Busy, CorpuskitError
from corpuskit.executors import Executor
from corpuskit.formats.durable import sync
from corpuskit.plan import StagePlan, check_extra, check_out, final_artifacts
from corpuskit.stage import Files, Table
from corpuskit.task import Task, TaskReport, files_folder, finished

#: Called with (stage name, tasks done, tasks in all, the report) whenever a task is done.
Watch = Callable[[str, int, int, TaskReport], None]
_DYING_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: "done" before this run, or "ran" in it."""

    plan: StagePlan
    state: str
    manifest: Manifest
    seconds: float
    warnings: Sequence[str]


def run_stage(plan: StagePlan, executor: Executor, *, watch: Watch | None = None, overwrite: bool = False) -> Outcome:
    """Run a stage unless its output is there already.

    Goes on where an interrupted run of the same stage stopped. Raises CannotCreate where the output folder is not this
    run's, Busy where another run works in it.
    """
    started = time.perf_counter()
    if check_out(plan, overwrite=overwrite) == "done":
        _clear_up(plan)
        return Outcome(plan, "done", dataset.read_manifest(plan.out), 0.0, ())
    with _locked(plan.out):
        if check_out(plan, overwrite=overwrite) == "done":  # by a run that held the lock until now
            return Outcome(plan, "done", dataset.read_manifest(plan.out), 0.0, ())
        made: dict[str, Made] = {}
        done: list[tuple[list[Task], list[TaskReport]]] = []
        for at in range(len(plan.stage.steps)):
            tasks = cut(plan, at, made)
            reports = _run_step(plan, tasks, executor, watch)
            made.update(_made(plan, at, tasks, reports))
            done.append((tasks, reports))
        manifest = _commit(plan, done)
    warnings = list(dict.fromkeys(line for _, reports in done for report in reports for line in report.warnings))
    return Outcome(plan, "ran", manifest, time.perf_counter() - started, warnings)


def run_all(
    plans: Sequence[StagePlan],
    executor: Executor,
    *,
    watch: Watch | None = None,
    overwrite: bool = False,
    before: Callable[[StagePlan], None] = lambda plan: None,
) -> Iterator[Outcome]:
    """Run planned stages in order, each after a call of `before`.

    Output folders and extras of all of them are checked before anything starts.
    """
    for plan in plans:
        if check_out(plan, overwrite=overwrite) != "done":
            check_extra(plan)
    for plan in plans:
        before(plan)
        yield run_stage(plan, executor, watch=watch, overwrite=overwrite)


def _run_step(plan: StagePlan, tasks: Sequence[Task], executor: Executor, watch: Watch | None) -> list[TaskReport]:
    reports = {task.index: report for task in tasks if (report := finished(task)) is not None}
    todo = [task for task in tasks if task.index not in reports]
    for report in executor(todo):
        reports[report.index] = report
        if watch is not None:
            watch(plan.name, len(reports), len(tasks), report)
    return [reports[task.index] for task in tasks]


def _made(plan: StagePlan, at: int, tasks: Sequence[Task], reports: Sequence[TaskReport]) -> dict[str, Made]:
    made = {}
    for name, what in plan.stage.steps[at].writes.items():
        paths, total = [], 0
        for task, report in zip(tasks, reports, strict=True):
            folder = storage.join(task.work, files_folder(task, name, report))
            paths += [storage.join(folder, shard.file) for shard in report.shards[name]]
            total += sum(shard.bytes for shard in report.shards[name])
        exchange = isinstance(what, Table) and what.by is not None
        files = isinstance(what, Files)
        folder_of_files = storage.join(tasks[0].work, f"{name}-00000") if files else None
        made[name] = Made(
            name,
            tuple(paths),
            total,
            tuple({} for _ in paths),
            tasks[0].buckets if exchange else None,
            folder_of_files,
        )
    return made


def _commit(plan: StagePlan, done: Sequence[tuple[list[Task], list[TaskReport]]]) -> Manifest:
    """Give every shard its final name, then write the manifest, then clear the work away.

    Shards are linked, not moved, so that a commit that is cut off can be done again.
    """
    _remove_old(plan)
    final = final_artifacts(plan.stage)
    artifacts: dict[str, Artifact] = {}
    placed = []
    for name, what in [*final.items(), *((marked, None) for marked in MARKED.values())]:
        found = _gather(name, done)
        if what is None and not found:
            continue
        if isinstance(what, Table) and what.sparse:
            found = [each for each in found if each[1].rows] or found[:1]
        folder = _folder(name, what, next(iter(final)))
        artifact = _artifact(plan, name, what, folder, found, done)
        artifacts[name] = artifact
        for (path, _), shard in zip(found, artifact.shards, strict=True):
            target = storage.join(plan.out, folder, shard.file)
            storage.place(path, target)
            placed.append(target)
        if isinstance(what, Table) and (what.folder or folder == ""):
            placed += _write_folder_files(plan, what, artifact)
    if not storage.is_remote(plan.out):
        storage.sweep([*placed, storage.join(plan.out, dataset.MANIFEST)])
        for parent in {os.path.dirname(target) for target in placed}:
            sync(parent)
    manifest = _manifest(plan, artifacts, done)
    storage.write_bytes(storage.join(plan.out, dataset.MANIFEST), manifest.encode())
    storage.remove_folder(storage.join(plan.out, dataset.WORK))
    return manifest


def _gather(name: str, done: Sequence[tuple[list[Task], list[TaskReport]]]) -> list[tuple[str, Shard]]:
    found = []
    for tasks, reports in done:
        for task, report in zip(tasks, reports, strict=True):
            folder = storage.join(task.work, files_folder(task, name, report))
            found += [(storage.join(folder, shard.file), shard) for shard in report.shards.get(name, [])]
    return found


def _folder(name: str, what: Table | Files | None, main: str) -> str:
    """Tell the sub-folder of an artifact: the main one lies in the dataset's own folder."""
    return "" if name == main and not (isinstance(what, Table) and what.folder) else name


def _artifact(
    plan: StagePlan,
    name: str,
    what: Table | Files | None,
    folder: str,
    found: Sequence[tuple[str, Shard]],
    done: Sequence[tuple[list[Task], list[TaskReport]]],
) -> Artifact:
    if isinstance(what, Files):
        return Artifact("files", folder, [shard for _, shard in found])
    columns: dict[str, str] = {}
    for _, reports in done:
        for report in reports:
            mine = report.columns.get(name)
            if mine and columns and mine != columns and what is not None:
                raise CorpuskitError(
                    plan.name,
                    f"shards of `{name}` have different columns: {columns} and {mine}",
                    "this is a fault of the stage",
                )
            columns = columns or mine or {}
    stem = "data" if what is not None and what.folder else name
    count = len(found)
    shards = [
        Shard(f"{stem}-{at:05d}-of-{count:05d}.arrow", shard.bytes, shard.sha256, shard.rows)
        for at, (_, shard) in enumerate(found)
    ]
    counts = what.counts if what is not None else _unit_column(plan)
    return Artifact("table", folder, shards, columns, counts, what is not None and name in _counted(plan))


def _counted(plan: StagePlan) -> list[str]:
    final = final_artifacts(plan.stage)
    conserving = [name for name, what in final.items() if isinstance(what, Table) and what.conserves]
    return conserving or list(final)[:1]


def _unit_column(plan: StagePlan) -> str | None:
    for what in final_artifacts(plan.stage).values():
        if isinstance(what, Table) and what.counts:
            return what.counts
    return None


def _write_folder_files(plan: StagePlan, what: Table, artifact: Artifact) -> list[str]:
    """Write the two files by which `datasets.load_from_disk` opens a folder of shards; gives their paths."""
    from corpuskit.tokens.features import folder_files

    first = dataset.shard_paths(plan.out, artifact)[0]
    schema = next(dataset.read_stream(first)).schema
    names = [shard.file for shard in artifact.shards]
    written = []
    for name, text in folder_files(schema, names, plan.key[:16]).items():
        written.append(storage.join(plan.out, artifact.folder, name))
        storage.write_bytes(written[-1], text.encode())
    return written


def _manifest(
    plan: StagePlan, artifacts: dict[str, Artifact], done: Sequence[tuple[list[Task], list[TaskReport]]]
) -> Manifest:
    ledger, tasks = _ledger(plan, done)
    main = next(iter(artifacts.values()))
    files = not plan.stage.inputs and main.kind == "files" and len(main.shards) == ledger.rows_in
    return Manifest(
        corpuskit=dataset.FORMAT,
        stage=plan.words,
        version=plan.stage.version,
        key=plan.key,
        options=plan.told,
        inputs={name: [source.key for source in sources] for name, sources in plan.sources.items()},
        artifacts=artifacts,
        ledger=ledger,
        unit="tokens" if _unit_column(plan) else "files" if files else "rows",
        tasks=tasks,
        lineage=_lineage(plan),
        figures=_figures(done),
    )


def _figures(done: Sequence[tuple[list[Task], list[TaskReport]]]) -> dict[str, Any] | msgspec.UnsetType:
    found: dict[str, Any] = {}
    for _, reports in done:
        for report in reports:
            found.update(report.figures)
    return found or msgspec.UNSET


def _ledger(plan: StagePlan, done: Sequence[tuple[list[Task], list[TaskReport]]]) -> tuple[Ledger, list[Ledger]]:
    """Add the steps' books up: what came into the first one that conserves rows, what the last one kept."""
    conserving = [
        at
        for at, step in enumerate(plan.stage.steps)
        if any(isinstance(w, Table) and w.conserves for w in step.writes.values())
    ]
    main = next(iter(final_artifacts(plan.stage)))
    counting = conserving or [at for at, step in enumerate(plan.stage.steps) if main in step.writes]
    totals = [sum((report.ledger for report in done[at][1]), Ledger()) for at in counting]
    dropped: dict[str, int] = {}
    errors: dict[str, int] = {}
    for total in totals:
        dropped, errors = dataset.add_counts(dropped, total.dropped), dataset.add_counts(errors, total.errors)
    whole = Ledger(totals[0].rows_in, totals[-1].kept, dropped, errors)
    if not whole.adds_up:
        raise CorpuskitError(plan.name, f"the ledger does not add up: {whole}", "this is a fault of the stage")
    return whole, [report.ledger for report in done[counting[-1]][1]]


def _lineage(plan: StagePlan) -> list[Ancestor]:
    found: dict[str, Ancestor] = {}
    for sources in plan.sources.values():
        for source in sources:
            if source.artifacts is not None:
                up = dataset.read_manifest(source.path)
                found.update({each.key: each for each in up.lineage})
                found[up.key] = Ancestor(up.stage, up.version, up.key, up.options, up.ledger, up.inputs)
    return list(found.values())


def _clear_up(plan: StagePlan) -> None:
    """Remove what a run that was killed after its manifest has left."""
    if storage.exists(storage.join(plan.out, dataset.WORK)):
        with contextlib.suppress(Busy), _locked(plan.out):
            storage.remove_folder(storage.join(plan.out, dataset.WORK))


def _remove_old(plan: StagePlan) -> None:
    """Remove the dataset that this run replaces: the files that its manifest lists, nothing else, the manifest last.

    Cut off in between, it still has the manifest, so that a rerun knows what is left to remove.
    """
    if not dataset.is_dataset(plan.out):
        return
    old = dataset.read_manifest(plan.out)
    for artifact in old.artifacts.values():
        extra = [storage.join(plan.out, artifact.folder, name) for name in ("state.json", "dataset_info.json")]
        for path in [*dataset.shard_paths(plan.out, artifact), *(extra if artifact.kind == "table" else [])]:
            storage.remove_file(path)
    storage.remove_file(storage.join(plan.out, "croissant.json"))  # of `corpuskit card`: it tells of the old files
    storage.remove_file(storage.join(plan.out, dataset.MANIFEST))


@contextlib.contextmanager
def _locked(out: str) -> Iterator[None]:
    """Keep other runs on this machine out of the folder. Raises Busy where one is at work."""
    if storage.is_remote(out):
        yield  # object stores have no locks; equal keys write equal bytes
        return
    work = os.path.join(out, dataset.WORK)
    with storage.cannot_write(out):
        os.makedirs(work, exist_ok=True)
        handle = os.open(os.path.join(work, "lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(handle, out)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing is not enough: forked workers have the file open too
        os.close(handle)


def _lock(handle: int, out: str) -> None:
    """Lock an open file. Raises Busy where another run holds it, not where the workers of one that was killed die."""
    patience = time.monotonic() + _DYING_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > patience:
                raise Busy(out, "another run works in this folder", "wait for it to end") from None
            time.sleep(_DYING_SECONDS / 50)
