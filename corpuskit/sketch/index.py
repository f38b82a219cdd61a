"""The index of earlier snapshots: for each a folder with its bands, sorted and memory-mapped, and what was kept of it.

    DIR/2026-09/snapshot.json     the settings, counts, and the hash of every file
                ids.arrow         the ids of the kept documents, in the order in which they were taken
                starts.npy        the set of document i is shingles[starts[i]:starts[i + 1]]
                shingles.npy
                bands.npy         ascending; bands[i] is a band in which ...
                entries.npy       ... document entries[i] stands; past the last, documents of other snapshots:
                foreign.arrow     their snapshots and numbers there
                texts.npy         digests of all texts that came in, ascending, and for each ...
                text_entries.npy  ... the entry that stays for it
                text_similarity.npy   ... how similar it is, and
                text_copies.npy       ... whether it has this very text

A document that was dropped stands in its bands through the one that stayed for it. So a later document that meets it
is compared with what it would have been compared with, had both been deduplicated together.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from corpuskit.errors import BadData, CannotCreate, NoInput, UsageError
from corpuskit.formats.durable import size_and_sha256, sync

META = "snapshot.json"
FORMAT = 1
#: The bit that tells a document of the index from one of the run; below it the snapshot's number, then the row.
INDEXED = np.uint64(1 << 63)
ROW_BITS = np.uint64(40)
ROWS = np.uint64((1 << 40) - 1)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TEMPORARY = ".adding-"
_FOREIGN = pa.schema([("snapshot", pa.string()), ("row", pa.int64())])

U64 = npt.NDArray[np.uint64]
U32 = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """One snapshot, open: its arrays are memory-mapped."""

    name: str
    token: str  # name@hash: which snapshot of that name
    meta: Mapping[str, Any]
    ids: pa.ChunkedArray
    starts: Ints
    shingles: U32
    bands: U64
    entries: U32
    foreign: pa.Table
    texts: npt.NDArray[Any]
    text_entries: U32
    text_similarity: npt.NDArray[np.float32]
    text_copies: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts that came in: their digests, ascending, and for each the entry that stays for it."""

    digests: npt.NDArray[Any]
    entries: U32
    similarity: npt.NDArray[np.float32]
    copies: npt.NDArray[np.bool_]


def names(folder: str) -> list[str]:
    """List the snapshots of an index in their order, that of their names; none where there is no folder."""
    root = Path(folder)
    return sorted(path.parent.name for path in root.glob(f"*/{META}") if not path.parent.name.startswith("."))


def read_meta(folder: str, name: str) -> dict[str, Any]:
    """Read what a snapshot says of itself. Raises NoInput where there is none, BadData where it cannot be read."""
    path = Path(folder) / name / META
    if not path.is_file():
        held = ", ".join(names(folder)) or "none"
        raise NoInput("--against", f"{folder} holds no snapshot `{name}`", f"name one of those that it holds: {held}")
    try:
        meta: dict[str, Any] = json.loads(path.read_bytes())
        assert meta["format"] == FORMAT
    except (ValueError, KeyError, AssertionError):
        raise BadData(
            str(path), "expected the description of a snapshot", "remove the snapshot and add it anew"
        ) from None
    return meta


def token(folder: str, name: str) -> str:
    """Give name@hash of a snapshot: the hash stands for all that it holds."""
    read_meta(folder, name)
    return f"{name}@{hashlib.sha256((Path(folder) / name / META).read_bytes()).hexdigest()[:16]}"


