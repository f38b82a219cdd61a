"""Recipes: TOML files that name stages in order, with their options and, where it is not obvious, their inputs.

root = "data/demo"              # optional; `--root` wins

[[stage]]
use = "clean"                   # the words of the command
name = "clean"                  # optional; also the name of the output folder below the root
inputs = "extract"              # optional: earlier stages by name, or paths; default: the latest stage that fits
preset = "gopher"               # options, as on the command line
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpuskit import catalog, storage
from corpuskit.errors import NoInput, UsageError
from corpuskit.plan import Source, StagePlan, final_artifacts, plan_stage
from corpuskit.stage import Input

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

_RESERVED = {"use", "name", "inputs"}


@dataclass(frozen=True)
class Recipe:
    """A recipe as written, with `--set` applied."""

    path: str
    root: str
    tables: Sequence[dict[str, Any]]


def read_recipe(path: str, *, root: str | None = None, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe. Raises NoInput, or UsageError that names the file, the table and the word at fault."""
    try:
        words = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise NoInput(path, "no such recipe", "check the path; recipes come with the source in pipelines/") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(path, f"expected TOML: {error}", "mend the line") from None
    unknown = set(words) - {"root", "stage"}
    if unknown:
        raise UsageError(path, f"unknown key `{sorted(unknown)[0]}`", "a recipe has `root` and [[stage]] tables")
    tables = words.get("stage")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UsageError(path, "expected [[stage]] tables, found none", "see pipelines/demo.toml")
    tables = [dict(table) for table in tables]
    for at, table in enumerate(tables, 1):
        if not isinstance(table.get("use"), str):
            raise UsageError(
                f"{path}: [[stage]] {at}", "expected `use`, the words of a stage", 'for example use = "clean"'
            )
        table.setdefault("name", table["use"].replace(" ", "-"))
    _apply(tables, settings)
    return Recipe(path, root or str(words.get("root") or storage.join("data", Path(path).stem)), tables)


def plan_recipe(recipe: Recipe, *, until: str | None = None) -> list[StagePlan]:
    """Plan every stage of a recipe, in order. Raises UsageError that names the stage and the word at fault."""
    plans: list[StagePlan] = []
    names = [table["name"] for table in recipe.tables]
    if until is not None and until not in names:
        raise UsageError("--until", f"the recipe has no stage `{until}`", f"it has: {', '.join(names)}")
    for at, table in enumerate(recipe.tables, 1):
        name = table["name"]
        where = f"{recipe.path}: [[stage]] {at} `{name}`"
        if (
            not isinstance(name, str)
            or not name.replace("-", "").replace("_", "").replace(".", "").isalnum()
            or name.startswith(".")
        ):
            raise UsageError(where, f"`name`: expected letters, digits, - and _, got {name!r}", "it names a folder")
        if name in names[: at - 1]:
            raise UsageError(where, "another stage has that name", "give one of them a `name` of its own")
        try:
            stage = catalog.load(table["use"])
        except UsageError as error:
            raise UsageError(where, error.problem, error.remedy) from None
        inputs = {each.name: _inputs(each, table, first, plans, where) for each, first in _positions(stage.inputs)}
        words = _RESERVED | {each.name for each in stage.inputs}
        options = {key: value for key, value in table.items() if key not in words}
        plan = plan_stage(table["use"], options, inputs, storage.join(recipe.root, name), name=where)
        plans.append(StagePlan(name, plan.words, plan.stage, plan.options, plan.sources, plan.out))
        if name == until:
            break
    return [plan for at, plan in enumerate(plans) if not _replaced(plan, plans[at + 1 :])]


def _replaced(plan: StagePlan, later: Sequence[StagePlan]) -> bool:
    """Tell whether a download needs not run, because all that could read it was given other inputs."""
    if plan.stage.inputs:
        return False
    made = set(final_artifacts(plan.stage))
    fits = [each for after in later for each in after.stage.inputs if made & set(each.artifacts)]
    read = {source.path for after in later for sources in after.sources.values() for source in sources}
    return bool(fits) and plan.out not in read


def _positions(inputs: Sequence[Input]) -> list[tuple[Input, bool]]:
    """Pair each input with whether the word `inputs` of a table means it: the first positional one."""
    positional = [each for each in inputs if not each.flag]
    # `evaluate MODEL IN`: what is evaluated is the last positional.
    return [(each, bool(positional) and each is positional[-1]) for each in inputs]


def _inputs(
    wanted: Input, table: Mapping[str, Any], first: bool, plans: Sequence[StagePlan], where: str
) -> list[str | Source]:
    given = table.get(wanted.name, table.get("inputs") if first else None)
    if given is None and wanted.optional:
        return []
    if given is None:
        for plan in reversed(plans):
            if set(final_artifacts(plan.stage)) & set(wanted.artifacts):
                return [plan.as_source()]
        named = " or ".join(f"`{name}`" for name in wanted.artifacts)
        setting = f"--set {table['name']}.{'inputs' if first else wanted.name}=PATH"
        remedy = f"put a stage before it that does, or name the input: {setting}"
        raise UsageError(where, f"reads {named}, which no earlier stage writes", remedy)
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, list) or not given or not all(isinstance(each, str) and each for each in given):
        raise UsageError(
            where,
            f"`{wanted.name}`: expected a path or the name of an earlier stage, got {given!r}",
            "mend it",
        )
    if len(given) > 1 and not wanted.many:
        raise UsageError(where, f"`{wanted.name}`: expected one path, got {len(given)}", "give one")
    made: dict[str, str | Source] = {plan.name: plan.as_source() for plan in plans}
    return [made.get(str(each), str(each)) for each in given]


def _apply(tables: Sequence[dict[str, Any]], settings: Sequence[str]) -> None:
    by_name = {table["name"]: table for table in tables}
    for setting in settings:
        target, equals, value = setting.partition("=")
        name, dot, key = target.strip().rpartition(".")
        if not equals or not dot:
            raise UsageError(
                "--set",
                f"expected STAGE.OPTION=VALUE, got `{setting}`",
                "for example --set clean.preset=none",
            )
        if name not in by_name:
            raise UsageError("--set", f"the recipe has no stage `{name}`", f"it has: {', '.join(by_name)}")
        by_name[name][key.replace("-", "_")] = _value(value)


def _value(text: str) -> Any:
    """Read a value as TOML (5, 0.1, true, ["a", "b"]); what is no TOML is a plain string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
