"""Formats of other programs, one module each: a module that has `FORMAT = Format(...)` is a format of its name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from corpuskit.errors import UsageError

#: What can be exported: a dataset's tables by what they hold, and models by their kind.
DOCUMENTS, TOKENS, BLOCKS = "documents", "tokens", "blocks"
#: A file is ended, and a new one begun, after so many bytes, where the format has several files.
FILE_BYTES = 256 << 20
_HOME = Path(__file__).parent
_PLUMBING = {"files", "sequences"}


@dataclass(frozen=True, slots=True)
class Given:
    """What is exported.

    `kind` is "documents", "tokens" or "blocks", or the kind of a model ("ngram", "transformer"). `splits` maps
    "train" and "valid" to their tables (memory-mapped; other data than blocks has "train" alone), `model` is the
    folder of a model, `tokenizer` that of the tokenizer, if one came with the data.
    """

    kind: str
    splits: Mapping[str, pa.Table]
    model: Path | None = None
    tokenizer: Path | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the kinds that it can hold, and what writes them.

    `write(given, out)` leaves its files in the empty folder `out`; what it returns (JSON-ready, or None) becomes
    the `figures` of the manifest. The bytes must not depend on how the tables are cut into batches.
    """

    takes: tuple[str, ...]
    write: Callable[[Given, Path], Mapping[str, Any] | None]


def names() -> list[str]:
    """List the formats without importing them."""
    return sorted(file.stem for file in _HOME.glob("*.py") if file.stem not in _PLUMBING and file.stem[0] != "_")


def load(name: str) -> Format:
    """Import a format by its name."""
    found = importlib.import_module(f"{__name__}.{name}").FORMAT
    assert isinstance(found, Format)
    return found


def fitting(kind: str) -> list[str]:
    """List the formats that hold data of this kind."""
    return [name for name in names() if kind in load(name).takes]


def write(name: str, given: Given, out: Path) -> Mapping[str, Any] | None:
    """Write `given` in a format. Raises UsageError where the format cannot hold it, and names those that can."""
    chosen = load(name)
    if given.kind not in chosen.takes:
        raise UsageError(
            "export",
            f"--format {name} holds {_listed(chosen.takes)}, the input has {_said(given.kind)}",
            f"these fit: {', '.join(fitting(given.kind)) or 'none'}",
        )
    return chosen.write(given, out)


def batches(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Cut a table into batches of exactly `rows` rows but for the last, whatever its chunks; at least one."""
    for start in range(0, max(table.num_rows, 1), rows):
        piece = table.slice(start, rows).combine_chunks()
        yield from piece.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]


def _said(kind: str) -> str:
    return kind if kind in (DOCUMENTS, TOKENS, BLOCKS) else f"a model of kind `{kind}`"


def _listed(kinds: Sequence[str]) -> str:
    return " or ".join(_said(kind) for kind in kinds)