def check_name(name: str) -> None:
    """Raise UsageError for a name that is no plain folder name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            "--snapshot", f"`{name}` is no name for a snapshot", "use letters, digits, dots, dashes: 2026-09"
        )


class Index:
    """Some snapshots of an index, open, in the order of their names; a document in it is a code with INDEXED set."""

    def __init__(self, folder: str, tokens: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Open the snapshots. Raises NoInput, BadData, and UsageError where one was made with other settings."""
        self.snapshots = [_open(folder, each) for each in sorted(tokens)]
        for snapshot in self.snapshots:
            for name, value in settings.items():
                made = snapshot.meta["settings"][name]
                if made != value:
                    problem = f"snapshot `{snapshot.name}` was made with {name} = {made}, not {value}"
                    raise UsageError("--index", problem, "use its settings, or another folder")
        self._foreign = [_codes(snapshot, self.snapshots) for snapshot in self.snapshots]

    def meet(self, bands: U64) -> tuple[U64, U64, npt.NDArray[np.bool_]]:
        """Give (bands, documents) of all that stand in some bands, and which of these bands are known; each once."""
        if not self.snapshots:
            return np.empty(0, np.uint64), np.empty(0, np.uint64), np.zeros(len(bands), np.bool_)
        wanted = np.unique(bands)
        found_bands, found = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for at, snapshot in enumerate(self.snapshots):
            first = np.searchsorted(snapshot.bands, wanted, "left")
            lengths = np.searchsorted(snapshot.bands, wanted, "right") - first
            rows = np.repeat(first - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
            codes = self._entry_codes(at, snapshot.entries[rows])
            there = codes != 0  # of snapshots that are not looked at
            found_bands.append(np.repeat(wanted, lengths)[there])
            found.append(codes[there])
        all_bands = np.concatenate(found_bands)
        return all_bands, np.concatenate(found), np.isin(bands, all_bands)

    def texts(self, digests: npt.NDArray[Any]) -> tuple[U64, npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Look texts up by their digests of 16 bytes, most significant first as (high, low) records.

        Gives the code of what stays for each, 0 for none, how similar that is, and whether it has the very text.
        """
        count = len(digests)
        codes, similarity, copies = np.zeros(count, np.uint64), np.zeros(count), np.zeros(count, np.bool_)
        for at, snapshot in enumerate(self.snapshots):
            if not len(snapshot.texts):
                continue
            place = np.minimum(np.searchsorted(snapshot.texts, digests), len(snapshot.texts) - 1)
            mine = np.flatnonzero((snapshot.texts[place] == digests) & (codes == 0))
            codes[mine] = self._entry_codes(at, snapshot.text_entries[place[mine]])
            similarity[mine], copies[mine] = snapshot.text_similarity[place[mine]], snapshot.text_copies[place[mine]]
        there = codes != 0
        return codes, np.where(there, similarity, 0), copies & there

    def sizes(self, codes: U64) -> Ints:
        """Give the sizes of the documents' sets."""
        out = np.zeros(len(codes), np.int64)
        for snapshot, mine, rows in self._parts(codes):
            out[mine] = snapshot.starts[rows + 1] - snapshot.starts[rows]
        return out

    def token_of(self, code: int) -> str:
        """Give name@hash of a document's snapshot."""
        return self.snapshots[(code & ~int(INDEXED)) >> int(ROW_BITS)].token

    def shingles(self, code: int) -> U32:
        """Give a document's set."""
        snapshot = self.snapshots[(code & ~int(INDEXED)) >> int(ROW_BITS)]
        row = code & int(ROWS)
        return snapshot.shingles[snapshot.starts[row] : snapshot.starts[row + 1]]

    def ids(self, codes: U64) -> pa.Array:
        """Give the documents' ids, as large strings."""
        found = self._words(codes, lambda snapshot, rows: snapshot.ids.take(pa.array(rows)).to_pylist())
        return found.cast(pa.large_string())

    def names(self, codes: U64) -> pa.Array:
        """Give the names of the documents' snapshots."""
        return self._words(codes, lambda snapshot, rows: [snapshot.name] * len(rows))

    def _words(self, codes: U64, words: Callable[[Snapshot, Ints], list[str]]) -> pa.Array:
        out = np.full(len(codes), None, object)
        for snapshot, mine, rows in self._parts(codes):
            out[mine] = words(snapshot, rows)
        return pa.array(out.tolist(), pa.string())

    def _parts(self, codes: U64) -> Iterator[tuple[Snapshot, npt.NDArray[np.bool_], Ints]]:
        for at, snapshot in enumerate(self.snapshots):
            mine = (codes & INDEXED != 0) & ((codes & ~INDEXED) >> ROW_BITS == np.uint64(at))
            if mine.any():
                yield snapshot, mine, (codes[mine] & ROWS).astype(np.int64)

    def _entry_codes(self, at: int, entries: U32) -> U64:
        own = len(self.snapshots[at].ids)
        codes = INDEXED | np.uint64(at) << ROW_BITS | entries.astype(np.uint64)
        elsewhere = entries >= own
        if elsewhere.any():
            codes[elsewhere] = self._foreign[at][entries[elsewhere] - own]
        return codes


def add(
    folder: str,
    name: str,
    about: Mapping[str, Any],
    kept: Iterator[tuple[pa.Array, U32, Ints]],
    entries: Iterator[tuple[U64, U32]],
    foreign: Sequence[tuple[str, int]],
    texts: Texts,
) -> None:
    """Add a snapshot: its folder appears when it is whole. The same one again changes nothing.

    kept: ids, shingles and the sizes of their sets, part by part; entries: (bands, entries), ascending; foreign:
    (token, row) of documents of other snapshots. Raises CannotCreate where another snapshot has the name.
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"{_TEMPORARY}{name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    made = root / f"{_TEMPORARY}{name}-{os.getpid()}"
    made.mkdir()
    documents = _write_kept(made, kept)
    count = _write_entries(made, entries)
    columns = [[each[0] for each in foreign], [each[1] for each in foreign]]
    with pa.ipc.new_file(str(made / "foreign.arrow"), _FOREIGN) as writer:
        writer.write_table(pa.table(columns, schema=_FOREIGN))
    for file, array in (
        ("texts", texts.digests),
        ("text_entries", texts.entries),
        ("text_similarity", texts.similarity),
        ("text_copies", texts.copies),
    ):
        np.save(made / f"{file}.npy", array)
    files = {}
    for path in sorted(made.iterdir()):
        sync(path)
        files[path.name] = list(size_and_sha256(str(path)))
    meta = {"format": FORMAT, **about, "documents": documents, "entries": count, "files": files}
    (made / META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    sync(made / META)
    sync(made)
    try:
        os.rename(made, root / name)
    except OSError:
        same = (root / name / META).is_file() and (root / name / META).read_bytes() == (made / META).read_bytes()
        shutil.rmtree(made, ignore_errors=True)
        if not same:
            raise CannotCreate(
                "--snapshot",
                f"{folder} holds another snapshot `{name}`",
                f"choose another name, or remove it: corpuskit index {folder} --remove {name}",
            ) from None
    sync(root)


def remove(folder: str, name: str) -> None:
    """Remove a snapshot; it is gone at once, whatever cuts this short. Raises NoInput where there is none."""
    read_meta(folder, name)
    gone = Path(folder) / f"{_TEMPORARY}{name}-removed-{os.getpid()}"
    os.rename(Path(folder) / name, gone)
    sync(folder)
    shutil.rmtree(gone)


def damage(folder: str, name: str) -> list[str]:
    """Name the files of a snapshot whose bytes are not those that were written."""
    meta = read_meta(folder, name)
    wrong = []
    for file, (size, digest) in meta["files"].items():
        path = Path(folder) / name / file
        if not path.is_file() or size_and_sha256(str(path)) != (size, digest):
            wrong.append(str(path))
    return wrong


def _open(folder: str, wanted: str) -> Snapshot:
    name, _, _ = wanted.partition("@")
    meta, home = read_meta(folder, name), Path(folder) / name
    if token(folder, name) != wanted:
        raise BadData("--index", f"snapshot `{name}` of {folder} changed while it was in use", "run the command again")
    for file, (size, _) in meta["files"].items():
        if not (home / file).is_file() or (home / file).stat().st_size != size:
            raise BadData(str(home / file), "is missing or has another size", "remove the snapshot and add it anew")

    def array(file: str) -> Any:
        return np.load(home / f"{file}.npy", mmap_mode="r")

    return Snapshot(
        name,
        wanted,
        meta,
        pa.ipc.open_file(pa.memory_map(str(home / "ids.arrow"))).read_all()["id"],
        array("starts"),
        array("shingles"),
        array("bands"),
        array("entries"),
        pa.ipc.open_file(pa.memory_map(str(home / "foreign.arrow"))).read_all(),
        array("texts"),
        array("text_entries"),
        array("text_similarity"),
        array("text_copies"),
    )


def _codes(snapshot: Snapshot, snapshots: Sequence[Snapshot]) -> U64:
    """Give the codes of a snapshot's foreign documents, 0 for those of snapshots that are not looked at."""
    numbers = {each.token: at for at, each in enumerate(snapshots)}
    rows = zip(snapshot.foreign["snapshot"].to_pylist(), snapshot.foreign["row"].to_pylist(), strict=True)
    return np.array(
        [int(INDEXED) | numbers[of] << int(ROW_BITS) | row if of in numbers else 0 for of, row in rows], np.uint64
    )


def _write_kept(made: Path, kept: Iterator[tuple[pa.Array, U32, Ints]]) -> int:
    starts = [np.zeros(1, np.int64)]
    schema = pa.schema([("id", pa.string())])
    with _Npy(made / "shingles.npy", "<u4") as flat, pa.ipc.new_file(str(made / "ids.arrow"), schema) as writer:
        for ids, shingles, sizes in kept:
            writer.write_batch(pa.record_batch([ids], schema=schema))
            flat.write(shingles)
            starts.append(starts[-1][-1] + np.cumsum(sizes))
    every = np.concatenate(starts)
    np.save(made / "starts.npy", every)
    return len(every) - 1


def _write_entries(made: Path, entries: Iterator[tuple[U64, U32]]) -> int:
    with _Npy(made / "bands.npy", "<u8") as bands, _Npy(made / "entries.npy", "<u4") as numbers:
        for band, entry in entries:
            bands.write(band)
            numbers.write(entry)
        return numbers.count


class _Npy:
    """A .npy file of one dimension that grows; its header, of a fixed size, is written last."""

    def __init__(self, path: Path, kind: str) -> None:
        self._file = path.open("wb")
        self._kind, self.count = kind, 0
        self._file.write(b"\0" * 128)

    def __enter__(self) -> _Npy:
        return self

    def write(self, array: npt.NDArray[Any]) -> None:
        """Append values."""
        self._file.write(np.ascontiguousarray(array, self._kind).data)
        self.count += len(array)

    def __exit__(self, *error: object) -> None:
        head = f"{{'descr': '{self._kind}', 'fortran_order': False, 'shape': ({self.count},), }}"
        self._file.seek(0)
        self._file.write(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + head.ljust(117).encode() + b"\n")
        self._file.close()
