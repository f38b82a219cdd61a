"""Read what the standard library's source files say about themselves: docstrings, signatures and comments."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from corpuskit.errors import Unavailable

#: Not in every installation, or not documentation.
_LEFT_OUT = "antigravity distutils ensurepip idlelib lib2to3 msilib pydoc_data test this tkinter turtledemo venv"
_COMMON = "a an and are be because by can for if in is it not of on or so that the this to we with"
_COMMON_WORDS = frozenset(_COMMON.split())
_NOT_PROSE = re.compile(r"[Cc]opyright|[Ll]icense|DISCLAIM|noqa|type: |pragma|-\*-|[{}\\]")


@dataclass(frozen=True, slots=True)
class Described:
    """A function, method or class: its name, `(signature)` or `(bases)`, and docstring."""

    name: str
    head: str
    doc: str
    members: tuple[Described, ...] = ()

    @property
    def words(self) -> int:
        """How many words its documentation has, that of its members included."""
        return len(self.doc.split()) + sum(member.words for member in self.members)


@dataclass(frozen=True, slots=True)
class Module:
    """What the source of a module says. `notes`: comments of several sentences, under the name of their definition."""

    name: str
    file: str
    package: bool
    doc: str
    functions: tuple[Described, ...]
    classes: tuple[Described, ...]
    notes: dict[str, list[str]] = field(default_factory=dict)


def modules() -> Iterator[Module]:
    """Yield the modules of the standard library that are written in Python, in the order of their names.

    Raises Unavailable where this Python has no source files.
    """
    library = Path(sysconfig.get_path("stdlib"))
    if not (library / "difflib.py").is_file():
        raise Unavailable("download sample", f"this Python has no source files in {library}", "use one that has them")
    for top in sorted(sys.stdlib_module_names - set(_LEFT_OUT.split())):
        files = [library / f"{top}.py", *sorted((library / top).rglob("*.py"))]
        for file in files:
            parts = file.relative_to(library).with_suffix("").parts
            if file.is_file() and not {"test", "tests", "__main__", "__pycache__"} & set(parts):
                yield read(
                    file.read_bytes(), ".".join(parts).removesuffix(".__init__"), "/".join(("Lib", *parts)) + ".py"
                )


def read(source: bytes, name: str, file: str) -> Module:
    """Read one module's source; nothing of it is run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in its strings
        tree = ast.parse(source)
    described = [each for each in map(_describe, tree.body) if each is not None]
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return Module(
        name,
        file,
        file.endswith("/__init__.py"),
        _docstring(tree),
        tuple(each for each in described if each.name not in classes),
        tuple(each for each in described if each.name in classes),
        _notes(source, tree),
    )


def _describe(node: ast.AST) -> Described | None:
    """Describe a public or documented definition; None for all else."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return None
    doc = _docstring(node)
    if isinstance(node, ast.ClassDef):
        members = tuple(each for each in map(_describe, node.body) if each is not None and each.doc)
        return Described(node.name, ", ".join(map(ast.unparse, node.bases)), doc, members) if doc or members else None
    head = f"({ast.unparse(node.args)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    return Described(node.name, head, doc) if doc else None


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Give a docstring without the addresses of objects that examples show."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", ast.get_docstring(node) or "")


def _notes(source: bytes, tree: ast.Module) -> dict[str, list[str]]:
    """Collect paragraphs of comments that read as prose, by the top-level definition that they stand in."""
    owners = [
        (node.lineno, node.end_lineno or node.lineno, node.name)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    notes: dict[str, list[str]] = {}
    for line, text in _comments(source.decode("utf-8", "replace")):
        if _reads_as_prose(text):
            owner = next((name for first, last, name in owners if first <= line <= last), "")
            notes.setdefault(owner, []).append(text)
    return notes


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield runs of whole-line comments as one line each, with the number of their first line."""
    run: list[str] = []
    first, column = 0, -1
    for number, line in enumerate(source.splitlines(), start=1):
        bare = line.lstrip()
        text = bare[2:].strip() if bare.startswith("# ") else ""
        if run and (not text or len(line) - len(bare) != column):
            yield first, " ".join(run)
            run = []
        if text:
            if not run:
                first, column = number, len(line) - len(bare)
            run.append(text)
    if run:
        yield first, " ".join(run)


def _reads_as_prose(text: str) -> bool:
    words = text.split()
    plain = sum(word.strip("'\"(),.;:!?-").isalpha() for word in words)
    common = sum(word.lower() in _COMMON_WORDS for word in words)
    return (
        len(words) >= 9
        and (text[0].isupper() or text[0] in "'\"(")
        and text.endswith((".", "!", "?", ".)"))
        and plain >= 0.7 * len(words)
        and common >= 2
        and not _NOT_PROSE.search(text)
    )
