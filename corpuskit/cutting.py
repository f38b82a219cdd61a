"""Cut the steps of a planned stage into tasks: one per shard, bucket or group of files, or a single one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit import dataset, storage
from corpuskit.errors import UsageError
from corpuskit.options import build
from corpuskit.plan import Source, StagePlan, bound, takes, wants, work_folder
from corpuskit.stage import Apart, Batches, OneFile, Step, Whole, group
from corpuskit.task import Read, Task

_BUCKET_BYTES = 64 << 20
_MAX_BUCKETS = 256


@dataclass(frozen=True)
class Made:
    """An artifact at hand: its files, and for an exchange the number of its buckets."""

    artifact: str
    paths: tuple[str, ...]
    bytes: int
    abouts: tuple[dict[str, str], ...] = ()
    buckets: int | None = None
    folder: str | None = None  # of opaque files
    datasets: tuple[str, ...] = ()  # for each path of a table, whose it is: the stage that wrote it


def cut(plan: StagePlan, at: int, made: Mapping[str, Made]) -> list[Task]:
    """Cut a step into tasks: one per shard, bucket or group of files, or a single one.

    `made` holds what earlier steps of the stage wrote. The cut depends on the input and the options alone.
    """
    step = plan.stage.steps[at]
    fixed: dict[str, Read] = {}
    driving: tuple[str, list[Read], int] | None = None
    for param, hint in wants(step).items():
        have = made.get(param) or _locate(plan, param)
        if have is None:
            fixed[param] = Read("nothing")
        elif takes(hint, Batches):
            driving = param, _per_shard(have), have.bytes
        elif takes(hint, OneFile):
            files = _cut_files(have, step, build(plan.stage.options, plan.options, plan.name))
            driving = param, files, have.bytes
        else:
            fixed[param] = _fixed(have, param, hint, plan.name)
    work = storage.join(work_folder(plan), f"step-{at}")
    bucket_bytes = _BUCKET_BYTES
    if step.bucket_bytes is not None:
        bucket_bytes = step.bucket_bytes(build(plan.stage.options, plan.options, plan.name))
    buckets = min(max(1, math.ceil((driving[2] if driving else 0) / bucket_bytes)), _MAX_BUCKETS)
    reads = [fixed] if driving is None else [{**fixed, driving[0]: read} for read in driving[1]]
    return [Task(plan.words, at, index, dict(plan.options), read, work, buckets) for index, read in enumerate(reads)]


def _locate(plan: StagePlan, param: str) -> Made | None:
    """Find the artifact for a parameter among the bound inputs, which must be on disk by now."""
    found = bound(plan, param)
    if found is None:
        return None
    sources, artifacts = found
    parts = [_made(source, artifacts) for source in sources]
    if len(parts) == 1:
        return parts[0]
    return Made(
        parts[0].artifact,
        tuple(path for part in parts for path in part.paths),
        sum(part.bytes for part in parts),
        tuple(about for part in parts for about in part.abouts),
        datasets=tuple(_numbered([part.datasets for part in parts])),
    )


def _numbered(datasets: Sequence[Sequence[str]]) -> Iterator[str]:
    """Tell datasets of one stage apart by a number."""
    seen: dict[str, int] = {}
    for each in datasets:
        for name in each[:1]:
            seen[name] = seen.get(name, 0) + 1
            yield from [name if seen[name] == 1 else f"{name}-{seen[name]}"] * len(each)


def _made(source: Source, artifacts: Sequence[str]) -> Made:
    if source.artifacts is None:
        return Made("", (source.path,), source.bytes, ({},), folder=source.path)
    manifest = dataset.read_manifest(source.path)
    name = next(each for each in artifacts if each in manifest.artifacts)
    artifact = manifest.artifacts[name]
    folder = storage.join(source.path, artifact.folder)
    if artifact.kind == "table":
        paths = tuple(dataset.shard_paths(source.path, artifact))
        return Made(name, paths, artifact.bytes, datasets=(manifest.stage.replace(" ", "-"),) * len(paths))
    return Made(
        name,
        tuple(dataset.shard_paths(source.path, artifact)),
        artifact.bytes,
        tuple(shard.about if isinstance(shard.about, dict) else {} for shard in artifact.shards),
        folder=folder,
    )


def _per_shard(have: Made) -> list[Read]:
    if have.buckets is not None:
        return [
            Read("bucket", list(have.paths), bucket=bucket, buckets=have.buckets, artifact=have.artifact)
            for bucket in range(have.buckets)
        ]
    return [Read("batches", [path], artifact=have.artifact) for path in have.paths]


def _cut_files(have: Made, step: Step, options: Any) -> list[Read]:
    """Let the step cut its files into tasks where it can; else group small ones."""
    abouts = have.abouts or ({},) * len(have.paths)
    if step.cut is not None and not any(storage.is_remote(path) for path in have.paths):
        files = [OneFile(Path(path), about) for path, about in zip(have.paths, abouts, strict=True)]
        cuts = [[(str(file.path), file.about, file.part) for file in each] for each in step.cut(files, options)]
    else:
        groups = group([storage.size(path) or 0 for path in have.paths])
        cuts = [[(have.paths[at], abouts[at], "") for at in each] for each in groups]
    return [
        Read(
            "files",
            [path for path, _, _ in each],
            [dict(about) for _, about, _ in each],
            [part for _, _, part in each],
            artifact=have.artifact,
        )
        for each in cuts
    ]


def _fixed(have: Made, param: str, hint: Any, where: str) -> Read:
    if have.folder is not None and takes(hint, Path):
        return Read("folder", [have.folder], artifact=have.artifact)
    if have.folder is None and takes(hint, Whole):
        return Read("whole", list(have.paths), artifact=have.artifact)
    if have.folder is None and takes(hint, Apart):
        return Read("apart", list(have.paths), parts=list(have.datasets), artifact=have.artifact)
    expected, found = ("a table", "files") if have.folder is not None else ("files", "a table")
    raise UsageError(where, f"`{param}`: expected {expected}, found {found}", "give the output of another stage")
