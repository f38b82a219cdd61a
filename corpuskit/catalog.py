"""Find stages: one Python file each, in `corpuskit/stages/` and in the folders that CORPUSKIT_STAGES names.

A stage's words are its path: `train/ngram.py` is `train ngram`, `my_stage.py` is `my-stage`. Finding them imports
none of them, so that `corpuskit --help` stays fast.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from corpuskit.errors import UsageError

if TYPE_CHECKING:
    from corpuskit.stage import Stage

VARIABLE = "CORPUSKIT_STAGES"
_HOME = Path(__file__).parent / "stages"


def discover() -> Mapping[str, Path]:
    """Map the words of every stage to its file, in alphabetical order; a user's stage wins over a built-in one."""
    found: dict[str, Path] = {}
    for folder in [_HOME, *_user_folders()]:
        for file in sorted(folder.glob("*.py")) + sorted(folder.glob("*/*.py")):
            if not file.stem.startswith("_"):
                found[_words(file.relative_to(folder))] = file
    return dict(sorted(found.items()))


def families() -> Mapping[str, str]:
    """Map each family of commands (`train`) to its help line."""
    found = {}
    for words, file in discover().items():
        family, _, member = words.partition(" ")
        if member and family not in found:
            init = file.parent / "__init__.py"
            found[family] = summary(init) if init.exists() else f"The stages in {family}/."
    return found


def summary(file: Path) -> str:
    """Give the first line of a file's docstring without running it."""
    head = file.read_text(encoding="utf-8").lstrip()
    for quotes in ('"""', "'''"):
        if head.startswith(quotes):
            return head[3:].split(quotes)[0].strip().split("\n")[0]
    return ""


def docstring(words: str) -> str:
    """Give a stage's whole docstring without running its file."""
    return ast.get_docstring(ast.parse(_file(words).read_text(encoding="utf-8"))) or ""


@cache
def load(words: str) -> Stage:
    """Import a stage by its words. Raises UsageError where there is none, or its file holds none."""
    from corpuskit.stage import Stage  # pyarrow comes with it

    file = _file(words)
    stage = getattr(_import(file, words), "STAGE", None)
    if not isinstance(stage, Stage):
        raise UsageError(
            str(file), "expected `STAGE = Stage(...)`, found none", "see `How to add a stage` in the README"
        )
    return stage


def _file(words: str) -> Path:
    stages = discover()
    if words not in stages:
        import difflib

        close = difflib.get_close_matches(words, stages, 1)
        hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(stages)}"
        raise UsageError("stage", f"there is no stage `{words}`", hint)
    return stages[words]


def _import(file: Path, words: str) -> ModuleType:
    if _HOME in file.parents:
        return importlib.import_module(".".join(["corpuskit.stages", *file.relative_to(_HOME).with_suffix("").parts]))
    name = "corpuskit_user_stages." + words.replace(" ", ".").replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def has_user_stages() -> bool:
    """Tell whether there are folders of a user's own stages."""
    return bool(_user_folders())


def _user_folders() -> list[Path]:
    return [Path(each) for each in os.environ.get(VARIABLE, "").split(os.pathsep) if each]


def _words(relative: Path) -> str:
    return " ".join(relative.with_suffix("").parts).replace("_", "-")
