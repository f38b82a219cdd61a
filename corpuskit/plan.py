"""What would run, and why: inputs bound to artifacts, keys computed. Runs nothing."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from corpuskit import catalog, dataset, storage
from corpuskit.dataset import Manifest
from corpuskit.errors import CannotCreate, NoInput, UsageError
from corpuskit.options import build, plain, traceless
from corpuskit.stage import Files, Input, Stage, Step, Table
from corpuskit.task import missing_extra
from corpuskit.text.threads import thread_count

_RUNNER_GIVES = {"options", "out", "shard", "artifacts", "return"}


@dataclass(frozen=True)
class Source:
    """What an input is bound to: a dataset (perhaps one that an earlier stage will write), or a raw file."""

    path: str
    key: str
    artifacts: tuple[str, ...] | None  # None: a raw file
    bytes: int = 0


@dataclass(frozen=True)
class StagePlan:
    """One stage with its inputs bound, its options resolved and its key known."""

    name: str
    words: str
    stage: Stage
    options: Mapping[str, Any]
    sources: Mapping[str, tuple[Source, ...]]
    out: str

    @property
    def key(self) -> str:
        """Name what decides the bytes of the output."""
        inputs = {name: [source.key for source in sources] for name, sources in self.sources.items()}
        return dataset.key_of(self.words, self.stage.version, self.told, inputs)

    @property
    def told(self) -> dict[str, Any]:
        """Give the options that decide what comes out; the others leave no trace."""
        silent = traceless(self.stage.options)
        return {name: value for name, value in self.options.items() if name not in silent}

    def as_source(self) -> Source:
        """Give the output as an input of later stages."""
        return Source(self.out, self.key, tuple(final_artifacts(self.stage)))


def plan_stage(
    words: str,
    given: Mapping[str, Any],
    inputs: Mapping[str, Sequence[str | Source]],
    out: str,
    *,
    name: str = "",
) -> StagePlan:
    """Bind a stage to its inputs. Raises UsageError or NoInput that names the input or option at fault."""
    stage = catalog.load(words)
    name = name or words
    options = plain(build(stage.options, given, name))
    sources: dict[str, tuple[Source, ...]] = {}
    for each in stage.inputs:
        wanted = inputs.get(each.name, ())
        if not wanted and each.optional:
            sources[each.name] = ()
            continue
        if not wanted:
            raise UsageError(name, f"`{each.name}` is missing: {each.help}", f"give the output of {_writers(each)}")
        sources[each.name] = tuple(source for one in wanted for source in resolve(one, each, name))
        if out != dataset.STDIN and any(
            os.path.abspath(source.path) == os.path.abspath(out) for source in sources[each.name]
        ):
            raise UsageError(
                name, f"{out} is both `{each.name}` and the output", "choose another folder for the output"
            )
    if stage.settle is not None:
        keys = [source.key for many in sources.values() for source in many]
        options = plain(stage.settle(build(stage.options, options, name), keys))
    plan = StagePlan(name, words, stage, options, sources, out)
    for step in stage.steps:
        for param, hint in wants(step).items():
            made = any(param in earlier.writes for earlier in stage.steps[: stage.steps.index(step)])
            if not made and bound(plan, param) is None and not _optional(hint):
                raise UsageError(
                    name, f"reads `{param}`, which none of its inputs holds", "give a dataset that carries it"
                )
    return plan


def resolve(given: str | Source, wanted: Input, where: str) -> list[Source]:
    """Find out what a path is. A folder of raw files gives one source per file, in the order of their names."""
    if isinstance(given, Source):
        if given.artifacts is not None and not set(given.artifacts) & set(wanted.artifacts):
            held = ", ".join(f"`{name}`" for name in given.artifacts)
            raise UsageError(
                where,
                f"`{wanted.name}`: expected {_named(wanted)}, {given.path} holds {held}",
                f"give the output of {_writers(wanted)}",
            )
        return [given]
    if dataset.is_dataset(given):
        manifest = dataset.read_manifest(given)
        return resolve(Source(given, manifest.key, tuple(manifest.artifacts)), wanted, where)
    if not storage.exists(given) and wanted.fetch is not None:
        given = wanted.fetch(given)
    if not storage.exists(given):
        raise NoInput(where, f"{given}: no such file or folder", "check the path")
    if storage.exists(storage.join(given, dataset.WORK)):
        dataset.read_manifest(given)  # says that its run was interrupted
    if not wanted.raw:
        found = "a folder without manifest.json" if os.path.isdir(given) else "a file"
        problem = f"{given}: expected a dataset with {_named(wanted)}, found {found}"
        raise NoInput(where, problem, f"give the output of {_writers(wanted)}")
    if not wanted.many:
        return [Source(given, _content(given), None)]
    files = raw_files(given)
    if not files:
        raise NoInput(where, f"{given}: the folder holds no files", "check the path")
    with ThreadPoolExecutor(thread_count()) as pool:  # its threads end here: workers may be forked later
        contents = list(pool.map(_content, files))
    return [Source(file, content, None, storage.size(file) or 0) for file, content in zip(files, contents, strict=True)]


def raw_files(path: str) -> list[str]:
    """List the files of a path: itself, or all below a folder, hidden and partial ones left out."""
    if storage.is_remote(path) or os.path.isfile(path):
        return [path]
    return [
        storage.join(path, name)
        for name in storage.tree(path)
        if not any(part.startswith(".") for part in name.split("/")) and not name.endswith((".part", ".part.json"))
    ]


def state(plan: StagePlan) -> tuple[str, str]:
    """Tell ("done" | "run" | "resume" | "replace" | "blocked", why) of a stage's output folder as it is now."""
    if dataset.is_dataset(plan.out):
        manifest = dataset.read_manifest(plan.out)
        if manifest.key == plan.key:
            damaged = dataset.damaged(plan.out, manifest)
            if damaged:
                return "run", f"{damaged} is missing or has another size"
            return "done", "same stage, options and input"
        return "replace", _difference(plan, manifest)
    if storage.exists(work_folder(plan)):
        return "resume", "an earlier run was interrupted"
    held = [name for name in storage.names(plan.out) if name != dataset.WORK]
    if held:
        return "blocked", f"holds {held[0]}, which corpuskit did not write"
    return "run", "no output yet"


