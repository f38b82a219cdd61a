"""What the commands that run stages do: open, call, and give the lines to print. No Click here."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from corpuskit import catalog, dataset, model_text, show, streams
from corpuskit.cutting import cut
from corpuskit.errors import BadData, UsageError
from corpuskit.executors import make_executor
from corpuskit.lean import spare
from corpuskit.pipeline import Outcome, Watch, run_all, run_stage
from corpuskit.plan import StagePlan, check_out, foresight, plan_stage, state
from corpuskit.progress import Progress
from corpuskit.recipe import plan_recipe, read_recipe
from corpuskit.show_clusters import figure_lines, packing_lines
from corpuskit.stage import Input
from corpuskit.task import TaskReport, finished
from corpuskit.verify import datasets_below

_ACTIONS = {"done": "skip", "run": "run", "resume": "go on", "replace": "needs --overwrite", "blocked": "refuse"}


def run_one(
    progress: Progress,
    words: str,
    given: Mapping[str, Any],
    inputs: Mapping[str, Sequence[str]],
    out: str | None,
    how: Mapping[str, Any],
) -> Iterator[str]:
    """Run one stage from the command line; `-` stands for standard input or output.

    `how` holds the options that leave no trace in the output: executor, workers, ray_address, overwrite, json and
    stream_format.
    """
    spare(pandas=not catalog.has_user_stages())
    stage = catalog.load(words)
    if _helps():
        if stage.together:
            _help(words, given, inputs, str(out), overwrite=how["overwrite"])
        return
    format = how.get("stream_format") or "arrow"
    dashes = [each for each in stage.inputs if "-" in inputs[each.name]]
    if len(dashes) > 1:
        raise UsageError(words, "standard input can be one input only", "give folders for the others")
    in_arrow = not dashes or (_takes_rows(dashes[0]) and format == "arrow")
    if out == "-" and not streams.has_rows(stage):
        raise UsageError(words, "writes files, not rows, which no stream holds", "give a folder for OUT")
    if out == "-" and streams.can_stream(stage) and in_arrow:
        ledger = streams.stream(words, given, inputs, format)
        progress.line(f"{words}: {show.ledger_line(ledger, 'rows')}")
        return
    with contextlib.ExitStack() as stack:
        needed = bool(dashes) or out in (None, "-")  # a run that is killed leaves no empty folder behind
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="corpuskit-")) if needed else ""
        folder = os.path.join(scratch, "out") if out in (None, "-") else str(out)
        bound = {name: list(paths) for name, paths in inputs.items()}
        for each in dashes:
            spooled = os.path.join(scratch, "in")
            os.mkdir(spooled)
            bound[each.name] = [
                streams.spool(each, spooled, format) if path == "-" else path for path in bound[each.name]
            ]
        plan = plan_stage(words, given, bound, folder)
        progress.events = bool(how["json"])
        _foretell(progress, plan)
        with make_executor(how["executor"], workers=how["workers"], ray_address=how["ray_address"]) as executor:
            outcome = run_stage(plan, executor, watch=_watch(progress), overwrite=how["overwrite"])
        _tell(progress, outcome)
        if out == "-":
            streams.copy_out(folder, format)
        elif stage.prints is not None:
            yield from _report_lines(os.path.join(folder, stage.prints), as_json=how["json"])
        elif how["json"]:
            yield json.dumps({**show.summary(folder), "state": outcome.state, "seconds": round(outcome.seconds, 3)})


def _together() -> bool:
    """Tell whether torchrun started several processes of this command."""
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def _helps() -> bool:
    """Tell whether this one of them is not the first, which alone writes."""
    return _together() and os.environ.get("RANK", "0") != "0"


def _help(
    words: str, given: Mapping[str, Any], inputs: Mapping[str, Sequence[str]], out: str, *, overwrite: bool
) -> None:
    """Run a stage beside the process that writes its output, unless that is there; what this one writes is dropped."""
    plan = plan_stage(words, given, inputs, out)
    if check_out(plan, overwrite=overwrite) == "done" or all(finished(task) for task in cut(plan, 0, {})):
        return
    with tempfile.TemporaryDirectory(prefix="corpuskit-") as scratch, make_executor("serial") as executor:
        run_stage(plan_stage(words, given, inputs, os.path.join(scratch, "out")), executor)


def run_recipe(
    progress: Progress,
    path: str,
    root: str | None,
    settings: Sequence[str],
    until: str | None,
    how: Mapping[str, Any],
) -> Iterator[str]:
    """Run a recipe from the command line; `how` as in `run_one`."""
    if _together():
        raise UsageError("run", "torchrun starts several processes: expected one stage, got a recipe", "run it alone")
    recipe = read_recipe(path, root=root, settings=settings)
    plans = plan_recipe(recipe, until=until)
    done: list[Outcome] = []
    with make_executor(how["executor"], workers=how["workers"], ray_address=how["ray_address"]) as executor:
        running = run_all(
            plans,
            executor,
            watch=_watch(progress),
            overwrite=how["overwrite"],
            before=lambda plan: _foretell(progress, plan),
        )
        for outcome in running:
            _tell(progress, outcome)
            done.append(outcome)
    skipped = sum(outcome.state == "done" for outcome in done)
    hint = f"`corpuskit show {recipe.root}` draws the table"
    progress.line(f"{recipe.root}: {len(done) - skipped} stages ran, {skipped} skipped; {hint}")
    if how["json"]:
        stages = [
            {
                "name": each.plan.name,
                "state": each.state,
                "seconds": round(each.seconds, 3),
                **show.summary(each.plan.out),
            }
            for each in done
        ]
        yield json.dumps({"root": recipe.root, "stages": stages})


def plan_lines(
    path: str, root: str | None, settings: Sequence[str], until: str | None, *, as_json: bool
) -> Iterator[str]:
    """Say what `run` would do with every stage of a recipe, and why."""
    rows = []
    for each in plan_recipe(read_recipe(path, root=root, settings=settings), until=until):
        now, why = state(each)
        row = {
            "name": each.name,
            "use": each.words,
            "action": _ACTIONS[now],
            "why": why,
            "inputs": [source.path for many in each.sources.values() for source in many],
            "out": each.out,
            "key": each.key,
        }
        rows.append({**row, "foresight": foresight(each) if now != "done" else []})
    if as_json:
        yield json.dumps(rows)
        return
    wide = max(len(str(row["name"])) for row in rows)
    for row in rows:
        flow = f"{', '.join(map(str, row['inputs'])) or 'no input'} -> {row['out']}"
        yield f"{row['name']!s:<{wide}}  {row['action']:<8}  {row['why']}; {flow}"
        yield from (f"{'':<{wide}}  {line}" for line in row["foresight"])


def show_lines(
    path: str,
    rows: int | None,
    thresholds: Sequence[str],
    *,
    dropped: bool,
    as_json: bool,
    clusters: bool = False,
    cluster: str | None = None,
    html: bool = False,
    context: str | None = None,
) -> Iterator[str]:
    """Show a dataset, run, model or page; with `thresholds`, what `clean` would keep with other bounds; clusters."""
    model = None if html else _model_of(path, context, rows)
    if html:
        from corpuskit.show_html import page_lines

        yield from page_lines(path, as_json=as_json)
    elif clusters or cluster is not None:
        yield from _cluster_lines(path, rows, cluster, as_json=as_json)
    elif model is not None and not dataset.is_dataset(path):
        yield from [json.dumps(model)] if as_json else model_text.lines(model)
    elif not dataset.is_dataset(path):
        if as_json:
            yield json.dumps({"datasets": {each: show.summary(each) for each in datasets_below(path)}})
        else:
            yield from show.run_lines(path)
    elif thresholds:
        from corpuskit.what_if import WhatIf

        answer = WhatIf.of(path, thresholds)
        yield from [json.dumps(answer.summary())] if as_json else answer.lines()
    elif as_json:
        yield json.dumps({**show.summary(path), **({} if model is None else {"model": model})})
    else:
        yield from show.dataset_lines(path)
        yield from figure_lines(dataset.read_manifest(path))
        if model is not None:
            yield from model_text.lines(model)
        if dropped:
            yield from show.drop_lines(path, rows if rows is not None else 3)
        elif rows:
            yield from show.row_lines(path, rows)


def _model_of(path: str, context: str | None, rows: int | None) -> dict[str, Any] | None:
    """Describe an n-gram model; None where the path is none."""
    other = dataset.is_dataset(path) and "model" not in dataset.read_manifest(path).artifacts
    found = None if other else model_text.summary(path, context, rows or 10)
    if context is not None and found is None:
        raise UsageError("show", f"--context: {path} is no n-gram model", "leave it out")
    return found


def _cluster_lines(path: str, rows: int | None, id: str | None, *, as_json: bool) -> Iterator[str]:
    from corpuskit import show_clusters

    if as_json:
        yield json.dumps(show_clusters.largest(path) if id is None else show_clusters.cluster(path, id))
    elif id is None:
        yield from show_clusters.largest_lines(path)
    else:
        yield from show_clusters.cluster_lines(path, id, rows)


def index_lines(folder: str, remove: str | None, *, check: bool, as_json: bool) -> Iterator[str]:
    """List the snapshots of an index of `dedup`, or remove one. Raises BadData where one is damaged."""
    from corpuskit import show_clusters
    from corpuskit.sketch import index

    if remove is not None:
        index.remove(folder, remove)
    if check and (wrong := [line for name in index.names(folder) for line in index.damage(folder, name)]):
        raise BadData(folder, f"{', '.join(wrong)}: not what was written", "remove the snapshot and add it anew")
    yield from show_clusters.index_lines(folder, as_json=as_json)


def _takes_rows(wanted: Input) -> bool:
    return not wanted.raw or bool({"docs", "tokens"} & set(wanted.artifacts))


def _report_lines(path: str, *, as_json: bool) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        report = json.load(file)
    if as_json:
        yield json.dumps(report)
    else:
        yield from show.verdict_lines([report])


def _foretell(progress: Progress, plan: StagePlan) -> None:
    if state(plan)[0] != "done":
        for line in foresight(plan):
            progress.line(f"{plan.name}: {line}")


def _watch(progress: Progress) -> Watch:
    def watch(name: str, done: int, tasks: int, report: TaskReport) -> None:
        progress.status(f"{name}: task {done} of {tasks}, {report.ledger.rows_in:,} rows in, {report.seconds:.1f} s")

    return watch


def _tell(progress: Progress, outcome: Outcome) -> None:
    manifest, name = outcome.manifest, outcome.plan.name
    for line in outcome.warnings:
        progress.problem(f"{name}: {line}")
    took = "skipped, it is done" if outcome.state == "done" else f"{outcome.seconds:.1f} s"
    progress.line(f"{name}: {took}; {show.ledger_line(manifest.ledger, manifest.unit)}")
    for line in packing_lines(manifest):
        progress.line(f"{name}: {line}")
