"""What a stage is: one declaration from which command line, recipes, tasks, reference and tests derive.

A stage is one file in `corpuskit/stages/`: a frozen options dataclass, one or more functions over Arrow record
batches (the steps), and one `STAGE = Stage(...)`. The file's path is its name: `stages/train/ngram.py` is
`corpuskit train ngram`; its docstring is its help.

A step's `run` is called with keywords, by the names of its parameters. The annotation of a parameter says how it
wants the artifact of that name:

    docs: Batches         one shard, streamed: one task per shard (per bucket, after an exchange). At least one
                          batch comes, if only an empty one, so that columns pass through empty shards
    docs: Whole           all of it as one table, memory-mapped: one task
    dump: OneFile         one opaque file: one task per file
    corpora: Apart        the tables of several datasets, each for itself: one task
    tokenizer: Path       the folder of a `Files` artifact
    corpus: Whole | Path  a table where a dataset was given, else the path of a raw file
    tokenizer: Path | None   None where no input has such an artifact
    options               the options value
    shard: int            the number of the task; where rows lie depends on the cut, so no choice that shows may use it
    artifacts             Mapping[str, str]: which artifact each parameter got, "" for a raw file
    out: Path             an empty folder: what the step leaves in it is its one `Files` artifact

It yields record batches of its first table, or `(name, batch)` for another one, and may say with `Written` what is
known of a file that it left in `out`. Stages never remove rows of a table that `conserves` its input: they mark them
(`schema.mark`), and the runner moves, counts and checks them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

Batches = Iterator[pa.RecordBatch]
if TYPE_CHECKING:
    Whole: TypeAlias = pa.Table
else:

    class Whole:
        """Annotates a parameter that gets a whole artifact as one `pa.Table`."""


_GROUPS = 16  # a folder of many small files makes about this many tasks
_MIN_GROUP_BYTES, _MAX_GROUP_BYTES = 1 << 20, 64 << 20
_log = logging.getLogger("corpuskit")


@dataclass(frozen=True, slots=True)
class OneFile:
    """An opaque input file, and what its download told about it (`source`, `url`, `license`, `date`).

    `part` is "" for all of it, else what the step's own `cut` wrote there.
    """

    path: Path
    about: Mapping[str, str] = field(default_factory=dict)
    part: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a step has left in `out`, and what is known of it.

    `about` goes into the manifest, and to the `OneFile.about` of whoever reads the file. A step that has hashed the
    file and made it durable says so with `bytes` and `sha256`: it is then not read again.
    """

    name: str
    about: Mapping[str, str] = field(default_factory=dict)
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class NextFile:
    """Says that what follows of a table goes into a new file."""

    table: str


class Apart(dict[str, pa.Table]):
    """The tables of several datasets, memory-mapped, by the stages that wrote them (`clean`, `clean-2`), in order."""


Yield = pa.RecordBatch | tuple[str, pa.RecordBatch] | Written | NextFile
#: How opaque files become tasks: the files of each task, whole or in parts. Depends on the files and options alone.
Cut = Callable[[Sequence[OneFile], Any], Sequence[Sequence[OneFile]]]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a step has found out about its output as a whole, JSON-ready: the manifest's `figures`.

    Must hang on the input and the options alone. Those of several tasks are merged, the later wins.
    """

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table that a step writes.

    `schema` lists the columns that it has at least (further ones pass through). `by` makes it an exchange: that
    column holds uint64 hashes, and rows meet in buckets that are ranges of it, so buckets in order are the hash's
    order. `conserves` names the parameter whose rows all end up here, kept or marked; with `counts`, a list column,
    its values are counted instead of rows. `folder` gives it a sub-folder that `datasets.load_from_disk` opens. With
    `sparse`, files without rows are left out, but for one where there are no rows at all.
    """

    schema: pa.Schema
    by: str | None = None
    conserves: str | None = None
    counts: str | None = None
    folder: bool = False
    sparse: bool = False


@dataclass(frozen=True)
class Files:
    """Opaque files that a step writes to `out`: a dump, a tokenizer, a model."""


@dataclass(frozen=True)
class Step:
    """One function of a stage, and what it writes.

    With `resumes`, `out` is handed again to a rerun with what an interrupted attempt left in it. `cut` makes tasks out
    of its opaque files where these are local; without, small files are grouped and large ones are a task each.
    `bucket_bytes` tells from the options how many bytes of the input make a bucket of its exchange.
    """

    run: Callable[..., Any]
    writes: Mapping[str, Table | Files]
    resumes: bool = False
    cut: Cut | None = None
    bucket_bytes: Callable[[Any], int] | None = None


@dataclass(frozen=True)
class Input:
    """What a stage reads: a positional `IN`, or with `flag` an option `--name PATH`.

    `accepts` lists the artifacts that it takes, the first that a dataset has wins (default: the one of its name).
    With `raw`, files and folders that no stage wrote are taken too, and with `many`, several of them. One that is
    `optional` and not given is None to the step. `fetch` makes a local path of a word that is none.
    """

    name: str
    help: str
    accepts: tuple[str, ...] = ()
    flag: bool = False
    raw: bool = False
    many: bool = False
    optional: bool = False
    fetch: Callable[[str], str] | None = None

    @property
    def artifacts(self) -> tuple[str, ...]:
        """The names of the artifacts that it takes."""
        return self.accepts or (self.name,)


@dataclass(frozen=True)
class Stage:
    """A stage's declaration.

    Artifacts that a step reads and no earlier step writes are looked up among the inputs' datasets by name.
    `reasons` says what each drop and error reason means; an undeclared one fails the run. Raise `version` when the
    output changes: it is part of the key. `extra` is the pip extra without which it cannot run, which
    is looked for before anything runs; `some_extra` one that only some inputs need. `prints` is a JSON file of the
    output that the command prints, which makes OUT optional. `settle` has the last word on the options when the keys of
    the inputs are known: what it says decides the key. `foresee` gets the options and, where they are known, the rows
    and bytes of the input, and gives the lines that a person should read before the stage starts. With `together`,
    processes that torchrun has started run it as one: all of them take part, and the first one's output is the output.
    """

    options: type
    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    extra: str | None = None
    some_extra: str | None = None
    prints: str | None = None
    settle: Callable[[Any, list[str]], Any] | None = None
    foresee: Callable[[Any, int | None, int | None], list[str]] | None = None
    together: bool = False


def group(sizes: Sequence[int]) -> list[list[int]]:
    """Group neighbouring files, given by their sizes in bytes, into tasks; gives their places.

    The bound on a group's size depends on the input alone: a sixteenth of it, at least 1 MiB, at most 64 MiB.
    """
    limit = group_bytes(sum(sizes))
    groups: list[list[int]] = []
    weight = 0
    for at, size in enumerate(sizes):
        if not groups or weight + size > limit:
            groups.append([])
            weight = 0
        groups[-1].append(at)
        weight += size
    return groups


def group_bytes(total: int) -> int:
    """Give the size in bytes up to which opaque input of `total` bytes makes one task."""
    return min(max(total // _GROUPS, _MIN_GROUP_BYTES), _MAX_GROUP_BYTES)


def status(message: str) -> None:
    """Show what a long step is doing on the status line of a terminal."""
    _log.info(message)


def warn(message: str) -> None:
    """Tell the user of a problem that does not stop the run; printed even where stderr is no terminal."""
    _log.warning(message)


def event(name: str, **facts: Any) -> None:
    """Tell a program that reads `--json` what a long step is doing: one JSON object with `event` and the facts."""
    _log.debug(name, extra={"event": {"event": name, **facts}})