def check_out(plan: StagePlan, *, overwrite: bool) -> str:
    """Give the state of the output folder. Raises CannotCreate where it is not this run's to write."""
    if os.path.isfile(plan.out):
        raise CannotCreate(plan.out, "expected a folder for the output, found a file", "choose another folder")
    now, why = state(plan)
    if now == "blocked":
        raise CannotCreate(plan.out, f"the folder {why}", "choose an empty or new folder")
    if now == "replace" and not overwrite:
        raise CannotCreate(
            plan.out,
            f"holds the output of another run ({why})",
            "choose another folder, or pass --overwrite to replace it",
        )
    return now


def check_extra(plan: StagePlan) -> None:
    """Raise Unavailable where a package is missing without which the stage cannot run."""
    from importlib import metadata

    if plan.stage.extra is None:
        return
    try:
        wanted = metadata.requires("corpuskit-pipeline") or []
    except metadata.PackageNotFoundError:  # run from its source: the import will tell
        return
    for requirement in wanted:
        name = re.split(r"[^A-Za-z0-9._-]", requirement)[0]
        if re.search(rf"extra == ['\"]{plan.stage.extra}['\"]", requirement):
            try:
                metadata.version(name)
            except metadata.PackageNotFoundError:
                raise missing_extra(plan.name, name, plan.stage.extra) from None


def foresight(plan: StagePlan) -> list[str]:
    """Say what a person should know before the stage starts."""
    if plan.stage.foresee is None:
        return []
    found = []
    for each in plan.stage.inputs:
        for source in plan.sources[each.name]:
            manifest = dataset.read_manifest(source.path) if dataset.is_dataset(source.path) else None
            name = next((name for name in each.artifacts if manifest is not None and name in manifest.artifacts), None)
            found.append(manifest.artifacts[name] if manifest is not None and name is not None else None)
    there = [artifact for artifact in found if artifact is not None]
    known = len(there) == len(found)  # else an earlier stage is still to make one
    rows, size = (sum(each.rows for each in there), sum(each.bytes for each in there)) if known else (None, None)
    options = build(plan.stage.options, plan.options, plan.name)
    return plan.stage.foresee(options, rows, size)


def work_folder(plan: StagePlan) -> str:
    """Name the folder of a run's unfinished work."""
    return storage.join(plan.out, dataset.WORK, plan.key[:16])


def final_artifacts(stage: Stage) -> dict[str, Table | Files]:
    """Give what a stage leaves: all that its steps write, but for exchanges and what its later steps use up."""
    final: dict[str, Table | Files] = {}
    for at, step in enumerate(stage.steps):
        later = {param for after in stage.steps[at + 1 :] for param in wants(after)}
        for name, what in step.writes.items():
            if not (isinstance(what, Table) and (what.by is not None or name in later)):
                final[name] = what
    return final


def wants(step: Step) -> dict[str, Any]:
    """Map the parameters of a step that are artifacts to their annotations."""
    hints = typing.get_type_hints(step.run)
    return {name: hints.get(name) for name in inspect.signature(step.run).parameters if name not in _RUNNER_GIVES}


def bound(plan: StagePlan, param: str) -> tuple[tuple[Source, ...], tuple[str, ...]] | None:
    """Give what a parameter of a step is read from: sources, and the artifacts that it may be; None for nothing."""
    for each in plan.stage.inputs:
        if each.name == param:
            return (plan.sources[param], each.artifacts) if plan.sources[param] else None
    for sources in plan.sources.values():
        for source in sources:
            if source.artifacts is not None and param in source.artifacts:
                return (source,), (param,)
    return None


def takes(hint: Any, kind: Any) -> bool:
    """Tell whether a parameter's annotation is of a kind, or of that or None."""
    return hint == kind or (_union(hint) and kind in typing.get_args(hint))


def _optional(hint: Any) -> bool:
    return _union(hint) and type(None) in typing.get_args(hint)


def _union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _content(path: str) -> str:
    """Hash a raw file with its name, or a raw folder with all names in it: ids of documents hold base names."""
    digest = hashlib.sha256()
    root = path.rstrip("/")
    for file in raw_files(path):
        inner = file[len(root) + 1 :] or os.path.basename(root)
        digest.update(f"{inner}\0{storage.sha256(file)}\n".encode())
    return digest.hexdigest()


def _difference(plan: StagePlan, manifest: Manifest) -> str:
    if manifest.stage != plan.words:
        return f"stage `{manifest.stage}`, not `{plan.words}`"
    if manifest.version != plan.stage.version:
        return f"version {manifest.version} of the stage, now {plan.stage.version}"
    for name in sorted({*manifest.options, *plan.told}):
        before, now = manifest.options.get(name), plan.told.get(name)
        if before != now:
            return f"option `{name}` was {before!r}, now {now!r}"
    return "another input"


def _named(wanted: Input) -> str:
    return " or ".join(f"`{name}`" for name in wanted.artifacts)


def _writers(wanted: Input) -> str:
    """Name the stages that write what an input takes."""
    writers = []
    for words in catalog.discover():
        if set(final_artifacts(catalog.load(words))) & set(wanted.artifacts):
            writers.append(f"`{words}`")
    return " or ".join(writers) + (" or files" if wanted.raw else "")
